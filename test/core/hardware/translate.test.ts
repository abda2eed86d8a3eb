/** What becomes of a DMA request: faults by reason, interrupts, walks of 3 to 5 levels, walk caches that go stale on their own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NaivePageTable } from '../../oracles/page-table.ts';
import { Dice, Machine } from '../build.ts';

const one = { devices: [{ name: 'n', kind: 'custom' }] };
const MIB2 = 2 ** 21;

function iommuMap(
  machine: Machine,
  iova: number | string,
  physicalAddress: number,
  lengthBytes: number,
  access: 'r' | 'w' | 'rw' = 'rw',
) {
  return machine.ok<{ ptesWritten: number; pageSizes: Record<string, number> }>({
    op: 'iommu-map',
    domain: 'dom_0',
    iova,
    physicalAddress,
    lengthBytes,
    access,
  });
}
const iommuUnmap = (machine: Machine, iova: number, lengthBytes: number, invalidate: boolean) =>
  machine.ok({ op: 'iommu-unmap', domain: 'dom_0', iova, lengthBytes, invalidate });

describe('translation', () => {
  for (const levels of [3, 4, 5] as const)
    for (const superpages of [[], ['2MiB'], ['2MiB', '1GiB']])
      test(`${levels} levels, superpages ${superpages.join(' and ') || 'none'}: 1,500 random maps, unmaps, accesses and invalidations give what a Map gives`, () => {
        const machine = new Machine({
          ...one,
          iommu: {
            levels,
            superpages,
            iotlb: { entries: 16, ways: 2 },
            walkCache: { entriesPerLevel: new Array(levels - 1).fill(2) },
          },
        });
        const naive = new NaivePageTable(superpages);
        const dice = new Dice(levels * 10 + superpages.length);
        const top = 2n ** BigInt(9 * levels);
        /** Regions at the bottom, in the middle and at the very top of the space. */
        const bases = [0x40000n, top / 2n, top - 4096n];
        const hex = (page: bigint, offset = 0n) => `0x${((page << 12n) + offset).toString(16)}`;
        const past: bigint[] = [];
        for (let step = 0; step < 1500; step++) {
          const pages = BigInt(dice.pick([1, 1, 2, 511, 512, 513, 1024]));
          const page = dice.pick(bases) + BigInt(dice.pick([0, 0, 512, 1, dice.below(3000)]));
          const choice = dice.below(10);
          if (choice < 2) {
            const frame = BigInt(dice.pick([0x1000, 0x1200, 0x1001, 2 ** 39, dice.below(1e6)]));
            const access = dice.pick(['r', 'w', 'rw'] as const);
            const outcome = machine.apply({
              op: 'iommu-map',
              domain: 'dom_0',
              iova: hex(page),
              physicalAddress: hex(frame),
              lengthBytes: Number(pages) * 4096,
              access,
            })!;
            const beyond = page + pages > top;
            if (beyond || naive.overlaps(page, pages)) {
              assert.ok(outcome.status === 'refused', hex(page));
              assert.equal(outcome.problem.code, beyond ? 'address-width' : 'overlap');
              continue;
            }
            assert.ok(outcome.status === 'ok', JSON.stringify(outcome));
            const [small, medium, large] = naive.map(page, frame, pages, access === 'rw' ? 3 : access === 'r' ? 1 : 2);
            assert.deepEqual(outcome.result.pageSizes, {
              ...(small && { '4KiB': small }),
              ...(medium && { '2MiB': medium }),
              ...(large && { '1GiB': large }),
            });
            assert.equal(outcome.result.ptesWritten, small! + medium! + large!);
            past.push(page, page + pages - 1n);
          } else if (choice === 2) {
            const last = page + pages - 1n;
            if (last >= top) continue;
            const outcome = machine.apply({
              op: 'iommu-unmap',
              domain: 'dom_0',
              iova: hex(page),
              lengthBytes: Number(pages) * 4096,
            })!;
            if (naive.cuts(page, last)) {
              assert.ok(outcome.status === 'refused');
              assert.equal(outcome.problem.code, 'superpage-cut');
              continue;
            }
            assert.ok(outcome.status === 'ok');
            assert.equal(outcome.result.unmappedBytes, naive.unmap(page, pages) * 4096);
          } else if (past.length > 0) {
            const at = dice.chance(3) ? page : dice.pick(past) + BigInt(dice.pick([0, 0, -1, 1]));
            const offset = BigInt(dice.below(4096));
            const access = dice.pick(['read', 'write'] as const);
            const piece = machine.touch('n', hex(at, offset), access, 1);
            const leaf = naive.translate(at, access === 'read' ? 1 : 2);
            if (at >= top) assert.deepEqual([piece.verdict, piece.reason], ['fault', 4]);
            else if (!leaf) assert.deepEqual([piece.verdict, piece.reason], ['fault', access === 'read' ? 6 : 5]);
            else assert.equal(piece.physicalAddress, hex(leaf.frame, offset));
          }
        }
      });

  test('a cold walk reads one entry a level, a warm one what the walk caches leave, a cached leaf none', () => {
    for (const levels of [3, 4, 5]) {
      const machine = new Machine({ ...one, iommu: { levels } });
      iommuMap(machine, 0x40000000, 0x200000, 8192);
      assert.deepEqual(pick(machine.touch('n', 0x40000000)), ['walk', levels]);
      assert.deepEqual(pick(machine.touch('n', 0x40001000)), ['walk-cache', 1]);
      assert.deepEqual(pick(machine.touch('n', 0x40001000)), ['iotlb', 0]);
    }
    function pick({ from, memoryReferences }: { from?: string; memoryReferences: number }) {
      return [from, memoryReferences];
    }
  });

  test('walk caches of no entries are off', () => {
    const machine = new Machine({ ...one, iommu: { walkCache: { entriesPerLevel: [0, 0, 0] } } });
    iommuMap(machine, 0x40000000, 0x200000, 8192);
    for (const iova of [0x40000000, 0x40001000]) assert.equal(machine.touch('n', iova).memoryReferences, 4);
  });

  test('a domain of fewer levels than the chip walks fewer tables', () => {
    const machine = new Machine({
      domains: [{ name: 'narrow', levels: 3 }],
      devices: [{ name: 'n', kind: 'custom', domain: 'narrow' }],
    });
    iommuMap(machine, 0x40000000, 0x200000, 4096);
    assert.equal(machine.touch('n', 0x40000000).memoryReferences, 3);
    assert.equal(machine.touch('n', 2 ** 39).reason, 4);
    machine.refused(
      { op: 'iommu-map', domain: 'narrow', iova: 2 ** 39 - 4096, physicalAddress: 0, lengthBytes: 8192, access: 'r' },
      'address-width',
      '/iova',
    );
  });

  test('an access is cut at page boundaries and every piece is attempted, the worst verdict counts', () => {
    const machine = new Machine({ ...one, iommu: { superpages: [] } });
    iommuMap(machine, 0x40000000, 0x200000, 4096);
    iommuMap(machine, 0x40002000, 0x300000, 4096);
    const { verdict, pages } = machine.dma('n', 0x40000ffc, 'read', 4 + 4096 + 4);
    assert.equal(verdict, 'fault');
    assert.deepEqual(
      pages.map(({ iova, physicalAddress, verdict: each, reason }) => [iova, physicalAddress, each, reason]),
      [
        ['0x40000ffc', '0x200ffc', 'ok', undefined],
        ['0x40001000', undefined, 'fault', 6],
        ['0x40002000', '0x300000', 'ok', undefined],
      ],
    );
  });

  test('DMA neither moves the clock nor counts as an operation in flight', () => {
    const machine = new Machine(one);
    const { timePs } = machine.sim;
    const { latencyNs } = machine.dma('n', 0x1000, 'read', 1);
    // One read of an empty root: 383 cycles at 3.1 GHz.
    assert.equal(latencyNs, Math.round((383 * 1e6) / 3100) / 1000);
    assert.equal(machine.sim.timePs, timePs);
    machine.ok({ op: 'detach', device: 'n' });
  });
});

