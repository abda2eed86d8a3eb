/**
 * What the trees are known for: searches that grow with the number of live mappings as soon as lifetimes are not first
 * in, first out. Shapes of the counted steps, no times.
 *
 * Source: Malka, Amit and Tsafrir, "Efficient Intra-Operating System Protection Against Harmful DMAs", FAST 2015.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { type IovaAllocator, NO_PFN } from '../../../../src/core/os/iova/allocator.ts';
import { STEP } from '../../../../src/core/os/iova/call.ts';
import { allocators } from '../../../../src/core/os/iova/index.ts';

const LAST_32BIT = 0xfffff;
const SIZES = [256, 512, 1024, 2048, 4096];

interface Options {
  parameters?: Record<string, unknown>;
  cpus?: number;
  arm?: (delayPs: number, token: number) => void;
}

function create(kind: string, { parameters = {}, ...setup }: Options = {}): IovaAllocator {
  const entry = allocators[kind]!;
  const space = { lastPfn: 2 ** 36 - 1, maskLastPfn: 2 ** 36 - 1 };
  return entry.create({ ...space, ...setup, parameters: { ...entry.defaults, ...parameters }, onWrap: null });
}

/** Fills a space with single pages. */
function filled(kind: string, live: number, pages = 1): { allocator: IovaAllocator; pfns: number[] } {
  const allocator = create(kind);
  return { allocator, pfns: Array.from({ length: live }, () => take(allocator, pages)) };
}

/** The steps of one call, as the machine clears them. */
function take(allocator: IovaAllocator, pages: number): number {
  allocator.call.count = 0;
  return allocator.allocate(pages, LAST_32BIT);
}

function give(allocator: IovaAllocator, pfn: number, pages: number): void {
  allocator.call.count = 0;
  allocator.free(pfn, pages);
}

interface PerAllocation {
  nodes: number;
  words: number;
}

/** Frees one range and allocates one, again and again; the mean work of an allocation. */
function churn(kind: string, live: number, next: (count: number, live: number) => number, pages = 1): PerAllocation {
  const { allocator, pfns } = filled(kind, live, pages);
  const [nodesBefore, wordsBefore] = [allocator.nodesVisited, allocator.wordsScanned];
  const rounds = 4000;
  for (let count = 0; count < rounds; count++) {
    const index = next(count, live);
    give(allocator, pfns[index]!, pages);
    pfns[index] = take(allocator, pages);
  }
  return {
    nodes: (allocator.nodesVisited - nodesBefore) / rounds,
    words: (allocator.wordsScanned - wordsBefore) / rounds,
  };
}

const inTurn = (count: number, live: number) => count % live;

function atRandom(): (count: number, live: number) => number {
  const generator = xoroshiro128plus(15);
  return (_count, live) => uniformInt(generator, 0, live - 1);
}

/** Slope and squared correlation of the least-squares line. */
function line(xs: number[], ys: number[]): { slope: number; r2: number } {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(xs), mean(ys)];
  const product = (a: number[], b: number[], meanA: number, meanB: number) =>
    a.reduce((sum, value, index) => sum + (value - meanA) * (b[index]! - meanB), 0);
  const [xx, xy, yy] = [product(xs, xs, meanX, meanX), product(xs, ys, meanX, meanY), product(ys, ys, meanY, meanY)];
  return { slope: xy / xx, r2: (xy * xy) / (xx * yy) };
}

for (const kind of ['rbtree-2008', 'rbtree']) {
  describe(kind, () => {
    test('first in, first out: a free and an allocation need no walk, however many are live', () => {
      for (const live of SIZES) assert.ok(churn(kind, live, inTurn).nodes <= 1, `${live} live`);
    });

    test('in random order the walk grows in proportion to the live mappings', () => {
      const nodes = SIZES.map((live) => churn(kind, live, atRandom()).nodes);
      const { slope, r2 } = line(SIZES, nodes);
      assert.ok(r2 > 0.98, `r2 ${r2}: ${nodes}`);
      // A random free lands above or below the cached range alike; a good part of what is live lies in between.
      assert.ok(slope > 0.1 && slope < 1, `slope ${slope}: ${nodes}`);
    });

    test('one transmit free between two receive allocations costs a walk each ring cycle from then on', () => {
      const nodes = SIZES.map((ring) => longestWalks(kind, ring));
      for (const walks of nodes) {
        assert.ok(
          walks.cycles.every((longest) => longest > 0),
          `a cycle without a search: ${walks.cycles}`,
        );
      }
      const { slope, r2 } = line(
        SIZES,
        nodes.map(({ cycles }) => Math.max(...cycles)),
      );
      assert.ok(r2 > 0.98, `r2 ${r2}`);
      assert.ok(slope > 0.9, `slope ${slope}`);
      for (const { undisturbed } of nodes) assert.equal(undisturbed, 0);
    });
  });
}

