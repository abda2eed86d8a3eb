/** Simulated time: what fires when, how far it goes, what survives a move of its base. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HORIZON_NS, LAST_START_NS } from '../../../src/core/sim/clock.ts';
import { Dice, Machine } from '../build.ts';
import { History } from '../truth/history.ts';

const MS = 1_000_000;
const HOUR = 3_600_000 * MS;
const deferred = (spec: Record<string, unknown> = {}) =>
  new Machine({ devices: [{ name: 'n', kind: 'custom' }], ...spec });

describe('interactive timing', () => {
  test('each operation starts at session time on its CPU, and session time becomes its end', () => {
    const machine = deferred();
    const buffer = machine.buffer(4096);
    let last = 0n;
    for (const cpu of [3, 0, 1, 1, 2]) {
      const mapped = machine.map('n', { buffer, cpu });
      const now = BigInt(machine.sim.timePs);
      assert.ok(now > last);
      assert.equal(mapped.timeNs, Number(now / 1000n));
      assert.equal(machine.sim.cpuAt[cpu], Number(now));
      last = now;
    }
  });

  test('what is due at or before an operation’s start fires first, what falls due during it fires after it', () => {
    for (const [early, flushedBefore] of [
      [0, true],
      [1, false],
    ] as const) {
      const machine = deferred();
      const { sim } = machine;
      const buffer = machine.buffer(4096);
      const { id, iova } = machine.map('n', { buffer });
      machine.touch('n', iova);
      machine.unmap(id);
      // To the nanosecond before the timer, or to the one it falls into.
      const due = BigInt(sim.timePs) + 10_000_000_000n;
      machine.advance(Number(due / 1000n - BigInt(sim.timePs) / 1000n) - early);
      const fired = sim.counters.timersFired;
      // An access takes no time, so the timer that is still to come leaves it alone.
      assert.equal(machine.touch('n', iova).verdict, BigInt(sim.timePs) >= due ? 'fault' : 'stale');
      // A map takes about 326 ns: the timer falls due in it and fires after it, so the address is not its to reuse.
      const again = machine.map('n', { buffer });
      if (BigInt(sim.timePs) - 400_000n < due && fired === 0) assert.notEqual(again.iova, iova);
      assert.equal(sim.counters.timersFired, 1);
      assert.equal(sim.policy.queued, 0);
      assert.ok(flushedBefore || fired === 0);
    }
  });

  test('a timer that fell due in an operation flushes from its due time on, not from the operation’s end', () => {
    const machine = deferred();
    const { sim } = machine;
    const buffer = machine.buffer(2 ** 20);
    machine.unmap(machine.map('n', { buffer, lengthBytes: 4096 }).id, 2);
    const due = BigInt(sim.timePs) + 10_000_000_000n;
    machine.advance(10 * MS - 1);
    // 256 pages on CPU 0 take about 11 us, in which the timer of CPU 2 falls due.
    machine.map('n', { buffer });
    assert.equal(sim.counters.timersFired, 1);
    assert.equal(BigInt(sim.cpuAt[2]!), due + BigInt(sim.work.toPs((2127 + 159) * 1000)));
    assert.ok(BigInt(sim.timePs) > due);
  });

  test('advance fires timers in order and says how many', () => {
    const machine = deferred({ policy: { invalidation: { kind: 'deferred-2008', timeoutMs: 1 } } });
    const buffer = machine.buffer(4096);
    machine.unmap(machine.map('n', { buffer }).id);
    assert.equal(machine.advance(5 * MS), 1);
    assert.equal(machine.advance(5 * MS), 0);
    const before = machine.sim.timePs;
    assert.equal(machine.advance(0), 0);
    assert.equal(machine.sim.timePs, before);
  });

  test('dma does not move the clock', () => {
    const machine = deferred();
    machine.advance(12345);
    machine.dma('n', 0, 'read', 2 ** 20);
    assert.equal(machine.sim.timePs, '12345000');
  });
});

describe('the horizon', () => {
  test('time goes up to 2^53 - 1 ns and no further', () => {
    const machine = deferred();
    machine.refused({ op: 'advance', ns: 2 ** 53 }, 'horizon', '/ns');
    machine.advance(HORIZON_NS - 5);
    machine.refused({ op: 'advance', ns: 6 }, 'horizon', '/ns');
    machine.advance(5);
    assert.equal(machine.sim.timeNs, Number.MAX_SAFE_INTEGER);
    assert.equal(machine.sim.timePs, '9007199254740991000');
    const started = machine.sim.startRun({ forNs: 1 });
    assert.ok(started.status === 'refused' && started.problem.code === 'horizon');
  });

  test('what takes time of its own does not begin when it might end beyond', () => {
    const machine = deferred();
    machine.advance(LAST_START_NS);
    machine.dma('n', 0, 'read', 64);
    machine.advance(1);
    machine.refused({ op: 'invalidate', domain: 'dom_0', scope: 'global' }, 'horizon');
    const started = machine.sim.startRun({ forNs: 1 });
    assert.ok(started.status === 'refused' && started.problem.code === 'horizon');
    machine.advance(HORIZON_NS - machine.sim.timeNs);
    assert.equal(machine.sim.timeNs, Number.MAX_SAFE_INTEGER);
  });

  test('a timer armed a hundred days ago has fired, and the exposure is that of 10 ms', () => {
    const machine = deferred();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.touch('n', iova);
    machine.unmap(id);
    assert.equal(machine.advance(100 * 24 * HOUR), 1);
    const { potential } = machine.metrics().exposure;
    assert.equal(potential.currentPages, 0);
    assert.ok(potential.longestWindowNs > 10 * MS && potential.longestWindowNs < 10.01 * MS);
  });
});

describe('a base that moves', () => {
  test('advancing in one go or in many steps is the same', () => {
    const play = (steps: number[]) => {
      const machine = deferred({ policy: { invalidation: { kind: 'never' } } });
      const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
      machine.touch('n', iova);
      machine.unmap(id);
      for (const ns of steps) machine.advance(ns);
      const { pageSeconds, longestWindowNs } = machine.metrics().exposure.actual;
      return [pageSeconds, longestWindowNs, machine.sim.timePs];
    };
    const whole = play([50 * HOUR]);
    assert.deepEqual(play(new Array(500).fill(HOUR / 10)), whole);
    assert.ok(Math.abs((whole[0] as number) - 180_000) < 1);
  });

  test('windows, timers and integrals stay exact over a session of many hours', () => {
    const tree = { kind: 'rbtree' };
    for (const [allocator, invalidation] of [
      [tree, { kind: 'deferred-2008', timeoutMs: 60_000 }],
      [tree, { kind: 'never' }],
      [tree, { kind: 'delayed' }],
      [tree, { kind: 'delayed', form: 'ia64', entries: 2 }],
      [{ kind: 'persistent', keptTimeoutMs: 60_000 }, { kind: 'strict' }],
    ]) {
      const history = new History({ policy: { allocator, invalidation } }, 9);
      const { sim } = history.machine;
      const dice = new Dice(1);
      for (let i = 0; i < 10; i++) history.buffer(1);
      let moves = 0;
      for (let step = 0; step < 400; step++) {
        const { baseNs } = sim.clock;
        history.step();
        if (dice.chance(3)) history.advance(dice.below(HOUR / 2));
        // A window that stays open for more than 2.5 hours is exact to one part in 2^52 only.
        if (step % 8 === 0) history.flush();
        if (sim.clock.baseNs !== baseNs) moves++;
        if (step % 20 === 0) history.compareExposure();
      }
      history.compareCaches();
      history.compareExposure();
      assert.ok(moves > 20, `${moves} moves of the base`);
      assert.ok(sim.timeNs > 20 * HOUR);
    }
  });

  test('traffic before and after hours of rest is the same traffic', () => {
    const machine = new Machine({
      devices: [{ name: 'n', kind: 'nic' }],
      workloads: [
        { kind: 'nic-rx', device: 'n', ringSize: 64, gbps: 1 },
        { kind: 'nic-tx', device: 'n', ringSize: 64, gbps: 1 },
        { kind: 'block', device: 'n', depth: 4 },
      ],
    });
    const rates = () =>
      machine
        .run({ forNs: 5 * MS })
        .workloads.map(({ operations, cyclesPerOperation }) => [operations, cyclesPerOperation]);
    rates();
    const before = rates();
    machine.advance(17 * HOUR);
    const after = rates();
    for (const [i, [operations]] of before.entries()) {
      assert.ok(operations! > 20);
      assert.ok(Math.abs(after[i]![0]! - operations!) <= 2, `${after[i]![0]} after ${operations}`);
    }
  });

  test('a run over the move of the base counts as one that is not', () => {
    const machine = new Machine({
      devices: [{ name: 'n', kind: 'block' }],
      workloads: [{ kind: 'block', device: 'n', depth: 1, pattern: 'random' }],
    });
    // 12.7 ms an access; the base moves about every 37 minutes.
    machine.advance(2 ** 51 / 1000 - 60_000 * MS);
    const { baseNs } = machine.sim.clock;
    const { iops, operations, simulatedSeconds } = machine.run({ forNs: 120_000 * MS });
    assert.notEqual(machine.sim.clock.baseNs, baseNs);
    assert.equal(simulatedSeconds, 120);
    assert.ok(Math.abs(iops - 78.4) < 0.5, `${iops}`);
    assert.ok(Math.abs(operations - 120 * 78.4) < 60);
  });
});
