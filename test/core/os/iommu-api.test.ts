/** Explicit ranges as VFIO maps them: page sizes, holes, superpages, what stands in the way. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Operation } from '../../../src/core/operations.ts';
import { Machine } from '../build.ts';

const KIB4 = 4096;
const MIB2 = 2 ** 21;
const GIB = 2 ** 30;

type MapRange = Extract<Operation, { op: 'iommu-map' }>;
const mapRange = (fields: Partial<MapRange> = {}): MapRange => ({
  op: 'iommu-map',
  domain: 'dom_0',
  iova: 0x40000000,
  physicalAddress: 0x80000000,
  lengthBytes: KIB4,
  access: 'rw',
  ...fields,
});
const unmapRange = (iova: number | string, lengthBytes: number, invalidate = true): Operation => ({
  op: 'iommu-unmap',
  domain: 'dom_0',
  iova,
  lengthBytes,
  invalidate,
});
const machineOf = (spec: Record<string, unknown> = {}) =>
  new Machine({ devices: [{ name: 'n', kind: 'custom' }], ...spec });

const sizes = (machine: Machine, fields: Partial<MapRange>) =>
  machine.ok<{ pageSizes: Record<string, number>; ptesWritten: number }>(mapRange(fields));

describe('iommu-map', () => {
  test('chooses the largest page that divides both addresses and is not longer than what is left', () => {
    const machine = machineOf();
    assert.deepEqual(
      sizes(machine, { iova: 0x40000000, physicalAddress: 0x80000000, lengthBytes: GIB + MIB2 + KIB4 }).pageSizes,
      {
        '4KiB': 1,
        '2MiB': 1,
        '1GiB': 1,
      },
    );
    assert.deepEqual(
      sizes(machine, { iova: 2 ** 34 - KIB4, physicalAddress: MIB2 - KIB4, lengthBytes: 2 * MIB2 }).pageSizes,
      {
        '4KiB': 512,
        '2MiB': 1,
      },
    );
    assert.deepEqual(sizes(machine, { iova: 2 ** 35, physicalAddress: KIB4, lengthBytes: MIB2 }).pageSizes, {
      '4KiB': 512,
    });
    assert.deepEqual(sizes(machine, { iova: 2 ** 36, physicalAddress: MIB2, lengthBytes: GIB }).pageSizes, {
      '2MiB': 512,
    });
  });

  test('pageSize is a ceiling that must divide everything', () => {
    const machine = machineOf();
    assert.deepEqual(sizes(machine, { lengthBytes: MIB2, pageSize: '4KiB' }).pageSizes, { '4KiB': 512 });
    assert.deepEqual(sizes(machine, { iova: 2 ** 34, lengthBytes: GIB, pageSize: '2MiB' }).pageSizes, { '2MiB': 512 });
    machine.refused(mapRange({ iova: 2 ** 35, lengthBytes: KIB4, pageSize: '2MiB' }), 'misaligned', '/lengthBytes');
    machine.refused(mapRange({ iova: 2 ** 35 + KIB4, lengthBytes: MIB2, pageSize: '2MiB' }), 'misaligned', '/iova');
    machine.refused(
      mapRange({ iova: 2 ** 35, physicalAddress: KIB4, lengthBytes: MIB2, pageSize: '2MiB' }),
      'misaligned',
      '/physicalAddress',
    );
    machineOf({ iommu: { superpages: ['1GiB'] } }).refused(
      mapRange({ lengthBytes: MIB2, pageSize: '2MiB' }),
      'invalid-operation',
      '/pageSize',
    );
  });

  test('takes any physical address below 2^52, and none beyond', () => {
    const machine = machineOf();
    sizes(machine, { physicalAddress: '0xffffffffff000' });
    assert.equal(machine.touch('n', 0x40000000).physicalAddress, '0xffffffffff000');
    machine.refused(
      mapRange({ iova: 2 ** 33, physicalAddress: '0x10000000000000' }),
      'invalid-address',
      '/physicalAddress',
    );
    machine.refused(
      mapRange({ iova: 2 ** 33, physicalAddress: '0xffffffffff000', lengthBytes: 8192 }),
      'invalid-address',
    );
  });

  test('is refused over a live mapping of either kind, over one that waits for its flush, over a reserved region', () => {
    const machine = machineOf();
    sizes(machine, { lengthBytes: 16384 });
    machine.refused(mapRange({ iova: 0x40003000, lengthBytes: 8192 }), 'overlap', '/iova');
    machine.refused(mapRange({ iova: 0x3ffff000, lengthBytes: 8192 }), 'overlap', '/iova');
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.refused(mapRange({ iova }), 'overlap', '/iova');
    machine.unmap(id);
    machine.refused(mapRange({ iova }), 'overlap', '/iova');
    machine.advance(10_000_000);
    machine.ok(mapRange({ iova }));
    for (const [start, lengthBytes] of [
      [0xfee00000, 4096],
      [0xfedff000, 8192],
      [0xfeeff000, 8192],
    ] as const)
      machine.refused(mapRange({ iova: start, lengthBytes }), 'reserved-region', '/iova');
    machine.ok(mapRange({ iova: 0xfedff000, lengthBytes: 4096 }));
    machine.ok(mapRange({ iova: 0xfef00000, lengthBytes: 4096 }));
  });

  test('keeps the DMA API away while it lives', () => {
    const machine = machineOf({
      policy: { allocator: { kind: 'bitmap', apertureBytes: 2 ** 20 }, invalidation: { kind: 'strict' } },
    });
    machine.ok(mapRange({ iova: 4096, lengthBytes: 100 * 4096 }));
    const buffer = machine.buffer(4096);
    const first = machine.map('n', { buffer });
    assert.equal(Number(first.iova), 101 * 4096);
    machine.unmap(first.id);
    machine.ok(unmapRange(4096, 100 * 4096));
    const seen = new Set(Array.from({ length: 254 }, () => Number(machine.map('n', { buffer }).iova)));
    assert.ok(seen.has(4096), 'and is its again afterwards');
  });

  test('an address beyond the width of the domain is refused, the last page is not', () => {
    const machine = machineOf();
    machine.refused(mapRange({ iova: '0x1000000000000' }), 'address-width', '/iova');
    machine.refused(mapRange({ iova: '0xfffffffff000', lengthBytes: 8192 }), 'address-width', '/iova');
    machine.refused(unmapRange('0x1000000000000', 4096), 'address-width', '/iova');
    machine.ok(mapRange({ iova: '0xfffffffff000' }));
    assert.equal(machine.touch('n', '0xfffffffff000').verdict, 'ok');
    const wide = machineOf({ iommu: { levels: 5 } });
    wide.ok(mapRange({ iova: '0x1fffffffffff000' }));
    assert.equal(wide.touch('n', '0x1fffffffffff000').physicalAddress, '0x80000000');
    wide.refused(mapRange({ iova: '0x200000000000000' }), 'address-width');
  });

  test('misaligned and oversized ranges are refused', () => {
    const machine = machineOf();
    machine.refused(mapRange({ iova: 0x40000001 }), 'misaligned', '/iova');
    machine.refused(mapRange({ lengthBytes: 4097 }), 'misaligned', '/lengthBytes');
    machine.refused(mapRange({ physicalAddress: 1 }), 'misaligned', '/physicalAddress');
    machine.refused(mapRange({ lengthBytes: 2 ** 32 + 4096 }), 'too-many-pages', '/lengthBytes');
    machine.refused(mapRange({ domain: 'dom_7' }), 'unknown-domain', '/domain');
    machineOf({ policy: { mode: 'passthrough', invalidation: { kind: 'strict' } } }).refused(
      mapRange(),
      'policy-conflict',
      '/domain',
    );
  });

  test('is never subpage', () => {
    const machine = machineOf();
    sizes(machine, {});
    assert.equal(machine.touch('n', 0x40000000, 'write', 4096).verdict, 'ok');
  });
});

describe('iommu-unmap', () => {
  test('holes are fine, none of it mapped is no error', () => {
    const machine = machineOf();
    sizes(machine, { iova: 0x40000000 });
    sizes(machine, { iova: 0x40005000 });
    assert.equal(machine.ok(unmapRange(0x40000000, MIB2)).unmappedBytes, 8192);
    assert.equal(machine.ok(unmapRange(0x40000000, MIB2)).unmappedBytes, 0);
    assert.equal(machine.sim.counters.invalidationsRange, 1, 'nothing to invalidate the second time');
  });

  test('a middle piece leaves the rest as it was', () => {
    const machine = machineOf();
    sizes(machine, { lengthBytes: 10 * KIB4, physicalAddress: 0x80001000 });
    machine.ok(unmapRange(0x40003000, 2 * KIB4));
    const verdicts = Array.from(
      { length: 10 },
      (_, page) => machine.touch('n', 0x40000000 + page * KIB4).physicalAddress ?? 'fault',
    );
    assert.deepEqual(
      verdicts,
      [1, 2, 3, 0, 0, 6, 7, 8, 9, 10].map((page) =>
        page === 0 ? 'fault' : `0x${(0x80000000 + page * KIB4).toString(16)}`,
      ),
    );
    machine.ok(mapRange({ iova: 0x40003000 }));
    machine.refused(mapRange({ iova: 0x40005000 }), 'overlap');
  });

  test('cutting a superpage is refused, taking whole ones is not', () => {
    const machine = machineOf();
    sizes(machine, { lengthBytes: 2 * MIB2 });
    for (const [iova, lengthBytes] of [
      [0x40000000, KIB4],
      [0x40000000, MIB2 - KIB4],
      [0x40000000, MIB2 + KIB4],
      [0x40001000, 2 * MIB2],
      [0x3ffff000, MIB2],
    ] as const)
      machine.refused(unmapRange(iova, lengthBytes), 'superpage-cut', '/iova');
    assert.equal(machine.ok(unmapRange(0x40000000, MIB2)).unmappedBytes, MIB2);
    assert.equal(machine.ok(unmapRange(0x3fe00000, 3 * MIB2)).unmappedBytes, MIB2);
  });

  test('what the DMA API mapped is not for this call', () => {
    const machine = machineOf();
    const { iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.refused(unmapRange(iova, 4096), 'overlap', '/iova');
  });

  test('without invalidation the device goes on until someone invalidates: an exposure window', () => {
    const machine = machineOf({ policy: { invalidation: { kind: 'strict' } } });
    sizes(machine, {});
    machine.touch('n', 0x40000000);
    machine.ok(unmapRange(0x40000000, KIB4, false));
    const piece = machine.touch('n', 0x40000000);
    assert.deepEqual([piece.verdict, piece.cause], ['stale', 'iotlb']);
    const { potential, actual } = machine.metrics().exposure;
    assert.deepEqual([potential.currentPages, actual.currentPages], [1, 1]);
    machine.ok({ op: 'invalidate', scope: 'domain', domain: 'dom_0' });
    assert.equal(machine.touch('n', 0x40000000).verdict, 'fault');
    assert.equal(machine.metrics().exposure.actual.currentPages, 0);
  });

  test('mapping 4 GiB and unmapping it leaves no table that it covers behind', () => {
    const machine = machineOf({ iommu: { superpages: [] } });
    const { framesInUse } = machine.sim.memory;
    machine.ok(mapRange({ iova: 2 ** 33, lengthBytes: 2 ** 32 }));
    assert.ok(machine.sim.memory.framesInUse > framesInUse + 2048);
    assert.equal(machine.ok(unmapRange(2 ** 33, 2 ** 32)).unmappedBytes, 2 ** 32);
    assert.equal(
      machine.sim.memory.framesInUse,
      framesInUse + 1,
      'level 3 spans 512 GiB, and is the one table that stays',
    );
  });
});

describe('invalidate', () => {
  test('members that do not belong to the scope are refused by name', () => {
    const machine = machineOf();
    const base = { op: 'invalidate' } as const;
    machine.refused({ ...base, scope: 'global', domain: 'dom_0' }, 'invalid-operation', '/domain');
    machine.refused({ ...base, scope: 'global', iova: 0 }, 'invalid-operation', '/iova');
    machine.refused({ ...base, scope: 'domain' }, 'invalid-operation', '/domain');
    machine.refused(
      { ...base, scope: 'domain', domain: 'dom_0', lengthBytes: 4096 },
      'invalid-operation',
      '/lengthBytes',
    );
    machine.refused({ ...base, scope: 'range', domain: 'dom_0', iova: 0 }, 'invalid-operation', '/lengthBytes');
    machine.refused({ ...base, scope: 'range', domain: 'dom_0', lengthBytes: 1 }, 'invalid-operation', '/iova');
    machine.refused(
      { ...base, scope: 'range', domain: 'nobody', iova: 0, lengthBytes: 1 },
      'unknown-domain',
      '/domain',
    );
    machine.refused(
      { ...base, scope: 'range', domain: 'dom_0', iova: '0xffffffffff000', lengthBytes: 8192 },
      'address-width',
      '/iova',
    );
  });

  test('bytes are rounded out to pages', () => {
    const { effectiveRange } = machineOf().ok({
      op: 'invalidate',
      scope: 'range',
      domain: 'dom_0',
      iova: 0x2fff,
      lengthBytes: 2,
    });
    assert.deepEqual(effectiveRange, { scope: 'range', iova: '0x2000', lengthBytes: 8192 });
  });
});
