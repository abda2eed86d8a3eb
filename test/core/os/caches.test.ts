/** Allocators with a cache in a whole machine: what calls cost, when the depot's worker runs, what can be seen, what stands in the way. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contractSchema } from '../../../src/api/contract.ts';
import { Validators } from '../../../src/api/validator.ts';
import { type Cost, Machine } from '../build.ts';

function machineOf(allocator: Record<string, unknown>, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    iommu: { superpages: [] },
    policy: { allocator, invalidation: { kind: 'strict' } },
    devices: [{ name: 'n', kind: 'custom' }],
    ...spec,
  });
}

const rowsOf = ({ breakdown }: Cost) => [breakdown.iovaAlloc, breakdown.iovaFind, breakdown.iovaFree];

/** Single pages mapped and all unmapped again on a CPU. */
function cycle(machine: Machine, count: number, cpu = 0): void {
  const buffer = machine.buffer(4096);
  const ids = Array.from({ length: count }, () => machine.map('n', { buffer }).id);
  for (const id of ids) machine.unmap(id, cpu);
  machine.ok({ op: 'free', buffer });
}

interface Inside {
  cachedRanges: number;
  depotMagazines: number;
  classes: { pages: number; depotMagazines: number; hits: number; misses: number }[];
  magazines: { cpu: number; pages: number; loaded: number; prev: number }[];
}
const inside = (machine: Machine) => machine.read<Inside>({ read: 'allocator' });

describe('what a call costs', () => {
  test('rcache: a look into the cache, and on a miss the tree; nothing to find at unmap', () => {
    const machine = machineOf({ kind: 'rcache' });
    const buffer = machine.buffer(33 * 4096);
    const map = (lengthBytes: number) => machine.map('n', { buffer, lengthBytes });
    const first = map(4096);
    assert.deepEqual(rowsOf(first), [92 + 379, 0, 0]);
    assert.deepEqual(rowsOf(machine.unmap(first.id)), [0, 0, 62]);
    assert.deepEqual(rowsOf(map(4096)), [92, 0, 0]);
    const long = map(33 * 4096);
    assert.deepEqual(rowsOf(long), [379, 0, 0]);
    assert.deepEqual(rowsOf(machine.unmap(long.id)), [0, 0, 249 + 159]);
    assert.deepEqual(first.assumptions, ['depotMove']);
  });

  test('rcache over the gap tree has the assumptions of that one', () => {
    const machine = machineOf({ kind: 'rcache', tree: 'maple' });
    const mapped = machine.map('n', { buffer: machine.buffer(4096) });
    assert.deepEqual(rowsOf(mapped), [92 + 379 + 100, 0, 0]);
    assert.deepEqual([...mapped.assumptions!].sort(), ['depotMove', 'gapAllocFixed', 'gapAllocLevel', 'gapFree']);
  });

  test('maple: a level of the tree and a find with the free', () => {
    const machine = machineOf({ kind: 'maple' });
    const mapped = machine.map('n', { buffer: machine.buffer(4096) });
    assert.deepEqual(rowsOf(mapped), [379 + 100, 0, 0]);
    assert.deepEqual(rowsOf(machine.unmap(mapped.id)), [0, 0, 408]);
    assert.equal(machine.sim.counters.gapLevels, 1);
    // 8 ranges with a gap on either side of each are one entry more than a node holds.
    const buffer = machine.buffer(4096);
    const costs = Array.from({ length: 8 }, () => rowsOf(machine.map('n', { buffer }))[0]);
    assert.deepEqual(costs, [479, 479, 479, 479, 479, 479, 479, 579]);
  });

  test('eiovar: the find at unmap stays, the walk goes', () => {
    const machine = machineOf({ kind: 'eiovar' });
    const buffer = machine.buffer(4096);
    const first = machine.map('n', { buffer });
    assert.deepEqual(rowsOf(first), [379 + 92, 0, 0]);
    assert.deepEqual(rowsOf(machine.unmap(first.id)), [0, 249, 62]);
    assert.deepEqual(rowsOf(machine.map('n', { buffer })), [92, 0, 0]);
  });

  test('a magazine that overflows a fixed depot costs the unmap that pushed it', () => {
    const machine = machineOf({ kind: 'rcache', magazineEntries: 2, depot: 'fixed', depotMax: 1 });
    const buffer = machine.buffer(4096);
    const ids = Array.from({ length: 7 }, () => machine.map('n', { buffer }).id);
    const costs = ids.map((id) => machine.unmap(id).breakdown.iovaFree);
    assert.deepEqual(costs, [62, 62, 62, 62, 62 + 150, 62, 62 + 2 * (249 + 159)]);
  });
});

