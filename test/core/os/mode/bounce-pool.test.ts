/** The bounce pool against a model that knows nothing of run lengths: the same slots, the same looks, the same failures. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { costsOf, profiles } from '../../../../src/core/meter/cost-profile.ts';
import { Counters } from '../../../../src/core/meter/counters.ts';
import { ROW, Work } from '../../../../src/core/meter/work.ts';
import { BouncePool, NO_SLOT } from '../../../../src/core/os/mode/bounce-pool.ts';
import { BouncePoolModel } from '../../../oracles/bounce-pool.ts';
import { Dice } from '../../build.ts';

const costs = costsOf(profiles['riommu15-mlx']!, {});

function poolOf(slots: number, areas: number) {
  const parts = { work: new Work(3.1), costs, counters: new Counters() };
  return { ...parts, pool: new BouncePool(parts, 512, slots, areas) };
}

describe('the pool answers as the model does', () => {
  const mixes: Record<string, number[]> = {
    packets: [60, 128, 1500, 2048],
    pages: [4096, 4097, 9000, 16384],
    'anything up to the longest': [1, 2048, 2049, 4096, 65_536, 131_072, 262_144, 262_145],
  };
  for (const [name, lengths] of Object.entries(mixes))
    for (const [slots, areas] of [
      [256, 1],
      [1024, 4],
    ] as const)
      test(`${name}, ${slots} slots, ${areas} area(s), 20,000 requests`, () => {
        const { pool, work, counters } = poolOf(slots, areas);
        const model = new BouncePoolModel(slots, areas);
        const dice = new Dice(slots + name.length);
        let failures = 0;
        let peak = 0;
        for (let step = 0; step < 20_000; step++) {
          const cpu = dice.below(8);
          work.begin(cpu, 0);
          const taken = model.taken;
          if (taken.length > 0 && dice.below(100) < (step % 2000 < 1000 ? 40 : 55)) {
            const slot = dice.pick(taken);
            pool.give(slot);
            model.give(slot);
            assert.equal(work.ownRows[ROW.iovaFree], costs.slotFree);
            continue;
          }
          const lengthBytes = dice.pick(lengths);
          const aligned = dice.chance(4);
          const before = counters.bounceSlotsScanned;
          const got = pool.take(lengthBytes, aligned);
          assert.equal(got, model.take(cpu, lengthBytes, aligned), `step ${step}: ${lengthBytes} bytes on CPU ${cpu}`);
          assert.equal(counters.bounceSlotsScanned - before, model.looked, `step ${step}: slots looked at`);
          assert.equal(pool.used, model.used);
          if (got === NO_SLOT) failures++;
          peak = Math.max(peak, pool.used);
        }
        assert.ok(failures > 10, `only ${failures} failures`);
        assert.equal(counters.bounceFailures, failures);
        assert.equal(pool.peak, peak);
        for (const slot of model.taken) pool.give(slot);
        assert.equal(pool.used, 0);
        // Nothing is lost: each segment is in one piece again.
        for (let segment = 0; segment < slots / 128; segment++) assert.notEqual(pool.take(262_144, false), NO_SLOT);
        assert.equal(pool.take(1, false), NO_SLOT);
      });
});

test('a request crosses no segment and begins on a page from 4,096 bytes on', () => {
  const { pool } = poolOf(256, 1);
  assert.equal(pool.take(2048, false), 0);
  assert.equal(pool.take(2049, false), 1);
  assert.equal(pool.take(4096, false), 4);
  // 122 slots are left in the first segment.
  assert.equal(pool.take(124 * 2048, false), 128);
  assert.equal(pool.take(122 * 2048, false), 6);
});

test('the search goes on where the last one ended, and comes back', () => {
  const { pool } = poolOf(128, 1);
  const first = pool.take(64 * 2048, false);
  const second = pool.take(32 * 2048, false);
  pool.give(first);
  assert.equal(pool.take(2048, false), 96);
  assert.equal(pool.take(32 * 2048, false), 0);
  pool.give(second);
});

test('areas are a power of two and whole segments each', () => {
  const areas = (slots: number, wanted: number) => poolOf(slots, wanted).pool.areas;
  assert.deepEqual([areas(1024, 1), areas(1024, 3), areas(1024, 8), areas(1024, 64), areas(384, 4)], [1, 4, 8, 8, 1]);
});

test('an area without room passes a request on to the next', () => {
  const { pool, work, counters } = poolOf(256, 2);
  work.begin(1, 0);
  assert.equal(pool.take(262_144, false), 128);
  const before = counters.bounceSlotsScanned;
  assert.equal(pool.take(2048, false), 0);
  // The full area is left without a look, and costs what asking it costs.
  assert.equal(counters.bounceSlotsScanned - before, 1);
  assert.equal(work.ownRows[ROW.iovaAlloc], 3 * costs.slotAllocFixed + 2 * costs.slotAllocStep);
  assert.deepEqual(
    pool.locks.map(({ acquisitions }) => acquisitions),
    [1, 2],
  );
});
