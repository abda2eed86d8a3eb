/** nic-tx and block with a device that has limits, completion on other CPUs, and the NVMe disk with its ceilings. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Metrics, type WorkloadMetrics } from '../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

type Limited = WorkloadMetrics & { engine: Record<string, number> };

function machineOf(workload: Record<string, unknown>, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    costs: { profile: 'riommu15-brcm' },
    policy: { allocator: { kind: 'bitmap' } },
    ...spec,
    devices: [{ name: 'n', kind: 'custom' }],
    workloads: [{ device: 'n', ...workload }],
  });
}

const of = (result: Metrics) => result.workloads[0] as Limited;

const close = (actual: number, expected: number, part: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * part, `${what} ${actual}, expected about ${expected}`);

/** Where maps and unmaps are made from now on. */
function watch(machine: Machine): { maps: Set<number>; unmaps: Set<number> } {
  const { dma, work } = machine.sim;
  const seen = { maps: new Set<number>(), unmaps: new Set<number>() };
  const { map, mapSg, unmap } = dma;
  dma.map = (...given) => {
    seen.maps.add(work.cpu);
    return map.apply(dma, given);
  };
  dma.mapSg = (...given) => {
    seen.maps.add(work.cpu);
    return mapSg.apply(dma, given);
  };
  dma.unmap = (...given) => {
    seen.unmaps.add(work.cpu);
    unmap.apply(dma, given);
  };
  return seen;
}

const limits = { outstanding: 5, parallelWalks: 2, missNs: 230, busGbps: 40, busOverheadBytes: 24 };
const forms: Record<string, Record<string, unknown>> = {
  'nic-tx with limits': { kind: 'nic-tx', gbps: 5, ringSize: 32, queues: 2, mappingsPerPacket: 2, ...limits },
  'nic-tx with limits, without a bus': { kind: 'nic-tx', gbps: 5, ringSize: 32, outstanding: 3, parallelWalks: 1 },
  'nic-tx, completed elsewhere': {
    kind: 'nic-tx',
    gbps: 5,
    ringSize: 32,
    queues: 2,
    cpus: [0],
    completionCpus: [1, 2],
  },
  'block reads with limits': { kind: 'block', lengthBytes: 40_000, depth: 4, latencyNs: 20_000, ...limits },
  'block writes with limits': {
    kind: 'block',
    lengthBytes: 9000,
    access: 'write',
    depth: 4,
    latencyNs: 5000,
    ...limits,
  },
  'block page by page with limits': {
    kind: 'block',
    lengthBytes: 9000,
    mapping: 'page',
    depth: 4,
    latencyNs: 5000,
    ...limits,
  },
  'block, completed elsewhere': { kind: 'block', depth: 6, latencyNs: 5000, cpus: [0, 1], completionCpus: [2] },
  'nvme, more than 32 pages': { kind: 'block', disk: 'nvme', lengthBytes: 33 * PAGE, depth: 8, latencyNs: 4000 },
};

for (const [name, fields] of Object.entries(forms))
  describe(name, () => {
    test('every access is allowed, and as many are made as the operations need', () => {
      const { operations, verdicts, counts } = machineOf(fields).run({ forNs: 2 * MS });
      assert.ok(operations > 20);
      assert.equal(
        Object.values(verdicts).reduce((sum, each) => sum + each),
        verdicts.ok,
      );
      const pages = Math.ceil(((fields.lengthBytes as number | undefined) ?? 1) / PAGE);
      assert.ok(counts.dmaPieces! >= operations * pages * ((fields.mappingsPerPacket as number | undefined) ?? 1));
    });

    test('sliced event by event, and searches that yield: the same digest and result', () => {
      const play = (slice: number, budget = Number.POSITIVE_INFINITY) => {
        const machine = machineOf(fields, { policy: { allocator: { kind: 'rbtree-2008' } } });
        machine.sim.searchBudget = budget;
        const results = [machine.run({ operations: 120 }, slice), machine.run({ forNs: 77_777 }, slice)];
        return { digest: machine.sim.digest(), results };
      };
      const whole = play(1000);
      assert.deepEqual(play(1), whole);
      assert.deepEqual(play(7, 1), whole);
    });

    test('cancelled, run again, removed: nothing is mapped and no frame is kept', () => {
      for (const policy of [{}, { invalidation: { kind: 'strict' } }, { mode: 'passthrough' }]) {
        const machine = machineOf(fields, { policy });
        const { sim } = machine;
        for (const steps of [1, 3, 10, 77, 500]) {
          sim.startRun({ forNs: 50 * MS });
          sim.stepRun(steps);
          sim.cancelRun();
          const result = machine.run({ operations: 60 });
          assert.equal(result.operations, 60);
          assert.equal(result.counts.faults, 0);
        }
        machine.ok({ op: 'workload-remove', workload: 'wl_0' });
        assert.equal(sim.mappings.count, 0);
        machine.advance(20 * MS);
        assert.equal(sim.memory.framesInUse, sim.tables.tables);
        assert.equal(sim.domains[0]!.allocator?.liveRanges ?? 0, 0);
      }
    });

    test('ten short runs do about what a long one does', () => {
      const long = machineOf(fields).run({ forNs: 4 * MS });
      const machine = machineOf(fields);
      let operations = 0;
      for (let i = 0; i < 10; i++) {
        operations += machine.run({ forNs: 0.4 * MS }).operations;
        machine.advance(30 * MS);
      }
      close(operations, long.operations, 0.12, 'operations');
    });
  });

