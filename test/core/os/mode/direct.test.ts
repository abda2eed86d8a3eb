/** direct: a guest is mapped whole, for nothing; a device reaches all of its guest and nothing of anybody else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine } from '../../build.ts';

function two(spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    policy: { mode: 'direct' },
    tenants: [
      { name: 'red', kind: 'vm' },
      { name: 'blue', kind: 'vm' },
    ],
    domains: [
      { name: 'of-red', tenant: 'red' },
      { name: 'of-blue', tenant: 'blue' },
    ],
    devices: [
      { name: 'r', kind: 'custom', domain: 'of-red' },
      { name: 'b', kind: 'custom', domain: 'of-blue' },
    ],
    ...spec,
  });
}

describe('the whole guest and nobody else', () => {
  test('map and unmap cost nothing and change nothing', () => {
    const machine = two();
    const buffer = machine.buffer(8192, { tenant: 'red' });
    const { counters } = machine.metrics();
    const mapped = machine.map('r', { buffer, lengthBytes: 100, direction: 'from-device' });
    assert.equal(Number(mapped.iova), machine.addressOf(buffer));
    assert.equal(mapped.costCycles, 0);
    assert.equal(machine.touch('r', mapped.iova).verdict, 'ok');
    assert.equal(machine.unmap(mapped.id).costCycles, 0);
    const after = machine.metrics();
    for (const name of ['ptesWritten', 'ptesCleared', 'descriptors', 'vmExits'])
      assert.equal(after.counters[name], counters[name], name);
    assert.equal(after.exposure.potential.windows, 0);
  });

  test('what the guest owns is in reach, mapped or not; what it does not own faults', () => {
    const machine = two();
    const own = machine.buffer(4096, { tenant: 'red' });
    const foreign = machine.buffer(4096, { tenant: 'blue' });
    const hosts = machine.buffer(4096);
    const open = machine.touch('r', machine.addressOf(own));
    assert.deepEqual([open.verdict, open.cause], ['unprotected', 'no-protection']);
    const { id, iova } = machine.map('r', { buffer: own, direction: 'to-device' });
    machine.unmap(id);
    assert.equal(machine.touch('r', iova).verdict, 'unprotected', 'after its unmap too');
    assert.equal(machine.touch('r', machine.addressOf(foreign)).verdict, 'fault');
    assert.equal(machine.touch('r', machine.addressOf(hosts)).verdict, 'fault');
    assert.equal(machine.touch('b', machine.addressOf(foreign)).verdict, 'unprotected');
    assert.equal(machine.metrics().verdicts['stale-cross-tenant'], 0);
  });

  test('a guest cannot map what is not its own', () => {
    const machine = two();
    const foreign = machine.buffer(4096, { tenant: 'blue' });
    const own = machine.buffer(4096, { tenant: 'red' });
    const map = { op: 'map', device: 'r', kind: 'single', direction: 'to-device' } as const;
    machine.refused({ ...map, buffer: foreign }, 'policy-conflict', '/buffer');
    machine.refused(
      { ...map, physicalAddress: machine.addressOf(foreign), lengthBytes: 10 },
      'policy-conflict',
      '/physicalAddress',
    );
    machine.refused(
      { ...map, kind: 'sg', segments: [{ buffer: own }, { buffer: foreign }] },
      'policy-conflict',
      '/segments/1/buffer',
    );
    machine.refused(
      { op: 'iommu-map', domain: 'of-red', iova: 0, physicalAddress: 0, lengthBytes: 4096, access: 'r' },
      'policy-conflict',
      '/domain',
    );
  });

  test('memory that the guest had before its domain is mapped as well', () => {
    const machine = two({ domains: [], devices: [] });
    const before = machine.addressOf(machine.buffer(8192, { tenant: 'red' }));
    machine.ok({ op: 'domain', name: 'late', tenant: 'red' });
    machine.ok({ op: 'device', name: 'r', kind: 'custom', domain: 'late' });
    assert.equal(machine.touch('r', before + 4096).verdict, 'unprotected');
    assert.equal(machine.touch('r', before + 8192).verdict, 'fault');
  });

  test('large pages where a block has room for them', () => {
    const machine = two();
    const at = machine.addressOf(machine.buffer(2 ** 22, { tenant: 'red', physicalAddress: 0x800000 }));
    machine.touch('r', at + 4096);
    const hit = machine.touch('r', at + 100 * 4096);
    assert.equal(hit.from, 'iotlb');
    const { entries } = machine.read<{ entries: { pageSize: string }[] }>({ read: 'iotlb' });
    assert.deepEqual(
      entries.map(({ pageSize }) => pageSize),
      ['2MiB'],
    );
  });
});

describe('when memory changes hands', () => {
  test('a freed buffer is out of reach at once, a cached translation included', () => {
    const machine = two();
    const buffer = machine.buffer(4096, { tenant: 'red' });
    const at = machine.addressOf(buffer);
    assert.equal(machine.touch('r', at).from, 'walk');
    assert.equal(machine.touch('r', at).from, 'iotlb');
    machine.ok({ op: 'free', buffer });
    assert.equal(machine.touch('r', at).verdict, 'fault');
    const again = machine.buffer(4096, { tenant: 'blue' });
    assert.equal(machine.addressOf(again), at, 'the frame went to the other guest');
    assert.equal(machine.touch('b', at).verdict, 'unprotected');
    assert.equal(machine.touch('r', at).verdict, 'fault');
  });

  test('a device TLB forgets it as well', () => {
    const machine = two({
      devices: [
        { name: 'r', kind: 'custom', domain: 'of-red', deviceTlb: {} },
        { name: 'b', kind: 'custom', domain: 'of-blue' },
      ],
    });
    const buffer = machine.buffer(4096, { tenant: 'red' });
    const at = machine.addressOf(buffer);
    machine.touch('r', at);
    assert.equal(machine.touch('r', at).from, 'device-tlb');
    machine.ok({ op: 'free', buffer });
    assert.equal(machine.addressOf(machine.buffer(4096, { tenant: 'blue' })), at);
    assert.equal(machine.touch('r', at).verdict, 'fault');
  });

  test('a guest that goes leaves nothing mapped', () => {
    const machine = two();
    const at = machine.addressOf(machine.buffer(2 ** 21, { tenant: 'red', physicalAddress: 0x800000 }));
    machine.touch('r', at);
    machine.ok({ op: 'tenant-remove', tenant: 'red' });
    assert.equal(machine.touch('r', at).verdict, 'fault');
  });

  test('what drivers give back stays the guest’s until somebody else is handed it', () => {
    const machine = two({
      workloads: [{ name: 'rx', kind: 'nic-rx', device: 'r', gbps: 1, ringSize: 8, mappingsPerPacket: 1 }],
    });
    const result = machine.run({ forNs: 2_000_000 });
    assert.ok(result.workloads[0]!.operations > 10);
    assert.equal(
      result.verdicts.ok,
      Object.values(result.verdicts).reduce((sum, count) => sum + count, 0),
    );
    // Packets come and go in the guest's own memory: the hypervisor has nothing to do, and cached translations live on.
    assert.equal(result.counts.descriptors, 0);
    assert.equal(result.counts.ptesCleared, 0);
    assert.ok(result.iotlb.hits > result.iotlb.misses * 3, JSON.stringify(result.iotlb));
    machine.ok({ op: 'workload-remove', workload: 'rx' });
    const freed = [...Array(16)]
      .map((_, i) => 2 ** 20 + i * 4096)
      .filter((at) => machine.touch('r', at).verdict === 'unprotected');
    assert.ok(freed.length >= 8, 'still the guest’s');
    const taken = new Set([...Array(16)].map(() => machine.addressOf(machine.buffer(4096, { tenant: 'blue' }))));
    for (const at of freed) {
      if (!taken.has(at)) continue;
      assert.equal(machine.touch('r', at).verdict, 'fault');
      assert.equal(machine.touch('b', at).verdict, 'unprotected');
    }
    assert.ok(freed.some((at) => taken.has(at)));
  });

  test('in any history a device reaches the frames of its guest and no other', () => {
    const machine = two({ machine: { memoryBytes: 2 ** 24, frameReuse: 'random' } });
    const dice = new Dice(3);
    const owned = new Map<string, { tenant: string; at: number; pages: number }>();
    for (let step = 0; step < 600; step++) {
      if (dice.chance(2)) {
        const tenant = dice.pick(['red', 'blue']);
        const pages = dice.pick([1, 1, 2, 3, 512]);
        const outcome = machine.apply({ op: 'buffer', lengthBytes: pages * 4096, tenant });
        if (outcome.status !== 'ok') continue;
        const id = outcome.result.id as string;
        owned.set(id, { tenant, at: machine.addressOf(id) / 4096, pages });
      } else if (owned.size > 0) {
        const id = dice.pick([...owned.keys()]);
        machine.ok({ op: 'free', buffer: id });
        owned.delete(id);
      }
      for (let i = 0; i < 5; i++) {
        const device = dice.pick(['r', 'b']);
        const page = 256 + dice.below(2 ** 12 - 256);
        const holder = [...owned.values()].find(({ at, pages }) => page >= at && page < at + pages);
        const reached = holder?.tenant === (device === 'r' ? 'red' : 'blue');
        assert.equal(machine.touch(device, page * 4096).verdict, reached ? 'unprotected' : 'fault', `step ${step}`);
      }
    }
  });

  test('without a frame for a table a guest is not handed its memory', () => {
    const machine = two({ machine: { memoryBytes: 2 ** 20 + 6 * 4096 } });
    const outcomes = [...Array(8)].map(() => machine.apply({ op: 'buffer', lengthBytes: 4096, tenant: 'red' }));
    assert.ok(outcomes.some(({ status }) => status === 'failed'));
    const frames = machine.metrics().counters.framesInUse!;
    machine.fails({ op: 'buffer', lengthBytes: 4096, tenant: 'red' }, 'no-frame');
    assert.equal(machine.metrics().counters.framesInUse, frames);
  });
});

describe('whose a domain is', () => {
  test('a domain without a guest is refused', () => {
    const machine = two({
      tenants: [
        { name: 'red', kind: 'vm' },
        { name: 'blue', kind: 'vm' },
        { name: 'p', kind: 'process' },
      ],
    });
    machine.refused({ op: 'domain' }, 'policy-conflict', '/tenant');
    machine.refused({ op: 'domain', tenant: 'p' }, 'policy-conflict', '/tenant');
    machine.refused({ op: 'device', kind: 'custom' }, 'policy-conflict', '/domain');
  });

  test('a device of its own belongs to the only guest there is', () => {
    for (const mode of ['direct', 'emulated', 'paravirtual', 'nested']) {
      const machine = new Machine({
        policy: { mode },
        tenants: [{ kind: 'vm' }],
        devices: [{ name: 'd', kind: 'custom' }],
      });
      assert.equal(machine.read<{ tenant: string }>({ read: 'domain', id: 'dom_0' }).tenant, 'ten_1');
      machine.map('d', { buffer: machine.buffer(4096, { tenant: 'ten_1' }) });
    }
    assert.throws(
      () => new Machine({ policy: { mode: 'direct' }, devices: [{ kind: 'custom' }] }),
      /devices\/0\/domain/,
    );
  });

  test('a workload has the memory of its guest, and of no other', () => {
    const machine = two();
    machine.refused({ op: 'workload', kind: 'nic-rx', device: 'r', tenant: 'blue' }, 'policy-conflict', '/tenant');
    machine.ok({ op: 'workload', kind: 'nic-rx', device: 'r', ringSize: 4 });
    machine.run({ forNs: 10_000 });
    assert.ok(machine.read<{ usedBytes: number }>({ read: 'tenant', id: 'red' }).usedBytes > 0);
  });

  test('coherent memory is the guest’s', () => {
    const machine = two();
    const { iova, id } = machine.map('r', { kind: 'coherent', lengthBytes: 4096 });
    assert.equal(machine.touch('r', iova).verdict, 'ok');
    assert.equal(machine.touch('b', iova).verdict, 'fault');
    machine.unmap(id);
    assert.equal(machine.touch('r', iova).verdict, 'fault');
  });
});
