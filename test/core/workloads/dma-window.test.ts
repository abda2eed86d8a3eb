/** dma-window: what an IOTLB of E entries does to N pages, what so many accesses on their way do, and that a window leaves nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Metrics, type WorkloadMetrics } from '../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

type WindowMetrics = WorkloadMetrics & { engine: Record<string, number> };

function machineOf(fields: Record<string, unknown>, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    ...spec,
    devices: [{ name: 'n', kind: 'custom' }],
    workloads: [{ kind: 'dma-window', device: 'n', ...fields }],
  });
}

const tlb = (entries: number, replacement = 'lru', ways = 0) => ({
  iommu: { iotlb: { entries, ways, replacement }, walkCache: { entriesPerLevel: [16, 16, 64] } },
});

/** The one workload of a run, once the window is in the IOTLB as far as it ever is. */
function warmed(machine: Machine, operations: number): WindowMetrics {
  machine.run({ operations: 4000 });
  return machine.run({ operations }).workloads[0] as WindowMetrics;
}

const close = (actual: number, expected: number, part: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * part, `${what} ${actual}, expected about ${expected}`);

describe('uniform accesses to N pages with E entries miss with probability 1 - E/N, whatever is replaced', () => {
  for (const replacement of ['lru', 'fifo', 'random'])
    for (const [entries, pages] of [
      [64, 128],
      [64, 256],
      [128, 160],
      [119, 2048],
    ] as const)
      test(`${replacement}: E = ${entries}, N = ${pages}`, () => {
        const n = 40_000;
        const machine = machineOf({ windowBytes: pages * PAGE }, tlb(entries, replacement));
        const { iotlb, operations } = warmed(machine, n);
        assert.equal(operations, n);
        const expected = 1 - entries / pages;
        const sigma = Math.sqrt((expected * (1 - expected)) / iotlb.lookups);
        const rate = iotlb.misses / iotlb.lookups;
        // Misses of neighbours in time are not independent: five sigma, and a few for that.
        assert.ok(Math.abs(rate - expected) < 5 * sigma, `${rate} of ${expected}, sigma ${sigma}`);
      });

  test('a window that fits misses once a page and never again', () => {
    const machine = machineOf({ windowBytes: 64 * PAGE }, tlb(64));
    const first = machine.run({ operations: 5000 });
    assert.equal(first.iotlb.misses, 64);
    assert.equal(machine.run({ operations: 5000 }).iotlb.misses, 0);
  });

  test('in turn under LRU: all hit up to E pages, all miss from E + 1 on', () => {
    const missesOf = (pages: number) => {
      const fields = { windowBytes: pages * PAGE, pattern: 'sequential', strideBytes: PAGE };
      return warmed(machineOf(fields, tlb(32)), 3300).iotlb.misses;
    };
    assert.equal(missesOf(32), 0);
    assert.equal(missesOf(33), 3300);
  });

  test('leaves of 2 MiB: one entry holds 512 pages', () => {
    for (const pageSize of ['4KiB', '2MiB']) {
      const { iotlb } = warmed(machineOf({ windowBytes: 64 << 20, pageSize }, tlb(64)), 5000);
      if (pageSize === '2MiB') assert.equal(iotlb.misses, 0);
      else close(iotlb.misses / iotlb.lookups, 1 - 64 / 16_384, 0.01, 'miss rate');
    }
  });
});