describe('nic-tx', () => {
  test('offered = completed + dropped + on the way, at any slice', () => {
    for (const gbps of [1, 40]) {
      const machine = machineOf({ ...forms['nic-tx with limits'], gbps });
      machine.sim.startRun({ forNs: 2 * MS });
      for (let done = false; !done; ) {
        done = machine.sim.stepRun(97);
        const { counts, operations } = of(machine.sim.runResult() as unknown as Metrics);
        const onTheWay = counts.offered - counts.dropped - operations;
        assert.ok(onTheWay >= 0 && onTheWay <= 64 + 2, `${onTheWay}`);
      }
    }
  });

  test('the walker limits what is sent: T = p / (l0 + M lm)', () => {
    const result = machineOf(
      {
        kind: 'nic-tx',
        ...{ gbps: 100, frameBytes: PAGE, ringSize: 256, queues: 4, cpus: [0, 1, 2, 3] },
        ...{ parallelWalks: 1, pageBaseNs: 65, walkReferenceNs: 997 },
      },
      { policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'never' } } },
    ).run({ forNs: 4 * MS });
    const { engine, throughputGbps } = of(result);
    const reads = result.counts.memoryReferences! / engine.accesses!;
    close(throughputGbps, (PAGE * 8) / (65 + 997 * reads), 0.02, `${reads} reads a page`);
    assert.ok(engine.outstandingMean! > 31, 'the ring has more than the device can ask for');
  });

  test('a packet is on the wire after its data, packets of a queue in order', () => {
    const { latencyNs, cyclesPerOperation } = machineOf({
      kind: 'nic-tx',
      ...{ gbps: 1, frameBytes: 1500, readLatencyNs: 603, missNs: 0, outstanding: 8 },
    }).run({ operations: 300 });
    const wireNs = (1538 * 8) / 1;
    // Read, wire, the cleaning, and at most the sending of the next packet before that; a flush now and then.
    const most = 603 + wireNs + (2 * cyclesPerOperation!) / 3.1;
    assert.ok(latencyNs.min >= 603 + wireNs && latencyNs.p90 <= most, `${latencyNs.min} to ${latencyNs.p90}`);
  });

  test('one CPU maps, the other unmaps', () => {
    const machine = machineOf({ kind: 'nic-tx', gbps: 1, cpus: [1], completionCpus: [3] });
    const seen = watch(machine);
    assert.ok(machine.run({ forNs: MS }).operations > 50);
    assert.deepEqual([[...seen.maps], [...seen.unmaps]], [[1], [3]]);
  });
});

