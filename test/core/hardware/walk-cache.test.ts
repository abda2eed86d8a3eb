/** Paging-structure caches against a list. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WalkCacheLevel } from '../../../src/core/hardware/walk-cache.ts';
import { NaiveWalkCache } from '../../oracles/walk-cache.ts';
import { Dice } from '../build.ts';

describe('walk cache', () => {
  for (const [level, span] of [
    [1, 512],
    [2, 512 ** 2],
    [3, 512 ** 3],
    [4, 512 ** 4],
  ] as const)
    for (const capacity of [1, 3, 16])
      test(`${capacity} entries that point to tables of level ${level}: look-ups, victims and invalidations agree with a list`, () => {
        const cache = new WalkCacheLevel(level, capacity);
        const naive = new NaiveWalkCache<number>(capacity, span);
        assert.equal(cache.span, span);
        const dice = new Dice(level * 100 + capacity);
        let hits = 0;
        for (let step = 0; step < 4000; step++) {
          const domain = dice.below(2);
          // Spans 256 apart share a hint to their slot.
          const page = dice.below(capacity + 4) * dice.pick([1, 256]) * span + dice.below(Math.min(span, 2 ** 31));
          if (dice.below(10) < 9) {
            const expected = naive.lookup(domain, page);
            const slot = cache.lookup(domain, cache.prefixOf(page));
            assert.equal(slot < 0, expected === null, `step ${step}`);
            if (expected) {
              hits++;
              assert.equal(cache.table[slot], expected.table);
            } else {
              cache.fill(domain, cache.prefixOf(page), step, 0, 0);
              naive.fill(domain, page, step);
            }
          } else {
            const last = page + dice.pick([0, span, 3 * span]);
            const scope = dice.chance(5) ? -1 : domain;
            cache.invalidate(scope, page, last);
            naive.invalidate(scope, page, last);
            for (let slot = 0; slot < capacity; slot++)
              if (cache.used(slot) && (scope < 0 || cache.domain[slot] === scope))
                assert.ok(
                  cache.prefix[slot]! > last || cache.prefix[slot]! + span <= page,
                  `step ${step}: slot ${slot} is in scope`,
                );
          }
          const held = [];
          for (let slot = 0; slot < capacity; slot++)
            if (cache.used(slot)) held.push([cache.domain[slot], cache.prefix[slot], cache.table[slot]].join());
          assert.deepEqual(
            held.sort(),
            naive.entries.map(({ domain: d, first, table }) => [d, first, table].join()).sort(),
          );
        }
        assert.ok(hits > 100);
        assert.equal(cache.hits, hits);
      });

  test('no entries means off', () => {
    const cache = new WalkCacheLevel(1, 0);
    cache.fill(0, 0, 1, 1, 1);
    assert.equal(cache.lookup(0, 0), -1);
  });
});
