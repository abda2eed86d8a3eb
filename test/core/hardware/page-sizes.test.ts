/**
 * Page sizes as `iommu_map` chooses them, table pages that go only when one unmap covers them, and what walk caches make of both:
 * the hazards of a table that is freed, or replaced by a superpage, before the invalidation.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine } from '../build.ts';

const KIB4 = 4096;
const MIB2 = 2 ** 21;
const GIB = 2 ** 30;

const machineOf = (spec: Record<string, unknown> = {}) =>
  new Machine({ policy: { invalidation: { kind: 'strict' } }, devices: [{ name: 'n', kind: 'custom' }], ...spec });
const map = (machine: Machine, iova: number, physicalAddress: number, lengthBytes: number) =>
  machine.ok<{ pageSizes: Record<string, number>; ptesWritten: number }>({
    op: 'iommu-map',
    domain: 'dom_0',
    iova,
    physicalAddress,
    lengthBytes,
    access: 'rw',
  });
const unmap = (machine: Machine, iova: number, lengthBytes: number, invalidate = true) =>
  machine.ok<{ unmappedBytes: number }>({ op: 'iommu-unmap', domain: 'dom_0', iova, lengthBytes, invalidate });
const tablesOf = (machine: Machine) => machine.sim.tables.tables;
const levelOneCached = (machine: Machine) =>
  machine
    .read<{ entries: { tableLevel: number; iova: string }[] }>({ read: 'walk-cache' })
    .entries.filter(({ tableLevel }) => tableLevel === 1)
    .map(({ iova }) => iova);

/** The rule in the words of the kernel: the sizes as a bit mask, the lowest bit set in either address, the length that is left. */
function sizesOf(iova: bigint, physical: bigint, length: bigint, supported: bigint[]): Record<string, number> {
  const names = new Map([
    [4096n, '4KiB'],
    [1n << 21n, '2MiB'],
    [1n << 30n, '1GiB'],
  ]);
  const out: Record<string, number> = {};
  for (let done = 0n; done < length; ) {
    const merged = (iova + done) | (physical + done);
    const size = supported
      .filter((each) => merged % each === 0n && each <= length - done)
      .reduce((a, b) => (a > b ? a : b));
    const name = names.get(size)!;
    out[name] = (out[name] ?? 0) + 1;
    done += size;
  }
  return out;
}

describe('page sizes', () => {
  for (const superpages of [[], ['2MiB'], ['1GiB'], ['2MiB', '1GiB']])
    test(`superpages ${superpages.join(' and ') || 'none'}: 200 random ranges get what the kernel’s rule gives`, () => {
      const dice = new Dice(superpages.length + 1);
      const supported = [
        4096n,
        ...(superpages.includes('2MiB') ? [1n << 21n] : []),
        ...(superpages.includes('1GiB') ? [1n << 30n] : []),
      ];
      const machine = machineOf({ iommu: { superpages } });
      for (let i = 0; i < 200; i++) {
        const place = () => dice.pick([GIB, MIB2, MIB2, KIB4]) * (1 + dice.below(4)) + dice.pick([0, 0, KIB4, MIB2]);
        const iova = place() + 2 ** 40;
        const physical = place();
        const length =
          dice.chance(20) && superpages.includes('1GiB')
            ? GIB + MIB2 * dice.below(2) + KIB4 * dice.below(2)
            : dice.pick([KIB4, MIB2 - KIB4, MIB2, MIB2 + KIB4, 3 * MIB2, 5 * MIB2 + KIB4]);
        const { pageSizes, ptesWritten } = map(machine, iova, physical, length);
        const expected = sizesOf(BigInt(iova), BigInt(physical), BigInt(length), supported);
        assert.deepEqual(pageSizes, expected, `${iova.toString(16)} to ${physical.toString(16)}, ${length}`);
        assert.equal(
          ptesWritten,
          Object.values(expected).reduce((sum, count) => sum + count, 0),
        );
        assert.equal(unmap(machine, iova, length).unmappedBytes, length);
      }
    });

  test('the DMA API chooses alike, for each contiguous stretch of a list', () => {
    const machine = machineOf({ policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } } });
    const { iova } = machine.map('n', { physicalAddress: 4 * MIB2, lengthBytes: 2 * MIB2 });
    assert.equal(Number(iova) % MIB2, 0);
    assert.equal(machine.sim.counters.ptesWritten, 2);
    machine.map('n', { physicalAddress: 4 * MIB2 + KIB4, lengthBytes: MIB2 });
    assert.equal(machine.sim.counters.ptesWritten, 2 + 512);
  });
});

