import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SparseBits } from '../../../src/core/sim/sparse-bits.ts';
import { Dice } from '../build.ts';

/** Where bits are set: around the edges of words, of blocks, and beyond the blocks that are found without a map. */
const PLACES = [0, 31, 64, 32_700, 65_530, 2 ** 27 - 40, 2 ** 36 + 32_760];

/** All that the bits say between two indices, by the one call that gives each. */
function runsOf(bits: SparseBits, from: number, end: number): string {
  const runs: string[] = [];
  for (let at = from; at < end; ) {
    const set = bits.nextSet(at, end);
    if (set === end) break;
    at = bits.nextZero(set, end);
    runs.push(`${set}-${at - 1}`);
  }
  return runs.join(' ');
}

describe('bits over a space of any size', () => {
  it('are a set of numbers', () => {
    const bits = new SparseBits();
    const numbers = new Set<number>();
    const dice = new Dice(3);
    for (let round = 0; round < 3000; round++) {
      const from = dice.pick(PLACES) + dice.below(80);
      const count = 1 + dice.below(dice.pick([1, 4, 40, 70]));
      const setting = dice.chance(2);
      if (setting) bits.set(from, count);
      else bits.clear(from, count);
      for (let i = from; i < from + count; i++) setting ? numbers.add(i) : numbers.delete(i);
      const at = dice.pick(PLACES) + dice.below(120);
      const end = at + 1 + dice.below(100);
      let zero = at;
      while (zero < end && numbers.has(zero)) zero++;
      let set = at;
      while (set < end && !numbers.has(set)) set++;
      assert.deepEqual([bits.nextZero(at, end), bits.nextSet(at, end)], [zero, set], `${at} to ${end}`);
      assert.equal(bits.isSet(at, end - at), zero === end);
    }
    const rising = [...numbers].sort((a, b) => a - b);
    const runs: string[] = [];
    for (let i = 0; i < rising.length; ) {
      const first = rising[i]!;
      let last = first;
      while (rising[++i] === last + 1) last++;
      runs.push(`${first}-${last}`);
    }
    assert.equal(runsOf(bits, 0, 2 ** 45), runs.join(' '));
  });

  it('cross from block to block in one call', () => {
    const bits = new SparseBits();
    bits.set(30_000, 100_000);
    assert.ok(bits.isSet(30_000, 100_000));
    assert.deepEqual([bits.nextSet(0, 2 ** 40), bits.nextZero(30_000, 2 ** 40)], [30_000, 130_000]);
    bits.clear(32_768, 32_768);
    assert.equal(runsOf(bits, 0, 2 ** 40), '30000-32767 65536-129999');
  });

  it('digest what is set, whatever was set before', () => {
    const textOf = (bits: SparseBits) => {
      const parts: unknown[] = [];
      bits.digest({
        number: (value) => void parts.push(value),
        column: (values, count) => void parts.push(values.subarray(0, count).join()),
        text: () => {},
      });
      return parts.join('|');
    };
    const [a, b] = [new SparseBits(), new SparseBits()];
    a.set(2 ** 30, 5);
    a.set(10, 1);
    b.set(500_000, 1);
    b.set(10, 1);
    b.clear(500_000, 1);
    b.set(2 ** 30, 5);
    assert.equal(textOf(a), textOf(b));
    b.set(11, 1);
    assert.notEqual(textOf(a), textOf(b));
  });
});
