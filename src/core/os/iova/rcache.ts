/**
 * rcache, the default of Linux since 2016: per-CPU magazines of freed IOVAs, one pair for each size class, a depot of full magazines
 * for each class, and a tree behind them.
 *
 *     free ──> loaded ─ full ─> prev ─ full ─> depot ──> (trimmed, overflow, flush) ──> tree
 *     alloc <─ loaded <─ empty ─ prev <─ empty ─ depot                        alloc <── tree
 *
 * Source: Linux drivers/iommu/iova.c: commit 9257b4a206fc (2016), the pop that scans for a limit (2017), magazines of 127 entries and the
 * depot that a worker trims (September 2023, "iommu/iova: Manage the depot list size"). Tree: `rbtree.ts`, `maple.ts`.
 *
 * As read, where a reader may ask:
 * - Classes are 0 to maxOrder - 1, of 1, 2, 4 ... pages. A request of fewer than 2^(maxOrder - 1) pages is rounded up to a power of two,
 *   whether the cache serves it or the tree; the order looked up is that of the size asked for, which is the same. Longer ones than the
 *   largest class go to the tree as they are, at both ends.
 * - A get uses the loaded magazine if it has anything; else the two change places if prev has something; else the loaded one is dropped
 *   for one from the depot, and prev stays empty as it is. Only that one magazine is scanned: from the top for a range that ends at or
 *   below the limit. If it has none, the get is a miss, whatever prev and the depot hold.
 * - A put uses the loaded magazine if it has room; else the two change places if prev has room; else the loaded one goes to the depot and
 *   a new one, which then holds just this range, takes its place. Prev stays, full.
 * - `trimmed`: the worker of a class is armed 100 ms ahead by each put of a magazine unless it waits already, on the CPU of that put.
 *   When it runs and the depot has more magazines than the machine has CPUs, it frees the newest and is armed again; else it rests.
 * - `fixed`: the depot has `depotMax` places; when they are taken, the loaded magazine's ranges go to the tree at once. No worker.
 * - A magazine's ranges go to the tree in the order in which they were pushed (where a pop has not moved one).
 * - When the tree has nothing on the caller's last attempt, every CPU's magazines (CPUs rising, classes rising, loaded then prev), then
 *   the depots (classes rising, newest first) are emptied into the tree, and the tree is searched once more, also if they were empty.
 * - A range in a magazine is allocated as far as the tree knows: `overlaps` says so, and it cannot be reserved.
 *
 * Pathologies: 33 pages and more never see the cache (the cliff). CPUs that free what others allocate fill depots that the allocating CPUs
 * do not empty, since these take from the tree what their own class has not (ageing). One device with a narrow mask meets magazines full
 * of ranges that it cannot reach, and misses each time.
 *
 * Departs: the lock of a CPU's magazines is not one of the locks here: only a flush takes another CPU's. Allocation of a magazine does not
 * fail. A flush counts as one hold of the tree's lock, where the kernel lets go after each magazine. CPUs do not go offline. A free to the
 * cache is not checked against the tree, as in the kernel.
 */
import type { Counters } from '../../meter/counters.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { AllocatorEntry, AllocatorSetup, IovaAllocator } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';
import * as magazinesConstants from './magazines.ts';
import { Magazines } from './magazines.ts';
import { Maple } from './maple.ts';
import { Rbtree } from './rbtree.ts';
import { type Cache, SearchBehindCache, type TreeBehindCache } from './search-behind-cache.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN, RANGE } = allocatorConstants;
const { NO_LOCK, STEP } = callConstants;
const { EMPTY } = magazinesConstants;

/** Time from a put of a magazine to the depot to the worker that may trim it. */
const TRIM_DELAY_PS = 100_000_000_000;
/** Lock of the tree; that of the depot of a class is 1 + class. */
const TREE_LOCK = 0;
// Columns of a loaded magazine; the fourth is spare.
const LOADED = 4;
const NEXT = 0;
const FIRST = 1;
const END = 2;

export class Rcache implements IovaAllocator, Cache {
  budget = Number.POSITIVE_INFINITY;
  declare readonly call: AllocatorCall;
  declare readonly lockNames: readonly string[];
  wordsScanned = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;