/**
 * A receive ring below a transmit ring of the same size. One interference: receive frees, transmit frees, receive
 * allocates (and gets the transmit page). From then on only receive runs.
 *
 * @returns the longest search of the cycle before, and of each of three cycles after
 */
function longestWalks(kind: string, ring: number): { undisturbed: number; cycles: number[] } {
  const allocator = create(kind);
  const takeOne = () => take(allocator, 1);
  const transmit = Array.from({ length: ring }, takeOne);
  const receive = Array.from({ length: ring }, takeOne);
  const cycle = () => {
    let longest = 0;
    for (let slot = 0; slot < ring; slot++) {
      give(allocator, receive[slot]!, 1);
      receive[slot] = takeOne();
      longest = Math.max(longest, allocator.lastNodesVisited);
    }
    return longest;
  };
  const undisturbed = cycle();
  give(allocator, receive[0]!, 1);
  give(allocator, transmit[0]!, 1);
  receive[0] = takeOne();
  return { undisturbed, cycles: [cycle(), cycle(), cycle()] };
}

describe('bitmap', () => {
  test('the words looked at stay the same from 256 to 4096 live mappings, in whatever order they end', () => {
    for (const next of [() => inTurn, atRandom]) {
      const words = SIZES.map((live) => churn('bitmap', live, next()).words);
      assert.ok(
        words.every((mean) => mean >= 1 && mean < 4),
        `${words}`,
      );
      assert.ok(Math.max(...words) < 1.5 * Math.min(...words), `${words}`);
    }
  });

  test('it takes no step in a tree', () => {
    assert.equal(churn('bitmap', 1024, atRandom()).nodes, 0);
  });
});

for (const kind of ['eiovar', 'rcache', 'maple'])
  describe(kind, () => {
    test('neither random lifetimes nor rings that meet cost a walk, however many are live', () => {
      for (const ring of SIZES) {
        assert.equal(churn(kind, ring, atRandom()).nodes, 0, `${ring} live`);
        const { undisturbed, cycles } = longestWalks(kind, ring);
        assert.deepEqual([undisturbed, ...cycles], [0, 0, 0, 0], `rings of ${ring}`);
      }
    });
  });

describe('rcache, the cliff at 33 pages', () => {
  test('32 pages in random order never walk; 33 walk in proportion to the live mappings', () => {
    assert.deepEqual(
      SIZES.map((live) => churn('rcache', live, atRandom(), 32).nodes),
      SIZES.map(() => 0),
    );
    const nodes = SIZES.map((live) => churn('rcache', live, atRandom(), 33).nodes);
    const { slope, r2 } = line(SIZES, nodes);
    assert.ok(r2 > 0.98 && slope > 0.1, `slope ${slope}, r2 ${r2}: ${nodes}`);
  });

  test('with one size class more it is at 65', () => {
    for (const [pages, hits] of [
      [33, true],
      [64, true],
      [65, false],
    ] as const) {
      const allocator = create('rcache', { parameters: { maxOrder: 7 } });
      give(allocator, take(allocator, pages), pages);
      take(allocator, pages);
      assert.equal(allocator.call.counters.cacheHits + (allocator.ownHits ?? 0) === 1, hits, `${pages} pages`);
    }
  });
});

/**
 * Bursts of one size after the other on 16 CPUs: allocated on some, freed on others, nothing live in between.
 * @param each called after each burst
 */
function ages(allocator: IovaAllocator, bursts: number, each: () => void): number[] {
  const generator = xoroshiro128plus(83);
  const cached: number[] = [];
  for (let burst = 0; burst < bursts; burst++) {
    const pages = 2 ** uniformInt(generator, 0, 5);
    const count = uniformInt(generator, 2000, 12_000);
    const pfns = Array.from({ length: count }, () => {
      allocator.call.cpu = uniformInt(generator, 0, 7);
      const pfn = take(allocator, pages);
      assert.notEqual(pfn, NO_PFN);
      return pfn;
    });
    for (const pfn of pfns) {
      allocator.call.cpu = uniformInt(generator, 8, 15);
      give(allocator, pfn, pages);
    }
    each();
    cached.push(allocator.cachedRanges!);
  }
  return cached;
}

