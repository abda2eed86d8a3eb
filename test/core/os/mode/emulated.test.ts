/** emulated: an exit for each submission, caching mode on, and what the paper measured of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Unmapped } from '../../build.ts';

function guest(policy: Record<string, unknown> = {}, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    policy: { mode: 'emulated', allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' }, ...policy },
    tenants: [{ name: 'vm', kind: 'vm' }],
    devices: [{ name: 'nic', kind: 'nic' }],
    ...spec,
  });
}

const pairOf = (machine: Machine) => {
  const buffer = machine.buffer(4096, { tenant: machine.sim.modeEntry.virtual ? 'vm' : undefined } as {
    tenant?: string;
  });
  const mapped = machine.map('nic', { buffer });
  return [mapped, machine.unmap(mapped.id)] as const;
};

describe('an exit for each submission', () => {
  test('a map and an unmap take the published 30,645 cycles of interaction, to the milli-cycle', () => {
    const machine = guest();
    const [mapped, unmapped] = pairOf(machine);
    assert.equal(mapped.breakdown.vmExit, 15_322.5);
    assert.equal(unmapped.breakdown.vmExit! + mapped.breakdown.vmExit!, 30_645);
    assert.equal(mapped.breakdown.invalidation! + unmapped.breakdown.invalidation!, 0);
    assert.equal(mapped.costCycles, 379 + 588 + 44 + 15_322.5);
    assert.equal(unmapped.costCycles, 249 + 159 + 438 + 26 + 15_322.5);
    const { counters } = machine.metrics();
    assert.deepEqual([counters.vmExits, counters.descriptors], [2, 2]);
  });

  test('through a sidecore it is 7,321 and no exit', () => {
    const machine = guest({ emulated: { handling: 'sidecore' } });
    const [mapped, unmapped] = pairOf(machine);
    assert.equal(mapped.breakdown.invalidation! + unmapped.breakdown.invalidation!, 7321);
    assert.equal(mapped.breakdown.vmExit! + unmapped.breakdown.vmExit!, 0);
    assert.equal(machine.metrics().counters.vmExits, 0);
  });

  // 34,969 : 9,225 : 6,909 cycles; logic differs from machine to machine, so the order and the first ratio are what is asked for.
  test('the order of the paper: several times bare metal under exits, little more through a sidecore', () => {
    const total = (machine: Machine) => pairOf(machine).reduce((sum, { costCycles }) => sum + costCycles, 0);
    const native = total(guest({ mode: 'translate' }));
    const sidecore = total(guest({ emulated: { handling: 'sidecore' } }));
    const exits = total(guest());
    assert.ok(native < sidecore && sidecore < exits / 3);
    assert.ok(exits / native > 5, `${exits / native}`);
  });

  test('caching mode is on though the hardware has none: an absence that was cached is invalidated', () => {
    const machine = guest();
    assert.equal(machine.sim.spec.iommu.invalidation.cachingMode, false);
    assert.equal(machine.sim.cachingMode, true);
    const before = machine.metrics().counters.invalidationsRange;
    machine.map('nic', { buffer: machine.buffer(4096, { tenant: 'vm' }) });
    assert.equal(machine.metrics().counters.invalidationsRange, before! + 1);
  });

  test('a list is one submission, pages one by one are one each', () => {
    const machine = guest();
    const buffer = machine.buffer(65_536, { tenant: 'vm' });
    machine.map('nic', {
      kind: 'sg',
      segments: [
        { buffer, lengthBytes: 4096 },
        { buffer, offsetBytes: 8192, lengthBytes: 4096 },
      ],
    });
    assert.equal(machine.metrics().counters.vmExits, 1);
    for (let i = 0; i < 2; i++) machine.map('nic', { buffer, offsetBytes: i * 4096, lengthBytes: 4096 });
    assert.equal(machine.metrics().counters.vmExits, 3);
  });

  test('iommu-map, iommu-unmap, invalidate, attach and detach exit as well', () => {
    const machine = guest();
    const exits = () => machine.metrics().counters.vmExits!;
    machine.ok({
      op: 'iommu-map',
      domain: 'dom_0',
      iova: '0x10000',
      physicalAddress: '0x500000',
      lengthBytes: 4096,
      access: 'rw',
    });
    assert.equal(exits(), 1);
    machine.ok({ op: 'iommu-unmap', domain: 'dom_0', iova: '0x10000', lengthBytes: 4096 });
    assert.equal(exits(), 2);
    machine.ok({ op: 'invalidate', scope: 'global' });
    assert.equal(exits(), 3);
    const left = machine.ok<Unmapped>({ op: 'detach', device: 'nic' });
    assert.equal(exits(), 5);
    assert.equal(left.breakdown.vmExit, 30_645);
  });

  test('deferred: maps exit, unmaps do not until the flush', () => {
    const machine = guest({ invalidation: { kind: 'deferred-2008', highWater: 4 } });
    const buffer = machine.buffer(4096, { tenant: 'vm' });
    for (let i = 0; i < 4; i++) machine.unmap(machine.map('nic', { buffer }).id);
    assert.equal(machine.metrics().counters.vmExits, 4);
    // Under caching mode the flush is one command for each entry.
    const { id } = machine.map('nic', { buffer });
    assert.equal(machine.unmap(id).breakdown.vmExit, 4 * 15_322.5);
    assert.equal(machine.metrics().counters.vmExits, 9);
  });
});

test('exits are taken under the lock of the queue: CPUs that submit wait for each other', () => {
  const run = (mode: string, cpus: number) => {
    const machine = guest(
      { mode },
      {
        machine: { cpus },
        workloads: [{ kind: 'nic-rx', device: 'nic', gbps: 40, queues: cpus, ringSize: 32, mappingsPerPacket: 1 }],
      },
    );
    const { operations, breakdown } = machine.run({ forNs: 1_000_000 });
    return { operations, waited: breakdown.unmap.lockWait! + breakdown.map.lockWait! };
  };
  const one = run('emulated', 1);
  const eight = run('emulated', 8);
  assert.equal(one.waited, 0);
  assert.ok(eight.waited > 15_000, `${eight.waited} cycles`);
  assert.ok(eight.operations < one.operations * 1.5, 'eight CPUs do little more than one');
  assert.ok(run('translate', 8).operations > eight.operations * 3);
});

test('delayed is refused: its purges go to registers that a guest does not have', () => {
  for (const mode of ['emulated', 'paravirtual', 'nested'])
    assert.throws(
      () => guest({ mode, invalidation: { kind: 'delayed' } }),
      /\/policy\/invalidation\/kind: delayed posts its purges/,
    );
});