  declare private readonly tree: TreeBehindCache;
  declare private readonly behind: SearchBehindCache;
  declare private readonly counters: Counters;
  declare private readonly cpus: number;
  declare private readonly classes: number;
  /** Requests below this many pages are rounded up. */
  declare private readonly roundedBelow: number;
  declare private readonly trimmed: boolean;
  declare private readonly depotMax: number;
  private readonly arm: (delayPs: number, token: number) => void;

  declare private readonly magazines: Magazines;
  /** What `magazines` keeps its ranges in: replaced when it grows. */
  declare private pfn: Float64Array;
  /**
   * [(cpu * classes + class) * LOADED + column]: of the loaded magazine, places in `pfn`: the one that the next free takes, the first,
   * and the one after the last. While a magazine is loaded this says how full it is, not `magazines.fill`.
   */
  declare private readonly loaded: Int32Array;
  /** [(cpu * classes + class) * 2]: the loaded magazine; one further: prev. */
  declare private readonly held: Int32Array;
  /** [class]: newest magazine of the depot, EMPTY when it has none; how many it has; 1 while its worker waits. */
  declare private readonly depotTop: Int32Array;
  declare private readonly depotSize: Int32Array;
  declare private readonly armed: Uint8Array;
  /** [class]: allocations served and not served since the domain began. */
  declare private readonly hits: Float64Array;
  declare private readonly misses: Float64Array;

  constructor(setup: AllocatorSetup) {
    const { parameters, call = new AllocatorCall(), cpus = 1, arm = () => {} } = setup;
    const classes = parameters.maxOrder as number;
    this.call = call;
    this.counters = call.counters;
    this.cpus = cpus;
    this.classes = classes;
    this.roundedBelow = 2 ** (classes - 1);
    this.trimmed = parameters.depot === 'trimmed';
    this.depotMax = parameters.depotMax as number;
    this.arm = arm;
    this.tree = parameters.tree === 'maple' ? new Maple(call) : new Rbtree(call);
    this.behind = new SearchBehindCache(this.tree, this);
    this.lockNames = ['iova-allocator', ...Array.from({ length: classes }, (_, order) => `iova-depot-${2 ** order}`)];
    this.magazines = new Magazines(parameters.magazineEntries as number);
    this.pfn = this.magazines.pfn;
    this.held = new Int32Array(cpus * classes * 2);
    this.loaded = new Int32Array(cpus * classes * LOADED);
    this.depotTop = new Int32Array(classes);
    this.depotSize = new Int32Array(classes);
    this.armed = new Uint8Array(classes);
    this.hits = new Float64Array(classes);
    this.misses = new Float64Array(classes);
  }

  get nodesVisited(): number {
    return this.tree.nodesVisited;
  }

  get liveRanges(): number {
    return this.tree.liveRanges - this.cachedRanges;
  }

  get livePages(): number {
    return this.tree.livePages - this.cachedPages;
  }

  get cachedRanges(): number {
    let ranges = 0;
    for (let order = 0; order < this.classes; order++) ranges += this.cachedIn(order);
    return ranges;
  }

  get cachedPages(): number {
    let pages = 0;
    for (let order = 0; order < this.classes; order++) pages += this.cachedIn(order) * 2 ** order;
    return pages;
  }

  get depotMagazines(): number {
    let magazines = 0;
    for (let order = 0; order < this.classes; order++) magazines += this.depotSize[order];
    return magazines;
  }

  /** Ranges of a class in all magazines. */
  private cachedIn(order: number): number {
    const { held, classes, magazines } = this;
    this.settle();
    let ranges = this.depotSize[order] * magazines.capacity;
    for (let at = order * 2; at < held.length; at += classes * 2)
      ranges += magazines.fill[held[at]] + magazines.fill[held[at + 1]];
    return ranges;
  }

  /** Tells `magazines` how full the loaded ones are. */
  private settle(): void {
    for (let pair = 0; pair * 2 < this.held.length; pair++) this.settlePair(pair);
  }

  private settlePair(pair: number): void {
    const { loaded } = this;
    const magazine = this.held[pair * 2];
    if (magazine !== EMPTY)
      this.magazines.fill[magazine] = loaded[pair * LOADED + NEXT] - loaded[pair * LOADED + FIRST];
  }

