/**
 * The IOVA tree of today's Linux without the magazines in front of it: top-down first fit from one of two cached nodes, with one
 * second look above the cached node before it gives up.
 *
 * Source: Linux drivers/iommu/iova.c from 4.15 on (anchor, two cached nodes), with commits bee60e94a1e2 (the size known not to fit
 * below 4 GiB) and 4e89dce72521 (the second look, here in its first form, which begins at the anchor).
 *
 * What to know: starts are aligned to the next power of two, sizes are not rounded. `max32AllocSize` is lowered by any failure, one
 * above 4 GiB included, and restored by any free below 4 GiB.
 *
 * Pathology: linear walks as in 2008, now twice in one allocation when the first look fails. Holes that alignment leaves above the
 * cached node stay unused until a free or that second look.
 *
 * Departs: the end of the anchor plus one never wraps to page 0, so a search that began at the anchor has no second look. `unreserve`
 * follows the rule for freeing. Lock and allocation of the node itself are not modelled here.
 */
import { InvariantError } from '../../assert.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import * as ranges from '../../sim/red-black-tree.ts';
import type { AllocatorEntry } from './allocator.ts';
import * as results from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';
import type { TreeBehindCache } from './search-behind-cache.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { STEP } = callConstants;

/** Constants of this module are folded by V8, imported ones are loaded each time. */
const { NO_PFN, SUSPENDED } = results;
const { NONE, RedBlackTree } = ranges;
const { treeSearch, treeFree } = STEP;
/** First page at 4 GiB. */
const FIRST_64BIT_PFN = 0x100000;
const START_PFN = 1;
/** Page number of the anchor, the kernel's all-ones: above every page there is, and still exact when one is added. */
const ANCHOR_PFN = 2 ** 52 - 1;
/** `cursor` when no search is suspended; a search is never suspended at NONE. */
const IDLE = NONE;

export class Rbtree implements TreeBehindCache {
  readonly removeStep = STEP.treeRemove;
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
  private readonly anchor = this.tree.insert(ANCHOR_PFN, ANCHOR_PFN, 1);
  /** Where searches above 4 GiB begin. */
  private cached = this.anchor;
  /** Where searches below 4 GiB begin. */
  private cached32 = this.anchor;
  /** Requests of this many pages or more are known to fail below 4 GiB. */
  private max32AllocSize = FIRST_64BIT_PFN;
  /** Lowest page of the second look; infinite once it has been taken. */
  private retryFrom = 0;
  /** The suspended search: the node it stands below, the bounds reached, and what was asked for. */
  private cursor = IDLE;
  private cursorHigh = 0;
  private cursorLow = 0;
  private askedPages = 0;
  private askedLimit = 0;

  constructor(call = new AllocatorCall()) {
    this.call = call;
  }

  allocate(pages: number, limitPfn: number): number {
    const { tree } = this;
    const { first, last, prev } = tree;
    const limit = limitPfn + 1;
    // Remainders by a power of two up to 2^20 need the low bits only, which the 32-bit operators keep of any whole double.
    const alignMask = (1 << (32 - Math.clz32(pages - 1))) - 1;

    let node: number;
    let high = limit;
    let low = START_PFN;
    let steps = 0;
    if (this.cursor !== IDLE) {
      this.assertSameRequest(pages, limitPfn);
      node = this.cursor;
      high = this.cursorHigh;
      low = this.cursorLow;
      steps = this.lastNodesVisited;
      this.cursor = IDLE;
    } else {
      if (limit <= FIRST_64BIT_PFN && pages >= this.max32AllocSize) {
        this.lastNodesVisited = 0;
        this.call.add(treeSearch, 0, 0);
        return NO_PFN;
      }
      node = limit <= FIRST_64BIT_PFN ? this.cached32 : this.cached;
      this.retryFrom = last[node] + 1;
    }

    const stepsBefore = steps;
    const stepsAllowed = steps + this.budget;
    let pfn: number;
    let found = false;
    for (;;) {
      if (first[node] < high) high = first[node];
      pfn = high - pages;
      pfn -= pfn & alignMask;
      const below = prev[node];
      if (below !== NONE && pfn <= last[below] && pfn >= low) {
        node = below;
        steps++;
        if (steps < stepsAllowed) continue;
        this.cursor = node;
        this.cursorHigh = high;
        this.cursorLow = low;
        this.askedPages = pages;
        this.askedLimit = limitPfn;
        this.nodesVisited += steps - stepsBefore;
        this.lastNodesVisited = steps;
        return SUSPENDED;
      }
      found = high >= pages && pfn >= low;
      if (found || this.retryFrom >= limit) {
        node = below;
        break;
      }
      low = this.retryFrom;
      this.retryFrom = Number.POSITIVE_INFINITY;
      high = limit;
      node = this.anchor;
    }
    this.nodesVisited += steps - stepsBefore;
    this.lastNodesVisited = steps;
    this.call.add(treeSearch, 0, steps);

    if (!found) {
      this.max32AllocSize = pages;
      return NO_PFN;
    }
    const inserted = tree.insertAfter(node, pfn, pfn + pages - 1, 0);
    if (pfn + pages <= FIRST_64BIT_PFN) this.cached32 = inserted;
    else this.cached = inserted;
    this.liveRanges++;
    this.livePages += pages;
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const { tree } = this;
    const node = tree.find(pfn);
    if (
      node === NONE ||
      tree.first[node] !== pfn ||
      tree.last[node] !== pfn + pages - 1 ||
      tree.reserved[node] !== 0 ||
      this.cursor !== IDLE
    ) {
      throw new InvariantError(`rbtree: ${pages} pages at ${pfn} freed, which were not handed out so`);
    }
    this.release(node);
    this.liveRanges--;
    this.livePages -= pages;
    this.call.add(treeFree, 0, 1);
  }

