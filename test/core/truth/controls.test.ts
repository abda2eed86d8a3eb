/**
 * What must be caught: a policy that never invalidates, and some that do it wrong as real code has. An oracle that is content with
 * these would be content with anything.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ROW } from '../../../src/core/meter/work.ts';
import { policies } from '../../../src/core/os/invalidation/index.ts';
import type { InvalidationPolicy, PolicyEntry, PolicyParts } from '../../../src/core/os/invalidation/policy.ts';
import { Dice, Machine } from '../build.ts';
import { History } from './history.ts';

abstract class Broken implements InvalidationPolicy {
  protected readonly parts: PolicyParts;
  queued = 0;
  readonly capacity = 0;
  readonly locks = [];

  constructor(parts: PolicyParts) {
    this.parts = parts;
  }

  abstract unmapped(...range: Parameters<InvalidationPolicy['unmapped']>): void;
  wrapped(): void {}
  freedAhead(): void {}
  drain(): void {}
  timer(): boolean {
    return false;
  }
  holds(): boolean {
    return false;
  }
  queue(): [] {
    return [];
  }
  rebase(): void {}
  digest(): void {}
}

/** Batches invalidations like the driver of 2008, but hands the address out again at once instead of after the flush. */
class FreesFirst extends Broken {
  unmapped(...[domain, pfn, pages]: Parameters<InvalidationPolicy['unmapped']>): void {
    this.parts.tables.releaseUnlinked();
    this.parts.freeIova(domain, pfn, pages);
    if (++this.queued < 50) return;
    this.parts.flush.global(this.parts.domains);
    this.queued = 0;
  }
}

/** Strict, but with a mask that leaves a part of the range cached: the size is rounded down where it must be rounded up. */
class MaskTooSmall extends Broken {
  unmapped(...[domain, pfn, pages]: Parameters<InvalidationPolicy['unmapped']>): void {
    let block = 1;
    while (block * 2 <= pages) block *= 2;
    this.parts.flush.range(domain, pfn, block, false);
    this.parts.tables.releaseUnlinked();
    this.parts.freeIova(domain, pfn, pages);
  }
}

/**
 * Strict, but the start goes out as it is, with a mask of the length's next power of two, as the driver did until commit 2d6ffc63f124:
 * the chip ignores the low bits, so pages at the end of the range stay cached.
 */
class UnalignedStart extends Broken {
  unmapped(...[domain, pfn, pages]: Parameters<InvalidationPolicy['unmapped']>): void {
    const { unit, work, costs, tables, freeIova } = this.parts;
    work.add(ROW.invalidation, costs.invalidation);
    unit.submit(work.cpu, 1);
    unit.pages(domain.index, pfn, Math.ceil(Math.log2(pages)), false, work.now());
    tables.releaseUnlinked();
    freeIova(domain, pfn, pages);
  }
}

/** Strict, but for the IOTLB alone: devices that cache translations themselves are not told. */
class ForgetsDevices extends Broken {
  unmapped(...[domain, pfn, pages]: Parameters<InvalidationPolicy['unmapped']>): void {
    const { unit, work, costs, tables, freeIova } = this.parts;
    work.add(ROW.invalidation, costs.invalidation);
    unit.submit(work.cpu, 1);
    unit.range(domain.index, pfn, pages, false, work.now());
    tables.releaseUnlinked();
    freeIova(domain, pfn, pages);
  }
}

/** Strict, but devices are told before the IOTLB is: they may ask again, and are given the old translation. */
class DevicesFirst extends Broken {
  unmapped(...[domain, pfn, pages]: Parameters<InvalidationPolicy['unmapped']>): void {
    const { flush, unit, work, costs, tables, freeIova } = this.parts;
    flush.deviceRange(domain, pfn, pages);
    work.add(ROW.invalidation, costs.invalidation);
    unit.submit(work.cpu, 1);
    unit.range(domain.index, pfn, pages, false, work.now());
    tables.releaseUnlinked();
    freeIova(domain, pfn, pages);
  }
}

const entry = (kind: string, create: PolicyEntry['create']): PolicyEntry => ({
  ...policies.never!,
  kind,
  defaults: { kind },
  create,
});

/** What the oracle says of a driver that maps, uses and unmaps, and of a device that comes back a little later. */
function complaints(
  invalidation: string,
  allocator: Record<string, unknown> = { kind: 'bitmap', apertureBytes: 2 ** 20 },
  deviceTlb = false,
) {
  const machine = new Machine({
    policy: { allocator, invalidation: { kind: invalidation } },
    iommu: { iotlb: { entries: 256, ways: 0 } },
    devices: [{ name: 'n', kind: 'custom', ...(deviceTlb && { deviceTlb: { entries: 256, ways: 0 } }) }],
  });
  const dice = new Dice(1);
  const live: { id: string; iova: number; pages: number }[] = [];
  const past: { iova: number; pages: number }[] = [];
  const buffers = Array.from({ length: 8 }, () => machine.buffer(5 * 4096));
  const verdicts: Record<string, number> = {};
  const causes: Record<string, number> = {};
  for (let step = 0; step < 3000; step++) {
    const choice = dice.below(4);
    if (choice === 0 && live.length < 10) {
      const pages = 1 + dice.below(5);
      const { id, iova } = machine.map('n', { buffer: dice.pick(buffers), lengthBytes: pages * 4096 });
      live.push({ id, iova: Number(iova), pages });
      machine.dma('n', iova, 'write', pages * 4096);
    } else if (choice === 1 && live.length > 5) {
      const [gone] = live.splice(dice.below(live.length), 1);
      machine.unmap(gone!.id);
      past.push(gone!);
    } else {
      const where = choice === 2 ? past.slice(-6) : live;
      if (where.length === 0) continue;
      const { iova, pages } = dice.pick(where);
      const { verdict, cause } = machine.touch('n', iova + 4096 * dice.below(pages), 'write');
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      if (cause !== undefined) causes[cause] = (causes[cause] ?? 0) + 1;
    }
  }
  const { potential, actual } = machine.metrics().exposure;
  return { verdicts, causes, windows: potential.windows, open: potential.currentPages, actual: actual.windows };
}