  /** Makes a magazine the loaded one of a pair. */
  private attach(pair: number, magazine: number): void {
    const { magazines, loaded } = this;
    const { capacity } = magazines;
    this.held[pair * 2] = magazine;
    this.pfn = magazines.pfn;
    const first = magazine * capacity;
    loaded[pair * LOADED + NEXT] = first + magazines.fill[magazine];
    loaded[pair * LOADED + FIRST] = first;
    loaded[pair * LOADED + END] = magazine === EMPTY ? first : first + capacity;
  }

  allocate(pages: number, limitPfn: number): number {
    const { call, classes } = this;
    const order = 32 - Math.clz32(pages - 1);
    if (order >= classes || this.searching) return this.allocateBehind(pages, limitPfn, order);
    const size = pages < this.roundedBelow ? 1 << order : pages;
    const { loaded, pfn } = this;
    const pair = call.cpu * classes + order;
    const at = pair * LOADED;
    call.add(STEP.cacheAllocate, NO_LOCK, 1);
    const newest = loaded[at + NEXT] - 1;
    if (newest >= loaded[at + FIRST]) {
      const found = pfn[newest];
      // The usual case by far; then there is no hole to fill.
      if (found + size - 1 <= limitPfn) {
        loaded[at + NEXT] = newest;
        this.hits[order]++;
        this.counters.cacheHits++;
        this.lastNodesVisited = 0;
        return found;
      }
    }
    return this.getElsewhere(pages, limitPfn, order, pair);
  }

  /** The newest range of the loaded magazine does not do, or it has none. */
  private getElsewhere(pages: number, limitPfn: number, order: number, pair: number): number {
    const { magazines } = this;
    const size = pages < this.roundedBelow ? 1 << order : pages;
    this.lastNodesVisited = 0;
    this.settlePair(pair);
    if (magazines.fill[this.held[pair * 2]] === 0) this.load(pair, order);
    const magazine = this.held[pair * 2];
    const pfn = magazines.pop(magazine, limitPfn + 1 - size);
    if (pfn !== NO_PFN) {
      this.attach(pair, magazine);
      this.hits[order]++;
      this.counters.cacheHits++;
      return pfn;
    }
    this.misses[order]++;
    this.counters.cacheMisses++;
    return this.search(size, limitPfn);
  }

  /** Too long for the caches, or in the midst of a search. */
  private allocateBehind(pages: number, limitPfn: number, order: number): number {
    if (!this.searching) {
      this.lastNodesVisited = 0;
      this.counters.cacheBypasses++;
    }
    return this.search(order < this.classes && pages < this.roundedBelow ? 1 << order : pages, limitPfn);
  }

  /** Whether a search of the tree was suspended. */
  private searching = false;

  private search(size: number, limitPfn: number): number {
    const pfn = this.behind.allocate(size, limitPfn, this.budget, this.call.lastAttempt);
    this.lastNodesVisited = this.behind.steps;
    this.searching = this.behind.suspended;
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const { call, classes, loaded } = this;
    const order = 32 - Math.clz32(pages - 1);
    if (order >= classes) {
      this.tree.remove(pfn);
      call.add(this.tree.removeStep, TREE_LOCK, 1);
      return;
    }
    call.add(STEP.cacheFree, NO_LOCK, 1);
    const pair = call.cpu * classes + order;
    let place = loaded[pair * LOADED + NEXT];
    if (place === loaded[pair * LOADED + END]) place = this.makeRoom(pair, order);
    this.pfn[place] = pfn;
    loaded[pair * LOADED + NEXT] = place + 1;
  }

  /** The loaded magazine is empty: puts one with something in its place, if there is one. */
  private load(pair: number, order: number): void {
    const { held, magazines } = this;
    const at = pair * 2;
    const [loaded, prev] = [held[at], held[at + 1]];
    if (magazines.fill[prev] > 0) {
      held[at + 1] = loaded;
      this.attach(pair, prev);
      return;
    }
    const full = this.takeFromDepot(order);
    if (full === EMPTY) return;
    this.counters.depotGets++;
    magazines.drop(loaded);
    this.attach(pair, full);
  }

  /** The loaded magazine has no room: puts one that has in its place. @returns the place that the next free takes */
  private makeRoom(pair: number, order: number): number {
    const { held, magazines } = this;
    const at = pair * 2;
    this.settlePair(pair);
    const [loaded, prev] = [held[at], held[at + 1]];
    if (loaded === EMPTY || (prev !== EMPTY && magazines.fill[prev] === magazines.capacity)) {
      if (loaded !== EMPTY) this.putToDepot(order, loaded);
      this.attach(pair, magazines.make());
    } else {
      held[at + 1] = loaded;
      this.attach(pair, prev === EMPTY ? magazines.make() : prev);
    }
    return this.loaded[pair * LOADED + NEXT];
  }