describe('latency and rate', () => {
  test('one at a time: 603 ns for a hit, 230 more for a miss, exactly', () => {
    const machine = machineOf({ windowBytes: 256 * PAGE, missNs: 230 }, tlb(64));
    const { latencyNs, iotlb, throughputGbps, operations } = warmed(machine, 10_000);
    close(latencyNs.mean, 603 + (230 * iotlb.misses) / iotlb.lookups, 1e-3, 'mean');
    assert.deepEqual([latencyNs.min, latencyNs.max], [603, 833]);
    // One access after the other: the rate is the reciprocal of the mean.
    close(throughputGbps, (64 * 8) / latencyNs.mean, 1e-3, 'Gb/s');
    assert.equal(operations, 10_000);
  });

  test('without missNs a walk takes the table reads that it makes: 4 cold, 1 with the walk caches warm', () => {
    const machine = machineOf({ windowBytes: 64 * PAGE, walkReferenceNs: 50, readLatencyNs: 100 }, tlb(64));
    const { latencyNs } = machine.run({ operations: 3000 });
    assert.deepEqual([latencyNs.min, latencyNs.max], [100, 100 + 4 * 50]);
    close(latencyNs.mean * 3000, 100 * 3000 + 50 * (4 + 63), 1e-9, 'all walks');
  });

  test('Little’s law: n on their way give n times the rate of one while nothing else limits', () => {
    const rate = (outstanding: number) => {
      const machine = machineOf({ windowBytes: 256 * PAGE, missNs: 230, outstanding }, tlb(64));
      const metrics = warmed(machine, 20_000);
      const { engine, latencyNs, throughputGbps } = metrics;
      close(engine.outstandingMean!, outstanding, 1e-3, 'on their way');
      close(throughputGbps, (outstanding * 64 * 8) / latencyNs.mean, 2e-3, 'Gb/s');
      return throughputGbps;
    };
    const one = rate(1);
    close(rate(8) / one, 8, 0.01, 'ratio');
    close(rate(38) / one, 38, 0.01, 'ratio');
  });

  test('with w walkers misses come through at w per walk', () => {
    for (const parallelWalks of [1, 4]) {
      const machine = machineOf(
        {
          windowBytes: 33 * PAGE,
          pattern: 'sequential',
          strideBytes: PAGE,
          missNs: 230,
          outstanding: 38,
          parallelWalks,
        },
        tlb(32),
      );
      const { throughputGbps, engine } = warmed(machine, 20_000);
      close(throughputGbps, (parallelWalks * 64 * 8) / 230, 2e-3, 'Gb/s');
      close(engine.walkersBusyMean!, parallelWalks, 2e-3, 'walkers busy');
    }
  });

  test('the bus limits large accesses, and misses do not show then', () => {
    const rate = (windowPages: number) =>
      warmed(
        machineOf(
          {
            windowBytes: windowPages * PAGE,
            accessBytes: 512,
            missNs: 230,
            outstanding: 38,
            parallelWalks: 5,
            busGbps: 60,
            busOverheadBytes: 48,
          },
          tlb(119),
        ),
        20_000,
      ).throughputGbps;
    close(rate(64), (60 * 512) / 560, 1e-3, 'hits');
    close(rate(16_384), rate(64), 0.03, 'misses');
  });

  test('F&S: with one walker a page takes l0 + M lm', () => {
    const machine = machineOf(
      {
        access: 'write',
        accessBytes: PAGE,
        windowBytes: 33 * PAGE,
        pattern: 'sequential',
        outstanding: 8,
        parallelWalks: 1,
        pageBaseNs: 65,
        walkReferenceNs: 197,
      },
      { iommu: { iotlb: { entries: 32, ways: 0 }, walkCache: { entriesPerLevel: [0, 0, 0] } } },
    );
    const { throughputGbps } = warmed(machine, 10_000);
    close(throughputGbps, (PAGE * 8) / (65 + 4 * 197), 2e-3, 'Gb/s');
  });

  test('copies: the bus of the engine and the misses of source and destination, one after the other', () => {
    const copies = (pages: number) =>
      warmed(
        machineOf(
          {
            access: 'copy',
            accessBytes: 1024,
            strideBytes: PAGE,
            pattern: 'sequential',
            windowBytes: pages * PAGE,
            busGbps: 16,
            readLatencyNs: 0,
            missNs: 290,
          },
          tlb(32),
        ),
        3000,
      ).latencyNs.mean;
    assert.equal(copies(16), 512);
    // 32 sources and the destination are one page too many; the destination is used every time and stays.
    assert.equal(copies(32), 512 + 290);
    assert.equal(copies(256), 512 + 290);
  });
});

describe('accesses', () => {
  test('offered = completed + on their way, at any slice', () => {
    const machine = machineOf({ outstanding: 7, windowBytes: 512 * PAGE });
    machine.sim.startRun({ forNs: 100_000 });
    for (let done = false; !done; ) {
      done = machine.sim.stepRun(13);
      const [metrics] = (machine.sim.runResult() as unknown as Metrics).workloads as [WindowMetrics];
      assert.equal(metrics.counts.offered - metrics.operations, 7);
    }
  });

  test('every one is allowed, in its direction, by a live mapping', () => {
    for (const access of ['read', 'write', 'copy']) {
      const { counts, verdicts, operations } = machineOf({ access, accessBytes: 5000, outstanding: 4 }).run({
        operations: 500,
      });
      const issued = operations + 4;
      assert.equal(counts.dmaReads, access === 'write' ? 0 : issued);
      assert.equal(counts.dmaWrites, access === 'read' ? 0 : issued);
      assert.equal(
        Object.values(verdicts).reduce((sum, each) => sum + each),
        verdicts.ok,
      );
      assert.equal(counts.faults, 0);
    }
  });

  test('passthrough: no walk, no miss, nothing unprotected', () => {
    const { latencyNs, iotlb, verdicts, counts } = machineOf(
      { windowBytes: 64 << 20 },
      { policy: { mode: 'passthrough' } },
    ).run({ operations: 2000 });
    assert.equal(iotlb.lookups, 0);
    assert.deepEqual([latencyNs.min, latencyNs.max], [603, 603]);
    assert.equal(verdicts.ok, counts.dmaPieces);
  });

  test('two windows of one domain and the driver’s mappings keep out of each other’s way', () => {
    const machine = new Machine({
      domains: [{ name: 'shared' }],
      devices: [
        { name: 'n', kind: 'nic', domain: 'shared' },
        { name: 'm', kind: 'custom', domain: 'shared' },
      ],
      workloads: [
        { kind: 'dma-window', device: 'm', windowBytes: 2 ** 30, pageSize: '2MiB' },
        { kind: 'dma-window', device: 'm', windowBytes: 64 * PAGE, access: 'write' },
        { kind: 'nic-rx', device: 'n', ringSize: 32, gbps: 1 },
      ],
    });
    const { verdicts, counts, workloads } = machine.run({ forNs: MS });
    assert.equal(verdicts.ok, counts.dmaPieces);
    assert.ok(workloads.every(({ operations }) => operations > 10));
  });

  test('a device of 32 bits has its window below 4 GiB', () => {
    const machine = new Machine({
      devices: [{ name: 'n', kind: 'custom', dmaMaskBits: 32 }],
      workloads: [{ kind: 'dma-window', device: 'n' }],
    });
    assert.equal(machine.run({ operations: 100 }).counts.faults, 0);
    const { ranges } = machine.sim.domains[0]!.pages;
    assert.ok(ranges.length === 1 && ranges[0]!.last < 2 ** 20);
  });
});

