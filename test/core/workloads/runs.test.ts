/** Runs: when they end, what they count, and that cutting them short or starting again loses nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine } from '../build.ts';

const MS = 1_000_000;

const nic = (fields: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) =>
  new Machine({
    costs: { profile: 'riommu15-brcm' },
    ...spec,
    devices: [{ name: 'n', kind: 'nic' }],
    workloads: [{ kind: 'nic-rx', device: 'n', ringSize: 64, gbps: 1, ...fields }],
  });

describe('when a run ends', () => {
  test('forNs: to the picosecond, from wherever it starts', () => {
    const machine = nic();
    machine.map('n', { buffer: machine.buffer(4096) });
    const before = BigInt(machine.sim.timePs);
    assert.notEqual(before % 1000n, 0n, 'starts within a nanosecond');
    const { simulatedSeconds } = machine.run({ forNs: 123_457 });
    assert.equal(BigInt(machine.sim.timePs) - before, 123_457_000n);
    assert.equal(simulatedSeconds, 123_457e-9);
  });

  test('untilNs: at that time, which may be now', () => {
    const machine = nic();
    machine.run({ untilNs: 77_777 });
    assert.equal(machine.sim.timePs, '77777000');
    machine.run({ untilNs: 77_777 });
    assert.equal(machine.sim.timePs, '77777000');
  });

  test('forNs without a workload lets time pass and timers fire', () => {
    const machine = new Machine({ devices: [{ name: 'n', kind: 'custom' }] });
    machine.unmap(machine.map('n', { buffer: machine.buffer(4096) }).id);
    machine.run({ forNs: 11 * MS });
    assert.equal(machine.sim.counters.timersFired, 1);
    assert.equal(machine.sim.policy.queued, 0);
  });

  test('operations: with the one that makes the number full, complete', () => {
    for (const operations of [1, 2, 50, 333]) {
      const machine = nic();
      const result = machine.run({ operations });
      assert.equal(result.operations, operations);
      assert.ok(machine.sim.cpuAt[0]! <= machine.sim.clock.now, 'its CPU is done with it');
    }
  });

  test('operations of several workloads count together', () => {
    const machine = new Machine({
      devices: [{ name: 'n', kind: 'nic' }],
      workloads: [
        { kind: 'nic-rx', device: 'n', ringSize: 64, gbps: 1 },
        { kind: 'block', device: 'n', depth: 4, latencyNs: 1000 },
      ],
    });
    const { operations, workloads } = machine.run({ operations: 300 });
    assert.equal(operations, 300);
    assert.ok(workloads.every((each) => each.operations > 10));
  });

  test('a CPU that is never idle has worked all the time, however the run is cut, and never more', () => {
    const machine = nic({ gbps: 10, ringSize: 32 }, { policy: { allocator: { kind: 'rbtree-2008' } } });
    machine.run({ forNs: MS });
    let sum = 0;
    for (const forNs of [1000, 3333, 77, 50_001, 7, 999_999]) {
      const { cpuUtilisation, workloads, simulatedSeconds } = machine.run({ forNs });
      const [busy] = cpuUtilisation;
      assert.ok(busy <= 1 && workloads[0].cpuUtilisation[0] <= 1, `${busy} in ${forNs} ns`);
      sum += busy * simulatedSeconds;
      assert.ok(forNs < 50_000 || busy > 0.99, `${busy} in ${forNs} ns`);
    }
    assert.ok(sum > 0.99 * 1.054_417e-3);
  });

  test('until a metric: looked at every 100 us, above or below', () => {
    for (const until of [
      { metric: 'counters.unmapCalls', above: 100 },
      { metric: 'exposure.potential.currentPages', above: 150 },
      { metric: 'exposure.actual.pageSeconds', above: 1e-3 },
      { metric: 'exposure.potential.currentPages', below: 1 },
    ]) {
      const looked = nic();
      looked.run({ until });
      assert.equal(looked.sim.clock.now % 100_000_000, 0, until.metric);
    }
    const machine = nic();
    machine.run({ until: { metric: 'counters.unmapCalls', above: 100 } });
    const { unmapCalls } = machine.sim.counters;
    // 1 Gb/s of 1,538 byte times are 12.3 us a packet, so about 8 in 100 us.
    assert.ok(unmapCalls > 100 && unmapCalls < 112, `${unmapCalls}`);
  });

  test('until a metric with traffic so slow that looks outnumber events: time does not run ahead of it', () => {
    const machine = nic({ gbps: 0.001 });
    machine.run({ until: { metric: 'counters.unmapCalls', above: 2 } });
    assert.equal(machine.sim.counters.unmapCalls, 3);
    // Three packets of 12.304 ms each.
    assert.ok(
      machine.sim.timeNs >= 3 * 12.304 * MS && machine.sim.timeNs < 3 * 12.304 * MS + 200_000,
      `${machine.sim.timeNs}`,
    );
  });

  test('progress goes from 0 to 1 and is null where it has no measure', () => {
    const machine = nic();
    machine.sim.startRun({ forNs: 10 * MS });
    let last = machine.sim.runProgress()!;
    assert.equal(last, 0);
    while (!machine.sim.stepRun(500)) {
      const progress = machine.sim.runProgress()!;
      assert.ok(progress >= last && progress <= 1);
      last = progress;
    }
    assert.equal(machine.sim.runProgress(), 1);
    machine.sim.startRun({ until: { metric: 'counters.unmapCalls', above: 1e6 } });
    machine.sim.stepRun(100);
    assert.equal(machine.sim.runProgress(), null);
    machine.sim.cancelRun();
  });
});

describe('one run after the other', () => {
  const kinds: Record<string, Record<string, unknown>> = {
    'nic-rx': { kind: 'nic-rx', ringSize: 64, gbps: 3 },
    'nic-tx': { kind: 'nic-tx', ringSize: 64, gbps: 3 },
    block: { kind: 'block', depth: 32 },
  };
  for (const [name, workload] of Object.entries(kinds)) {
    const machineOf = () =>
      new Machine({
        costs: { profile: 'riommu15-brcm' },
        devices: [{ name: 'n', kind: 'nic' }],
        workloads: [{ device: 'n', ...workload }],
      });

    test(`${name}: ten short runs do about what a long one does, and latencies do not count the time between`, () => {
      const long = machineOf().run({ forNs: 20 * MS });
      const machine = machineOf();
      let operations = 0;
      let slowest = 0;
      for (let i = 0; i < 10; i++) {
        const part = machine.run({ forNs: 2 * MS });
        operations += part.operations;
        slowest = Math.max(slowest, part.latencyNs.max);
        machine.advance(500 * MS);
      }
      assert.ok(operations > long.operations * 0.93, `${operations} of ${long.operations}`);
      assert.ok(operations <= long.operations * 1.02 + 2, `${operations} of ${long.operations}`);
      assert.ok(slowest < long.latencyNs.max * 3 + 100_000, `${slowest} ns, ${long.latencyNs.max} in one go`);
    });

    test(`${name}: cancelled and run again, nothing is lost or done twice`, () => {
      const machine = machineOf();
      const { sim } = machine;
      for (const steps of [1, 3, 10, 77, 500, 1000]) {
        assert.equal(sim.startRun({ forNs: 50 * MS }).status, 'ok');
        sim.stepRun(steps);
        const at = sim.timeNs;
        sim.cancelRun();
        assert.ok(sim.run!.ended);
        assert.equal(sim.timeNs, at, 'a cancelled run ends where it stands');
        const digest = sim.digest();
        sim.cancelRun();
        assert.equal(sim.digest(), digest);
        const result = machine.run({ operations: 100 });
        assert.equal(result.operations, 100);
        assert.equal(result.counts.faults, 0);
        assert.equal(result.verdicts.ok! > 0, true);
      }
      machine.ok({ op: 'workload-remove', workload: 'wl_0' });
      assert.equal(sim.mappings.count, 0);
      machine.advance(20 * MS);
      assert.equal(sim.memory.framesInUse, sim.tables.tables);
      assert.equal(sim.domains[0]!.allocator!.liveRanges, 0);
    });

    test(`${name}: cancelled in the middle of a search that yielded, the operation in progress is finished`, () => {
      const machine = machineOf();
      const { sim } = machine;
      machine.run({ operations: 5 });
      sim.searchBudget = 1;
      sim.startRun({ forNs: 5 * MS });
      for (let i = 0; i < 40; i++) sim.stepRun(1);
      sim.cancelRun();
      sim.searchBudget = Number.POSITIVE_INFINITY;
      machine.ok({ op: 'workload-remove', workload: 'wl_0' });
      assert.equal(sim.mappings.count, 0);
    });
  }

  test('a result counts its own run, the metrics the session’s life', () => {
    const machine = nic();
    const first = machine.run({ operations: 100 });
    const second = machine.run({ operations: 40 });
    assert.deepEqual([first.operations, second.operations], [100, 40]);
    assert.equal(second.counts.unmapCalls, 40);
    assert.equal(machine.metrics().counters.unmapCalls, 140);
    assert.equal(second.workloads[0]!.counts.unmaps, 40);
    assert.equal(second.workloads[0]!.latencyNs.count, 40);
  });

  test('windows of a run before are not those of a run after', () => {
    const machine = nic();
    machine.run({ operations: 300 });
    machine.advance(20 * MS);
    const { exposure } = machine.run({ operations: 10 });
    assert.equal(exposure.potential.windows, 10);
    assert.ok(exposure.potential.peakPages <= 10);
    assert.ok(exposure.potential.longestWindowNs < 10 * MS);
  });
});