  /** Newest magazine of a depot, or EMPTY; the lock is taken to look. */
  private takeFromDepot(order: number): number {
    const magazine = this.depotTop[order];
    this.call.add(STEP.depotMove, 1 + order, magazine === EMPTY ? 0 : 1);
    if (magazine === EMPTY) return EMPTY;
    this.depotTop[order] = this.magazines.below[magazine];
    this.depotSize[order]--;
    return magazine;
  }

  private putToDepot(order: number, magazine: number): void {
    const { call, counters } = this;
    if (!this.trimmed && this.depotSize[order] >= this.depotMax) {
      call.add(STEP.depotMove, 1 + order, 0);
      this.freeToTree(magazine);
      return;
    }
    this.magazines.below[magazine] = this.depotTop[order];
    this.depotTop[order] = magazine;
    this.depotSize[order]++;
    counters.depotPuts++;
    call.add(STEP.depotMove, 1 + order, 1);
    if (this.trimmed) this.armWorker(order);
  }

  private armWorker(order: number): void {
    if (this.armed[order] === 1) return;
    this.armed[order] = 1;
    this.arm(TRIM_DELAY_PS, order);
  }

  timer(order: number): void {
    this.armed[order] = 0;
    if (this.depotSize[order] <= this.cpus) {
      this.call.add(STEP.depotMove, 1 + order, 0);
      return;
    }
    this.freeToTree(this.takeFromDepot(order));
    this.armWorker(order);
  }

  /** A full magazine's ranges, to the tree under one hold of its lock; the magazine goes. */
  private freeToTree(magazine: number): void {
    this.counters.depotFrees++;
    this.call.add(this.tree.removeStep, TREE_LOCK, this.empty(magazine));
    this.magazines.drop(magazine);
  }

  /** Takes a magazine's ranges out of the tree. @returns how many */
  private empty(magazine: number): number {
    const { magazines, tree } = this;
    const count = magazines.fill[magazine];
    const base = magazine * magazines.capacity;
    for (let slot = base; slot < base + count; slot++) tree.remove(magazines.pfn[slot]);
    return count;
  }

