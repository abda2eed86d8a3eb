/** What the workloads do: every packet and I/O accounted for, rates that the wire, the CPU or the disk sets, locks where CPUs meet. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Metrics } from '../build.ts';

const MS = 1_000_000;

function machineOf(
  workloads: Record<string, unknown>[],
  policy: Record<string, unknown> = {},
  spec: Record<string, unknown> = {},
): Machine {
  return new Machine({
    costs: { profile: 'riommu15-brcm' },
    ...spec,
    policy,
    devices: [
      { name: 'n', kind: 'nic' },
      { name: 'd', kind: 'block' },
      { name: 'h', kind: 'hostile' },
    ],
    workloads: workloads.map((each) => ({
      device: each.kind === 'block' ? 'd' : each.kind === 'hostile' ? 'h' : 'n',
      ...each,
    })),
  });
}

const bitmapDeferred = { allocator: { kind: 'bitmap' } };

/** Frames in descriptors or in the ring behind the device, from the device's own mappings. */
const close = (actual: number, expected: number, part: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * part, `${what} ${actual}, expected about ${expected}`);

describe('nic-rx', () => {
  test('offered = completed + dropped + waiting, at any slice', () => {
    for (const gbps of [1, 5, 40]) {
      const machine = machineOf([{ kind: 'nic-rx', gbps, ringSize: 32, queues: 3 }], {}, { machine: { cpus: 2 } });
      machine.sim.startRun({ forNs: 3 * MS });
      for (let done = false; !done; ) {
        done = machine.sim.stepRun(137);
        const [rx] = (machine.sim.runResult() as unknown as Metrics).workloads as [Metrics['workloads'][0]];
        const { offered, dropped } = rx.counts;
        const waiting = offered - dropped - rx.operations;
        assert.ok(waiting >= 0 && waiting <= 3 * 32, `${waiting} wait in three rings of 32`);
      }
    }
  });

  test('at an offered load that the CPU can bear nothing is dropped and the throughput is that of the wire', () => {
    for (const frameBytes of [64, 1500, 9000]) {
      const gbps = frameBytes === 64 ? 0.1 : 4;
      const { throughputGbps, workloads, simulatedSeconds } = machineOf(
        [{ kind: 'nic-rx', gbps, frameBytes }],
        bitmapDeferred,
      ).run({
        forNs: 5 * MS,
      });
      const wireNs = ((frameBytes + 38) * 8) / gbps;
      close(workloads[0]!.counts.offered, (simulatedSeconds * 1e9) / wireNs, 0.004, 'packets offered');
      assert.equal(workloads[0]!.counts.dropped, 0);
      close(throughputGbps, (gbps * frameBytes) / (frameBytes + 38), 0.01, 'Gb/s');
      // A packet is done when its poll is: one packet's work after it came, unless others stand before it.
      assert.ok(workloads[0]!.latencyNs.min > 400 && workloads[0]!.latencyNs.p99 < 1_000_000);
    }
  });

  test('a packet costs the profile’s cycles: driver, tax, unmap and map', () => {
    const { cyclesPerOperation, workloads } = machineOf([{ kind: 'nic-rx', gbps: 1 }], {
      allocator: { kind: 'bitmap' },
      invalidation: { kind: 'strict' },
    }).run({ operations: 2000 });
    const [rx] = workloads as [Metrics['workloads'][0]];
    const sum = (rows: Record<string, number>) => Object.values(rows).reduce((total, each) => total + each, 0);
    const unmap = 438 + 2127 + 57 + 26;
    close(sum(rx.breakdown.unmap), unmap, 1e-9, 'unmap');
    assert.ok(sum(rx.breakdown.map) >= 92 + 4 + 588 + 44);
    close(cyclesPerOperation!, 1244 + 820 + unmap + sum(rx.breakdown.map), 1e-6, 'a packet');
  });

  test('when the CPU is too slow, packets are dropped and the CPU is busy', () => {
    const { throughputGbps, cpuUtilisation, workloads } = machineOf([{ kind: 'nic-rx', gbps: 10, cpus: [0] }], {
      allocator: { kind: 'bitmap' },
      invalidation: { kind: 'strict' },
    }).run({ forNs: 10 * MS });
    const [rx] = workloads as [Metrics['workloads'][0]];
    assert.ok(cpuUtilisation[0]! > 0.98, `${cpuUtilisation[0]}`);
    assert.ok(rx.counts.dropped > rx.counts.offered / 10);
    // Gbps = 1500 x 8 x GHz / cycles a packet (Malka et al., ASPLOS 2015).
    close(throughputGbps, (1500 * 8 * 3.1) / rx.cyclesPerOperation!, 0.02, 'Gb/s');
    // A full ring of 512 waits before each packet.
    close(rx.latencyNs.p50, (512 * rx.cyclesPerOperation!) / 3.1, 0.1, 'latency');
  });

  test('passthrough spares everything but the packet itself', () => {
    const { cyclesPerOperation, verdicts } = machineOf([{ kind: 'nic-rx', gbps: 5 }], { mode: 'passthrough' }).run({
      operations: 500,
    });
    assert.equal(cyclesPerOperation, 1244);
    assert.equal(verdicts.ok! >= 500, true);
  });

  test('two mappings a packet are two of each, one is one', () => {
    for (const mappingsPerPacket of [1, 2]) {
      const { counts, workloads, iotlb } = machineOf([{ kind: 'nic-rx', gbps: 1, mappingsPerPacket }]).run({
        operations: 400,
      });
      assert.equal(counts.unmapCalls, 400 * mappingsPerPacket);
      assert.equal(workloads[0]!.counts.unmaps, 400 * mappingsPerPacket);
      assert.equal(counts.dmaWrites, workloads[0]!.counts.offered * mappingsPerPacket);
      assert.equal(iotlb.lookups, counts.dmaWrites);
    }
    const mlx = new Machine({
      devices: [{ name: 'n', kind: 'nic' }],
      workloads: [{ kind: 'nic-rx', device: 'n', gbps: 1 }],
    });
    assert.equal(
      mlx.run({ operations: 10 }).counts.unmapCalls,
      20,
      'the profile of the 40 Gb/s card maps header and data apart',
    );
  });

  test('queues are spread over CPUs, which share the work', () => {
    const result = machineOf([{ kind: 'nic-rx', gbps: 9.4, queues: 4, cpus: [0, 1, 2, 3] }], bitmapDeferred).run({
      forNs: 5 * MS,
    });
    assert.equal(result.workloads[0]!.counts.dropped, 0);
    for (const busy of result.cpuUtilisation) close(busy, result.cpuUtilisation[0]!, 0.1, 'share');
    const elsewhere = machineOf([{ kind: 'nic-rx', gbps: 2, queues: 2, cpus: [1, 3] }], bitmapDeferred).run({
      forNs: MS,
    });
    assert.deepEqual(
      elsewhere.cpuUtilisation.map((busy) => busy > 0),
      [false, true, false, true],
    );
  });

  test('a ring of one descriptor drops what comes while it is looked after', () => {
    const { workloads } = machineOf([{ kind: 'nic-rx', gbps: 9.4, ringSize: 1 }]).run({ forNs: 2 * MS });
    const [rx] = workloads as [Metrics['workloads'][0]];
    assert.ok(rx.counts.dropped > 0 && rx.operations > 100);
    assert.ok(rx.counts.offered - rx.counts.dropped - rx.operations <= 1);
  });

  test('memory too small for the ring: what there is of it goes round', () => {
    const machine = machineOf(
      [{ kind: 'nic-rx', gbps: 5, ringSize: 512 }],
      {},
      { machine: { memoryBytes: 2 ** 20 + 200 * 4096 } },
    );
    const { counts, operations } = machine.run({ forNs: 5 * MS }).workloads[0]!;
    assert.ok(counts.mapFailures > 0);
    assert.equal(counts.dropped, 0);
    assert.ok(operations > 0.99 * counts.offered);
    machine.ok({ op: 'workload-remove', workload: 'wl_0' });
    machine.advance(20 * MS);
    assert.equal(machine.sim.memory.framesInUse, machine.sim.tables.tables);
  });
});

