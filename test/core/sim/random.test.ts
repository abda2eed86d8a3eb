import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RandomStream, RandomStreams } from '../../../src/core/sim/random.ts';

const draws = (stream: RandomStream, count: number, bound = 2 ** 32) =>
  Array.from({ length: count }, () => stream.below(bound));

describe('random streams', () => {
  test('one more draw from one stream leaves the others as they were', () => {
    const plain = new RandomStreams(42);
    const disturbed = new RandomStreams(42);
    draws(disturbed.stream('nic'), 1000);
    assert.deepEqual(draws(disturbed.stream('frames'), 100), draws(plain.stream('frames'), 100));
    disturbed.stream('asked for later');
    assert.deepEqual(draws(disturbed.stream('iotlb'), 100), draws(plain.stream('iotlb'), 100));
  });

  test('names and seeds, also those beyond 32 bits, give different sequences', () => {
    const seeds = [0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 2 ** 52 + 5, Number.MAX_SAFE_INTEGER];
    const names = ['frames', 'iotlb', 'hostile-0', 'hostile-1', 'hostile-2', 'hostile-10', 'hostile-12', 'hostile-21'];
    const seen = new Set<string>();
    for (const seed of seeds) for (const name of names) seen.add(draws(new RandomStream(seed, name), 4).join());
    assert.equal(seen.size, seeds.length * names.length);
    // A seed one higher is not a letter one further.
    const words = (seed: number, name: string) => draws(new RandomStream(seed, name), 4).join();
    for (let seed = 0; seed < 64; seed++) assert.notEqual(words(seed, 'b'), words(seed ^ 3, 'a'));
    assert.notEqual(words(1, 'b'), words(2, 'a'));
  });

  test('every value below the bound comes about equally often', () => {
    for (const bound of [2, 3, 7, 10, 64]) {
      const counts = new Array(bound).fill(0);
      for (const draw of draws(new RandomStream(5, `bound ${bound}`), 20_000, bound)) counts[draw]++;
      const expected = 20_000 / bound;
      // Chi-square with bound - 1 degrees of freedom: mean bound - 1, deviation sqrt(2 (bound - 1)); six of them are allowed.
      const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      assert.ok(chi < bound - 1 + 6 * Math.sqrt(2 * (bound - 1)), `bound ${bound}: ${chi}`);
    }
  });

  test('two streams drawn in step show no correlation', () => {
    const a = draws(new RandomStream(1, 'a'), 20_000, 2);
    const b = draws(new RandomStream(1, 'b'), 20_000, 2);
    const equal = a.filter((value, i) => value === b[i]).length;
    assert.ok(Math.abs(equal - 10_000) < 500, `${equal} of 20,000 agree`);
  });
});
