/**
 * Memory or addresses run out under traffic, and are there again: drivers try again, and traffic goes on. The plain ring and the class
 * that can do more are two pieces of code with one driver, so that they must agree packet for packet.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Metrics } from '../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

const FRAMES = 2000;

/** A machine with so many frames beyond the first MiB, and a device that addresses 4,096 pages. */
function machineOf(workload: Record<string, unknown>, policy: Record<string, unknown> = {}): Machine {
  return new Machine({
    costs: { profile: 'riommu15-brcm' },
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' }, ...policy },
    machine: { cpus: 2, memoryBytes: 2 ** 20 + FRAMES * PAGE },
    devices: [{ name: 'n', kind: 'nic', dmaMaskBits: 24 }],
    workloads: [{ device: 'n', ...workload }],
  });
}

/** Takes all memory but so many pages, page by page: what is freed in one piece is handed out in one piece. */
function takeMemory(machine: Machine, left: number): () => void {
  const { memory } = machine.sim;
  const pages = memory.frames - 256 - memory.framesInUse - left;
  const taken = Array.from({ length: pages }, () => machine.buffer(PAGE));
  return () => {
    for (const buffer of taken) machine.ok({ op: 'free', buffer });
  };
}

/** Takes all addresses of the device but so many: it has 4,095, page 0 being nobody's, and a range lies on a multiple of its size. */
function takeAddresses(machine: Machine, left: number): () => void {
  const taken: string[] = [];
  for (let pages = 2048; pages >= 1; pages /= 2)
    if ((left & pages) === 0) taken.push(machine.map('n', { physicalAddress: 0, lengthBytes: pages * PAGE }).id);
  return () => {
    for (const id of taken) machine.unmap(id);
  };
}

const first = (metrics: Metrics) => metrics.workloads[0]!;

const receive = { kind: 'nic-rx', gbps: 1, ringSize: 64 };
/** Each form of a receive ring, and the pages that it takes. */
const rings: Record<string, [Record<string, unknown>, number]> = {
  'the plain ring': [receive, 64],
  'the plain ring, header and data': [{ ...receive, mappingsPerPacket: 2 }, 128],
  'four queues on two CPUs': [{ ...receive, ringSize: 16, queues: 4, cpus: [0, 1] }, 64],
  'the class that can do more': [{ ...receive, recycle: 'none' }, 64],
  'half pages': [{ ...receive, bufferBytes: 2048 }, 32],
  'a pool of pages': [{ ...receive, recycle: 'page-pool', poolPages: 8 }, 72],
  'descriptors of 8 pages': [{ ...receive, ringSize: 8, pagesPerDescriptor: 8 }, 64],
  'a device with limits': [{ ...receive, outstanding: 4, parallelWalks: 1 }, 64],
  'completion elsewhere': [{ ...receive, completionCpus: [1], cpus: [0] }, 64],
  acknowledgements: [{ ...receive, acksPerPage: 0.3 }, 64],
};

for (const [name, [workload, pages]] of Object.entries(rings))
  describe(name, () => {
    test('no memory at all, then memory: traffic goes on as if it had always been there', () => {
      const machine = machineOf(workload);
      const giveBack = takeMemory(machine, 0);
      const poor = first(machine.run({ forNs: MS }));
      assert.equal(poor.operations, 0);
      assert.equal(poor.counts.dropped, poor.counts.offered);
      assert.ok(poor.counts.mapFailures > 0);
      giveBack();
      machine.run({ forNs: MS });
      const { operations, counts } = first(machine.run({ forNs: 2 * MS }));
      assert.deepEqual([counts.dropped, counts.mapFailures], [0, 0]);
      assert.ok(operations > 0.95 * counts.offered);
    });

    test('memory for a part of the ring: that part is used, over and over', () => {
      const machine = machineOf(workload);
      takeMemory(machine, pages - 10);
      assert.ok(first(machine.run({ forNs: MS })).counts.mapFailures > 0);
      const { operations, counts } = first(machine.run({ forNs: 2 * MS }));
      assert.equal(counts.dropped, 0);
      assert.ok(operations > 100 && operations > 0.95 * counts.offered, `${operations} of ${counts.offered}`);
    });

    test('no addresses, then addresses: traffic goes on', () => {
      const machine = machineOf(workload);
      const giveBack = takeAddresses(machine, 0);
      const poor = first(machine.run({ forNs: MS }));
      assert.equal(poor.operations, 0);
      assert.equal(poor.counts.dropped, poor.counts.offered);
      giveBack();
      machine.run({ forNs: MS });
      const { operations, counts } = first(machine.run({ forNs: 2 * MS }));
      assert.deepEqual([counts.dropped, counts.mapFailures], [0, 0]);
      assert.ok(operations > 0.95 * counts.offered);
    });

    test('what held the memory goes away again: nothing is left behind', () => {
      const machine = machineOf(workload);
      const giveBack = takeMemory(machine, 5);
      machine.run({ forNs: MS });
      giveBack();
      machine.run({ forNs: 100_000 });
      machine.ok({ op: 'workload-remove', workload: 'wl_0' });
      assert.equal(machine.sim.mappings.count, 0);
      assert.equal(machine.sim.domains[0]!.allocator!.liveRanges, 0);
      assert.equal(machine.sim.memory.framesInUse, machine.sim.tables.tables);
    });

    test('sliced event by event, and with searches that yield, the same', () => {
      const play = (slice: number, budget = Number.POSITIVE_INFINITY) => {
        const machine = machineOf(workload);
        machine.sim.searchBudget = budget;
        const giveBack = takeAddresses(machine, 3);
        const results = [machine.run({ forNs: 50_000 }, slice)];
        giveBack();
        results.push(machine.run({ forNs: 200_000 }, slice));
        return { results, digest: machine.sim.digest() };
      };
      const whole = play(1000);
      assert.deepEqual(play(1), whole);
      assert.deepEqual(play(7, 1), whole);
    });
  });

