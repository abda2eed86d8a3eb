import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LineCutter, LONGEST_LINE } from '../../../src/trace/lines/line-cutter.ts';

/** Lines as latin1, `null` for one that is too long. */
function cut(bytes: Uint8Array, chunk: number): (string | null)[] {
  const lines: (string | null)[] = [];
  const cutter = new LineCutter({
    line: (from, start, end) => void lines.push(Buffer.from(from.subarray(start, end)).toString('latin1')),
    tooLong: () => void lines.push(null),
  });
  for (let at = 0; at < bytes.length; at += chunk) cutter.write(bytes.subarray(at, at + chunk));
  cutter.end();
  return lines;
}

/** The same by splitting a string. */
function split(bytes: Uint8Array): (string | null)[] {
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => (line.length > LONGEST_LINE ? null : line.replace(/\r$/, '')));
}

describe('bytes are cut into lines', () => {
  const texts = {
    'with and without CR': 'one\ntwo\r\n\r\n\nthree\r',
    'without an end': 'one\ntwo',
    'of nothing': '\n\n\n',
    'with NUL bytes and what is no UTF-8': 'a\0b\n\xff\xfe\x80\n\0\n',
    empty: '',
  };
  for (const [what, text] of Object.entries(texts))
    it(`${what}, wherever a chunk ends`, () => {
      const bytes = Buffer.from(text, 'latin1');
      for (let chunk = 1; chunk <= bytes.length + 1; chunk++) assert.deepEqual(cut(bytes, chunk), split(bytes));
    });

  it('whose longest has as many bytes as it may have, and one more is too long, wherever a chunk ends', () => {
    for (const length of [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE * 3]) {
      const bytes = Buffer.from(`a\n${'x'.repeat(length)}\nb`, 'latin1');
      for (const chunk of [bytes.length, 1000, LONGEST_LINE, LONGEST_LINE + 3, 7]) {
        assert.deepEqual(cut(bytes, chunk), split(bytes));
        assert.equal(cut(bytes, chunk)[1] === null, length > LONGEST_LINE);
      }
    }
  });

  it('and a line that is too long may have no end', () => {
    assert.deepEqual(cut(Buffer.from('x'.repeat(LONGEST_LINE + 1)), 100), [null]);
  });

  it('but for a byte order mark before the first, wherever a chunk ends', () => {
    const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x61, 0x0a, 0xef, 0xbb, 0xbf, 0x62]);
    for (let chunk = 1; chunk <= bytes.length; chunk++) assert.deepEqual(cut(bytes, chunk), ['a', '\xef\xbb\xbfb']);
  });

  it('from chunks that are used again', () => {
    const lines: string[] = [];
    const cutter = new LineCutter({
      line: (from, start, end) => void lines.push(Buffer.from(from.subarray(start, end)).toString()),
      tooLong: () => assert.fail(),
    });
    const chunk = new Uint8Array(3);
    for (const text of ['one', '\ntw', 'o\nt']) {
      chunk.set(Buffer.from(text));
      cutter.write(chunk);
    }
    cutter.end();
    assert.deepEqual(lines, ['one', 'two', 't']);
  });
});