describe('nic-tx', () => {
  test('offered = completed + dropped + on the way; the link is never sent more than it carries', () => {
    for (const gbps of [1, 9.4, 40]) {
      const machine = machineOf([{ kind: 'nic-tx', gbps, ringSize: 64, queues: 2, cpus: [0, 1] }], bitmapDeferred);
      machine.sim.startRun({ forNs: 3 * MS });
      for (let done = false; !done; ) {
        done = machine.sim.stepRun(211);
        const [tx] = (machine.sim.runResult() as unknown as Metrics).workloads as [Metrics['workloads'][0]];
        const onTheWay = tx.counts.offered - tx.counts.dropped - tx.operations;
        assert.ok(onTheWay >= 0 && onTheWay <= 128 + 2, `${onTheWay}`);
        assert.ok(tx.throughputGbps <= gbps, `${tx.throughputGbps} over a link of ${gbps}`);
      }
    }
  });

  test('is paced by the offered rate when the CPU keeps up, by the CPU when not', () => {
    const slow = machineOf([{ kind: 'nic-tx', gbps: 2 }], bitmapDeferred).run({ forNs: 5 * MS });
    close(slow.throughputGbps, (2 * 1500) / 1538, 0.01, 'Gb/s');
    const fast = machineOf([{ kind: 'nic-tx', gbps: 40, cpus: [0] }], { invalidation: { kind: 'strict' } }).run({
      forNs: 5 * MS,
    });
    assert.ok(fast.cpuUtilisation[0]! > 0.97);
    close(fast.throughputGbps, (1500 * 8 * 3.1) / fast.cyclesPerOperation!, 0.03, 'Gb/s');
  });

  test('the device only reads, and every packet is mapped and unmapped once', () => {
    const { counts, workloads } = machineOf([{ kind: 'nic-tx', gbps: 2 }]).run({ operations: 300 });
    assert.deepEqual([counts.dmaWrites, counts.faults], [0, 0]);
    const [tx] = workloads as [Metrics['workloads'][0]];
    assert.equal(tx.counts.unmaps, 300);
    assert.ok(tx.counts.maps >= 300);
  });
});

