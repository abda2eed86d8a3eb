/**
 * Hazards that one operation after the other cannot show: CPUs that overlap, how long one of them is kept busy, drivers that are wrong
 * on purpose, and who of all has a hazard. The others are golden scenarios (`test/scenarios/hazard-*`); `docs/hazards.md` has all of
 * them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Domain } from '../../../src/core/os/domain.ts';
import { ImmediatePolicy } from '../../../src/core/os/invalidation/immediate.ts';
import { policies } from '../../../src/core/os/invalidation/index.ts';
import type { InvalidationPolicy } from '../../../src/core/os/invalidation/policy.ts';
import { Machine } from '../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

/**
 * A flush queue whose entries have no counter: what waits when a flush is seen to have ended is freed, also what was queued after that
 * flush had begun. Not an `ImmediatePolicy` in spirit: it borrows its empty members.
 */
class CountersDropped extends ImmediatePolicy {
  /** [cpu] */
  private readonly rings: { domain: Domain; pfn: number; pages: number }[][] = [];
  private lastEnd = Number.NEGATIVE_INFINITY;

  unmapped(...[domain, pfn, pages]: Parameters<InvalidationPolicy['unmapped']>): void {
    const { work, flush, tables } = this.parts;
    const ring = (this.rings[work.cpu] ??= []);
    if (this.lastEnd <= work.now()) this.free(ring);
    if (ring.length === 255) {
      flush.domain(domain);
      tables.releaseUnlinked(domain.index);
      this.lastEnd = work.now();
      this.free(ring);
    }
    ring.push({ domain, pfn, pages });
  }

  private free(ring: { domain: Domain; pfn: number; pages: number }[]): void {
    if (this.lastEnd === Number.NEGATIVE_INFINITY) return;
    for (const { domain, pfn, pages } of ring) this.parts.freeIova(domain, pfn, pages);
    ring.length = 0;
  }
}

describe('H7: an entry queued while a flush is on its way', () => {
  before(() => {
    policies['counters-dropped'] = {
      ...policies['flush-queue']!,
      kind: 'counters-dropped',
      defaults: { kind: 'counters-dropped' },
      create: (parts) => new CountersDropped(parts),
    };
  });
  after(() => {
    delete policies['counters-dropped'];
  });

  /**
   * CPU 0 fills its ring and flushes. While that flush is under way the device uses a page, and CPU 1 unmaps it. Later CPU 1 unmaps
   * another page, which frees what its ring may free, and maps a new one.
   */
  function overlap(kind: string): { reusedAddress: boolean; verdicts: string[]; freedDuringFlush: number } {
    const machine = new Machine({
      machine: { cpus: 2 },
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind } },
      iommu: { iotlb: { entries: 1024, ways: 0 } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const { sim } = machine;
    const device = sim.devices.find('n')!;
    const allocator = () => sim.domains[0]!.allocator!.liveRanges;
    const page = () => machine.map('n', { buffer: machine.buffer(PAGE) });
    const slotOf = ({ id }: { id: string }) => sim.mappings.find(id);
    for (let i = 0; i < 255; i++) machine.unmap(page().id, 0);
    const [victim, early, later, last] = [page(), page(), page(), page()];
    // Queued on CPU 1 before the flush begins.
    machine.unmap(early.id, 1);
    const at = sim.clock.now;
    const unmap = (mapped: { id: string }, cpu: number, start: number) => {
      sim.work.contended = true;
      sim.work.begin(cpu, start);
      sim.dma.unmap(slotOf(mapped), device);
      return sim.work.now();
    };
    let flushEnds = 0;
    const flush = sim.unit.domain.bind(sim.unit);
    sim.unit.domain = (domain, ends) => {
      flushEnds = ends;
      flush(domain, ends);
    };
    unmap(last, 0, at);
    assert.equal(sim.counters.invalidationsDomain, 1, 'the ring was full');
    // The chip is past this page, the driver still waits: 2,127 cycles are 686 ns.
    const midway = flushEnds - 600_000;
    const pfn = sim.mappings.page[slotOf(victim)]!;
    sim.iommu.access(device, pfn, 0, 64, true, midway, null);
    const before = allocator();
    const unmapped = unmap(victim, 1, midway + 1000);
    assert.ok(unmapped < flushEnds, 'all of this lies within the flush');
    const freedDuringFlush = before - allocator();
    unmap(later, 1, flushEnds + 1000);
    sim.work.contended = false;
    machine.advance(10_000);
    // Enough maps to come down to that address, if it is free.
    const again = Array.from({ length: 300 }, page);
    const verdicts = new Set(again.map(({ iova }) => machine.touch('n', iova).verdict));
    return { reusedAddress: again.some(({ iova }) => iova === victim.iova), verdicts: [...verdicts], freedDuringFlush };
  }

  test('is freed by that flush when counters are dropped, and honest traffic reaches the wrong page', () => {
    assert.deepEqual(overlap('counters-dropped'), {
      reusedAddress: true,
      verdicts: ['ok', 'misdirected'],
      freedDuringFlush: 0,
    });
  });

  test('waits for the next flush under flush-queue; what was queued before it is free once it has ended, and no sooner', () => {
    assert.deepEqual(overlap('flush-queue'), { reusedAddress: false, verdicts: ['ok'], freedDuringFlush: 0 });
  });

  test('does not exist under strict, which frees after its own flush', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const mapped = machine.map('n', { buffer: machine.buffer(PAGE) });
    machine.touch('n', mapped.iova);
    machine.unmap(mapped.id);
    const again = machine.map('n', { buffer: machine.buffer(PAGE) });
    assert.equal(again.iova, mapped.iova);
    assert.equal(machine.touch('n', again.iova).verdict, 'ok');
  });
});

