/**
 * EiovaR: the allocator of 2008 with a free list in front of it. A freed range stays in the tree and goes on the list of its size; the
 * next request of that size takes it from there in constant time.
 *
 * Source: Malka, Amit and Tsafrir, "Efficient Intra-Operating System Protection Against Harmful DMAs", FAST 2015, on `rbtree-2008.ts`.
 *
 * As read, where a reader may ask:
 * - Sizes are rounded up to powers of two first, as the tree does, and each rounded size has a list of its own, newest first.
 * - A request takes the newest range of its list that ends at or below the limit; the others keep their order.
 * - The lists have no bound. The paper states none that we know of; it saw 668 kept ranges at most, 155 on average.
 * - The layer lies inside `alloc_iova` and knows nothing of the limits its caller may try next. So whenever the tree has nothing, all that
 *   is kept goes back (sizes rising, newest first) and the tree is searched once more; when nothing is kept, it is not.
 * - A kept range is allocated as far as the tree knows: `overlaps` says so, and it cannot be reserved.
 *
 * Pathology: memory of the past. What was once live at the same time stays in the tree for ever, and a request of a size that was never
 * freed walks over all of it.
 *
 * Departs: the free list is under the tree's lock, as the paper's numbers for many clients have it, and takes a look of constant cost on
 * a miss too. Who unmaps looks the range up in the tree first, as that driver does (`findStep`); a free is not checked against the tree.
 */
import type { Counters } from '../../meter/counters.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { growFloat64, growInt32 } from '../../sim/growable.ts';
import type { AllocatorEntry, IovaAllocator } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';
import { Rbtree2008 } from './rbtree-2008.ts';
import { type Cache, SearchBehindCache } from './search-behind-cache.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN, RANGE, SUSPENDED } = allocatorConstants;
const { STEP } = callConstants;

const LOCK = 0;
/** Sizes from 1 to 2^20 pages. */
const SIZES = 21;
/** No element: ends a list. */
const END = 0;
const INITIAL_CAPACITY = 64;

export class Eiovar implements IovaAllocator, Cache {
  budget = Number.POSITIVE_INFINITY;
  declare readonly call: AllocatorCall;
  readonly lockNames = ['iova-allocator'];
  wordsScanned = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;
  cachedRanges = 0;
  cachedPages = 0;

  declare private readonly tree: Rbtree2008;
  declare private readonly behind: SearchBehindCache;
  declare private readonly counters: Counters;
  /** [order]: newest element of the list of ranges of 2^order pages. */
  private readonly newest = new Int32Array(SIZES);
  /** [element]: lowest page of a kept range; the element before it, or of an unused one the next unused. */
  private pfn = new Float64Array(INITIAL_CAPACITY);
  private older = new Int32Array(INITIAL_CAPACITY);
  private unused = END;
  private end = 1;
  private cachedPeak = 0;

  constructor(call = new AllocatorCall()) {
    this.call = call;
    this.counters = call.counters;
    this.tree = new Rbtree2008(call);
    this.behind = new SearchBehindCache(this.tree, this);
  }

  get nodesVisited(): number {
    return this.tree.nodesVisited;
  }

  allocate(pages: number, limitPfn: number): number {
    const order = 32 - Math.clz32(pages - 1);
    const size = 1 << order;
    if (!this.behind.suspended) {
      const pfn = this.take(order, limitPfn + 1 - size);
      if (pfn !== NO_PFN) {
        this.counters.cacheHits++;
        this.call.add(STEP.cacheAllocate, LOCK, 1);
        this.lastNodesVisited = 0;
        this.liveRanges++;
        this.livePages += size;
        return pfn;
      }
    }
    const pfn = this.behind.allocate(size, limitPfn, this.budget, true);
    this.lastNodesVisited = this.behind.steps;
    if (pfn === SUSPENDED) return pfn;
    this.counters.cacheMisses++;
    // After the search, so that both are done under one hold, suspended or not.
    this.call.add(STEP.cacheAllocate, LOCK, 1);
    if (pfn !== NO_PFN) {
      this.liveRanges++;
      this.livePages += size;
    }
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const order = 32 - Math.clz32(pages - 1);
    const element = this.makeElement();
    this.pfn[element] = pfn;
    this.older[element] = this.newest[order];
    this.newest[order] = element;
    this.liveRanges--;
    this.livePages -= 1 << order;
    this.cachedRanges++;
    this.cachedPages += 1 << order;
    if (this.cachedRanges > this.cachedPeak) this.cachedPeak = this.cachedRanges;
    this.call.add(STEP.cacheFree, LOCK, 1);
  }