describe('the depot’s worker', () => {
  const spec = { machine: { cpus: 2 } };

  test('runs 100 ms after a magazine was put there, on the CPU that put it, and again while there are more than CPUs', () => {
    const machine = machineOf({ kind: 'rcache', magazineEntries: 1 }, spec);
    const { sim } = machine;
    cycle(machine, 6, 1);
    assert.equal(inside(machine).depotMagazines, 4);
    const busy = sim.cpuBusyPs[1]!;
    assert.equal(machine.advance(99_000_000), 0);
    assert.equal(machine.advance(1_000_000), 1);
    assert.equal(inside(machine).depotMagazines, 3);
    assert.equal(sim.cpuBusyPs[1]! - busy, sim.work.toPs((150 + 249 + 159) * 1000));
    assert.equal(machine.advance(100_000_000), 1);
    assert.equal(inside(machine).depotMagazines, 2);
    // It looks once more and rests.
    assert.equal(machine.advance(1_000_000_000), 1);
    assert.equal(sim.queue.size, 0);
    assert.equal(inside(machine).cachedRanges, 4);
    assert.equal(sim.counters.depotFrees, 2);
    assert.equal(sim.counters.timersFired, 3);
  });

  test('of a domain that is gone it does nothing', () => {
    const machine = machineOf({ kind: 'rcache', magazineEntries: 1 }, spec);
    cycle(machine, 6);
    machine.ok({ op: 'device-remove', device: 'n' });
    assert.equal(machine.advance(1_000_000_000), 0);
    assert.equal(machine.sim.counters.depotFrees, 0);
  });

  test('is due at the same moment when the clock’s base moves in between', () => {
    const fired = [0, 2_500_000_000_000].map((ns) => {
      const machine = machineOf({ kind: 'rcache', magazineEntries: 1 }, spec);
      machine.advance(ns);
      cycle(machine, 6);
      const before = machine.advance(99_000_000);
      machine.sim.rebaseWhenFar();
      return [before, machine.advance(2_000_000), inside(machine).depotMagazines];
    });
    assert.deepEqual(fired[0], [0, 1, 3]);
    assert.deepEqual(fired[1], fired[0]);
  });

  test('with the digest: sliced or not, the same; one more free, another', () => {
    const digests = [Number.POSITIVE_INFINITY, 1].map((budget) => {
      const machine = machineOf({ kind: 'rcache', magazineEntries: 1 }, spec);
      machine.sim.searchBudget = budget;
      cycle(machine, 6);
      // 33 pages walk past the six.
      machine.map('n', { buffer: machine.buffer(33 * 4096) });
      machine.advance(150_000_000);
      return machine.sim.digest();
    });
    assert.equal(digests[0], digests[1]);
  });

  test('a space that is full is given back and searched again, sliced or not, with the same digest', () => {
    const digests = ['rcache', 'eiovar'].map((kind) =>
      [Number.POSITIVE_INFINITY, 1, 3].map((budget) => {
        const machine = new Machine({
          policy: { allocator: { kind }, invalidation: { kind: 'strict' } },
          iommu: {
            superpages: [],
            reservedRegions: [
              { start: '0x0', end: '0x7fffff', type: 'reserved' },
              { start: '0x820000', end: '0xffffffffffff', type: 'reserved' },
            ],
          },
          devices: [{ name: 'n', kind: 'custom', dmaMaskBits: 32 }],
        });
        machine.sim.searchBudget = budget;
        const buffer = machine.buffer(8 * 4096);
        const single = { buffer, lengthBytes: 4096 };
        const ids: string[] = [];
        for (;;) {
          const outcome = machine.apply({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', ...single });
          if (outcome.status !== 'ok') break;
          ids.push(outcome.result.id as string);
        }
        assert.ok(ids.length >= 30, `${ids.length}`);
        for (const id of ids) machine.unmap(id);
        machine.map('n', { buffer });
        assert.ok(machine.sim.counters.cacheFlushes >= 1);
        const { acquisitions } = machine.sim.domains[0]!.locks[0]!;
        return [machine.sim.digest(), acquisitions];
      }),
    );
    for (const [whole, ...sliced] of digests) for (const each of sliced) assert.deepEqual(each, whole);
  });
});

describe('what can be seen', () => {
  const validators = new Validators(false);

  test('the space tells what is cached, the allocator which CPU has it, both as the contract says', () => {
    const machine = machineOf({ kind: 'rcache' });
    const buffer = machine.buffer(5 * 4096);
    const live = machine.map('n', { buffer, lengthBytes: 4096 });
    machine.unmap(machine.map('n', { buffer }).id, 2);
    const space = machine.read<{ cachedBytes: number; usedBytes: number; items: { iova: string; state: string }[] }>({
      read: 'space',
    });
    assert.deepEqual(
      space.items.map(({ iova, state }) => [iova, state]),
      [
        ['0xfee00000', 'reserved'],
        ['0xffff0000', 'cached'],
        [live.iova, 'allocated'],
      ],
    );
    assert.equal(space.cachedBytes, 8 * 4096);
    assert.equal(space.usedBytes, (8 + 1 + 256) * 4096);
    const shown = inside(machine);
    assert.deepEqual(shown.magazines, [{ cpu: 2, pages: 8, loaded: 1, prev: 0 }]);
    assert.deepEqual(shown.classes[3], { pages: 8, depotMagazines: 0, hits: 0, misses: 1 });
    assert.equal(validators.compile(contractSchema('Space'))(space), null);
    assert.equal(validators.compile(contractSchema('Allocator'))(shown), null);
    const eiovar = machineOf({ kind: 'eiovar' });
    cycle(eiovar, 3);
    const lists = eiovar.read<{ lists: unknown }>({ read: 'allocator' });
    assert.deepEqual(lists.lists, [{ pages: 1, ranges: 3 }]);
    assert.equal(validators.compile(contractSchema('Allocator'))(lists), null);
  });

  test('metrics count hits, misses and magazines, and gauges tell what is kept', () => {
    const machine = machineOf({ kind: 'rcache', magazineEntries: 2 });
    cycle(machine, 8);
    cycle(machine, 3);
    const { counters } = machine.read<{ counters: Record<string, number> }>({ read: 'metrics' });
    const { cacheHits, cacheMisses, cacheBypasses, depotGets, depotPuts, cachedRanges, cachedPages, depotMagazines } =
      counters;
    assert.deepEqual(
      { cacheHits, cacheMisses, cacheBypasses, depotGets, depotPuts, cachedRanges, cachedPages, depotMagazines },
      {
        cacheHits: 3,
        cacheMisses: 8,
        cacheBypasses: 0,
        depotGets: 0,
        depotPuts: 2,
        cachedRanges: 8,
        cachedPages: 8,
        depotMagazines: 2,
      },
    );
  });

  test('hits of a domain that is gone stay counted', () => {
    const machine = machineOf({ kind: 'rcache' });
    const hits = () =>
      machine.read<{ counters: Record<string, number>; counts: Record<string, number> }>({ read: 'metrics' });
    // A map that misses, and then one after the other that finds what was unmapped before it.
    for (let i = 0; i < 4; i++) machine.unmap(machine.map('n', { buffer: machine.buffer(4096) }).id);
    assert.deepEqual([hits().counters.cacheHits, hits().counts.cacheHits], [3, 3]);
    machine.ok({ op: 'device-remove', device: 'n' });
    assert.equal(machine.sim.domains[0]!.removed, true, 'its domain went with it');
    assert.deepEqual([hits().counters.cacheHits, hits().counts.cacheHits], [3, 3]);
  });

  test('what is cached stands in the way of iommu-map, as what is live does', () => {
    const machine = machineOf({ kind: 'rcache' });
    const { id, iova } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.unmap(id);
    const range = { op: 'iommu-map', domain: 'dom_0', lengthBytes: 4096, physicalAddress: 0, access: 'r' } as const;
    assert.match(machine.refused({ ...range, iova }, 'overlap', '/iova').detail, /that the allocator’s cache keeps$/);
    machine.ok({ ...range, iova: '0xffffe000' });
  });
});

describe('32-bit first', () => {
  test('under rcache an attempt below 4 GiB that is not the last flushes nothing; eiovar gives back and stays below', () => {
    const lowest = { start: '0x0', end: '0xffffdfff', type: 'reserved' };
    for (const [kind, expected, flushes] of [
      ['rcache', '0xffffffffe000', 0],
      ['eiovar', '0xffffe000', 1],
    ] as const) {
      const machine = machineOf({ kind }, { iommu: { superpages: [], reservedRegions: [lowest] } });
      const one = { buffer: machine.buffer(8192), lengthBytes: 4096 };
      const ids = [machine.map('n', one), machine.map('n', one)].map(({ id }) => id);
      for (const id of ids) machine.unmap(id);
      assert.equal(machine.map('n', { buffer: one.buffer }).iova, expected, kind);
      assert.equal(machine.sim.counters.cacheFlushes, flushes);
    }
  });
});
