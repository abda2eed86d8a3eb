/** Devices that cache translations themselves: who is asked, what is kept, what ends it, what that costs, when it is off. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { aligned, codeDeviceRange, decodeDeviceRange } from '../../../src/core/hardware/invalidation.ts';
import type { Operation } from '../../../src/core/operations.ts';
import { SpecError } from '../../../src/core/resolve-spec.ts';
import { deviceBlock } from '../../oracles/address-mask.ts';
import { Dice, Machine } from '../build.ts';

const MIB2 = 2 ** 21;
const REQUEST_NS = 600;

interface Shown {
  entries: number;
  ways: number;
  replacement: string;
  enabled: boolean;
  reason?: string;
  lookups?: number;
  hits?: number;
}

const ats = (fields: Record<string, unknown> = {}, deviceTlb: Record<string, unknown> = {}) =>
  new Machine({
    policy: { invalidation: { kind: 'strict' } },
    ...fields,
    domains: [{ name: 'shared' }, { name: 'other' }],
    devices: [
      { name: 'n', kind: 'custom', domain: 'shared', deviceTlb },
      { name: 'm', kind: 'custom', domain: 'shared', deviceTlb },
      { name: 'plain', kind: 'custom', domain: 'shared' },
      { name: 'o', kind: 'custom', domain: 'other', deviceTlb },
    ],
  });
const shown = (machine: Machine, device = 'n') =>
  machine.read<{ deviceTlb?: Shown }>({ read: 'device', id: device }).deviceTlb;
const countsOf = ({ sim: { counters } }: Machine) => ({
  descriptors: counters.descriptors,
  waits: counters.waitDescriptors,
  devices: counters.deviceTlbInvalidations,
});
/** What an action adds to the counts. */
function added(machine: Machine, action: () => void) {
  const before = countsOf(machine);
  action();
  const after = countsOf(machine);
  return {
    descriptors: after.descriptors - before.descriptors,
    waits: after.waits - before.waits,
    devices: after.devices - before.devices,
  };
}

describe('the size in a device-TLB descriptor', () => {
  test('a captured one: the whole address space', () => {
    // qw1 of a qi_submit trace: 0x7ffffffffffff001, bits 12 to 62 and S.
    assert.equal(BigInt(codeDeviceRange(0, 52)) << 12n, 0x7ffffffffffff000n);
    decodeDeviceRange(codeDeviceRange(0, 52), true);
    assert.deepEqual({ ...aligned }, { base: 0, pages: 2 ** 52, mask: 52 });
  });

  test('what is coded is what the device takes it for, by the specification’s own rule on bits', () => {
    const dice = new Dice(3);
    for (let i = 0; i < 5000; i++) {
      const mask = dice.below(30);
      const base = Math.floor((dice.below(2 ** 31) * 2 ** dice.below(15)) / 2 ** mask) * 2 ** mask;
      const sent = codeDeviceRange(base, mask);
      const block = deviceBlock(BigInt(sent), mask > 0);
      assert.deepEqual([block.base, block.pages], [BigInt(base), 1n << BigInt(mask)]);
      decodeDeviceRange(sent, mask > 0);
      assert.deepEqual({ ...aligned }, { base, pages: 2 ** mask, mask });
    }
  });

  test('any other address is taken for what its bits say, low ones ignored', () => {
    const dice = new Dice(4);
    for (let i = 0; i < 2000; i++) {
      const page = dice.below(2 ** 30);
      const block = deviceBlock(BigInt(page), true);
      decodeDeviceRange(page, true);
      assert.deepEqual([BigInt(aligned.base), BigInt(aligned.pages)], [block.base, block.pages]);
    }
  });
});

