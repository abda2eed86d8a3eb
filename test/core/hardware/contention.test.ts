/** CPUs that meet at the invalidation queue, its hardware, its ring, and the page table's lock. The shapes, and every count. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InvalidationQueue, QUEUE_DESCRIPTORS } from '../../../src/core/hardware/invalidation-queue.ts';
import { REBASE_PS } from '../../../src/core/sim/clock.ts';
import { Dice, Machine, type Metrics } from '../build.ts';

const MS = 1e6;
const HZ = 3.1e9;
const close = (value: number, expected: number, share: number, what: string) =>
  assert.ok(Math.abs(value - expected) <= share * Math.abs(expected), `${what}: ${value}, expected ${expected}`);

interface Locks {
  locks: { name: string; locks: number; acquisitions: number; waits: number; waitNs: number; waitCycles: number }[];
}
type Result = Omit<Metrics, 'locks'> & Locks;

/** As many NICs as CPUs, each with a domain of its own: all that they share is the way to the invalidation hardware. */
function machineOf(
  cpus: number,
  fields: Record<string, unknown> = {},
  overrides: Record<string, number> = {},
): Machine {
  const each = Array.from({ length: cpus }, (_, cpu) => cpu);
  const { iommu, policy, deviceTlb, ...rest } = fields as Record<string, Record<string, unknown>>;
  return new Machine({
    machine: { cpus },
    iommu,
    policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' }, ...policy },
    devices: each.map((cpu) => ({ name: `n${cpu}`, kind: 'nic', ...(deviceTlb && { deviceTlb }) })),
    workloads: each.map((cpu) => ({
      kind: 'nic-rx',
      device: `n${cpu}`,
      gbps: 40,
      queues: 1,
      cpus: [cpu],
      ringSize: 64,
    })),
    costs: { profile: 'riommu15-brcm', overrides },
    ...rest,
  });
}

const runOf = (machine: Machine, ns = MS / 2): Result => machine.run({ forNs: ns }) as unknown as Result;
const rate = ({ operations, simulatedSeconds }: Result) => operations / simulatedSeconds;
const over = (kind: string, cpus: number, overrides: Record<string, number> = {}) =>
  rate(runOf(machineOf(cpus, { iommu: { invalidation: { interface: kind } } }, overrides)));