describe('faults', () => {
  const reasonOf = (machine: Machine, iova: number | string, access: 'read' | 'write' = 'read') =>
    machine.touch('n', iova, access).reason;

  test('2 without a context entry, 4 beyond the width, 5 and 6 without permission', () => {
    const machine = new Machine(one);
    iommuMap(machine, 0x40000000, 0, 4096, 'r');
    iommuMap(machine, 0x40001000, 0, 4096, 'w');
    assert.equal(reasonOf(machine, '0x1000000000000'), 4);
    assert.equal(reasonOf(machine, '0xfffffffff000'), 6);
    assert.equal(reasonOf(machine, 0x40000000, 'write'), 5);
    assert.equal(reasonOf(machine, 0x40001000, 'read'), 6);
    assert.equal(reasonOf(machine, 0x40002000, 'write'), 5);
    assert.equal(reasonOf(machine, 0x40000000, 'read'), undefined);
    machine.ok({ op: 'detach', device: 'n' });
    assert.equal(reasonOf(machine, 0x40000000, 'read'), 2);
  });

  test('the log has the kernel’s line and what was last done to the address', () => {
    const machine = new Machine({ ...one, policy: { invalidation: { kind: 'strict' } } });
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096), direction: 'to-device' });
    const mappedNs = machine.sim.timeNs;
    machine.advance(5000);
    machine.unmap(id);
    const unmappedNs = machine.sim.timeNs;
    machine.advance(6_200_000);
    machine.touch('n', iova, 'read');
    const { items } = machine.read<{ items: Record<string, unknown>[] }>({ read: 'faults' });
    assert.equal(items.length, 1);
    const [fault] = items as [Record<string, unknown>];
    assert.equal(fault.code, 6);
    assert.equal(
      fault.message,
      'DMAR: [DMA Read NO_PASID] Request device [00:02.0] fault addr 0xfffff000 [fault reason 0x06] PTE Read access is not set',
    );
    const forensics = fault.forensics as Record<string, Record<string, unknown> & string>;
    assert.equal(forensics.lastMap!.timeNs, mappedNs);
    assert.equal(forensics.lastMap!.direction, 'to-device');
    assert.equal(forensics.lastUnmap!.timeNs, unmappedNs);
    assert.equal(forensics.lastUnmap!.sinceNs, 6_200_000);
    assert.equal(forensics.verdict, 'use after unmap');
  });

  test('a full log drops and counts the newest', () => {
    const machine = new Machine({ ...one, iommu: { faultLogEntries: 3 } });
    for (let i = 1; i <= 5; i++) machine.touch('n', i * 4096, 'read');
    const log = machine.read<{ items: { iova: string }[]; dropped: number }>({ read: 'faults' });
    assert.deepEqual(
      log.items.map(({ iova }) => iova),
      ['0x1000', '0x2000', '0x3000'],
    );
    assert.equal(log.dropped, 2);
    assert.equal(machine.sim.counters.faults, 5);
  });
});