describe('translations that a device keeps', () => {
  test('the first access asks, the later ones come from the device and no look-up of the IOMMU sees them', () => {
    const machine = ats();
    const { iova } = machine.map('n', { buffer: machine.buffer(4096) });
    const first = machine.dma('n', iova);
    assert.deepEqual([first.pages[0]!.from, first.pages[0]!.memoryReferences], ['walk', 4]);
    assert.ok(Math.abs(first.latencyNs - (REQUEST_NS + (4 * 383) / 3.1)) < 0.01, `${first.latencyNs}`);
    const { lookups } = machine.sim.iotlb;
    const second = machine.dma('n', iova, 'read', 100);
    assert.deepEqual([second.pages[0]!.from, second.verdict, second.latencyNs], ['device-tlb', 'ok', 0]);
    assert.equal(second.pages[0]!.physicalAddress, first.pages[0]!.physicalAddress);
    assert.equal(machine.sim.iotlb.lookups, lookups);
    // Another device asks for itself, and is answered from the IOTLB.
    const other = machine.dma('m', iova);
    assert.deepEqual([other.pages[0]!.from, other.latencyNs], ['iotlb', REQUEST_NS]);
    assert.equal(machine.touch('plain', iova).from, 'iotlb');
    assert.equal(machine.touch('plain', iova).from, 'iotlb');
    assert.equal(machine.sim.counters.translationRequests, 2);
    const { lookups: asked, hits } = shown(machine)!;
    assert.deepEqual([asked, hits], [2, 1]);
  });

  test('with the permission: what a mapping does not allow is asked for again, and blocked', () => {
    const machine = ats();
    const { iova } = machine.map('n', { buffer: machine.buffer(4096), direction: 'to-device' });
    assert.equal(machine.touch('n', iova, 'read').from, 'walk');
    assert.equal(machine.touch('n', iova, 'read').from, 'device-tlb');
    const denied = machine.touch('n', iova, 'write');
    assert.deepEqual([denied.verdict, denied.reason], ['fault', 5]);
    assert.equal(machine.touch('n', iova, 'read').from, 'device-tlb');
  });

  test('a page that is not there faults with 5 or 6, and nothing is kept', () => {
    const machine = ats();
    assert.deepEqual([machine.touch('n', 0x5000, 'read').reason, machine.touch('n', 0x5000).reason], [6, 5]);
    const devices = machine.read<{ devices: { device: string; entries: unknown[] }[] }>({ read: 'iotlb' }).devices;
    assert.deepEqual(
      devices.map(({ device, entries }) => [device, entries.length]),
      [
        ['dev_0', 0],
        ['dev_1', 0],
        ['dev_3', 0],
      ],
    );
    assert.equal(machine.sim.faults.records.length, 2);
  });

  test('interrupts, addresses beyond the width and a device without a domain are as without a TLB', () => {
    const machine = ats();
    assert.equal(machine.touch('n', 0xfee00000).from, 'interrupt');
    assert.equal(machine.touch('n', '0x1000000000000').reason, 4);
    machine.ok({ op: 'detach', device: 'n' });
    assert.equal(machine.touch('n', 0x1000).reason, 2);
    assert.equal(machine.sim.counters.translationRequests, 0);
  });

  test('a superpage is one entry for all of it', () => {
    const machine = ats();
    const range = { domain: 'shared', iova: 0x40000000, lengthBytes: MIB2 } as const;
    machine.ok({ op: 'iommu-map', ...range, physicalAddress: 0x40000000, access: 'rw' });
    machine.touch('n', 0x40000000 + 5 * 4096);
    const piece = machine.touch('n', 0x40000000 + 511 * 4096);
    assert.deepEqual([piece.from, piece.physicalAddress], ['device-tlb', '0x401ff000']);
    machine.ok({ op: 'invalidate', scope: 'range', domain: 'shared', iova: 0x40000000 + 9 * 4096, lengthBytes: 4096 });
    assert.equal(machine.touch('n', 0x40000000).from, 'walk', 'any byte of it takes the entry along');
  });

  test('replacement: one entry holds the page used last', () => {
    const machine = ats({}, { entries: 1, ways: 0 });
    const { iova } = machine.map('n', { buffer: machine.buffer(8192) });
    const at = Number(iova);
    for (const page of [0, 1, 0]) assert.notEqual(machine.touch('n', at + page * 4096).from, 'device-tlb');
    assert.equal(machine.touch('n', at).from, 'device-tlb');
  });
});