  remove(pfn: number): void {
    const { tree } = this;
    const node = tree.find(pfn);
    if (node === NONE || tree.first[node] !== pfn || tree.reserved[node] !== 0 || this.cursor !== IDLE) {
      throw new InvariantError(`rbtree: a range at ${pfn} removed, where none begins`);
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
    for (let node = from; node !== this.anchor && left > 0; node = next[node], left--) {
      if (visit(first[node], last[node], reserved[node]) === false) return;
    }
  }

  inspect(): Record<string, unknown> {
    const { first, count } = this.tree;
    return {
      kind: 'rbtree',
      cachedPfn: this.cached === this.anchor ? null : first[this.cached],
      cached32Pfn: this.cached32 === this.anchor ? null : first[this.cached32],
      max32AllocSize: this.max32AllocSize,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: count - 1 - this.liveRanges,
      nodesVisited: this.nodesVisited,
      lastNodesVisited: this.lastNodesVisited,
    };
  }

  digest(sink: DigestSink): void {
    const { first, last, next, reserved, count } = this.tree;
    sink.text('rbtree');
    sink.number(count - 1);
    for (let node = next[NONE]; node !== this.anchor; node = next[node]) {
      sink.number(first[node]);
      sink.number(last[node]);
      sink.number(reserved[node]);
    }
    sink.number(first[this.cached]);
    sink.number(first[this.cached32]);
    sink.number(this.max32AllocSize);
    if (this.cursor === IDLE) {
      sink.number(-1);
    } else {
      sink.number(first[this.cursor]);
      sink.number(this.cursorHigh);
      sink.number(this.cursorLow);
      sink.number(this.retryFrom);
    }
    sink.number(this.liveRanges);
    sink.number(this.livePages);
    sink.number(this.nodesVisited);
  }

  private release(node: number): void {
    const { tree } = this;
    const { first, last, next } = tree;
    if (node === this.cached32 || (last[node] < FIRST_64BIT_PFN && first[node] >= first[this.cached32])) {
      this.cached32 = next[node];
    }
    if (first[node] < FIRST_64BIT_PFN) this.max32AllocSize = FIRST_64BIT_PFN;
    if (first[node] >= first[this.cached]) this.cached = next[node];
    tree.erase(node);
  }

  private assertSameRequest(pages: number, limitPfn: number): void {
    if (pages !== this.askedPages || limitPfn !== this.askedLimit) {
      throw new InvariantError('rbtree: a suspended search was called again with other arguments');
    }
  }

  private assertNotSearching(): void {
    if (this.cursor !== IDLE) throw new InvariantError('rbtree: changed in the middle of a search');
  }
}

export const rbtree: AllocatorEntry = {
  kind: 'rbtree',
  schema: {
    type: 'object',
    properties: { kind: { const: 'rbtree' } },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'rbtree' },
  source:
    'Linux drivers/iommu/iova.c, 4.15 and later, without the per-CPU magazines; with commits bee60e94a1e2 and 4e89dce72521',
  searches: 'tree',
  costSteps: ['treeAllocFixed', 'treeAllocNode', 'treeFind', 'treeFree'],
  findStep: 'treeFind',
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  create: (setup) => new Rbtree(setup.call),
};