describe('H4: a table page that serves another mapping while a path to it is cached', () => {
  /** A page that the device has never touched, by the path that is left over: why it is reached, if it is. */
  function leftOverPath(invalidation: Record<string, unknown>, allocator: string) {
    const machine = new Machine({
      iommu: { superpages: [] },
      policy: { allocator: { kind: allocator }, invalidation },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    // Twice as long as what a table page covers: it covers one wholly, wherever the mapping lies.
    const [old, heir] = [machine.buffer(2 ** 22), machine.buffer(2 ** 22)];
    const mapped = machine.map('n', { buffer: old });
    const covered = Math.ceil(Number(mapped.iova) / 2 ** 21) * 2 ** 21;
    machine.touch('n', covered);
    machine.unmap(mapped.id);
    machine.map('n', { buffer: heir });
    const { cause, physicalAddress } = machine.touch('n', covered + PAGE);
    const ofHeir = Number(physicalAddress ?? 0) - machine.addressOf(heir);
    return cause === 'walk-cache' && ofHeir >= 0 && ofHeir < 2 ** 22;
  }

  test('is what deferred-2008, wrap and never have; the others keep table pages until a flush has covered them', () => {
    const kinds: [Record<string, unknown>, string][] = [
      [{ kind: 'strict' }, 'rbtree'],
      [{ kind: 'batched' }, 'rbtree'],
      [{ kind: 'deferred-2008' }, 'rbtree'],
      [{ kind: 'flush-queue' }, 'rbtree'],
      [{ kind: 'flush-queue', single: true }, 'rbtree'],
      [{ kind: 'delayed' }, 'rbtree'],
      [{ kind: 'delayed', form: 'ia64' }, 'rbtree'],
      [{ kind: 'wrap' }, 'bitmap'],
      [{ kind: 'never' }, 'rbtree'],
    ];
    assert.deepEqual([...new Set(kinds.map(([{ kind }]) => kind))].sort(), Object.keys(policies).sort());
    const have = kinds.filter(([invalidation, allocator]) => leftOverPath(invalidation, allocator));
    assert.deepEqual(
      have.map(([{ kind }]) => kind),
      ['deferred-2008', 'wrap', 'never'],
    );
  });
});

describe('H5: a command whose start is not aligned to its mask', () => {
  /**
   * Two pages from an odd one on, both cached, then unmapped. A driver that forgets to align sends the first page and the number of
   * pages; the chip ignores the low bit. @returns what the device meets once all timers have fired
   */
  function unaligned(kind: string, forgets: boolean, cachingMode = false): string[] {
    const machine = new Machine({
      policy: { allocator: { kind: 'gart' }, invalidation: { kind }, force: true },
      iommu: { invalidation: { cachingMode } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const { unit } = machine.sim;
    if (forgets)
      unit.range = (domain, first, pages, leafOnly, at) => unit.pages(domain, first, Math.log2(pages), leafOnly, at);
    machine.map('n', { buffer: machine.buffer(PAGE) });
    const { id, iova } = machine.map('n', { buffer: machine.buffer(2 * PAGE) });
    assert.equal((Number(iova) / PAGE) % 2, 1, 'gart does not align');
    machine.dma('n', iova, 'write', 2 * PAGE);
    machine.unmap(id);
    machine.advance(11 * MS);
    return [0, PAGE].map((offset) => machine.touch('n', Number(iova) + offset).verdict);
  }

  test('leaves the second page cached under strict and batched, where the driver forgets to align', () => {
    for (const kind of ['strict', 'batched']) assert.deepEqual(unaligned(kind, true), ['fault', 'stale'], kind);
  });

  test('leaves nothing where the driver aligns', () => {
    for (const kind of ['strict', 'batched', 'deferred-2008', 'flush-queue'])
      assert.deepEqual(unaligned(kind, false), ['fault', 'fault'], kind);
  });

  test('does not happen to deferred-2008 and flush-queue: what they send has no start', () => {
    for (const kind of ['deferred-2008', 'flush-queue'])
      assert.deepEqual(unaligned(kind, true), ['fault', 'fault'], kind);
  });

  test('happens to deferred-2008 in caching mode, which flushes entry by entry', () => {
    assert.deepEqual(unaligned('deferred-2008', true, true), ['fault', 'stale']);
  });
});

describe('H6: a map that is not invalidated, where not-present entries are cached', () => {
  /** The device asks too early, the driver maps, the device asks again. */
  function askTwice(cachingMode: boolean, forgets: boolean) {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      iommu: { invalidation: { cachingMode } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    if (forgets) machine.sim.flush.mapped = () => {};
    const before = machine.touch('n', '0xfffff000').verdict;
    const { iova } = machine.map('n', { buffer: machine.buffer(PAGE) });
    assert.equal(iova, '0xfffff000');
    const { verdict, memoryReferences } = machine.touch('n', iova);
    return { before, verdict, memoryReferences, invalidations: machine.sim.counters.invalidationsRange };
  }

  test('a driver that forgets it leaves its own mapping faulting', () => {
    const forgot = { before: 'fault', verdict: 'fault', memoryReferences: 0, invalidations: 0 };
    assert.deepEqual(askTwice(true, true), forgot);
  });

  test('the driver here does not forget; without caching mode there is nothing to forget', () => {
    const seen = { before: 'fault', verdict: 'ok' };
    assert.deepEqual(askTwice(true, false), { ...seen, memoryReferences: 4, invalidations: 1 });
    assert.deepEqual(askTwice(false, true), { ...seen, memoryReferences: 4, invalidations: 0 });
  });

  test('what was asked for too early is forgotten in time: 64 later pages that are not there', () => {
    const machine = new Machine({
      iommu: { invalidation: { cachingMode: true } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const references = (page: number) => machine.touch('n', page * PAGE).memoryReferences;
    assert.ok(references(0x4000) > 0);
    assert.equal(references(0x4000), 0);
    for (let page = 1; page <= 64; page++) references(0x4000 + page);
    assert.ok(references(0x4000) > 0);
  });

  test('an emulated IOMMU is in caching mode whatever the spec says', () => {
    const machine = new Machine({
      policy: { mode: 'emulated', allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      tenants: [{ name: 'guest', kind: 'vm' }],
      domains: [{ name: 'd', tenant: 'guest' }],
      devices: [{ name: 'n', kind: 'custom', domain: 'd' }],
    });
    machine.sim.flush.mapped = () => {};
    machine.touch('n', '0xfffff000');
    const { iova } = machine.map('n', { buffer: machine.buffer(PAGE, { tenant: 'guest' }) });
    assert.equal(machine.touch('n', iova).verdict, 'fault');
  });
});

describe('H8: addresses that come back elsewhere, and in bursts', () => {
  const CPUS = 32;

  /** Each CPU maps and unmaps its own 200 pages, and time passes; then once more. @returns what the second round takes from where */
  function secondRound(kind: string, depot: 'fixed' | 'trimmed') {
    const machine = new Machine({
      machine: { cpus: CPUS },
      policy: {
        allocator: { kind: 'rcache', depot, ...(depot === 'fixed' && { magazineEntries: 128 }) },
        invalidation: { kind },
      },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const { counters } = machine.sim;
    const buffer = machine.buffer(PAGE);
    const round = () => {
      const own = Array.from({ length: CPUS * 200 }, (_, i) => i % CPUS).map((cpu) => ({
        cpu,
        id: machine.map('n', { buffer, cpu }).id,
      }));
      const missed = counters.cacheMisses;
      for (const { cpu, id } of own) machine.unmap(id, cpu);
      machine.advance(11 * MS);
      return missed;
    };
    const first = round();
    const { depotFrees } = counters;
    return { missed: round() - first, toTree: depotFrees };
  }

  test('strict: each CPU finds again what it freed', () => {
    assert.deepEqual(secondRound('strict', 'fixed'), { missed: 0, toTree: 0 });
    assert.deepEqual(secondRound('batched', 'fixed'), { missed: 0, toTree: 0 });
  });

  test('flush-queue: the timer frees all of it on one CPU; a fixed depot overflows into the tree, and the others ask there', () => {
    const { missed, toTree } = secondRound('flush-queue', 'fixed');
    // Of its 50 magazines two are loaded there, and the depot has room for 32.
    assert.equal(toTree, 50 - 2 - 32);
    // Nobody else finds what is loaded there.
    assert.ok(missed >= toTree * 128, `${missed}`);
  });

  test('flush-queue with a depot that has no limit: nothing goes to the tree at once', () => {
    const { missed, toTree } = secondRound('flush-queue', 'trimmed');
    assert.equal(toTree, 0);
    assert.ok(missed < secondRound('flush-queue', 'fixed').missed, `${missed}`);
  });
});

describe('H9: the timer frees the rings of all CPUs on one of them', () => {
  /** CPU time of the one timer that fires, µs, with so many entries a ring. */
  const timerUs = (cpus: number, kind: string, entries = 200) => {
    const machine = new Machine({
      machine: { cpus },
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const { sim } = machine;
    const buffer = machine.buffer(PAGE);
    for (let cpu = 0; cpu < cpus; cpu++)
      for (let i = 0; i < entries; i++) machine.unmap(machine.map('n', { buffer, cpu }).id, cpu);
    const busy = sim.cpuBusyPs.slice();
    machine.advance(20 * MS);
    const spent = busy.map((ps, cpu) => (sim.cpuBusyPs[cpu]! - ps) / 1e6);
    assert.ok(spent.filter((us) => us > 0).length <= 1, 'all on one CPU');
    return Math.max(...spent);
  };

  test('flush-queue: the more CPUs, the longer, without bound; strict has no timer', () => {
    const [one, sixteen, all] = [timerUs(1, 'flush-queue'), timerUs(16, 'flush-queue'), timerUs(64, 'flush-queue')];
    assert.ok(sixteen > 14 * one && sixteen < 17 * one, `${one}, ${sixteen}`);
    assert.ok(all > 55 * one && all < 66 * one, `${one}, ${all}`);
    // 12,800 addresses at 159 cycles each, and the locks.
    assert.ok(all > (12_800 * 159) / 3100, `${all} µs`);
    assert.equal(timerUs(64, 'strict'), 0);
    assert.equal(timerUs(64, 'batched'), 0);
  });

  test('deferred-2008: one table for all CPUs bounds it at 250 entries', () => {
    assert.ok(timerUs(64, 'deferred-2008') <= timerUs(1, 'deferred-2008', 250) * 1.01);
  });

  test('in a run the others wait meanwhile for the locks that it needs', () => {
    const run = (kind: string) => {
      const cpus = 16;
      const machine = new Machine({
        machine: { cpus },
        policy: { allocator: { kind: 'rbtree' }, invalidation: { kind } },
        costs: { profile: 'riommu15-brcm' },
        devices: [{ name: 'n', kind: 'nic' }],
        workloads: [
          {
            kind: 'nic-rx',
            device: 'n',
            gbps: 2,
            queues: cpus,
            ringSize: 64,
            cpus: Array.from({ length: cpus }, (_, cpu) => cpu),
          },
        ],
      });
      machine.run({ forNs: 12 * MS });
      return { timers: machine.sim.counters.flushesTimer, queued: machine.sim.policy.queued };
    };
    const { timers } = run('flush-queue');
    assert.ok(timers >= 1, `${timers}`);
    assert.deepEqual(run('strict'), { timers: 0, queued: 0 });
  });
});