describe('invalidations of device TLBs', () => {
  test('after the IOTLB’s, one for each device of the domain that has one, each with its wait', () => {
    const machine = ats();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
    for (const device of ['n', 'm', 'plain']) machine.touch(device, iova);
    let cost = 0;
    const counts = added(machine, () => {
      const { breakdown, exposed } = machine.unmap(id);
      cost = breakdown.invalidation!;
      assert.equal(exposed, false);
    });
    assert.deepEqual(counts, { descriptors: 3, waits: 3, devices: 2 });
    assert.equal(cost, 3 * 2127 + 2 * 1860);
    for (const device of ['n', 'm', 'plain']) assert.equal(machine.touch(device, iova).verdict, 'fault');
    assert.equal(machine.metrics().exposure.potential.windows, 0);
    for (const step of ['deviceTlbInvalidation', 'translationRequest'])
      assert.ok(machine.metrics().assumptions.includes(step), step);
  });

  test('replies name what nobody measured, where they used it and nowhere else', () => {
    const machine = ats({ iommu: { invalidation: { batchDescriptors: 16 } } });
    const assumed = (operation: Operation): string[] =>
      machine.ok<{ assumptions?: string[] }>(operation).assumptions ?? [];
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
    const access = { op: 'dma', device: 'n', iova, lengthBytes: 8, access: 'read' } as const;
    assert.deepEqual(assumed(access), ['translationRequest']);
    assert.deepEqual(assumed(access), []);
    const both = ['invalidationDescriptor', 'deviceTlbInvalidation'];
    assert.deepEqual(assumed({ op: 'unmap', mapping: id }), both);
    assert.deepEqual(assumed({ op: 'invalidate', scope: 'domain', domain: 'shared' }), both);
    assert.deepEqual(
      assumed({ op: 'map', device: 'n', kind: 'page', direction: 'to-device', physicalAddress: 0, lengthBytes: 8 }),
      [],
    );
    assert.deepEqual(assumed({ op: 'detach', device: 'plain' }), []);
    assert.deepEqual(assumed({ op: 'detach', device: 'n' }), ['deviceTlbInvalidation']);
    const known = ats({ costs: { overrides: { deviceTlbInvalidation: 1000 } } });
    const mapped = known.map('n', { buffer: known.buffer(4096) });
    assert.equal(known.unmap(mapped.id).assumptions, undefined);
  });

  test('in a batch they share the wait', () => {
    const machine = ats({ iommu: { invalidation: { batchDescriptors: 16 } } });
    const { id } = machine.map('n', { buffer: machine.buffer(4096) });
    let cost = 0;
    const counts = added(machine, () => {
      cost = machine.unmap(id).breakdown.invalidation!;
    });
    assert.deepEqual(counts, { descriptors: 3, waits: 1, devices: 2 });
    assert.equal(cost, 2127 + 2 * 955 + 2 * 1860);
  });

  test('the explicit operation covers them: range, domain, global', () => {
    const machine = ats();
    const mapped = machine.map('n', { buffer: machine.buffer(4 * 4096) });
    const at = Number(mapped.iova);
    const elsewhere = Number(machine.map('o', { buffer: machine.buffer(4096) }).iova);
    const warm = () => {
      for (let page = 0; page < 4; page++) machine.touch('n', at + page * 4096);
      machine.touch('o', elsewhere);
    };
    const kept = () => [
      ...[0, 1, 2, 3].map((page) => machine.sim.everyDevice[0]!.deviceTlb!.probe(0, at / 4096 + page) >= 0),
      machine.sim.everyDevice[3]!.deviceTlb!.probe(1, elsewhere / 4096) >= 0,
    ];
    warm();
    const range = { domain: 'shared', iova: at + 2 * 4096, lengthBytes: 8192 } as const;
    assert.deepEqual(
      added(machine, () => machine.ok({ op: 'invalidate', scope: 'range', ...range })),
      { descriptors: 3, waits: 3, devices: 2 },
    );
    assert.deepEqual(kept(), [true, true, false, false, true]);
    warm();
    machine.ok({ op: 'invalidate', scope: 'domain', domain: 'shared' });
    assert.deepEqual(kept(), [false, false, false, false, true]);
    warm();
    assert.deepEqual(
      added(machine, () => machine.ok({ op: 'invalidate', scope: 'global' })),
      { descriptors: 4, waits: 4, devices: 3 },
    );
    assert.deepEqual(kept(), [false, false, false, false, false]);
  });

  test('where the IOTLB falls back to the domain, devices are still told the range', () => {
    const machine = ats({ iommu: { invalidation: { pageSelective: false } } });
    const { iova } = machine.map('n', { buffer: machine.buffer(2 * 4096) });
    machine.dma('n', iova, 'write', 8192);
    machine.ok({ op: 'invalidate', scope: 'range', domain: 'shared', iova, lengthBytes: 4096 });
    const { deviceTlb } = machine.sim.everyDevice[0]!;
    assert.equal(deviceTlb!.probe(0, Number(iova) / 4096), -1);
    assert.ok(deviceTlb!.probe(0, Number(iova) / 4096 + 1) >= 0);
  });

  test('a device that leaves its domain takes nothing along', () => {
    const machine = ats();
    const { iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.touch('n', iova);
    const counts = added(machine, () => machine.ok({ op: 'attach', device: 'n', domain: 'other' }));
    assert.deepEqual(counts, { descriptors: 2, waits: 2, devices: 1 });
    assert.equal(machine.touch('n', iova).verdict, 'fault');
    assert.deepEqual(
      machine.sim.domains.map(({ deviceTlbs }) => deviceTlbs.map(({ name }) => name)),
      [['m'], ['o', 'n']],
    );
    machine.ok({ op: 'device-remove', device: 'm' });
    assert.deepEqual(machine.sim.domains[0]!.deviceTlbs, []);
  });

  test('caching mode: a new mapping needs nothing of a device', () => {
    const machine = ats({ iommu: { invalidation: { cachingMode: true } } });
    const buffer = machine.buffer(4096);
    assert.deepEqual(
      added(machine, () => machine.map('n', { buffer })),
      { descriptors: 1, waits: 1, devices: 0 },
    );
  });

  test('deferred-2008: one global flush of the IOTLB, and a command for each entry and device', () => {
    const machine = ats({ policy: { invalidation: { kind: 'deferred-2008', highWater: 10 } } });
    const buffer = machine.buffer(4096);
    for (let i = 0; i < 10; i++) machine.unmap(machine.map('n', { buffer }).id);
    const { id } = machine.map('n', { buffer });
    assert.deepEqual(
      added(machine, () => machine.unmap(id)),
      { descriptors: 1 + 2 * 10, waits: 1 + 2 * 10, devices: 20 },
    );
    assert.equal(machine.metrics().exposure.potential.currentPages, 1);
  });
});

describe('exposure through a device', () => {
  test('an entry keeps a window actual until the flush, as one of the IOTLB does; the verdict names the device', () => {
    const machine = ats({ policy: { invalidation: { kind: 'deferred-2008' } } });
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.touch('n', iova);
    const page = Number(iova) / 4096;
    // The IOTLB forgets it by itself; only the device still has it.
    machine.sim.iotlb.invalidate(0, page, page);
    assert.equal(machine.unmap(id).exposed, true);
    const { verdict, cause, from } = machine.touch('n', iova);
    assert.deepEqual([verdict, cause, from], ['stale', 'device-tlb', 'device-tlb']);
    assert.equal(machine.touch('plain', iova).verdict, 'fault');
    assert.equal(machine.metrics().exposure.actual.currentPages, 1);
    machine.advance(11_000_000);
    const { potential, actual } = machine.metrics().exposure;
    assert.deepEqual([potential.currentPages, actual.currentPages, actual.windows], [0, 0, 1]);
    // `n` is told first; the window is over when `m` is, too.
    const between = ((2127 + 1860) * 1000) / 3100;
    assert.ok(Math.abs(potential.longestWindowNs - actual.longestWindowNs - between) < 0.01);
    assert.equal(machine.touch('n', iova).verdict, 'fault');
  });

  test('evicted from the device, the window is no longer actual, and still potential', () => {
    const machine = ats({ policy: { invalidation: { kind: 'deferred-2008' } } }, { entries: 1, ways: 0 });
    const buffer = machine.buffer(4096);
    const gone = machine.map('n', { buffer });
    const other = machine.map('n', { buffer });
    machine.touch('n', gone.iova);
    machine.sim.iotlb.invalidate(0, 0, 2 ** 36);
    assert.equal(machine.unmap(gone.id).exposed, true);
    machine.advance(1000);
    machine.touch('n', other.iova);
    const { potential, actual } = machine.metrics().exposure;
    assert.deepEqual([potential.currentPages, actual.currentPages], [1, 0]);
    assert.equal(actual.longestWindowNs, 1000);
  });

  test('a stale entry of the IOTLB is passed on to a device that asks, and lives on there', () => {
    const machine = ats({ policy: { invalidation: { kind: 'never' } } });
    const { id, iova } = machine.map('plain', { buffer: machine.buffer(4096) });
    machine.touch('plain', iova);
    machine.unmap(id);
    assert.equal(machine.touch('n', iova).cause, 'iotlb');
    const page = Number(iova) / 4096;
    machine.sim.iotlb.invalidate(0, page, page);
    assert.equal(machine.touch('n', iova).cause, 'device-tlb');
    assert.equal(machine.touch('plain', iova).verdict, 'fault');
    const { actual } = machine.metrics().exposure;
    assert.deepEqual([actual.currentPages, actual.windows], [1, 1], 'one window without a break');
    machine.ok({ op: 'invalidate', scope: 'domain', domain: 'shared' });
    assert.equal(machine.metrics().exposure.potential.currentPages, 0);
  });

  test('traffic of NICs with device TLBs: strict opens no window at any CPU count, deferred ones close', () => {
    for (const [kind, cpus] of [
      ['strict', 1],
      ['strict', 4],
      ['deferred-2008', 4],
      ['flush-queue', 4],
    ] as const) {
      const machine = new Machine({
        machine: { cpus },
        policy: { allocator: { kind: 'bitmap' }, invalidation: { kind } },
        devices: [{ name: 'n', kind: 'nic', deviceTlb: { entries: 64, ways: 8 } }],
        workloads: [
          { kind: 'nic-rx', device: 'n', gbps: 5, queues: cpus, ringSize: 32, mappingsPerPacket: 1, cpus: [cpus - 1] },
          { kind: 'hostile', device: 'n', target: 'n', accessesPerUs: 0.5 },
        ],
      });
      const result = machine.run({ forNs: 1e6 }) as unknown as {
        deviceTlb: { lookups: number; hits: number; misses: number };
        exposure: { potential: { windows: number }; staleAccesses: number };
        counts: Record<string, number>;
        operations: number;
      };
      assert.ok(result.operations > 100, kind);
      assert.ok(result.deviceTlb.lookups > 100 && result.deviceTlb.misses > 0, kind);
      assert.equal(result.deviceTlb.lookups, result.deviceTlb.hits + result.deviceTlb.misses);
      if (kind === 'strict') {
        assert.deepEqual([result.exposure.potential.windows, result.exposure.staleAccesses], [0, 0]);
        assert.equal(result.counts.deviceTlbInvalidations, result.counts.unmapCalls);
      } else {
        assert.ok(result.exposure.staleAccesses > 0, kind);
        machine.advance(20e6);
        assert.equal(machine.metrics().exposure.potential.currentPages, 0);
      }
    }
  });
});

describe('a device TLB that the kernel leaves off', () => {
  for (const [why, fields, device] of [
    ['in passthrough', { policy: { mode: 'passthrough' } }, {}],
    ['behind the register interface', { iommu: { invalidation: { interface: 'register' } } }, {}],
    ['of an untrusted device', {}, { untrusted: true }],
  ] as const)
    test(`${why}: said with the reason, and not used`, () => {
      const machine = new Machine({
        ...fields,
        devices: [{ name: 'n', kind: 'custom', deviceTlb: { entries: 16, ways: 4 }, ...device }],
      });
      const { enabled, reason, entries, ways, replacement } = shown(machine)!;
      assert.deepEqual([enabled, entries, ways, replacement], [false, 16, 4, 'lru']);
      assert.ok(reason!.length > 10);
      const { iova, id } = machine.map('n', { buffer: machine.buffer(4096) });
      machine.touch('n', iova);
      assert.notEqual(machine.touch('n', iova).from, 'device-tlb');
      machine.unmap(id);
      const { translationRequests, deviceTlbInvalidations } = machine.sim.counters;
      assert.deepEqual([translationRequests, deviceTlbInvalidations], [0, 0]);
    });

  test('none asked for, none shown', () => {
    assert.equal(shown(ats(), 'plain'), undefined);
    assert.deepEqual(shown(ats()), {
      entries: 64,
      ways: 8,
      replacement: 'lru',
      enabled: true,
      lookups: 0,
      hits: 0,
      evictions: 0,
    });
  });

  test('one that cannot be built is refused by name', () => {
    const machine = new Machine();
    const device = { op: 'device', kind: 'custom' } as const;
    machine.refused({ ...device, deviceTlb: { entries: 10, ways: 4 } }, 'invalid-operation', '/deviceTlb/ways');
    machine.refused(
      { ...device, deviceTlb: { entries: 12, ways: 6, replacement: 'plru' } },
      'invalid-operation',
      '/deviceTlb/replacement',
    );
    assert.throws(
      () => new Machine({ devices: [{ kind: 'custom', deviceTlb: { entries: 10, ways: 4 } }] }),
      (error: unknown) => error instanceof SpecError && error.problems[0]!.path === '/devices/0/deviceTlb/ways',
    );
  });

  test('its contents are part of the state', () => {
    const [warm, cold] = [ats(), ats()];
    for (const machine of [warm, cold]) machine.map('n', { buffer: machine.buffer(4096) });
    assert.equal(warm.sim.digest(), cold.sim.digest());
    const { deviceTlb } = warm.sim.everyDevice[0]!;
    deviceTlb!.fill(0, 1, 0, 1, 3);
    assert.notEqual(warm.sim.digest(), cold.sim.digest());
  });
});