  giveBack(): boolean {
    const { call, held, magazines, classes } = this;
    this.counters.cacheFlushes++;
    this.settle();
    let ranges = 0;
    for (let at = 0; at < held.length; at++) {
      ranges += this.empty(held[at]);
      magazines.drop(held[at]);
      held[at] = EMPTY;
    }
    for (let pair = 0; pair * 2 < held.length; pair++) this.attach(pair, EMPTY);
    for (let order = 0; order < classes; order++) {
      let moved = 0;
      for (let magazine = EMPTY; (magazine = this.depotTop[order]) !== EMPTY; moved++) {
        this.depotTop[order] = magazines.below[magazine];
        ranges += this.empty(magazine);
        magazines.drop(magazine);
      }
      this.depotSize[order] = 0;
      this.counters.depotFrees += moved;
      call.add(STEP.depotMove, 1 + order, moved);
    }
    call.add(this.tree.removeStep, TREE_LOCK, ranges);
    call.letGo();
    return true;
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.tree.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.tree.unreserve(firstPfn, lastPfn);
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    return this.tree.overlaps(firstPfn, lastPfn);
  }

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => unknown, limit: number, fromPfn = 0): void {
    const cached = new Set<number>();
    this.forEachMagazine((_class, _cpu, _prev, pfns) => {
      for (const pfn of pfns) cached.add(pfn);
    });
    this.tree.forEachRange(
      (first, last, state) => visit(first, last, state === RANGE.allocated && cached.has(first) ? RANGE.cached : state),
      limit,
      fromPfn,
    );
  }

  inspect(): Record<string, unknown> {
    this.settle();
    const { classes, depotSize, hits, misses, tree } = this;
    const magazines: Record<string, number>[] = [];
    for (let cpu = 0; cpu < this.cpus; cpu++)
      for (let order = 0; order < classes; order++) {
        const at = (cpu * classes + order) * 2;
        const loaded = this.magazines.fill[this.held[at]];
        const prev = this.magazines.fill[this.held[at + 1]];
        if (loaded + prev > 0) magazines.push({ cpu, pages: 2 ** order, loaded, prev });
      }
    const behind = tree.inspect();
    return {
      ...behind,
      kind: 'rcache',
      tree: behind.kind,
      lastNodesVisited: this.lastNodesVisited,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      cachedRanges: this.cachedRanges,
      cachedPages: this.cachedPages,
      depotMagazines: this.depotMagazines,
      magazineEntries: this.magazines.capacity,
      classes: Array.from({ length: classes }, (_, order) => ({
        pages: 2 ** order,
        depotMagazines: depotSize[order],
        hits: hits[order],
        misses: misses[order],
      })),
      magazines,
    };
  }

  digest(sink: DigestSink): void {
    sink.text('rcache');
    this.tree.digest(sink);
    this.behind.digest(sink);
    this.forEachMagazine((order, cpu, prev, pfns) => {
      sink.number(order);
      sink.number(cpu);
      sink.number(prev);
      sink.number(pfns.length);
      sink.column(pfns, pfns.length);
    });
    sink.column(this.armed, this.classes);
    sink.column(this.hits, this.classes);
    sink.column(this.misses, this.classes);
    sink.number(this.liveRanges);
    sink.number(this.livePages);
  }

  /** Every magazine that has something: its class; its CPU, -1 in a depot; 1 when it is prev, in a depot its place from the newest on. */
  private forEachMagazine(visit: (order: number, cpu: number, prev: number, pfns: Float64Array) => void): void {
    this.settle();
    const { classes, held, magazines, depotTop } = this;
    const contents = (magazine: number): Float64Array => {
      const base = magazine * magazines.capacity;
      return magazines.pfn.subarray(base, base + magazines.fill[magazine]);
    };
    for (let at = 0; at < held.length; at++) {
      if (magazines.fill[held[at]] === 0) continue;
      const pair = at >> 1;
      visit(pair % classes, Math.floor(pair / classes), at & 1, contents(held[at]));
    }
    for (let order = 0; order < classes; order++) {
      let place = 0;
      for (let magazine = depotTop[order]; magazine !== EMPTY; magazine = magazines.below[magazine])
        visit(order, -1, place++, contents(magazine));
    }
  }
}

export const rcache: AllocatorEntry = {
  kind: 'rcache',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'rcache' },
      tree: { type: 'string', enum: ['rbtree', 'maple'], default: 'rbtree', description: 'what is behind the caches' },
      maxOrder: {
        type: 'integer',
        minimum: 1,
        maximum: 10,
        default: 6,
        description: 'classes of sizes that are cached: 1, 2, 4 ... 2^(maxOrder - 1) pages',
      },
      magazineEntries: {
        type: 'integer',
        minimum: 1,
        maximum: 1024,
        default: 127,
        description: 'ranges in a magazine; 128 up to 2022',
      },
      depot: {
        type: 'string',
        enum: ['trimmed', 'fixed'],
        default: 'trimmed',
        description:
          '`trimmed`: any number of magazines, which a worker gives back one by one; `fixed`: up to `depotMax`',
      },
      depotMax: {
        type: 'integer',
        minimum: 1,
        maximum: 4096,
        default: 32,
        description: 'of a `fixed` depot: magazines',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'rcache', tree: 'rbtree', maxOrder: 6, magazineEntries: 127, depot: 'trimmed', depotMax: 32 },
  source:
    'Linux drivers/iommu/iova.c since commit 9257b4a206fc (2016); trimmed depot: "iommu/iova: Manage the depot list size" (2023)',
  searches: 'cache',
  costSteps: ['cacheAlloc', 'cacheFree', 'depotMove', 'treeAllocFixed', 'treeAllocNode', 'treeFind', 'treeFree'],
  costStepsWith: ({ tree }) =>
    tree === 'maple'
      ? ['cacheAlloc', 'cacheFree', 'depotMove', 'gapAllocFixed', 'gapAllocLevel', 'gapFree']
      : rcache.costSteps,
  findStep: null,
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  pagesTaken: (pages, parameters) => (pages < 2 ** (Number(parameters.maxOrder) - 1) ? nextPowerOfTwo(pages) : pages),
  always32BitFirst: false,
  create: (setup) => new Rcache(setup),
};

function nextPowerOfTwo(pages: number): number {
  return 2 ** (32 - Math.clz32(pages - 1));
}