const bad = ({ verdicts }: { verdicts: Record<string, number> }) =>
  Object.entries(verdicts)
    .filter(([verdict]) => verdict !== 'ok' && verdict !== 'fault')
    .reduce((sum, [, count]) => sum + count, 0);

describe('controls', () => {
  before(() => {
    policies['frees-first'] = entry('frees-first', (parts) => new FreesFirst(parts));
    policies['mask-too-small'] = entry('mask-too-small', (parts) => new MaskTooSmall(parts));
    policies['unaligned-start'] = entry('unaligned-start', (parts) => new UnalignedStart(parts));
    policies['forgets-devices'] = entry('forgets-devices', (parts) => new ForgetsDevices(parts));
    policies['devices-first'] = entry('devices-first', (parts) => new DevicesFirst(parts));
  });
  after(() => {
    delete policies['frees-first'];
    delete policies['mask-too-small'];
    delete policies['unaligned-start'];
    delete policies['forgets-devices'];
    delete policies['devices-first'];
  });

  test('strict gives no cause for complaint', () => {
    const found = complaints('strict');
    assert.equal(bad(found), 0, JSON.stringify(found));
    assert.equal(found.windows, 0);
    assert.ok(found.verdicts.fault! > 100 && found.verdicts.ok! > 100, JSON.stringify(found));
  });

  test('never is caught', () => {
    const found = complaints('never');
    assert.ok(bad(found) > 100, JSON.stringify(found));
    assert.ok(found.windows > 100);
  });

  test('handing the address out before the flush is caught as misdirected', () => {
    const found = complaints('frees-first', { kind: 'rbtree' });
    assert.ok((found.verdicts.misdirected ?? 0) > 20, JSON.stringify(found));
    assert.ok(found.windows > 100);
    const correct = complaints('deferred-2008', { kind: 'rbtree' });
    assert.equal(correct.verdicts.misdirected ?? 0, 0, 'the driver of 2008 holds addresses back until the flush');
  });

  test('an invalidation of the wrong range is caught as stale, where strict shows nothing', () => {
    const found = complaints('mask-too-small');
    assert.ok(bad(found) > 20, JSON.stringify(found));
    assert.ok(found.windows > 20);
  });

  test('a start that is not aligned to its mask is caught as stale', () => {
    // Most allocators align a range to its size, and hide the mistake.
    const found = complaints('unaligned-start', { kind: 'gart', entries: 256 });
    assert.ok(bad(found) > 20, JSON.stringify(found));
    assert.ok(found.windows > 20);
    assert.deepEqual(Object.keys(found.causes), ['iotlb']);
  });

  test('with a device TLB strict still gives no cause for complaint, and no window opens', () => {
    const found = complaints('strict', undefined, true);
    assert.equal(bad(found), 0, JSON.stringify(found));
    assert.deepEqual([found.windows, found.actual], [0, 0]);
    assert.ok(found.verdicts.fault! > 100 && found.verdicts.ok! > 100, JSON.stringify(found));
  });

  test('never is caught by way of the device TLB', () => {
    const found = complaints('never', undefined, true);
    assert.ok(found.causes['device-tlb']! > 100, JSON.stringify(found));
  });

  test('a driver that forgets the device TLB is caught, and its windows stay open; without one it is as good as strict', () => {
    const found = complaints('forgets-devices', undefined, true);
    assert.ok(found.causes['device-tlb']! > 50, JSON.stringify(found));
    assert.deepEqual(Object.keys(found.causes), ['device-tlb']);
    assert.ok(found.windows > 100 && found.open === found.windows, 'nobody ever ends them');
    const without = complaints('forgets-devices');
    assert.deepEqual([bad(without), without.windows], [0, 0]);
  });

  test('a driver that tells the device first leaves windows, though here the device never asks in between', () => {
    const found = complaints('devices-first', undefined, true);
    assert.ok(found.windows > 100, JSON.stringify(found));
    assert.deepEqual([bad(found), found.actual], [0, 0]);
  });

  test('the naive oracle agrees with the core on the broken ones too', () => {
    const tlb = { entries: 16, ways: 4, replacement: 'lru' } as const;
    for (const kind of ['frees-first', 'mask-too-small', 'unaligned-start', 'forgets-devices', 'devices-first'])
      for (const deviceTlbs of [[], [tlb, null, tlb]])
        new History({ policy: { allocator: { kind: 'rbtree' }, invalidation: { kind } } }, 3, false, deviceTlbs).run(
          1500,
        );
  });
});
