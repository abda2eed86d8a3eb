/**
 * The IOVA allocator of the first intel-iommu: all ranges in a red-black tree, searched linearly from the top down, with one cached
 * node, the last range handed out under the 32-bit limit.
 *
 * Source: Linux 3.6 drivers/iommu/iova.c, which is the allocator of 2008 with one correction of 2011: when a range is freed, its
 * successor is cached only if it starts below 4 GiB.
 *
 * What to know: sizes are rounded up to a power of two without a bound, so five pages take eight, and every range is aligned to
 * its size. Page 1 is never handed out either, because the check at the bottom is stricter than the one between ranges.
 *
 * Pathology: a free at or above the cached node drags the cache up to the freed range's successor, and the next search that does
 * not fit there walks over every live range below. Two rings in one space do this to each other without end (Malka et al., FAST 2015).
 *
 * Departs: a search that runs into a reservation of page 0 fails, where the kernel's unsigned limit wraps round. `unreserve` has no
 * counterpart in this kernel; it follows the rule for `free`. Lock and allocation of the node itself are not modelled here.
 */
import { InvariantError } from '../../assert.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import * as redBlackTreeConstants from '../../sim/red-black-tree.ts';
import { RedBlackTree } from '../../sim/red-black-tree.ts';
import type { AllocatorEntry } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';
import type { TreeBehindCache } from './search-behind-cache.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NONE } = redBlackTreeConstants;
const { NO_PFN, SUSPENDED } = allocatorConstants;
const { STEP } = callConstants;

/** Highest page below 4 GiB; only a search with exactly this limit uses and moves the cache. */
const LAST_32BIT_PFN = 0xfffff;
/** Lowest page the bottom check counts with. */
const START_PFN = 1;
/** `cursor` when no search is suspended. */
const IDLE = -1;

export class Rbtree2008 implements TreeBehindCache {
  /** The driver holds the node when it frees. */
  readonly removeStep = STEP.treeFree;
  budget = Number.POSITIVE_INFINITY;
  declare readonly call: AllocatorCall;
  readonly lockNames = ['iova-allocator'];
  nodesVisited = 0;
  wordsScanned = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;

  private readonly tree = new RedBlackTree();
  /** Node of the last range handed out under the 32-bit limit, or NONE. */
  private cached32 = NONE;
  /** The suspended search: the node to look at next, the limit reached, and what was asked for. */
  private cursor = IDLE;
  private cursorLimit = 0;
  private askedPages = 0;
  private askedLimit = 0;

  constructor(call = new AllocatorCall()) {
    this.call = call;
  }

  allocate(pages: number, limitPfn: number): number {
    const { tree } = this;
    const { first, last, prev } = tree;
    const size = 1 << (32 - Math.clz32(pages - 1));
    // Remainders by a power of two up to 2^20 need the low bits only, which the 32-bit operators keep of any whole double.
    const sizeMask = size - 1;

    let node: number;
    let limit: number;
    let steps = 0;
    if (this.cursor !== IDLE) {
      this.assertSameRequest(pages, limitPfn);
      node = this.cursor;
      limit = this.cursorLimit;
      steps = this.lastNodesVisited;
      this.cursor = IDLE;
    } else if (limitPfn === LAST_32BIT_PFN && this.cached32 !== NONE) {
      limit = first[this.cached32] - 1;
      node = prev[this.cached32];
    } else {
      limit = limitPfn;
      node = prev[NONE];
    }

    const stepsBefore = steps;
    const stepsAllowed = steps + this.budget;
    while (node !== NONE) {
      if (limit >= first[node]) {
        if (limit >= last[node] && last[node] + size + ((limit + 1) & sizeMask) <= limit) break;
        limit = first[node] - 1;
      }
      node = prev[node];
      steps++;
      if (steps >= stepsAllowed) {
        this.cursor = node;
        this.cursorLimit = limit;
        this.askedPages = pages;
        this.askedLimit = limitPfn;
        this.nodesVisited += steps - stepsBefore;
        this.lastNodesVisited = steps;
        return SUSPENDED;
      }
    }
    this.nodesVisited += steps - stepsBefore;
    this.lastNodesVisited = steps;
    this.call.add(STEP.treeSearch, 0, steps);

    const padding = (limit + 1) & sizeMask;
    if (node === NONE && START_PFN + size + padding > limit) return NO_PFN;
    const pfn = limit - (size + padding) + 1;
    const inserted = tree.insertAfter(node, pfn, pfn + size - 1, 0);
    if (limitPfn === LAST_32BIT_PFN) this.cached32 = inserted;
    this.liveRanges++;
    this.livePages += size;
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const { tree } = this;
    const size = 1 << (32 - Math.clz32(pages - 1));
    const node = tree.find(pfn);
    if (
      node === NONE ||
      tree.first[node] !== pfn ||
      tree.last[node] !== pfn + size - 1 ||
      tree.reserved[node] !== 0 ||
      this.cursor !== IDLE
    ) {
      throw new InvariantError(`rbtree-2008: ${pages} pages at ${pfn} freed, which were not handed out so`);
    }
    this.release(node);
    this.liveRanges--;
    this.livePages -= size;
    this.call.add(STEP.treeFree, 0, 1);
  }