describe('strict on many CPUs', () => {
  const alone = over('queued', 1);

  test('one CPU does not see the split: all three interfaces are equally fast', () => {
    assert.equal(over('per-cpu', 1), alone);
    assert.equal(over('register', 1), alone);
    const { breakdown, assumptions } = runOf(machineOf(1));
    assert.equal(breakdown.unmap.invalidation, 2127);
    assert.ok(!assumptions.includes('invalidationSubmit'));
  });

  test('one queue: rising up to what its hardware serves one after the other, and no further', () => {
    let before = 0;
    for (const cpus of [1, 2, 4]) {
      const now = over('queued', cpus);
      close(now, cpus * alone, 0.01, `${cpus} CPUs`);
      assert.ok(now > before);
      before = now;
    }
    for (const cpus of [8, 16, 32]) close(over('queued', cpus), HZ / 955, 0.03, `${cpus} CPUs`);
  });

  test('the registers: one command at a time, whole', () => {
    for (const cpus of [4, 8, 16]) close(over('register', cpus), HZ / 2127, 0.03, `${cpus} CPUs`);
  });

  test('a queue for each CPU restores scaling', () => {
    for (const cpus of [2, 8, 16, 64]) close(over('per-cpu', cpus), cpus * alone, 0.01, `${cpus} CPUs`);
  });

  test('with a hand-off the lock becomes the tightest place, and more CPUs than it takes do less than without', () => {
    for (const cpus of [8, 16]) {
      const now = over('queued', cpus, { lockHandoff: 300 });
      close(now, HZ / (744 + 300), 0.03, `${cpus} CPUs`);
      assert.ok(now < over('queued', cpus));
    }
    assert.equal(over('queued', 1, { lockHandoff: 300 }), alone, 'alone nobody hands over');
  });

  test('a system where the invalidation is not the tightest place shows no difference', () => {
    const slow = (kind: string) => {
      const machine = new Machine({
        machine: { cpus: 4 },
        iommu: { invalidation: { interface: kind } },
        policy: { invalidation: { kind: 'strict' } },
        devices: [{ name: 'd', kind: 'block' }],
        workloads: [{ kind: 'block', device: 'd', depth: 4, cpus: [0, 1, 2, 3] }],
      });
      return runOf(machine, 5 * MS).iops;
    };
    close(slow('queued'), slow('per-cpu'), 0.01, 'I/O a second');
  });

  test('waits are metered: at the lock in lockWait, for the hardware in invalidation, and both add up', () => {
    const machine = machineOf(16);
    const result = runOf(machine);
    const { counts, breakdown } = result;
    const unmaps = result.workloads.reduce((sum, { counts }) => sum + counts.unmaps, 0);
    const cycles = (ps: number) => (ps * 3.1) / 1000;
    assert.ok(counts.invalidationBacklogWaits! > unmaps / 2);
    close(
      breakdown.unmap.invalidation! * unmaps - 2127 * unmaps,
      cycles(counts.invalidationBacklogPs!),
      0.001,
      'backlog',
    );
    const lock = result.locks.find(({ name }) => name === 'invalidation-queue')!;
    assert.equal(lock.acquisitions, unmaps);
    assert.ok(lock.waits > 0 && lock.waits < lock.acquisitions);
    close(lock.waitCycles, lock.waitNs * 3.1, 0.001, 'cycles and ns');
    // All that was waited for at locks, by whatever lock, is in the rows.
    const waited = result.locks.reduce((sum, { waitCycles }) => sum + waitCycles, 0);
    const maps = result.workloads.reduce((sum, { counts }) => sum + counts.maps, 0);
    close(breakdown.unmap.lockWait! * unmaps + breakdown.map.lockWait! * maps, waited, 0.001, 'lock waits');
    for (const step of ['invalidationSubmit', 'invalidationHardware', 'lockHandoff'])
      assert.ok(result.assumptions.includes(step), step);
    const { invalidation } = machine.read<{ invalidation: Record<string, number> }>({ read: 'queues' });
    assert.equal(invalidation.backlogWaits, counts.invalidationBacklogWaits);
  });

  test('counts are exact: a descriptor and a wait an unmap, and the tail went round that often', () => {
    const machine = machineOf(8);
    const { counts } = runOf(machine);
    assert.ok(counts.descriptors! > 500);
    assert.equal(counts.descriptors, counts.unmapCalls);
    assert.equal(counts.waitDescriptors, counts.descriptors);
    assert.equal(machine.sim.unit.queues[0]!.tail, (2 * counts.descriptors!) % QUEUE_DESCRIPTORS);
    const own = machineOf(8, { iommu: { invalidation: { interface: 'per-cpu' } } });
    const result = runOf(own);
    for (const [cpu, { counts }] of result.workloads.entries())
      assert.equal(own.sim.unit.queues[cpu]!.tail, (2 * counts.unmaps) % QUEUE_DESCRIPTORS);
    assert.equal(own.read<{ invalidation: { queues: unknown[] } }>({ read: 'queues' }).invalidation.queues.length, 8);
  });

  test('sliced anywhere, and with the clock’s base moved, it is the same to the last bit', () => {
    const digests = [1, 7, 100_000].map((slice) => {
      const machine = machineOf(16, {}, { lockHandoff: 100 });
      machine.run({ forNs: MS / 10 }, slice);
      return machine.sim.digest();
    });
    assert.equal(new Set(digests).size, 1);
    const [late, soon] = [machineOf(8), machineOf(8)];
    // The base moves in the middle of the run.
    late.advance(REBASE_PS / 1000 - MS / 4);
    const moved = runOf(late);
    const { operations, locks, counts } = runOf(soon);
    assert.deepEqual([moved.operations, moved.locks, moved.counts], [operations, locks, counts]);
    assert.ok(late.sim.clock.baseNs > 0);
  });
});