describe('rcache, ageing: freed on other CPUs than allocated', () => {
  const CPUS = 16;
  const CLASSES = 6;
  /** What the CPUs' own magazines can hold. */
  const held = (entries: number) => CPUS * CLASSES * 2 * entries;

  test('what is cached never shrinks as long as no worker runs, though nothing is live', () => {
    const allocator = create('rcache', { cpus: CPUS, arm: () => {} });
    const cached = ages(allocator, 40, () => {});
    assert.equal(allocator.liveRanges, 0);
    for (let i = 1; i < cached.length; i++) assert.ok(cached[i]! >= cached[i - 1]!, `${cached}`);
    assert.ok(cached.at(-1)! > 3 * cached[0]! && cached.at(-1)! > held(127), `${cached}`);
  });

  test('trimming brings each depot down to a magazine a CPU', () => {
    const armed: number[] = [];
    const allocator = create('rcache', { cpus: CPUS, arm: (_delayPs, token) => void armed.push(token) });
    ages(allocator, 40, () => {
      for (let order: number | undefined; (order = armed.shift()) !== undefined; ) {
        allocator.call.count = 0;
        allocator.timer!(order);
      }
    });
    const { classes } = allocator.inspect() as { classes: { depotMagazines: number }[] };
    assert.ok(
      classes.every(({ depotMagazines }) => depotMagazines <= CPUS),
      JSON.stringify(classes),
    );
    assert.ok(allocator.cachedRanges! <= held(127) + CLASSES * CPUS * 127);
    assert.ok(allocator.call.counters.depotFrees > 100);
  });

  test('a depot of 32 overflows into the tree, and the next burst takes from the tree what was given back to it', () => {
    const allocator = create('rcache', {
      cpus: CPUS,
      parameters: { magazineEntries: 128, depot: 'fixed' },
    });
    const misses: number[] = [];
    const { counters } = allocator.call;
    ages(allocator, 40, () => misses.push(counters.cacheMisses));
    assert.ok(allocator.cachedRanges! <= held(128) + CLASSES * 32 * 128);
    assert.ok(counters.depotFrees > 100);
    // Today's depot, never trimmed, has learned the peak by then; the fixed one goes on missing.
    const grown = create('rcache', { cpus: CPUS, arm: () => {} });
    ages(grown, 40, () => {});
    const late = misses.at(-1)! - misses[19]!;
    assert.ok(late > 10_000, `${late} misses in the second half`);
    assert.ok(counters.cacheMisses > 2 * grown.call.counters.cacheMisses);
  });
});

describe('maple', () => {
  test('a space of holes of four pages has none for four pages; the tree finds one', () => {
    const [allocator, tree] = [create('maple'), create('rbtree')];
    for (const each of [allocator, tree]) {
      each.reserve(1, 0xfdfff);
      const pfns = Array.from({ length: 0x2000 / 4 }, (_, i) => (i % 2 === 0 ? 0xffffc - 4 * i : 0));
      for (const pfn of pfns) if (pfn !== 0) each.reserve(pfn, pfn + 3);
      assert.equal(take(each, 1) !== NO_PFN, true);
    }
    assert.equal(take(allocator, 4), NO_PFN);
    assert.notEqual(take(tree, 4), NO_PFN);
  });

  test('where the tree walks over every live range, a descent takes a few levels', () => {
    const walks: number[] = [];
    const levels: number[] = [];
    const lives = [1024, 4096, 16_384, 65_536];
    for (const live of lives) {
      const [allocator, tree] = [create('maple'), create('rbtree')];
      for (const each of [allocator, tree]) {
        // Every other page of the topmost ones is taken: no two are free together above the last.
        for (let i = 0; i < live; i++) each.reserve(LAST_32BIT - 2 * i, LAST_32BIT - 2 * i);
        assert.equal(take(each, 2), LAST_32BIT - 2 * live - 1);
      }
      walks.push(tree.lastNodesVisited);
      assert.equal(allocator.call.stepAt(0), STEP.gapSearch);
      levels.push(allocator.call.timesAt(0));
    }
    assert.deepEqual(walks, lives);
    // 16^3 = 4096 entries hold 2,047 ranges with their gaps, 16^4 hold 32,767.
    assert.deepEqual(levels, [3, 4, 4, 5]);
  });
});
