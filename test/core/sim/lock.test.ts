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
      return [work.now(), work.ownRows[ROW.lockWait]! / 1000];
    };
    // At 1 GHz a cycle is 1,000 ps.
    assert.deepEqual(hold(0, 0, 10), [10_000, 0]);
    assert.deepEqual(hold(1, 2_000, 10), [20_000, 8]);
    assert.deepEqual(hold(2, 3_000, 10), [30_000, 17]);
    assert.deepEqual(hold(3, 30_000, 10), [40_000, 0]);
    assert.deepEqual([lock.acquisitions, lock.waits, lock.waitPs], [4, 2, 25_000]);
  });

  /** At 1 GHz a cycle is 1,000 ps. `before` cycles without the lock, `held` with it. @returns end, cycles of waiting */
  const holder = (handoff = 0) => {
    const work = new Work(1, handoff * 1000);
    work.contended = true;
    const lock = new Lock('test');
    const hold = (start: number, before: number, held: number) => {
      work.begin(0, start * 1000);
      work.add(ROW.other, before * 1000);
      work.acquire(lock);
      work.add(ROW.other, held * 1000);
      work.release(lock);
      return [work.now() / 1000, work.ownRows[ROW.lockWait]! / 1000];
    };
    return { lock, hold };
  };

  test('who starts later and comes earlier does not wait for a holder that is yet to come', () => {
    const { hold, lock } = holder();
    assert.deepEqual(hold(0, 1000, 50), [1050, 0]);
    assert.deepEqual(hold(10, 100, 50), [160, 0], 'it is free from 0 to 1000');
    assert.deepEqual(hold(20, 100, 50), [210, 40], 'and taken from 110 to 160');
    assert.equal(lock.waits, 1);
  });

  test('a stretch that does not fit before the next holder comes after it, as a whole', () => {
    const { hold, lock } = holder();
    assert.deepEqual(hold(0, 100, 50), [150, 0]);
    assert.deepEqual(hold(1, 89, 20), [170, 60], 'asked for at 90, got at 150');
    assert.deepEqual([lock.acquisitions, lock.waits, lock.waitPs], [2, 1, 60_000]);
    assert.deepEqual(hold(2, 88, 10), [100, 0], 'what fits stays before it');
  });

  test('two holders never have it at the same time, and it is never left alone while somebody waits', () => {
    const dice = new Dice(4);
    const { hold, lock } = holder();
    const stretches: [number, number][] = [];
    let waited = 0;
    for (let i = 0; i < 2000; i++) {
      const length = 1 + dice.below(30);
      const [end, wait] = hold(i * 12, dice.below(200), length);
      stretches.push([end! - length, end!]);
      waited += wait!;
    }
    stretches.sort(([a], [b]) => a - b);
    for (let i = 1; i < stretches.length; i++) assert.ok(stretches[i]![0] >= stretches[i - 1]![1], `${i}`);
    assert.equal(lock.waitPs, waited * 1000);
    // 15.5 of 12 cycles are asked for: it is taken from beginning to end but for gaps at the start.
    const held = stretches.reduce((sum, [from, until]) => sum + until - from, 0);
    const last = stretches.at(-1)![1];
    assert.ok(held > 0.97 * last, `${held} of ${last}`);
  });

  test('a hand-off is paid by each that waits, and the lock is nobody else’s meanwhile', () => {
    const { hold, lock } = holder(7);
    assert.deepEqual(hold(0, 0, 10), [10, 0]);
    assert.deepEqual(hold(2, 0, 10), [27, 8 + 7]);
    assert.deepEqual(hold(3, 0, 10), [44, 24 + 7]);
    assert.deepEqual(hold(100, 0, 10), [110, 0]);
    assert.deepEqual([lock.waits, lock.waitPs], [2, (8 + 24 + 14) * 1000]);
    assert.deepEqual(hold(101, 200, 10), [311, 0]);
    assert.deepEqual(hold(102, 195, 5), [323, 14 + 7], 'too long for the gap: after it, with a hand-off');
  });

  test('without contention nobody waits', () => {
    const work = new Work(1);
    const lock = new Lock('test');
    lock.held.take(0, 1e9, 0);
    work.begin(0, 0);
    work.acquire(lock);
    work.release(lock);
    assert.equal(work.now(), 0);
    assert.deepEqual([lock.acquisitions, lock.waits], [1, 0]);
  });
});
