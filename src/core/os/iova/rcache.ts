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
const { STEP } = callConstants;
const { NO_MAGAZINE } = magazinesConstants;

/** Time from a put of a magazine to the depot to the worker that may trim it. */
const TRIM_DELAY_PS = 100_000_000_000;
/** Room for 16 classes, so that where a CPU's begin is a shift away; there are `MAX_ORDER` at most. */
const CPU_SHIFT = 4;
const CLASS_MASK = 0xf;
const MAX_ORDER = 10;
/** Lock of the tree; that of the depot of a class is 1 + class. */
const TREE_LOCK = 0;

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
  /** Classes that an allocation looks for in the caches: all, and none while a search of the tree is suspended. */
  private served = 0;
  declare private readonly trimmed: boolean;
  declare private readonly depotMax: number;
  private readonly arm: (delayPs: number, token: number) => void;

  declare private readonly magazines: Magazines;
  /** [cpu << CPU_SHIFT | class]: tops of a CPU's two magazines; allocations that the newest range served: `ownHits`. */
  declare private readonly loaded: Int32Array;
  declare private readonly prev: Int32Array;
  declare private readonly hits: Float64Array;
  /** [class]: newest magazine of the depot, how many it has; 1 while its worker waits. */
  declare private readonly depotTop: Int32Array;
  declare private readonly depotSize: Int32Array;
  declare private readonly armed: Uint8Array;
  /** [class]: allocations served from elsewhere than the loaded magazine, and not served, since the domain began. */
  declare private readonly laterHits: Float64Array;
  declare private readonly misses: Float64Array;

  constructor(setup: AllocatorSetup) {
    const { parameters, call = new AllocatorCall(), cpus = 1, arm = () => {} } = setup;
    const classes = parameters.maxOrder as number;
    this.call = call;
    this.counters = call.counters;
    this.cpus = cpus;
    this.classes = classes;
    this.served = classes;
    this.trimmed = parameters.depot === 'trimmed';
    this.depotMax = parameters.depotMax as number;
    this.arm = arm;
    this.tree = parameters.tree === 'maple' ? new Maple(call) : new Rbtree(call);
    this.behind = new SearchBehindCache(this.tree, this);
    this.lockNames = ['iova-allocator', ...Array.from({ length: classes }, (_, order) => `iova-depot-${2 ** order}`)];
    this.magazines = new Magazines(parameters.magazineEntries as number);
    this.loaded = new Int32Array(cpus << CPU_SHIFT).fill(this.magazines.none);
    this.prev = new Int32Array(cpus << CPU_SHIFT).fill(this.magazines.none);
    this.hits = new Float64Array(cpus << CPU_SHIFT);
    this.depotTop = new Int32Array(classes).fill(NO_MAGAZINE);
    this.depotSize = new Int32Array(classes);
    this.armed = new Uint8Array(classes);
    this.laterHits = new Float64Array(classes);
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

  get ownHits(): number {
    let hits = 0;
    for (const ofClass of this.hits) hits += ofClass;
    return hits;
  }

  /** Ranges of a class in all magazines. */
  private cachedIn(order: number): number {
    const { magazines } = this;
    let ranges = this.depotSize[order]! * magazines.capacity;
    for (let cpu = 0; cpu < this.cpus; cpu++) {
      const at = (cpu << CPU_SHIFT) | order;
      ranges += magazines.fillOf(this.loaded[at]!) + magazines.fillOf(this.prev[at]!);
    }
    return ranges;
  }

  private hitsOf(order: number): number {
    let hits = this.laterHits[order]!;
    for (let cpu = 0; cpu < this.cpus; cpu++) hits += this.hits[(cpu << CPU_SHIFT) | order]!;
    return hits;
  }

  allocate(pages: number, limitPfn: number): number {
    const { call } = this;
    const order = 32 - Math.clz32(pages - 1);
    if (order >= this.served) return this.allocateBehind(pages, limitPfn, order);
    const at = (call.cpu << CPU_SHIFT) | order;
    call.addUnlocked(STEP.cacheAllocate);
    const { magazines, loaded } = this;
    const top = loaded[at]!;
    const found = magazines.pfn[top]!;
    // The usual case by far; then there is no hole to fill.
    if (found <= limitPfn + 1 - (1 << order)) {
      loaded[at] = top - 1;
      this.hits[at]!++;
      this.lastNodesVisited = 0;
      return found;
    }
    return this.getElsewhere(at, limitPfn, order);
  }

  /** The newest range of the loaded magazine does not do, or it has none. */
  private getElsewhere(at: number, limitPfn: number, order: number): number {
    const { magazines, loaded } = this;
    const size = 1 << order;
    this.lastNodesVisited = 0;
    if (magazines.fillOf(loaded[at]!) === 0) this.load(at, order);
    const pfn = magazines.pop(loaded[at]!, limitPfn + 1 - size);
    if (pfn !== NO_PFN) {
      loaded[at]!--;
      this.laterHits[order]!++;
      this.counters.cacheHits++;
      return pfn;
    }
    this.misses[order]!++;
    this.counters.cacheMisses++;
    return this.search(size, limitPfn);
  }

  /** Too long for the caches, or in the midst of a search. */
  private allocateBehind(pages: number, limitPfn: number, order: number): number {
    if (this.served !== 0) {
      this.lastNodesVisited = 0;
      this.counters.cacheBypasses++;
    }
    return this.search(order < this.classes ? 1 << order : pages, limitPfn);
  }

  private search(size: number, limitPfn: number): number {
    const pfn = this.behind.allocate(size, limitPfn, this.budget, this.call.lastAttempt);
    this.lastNodesVisited = this.behind.steps;
    this.served = this.behind.suspended ? 0 : this.classes;
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const { call } = this;
    const order = 32 - Math.clz32(pages - 1);
    if (order >= this.classes) {
      this.tree.remove(pfn);
      call.add(this.tree.removeStep, TREE_LOCK, 1);
      return;
    }
    call.addUnlocked(STEP.cacheFree);
    const at = (call.cpu << CPU_SHIFT) | order;
    const { magazines, loaded } = this;
    let top = loaded[at]!;
    const { placeMask } = magazines;
    if ((top & placeMask) === placeMask) top = this.makeRoom(at, order);
    magazines.pfn[++top] = pfn;
    loaded[at] = top;
  }

  /** The loaded magazine is empty: puts one with something in its place, if there is one. */
  private load(at: number, order: number): void {
    const { magazines } = this;
    const loaded = this.loaded[at]!;
    const prev = this.prev[at]!;
    if (magazines.fillOf(prev) > 0) {
      this.prev[at] = loaded;
      this.loaded[at] = prev;
      return;
    }
    const full = this.takeFromDepot(order);
    if (full === magazines.none) return;
    this.counters.depotGets++;
    magazines.drop(loaded);
    this.loaded[at] = full;
  }

  /** The loaded magazine has no room: puts one that has in its place. @returns its top */
  private makeRoom(at: number, order: number): number {
    const { magazines } = this;
    const { none } = magazines;
    const loaded = this.loaded[at]!;
    const prev = this.prev[at]!;
    let room: number;
    if (loaded === none || magazines.isFull(prev)) {
      if (loaded !== none) this.putToDepot(order, loaded);
      room = magazines.make();
    } else {
      this.prev[at] = loaded;
      room = prev === none ? magazines.make() : prev;
    }
    return (this.loaded[at] = room);
  }

  /** @returns top of the newest magazine of a depot, `none` without one; the lock is taken to look */
  private takeFromDepot(order: number): number {
    const { magazines } = this;
    const magazine = this.depotTop[order]!;
    this.call.add(STEP.depotMove, 1 + order, magazine === NO_MAGAZINE ? 0 : 1);
    if (magazine === NO_MAGAZINE) return magazines.none;
    this.depotTop[order] = magazines.takeOff(magazine);
    this.depotSize[order]!--;
    return magazines.fullTop(magazine);
  }

  /** @param full top of a full magazine */
  private putToDepot(order: number, full: number): void {
    const { call, counters } = this;
    if (!this.trimmed && this.depotSize[order]! >= this.depotMax) {
      call.add(STEP.depotMove, 1 + order, 0);
      this.freeToTree(full);
      return;
    }
    this.depotTop[order] = this.magazines.putOn(full, this.depotTop[order]!);
    this.depotSize[order]!++;
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
  private freeToTree(full: number): void {
    this.counters.depotFrees++;
    this.call.add(this.tree.removeStep, TREE_LOCK, this.empty(full));
  }

  /** Takes a magazine's ranges out of the tree; it goes. @returns how many */
  private empty(top: number): number {
    const { magazines, tree } = this;
    const ranges = magazines.rangesOf(top);
    for (let i = 0; i < ranges.length; i++) tree.remove(ranges[i]!);
    magazines.drop(top);
    return ranges.length;
  }

  giveBack(): boolean {
    const { call, magazines, classes, loaded, prev } = this;
    this.counters.cacheFlushes++;
    let ranges = 0;
    for (let at = 0; at < loaded.length; at++) {
      ranges += this.empty(loaded[at]!) + this.empty(prev[at]!);
      loaded[at] = magazines.none;
      prev[at] = magazines.none;
    }
    for (let order = 0; order < classes; order++) {
      const moved = this.depotSize[order]!;
      for (let magazine = this.depotTop[order]!; magazine !== NO_MAGAZINE; ) {
        const rest = magazines.takeOff(magazine);
        ranges += this.empty(magazines.fullTop(magazine));
        magazine = rest;
      }
      this.depotTop[order] = NO_MAGAZINE;
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
    const { classes, depotSize, misses, tree } = this;
    const magazines: Record<string, number>[] = [];
    for (let cpu = 0; cpu < this.cpus; cpu++)
      for (let order = 0; order < classes; order++) {
        const at = (cpu << CPU_SHIFT) | order;
        const loaded = this.magazines.fillOf(this.loaded[at]!);
        const prev = this.magazines.fillOf(this.prev[at]!);
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
        hits: this.hitsOf(order),
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
    sink.column(
      Float64Array.from(this.misses, (_, order) => this.hitsOf(order)),
      this.classes,
    );
    sink.column(this.misses, this.classes);
    sink.number(this.liveRanges);
    sink.number(this.livePages);
  }

  /** Every magazine that has something: its class; its CPU, -1 in a depot; 1 when it is prev, in a depot its place from the newest on. */
  private forEachMagazine(visit: (order: number, cpu: number, prev: number, pfns: Float64Array) => void): void {
    const { classes, magazines, loaded, prev } = this;
    for (let at = 0; at < loaded.length; at++)
      for (const [isPrev, top] of [loaded[at]!, prev[at]!].entries())
        if (magazines.fillOf(top) > 0) visit(at & CLASS_MASK, at >> CPU_SHIFT, isPrev, magazines.rangesOf(top));
    for (let order = 0; order < classes; order++) {
      let place = 0;
      for (let magazine = this.depotTop[order]!; magazine !== NO_MAGAZINE; magazine = magazines.next(magazine))
        visit(order, -1, place++, magazines.rangesOf(magazines.fullTop(magazine)));
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
        maximum: MAX_ORDER,
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
