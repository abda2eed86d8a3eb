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
import { type AllocatorEntry, type AllocatorSetup, type IovaAllocator, NO_PFN, RANGE } from './allocator.ts';
import { AllocatorCall, NO_LOCK, STEP } from './call.ts';
import { EMPTY, Magazines } from './magazines.ts';
import { Maple } from './maple.ts';
import { Rbtree } from './rbtree.ts';
import { type Cache, SearchBehindCache, type TreeBehindCache } from './search-behind-cache.ts';

/** Time from a put of a magazine to the depot to the worker that may trim it. */
const TRIM_DELAY_PS = 100_000_000_000;
/** Lock of the tree; that of the depot of a class is 1 + class. */
const TREE_LOCK = 0;

export class Rcache implements IovaAllocator, Cache {
  budget = Number.POSITIVE_INFINITY;
  readonly call: AllocatorCall;
  readonly lockNames: readonly string[];
  wordsScanned = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;

  private readonly tree: TreeBehindCache;
  private readonly behind: SearchBehindCache;
  private readonly counters: Counters;
  private readonly cpus: number;
  private readonly classes: number;
  /** Requests below this many pages are rounded up. */
  private readonly roundedBelow: number;
  private readonly trimmed: boolean;
  private readonly depotMax: number;
  private readonly arm: (delayPs: number, token: number) => void;

  private readonly magazines: Magazines;
  /** [(cpu * classes + class) * 2]: the loaded magazine; one further: prev. */
  private readonly held: Int32Array;
  /** [class]: newest magazine of the depot, EMPTY when it has none; how many it has; 1 while its worker waits. */
  private readonly depotTop: Int32Array;
  private readonly depotSize: Int32Array;
  private readonly armed: Uint8Array;
  /** [class]: allocations served and not served since the domain began. */
  private readonly hits: Float64Array;
  private readonly misses: Float64Array;

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
    this.held = new Int32Array(cpus * classes * 2);
    this.depotTop = new Int32Array(classes);
    this.depotSize = new Int32Array(classes);
    this.armed = new Uint8Array(classes);
    this.hits = new Float64Array(classes);
    this.misses = new Float64Array(classes);
  }

  get nodesVisited(): number {
    return this.tree.nodesVisited;
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
    let ranges = this.depotSize[order] * magazines.capacity;
    for (let at = order * 2; at < held.length; at += classes * 2)
      ranges += magazines.fill[held[at]] + magazines.fill[held[at + 1]];
    return ranges;
  }

  allocate(pages: number, limitPfn: number): number {
    const order = 32 - Math.clz32(pages - 1);
    const size = pages < this.roundedBelow ? 1 << order : pages;
    if (!this.behind.suspended) {
      this.lastNodesVisited = 0;
      if (order < this.classes) {
        const pfn = this.get(order, limitPfn + 1 - size);
        if (pfn !== NO_PFN) {
          this.liveRanges++;
          this.livePages += size;
          return pfn;
        }
      } else this.counters.cacheBypasses++;
    }
    const pfn = this.behind.allocate(size, limitPfn, this.budget, this.call.lastAttempt);
    this.lastNodesVisited = this.behind.steps;
    if (pfn > NO_PFN) {
      this.liveRanges++;
      this.livePages += size;
    }
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const { call, magazines, classes } = this;
    const order = 32 - Math.clz32(pages - 1);
    const size = pages < this.roundedBelow ? 1 << order : pages;
    this.liveRanges--;
    this.livePages -= size;
    if (order >= classes) {
      this.tree.remove(pfn);
      call.add(this.tree.removeStep, TREE_LOCK, 1);
      return;
    }
    call.add(STEP.cacheFree, NO_LOCK, 1);
    const at = (call.cpu * classes + order) * 2;
    let magazine = this.held[at];
    if (magazine === EMPTY || magazines.fill[magazine] === magazines.capacity) magazine = this.makeRoom(at, order);
    magazines.push(magazine, pfn);
  }

  /** @param highestPfn highest page at which a range may begin */
  private get(order: number, highestPfn: number): number {
    const { call, magazines } = this;
    call.add(STEP.cacheAllocate, NO_LOCK, 1);
    const at = (call.cpu * this.classes + order) * 2;
    let magazine = this.held[at];
    if (magazines.fill[magazine] === 0) magazine = this.load(at, order);
    const pfn = magazines.pop(magazine, highestPfn);
    if (pfn === NO_PFN) {
      this.misses[order]++;
      this.counters.cacheMisses++;
      return NO_PFN;
    }
    this.hits[order]++;
    this.counters.cacheHits++;
    return pfn;
  }

  /** The loaded magazine is empty: puts one with something in its place. @returns it, or one that is empty */
  private load(at: number, order: number): number {
    const { held, magazines } = this;
    const [loaded, prev] = [held[at], held[at + 1]];
    if (magazines.fill[prev] > 0) {
      held[at] = prev;
      held[at + 1] = loaded;
      return prev;
    }
    const full = this.takeFromDepot(order);
    if (full === EMPTY) return EMPTY;
    this.counters.depotGets++;
    magazines.drop(loaded);
    held[at] = full;
    return full;
  }

  /** The loaded magazine has no room: puts one that has in its place. @returns it */
  private makeRoom(at: number, order: number): number {
    const { held, magazines } = this;
    const [loaded, prev] = [held[at], held[at + 1]];
    if (loaded !== EMPTY) {
      if (prev === EMPTY || magazines.fill[prev] < magazines.capacity) {
        held[at + 1] = loaded;
        if (prev !== EMPTY) return (held[at] = prev);
      } else this.putToDepot(order, loaded);
    }
    return (held[at] = magazines.make());
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
    let ranges = 0;
    for (let at = 0; at < held.length; at++) {
      ranges += this.empty(held[at]);
      magazines.drop(held[at]);
      held[at] = EMPTY;
    }
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

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => void, limit: number): void {
    const cached = new Set<number>();
    this.forEachMagazine((_class, _cpu, _prev, pfns) => {
      for (const pfn of pfns) cached.add(pfn);
    });
    this.tree.forEachRange(
      (first, last, state) => visit(first, last, state === RANGE.allocated && cached.has(first) ? RANGE.cached : state),
      limit,
    );
  }

  inspect(): Record<string, unknown> {
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