describe('table pages', () => {
  test('many small unmaps leave an empty table behind, one unmap that covers it takes it along', () => {
    const machine = machineOf({ iommu: { superpages: [] } });
    map(machine, GIB, 0, MIB2);
    const tables = tablesOf(machine);
    for (let page = 0; page < 512; page++) unmap(machine, GIB + page * KIB4, KIB4);
    assert.equal(tablesOf(machine), tables);
    // The same in two halves: neither covers the span.
    map(machine, GIB, 0, MIB2);
    unmap(machine, GIB, MIB2 / 2);
    unmap(machine, GIB + MIB2 / 2, MIB2 / 2);
    assert.equal(tablesOf(machine), tables);
    map(machine, GIB, 0, MIB2);
    unmap(machine, GIB, MIB2);
    assert.equal(tablesOf(machine), tables - 1);
    assert.equal(machine.sim.counters.tablePagesFreed, 1);
  });

  test('an unmap that is not aligned takes the tables between its edges only', () => {
    const machine = machineOf({ iommu: { superpages: [] } });
    map(machine, GIB, 0, 4 * MIB2);
    const tables = tablesOf(machine);
    unmap(machine, GIB + KIB4, 4 * MIB2 - 2 * KIB4);
    assert.equal(tablesOf(machine), tables - 2, 'the two in the middle');
  });

  test('an upper table goes with those below it when the unmap covers its gigabyte', () => {
    const machine = machineOf({ iommu: { superpages: ['2MiB'] } });
    map(machine, 8 * GIB, 0, GIB);
    const tables = tablesOf(machine);
    unmap(machine, 8 * GIB, GIB);
    assert.equal(tablesOf(machine), tables - 1);
    map(machine, 8 * GIB, KIB4, GIB);
    assert.equal(tablesOf(machine), tables + 512);
    unmap(machine, 8 * GIB, GIB);
    assert.equal(tablesOf(machine), tables - 1);
  });

  test('a table that was left empty and goes with an unmap that finds nothing mapped is invalidated all the same', () => {
    const machine = machineOf({ iommu: { superpages: [] } });
    map(machine, GIB, 0, KIB4);
    machine.touch('n', GIB);
    unmap(machine, GIB, KIB4);
    assert.deepEqual(levelOneCached(machine), ['0x40000000'], 'leaf-only: the table stands');
    const tables = tablesOf(machine);
    assert.equal(unmap(machine, GIB, MIB2).unmappedBytes, 0);
    assert.equal(tablesOf(machine), tables - 1);
    assert.deepEqual(levelOneCached(machine), []);
  });
});

describe('a table page freed before the flush', () => {
  /** Two megabytes are mapped, used, unmapped, and mapped to others elsewhere, so that a new table takes the old one’s frame. */
  const story = (invalidation: string) => {
    const machine = machineOf({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: invalidation } },
      iommu: { superpages: [], iotlb: { entries: 4, ways: 4 } },
    });
    const { id, iova } = machine.map('n', { physicalAddress: 0x10000000, lengthBytes: MIB2 });
    const at = Number(iova);
    machine.touch('n', at);
    // Leave the IOTLB: only the walk cache remembers.
    machine.sim.iotlb.invalidate(0, at / KIB4, at / KIB4);
    const frame = (address: number) =>
      machine
        .read<{ entries: { level: number; table: string }[] }>({ read: 'page-table', domain: 'dom_0', iova: address })
        .entries.find(({ level }) => level === 1)?.table;
    const table = frame(at);
    machine.unmap(id);
    const other = machine.map('n', { physicalAddress: 0x20000000, lengthBytes: MIB2 });
    const piece = machine.touch('n', at + 5 * KIB4);
    return { piece, sameFrame: frame(Number(other.iova)) === table, sameAddress: other.iova === iova };
  };

  test('deferred-2008 gives it back at once, and a walk by way of the walk cache reads the new table', () => {
    const { piece, sameFrame, sameAddress } = story('deferred-2008');
    assert.deepEqual([sameFrame, sameAddress], [true, false]);
    assert.deepEqual([piece.from, piece.physicalAddress, piece.cause], ['walk-cache', '0x20005000', 'walk-cache']);
    assert.ok(piece.verdict.startsWith('stale'), piece.verdict);
  });

  test('flush-queue keeps it until the flush, and nothing gets through', () => {
    const { piece, sameFrame, sameAddress } = story('flush-queue');
    assert.deepEqual([sameFrame, sameAddress, piece.verdict], [false, false, 'fault']);
  });

  test('strict invalidates first: the address is the other mapping’s by then', () => {
    const { piece, sameAddress } = story('strict');
    assert.deepEqual([sameAddress, piece.verdict, piece.from, piece.cause], [true, 'ok', 'walk', undefined]);
  });
});

