/** map-benchmark: the numbers of the kernel's benchmark, computed again from every single call; its threads, its end, its limits. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Metrics, type WorkloadMetrics } from '../build.ts';

const MS = 1_000_000;

type BenchmarkMetrics = WorkloadMetrics & { lines: string[] };

function machineOf(fields: Record<string, unknown>, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    costs: { profile: 'riommu15-brcm' },
    ...spec,
    devices: [{ name: 'n', kind: 'custom' }],
    workloads: [{ kind: 'map-benchmark', device: 'n', ...fields }],
  });
}

const benchmarkOf = (result: Metrics) => result.workloads[0] as BenchmarkMetrics;

/** What each map took whose unmap has come, and each unmap, in ns: looked at from outside, call by call. */
function watch(machine: Machine): { maps: number[]; unmaps: number[] } {
  const { dma, work, clock } = machine.sim;
  const maps: number[] = [];
  const unmaps: number[] = [];
  const pending = new Map<number, number>();
  const watched = (name: 'map' | 'mapSg') => {
    const call = dma[name].bind(dma) as (...given: unknown[]) => number;
    (dma as unknown as Record<string, unknown>)[name] = (...given: unknown[]) => {
      const before = clock.toNs(work.now());
      const slot = call(...given);
      pending.set(slot, clock.toNs(work.now()) - before);
      return slot;
    };
  };
  watched('map');
  watched('mapSg');
  const unmap = dma.unmap.bind(dma);
  dma.unmap = (slot, device) => {
    const before = clock.toNs(work.now());
    unmap(slot, device);
    unmaps.push(clock.toNs(work.now()) - before);
    maps.push(pending.get(slot)!);
    pending.delete(slot);
  };
  return { maps, unmaps };
}

/** Mean and deviation as the kernel has them, in microseconds with one decimal, the plainest way. */
function statistics(ns: number[]): string {
  const units = ns.map((each) => BigInt(Math.trunc(each / 100)));
  const n = BigInt(units.length);
  const mean = units.reduce((sum, each) => sum + each, 0n) / n;
  const variance = units.reduce((sum, each) => sum + each * each, 0n) / n - mean * mean;
  let root = 0n;
  while ((root + 1n) * (root + 1n) <= variance) root++;
  return `${(Number(mean) / 10).toFixed(1)} standard deviation:${(Number(root) / 10).toFixed(1)}`;
}

describe('the three lines', () => {
  const cases: [Record<string, unknown>, Record<string, unknown>, string][] = [
    [{ threads: 1 }, {}, 'dir:BIDIRECTIONAL granule: 1'],
    [
      { threads: 8, direction: 'from-device', granulePages: 8 },
      { invalidation: { kind: 'strict' } },
      'dir:FROM_DEVICE granule: 8',
    ],
    [
      { threads: 8, direction: 'to-device', granulePages: 8, mapMode: 'sg' },
      { allocator: { kind: 'bitmap' } },
      'dir:TO_DEVICE granule: 8',
    ],
    [{ threads: 3, transferNs: 2000 }, { invalidation: { kind: 'flush-queue' } }, 'dir:BIDIRECTIONAL granule: 1'],
    [{ threads: 5, granulePages: 33 }, { mode: 'passthrough' }, 'dir:BIDIRECTIONAL granule: 33'],
  ];
  for (const [fields, policy, end] of cases)
    test(`${JSON.stringify({ ...fields, ...policy })}: from every single call`, () => {
      const machine = machineOf(fields, { policy });
      const { maps, unmaps } = watch(machine);
      const { lines, operations } = benchmarkOf(machine.run({ forNs: 3 * MS }));
      assert.ok(operations > 100 && unmaps.length === operations);
      assert.deepEqual(lines, [
        `dma mapping benchmark: threads:${fields.threads} seconds:20 node:-1 ${end}`,
        `average map latency(us):${statistics(maps)}`,
        `average unmap latency(us):${statistics(unmaps)}`,
      ]);
    });

  test('with the profile’s numbers: 1.1 us of strict unmap are 10 units of 100 ns and a deviation of 0', () => {
    const { lines } = benchmarkOf(
      machineOf({}, { policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } } }).run({ forNs: MS }),
    );
    // 438 + 2127 + 57 + 26 = 2,648 cycles at 3.1 GHz: 854 ns, every time.
    assert.equal(lines[2], 'average unmap latency(us):0.8 standard deviation:0.0');
  });

  test('before anything was measured all is 0', () => {
    const machine = machineOf({});
    machine.sim.startRun({ forNs: MS });
    const { lines } = benchmarkOf(machine.sim.runResult() as unknown as Metrics);
    assert.equal(lines[1], 'average map latency(us):0.0 standard deviation:0.0');
  });
});