  /** The newest kept range of a size that begins at or below a page, or NO_PFN. */
  private take(order: number, highestPfn: number): number {
    const { pfn, older, newest } = this;
    let newer = END;
    let element = newest[order];
    while (element !== END && pfn[element] > highestPfn) {
      newer = element;
      element = older[element];
    }
    if (element === END) return NO_PFN;
    if (newer === END) newest[order] = older[element];
    else older[newer] = older[element];
    this.forget(element, order);
    return pfn[element];
  }

  private forget(element: number, order: number): void {
    this.older[element] = this.unused;
    this.unused = element;
    this.cachedRanges--;
    this.cachedPages -= 1 << order;
  }

  private makeElement(): number {
    const element = this.unused;
    if (element !== END) {
      this.unused = this.older[element];
      return element;
    }
    if (this.end === this.pfn.length) {
      this.pfn = growFloat64(this.pfn, this.end * 2);
      this.older = growInt32(this.older, this.end * 2);
    }
    return this.end++;
  }

  giveBack(): boolean {
    const { call, tree, newest } = this;
    const ranges = this.cachedRanges;
    if (ranges === 0) return false;
    this.counters.cacheFlushes++;
    for (let order = 0; order < SIZES; order++)
      for (let element = newest[order]; element !== END; element = newest[order]) {
        newest[order] = this.older[element];
        tree.remove(this.pfn[element]);
        this.forget(element, order);
      }
    call.add(tree.removeStep, LOCK, ranges);
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
    const kept = new Set<number>();
    this.forEachKept((_order, pfn) => kept.add(pfn));
    this.tree.forEachRange(
      (first, last, state) => visit(first, last, state === RANGE.allocated && kept.has(first) ? RANGE.cached : state),
      limit,
      fromPfn,
    );
  }

  inspect(): Record<string, unknown> {
    const lists = new Map<number, number>();
    this.forEachKept((order) => lists.set(order, (lists.get(order) ?? 0) + 1));
    return {
      ...this.tree.inspect(),
      kind: 'eiovar',
      lastNodesVisited: this.lastNodesVisited,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      cachedRanges: this.cachedRanges,
      cachedPages: this.cachedPages,
      cachedRangesPeak: this.cachedPeak,
      lists: [...lists].map(([order, ranges]) => ({ pages: 2 ** order, ranges })),
    };
  }

  digest(sink: DigestSink): void {
    sink.text('eiovar');
    this.tree.digest(sink);
    this.behind.digest(sink);
    sink.number(this.cachedRanges);
    this.forEachKept((order, pfn) => {
      sink.number(order);
      sink.number(pfn);
    });
    sink.number(this.liveRanges);
    sink.number(this.livePages);
    sink.number(this.cachedPeak);
  }

  /** Sizes rising, of each the newest first. */
  private forEachKept(visit: (order: number, pfn: number) => void): void {
    for (let order = 0; order < SIZES; order++)
      for (let element = this.newest[order]; element !== END; element = this.older[element])
        visit(order, this.pfn[element]);
  }
}

export const eiovar: AllocatorEntry = {
  kind: 'eiovar',
  schema: {
    type: 'object',
    properties: { kind: { const: 'eiovar' } },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'eiovar' },
  source: 'Malka, Amit, Tsafrir: EiovaR, FAST 2015, over the allocator of Linux 3.6',
  searches: 'cache',
  costSteps: ['cacheAlloc', 'cacheFree', 'treeAllocFixed', 'treeAllocNode', 'treeFind', 'treeFree'],
  findStep: 'treeFind',
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  always32BitFirst: true,
  create: (setup) => new Eiovar(setup.call),
};
