import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Digest } from '../../../src/core/sim/digest.ts';

function digestOf(feed: (sink: Digest) => void): string {
  const sink = new Digest();
  feed(sink);
  return sink.hex();
}

const bits = (hex: string) => [...hex].flatMap((digit) => [...Number.parseInt(digit, 16).toString(2).padStart(4, '0')]);

describe('digest', () => {
  test('is 64 hex digits, of nothing too', () => {
    assert.match(
      digestOf(() => {}),
      /^[0-9a-f]{64}$/,
    );
  });

  test('tells apart states that differ in one word, in order, in length, or in where a column ends', () => {
    const states: ((sink: Digest) => void)[] = [
      () => {},
      (sink) => sink.number(0),
      (sink) => sink.number(1),
      (sink) => sink.number(-1),
      (sink) => sink.number(2 ** 52 + 1),
      (sink) => sink.number(2 ** 52),
      (sink) => sink.number(0.5),
      (sink) => {
        for (const value of [1, 2]) sink.number(value);
      },
      (sink) => {
        for (const value of [2, 1]) sink.number(value);
      },
      (sink) => {
        for (const value of [0, 0]) sink.number(value);
      },
      (sink) => sink.column(new Float64Array([1, 2]), 2),
      (sink) => sink.column(new Float64Array([1, 2]), 1),
      (sink) => sink.column(new Int32Array([1, 2]), 2),
      (sink) => sink.column(new Uint8Array([1, 2, 3]), 3),
      (sink) => sink.column(new Uint8Array([1, 2, 3, 0]), 4),
      (sink) => sink.column(new Uint8Array([1, 2, 3, 4, 5]), 5),
      (sink) => sink.text('ab'),
      (sink) => {
        for (const text of ['a', 'b']) sink.text(text);
      },
      (sink) => {
        for (const text of ['', 'ab']) sink.text(text);
      },
    ];
    assert.equal(new Set(states.map(digestOf)).size, states.length);
  });

  test('only the first elements of a column count, wherever it lies in its buffer', () => {
    const shifted = new Float64Array(new Float64Array([9, 1, 2, 7]).buffer, 8, 3);
    assert.equal(
      digestOf((sink) => sink.column(shifted, 2)),
      digestOf((sink) => sink.column(new Float64Array([1, 2, 3]), 2)),
    );
  });

  test('minus zero is zero', () => {
    assert.equal(
      digestOf((sink) => sink.number(-0)),
      digestOf((sink) => sink.number(0)),
    );
  });

  test('10,000 states that differ in one small number have 10,000 digests, and each 16-digit part tells them apart', () => {
    const digests = Array.from({ length: 10_000 }, (_, i) => digestOf((sink) => sink.number(i)));
    for (const from of [0, 16, 32, 48])
      assert.equal(new Set(digests.map((hex) => hex.slice(from, from + 16))).size, 10_000);
  });

  test('changing one bit of any word changes about half of the digits of the digest', () => {
    const words = new Int32Array(64).map((_, i) => Math.imul(i, 0x01234567));
    const before = bits(digestOf((sink) => sink.column(words, 64)));
    let least = 256;
    let total = 0;
    let cases = 0;
    for (let at = 0; at < 64; at++)
      for (const bit of [0, 13, 31]) {
        const changed = words.slice();
        changed[at]! ^= 1 << bit;
        const after = bits(digestOf((sink) => sink.column(changed, 64)));
        const differing = after.filter((digit, i) => digit !== before[i]).length;
        least = Math.min(least, differing);
        total += differing;
        cases++;
      }
    assert.ok(least > 80, `one change moved ${least} of 256 bits`);
    assert.ok(Math.abs(total / cases - 128) < 8, `mean ${total / cases} of 256 bits`);
  });
});