describe('threads', () => {
  test('one a CPU, and those beyond share: each CPU works all the time, and no thread goes short', () => {
    const machine = machineOf({ threads: 10 }, { machine: { cpus: 4 } });
    const { sim } = machine;
    const { map } = sim.dma;
    const rounds = new Map<number, number>();
    sim.dma.map = (device, kind, direction, frame, offset, lengthBytes) => {
      rounds.set(frame, (rounds.get(frame) ?? 0) + 1);
      return map.call(sim.dma, device, kind, direction, frame, offset, lengthBytes);
    };
    const { cpuUtilisation, operations } = machine.run({ forNs: MS });
    for (const busy of cpuUtilisation) assert.ok(busy > 0.99, `${busy}`);
    assert.ok(operations > 1000);
    const counts = [...rounds.values()];
    // CPUs 0 and 1 have three threads, CPUs 2 and 3 two.
    assert.equal(counts.length, 10);
    assert.ok(Math.max(...counts) / Math.min(...counts) < 1.7, `${counts}`);
  });

  test('fewer threads than CPUs leave CPUs alone', () => {
    const { cpuUtilisation } = machineOf({ threads: 2 }, { machine: { cpus: 4 } }).run({ forNs: MS });
    assert.deepEqual(
      cpuUtilisation.map((busy) => busy > 0),
      [true, true, false, false],
    );
    const elsewhere = machineOf({ threads: 2, cpus: [3] }, { machine: { cpus: 4 } }).run({ forNs: MS });
    assert.deepEqual(
      elsewhere.cpuUtilisation.map((busy) => busy > 0),
      [false, false, false, true],
    );
  });

  test('more threads meet at the invalidation lock: strict unmaps take longer, the rate stays', () => {
    const of = (threads: number) => {
      const machine = machineOf(
        { threads },
        {
          machine: { cpus: 8 },
          iommu: { invalidation: { interface: 'register' } },
          policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } },
        },
      );
      const { lines, operations, breakdown } = benchmarkOf(machine.run({ forNs: 2 * MS }));
      return { unmapUs: Number(/us\):([\d.]+)/.exec(lines[2]!)![1]), operations, waits: breakdown.unmap.lockWait! };
    };
    const [one, four, eight] = [of(1), of(4), of(8)];
    assert.ok(one.unmapUs < four.unmapUs && four.unmapUs < eight.unmapUs, JSON.stringify([one, four, eight]));
    assert.equal(one.waits, 0);
    assert.ok(eight.waits > four.waits && four.waits > 0);
    // One invalidation takes 2,127 cycles, and there is one pair of registers.
    assert.ok(eight.operations <= (2 * MS * 3.1) / 2127 + 8);
    assert.ok(eight.operations > 0.93 * ((2 * MS * 3.1) / 2127), `${eight.operations}`);
  });

  test('the busy wait keeps the CPU and is in neither latency', () => {
    const short = benchmarkOf(machineOf({ transferNs: 0 }).run({ forNs: MS }));
    const long = benchmarkOf(machineOf({ transferNs: 10_000 }).run({ forNs: MS }));
    assert.ok(long.operations < short.operations / 5);
    assert.ok(long.operations > 80 && long.cpuUtilisation[0]! > 0.99);
    assert.equal(long.latencyNs.p50 < 3000, true);
  });

  test('a page that the CPU writes first takes its time, but not that of the map', () => {
    const of = (fields: Record<string, unknown>) =>
      machineOf({ granulePages: 8, ...fields }, { policy: { mode: 'passthrough' } }).run({ forNs: MS });
    // Calls take no time in passthrough: a round is eight pages of 100 ns.
    assert.equal(of({}).operations, MS / 800);
    assert.equal(of({ dirtyNs: 250 }).operations, MS / 2000);
    assert.equal(of({}).latencyNs.max, 0);
  });

  test('after `seconds` all threads stop, and the run goes on without them', () => {
    const machine = machineOf({ seconds: 1, transferNs: 10_000_000, threads: 3 }, { machine: { cpus: 2 } });
    const { operations } = machine.run({ forNs: 3000 * MS });
    assert.ok(operations >= 198 && operations <= 200, `${operations}`);
    assert.equal(machine.sim.mappings.count, 0);
    assert.equal(machine.sim.timeNs, 3000 * MS);
    assert.ok(machine.run({ forNs: 100 * MS }).operations > 10, 'the next run begins anew');
  });

  test('a thread without a buffer, or without an address, ends; the others go on', () => {
    const machine = machineOf(
      { threads: 4, granulePages: 64, cpus: [0] },
      { machine: { memoryBytes: 2 ** 20 + 170 * 4096 } },
    );
    const { workloads } = machine.run({ forNs: 5 * MS });
    assert.equal(workloads[0]!.counts.mapFailures, 2);
    assert.ok(workloads[0]!.operations > 100);
    const crowded = machineOf(
      { threads: 4, granulePages: 64, cpus: [0, 1, 2, 3] },
      { policy: { allocator: { kind: 'bitmap', apertureBytes: 2 ** 20 }, invalidation: { kind: 'never' } } },
    );
    crowded.map('n', { physicalAddress: 2 ** 22, lengthBytes: 60 * 4096 });
    const result = crowded.run({ forNs: 5 * MS });
    assert.ok(result.workloads[0]!.operations > 100);
    assert.ok(result.workloads[0]!.counts.dropped > 0 && result.workloads[0]!.counts.dropped < 4);
  });
});