describe('addresses that a deferred flush holds back', () => {
  for (const [name, [workload]] of Object.entries(rings))
    test(`${name}: the ring runs dry until the timer's flush, and then traffic goes on`, () => {
      const machine = machineOf(workload, { invalidation: { kind: 'deferred-2008' } });
      takeAddresses(machine, 100);
      const inTime = (ns: number) => first(machine.run({ forNs: ns }));
      // 100 addresses, of which a flush gives back what 10 ms of traffic would use several times over.
      const early = inTime(8 * MS);
      const later = inTime(40 * MS);
      if (workload.recycle === 'page-pool') {
        assert.equal(later.counts.dropped, 0, 'a pool unmaps nothing');
        return;
      }
      assert.ok(early.counts.mapFailures > 0 && early.counts.dropped > 0, JSON.stringify(early.counts));
      assert.ok(later.operations > 100, `${later.operations}`);
    });
});

describe('the plain ring and the class that can do more, where memory or addresses are short', () => {
  for (const fields of [{}, { mappingsPerPacket: 2 }, { queues: 3, cpus: [0, 1] }, { napiBudget: 3, gbps: 9 }])
    for (const invalidation of ['strict', 'deferred-2008'])
      for (const short of ['memory', 'addresses'])
        test(`${short}, ${invalidation}, ${JSON.stringify(fields)}: packet for packet the same`, () => {
          const play = (more: Record<string, unknown>) => {
            const machine = machineOf(
              { ...receive, ...fields, ...more },
              {
                invalidation: { kind: invalidation },
              },
            );
            const giveBack = short === 'memory' ? takeMemory(machine, 13) : takeAddresses(machine, 13);
            const results = [machine.run({ forNs: 12 * MS })];
            giveBack();
            results.push(machine.run({ forNs: 2 * MS }));
            for (const { workloads } of results)
              delete (workloads[0]!.counts as Record<string, number>).droppedNoBuffer;
            return results;
          };
          const plain = play({});
          assert.ok(plain[0]!.workloads[0]!.counts.mapFailures > 0);
          assert.deepEqual(play({ recycle: 'none' }), plain);
        });
});

describe('others that map', () => {
  const others: Record<string, Record<string, unknown>> = {
    'nic-tx': { kind: 'nic-tx', gbps: 1, ringSize: 64 },
    'nic-tx, header and data': { kind: 'nic-tx', gbps: 1, ringSize: 64, mappingsPerPacket: 2 },
    'nic-tx with limits': { kind: 'nic-tx', gbps: 1, ringSize: 64, outstanding: 4 },
    'nic-tx, completion elsewhere': { kind: 'nic-tx', gbps: 1, ringSize: 64, cpus: [0], completionCpus: [1] },
    block: { kind: 'block', disk: 'nvme', lengthBytes: 8192 },
    'block, a page at a time': { kind: 'block', disk: 'nvme', lengthBytes: 8192, mapping: 'page' },
    'block with limits': { kind: 'block', disk: 'nvme', lengthBytes: 8192, outstanding: 4 },
    'map-benchmark': { kind: 'map-benchmark', threads: 2, seconds: 1, granulePages: 1 },
  };
  for (const [name, workload] of Object.entries(others))
    for (const short of ['memory', 'addresses'])
      test(`${name}: no ${short}, then ${short}: traffic goes on, and nothing is left behind`, () => {
        const machine = machineOf(workload);
        const giveBack = short === 'memory' ? takeMemory(machine, 0) : takeAddresses(machine, 0);
        assert.equal(first(machine.run({ forNs: MS })).operations, 0);
        giveBack();
        machine.run({ forNs: MS });
        const { operations, counts } = first(machine.run({ forNs: 2 * MS }));
        assert.ok(operations > 20, `${operations}`);
        assert.equal(counts.mapFailures, 0);
        machine.ok({ op: 'workload-remove', workload: 'wl_0' });
        assert.equal(machine.sim.mappings.count, 0);
        assert.equal(machine.sim.memory.framesInUse, machine.sim.tables.tables);
      });
});