describe('block', () => {
  test('a SATA disk with read-ahead gives 7 to 8 k sequential reads of 4 KiB a second, whatever the depth', () => {
    for (const depth of [1, 4, 32]) {
      const { iops } = machineOf([{ kind: 'block', depth }]).run({ forNs: 100 * MS });
      assert.ok(iops > 6900 && iops < 8000, `depth ${depth}: ${iops}`);
    }
  });

  test('random reads are bound by seeks, large ones by the platter', () => {
    const random = machineOf([{ kind: 'block', depth: 4, pattern: 'random' }]).run({ forNs: 1000 * MS });
    close(random.iops, 1e9 / (12.7e6 + 40_960), 0.05, 'random IOPS');
    const large = machineOf([{ kind: 'block', depth: 4, lengthBytes: 1 << 20 }]).run({ forNs: 500 * MS });
    close(large.iops * 2 ** 20, 100e6, 0.08, 'bytes a second');
  });

  test('faster disks are faster, a ceiling is a ceiling, latencies of one’s own overlap', () => {
    const iops = (fields: Record<string, unknown>) =>
      machineOf([{ kind: 'block', depth: 16, ...fields }]).run({ forNs: 50 * MS }).iops;
    const sata = iops({ disk: 'sata' });
    const sas = iops({ disk: 'sas' });
    const fc = iops({ disk: 'fc' });
    assert.ok(sata < sas && sas < fc, `${sata}, ${sas}, ${fc}`);
    close(iops({ disk: 'custom', iops: 5000 }), 5000, 0.02, 'ceiling');
    const overlapping = iops({ latencyNs: 1_000_000 });
    close(overlapping, 16_000, 0.02, '16 commands of 1 ms at once');
  });

  test('an I/O is one map_sg of its pages, or a map_page a page; either way every page is touched', () => {
    const sg = machineOf([{ kind: 'block', lengthBytes: 65536, depth: 2, latencyNs: 10_000 }]).run({ operations: 100 });
    assert.equal(sg.counts.unmapCalls, 100);
    const pages = machineOf([{ kind: 'block', lengthBytes: 65536, depth: 2, latencyNs: 10_000, mapping: 'page' }]).run({
      operations: 100,
    });
    assert.equal(pages.counts.unmapCalls, 1600);
    for (const { counts } of [sg, pages]) {
      assert.ok(counts.dmaPieces! >= 1600 && counts.faults === 0);
      assert.ok(counts.ptesWritten! >= 1600);
    }
  });

  test('never more I/Os on the way than depth times jobs', () => {
    const machine = machineOf([{ kind: 'block', depth: 3, jobs: 2, lengthBytes: 8192, latencyNs: 50_000 }]);
    machine.run({ forNs: 2 * MS });
    assert.equal(machine.sim.mappings.count, 6);
    assert.equal(machine.sim.mappings.countPeak, 6);
  });

  test('writes are read by the device, reads are written', () => {
    for (const access of ['read', 'write']) {
      const { counts } = machineOf([{ kind: 'block', access, depth: 1, latencyNs: 1000 }]).run({ operations: 20 });
      assert.equal(access === 'read' ? counts.dmaReads : counts.dmaWrites, 0);
    }
  });

  test('latency is service and waiting: at depth 8 of a serial disk about 8 times that at depth 1', () => {
    const p50 = (depth: number) => machineOf([{ kind: 'block', depth }]).run({ forNs: 50 * MS }).latencyNs.p50;
    close(p50(8) / p50(1), 8, 0.1, 'ratio');
  });
});

