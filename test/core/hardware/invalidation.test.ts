/** The address-mask rule, its fall-backs, and what each interface counts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { aligned, alignRange } from '../../../src/core/hardware/invalidation.ts';
import { maskedBlock } from '../../oracles/address-mask.ts';
import { Dice, Machine } from '../build.ts';

interface Invalidated {
  descriptors: number;
  effectiveRange: { scope: string; iova?: string; lengthBytes?: number };
}

function invalidate(machine: Machine, iova: number | string, lengthBytes: number, leafOnly = false): Invalidated {
  return machine.ok<Invalidated>({ op: 'invalidate', scope: 'range', domain: 'dom_0', iova, lengthBytes, leafOnly });
}

const one = { devices: [{ name: 'n', kind: 'custom' }] };

describe('address mask', () => {
  // Captured `qi_submit` traces of Linux: first and last byte, base and pages that were sent.
  for (const [first, last, base, pages, mask] of [
    [0xeab00000, 0xeab1afff, 0xeab00000, 0x20, 5],
    [0xeab20000, 0xeab31fff, 0xeab20000, 0x20, 5],
    [0xeaa40000, 0xeaa51fff, 0xeaa40000, 0x20, 5],
    [0x98de0000, 0x98de4fff, 0x98de0000, 8, 3],
    [0x1000, 0x2fff, 0, 4, 2],
    [0x3000, 0x4fff, 0, 8, 3],
    [0x7000, 0x8fff, 0, 16, 4],
    [0x1ff000, 0x200fff, 0, 0x400, 10],
  ] as const)
    test(`${first.toString(16)} to ${last.toString(16)} is sent as ${pages} pages from ${base.toString(16)}`, () => {
      alignRange(first / 4096, (last + 1 - first) / 4096);
      assert.deepEqual({ ...aligned }, { base: base / 4096, pages, mask });
      const { effectiveRange } = invalidate(new Machine(one), first, last + 1 - first);
      assert.deepEqual(effectiveRange, { scope: 'range', iova: `0x${base.toString(16)}`, lengthBytes: pages * 4096 });
    });

  test('50,000 random ranges of up to 57 bits agree with the driver’s own bit arithmetic', () => {
    const dice = new Dice(12);
    for (let i = 0; i < 50_000; i++) {
      const pages = dice.chance(3) ? 1 + dice.below(5) : Math.ceil(2 ** dice.below(21) * (1 + dice.below(100) / 100));
      const first = Math.floor(2 ** dice.below(45) * (1 + dice.below(2 ** 30) / 2 ** 30)) - dice.below(3);
      if (first < 0) continue;
      const expected = maskedBlock(BigInt(first), BigInt(pages));
      alignRange(first, pages);
      assert.equal(aligned.mask, expected.mask, `${first} + ${pages}`);
      assert.deepEqual([BigInt(aligned.base), BigInt(aligned.pages)], [expected.base, expected.pages]);
      assert.ok(aligned.base <= first && aligned.base + aligned.pages >= first + pages, 'the block holds the range');
    }
  });

  test('above maxAddressMask, or without page-selective invalidation, the domain is flushed', () => {
    const machine = new Machine({ ...one, iommu: { invalidation: { maxAddressMask: 3 } } });
    assert.equal(invalidate(machine, 0x8000, 8 * 4096).effectiveRange.scope, 'range');
    assert.equal(invalidate(machine, 0x7000, 8 * 4096).effectiveRange.scope, 'domain');
    assert.equal(invalidate(machine, 0x10000, 9 * 4096).effectiveRange.scope, 'domain');
    const { maskFallbacks, invalidationsDomain, invalidationsRange, amplifiedPages } = machine.sim.counters;
    assert.deepEqual([maskFallbacks, invalidationsDomain, invalidationsRange, amplifiedPages], [2, 2, 1, 0]);
    const without = new Machine({ ...one, iommu: { invalidation: { pageSelective: false } } });
    assert.equal(invalidate(without, 0x8000, 4096).effectiveRange.scope, 'domain');
  });

  test('a fall-back to the domain takes the walk caches along, leaf-only or not', () => {
    for (const leafOnly of [true, false]) {
      const machine = new Machine({ ...one, iommu: { invalidation: { pageSelective: false } } });
      const { iova } = machine.map('n', { buffer: machine.buffer(4096) });
      machine.touch('n', iova);
      invalidate(machine, iova, 4096, leafOnly);
      assert.equal(machine.touch('n', iova).memoryReferences, 4);
    }
  });

  test('the chip ignores the low bits under the mask: a start that is not aligned leaves the end of the range cached', () => {
    const machine = new Machine(one);
    const { sim } = machine;
    const at = 0x40007000;
    machine.ok({
      op: 'iommu-map',
      domain: 'dom_0',
      iova: at,
      physicalAddress: 0,
      lengthBytes: 2 * 4096,
      access: 'rw',
    });
    machine.dma('n', at, 'write', 2 * 4096);
    machine.ok({ op: 'iommu-unmap', domain: 'dom_0', iova: at, lengthBytes: 2 * 4096, invalidate: false });
    // Two pages are 2^1, says a driver that forgets to align: the chip takes it for the two from 0x40006000.
    sim.begin(0);
    sim.unit.submit(0, 1);
    sim.unit.pages(0, at / 4096, 1, false, sim.work.now());
    sim.end();
    assert.deepEqual({ ...sim.unit.effective }, { scope: 'range', domain: 0, first: 0x40006, pages: 2 });
    assert.equal(machine.touch('n', at).verdict, 'fault');
    const left = machine.touch('n', at + 4096);
    assert.deepEqual([left.verdict, left.cause], ['stale', 'iotlb']);
    assert.equal(
      machine.metrics().exposure.potential.currentPages,
      1,
      'and the window of the one that is left stays open',
    );
    // As the driver computes it, the block is eight pages, and holds both.
    assert.equal(invalidate(machine, at, 2 * 4096).effectiveRange.lengthBytes, 16 * 4096);
    assert.equal(machine.touch('n', at + 4096).verdict, 'fault');
    assert.equal(machine.metrics().exposure.potential.currentPages, 0);
  });

  test('whatever page and mask are sent, exactly the block that holds the page goes', () => {
    const dice = new Dice(6);
    const machine = new Machine({ ...one, iommu: { iotlb: { entries: 64, ways: 0 } } });
    const { sim } = machine;
    for (let round = 0; round < 300; round++) {
      for (let page = 0; page < 64; page++) sim.iotlb.fill(0, 0x40000 + page, 0, 1, 3);
      const page = 0x40000 + dice.below(64);
      const mask = dice.below(7);
      sim.unit.pages(0, page, mask, true, 0);
      for (let each = 0x40000; each < 0x40040; each++) {
        const inBlock = BigInt(each) >> BigInt(mask) === BigInt(page) >> BigInt(mask);
        assert.equal(sim.iotlb.probe(0, each) < 0, inBlock, `${page} with mask ${mask}: ${each}`);
      }
    }
  });

  test('amplification counts the pages that nobody asked for', () => {
    const machine = new Machine(one);
    invalidate(machine, 0x1ff000, 8192);
    assert.equal(machine.sim.counters.amplifiedPages, 1022);
  });
});

describe('invalidation interface', () => {
  test('queued: one descriptor and one wait a command, the tail goes round at 256', () => {
    const machine = new Machine(one);
    const tails = new Set<number>();
    for (let i = 0; i < 200; i++) {
      assert.equal(invalidate(machine, 0x1000, 4096).descriptors, 1);
      tails.add(machine.sim.unit.queues[0]!.tail);
    }
    const { descriptors, waitDescriptors, registerCommands } = machine.sim.counters;
    assert.deepEqual([descriptors, waitDescriptors, registerCommands], [200, 200, 0]);
    assert.equal(tails.size, 128);
    assert.ok(Math.max(...tails) < 256);
  });

  test('register: commands instead of descriptors, the same effect', () => {
    const machine = new Machine({ ...one, iommu: { invalidation: { interface: 'register' } } });
    const { iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.touch('n', iova);
    assert.equal(invalidate(machine, iova, 4096).descriptors, 0);
    assert.equal(machine.sim.counters.registerCommands, 1);
    assert.equal(machine.touch('n', iova).from, 'walk');
  });

  test('scopes: global drops all, domain its own, range what it touches; a scan finds nothing in scope', () => {
    const dice = new Dice(2);
    const machine = new Machine({
      devices: [
        { name: 'a', kind: 'custom' },
        { name: 'b', kind: 'custom' },
      ],
    });
    const { sim } = machine;
    const buffer = machine.buffer(64 * 4096);
    for (let round = 0; round < 300; round++) {
      const device = dice.pick(['a', 'b']);
      const { iova, id } = machine.map(device, { buffer, lengthBytes: 4096 * (1 + dice.below(8)) });
      machine.dma(device, iova, 'write', 4096);
      const scope = dice.pick(['global', 'domain', 'range'] as const);
      const domain = dice.below(2);
      const lengthBytes = 4096 * (1 + dice.below(4));
      machine.ok({
        op: 'invalidate',
        scope,
        ...(scope !== 'global' && { domain: `dom_${domain}` }),
        ...(scope === 'range' && { iova, lengthBytes }),
      });
      const first = Number(iova) / 4096;
      for (let entry = 0; entry < sim.iotlb.entries; entry++) {
        if (!sim.iotlb.valid(entry)) continue;
        assert.notEqual(scope, 'global');
        if (sim.iotlb.domain[entry] !== domain) continue;
        assert.equal(scope, 'range');
        const page = sim.iotlb.page[entry]!;
        assert.ok(page < first || page >= first + lengthBytes / 4096);
      }
      if (dice.chance(2)) machine.unmap(id);
    }
  });
});