describe('one run after the other', () => {
  const fields = { threads: 5, transferNs: 500, granulePages: 3 };

  test('sliced event by event, and searches that yield: the same digest and result', () => {
    for (const mapMode of ['single', 'sg']) {
      const play = (slice: number, budget = Number.POSITIVE_INFINITY) => {
        const machine = machineOf({ ...fields, mapMode }, { policy: { allocator: { kind: 'rbtree-2008' } } });
        machine.sim.searchBudget = budget;
        const result = machine.run({ forNs: MS / 4 }, slice);
        return { digest: machine.sim.digest(), result };
      };
      const whole = play(1000);
      assert.deepEqual(play(1), whole);
      assert.deepEqual(play(7, 1), whole);
    }
  });

  test('cancelled, run again, removed: nothing is mapped and no frame is kept', () => {
    const machine = machineOf(fields);
    const { sim } = machine;
    for (const steps of [1, 2, 7, 100]) {
      sim.startRun({ forNs: MS });
      sim.stepRun(steps);
      sim.cancelRun();
    }
    assert.equal(machine.run({ operations: 50 }).operations, 50);
    machine.ok({ op: 'workload-remove', workload: 'wl_0' });
    assert.equal(sim.mappings.count, 0);
    machine.advance(20 * MS);
    assert.equal(sim.memory.framesInUse, sim.tables.tables);
    assert.equal(sim.domains[0]!.allocator!.liveRanges, 0);
  });
});