  remove(pfn: number): void {
    const { tree } = this;
    const node = tree.find(pfn);
    if (node === NONE || tree.first[node] !== pfn || tree.reserved[node] !== 0 || this.cursor !== IDLE) {
      throw new InvariantError(`rbtree-2008: a range at ${pfn} removed, where none begins`);
    }
    this.liveRanges--;
    this.livePages -= tree.last[node] + 1 - pfn;
    this.release(node);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.assertNotSearching();
    this.tree.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.assertNotSearching();
    for (let node = NONE; (node = this.tree.cutReserved(firstPfn, lastPfn)) !== NONE; ) this.release(node);
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    return this.tree.overlaps(firstPfn, lastPfn);
  }

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => unknown, limit: number, fromPfn = 0): void {
    const { first, last, next, reserved } = this.tree;
    let left = limit;
    const from = fromPfn === 0 ? next[NONE] : this.tree.findAtOrAbove(fromPfn);
    for (let node = from; node !== NONE && left > 0; node = next[node], left--) {
      if (visit(first[node], last[node], reserved[node]) === false) return;
    }
  }

  inspect(): Record<string, unknown> {
    return {
      kind: 'rbtree-2008',
      cached32Pfn: this.cached32 === NONE ? null : this.tree.first[this.cached32],
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: this.tree.count - this.liveRanges,
      nodesVisited: this.nodesVisited,
      lastNodesVisited: this.lastNodesVisited,
    };
  }

  digest(sink: DigestSink): void {
    const { first, last, next, reserved, count } = this.tree;
    sink.text('rbtree-2008');
    sink.number(count);
    for (let node = next[NONE]; node !== NONE; node = next[node]) {
      sink.number(first[node]);
      sink.number(last[node]);
      sink.number(reserved[node]);
    }
    sink.number(this.cached32 === NONE ? -1 : first[this.cached32]);
    sink.number(this.cursor === IDLE ? IDLE : this.cursorLimit);
    sink.number(this.liveRanges);
    sink.number(this.livePages);
    sink.number(this.nodesVisited);
  }

  private release(node: number): void {
    const { tree } = this;
    if (this.cached32 !== NONE && tree.first[node] >= tree.first[this.cached32]) {
      const above = tree.next[node];
      this.cached32 = above !== NONE && tree.first[above] < LAST_32BIT_PFN ? above : NONE;
    }
    tree.erase(node);
  }

  private assertSameRequest(pages: number, limitPfn: number): void {
    if (pages !== this.askedPages || limitPfn !== this.askedLimit) {
      throw new InvariantError('rbtree-2008: a suspended search was called again with other arguments');
    }
  }

  private assertNotSearching(): void {
    if (this.cursor !== IDLE) throw new InvariantError('rbtree-2008: changed in the middle of a search');
  }
}

export const rbtree2008: AllocatorEntry = {
  kind: 'rbtree-2008',
  schema: {
    type: 'object',
    properties: { kind: { const: 'rbtree-2008' } },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'rbtree-2008' },
  source:
    'Linux 3.6 drivers/iommu/iova.c: the allocator of the 2008 intel-iommu driver, with its 2011 rule for the cached node',
  searches: 'tree',
  costSteps: ['treeAllocFixed', 'treeAllocNode', 'treeFind', 'treeFree'],
  findStep: 'treeFind',
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  always32BitFirst: true,
  create: (setup) => new Rbtree2008(setup.call),
};
