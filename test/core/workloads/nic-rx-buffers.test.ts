/** nic-rx with buffers of its own size, pools, descriptors of pages, a device with limits, completion elsewhere, acknowledgements. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Metrics, type WorkloadMetrics } from '../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

type RxMetrics = WorkloadMetrics & {
  counts: WorkloadMetrics['counts'] & { droppedNoBuffer: number; droppedInDevice?: number; acks?: number };
  engine?: Record<string, number>;
};

function machineOf(fields: Record<string, unknown>, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    costs: { profile: 'riommu15-brcm' },
    policy: { allocator: { kind: 'bitmap' } },
    ...spec,
    devices: [{ name: 'n', kind: 'nic' }],
    workloads: [{ kind: 'nic-rx', device: 'n', gbps: 2, ringSize: 64, ...fields }],
  });
}

const rxOf = (result: Metrics) => result.workloads[0] as RxMetrics;

const close = (actual: number, expected: number, part: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * part, `${what} ${actual}, expected about ${expected}`);

/** Every form there is, for what must hold of each. */
const forms: Record<string, Record<string, unknown>> = {
  'half pages': { bufferBytes: 2048 },
  'small buffers, two a packet': { bufferBytes: 1024, ringSize: 63 },
  'buffers of several pages': { bufferBytes: 16_384, frameBytes: 9000 },
  'header and data': { recycle: 'none', mappingsPerPacket: 2 },
  'a pool of pages': { recycle: 'page-pool', poolPages: 16 },
  'a pool of half pages, shuffled': { recycle: 'page-pool', bufferBytes: 2048, poolPages: 16, shuffle: 0.3 },
  'descriptors of 64 pages': { pagesPerDescriptor: 64, ringSize: 4, frameBytes: 4096 },
  'descriptors of 3 pages in quarters, three a packet': {
    pagesPerDescriptor: 3,
    bufferBytes: 1024,
    frameBytes: 2500,
    ringSize: 9,
  },
  'a device with limits': { outstanding: 4, parallelWalks: 1, queues: 2 },
  'completion elsewhere': { completionCpus: [1], cpus: [0], queues: 2 },
  'all at once': {
    pagesPerDescriptor: 8,
    bufferBytes: 2048,
    ringSize: 6,
    queues: 3,
    outstanding: 5,
    parallelWalks: 2,
    completionCpus: [2, 3],
    acksPerPage: 0.3,
  },
  acknowledgements: { acksPerPage: 0.5 },
};