describe('the ring', () => {
  /** Every submission as an object; a submitter looks again whenever one is over. */
  class NaiveRing {
    private readonly submissions: { from: number; until: number; places: number }[] = [];
    roomFrom(at: number, commands: number): number {
      const moments = [at, ...this.submissions.map(({ until }) => until).filter((until) => until > at)];
      return moments
        .sort((a, b) => a - b)
        .find((moment) => {
          const inside = this.submissions.filter(({ from, until }) => from <= moment && until > moment);
          return 256 - inside.reduce((sum, { places }) => sum + places, 0) >= commands + 2;
        })!;
    }
    occupy(from: number, until: number, commands: number): void {
      this.submissions.push({ from, until, places: commands + 1 });
    }
  }

  test('room for the commands, their wait and one to spare, as a list of all submissions has it', () => {
    const dice = new Dice(5);
    const queue = new InvalidationQueue(64, 16);
    const naive = new NaiveRing();
    const freeAt = new Array<number>(64).fill(0);
    let waited = 0;
    let tail = 0;
    for (let i = 0; i < 3000; i++) {
      const now = Math.min(...freeAt);
      const submitter = freeAt.indexOf(now);
      const commands = 1 + dice.below(16);
      const from = queue.roomFrom(now, commands);
      assert.equal(from, naive.roomFrom(now, commands));
      if (from > now) waited++;
      const until = from + 1 + dice.below(400);
      freeAt[submitter] = until + dice.below(100);
      queue.occupy(from, until, commands);
      naive.occupy(from, until, commands);
      queue.write(commands);
      tail = (tail + commands + 1) % 256;
      assert.equal(queue.tail, tail);
    }
    assert.ok(waited > 50, `${waited}`);
  });

  test('64 CPUs with a command each never fill it; 8 with 42 places each do, and wait for the hardware', () => {
    assert.equal(runOf(machineOf(64), MS / 10).counts.invalidationRoomWaits, 0);
    const crowd = (cpus: number) =>
      new Machine({
        machine: { cpus },
        iommu: { invalidation: { batchDescriptors: 64 } },
        policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } },
        domains: [{ name: 'shared' }],
        devices: Array.from({ length: 40 }, (_, i) => ({
          name: `n${i}`,
          kind: 'nic',
          domain: 'shared',
          deviceTlb: {},
        })),
        workloads: Array.from({ length: cpus }, (_, i) => ({
          kind: 'nic-rx',
          device: `n${i}`,
          gbps: 1,
          queues: 1,
          cpus: [i],
          ringSize: 16,
        })),
      });
    const full = runOf(crowd(8));
    assert.ok(full.counts.invalidationRoomWaits! > 0);
    assert.equal(full.counts.descriptors, 41 * full.counts.unmapCalls!);
    assert.equal(full.counts.deviceTlbInvalidations, 40 * full.counts.unmapCalls!);
    assert.equal(full.counts.waitDescriptors, full.counts.unmapCalls);
    assert.equal(full.exposure.potential.windows, 0);
    assert.equal(runOf(crowd(4)).counts.invalidationRoomWaits, 0);
  });
});

