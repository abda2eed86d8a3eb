/** FIFO locks in simulated time and the rounding of an operation's time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ROW, Work } from '../../../src/core/meter/work.ts';
import { Lock } from '../../../src/core/sim/lock.ts';
import { Dice } from '../build.ts';

describe('work and locks', () => {
  test('milli-cycles become picoseconds rounded half up once, from the sum, as BigInt arithmetic has it', () => {
    const dice = new Dice(9);
    for (const ghz of [3.1, 2.93, 0.001, 1, 2.4, 5, 0.333]) {
      const work = new Work(ghz);
      const milliGhz = BigInt(Math.round(ghz * 1000));
      for (let i = 0; i < 5000; i++) {
        const milliCycles = Math.floor(2 ** dice.below(38) * (1 + dice.below(1000) / 1000));
        const twice = (2n * BigInt(milliCycles) * 1000n + milliGhz) / (2n * milliGhz);
        assert.equal(BigInt(work.toPs(milliCycles)), twice, `${milliCycles} at ${ghz} GHz`);
      }
    }
  });

  test('a half is rounded up', () => {
    // 1 milli-cycle at 2 GHz is half a picosecond.
    assert.equal(new Work(2).toPs(1), 1);
    assert.equal(new Work(2).toPs(3), 2);
  });

  test('rows that are added one by one are rounded together, not each for itself', () => {
    const work = new Work(3);
    work.begin(0, 1000);
    for (let i = 0; i < 3; i++) work.add(ROW.other, 1);
    assert.equal(work.now(), 1001);
  });

  test('who comes while the lock is held waits for the holder, and for those before him', () => {
    const work = new Work(1);
    work.contended = true;
    const lock = new Lock('test');
    const hold = (cpu: number, start: number, cycles: number) => {
      work.begin(cpu, start);
      work.acquire(lock);
      work.add(ROW.other, cycles * 1000);
      work.release(lock);
      return [work.now(), work.rows[ROW.lockWait]! / 1000];
    };
    // At 1 GHz a cycle is 1,000 ps.
    assert.deepEqual(hold(0, 0, 10), [10_000, 0]);
    assert.deepEqual(hold(1, 2_000, 10), [20_000, 8]);
    assert.deepEqual(hold(2, 3_000, 10), [30_000, 17]);
    assert.deepEqual(hold(3, 30_000, 10), [40_000, 0]);
    assert.deepEqual([lock.acquisitions, lock.waits, lock.waitPs], [4, 2, 25_000]);
  });

  test('without contention nobody waits', () => {
    const work = new Work(1);
    const lock = new Lock('test');
    lock.freeAt = 1e9;
    work.begin(0, 0);
    work.acquire(lock);
    work.release(lock);
    assert.equal(work.now(), 0);
    assert.deepEqual([lock.acquisitions, lock.waits], [1, 0]);
  });
});