describe('block', () => {
  test('one CPU submits, the other completes; each pays half of the work of an I/O', () => {
    const machine = machineOf({ kind: 'block', disk: 'custom', depth: 4, cpus: [0], completionCpus: [2] });
    const seen = watch(machine);
    const { cpuUtilisation, cyclesPerOperation, breakdown } = machine.run({ operations: 2000 });
    assert.deepEqual([[...seen.maps], [...seen.unmaps]], [[0], [2]]);
    const sum = (rows: Record<string, number>) => Object.values(rows).reduce((total, each) => total + each, 0);
    close(cyclesPerOperation!, 13_485 + sum(breakdown.map) + sum(breakdown.unmap), 0.01, 'cycles');
    const half = 13_485 / 2;
    close(
      cpuUtilisation[0]! / cpuUtilisation[2]!,
      (half + sum(breakdown.map)) / (half + sum(breakdown.unmap)),
      0.02,
      'ratio',
    );
  });

  test('an I/O through limits: the pages one after the other, then the completion', () => {
    // One page at a time over the bus and through one walker: 4,096 bytes at 64 Gb/s are 512 ns.
    const { latencyNs } = machineOf({
      kind: 'block',
      ...{
        lengthBytes: 8 * PAGE,
        depth: 1,
        latencyNs: 10_000,
        outstanding: 1,
        busGbps: 64,
        writeLatencyNs: 100,
        missNs: 0,
      },
    }).run({ operations: 50 });
    assert.deepEqual([latencyNs.min, latencyNs.max], [10_000 + 8 * 612, 10_000 + 8 * 612]);
    const overlapping = machineOf({
      kind: 'block',
      ...{
        lengthBytes: 8 * PAGE,
        depth: 1,
        latencyNs: 10_000,
        outstanding: 8,
        busGbps: 64,
        writeLatencyNs: 100,
        missNs: 0,
      },
    }).run({ operations: 50 });
    assert.equal(overlapping.latencyNs.max, 10_000 + 8 * 512 + 100);
  });

  test('lists that the device gets in several segments are found page by page', () => {
    const machine = new Machine({
      devices: [{ name: 'n', kind: 'block', maxSegmentBytes: 8192 }],
      machine: { frameReuse: 'random' },
      workloads: [{ kind: 'block', device: 'n', lengthBytes: 50_000, depth: 3, latencyNs: 1000, ...limits }],
    });
    const { counts, verdicts, operations } = machine.run({ operations: 200 });
    assert.equal(verdicts.ok, counts.dmaPieces);
    assert.ok(counts.dmaPieces! >= operations * 13);
  });
});

describe('the NVMe disk', () => {
  const nvme = (fields: Record<string, unknown>, spec: Record<string, unknown> = {}) =>
    machineOf(
      {
        kind: 'block',
        disk: 'nvme',
        pattern: 'random',
        jobs: 16,
        cpus: Array.from({ length: 16 }, (_, cpu) => cpu),
        ...fields,
      },
      { machine: { cpus: 16 }, ...spec },
    );

  test('its ceilings: commands for 4 KiB, bytes for 64 KiB; below them its latency', () => {
    close(nvme({ depth: 32 }).run({ forNs: 5 * MS }).iops, 822_000, 0.03, '4 KiB');
    const large = nvme({ depth: 8, lengthBytes: 65_536 }).run({ forNs: 20 * MS });
    close(large.iops * 65_536, 3.4e9, 0.03, '64 KiB');
    const one = (access: string) => nvme({ depth: 1, jobs: 1, access }).run({ operations: 50 }).latencyNs.min;
    assert.ok(one('read') >= 80_000 && one('read') < 84_000);
    assert.ok(one('write') >= 20_000 && one('write') < 24_000);
  });

  test('ceilings and latency can be given', () => {
    close(nvme({ depth: 32, iops: 211_000 }).run({ forNs: 5 * MS }).iops, 211_000, 0.03, 'IOPS');
    const { iops } = nvme({ depth: 8, lengthBytes: 65_536, bytesPerSecond: 1e9 }).run({ forNs: 20 * MS });
    close(iops * 65_536, 1e9, 0.03, 'bytes a second');
    assert.ok(nvme({ depth: 1, jobs: 1, latencyNs: 5000 }).run({ operations: 20 }).latencyNs.max < 8000);
  });

  test('a disk that is the limit shows no difference between modes; one that is not does', () => {
    const iops = (ceiling: number, policy: Record<string, unknown>, fields: Record<string, unknown> = {}) =>
      nvme({ depth: 32, iops: ceiling, ...fields }, { policy }).run({ forNs: 4 * MS }).iops;
    const strict = { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } };
    const deferred = { allocator: { kind: 'bitmap' } };
    const passthrough = { mode: 'passthrough' };
    // m510, 4 KiB random reads: strict 211.1, deferred 210.4, passthrough 208.6 k IOPS.
    const bound = [strict, deferred, passthrough].map((policy) => iops(211_000, policy));
    close(Math.max(...bound) / Math.min(...bound), 1, 0.02, 'device-bound');
    const free = [strict, deferred, passthrough].map((policy) => iops(5_000_000, policy, { bytesPerSecond: 1e11 }));
    assert.ok(free[0]! < 0.9 * free[2]!, `${free}`);
  });
});

test('what does not go together, or is not there, is refused by name', () => {
  const machine = new Machine({ devices: [{ name: 'n', kind: 'custom' }] });
  for (const kind of ['nic-tx', 'block'])
    machine.refused({ op: 'workload', kind, device: 'n', completionCpus: [0, 7] }, 'out-of-range', '/completionCpus/1');
});