describe('the interrupt range', () => {
  for (const mode of ['translate', 'passthrough'])
    test(`${mode}: a write is an interrupt, a read faults, neither is translated or cached`, () => {
      const machine = new Machine({ ...one, policy: { mode } });
      const write = machine.touch('n', '0xfee00000', 'write', 4);
      assert.deepEqual([write.verdict, write.from, write.memoryReferences], ['ok', 'interrupt', 0]);
      const read = machine.touch('n', '0xfeefffff', 'read', 1);
      assert.deepEqual([read.verdict, read.reason], ['fault', 6]);
      assert.equal(machine.sim.counters.interrupts, 1);
      assert.equal(machine.sim.iotlb.lookups, 0);
      assert.notEqual(machine.touch('n', '0xfef00000', 'write', 4).from, 'interrupt');
    });

  test('a region that is only reserved is no interrupt', () => {
    const machine = new Machine({
      ...one,
      iommu: { reservedRegions: [{ start: '0xfee00000', end: '0xfeefffff', type: 'reserved' }] },
    });
    assert.equal(machine.touch('n', '0xfee00000', 'write', 4).verdict, 'fault');
  });
});

describe('walk caches go stale on their own', () => {
  /** A table page of 4 KiB leaves, cached, then freed by one unmap of its whole span, without an invalidation. */
  function stale(leafOnly: boolean) {
    const machine = new Machine({ ...one, iommu: { superpages: [] } });
    iommuMap(machine, 0x40000000, 0x10000000, MIB2);
    machine.touch('n', 0x40000000);
    const table = Number(tableOf(machine, 0x40000000));
    iommuUnmap(machine, 0x40000000, MIB2, false);
    machine.ok({ op: 'invalidate', scope: 'range', domain: 'dom_0', iova: 0x40000000, lengthBytes: MIB2, leafOnly });
    return { machine, table };
  }
  const tableOf = (machine: Machine, iova: number) =>
    machine
      .read<{ entries: { level: number; table: string }[] }>({ read: 'page-table', domain: 'dom_0', iova })
      .entries.find(({ level }) => level === 1)?.table;
  const cached = (machine: Machine) =>
    machine
      .read<{ entries: { tableLevel: number; stale: boolean }[] }>({ read: 'walk-cache' })
      .entries.filter(({ tableLevel }) => tableLevel === 1);

  test('a leaf-only invalidation keeps the entry, one that is not drops it', () => {
    assert.deepEqual(
      cached(stale(true).machine).map((entry) => entry.stale),
      [true],
    );
    assert.deepEqual(cached(stale(false).machine), []);
  });

  test('the freed table, not in use again, is not present', () => {
    const { machine } = stale(true);
    const piece = machine.touch('n', 0x40000000);
    assert.deepEqual([piece.verdict, piece.memoryReferences], ['fault', 1]);
    assert.equal(machine.sim.counters.staleWalks, 1);
  });

  test('reused as data it is not present either', () => {
    const { machine, table } = stale(true);
    assert.equal(machine.addressOf(machine.buffer(4096)), table);
    assert.equal(machine.touch('n', 0x40000000).verdict, 'fault');
  });

  test('reused as another table it gives that one’s entries, and the oracle says so', () => {
    const { machine, table } = stale(true);
    iommuMap(machine, 0x50000000, 0x20000000, MIB2);
    assert.equal(Number(tableOf(machine, 0x50000000)), table);
    const piece = machine.touch('n', 0x40003000);
    assert.deepEqual(
      [piece.physicalAddress, piece.from, piece.verdict, piece.cause],
      ['0x20003000', 'walk-cache', 'stale', 'walk-cache'],
    );
    // From here on it is cached, and an invalidation that is not leaf-only ends both.
    assert.equal(machine.touch('n', 0x40003000).cause, 'iotlb');
    machine.ok({ op: 'invalidate', scope: 'range', domain: 'dom_0', iova: 0x40003000, lengthBytes: 4096 });
    assert.equal(machine.touch('n', 0x40003000).verdict, 'fault');
  });

  test('a superpage that takes the place of an empty table leaves no stale path to it', () => {
    const machine = new Machine(one);
    iommuMap(machine, 0x40000000, 0x200000, 4096);
    machine.touch('n', 0x40000000);
    iommuUnmap(machine, 0x40000000, 4096, true);
    const { tables } = machine.sim.tables;
    assert.deepEqual(iommuMap(machine, 0x40000000, 0x200000, MIB2).pageSizes, { '2MiB': 1 });
    assert.equal(machine.sim.tables.tables, tables - 1);
    assert.equal(machine.touch('n', 0x40001000).physicalAddress, '0x201000');
  });
});