describe('640 KiB at 0, unmapped, then 3 GiB in 2 MiB pages', () => {
  /** The first part of the story as it was reported: what the walk cache has of IOVA 0 is the table of the 640 KiB. */
  const begun = () => {
    const machine = machineOf({ iommu: { superpages: ['2MiB'] } });
    map(machine, 0, 0x100000, 640 * 1024);
    machine.touch('n', 0x1000, 'read');
    unmap(machine, 0, 640 * 1024);
    assert.deepEqual(levelOneCached(machine), ['0x0'], 'the invalidation was leaf-only, as no table went');
    return machine;
  };
  const present = (machine: Machine) =>
    machine.read<{ present: boolean; pageSize: string }>({ read: 'page-table', domain: 'dom_0', iova: 0x1000 });

  test('the kernel invalidates what the superpage replaced, walk caches included, and the DMA gets through', () => {
    const machine = begun();
    const { invalidationsDomain } = machine.sim.counters;
    const tables = tablesOf(machine);
    assert.deepEqual(map(machine, 0, MIB2, 3 * GIB).pageSizes, { '2MiB': 1536 });
    // 2^20 pages are more than a mask of 18 reaches.
    assert.equal(machine.sim.counters.invalidationsDomain, invalidationsDomain + 1);
    assert.equal(tablesOf(machine), tables - 1 + 2, 'the table of the 640 KiB goes, two of 2 MiB leaves come');
    const { from, physicalAddress, verdict } = machine.touch('n', 0x1000, 'read');
    assert.deepEqual([from, physicalAddress, verdict], ['walk', '0x201000', 'ok']);
  });

  /** The same without that invalidation, as it was before: the tables are right, and the hardware says that nothing is there. */
  const forgotten = () => {
    const machine = begun();
    const { mapper, domains } = machine.sim;
    mapper.write(domains[0]!, 0, 512, (3 * GIB) / KIB4, 3, 3);
    assert.equal(mapper.takeReplaced(), 1);
    assert.deepEqual([present(machine).present, present(machine).pageSize], [true, '2MiB']);
    return machine;
  };

  test('without it the walk cache leads to the old table: not present, at IOVA 0 alone', () => {
    const machine = forgotten();
    const { verdict, reason, memoryReferences } = machine.touch('n', 0x1000, 'read');
    assert.deepEqual([verdict, reason, memoryReferences], ['fault', 6, 1]);
    assert.notEqual(machine.touch('n', MIB2 + 0x1000, 'read').verdict, 'fault', 'the next 2 MiB are there');
    machine.sim.tables.releaseUnlinked();
    assert.equal(machine.touch('n', 0x1000, 'read').verdict, 'fault', 'and so when its frame is given back');
    assert.equal(machine.sim.counters.staleWalks, 1);
  });

  test('a leaf-only invalidation does not help, one of the whole path does, and so does time', () => {
    const leafOnly = (leaf: boolean) => {
      const machine = forgotten();
      machine.ok({ op: 'invalidate', scope: 'range', domain: 'dom_0', iova: 0, lengthBytes: MIB2, leafOnly: leaf });
      return machine.touch('n', 0x1000, 'read').verdict;
    };
    assert.equal(leafOnly(true), 'fault');
    assert.notEqual(leafOnly(false), 'fault');
    // "Sometimes": until other tables have pushed it out of the walk cache.
    const machine = forgotten();
    for (let table = 1; table <= 16; table++) {
      map(machine, 512 * GIB + table * MIB2, KIB4, KIB4);
      machine.touch('n', 512 * GIB + table * MIB2);
    }
    assert.notEqual(machine.touch('n', 0x1000, 'read').verdict, 'fault');
  });
});