describe('batches', () => {
  const deferred = (batchDescriptors: number, cpus = 1) =>
    new Machine({
      machine: { cpus },
      iommu: { invalidation: { cachingMode: true, batchDescriptors } },
      policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'deferred-2008' } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
  const flushOf = (batch: number) => {
    const machine = deferred(batch);
    const buffer = machine.buffer(4096);
    const cycle = () => machine.unmap(machine.map('n', { buffer }).id);
    for (let i = 0; i < 250; i++) cycle();
    const mapped = machine.map('n', { buffer });
    const { counters } = machine.sim;
    const { descriptors, waitDescriptors } = counters;
    const { breakdown } = machine.unmap(mapped.id);
    return {
      machine,
      cycles: breakdown.invalidation! - 9,
      descriptors: counters.descriptors - descriptors,
      waits: counters.waitDescriptors - waitDescriptors,
    };
  };

  test('250 entries: 250 waits one by one, 16 in batches of 16, the same descriptors', () => {
    const single = flushOf(1);
    assert.deepEqual([single.descriptors, single.waits, single.cycles], [250, 250, 250 * 2127]);
    const batched = flushOf(16);
    assert.deepEqual([batched.descriptors, batched.waits], [250, 16]);
    assert.equal(batched.cycles, 16 * 2127 + 234 * 955);
    // 251 maps in caching mode, a command each, then the flush.
    assert.equal(batched.machine.sim.unit.queues[0]!.tail, (2 * 251 + 250 + 16) % 256);
    assert.equal(single.machine.sim.unit.queues[0]!.tail, (2 * 251 + 2 * 250) % 256);
    const saved = (single.cycles - batched.cycles) / (250 - 16);
    assert.ok(saved > 800, `${saved} cycles for each submission that was merged`);
  });

  test('ranges: as many submissions as it takes, every range gone at the end', () => {
    for (const [count, batch, waits] of [
      [1, 16, 1],
      [16, 16, 1],
      [17, 16, 2],
      [40, 7, 6],
      [5, 1, 5],
    ] as const) {
      const machine = deferred(batch);
      const { sim } = machine;
      const firsts = new Float64Array(count);
      const pages = new Int32Array(count);
      for (let i = 0; i < count; i++) {
        const { iova } = machine.map('n', { buffer: machine.buffer(8192) });
        machine.dma('n', iova, 'write', 8192);
        firsts[i] = Number(iova) / 4096;
        pages[i] = 2;
      }
      const { descriptors, waitDescriptors, invalidationsRange } = sim.counters;
      sim.begin(0);
      sim.flush.ranges(sim.domains[0]!, firsts, pages, count, true);
      sim.end();
      assert.deepEqual(
        [
          sim.counters.descriptors - descriptors,
          sim.counters.waitDescriptors - waitDescriptors,
          sim.counters.invalidationsRange - invalidationsRange,
        ],
        [count, waits, count],
      );
      assert.equal(sim.work.ownRows[4], waits * 2_127_000 + (count - waits) * 955_000);
      for (const first of firsts)
        for (const page of [first, first + 1]) assert.equal(sim.iotlb.probe(0, page), -1, `${page}`);
    }
  });

  test('the register interface has no batches', () => {
    const machine = new Machine({
      iommu: { invalidation: { interface: 'register', batchDescriptors: 16 } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const { sim } = machine;
    sim.begin(0);
    sim.flush.ranges(sim.domains[0]!, new Float64Array([1, 2, 3]), new Int32Array([1, 1, 1]), 3, true);
    sim.end();
    assert.deepEqual([sim.counters.registerCommands, sim.counters.descriptors], [3, 0]);
    assert.equal(sim.work.ownRows[4], 3 * 2_127_000);
  });
});

describe('the lock of the page table', () => {
  const shared = (cpus: number, pageTableLock: boolean) =>
    new Machine({
      machine: { cpus },
      iommu: { pageTableLock, invalidation: { interface: 'per-cpu' } },
      policy: { allocator: { kind: 'sparc-pools' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'n', kind: 'nic' }],
      workloads: [
        {
          kind: 'nic-rx',
          device: 'n',
          gbps: 400,
          queues: cpus,
          ringSize: 64,
          cpus: Array.from({ length: cpus }, (_, i) => i),
        },
      ],
      costs: { profile: 'riommu15-brcm' },
    });

  test('off, there is none; on, it is taken for each PTE that a map writes and by no unmap', () => {
    assert.ok(
      !shared(2, false)
        .metrics()
        .locks.some(({ name }) => name === 'page-table'),
    );
    const machine = shared(1, true);
    const { counts, locks } = runOf(machine);
    const lock = locks.find(({ name }) => name === 'page-table')!;
    assert.equal(lock.acquisitions, counts.ptesWritten);
    assert.equal(lock.waits, 0);
    const buffer = machine.buffer(5 * 4096);
    const held = () => machine.metrics().locks.find(({ name }) => name === 'page-table')!.acquisitions;
    const before = held();
    const { id, breakdown } = machine.map('n', { buffer });
    assert.equal(breakdown.pageTable, 588 + 4 * 133);
    assert.equal(held(), before + 5);
    machine.unmap(id);
    assert.equal(held(), before + 5);
  });

  test('alone it costs nothing; among CPUs of one domain it is where they meet', () => {
    assert.equal(rate(runOf(shared(1, true))), rate(runOf(shared(1, false))));
    const locked = runOf(shared(16, true));
    const free = runOf(shared(16, false));
    const waits = locked.locks.find(({ name }) => name === 'page-table')!.waits;
    assert.ok(waits > 0);
    assert.ok(rate(locked) < rate(free), `${rate(locked)} against ${rate(free)}`);
    assert.ok(rate(locked) <= (HZ / 588) * 1.02, 'no more maps than it lets through');
  });
});

describe('locks of a run', () => {
  test('are what the run added, by name', () => {
    const machine = machineOf(4, { policy: { invalidation: { kind: 'flush-queue' } } });
    const first = runOf(machine);
    const second = runOf(machine);
    const session = machine.metrics().locks;
    for (const name of ['invalidation-queue', 'flush-queue', 'iova-allocator']) {
      const of = ({ locks }: Locks) => locks.find((lock) => lock.name === name)!;
      const all = session.filter((lock) => lock.name === name);
      const sum = (member: 'acquisitions' | 'waits') => all.reduce((total, lock) => total + lock[member], 0);
      assert.equal(of(second).locks, all.length);
      // The ring was filled in advance, before the first run's time began, but within it.
      assert.equal(of(first).acquisitions + of(second).acquisitions, sum('acquisitions'), name);
      assert.equal(of(first).waits + of(second).waits, sum('waits'), name);
    }
  });
});
