/** shadow through operations and runs: buffers are made once and kept, every byte is copied, nothing else is in reach. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolveSpec } from '../../../../src/core/index.ts';
import { type Cost, Machine } from '../../build.ts';

function shadowing(shadow: Record<string, unknown> = {}, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    policy: { mode: 'shadow', shadow, allocator: { kind: 'rbtree' } },
    devices: [
      { name: 'nic', kind: 'nic' },
      { name: 'other', kind: 'custom' },
    ],
    ...spec,
  });
}

const round = (value: number) => Math.round(value * 1000) / 1000;
const COPY = (bytes: number) => round(50 + bytes * 0.744);

describe('a buffer is made once and kept', () => {
  test('the first map pays for address and entries, the second for the list, to the milli-cycle', () => {
    const machine = shadowing();
    const buffer = machine.buffer(4096);
    const first = machine.map('nic', { buffer, lengthBytes: 1500, direction: 'to-device' });
    assert.deepEqual(
      [first.breakdown.iovaAlloc, first.breakdown.pageTable, first.breakdown.other, first.breakdown.copy],
      [379, 588, 44, COPY(1500)],
    );
    const gone = machine.unmap(first.id);
    assert.equal(gone.costCycles, 62 + 26);
    assert.equal(gone.exposed, false);
    const second = machine.map('nic', { buffer, lengthBytes: 1500, direction: 'to-device' });
    assert.equal(second.iova, first.iova);
    assert.equal(second.costCycles, round(92 + 44 + COPY(1500)));
    assert.equal(machine.metrics().counters.shadowBuffersMade, 1);
  });

  test('from the device it is copied at the unmap, both ways at both', () => {
    const machine = shadowing();
    const buffer = machine.buffer(4096);
    const copies = (['from-device', 'bidirectional'] as const).map((direction) => {
      const mapped = machine.map('nic', { buffer, lengthBytes: 1000, direction });
      return [mapped.breakdown.copy, machine.unmap(mapped.id).breakdown.copy];
    });
    assert.deepEqual(copies, [
      [0, COPY(1000)],
      [COPY(1000), COPY(1000)],
    ]);
  });

  test('lists are by size class, permission and CPU; a buffer goes back to the list that it came from', () => {
    const machine = shadowing();
    const buffer = machine.buffer(65_536);
    const iovas = new Set<string>();
    const use = (fields: Parameters<Machine['map']>[1], unmapCpu = 0) => {
      const { iova, id } = machine.map('nic', { buffer, ...fields });
      iovas.add(iova);
      machine.unmap(id, unmapCpu);
    };
    for (let round = 0; round < 3; round++) {
      use({ lengthBytes: 4096, direction: 'to-device' });
      use({ lengthBytes: 4097, direction: 'to-device' });
      use({ lengthBytes: 1, direction: 'from-device' });
      use({ lengthBytes: 4096, direction: 'to-device', cpu: 1 }, 2);
    }
    assert.equal(iovas.size, 4);
    const { counters, locks } = machine.metrics();
    assert.equal(counters.shadowBuffersMade, 4);
    assert.equal(counters.shadowBytes, 3 * 4096 + 65_536);
    assert.equal(counters.shadowBuffersInUse, 0);
    // CPU 2 gave CPU 1's buffer back, three times.
    assert.equal(locks.find(({ name }) => name === 'shadow-cpu-1')!.acquisitions, 3);
    const { shadow } = machine.read<{ shadow: unknown }>({ read: 'space' });
    assert.deepEqual(shadow, {
      classes: [
        { lengthBytes: 4096, buffers: 3 },
        { lengthBytes: 65_536, buffers: 1 },
      ],
    });
  });

  test('no invalidation and no window, whatever the policy is', () => {
    for (const kind of ['strict', 'deferred-2008', 'never']) {
      const machine = new Machine({
        policy: { mode: 'shadow', invalidation: { kind } },
        devices: [{ name: 'nic', kind: 'nic' }],
      });
      const buffer = machine.buffer(4096);
      for (let i = 0; i < 20; i++) machine.unmap(machine.map('nic', { buffer }).id);
      const { counters, exposure } = machine.metrics();
      assert.deepEqual([counters.descriptors, counters.ptesWritten, counters.ptesCleared], [0, 1, 0]);
      assert.equal(exposure.potential.windows, 0);
    }
  });
});

describe('a device reaches its own buffers and nothing else', () => {
  test('bytes beyond the mapping are its own, the memory of others is not', () => {
    const machine = shadowing();
    const buffer = machine.buffer(4096);
    const { iova, id } = machine.map('nic', { buffer, lengthBytes: 100, direction: 'from-device' });
    assert.equal(machine.touch('nic', iova).verdict, 'ok');
    const beyond = machine.touch('nic', Number(iova) + 100);
    assert.deepEqual([beyond.verdict, beyond.cause], ['unprotected', 'no-protection']);
    assert.notEqual(Number(beyond.physicalAddress) - 100, machine.addressOf(buffer));
    // The page-table entry has the permission of the direction.
    assert.deepEqual(machine.touch('nic', iova, 'read').reason, 6);
    assert.equal(machine.touch('other', iova).verdict, 'fault');
    assert.equal(machine.touch('nic', machine.addressOf(buffer)).verdict, 'fault');
    machine.unmap(id);
    assert.equal(machine.touch('nic', iova).verdict, 'unprotected');
    const { verdicts, counters } = machine.metrics();
    assert.deepEqual([verdicts.subpage, verdicts.stale, counters.residualBytes], [0, 0, 0]);
  });

  test('two mappings of one page leave nothing of each other in reach', () => {
    const machine = shadowing();
    const buffer = machine.buffer(4096);
    const a = machine.map('nic', { buffer, lengthBytes: 100, direction: 'from-device' });
    machine.map('nic', { buffer, offsetBytes: 2048, lengthBytes: 100, direction: 'from-device' });
    machine.unmap(a.id);
    assert.equal(machine.metrics().counters.residualBytes, 0);
  });
});

describe('beyond the largest class', () => {
  test('a stretch is mapped as it is and unmapped strictly, under a deferred policy too', () => {
    const machine = shadowing();
    const buffer = machine.buffer(131_072);
    const mapped = machine.map('nic', { buffer, direction: 'from-device' });
    assert.equal(mapped.breakdown.copy, 0);
    assert.equal(Number(machine.touch('nic', mapped.iova).physicalAddress), machine.addressOf(buffer));
    const unmapped = machine.unmap(mapped.id);
    assert.equal(unmapped.breakdown.invalidation, 2127);
    assert.equal(unmapped.exposed, false);
    assert.equal(machine.touch('nic', mapped.iova).verdict, 'fault');
    assert.equal(machine.metrics().counters.shadowFallbacks, 1);
  });

  test('a list falls back as a whole', () => {
    const machine = shadowing();
    const buffer = machine.buffer(2 ** 18);
    const long = [
      { buffer, lengthBytes: 4096 },
      { buffer, offsetBytes: 4096, lengthBytes: 65_537 },
    ];
    const { id, breakdown } = machine.map('nic', { kind: 'sg', segments: long });
    assert.equal(breakdown.copy, 0);
    assert.equal(machine.unmap(id).breakdown.invalidation, 2127);
    const short = machine.map('nic', {
      kind: 'sg',
      segments: [long[0]!, { buffer, offsetBytes: 4096, lengthBytes: 65_536 }],
    });
    assert.equal(short.breakdown.copy, round(COPY(4096) + COPY(65_536)));
    assert.equal(machine.ok<Cost>({ op: 'sync', mapping: short.id, for: 'cpu' }).breakdown.copy, short.breakdown.copy);
    assert.equal(machine.unmap(short.id).breakdown.invalidation, 0);
  });

  test('coherent memory is mapped strictly', () => {
    const machine = shadowing();
    const mapped = machine.map('nic', { kind: 'coherent', lengthBytes: 4096 });
    assert.equal(machine.unmap(mapped.id).breakdown.invalidation, 2127);
    assert.equal(machine.metrics().counters.shadowFallbacks, 0);
  });
});

describe('running out', () => {
  test('a pool at its limit fails with its own code, and lives on what it has', () => {
    const machine = shadowing({ poolBytes: 65_536 + 4096 });
    const buffer = machine.buffer(65_536);
    const map = { op: 'map', device: 'nic', kind: 'single', direction: 'to-device', buffer } as const;
    const { id } = machine.ok<{ id: string }>({ ...map, lengthBytes: 65_536 });
    machine.ok({ ...map, lengthBytes: 100 });
    machine.fails({ ...map, lengthBytes: 100 }, 'shadow-pool-full');
    machine.fails(
      { op: 'map', device: 'nic', kind: 'sg', direction: 'to-device', segments: [{ buffer, lengthBytes: 1 }] },
      'shadow-pool-full',
    );
    const { counters } = machine.metrics();
    assert.deepEqual([counters.shadowFailures, counters.mapFailures, counters.liveMappings], [2, 2, 2]);
    machine.unmap(id);
    machine.ok({ ...map, lengthBytes: 65_536 });
    machine.ok({ ...map, device: 'other', lengthBytes: 100 });
  });

  test('without a frame or an address a new buffer leaves nothing behind', () => {
    const machine = new Machine({
      machine: { memoryBytes: 2 ** 20 + 30 * 4096 },
      policy: { mode: 'shadow', allocator: { kind: 'rbtree' } },
      devices: [{ name: 'nic', kind: 'nic' }],
    });
    const map = { op: 'map', device: 'nic', kind: 'single', direction: 'to-device', physicalAddress: 0 } as const;
    const held = [machine.ok<{ id: string }>({ ...map, lengthBytes: 5000 }).id];
    machine.ok({ ...map, lengthBytes: 100 });
    machine.fails({ ...map, lengthBytes: 5000 }, 'no-frame');
    machine.fails({ ...map, lengthBytes: 5000 }, 'no-frame');
    assert.equal(machine.metrics().counters.mapFailures, 2);
    const used = machine.read<{ usedBytes: number }>({ read: 'space' }).usedBytes;
    machine.fails({ ...map, lengthBytes: 5000 }, 'no-frame');
    assert.equal(machine.read<{ usedBytes: number }>({ read: 'space' }).usedBytes, used);
    machine.unmap(held[0]!);
    machine.ok({ ...map, lengthBytes: 5000 });
  });
});

describe('when devices and domains go', () => {
  test('free buffers are taken apart with the device, those in use at their unmap', () => {
    const machine = shadowing({}, { domains: [{ name: 'next' }] });
    const buffer = machine.buffer(4096);
    const idle = machine.map('nic', { buffer });
    const busy = machine.map('nic', { buffer, direction: 'to-device' });
    machine.unmap(idle.id);
    const before = machine.metrics().counters.framesInUse!;
    const attached = machine.ok<Cost>({ op: 'attach', device: 'nic', domain: 'next' });
    assert.equal(attached.misuse?.[0]?.check, 'leak-at-detach');
    assert.equal(machine.metrics().counters.framesInUse, before - 1);
    assert.equal(machine.unmap(busy.id).breakdown.invalidation, 2127);
    assert.equal(machine.metrics().counters.framesInUse, before - 2);
    assert.equal(machine.metrics().counters.shadowBytes, 0);
    machine.ok({ op: 'attach', device: 'nic', domain: 'dom_1' });
    assert.equal(machine.touch('nic', busy.iova).verdict, 'fault');
  });

  test('a domain takes all its buffers along', () => {
    const machine = shadowing();
    const buffer = machine.buffer(4096);
    const before = machine.metrics().counters.framesInUse!;
    machine.unmap(machine.map('nic', { buffer }).id);
    machine.map('nic', { buffer, direction: 'to-device' });
    machine.map('nic', {
      kind: 'sg',
      segments: [
        { buffer, lengthBytes: 10 },
        { buffer, offsetBytes: 100, lengthBytes: 10 },
      ],
    });
    machine.ok({ op: 'device-remove', device: 'nic' });
    const { counters } = machine.metrics();
    assert.deepEqual([counters.shadowBytes, counters.shadowBuffersInUse, counters.liveMappings], [0, 0, 0]);
    // Its root table went as well, and the tables below it.
    assert.ok(counters.framesInUse! < before);
  });
});

describe('in runs', () => {
  test('packets are copied and nothing is mapped anew once the ring is full', () => {
    const machine = new Machine({
      policy: { mode: 'shadow' },
      devices: [{ name: 'nic', kind: 'nic' }],
      workloads: [{ kind: 'nic-rx', device: 'nic', gbps: 20, queues: 4, ringSize: 64, mappingsPerPacket: 1 }],
    });
    machine.run({ forNs: 200_000 });
    const made = machine.metrics().counters.shadowBuffersMade;
    const result = machine.run({ forNs: 400_000 });
    assert.equal(result.counts.shadowBuffersMade, 0);
    // CPU 0 fills all four rings in advance; then each CPU makes its own, and those that CPU 0 made for it lie idle.
    assert.equal(made, 4 * 64 + 3 * 64);
    const [rx] = result.workloads;
    assert.ok(rx!.operations > 400);
    assert.equal(rx!.verdicts.ok, rx!.counts.offered - rx!.counts.dropped);
    assert.equal(rx!.breakdown.map.pageTable, 0);
    assert.equal(round(rx!.breakdown.unmap.copy!), COPY(1500));
  });

  test('it beats strict for packets and loses to it for long I/O, as copies do', () => {
    const cycles = (mode: string, workload: Record<string, unknown>) =>
      new Machine({
        policy: { mode, invalidation: { kind: 'strict' }, allocator: { kind: 'rbtree' } },
        devices: [{ name: 'd', kind: 'nic' }],
        workloads: [{ device: 'd', ...workload }],
      }).run({ operations: 300 }).cyclesPerOperation!;
    const packets = { kind: 'nic-rx', gbps: 1, ringSize: 64, mappingsPerPacket: 1 };
    assert.ok(cycles('shadow', packets) < cycles('translate', packets));
    const long = { kind: 'block', disk: 'custom', lengthBytes: 65_536, depth: 4, latencyNs: 5000 };
    assert.ok(cycles('shadow', long) > cycles('translate', long));
  });
});

test('yielding searches, repetition and what is held: one digest for one history', () => {
  const play = (budget: number) => {
    const machine = shadowing({}, { policy: { mode: 'shadow', allocator: { kind: 'rbtree-2008' } } });
    machine.sim.searchBudget = budget;
    const buffer = machine.buffer(65_536);
    const ids: string[] = [];
    for (let i = 0; i < 30; i++) {
      const range = { buffer, offsetBytes: i * 100, lengthBytes: 1 + i * 500 };
      ids.push(machine.map('nic', { ...range, cpu: i % 4 }).id);
      if (i % 3 === 0) ids.push(machine.map('nic', { kind: 'sg', segments: [range, range], cpu: i % 4 }).id);
      if (i % 4 === 0) machine.unmap(ids.shift()!, (i + 1) % 4);
    }
    return machine.sim.digest();
  };
  assert.equal(play(Number.POSITIVE_INFINITY), play(1));
});

test('classes must rise, and the pool hold one of the largest', () => {
  const refused = (shadow: Record<string, unknown>, path: string) =>
    assert.throws(
      () => resolveSpec({ policy: { mode: 'shadow', shadow } }),
      (error: { problems: { path: string }[] }) => error.problems.some((problem) => problem.path === path),
    );
  refused({ classBytes: [65_536, 4096] }, '/policy/shadow/classBytes');
  refused({ classBytes: [4096, 4096] }, '/policy/shadow/classBytes');
  refused({ poolBytes: 4096 }, '/policy/shadow/poolBytes');
});