describe('CPUs meet at locks', () => {
  const contended = (cpus: number, kind: string, iommu: Record<string, unknown> = {}) =>
    machineOf(
      [{ kind: 'nic-rx', gbps: 40, queues: 4, cpus: Array.from({ length: cpus }, (_, i) => i) }],
      { invalidation: { kind }, allocator: { kind: 'bitmap' } },
      { machine: { cpus }, iommu },
    ).run({ forNs: 2 * MS });

  test('with one CPU nobody waits; with four they do, and the wait is a row of the breakdown', () => {
    for (const kind of ['strict', 'deferred-2008']) {
      const alone = contended(1, kind);
      assert.equal(alone.breakdown.map.lockWait, 0);
      assert.equal(alone.breakdown.unmap.lockWait, 0);
      const four = contended(4, kind);
      assert.ok(four.breakdown.unmap.lockWait! > 0, kind);
      assert.ok(four.operations > alone.operations, 'more CPUs still do more');
      assert.ok(four.operations < alone.operations * 4, 'but not four times as much');
    }
  });

  test('strict serialises at the invalidation registers: four CPUs do no more than those let through', () => {
    const { operations, simulatedSeconds } = contended(4, 'strict', { invalidation: { interface: 'register' } });
    const invalidationsPerSecond = operations / simulatedSeconds;
    // One packet's work may begin in the run and end after it.
    assert.ok(invalidationsPerSecond <= (3.1e9 / 2127) * 1.005, `${invalidationsPerSecond} a second`);
    close(invalidationsPerSecond, 3.1e9 / 2127, 0.02, 'invalidations a second');
  });
});

