/** The kernel command line is cut as the kernel cuts it: quotes, equal signs, dashes, and what comes after `--`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { tokensOf } from '../../../src/core/boot/tokens.ts';

const pairs = (line: string) => tokensOf(line).map(({ name, value }) => [name, value]);

describe('a line is cut', () => {
  const cases: [line: string, pairs: [string, string | null][]][] = [
    ['', []],
    ['   ', []],
    ['quiet', [['quiet', null]]],
    [
      '  root=/dev/sda1\tro \n quiet',
      [
        ['root', '/dev/sda1'],
        ['ro', null],
        ['quiet', null],
      ],
    ],
    ['a=b=c', [['a', 'b=c']]],
    ['a=', [['a', '']]],
    ['=a', [['=a', null]]],
    ['=a=b', [['=a', 'b']]],
    ['intel-iommu=on', [['intel_iommu', 'on']]],
    ['a-b=c-d', [['a_b', 'c-d']]],
    [
      'a="b c" d',
      [
        ['a', 'b c'],
        ['d', null],
      ],
    ],
    [
      '"a=b c" d',
      [
        ['a', 'b c'],
        ['d', null],
      ],
    ],
    [
      '"quiet" splash',
      [
        ['quiet', null],
        ['splash', null],
      ],
    ],
    [
      '"a="b c""',
      [
        ['a', 'b'],
        ['c""', null],
      ],
    ],
    ['a="b', [['a', 'b']]],
    ['a="b c', [['a', 'b c']]],
    ['a=b"c d"', [['a', 'b"c d"']]],
    ['a=b"c', [['a', 'b"c']]],
    ['iommu=pt -- iommu=off', [['iommu', 'pt']]],
    ['"--" a', []],
    [
      '--=1 a',
      [
        ['__', '1'],
        ['a', null],
      ],
    ],
    [
      'a\u00a0b',
      [
        ['a', null],
        ['b', null],
      ],
    ],
  ];
  for (const [line, expected] of cases)
    test(JSON.stringify(line), () => {
      assert.deepEqual(pairs(line), expected);
    });
});

test('whatever is written with quotes round each value is read back', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9._]{0,8}$/);
  const value = fc.stringMatching(/^[a-z0-9,=. -]{0,12}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), fc.boolean(), (options, whole) => {
      const line = options.map(([n, v]) => (whole ? `"${n}=${v}"` : `${n}="${v}"`)).join(' ');
      assert.deepEqual(pairs(line), options);
    }),
  );
});

test('any line is cut into no more than it has, and each piece stands in it', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a"=\t -]{0,40}$/), (line) => {
      let at = 0;
      for (const { text } of tokensOf(line)) {
        const found = line.indexOf(text, at);
        assert.ok(found >= at);
        at = found + text.length;
      }
    }),
  );
});
