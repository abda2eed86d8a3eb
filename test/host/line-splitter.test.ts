import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LINE, LineSplitter, NONE, NOT_UTF8, TOO_LONG } from '../../src/host/line-splitter.ts';

/** Cuts `bytes` at `cuts` and feeds the pieces; a line, or what is wrong with it, for each line. */
function split(bytes: Uint8Array, cuts: number[]): string[] {
  const splitter = new LineSplitter();
  const found: string[] = [];
  const drain = (): void => {
    for (;;) {
      const kind = splitter.next();
      if (kind === NONE) return;
      found.push(
        kind === LINE ? splitter.line : kind === TOO_LONG ? 'TOO LONG' : kind === NOT_UTF8 ? 'NOT UTF-8' : '?',
      );
    }
  };
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < places.length; i++) {
    splitter.push(new Uint8Array(bytes.slice(places[i - 1], places[i])).buffer);
    drain();
  }
  splitter.end();
  drain();
  return found;
}

const LIMIT = 65_536;

test('lines are the same however the bytes were cut, UTF-8 sequences included', () => {
  const text = fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }).map((line) => line.replaceAll('\n', ' ')));
  fc.assert(
    fc.property(text, fc.boolean(), fc.array(fc.nat(), { maxLength: 20 }), (lines, lastEnd, cuts) => {
      const whole = lines.join('\n') + (lastEnd && lines.length > 0 ? '\n' : '');
      const expected = whole.split('\n');
      if (expected.at(-1) === '') expected.pop();
      // A lone surrogate becomes U+FFFD on its way through bytes.
      assert.deepEqual(
        split(Buffer.from(whole), cuts),
        expected.map((line) => line.toWellFormed()),
      );
    }),
  );
});

test('a line of 64 KiB passes and one more byte does not, wherever it is cut', () => {
  for (const cuts of [[], [10], [LIMIT], [LIMIT + 1, LIMIT + 2], [100, 20_000, 40_000, 60_000, 80_000]]) {
    for (const [fill, length] of [
      ['a', LIMIT],
      ['é', LIMIT / 2],
    ] as const) {
      const fits = fill.repeat(length);
      const lines = ['first', fits, `${fits}a`, 'after', `${fits}a`];
      const found = split(Buffer.from(lines.join('\n')), cuts);
      assert.deepEqual(
        found.map((line) => line.slice(0, 8)),
        ['first', fits.slice(0, 8), 'TOO LONG', 'after', 'TOO LONG'],
      );
    }
  }
});

test('a line that is not UTF-8 spoils neither the one before nor the one after', () => {
  const bytes = Buffer.concat([Buffer.from('é1\n'), Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('é2\nplain')]);
  for (const cuts of [[], [1], [4, 5], [6]]) {
    assert.deepEqual(split(bytes, cuts), ['é1', 'NOT UTF-8', 'é2', 'plain']);
  }
});

test('an endless line is dropped as it arrives', () => {
  const splitter = new LineSplitter();
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 500; i++) {
    splitter.push(new ArrayBuffer(1 << 20));
    assert.equal(splitter.next(), NONE);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 400 << 20);
  splitter.push(new Uint8Array([0x0a, 0x62]).buffer);
  assert.equal(splitter.next(), TOO_LONG);
  assert.equal(splitter.next(), NONE);
  splitter.end();
  assert.equal(splitter.next(), LINE);
  assert.equal(splitter.line, 'b');
});