describe('hostile', () => {
  const yields = (invalidation: string, fields: Record<string, unknown> = {}, allocator = 'rbtree') => {
    const machine = machineOf(
      [
        { kind: 'nic-rx', gbps: 2, ringSize: 64 },
        { kind: 'hostile', target: 'n', accessesPerUs: 0.2, select: 'last-unmapped', ...fields },
      ],
      { invalidation: { kind: invalidation }, allocator: { kind: allocator } },
    );
    const result = machine.run({ forNs: 20 * MS });
    return { result, probe: result.workloads[1]! };
  };

  test('under strict none of its attempts gets through, and all are detected', () => {
    // The tree would hand the address out again at once: then it is live, and no attempt.
    const { probe, result } = yields('strict', {}, 'bitmap');
    assert.ok(probe.exposure.attemptsAfterUnmap > 500, `${probe.exposure.attemptsAfterUnmap}`);
    assert.equal(probe.exposure.staleAccesses, 0);
    assert.equal(probe.exposure.detectability, 1);
    assert.equal(result.exposure.potential.windows, 0);
  });

  test('under deferred some get through, and detectability lies between', () => {
    const { probe } = yields('deferred-2008');
    assert.ok(probe.exposure.staleAccesses > 50, `${probe.exposure.staleAccesses}`);
    const { detectability } = probe.exposure;
    assert.ok(detectability !== null && detectability > 0 && detectability < 1, `${detectability}`);
    const { attemptsAfterUnmap, staleAccesses } = probe.exposure;
    close(staleAccesses, attemptsAfterUnmap * (1 - detectability), 0.001, 'stale accesses');
  });

  test('the later it comes back, the less it finds', () => {
    const stale = (delayAfterUnmapNs: number) =>
      yields('deferred-2008', { delayAfterUnmapNs }).probe.exposure.staleAccesses;
    const soon = stale(0);
    const later = stale(1_000_000);
    const never = stale(12_000_000);
    assert.ok(soon > later && later >= never, `${soon}, ${later}, ${never}`);
    assert.equal(never, 0, 'after 10 ms and a flush there is nothing left');
  });

  test('live addresses are its to use: no attempt after an unmap, no detection', () => {
    const { probe } = yields('strict', { select: 'live' });
    assert.ok(probe.verdicts.ok! > 1000);
    assert.equal(probe.exposure.detectability, null);
  });

  test('it acts under the requester id of its target: the faults are the target’s', () => {
    const machine = machineOf(
      [
        { kind: 'nic-rx', gbps: 2, ringSize: 64 },
        { kind: 'hostile', target: 'n', accessesPerUs: 1 },
      ],
      { invalidation: { kind: 'strict' }, allocator: { kind: 'bitmap' } },
    );
    machine.run({ forNs: 2 * MS });
    const { items } = machine.read<{ items: { device: string; bdf: string }[] }>({ read: 'faults', limit: 5 });
    assert.ok(items.length > 0 && items.every(({ device, bdf }) => device === 'dev_0' && bdf === '00:02.0'));
  });

  test('its own draws leave the traffic as it was', () => {
    const traffic = (seed: number) => {
      const machine = machineOf(
        [
          { kind: 'nic-rx', gbps: 2, ringSize: 64 },
          { kind: 'hostile', target: 'n', select: 'random-unmapped' },
        ],
        {},
        { seed },
      );
      const { operations, cyclesPerOperation } = machine.run({ forNs: 5 * MS }).workloads[0]!;
      return [operations, cyclesPerOperation];
    };
    assert.deepEqual(traffic(1), traffic(2));
  });

  test('a freed frame that goes to another guest is reached across tenants', () => {
    const machine = new Machine({
      costs: { profile: 'riommu15-brcm' },
      machine: { frameReuse: 'fifo' },
      tenants: [
        { name: 'a', kind: 'vm' },
        { name: 'b', kind: 'vm' },
      ],
      devices: [
        { name: 'n', kind: 'nic' },
        { name: 'm', kind: 'nic' },
      ],
      workloads: [
        { kind: 'nic-rx', device: 'n', tenant: 'a', gbps: 2, ringSize: 32 },
        { kind: 'nic-tx', device: 'm', tenant: 'b', gbps: 2, ringSize: 32 },
        { kind: 'hostile', device: 'n', accessesPerUs: 1 },
      ],
    });
    const { exposure } = machine.run({ forNs: 20 * MS });
    assert.ok(exposure.crossTenantAccesses > 0, JSON.stringify(exposure.staleAccesses));
  });
});

describe('the preset of the thread', () => {
  test('runs, and every total is the sum of its workloads', () => {
    const machine = new Machine({ preset: 'thread-2008' });
    const result = machine.run({ forNs: 20 * MS });
    assert.equal(result.workloads.length, 4);
    assert.equal(
      result.operations,
      result.workloads.reduce((sum, { operations }) => sum + operations, 0),
    );
    for (const verdict of ['ok', 'fault', 'stale'])
      assert.ok(
        result.verdicts[verdict]! >= result.workloads.reduce((sum, { verdicts }) => sum + verdicts[verdict]!, 0),
      );
    const windows = result.workloads.reduce((sum, { exposure }) => sum + exposure.potential.windows, 0);
    assert.equal(result.exposure.potential.windows, windows);
    close(
      result.exposure.actual.pageSeconds,
      result.workloads.reduce((sum, { exposure }) => sum + exposure.actual.pageSeconds, 0),
      1e-9,
      'page-seconds',
    );
    for (const busy of result.cpuUtilisation) assert.ok(busy >= 0 && busy <= 1.001, `${busy}`);
  });
});