describe('one run after the other', () => {
  const fields = { outstanding: 5, windowBytes: 300 * PAGE, missNs: 230, parallelWalks: 2, busGbps: 20 };

  test('many short runs are one long one, access by access', () => {
    const whole = machineOf(fields);
    whole.run({ forNs: 200_000 });
    const parts = machineOf(fields);
    let operations = 0;
    for (const forNs of [1, 999, 17_000, 50_000, 32_000, 100_000]) {
      operations += parts.run({ forNs }).operations;
    }
    assert.equal(operations, whole.metrics().workloads[0]!.operations);
    assert.equal(parts.sim.iotlb.lookups, whole.sim.iotlb.lookups);
    assert.equal(parts.sim.iotlb.hits, whole.sim.iotlb.hits);
  });

  test('time between runs does not pass for what is on its way', () => {
    const machine = machineOf(fields);
    machine.run({ forNs: 10_000 });
    machine.advance(50 * MS);
    assert.ok(machine.run({ forNs: 10_000 }).latencyNs.max < 5000);
  });

  test('sliced event by event: the same digest and result; another seed: another', () => {
    const play = (slice: number, seed = 1) => {
      const machine = machineOf(fields, { seed });
      const result = machine.run({ operations: 700 }, slice);
      return { digest: machine.sim.digest(), result };
    };
    assert.deepEqual(play(1), play(1000));
    assert.notEqual(play(1000, 2).digest, play(1000).digest);
  });

  test('cancelled, run again, removed: nothing is mapped and no frame is kept', () => {
    for (const mode of ['translate', 'passthrough']) {
      const machine = machineOf(fields, { policy: { mode } });
      const { sim } = machine;
      for (const steps of [1, 7, 100]) {
        sim.startRun({ forNs: MS });
        sim.stepRun(steps);
        sim.cancelRun();
      }
      assert.ok(machine.run({ operations: 50 }).operations === 50);
      machine.ok({ op: 'workload-remove', workload: 'wl_0' });
      assert.equal(sim.mappings.count, 0);
      assert.equal(sim.domains[0]!.pages.ranges.length, 0);
      machine.advance(20 * MS);
      assert.equal(sim.memory.framesInUse, sim.tables.tables);
    }
  });

  test('a device that was moved takes its window along', () => {
    const machine = machineOf(fields);
    machine.run({ operations: 100 });
    machine.ok({ op: 'domain', name: 'other' });
    machine.ok({ op: 'attach', device: 'n', domain: 'other' });
    const { counts, verdicts } = machine.run({ operations: 100 });
    assert.equal(counts.faults, 0);
    assert.equal(verdicts.ok, counts.dmaPieces);
    machine.ok({ op: 'workload-remove', workload: 'wl_0' });
    assert.deepEqual(
      machine.sim.domains.map(({ pages }) => pages.ranges.length),
      [0, 0],
    );
  });

  test('without memory for the window there is no traffic and the run ends', () => {
    const machine = machineOf({ windowBytes: 2 ** 24 }, { machine: { memoryBytes: 2 ** 24 + 2 ** 22 } });
    machine.buffer(2 ** 22);
    const { workloads } = machine.run({ forNs: 1000 });
    assert.equal(workloads[0]!.operations, 0);
    assert.equal(workloads[0]!.counts.mapFailures, 1);
  });
});

test('what does not go together is refused by name', () => {
  const machine = new Machine({ devices: [{ name: 'n', kind: 'custom' }], iommu: { superpages: [] } });
  const window = { op: 'workload', kind: 'dma-window', device: 'n' } as const;
  machine.refused({ ...window, windowBytes: 64, accessBytes: 128 }, 'invalid-operation', '/accessBytes');
  machine.refused({ ...window, windowBytes: 4096, strideBytes: 8192 }, 'invalid-operation', '/strideBytes');
  machine.refused({ ...window, pageSize: '2MiB' }, 'invalid-operation', '/pageSize');
  machine.refused({ ...window, cpus: [4] }, 'out-of-range', '/cpus/0');
  const small = new Machine({ devices: [{ name: 'n', kind: 'custom' }], machine: { memoryBytes: 2 ** 24 } });
  small.refused({ ...window, windowBytes: 2 ** 30 }, 'invalid-operation', '/windowBytes');
});