describe('the plain ring, by the class that can do more', () => {
  for (const fields of [
    { gbps: 2 },
    { gbps: 40, queues: 3 },
    { mappingsPerPacket: 2, gbps: 9 },
    { frameBytes: 9000, gbps: 8 },
    { gbps: 40, queues: 4, cpus: [0, 1], napiBudget: 3 },
  ])
    for (const policy of [
      {},
      { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      { mode: 'passthrough' },
    ])
      test(`${JSON.stringify({ ...fields, ...policy })}: packet for packet the same`, () => {
        const plain = machineOf(fields, { policy }).run({ forNs: 2 * MS });
        const general = machineOf({ ...fields, recycle: 'none' }, { policy }).run({ forNs: 2 * MS });
        const { droppedNoBuffer, ...counts } = rxOf(general).counts;
        assert.equal(droppedNoBuffer, counts.dropped);
        assert.deepEqual({ ...general.workloads[0]!, counts }, plain.workloads[0]);
        assert.deepEqual({ ...general, workloads: [] }, { ...plain, workloads: [] });
      });
});

for (const [name, fields] of Object.entries(forms))
  describe(name, () => {
    test('offered = completed + dropped + waiting, at any slice', () => {
      for (const gbps of [1, 40]) {
        const machine = machineOf({ ...fields, gbps });
        machine.sim.startRun({ forNs: MS });
        for (let done = false; !done; ) {
          done = machine.sim.stepRun(137);
          const { counts, operations } = rxOf(machine.sim.runResult() as unknown as Metrics);
          const waiting = counts.offered - counts.dropped - operations;
          assert.ok(waiting >= 0 && waiting <= 2000, `${waiting}`);
          assert.equal(counts.dropped, counts.droppedNoBuffer + (counts.droppedInDevice ?? 0));
        }
        const { operations, verdicts, counts } = rxOf(machine.sim.runResult() as unknown as Metrics);
        assert.ok(operations > 10);
        assert.equal(verdicts.fault! + verdicts.subpage! + verdicts.unprotected!, 0);
        assert.ok(gbps === 40 || counts.dropped === 0);
      }
    });

    test('sliced event by event, and searches that yield: the same digest and result', () => {
      const play = (slice: number, budget = Number.POSITIVE_INFINITY) => {
        const machine = machineOf({ ...fields, gbps: 4 }, { policy: { allocator: { kind: 'rbtree-2008' } } });
        machine.sim.searchBudget = budget;
        const results = [machine.run({ operations: 150 }, slice), machine.run({ forNs: 100_000 }, slice)];
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

    test('too little memory: packets are dropped, nothing breaks, and with memory it goes on', () => {
      const machine = machineOf(
        { ...fields, gbps: 5, ringSize: 256 },
        { machine: { memoryBytes: 2 ** 20 + 150 * PAGE } },
      );
      const hog = machine.buffer(100 * PAGE);
      const poor = rxOf(machine.run({ forNs: MS }));
      assert.ok(poor.counts.mapFailures > 0);
      machine.ok({ op: 'free', buffer: hog });
      machine.run({ forNs: MS });
      machine.ok({ op: 'workload-remove', workload: 'wl_0' });
      assert.equal(machine.sim.mappings.count, 0);
      machine.advance(20 * MS);
      assert.equal(machine.sim.memory.framesInUse, machine.sim.tables.tables);
    });
  });

describe('half pages', () => {
  test('mapped by themselves: two addresses reach one frame, which goes back with the second', () => {
    const machine = machineOf({ bufferBytes: 2048 });
    machine.run({ forNs: 1 });
    const { mappings, memory, tables } = machine.sim;
    assert.equal(mappings.count, 64);
    assert.equal(memory.framesInUse, tables.tables + 32);
    const frames = new Map<number, number[]>();
    for (let slot = 0; slot < mappings.used; slot++)
      frames.set(mappings.frame[slot]!, [...(frames.get(mappings.frame[slot]!) ?? []), mappings.offset[slot]!]);
    for (const offsets of frames.values()) assert.deepEqual(offsets, [0, 2048]);
    const { counts, exposure } = machine.run({ operations: 500 });
    assert.equal(counts.unmapCalls, 500);
    assert.ok(exposure.residualByteSeconds > 0, 'strict or not, the neighbour still reaches what was unmapped');
  });

  test('a packet that is longer than a buffer takes the next ones as well', () => {
    const { counts } = machineOf({ bufferBytes: 1024, frameBytes: 2600 }).run({ operations: 300 });
    assert.equal(counts.unmapCalls, 900);
    assert.ok(counts.dmaWrites! >= 900 && counts.dmaWrites! % 3 === 0);
    assert.equal(counts.dmaBytes! / counts.dmaWrites!, 2600 / 3);
  });
});

describe('a pool', () => {
  const pool = { recycle: 'page-pool', poolPages: 64, bufferBytes: 2048, ringSize: 128 };

  test('maps its pages once and never again', () => {
    const machine = machineOf(pool);
    machine.run({ forNs: 1 });
    // 64 pages in the ring and 64 beside them.
    assert.equal(machine.sim.mappings.count, 128);
    const { counts, cyclesPerOperation } = machine.run({ operations: 2000 });
    assert.deepEqual([counts.mapPageCalls, counts.unmapCalls, counts.invalidationsGlobal], [0, 0, 0]);
    assert.equal(cyclesPerOperation, 1244 + 820);
    assert.equal(machine.sim.mappings.count, 128);
  });

  test('in order, both halves of a page are met one after the other: one miss a page; shuffled, up to one a packet', () => {
    const missesPerPacket = (shuffle: number, bufferBytes = 2048) => {
      const machine = machineOf(
        { ...pool, bufferBytes, shuffle, gbps: 5 },
        { iommu: { iotlb: { entries: 16, ways: 0 } } },
      );
      machine.run({ operations: 2000 });
      const { iotlb } = machine.run({ operations: 4000 });
      return iotlb.misses / iotlb.lookups;
    };
    close(missesPerPacket(0), 0.5, 0.01, 'in order');
    const shares = [0, 0.1, 0.3, 1].map((shuffle) => missesPerPacket(shuffle));
    for (let i = 1; i < shares.length; i++) assert.ok(shares[i]! > shares[i - 1]! + 0.02, `${shares}`);
    assert.ok(shares[3]! > 0.85 && shares[3]! <= 1, `${shares}`);
    close(missesPerPacket(0, 4096), 1, 0.01, 'whole pages');
    close(missesPerPacket(0.3, 4096), 1, 0.01, 'whole pages, shuffled');
  });

  test('its draws are its own, and another seed draws otherwise', () => {
    const missesOf = (seed: number, shuffle: number) =>
      machineOf({ ...pool, shuffle }, { seed, iommu: { iotlb: { entries: 16, ways: 0 } } }).run({ operations: 3000 })
        .iotlb.misses;
    assert.equal(missesOf(1, 0), missesOf(2, 0));
    assert.notEqual(missesOf(1, 0.5), missesOf(2, 0.5));
    assert.equal(missesOf(1, 0.5), missesOf(1, 0.5));
  });

  test('no buffer is twice in the ring or the list, and none is lost', () => {
    const machine = machineOf({ ...pool, shuffle: 0.4, bufferBytes: 1024, frameBytes: 1000 });
    for (let i = 0; i < 20; i++) {
      machine.run({ operations: 37 });
      const workload = machine.sim.workloads.find('wl_0') as unknown as {
        block: Int32Array;
        place: Uint8Array;
        list: Int32Array;
        listFirst: Int32Array;
        listCount: Int32Array;
        perBlock: number;
        blockOut: Int32Array;
        blockFrame: Float64Array;
      };
      const seen = new Set<number>();
      const see = (code: number) => {
        assert.ok(!seen.has(code), `buffer ${code} twice`);
        seen.add(code);
      };
      workload.block.forEach((block, at) => {
        if (block >= 0) see(block * workload.perBlock + workload.place[at]!);
      });
      for (let n = 0; n < workload.listCount[0]!; n++)
        see(workload.list[(workload.listFirst[0]! + n) % workload.list.length]!);
      let notBack = 0;
      workload.blockFrame.forEach((frame, block) => {
        if (frame >= 0) notBack += workload.blockOut[block]!;
      });
      assert.equal(seen.size, notBack, 'buffers that are not back are in the ring or in the list');
    }
  });
});

describe('descriptors of many pages', () => {
  test('64 pages of a packet each: mapped page by page, given back together once all are used', () => {
    const machine = machineOf({ pagesPerDescriptor: 64, ringSize: 4, frameBytes: 4096, gbps: 1 });
    machine.run({ forNs: 1 });
    assert.equal(machine.sim.mappings.count, 256);
    assert.equal(machine.run({ operations: 63 }).counts.unmapCalls, 0);
    const { counts } = machine.run({ operations: 1 });
    assert.deepEqual([counts.unmapCalls, counts.mapPageCalls], [64, 64]);
    assert.equal(machine.run({ operations: 64 * 5 }).counts.unmapCalls, 64 * 5);
  });

  test('they go to the DMA API as one', () => {
    const machine = machineOf({ pagesPerDescriptor: 16, bufferBytes: 2048, ringSize: 4 });
    const { dma } = machine.sim;
    const together: number[] = [];
    const call = dma.unmapTogether;
    dma.unmapTogether = (slots, count, device) => {
      assert.equal(new Set(slots.subarray(0, count)).size, count);
      together.push(count);
      call.call(dma, slots, count, device);
    };
    machine.run({ operations: 32 * 6 });
    assert.deepEqual(together, new Array(6).fill(16));
  });

  test('what does not fit the rest of a descriptor goes to the next one', () => {
    // 9 buffers of 1 KiB, 3 a packet of 2,500 bytes: 3 packets a descriptor; of 3,500 bytes 4 buffers: 2 packets, one buffer left over.
    for (const [frameBytes, packets] of [
      [2500, 4],
      [3500, 3],
      [4096, 3],
    ] as const) {
      const { counts } = machineOf({ pagesPerDescriptor: 3, bufferBytes: 1024, frameBytes, ringSize: 8 }).run({
        operations: packets * 10,
      });
      assert.equal(counts.unmapCalls, 30, `${frameBytes}`);
    }
  });
});

describe('a device with limits', () => {
  const limited = (fields: Record<string, unknown>, spec: Record<string, unknown> = {}) =>
    machineOf(
      { gbps: 100, frameBytes: 4096, bufferBytes: 4096, ringSize: 512, cpus: [0], writeLatencyNs: 0, ...fields },
      {
        // A CPU that costs nothing: what is left is the device.
        machine: { cpus: 1, cpuGhz: 3.1 },
        costs: {
          profile: 'riommu15-brcm',
          overrides: {
            ...{
              packet: 1,
              packetTax: 0,
              invalidation: 1,
              mapFirstPte: 1,
              unmapFirstPte: 1,
              mapOther: 0,
              unmapOther: 0,
            },
            ...{ bitmapAllocFixed: 1, bitmapAllocWord: 0, bitmapFree: 1 },
          },
        },
        policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } },
        ...spec,
      },
    );

  test('F&S: T = p / (l0 + M lm); what the NIC cannot write it holds, then drops', () => {
    for (const entriesPerLevel of [
      [16, 16, 64],
      [0, 0, 0],
    ]) {
      const machine = limited(
        { gbps: 200, parallelWalks: 1, pageBaseNs: 65, walkReferenceNs: 197 },
        { iommu: { iotlb: { entries: 64, ways: 4 }, walkCache: { entriesPerLevel } } },
      );
      machine.run({ forNs: MS });
      const result = machine.run({ forNs: 5 * MS });
      const { engine, counts, throughputGbps } = rxOf(result);
      const readsPerPage = result.counts.memoryReferences! / (counts.offered - counts.dropped);
      const model = (PAGE * 8) / (65 + readsPerPage * 197);
      close(throughputGbps, model, 0.01, `${readsPerPage} reads a page`);
      close(engine!.walkersBusyMean!, 1, 0.001, 'walker busy');
      assert.ok(counts.droppedInDevice! > 100);
      assert.equal(counts.droppedNoBuffer, 0);
      close((throughputGbps * counts.offered) / (counts.offered - counts.dropped), (200 * PAGE) / (PAGE + 38), 0.02);
    }
  });

  test('as much as the wire brings goes through when the walkers keep up', () => {
    const { throughputGbps, workloads } = limited({ gbps: 10, parallelWalks: 2, missNs: 230 }).run({ forNs: 2 * MS });
    close(throughputGbps, (10 * PAGE) / (PAGE + 38), 0.01, 'Gb/s');
    assert.equal(workloads[0]!.counts.dropped, 0);
  });

  test('a frame that waits for nothing lands after bus, walk and latency', () => {
    const { latencyNs, breakdown, cyclesPerOperation } = limited({
      gbps: 1,
      missNs: 230,
      writeLatencyNs: 400,
      busGbps: 64,
      acksPerPage: 0,
    }).run({ operations: 400 });
    // 4,096 bytes at 64 Gb/s: 512 ns; the walk and the latency; the work of the poll.
    const device = 512 + 230 + 400;
    assert.ok(latencyNs.min >= device && latencyNs.min <= device + cyclesPerOperation! / 3.1 + 1, `${latencyNs.min}`);
    assert.ok(breakdown.map.iovaAlloc! > 0);
  });

  test('the NIC’s buffer holds so many frames: more of it, a longer wait at the same rate', () => {
    const of = (nicBufferBytes: number) =>
      rxOf(limited({ parallelWalks: 1, pageBaseNs: 500, missNs: 0, nicBufferBytes }).run({ forNs: 10 * MS }));
    const [small, large] = [of(2 ** 16), of(2 ** 20)];
    close(small.throughputGbps, large.throughputGbps, 0.01, 'Gb/s');
    close(small.latencyNs.p50, 16 * 500, 0.1, '16 frames wait');
    close(large.latencyNs.p50, 256 * 500, 0.1, '256 frames wait');
  });

  test('Little’s law: frames on their way = rate x time', () => {
    const { engine, operations } = rxOf(
      limited({ outstanding: 6, parallelWalks: 2, missNs: 900, writeLatencyNs: 700, gbps: 50 }).run({ forNs: 4 * MS }),
    );
    assert.ok(engine!.outstandingMean! <= 6 && engine!.outstandingMean! > 1);
    const perNs = operations / (4 * MS);
    // In order, so a frame may wait for the one before it: at least the walk and the latency.
    assert.ok(engine!.outstandingMean! >= perNs * 1600 * 0.98, `${engine!.outstandingMean} at ${perNs}`);
  });

  test('an invalidation waits until what is on its way has landed', () => {
    const { counts } = limited({ gbps: 50, writeLatencyNs: 3000, outstanding: 64 }).run({ forNs: MS });
    assert.ok(counts.drainWaits! > 10, `${counts.drainWaits}`);
  });
});

describe('completion elsewhere', () => {
  test('one CPU maps, the other polls, unmaps and frees', () => {
    const machine = machineOf(
      { cpus: [0], completionCpus: [2], gbps: 1 },
      { policy: { allocator: { kind: 'rbtree' } } },
    );
    const { dma, work } = machine.sim;
    machine.run({ forNs: 1 });
    const where = { map: new Set<number>(), unmap: new Set<number>() };
    const { map, unmap } = dma;
    dma.map = (...given) => {
      where.map.add(work.cpu);
      return map.apply(dma, given);
    };
    dma.unmap = (...given) => {
      where.unmap.add(work.cpu);
      unmap.apply(dma, given);
    };
    const { operations, workloads } = machine.run({ forNs: 2 * MS });
    assert.deepEqual([...where.map], [0]);
    assert.deepEqual([...where.unmap], [2]);
    assert.equal(workloads[0]!.counts.dropped, 0);
    close(workloads[0]!.counts.maps, operations, 0.02, 'maps');
  });

  test('a refill that comes late leaves the device without buffers', () => {
    const { workloads } = machineOf({ cpus: [0], completionCpus: [1], ringSize: 1, gbps: 9.4 }).run({ forNs: MS });
    const { counts, operations } = workloads[0] as RxMetrics;
    assert.ok(counts.droppedNoBuffer > 0 && operations > 100);
  });
});

describe('acknowledgements', () => {
  test('so many for each 4 KiB, mapped, read by the device, unmapped when the next is due', () => {
    for (const acksPerPage of [0.045, 0.12, 1]) {
      const result = machineOf({ acksPerPage, frameBytes: 4096, gbps: 1 }).run({ operations: 2000 });
      const { counts } = rxOf(result);
      close(counts.acks!, 2000 * acksPerPage, 0.03, 'acknowledgements');
      assert.equal(result.counts.mapSingleCalls, counts.acks);
      assert.ok(Math.abs(result.counts.dmaReads! - counts.acks!) <= 1);
      assert.equal(result.counts.faults, 0);
    }
  });
});

test('defaults are filled in where they act, and what does not go together is refused by name', () => {
  const machine = machineOf({ recycle: 'page-pool', outstanding: 8 });
  const { items } = machine.read<{ items: Record<string, unknown>[] }>({ read: 'workloads' });
  const { poolPages, shuffle, bufferBytes, mappingsPerPacket, readLatencyNs, nicBufferBytes } = items[0]!;
  assert.deepEqual(
    { poolPages, shuffle, bufferBytes, mappingsPerPacket, readLatencyNs, nicBufferBytes },
    {
      poolPages: 128,
      shuffle: 0,
      bufferBytes: 4096,
      mappingsPerPacket: 1,
      readLatencyNs: 603,
      nicBufferBytes: 1_048_576,
    },
  );
  const rx = { op: 'workload', kind: 'nic-rx', device: 'n' } as const;
  machine.refused({ ...rx, bufferBytes: 2048, mappingsPerPacket: 2 }, 'invalid-operation', '/mappingsPerPacket');
  machine.refused({ ...rx, pagesPerDescriptor: 2, recycle: 'page-pool' }, 'invalid-operation', '/recycle');
  machine.refused({ ...rx, pagesPerDescriptor: 2, bufferBytes: 8192 }, 'invalid-operation', '/bufferBytes');
  machine.refused({ ...rx, pagesPerDescriptor: 1, frameBytes: 9000 }, 'invalid-operation', '/frameBytes');
  machine.refused({ ...rx, bufferBytes: 512, ringSize: 2 }, 'invalid-operation', '/frameBytes');
  machine.refused({ ...rx, shuffle: 0.1 }, 'invalid-operation', '/shuffle');
  machine.refused({ ...rx, recycle: 'none', poolPages: 1 }, 'invalid-operation', '/poolPages');
  machine.refused({ ...rx, nicBufferBytes: 65536 }, 'invalid-operation', '/nicBufferBytes');
  machine.refused({ ...rx, completionCpus: [4] }, 'out-of-range', '/completionCpus/0');
});
