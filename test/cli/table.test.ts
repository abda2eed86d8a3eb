/** A table never is wider than the terminal, loses no row, and keeps what has to stay. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { count, figure, pageSecondScale, pageSeconds, time, timeScale } from '../../src/cli/figures.ts';
import { type Column, harmless, placesOf, table } from '../../src/cli/table.ts';
import { wrapped } from '../../src/cli/wrapping.ts';

const text = fc
  .string({ maxLength: 40, unit: fc.constantFrom('a', 'b', ' ', '-', 'é', '漢', '€', '0') })
  .map((s) => s.trim());

const anyTable = fc
  .record({ rows: fc.integer({ min: 1, max: 5 }), columns: fc.integer({ min: 1, max: 8 }) })
  .chain(({ rows, columns }) =>
    fc.array(
      fc.record(
        {
          title: text.filter((title) => title !== ''),
          unit: text,
          cells: fc.array(text, { minLength: rows, maxLength: rows }),
          align: fc.constantFrom('left' as const, 'right' as const),
          rank: fc.integer({ min: 0, max: 5 }),
          shortest: fc.integer({ min: 1, max: 20 }),
        },
        { requiredKeys: ['title', 'cells'] },
      ),
      { minLength: columns, maxLength: columns },
    ),
  ) as fc.Arbitrary<Column[]>;

describe('any table', () => {
  test('is as wide as the terminal at most', () => {
    fc.assert(
      fc.property(anyTable, fc.integer({ min: 20, max: 160 }), (columns, width) => {
        for (const line of table(columns, width).lines)
          assert.ok(placesOf(line) <= width, `${placesOf(line)}: ${line}`);
      }),
    );
  });

  test('has a line a row, or a list a row, and leaves out nothing without saying so', () => {
    fc.assert(
      fc.property(anyTable, fc.integer({ min: 20, max: 160 }), (columns, width) => {
        const { lines, leftOut } = table(columns, width);
        const rows = columns[0]!.cells.length;
        const shown = columns.length - leftOut.length;
        const heads = columns.some(({ unit }) => unit) ? [2, 3] : [2];
        assert.ok(heads.some((head) => lines.length === head + rows) || lines.length === rows * shown);
        assert.ok(columns.filter(({ rank }) => rank === undefined).length <= shown);
      }),
    );
  });

  test('is whole where there is room, whatever is in it', () => {
    fc.assert(
      fc.property(anyTable, (columns) => {
        const { lines, leftOut } = table(columns, Number.POSITIVE_INFINITY);
        assert.deepEqual(leftOut, []);
        for (const { cells } of columns)
          for (const [row, cell] of cells.entries()) assert.ok(lines.at(row - cells.length)!.includes(cell));
      }),
    );
  });
});

describe('a table of arms', () => {
  const columns: Column[] = [
    { title: 'arm', cells: ['rbtree-2008, deferred-2008', 'rbtree-2008, strict'], shortest: 12 },
    { title: 'speed', unit: 'Gb/s', cells: ['9.70', '4.87'], align: 'right' },
    { title: 'CPUs', unit: 'busy', cells: ['60.2 %', '84.3 %'], align: 'right', rank: 2 },
    { title: 'seeds', cells: ['3', '3'], align: 'right', rank: 7 },
  ];

  test('is drawn like this', () => {
    assert.deepEqual(table(columns, 80).lines, [
      'arm                         speed    CPUs  seeds',
      '                             Gb/s    busy',
      '--------------------------  -----  ------  -----',
      'rbtree-2008, deferred-2008   9.70  60.2 %      3',
      'rbtree-2008, strict          4.87  84.3 %      3',
    ]);
  });

  test('gives up the columns with the highest rank first, then the middle of its names', () => {
    assert.deepEqual(table(columns, 42).leftOut, ['seeds']);
    assert.deepEqual(table(columns, 40).leftOut, ['CPUs', 'seeds']);
    for (const line of table(columns, 30).lines) assert.ok(line.length <= 30);
    assert.match(table(columns, 30).lines[3]!, /^rbtree-20\S*….*-2008 +9\.70$/);
  });

  test('becomes a list where not even that has room', () => {
    assert.match(table(columns, 18).lines[0]!, /^rbtree.*…/);
    assert.match(table(columns, 18).lines[1]!, /^ {2}speed .* 9\.70$/);
  });
});

test('a name cannot move the cursor or colour what comes after it', () => {
  assert.equal(harmless('a\u001b[31mb\r\nc\u009b'), 'a?[31mb??c?');
});

describe('figures have three digits that say something', () => {
  const cases: [number | null, string][] = [
    [0, '0'],
    [8.7321, '8.73'],
    [9.996, '10.0'],
    [99.96, '100'],
    [0.015_234, '0.0152'],
    [999.4, '999'],
    [999.6, '1,000'],
    [4260.05, '4,260'],
    [-12.345, '-12.3'],
    [0.000_012, '1.20e-5'],
    [1e21, '1.00e21'],
    [null, '-'],
    [Number.NaN, '-'],
  ];
  for (const [value, shown] of cases) test(`${value} is ${shown}`, () => assert.equal(figure(value), shown));

  test('and never more than 1 per cent of error', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-12, max: 1e18, noNaN: true }), (value) => {
        const read = Number(figure(value).replaceAll(',', ''));
        assert.ok(Math.abs(read / value - 1) <= 0.01, `${value} is shown as ${figure(value)}`);
      }),
    );
  });

  test('counts are whole, times and exposure have the unit that fits', () => {
    assert.equal(count(1_234_567), '1,234,567');
    assert.equal(time(282_072), '282 µs');
    assert.equal(time(0), '0 s');
    assert.equal(pageSeconds(0.594), '594 page·ms');
    assert.deepEqual(timeScale([3, null, 5_000_000]), { unit: 'ms', factor: 1e-6 });
    assert.deepEqual(pageSecondScale([]), { unit: 'page·s', factor: 1 });
  });
});

test('prose is wrapped at words, and keeps how far it is indented', () => {
  assert.deepEqual(wrapped('  one two three\nfour', 10), ['  one two', '    three', 'four']);
  assert.deepEqual(wrapped('unbreakableword a', 5), ['unbreakableword', 'a']);
});
