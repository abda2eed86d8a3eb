/**
 * The gap tree proposed in 2026: tree, cached nodes and anchor replaced by one B-tree that tracks gaps, under the same lock. The highest
 * gap that is wide enough is found in a descent, however many ranges are live.
 *
 * Source: Rik van Riel, "[PATCH v3 0/3] iova: use maple tree for O(log n) allocation", 2 June 2026; without the per-CPU magazines in front
 * of it (`rcache` with `tree: "maple"` has them).
 *
 * What to know: an aligned range of n pages, n a power of two, is searched as a gap of 2n - 1, so that rounding its start down cannot
 * leave the gap: a hole that the range would fill exactly is refused. The gap counts only as far as it lies from page 1 to the limit.
 * `max32AllocSize` is lowered only by failures at a limit below 4 GiB, and restored by any free that begins below 4 GiB.
 *
 * Pathology: a space full of holes of n pages serves no request for n aligned pages, n > 1.
 *
 * Departs: a binary tree stands in for the B-tree, with the same answers (`../../sim/gap-tree.ts`); its levels are not counted, but those
 * that a B-tree of full 16-way nodes would have: the least L with 16^L >= 2n + 1 entries, n ranges and a gap on either side of each. The
 * kernel parks a range for 10 ms when there is no memory for the nodes that removing it takes; memory for nodes never runs out here.
 */
import { InvariantError } from '../../assert.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import * as gapTreeConstants from '../../sim/gap-tree.ts';
import { GapTree } from '../../sim/gap-tree.ts';
import * as redBlackTreeConstants from '../../sim/red-black-tree.ts';
import type { AllocatorEntry } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';
import type { TreeBehindCache } from './search-behind-cache.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_GAP } = gapTreeConstants;
const { NONE } = redBlackTreeConstants;
const { NO_PFN } = allocatorConstants;
const { STEP } = callConstants;

/** First page at 4 GiB. */
const FIRST_64BIT_PFN = 0x100000;
/** Entries of a node. */
const FAN_OUT = 16;

export class Maple implements TreeBehindCache {
  readonly removeStep = STEP.gapFree;
  budget = Number.POSITIVE_INFINITY;
  declare readonly call: AllocatorCall;
  readonly lockNames = ['iova-allocator'];
  nodesVisited = 0;
  wordsScanned = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;

  private readonly tree = new GapTree();
  /** Requests of this many pages or more are known to fail below 4 GiB. */
  private max32AllocSize = FIRST_64BIT_PFN;

  constructor(call = new AllocatorCall()) {
    this.call = call;
  }

  allocate(pages: number, limitPfn: number): number {
    const { tree } = this;
    const only32 = limitPfn < FIRST_64BIT_PFN;
    if (only32 && pages >= this.max32AllocSize) {
      this.call.add(STEP.gapSearch, 0, 0);
      return NO_PFN;
    }
    // Remainders by a power of two up to 2^20 need the low bits only, which the 32-bit operators keep of any whole double.
    const alignMask = (1 << (32 - Math.clz32(pages - 1))) - 1;
    this.call.add(STEP.gapSearch, 0, this.levels());
    const above = tree.highestGap(pages + alignMask, limitPfn);
    if (above === NO_GAP) {
      if (only32) this.max32AllocSize = pages;
      return NO_PFN;
    }
    const top = tree.first[above] - 1;
    let pfn = (top < limitPfn ? top : limitPfn) - pages + 1;
    pfn -= pfn & alignMask;
    tree.insertAfter(tree.prev[above], pfn, pfn + pages - 1, 0);
    this.liveRanges++;
    this.livePages += pages;
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const { tree } = this;
    const node = tree.find(pfn);
    if (node === NONE || tree.first[node] !== pfn || tree.last[node] !== pfn + pages - 1 || tree.reserved[node] !== 0) {
      throw new InvariantError(`maple: ${pages} pages at ${pfn} freed, which were not handed out so`);
    }
    this.release(node);
    this.liveRanges--;
    this.livePages -= pages;
    this.call.add(STEP.gapFree, 0, 1);
  }

  remove(pfn: number): void {
    const { tree } = this;
    const node = tree.find(pfn);
    if (node === NONE || tree.first[node] !== pfn || tree.reserved[node] !== 0) {
      throw new InvariantError(`maple: a range at ${pfn} removed, where none begins`);
    }
    this.liveRanges--;
    this.livePages -= tree.last[node] + 1 - pfn;
    this.release(node);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.tree.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
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
      kind: 'maple',
      max32AllocSize: this.max32AllocSize,
      levels: this.levels(),
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: this.tree.count - this.liveRanges,
    };
  }

  digest(sink: DigestSink): void {
    const { first, last, next, reserved, count } = this.tree;
    sink.text('maple');
    sink.number(count);
    for (let node = next[NONE]; node !== NONE; node = next[node]) {
      sink.number(first[node]);
      sink.number(last[node]);
      sink.number(reserved[node]);
    }
    sink.number(this.max32AllocSize);
    sink.number(this.liveRanges);
    sink.number(this.livePages);
  }

  /** Levels of the B-tree that stands for this one. */
  private levels(): number {
    const entries = 2 * this.tree.count + 1;
    let levels = 1;
    for (let reach = FAN_OUT; reach < entries; reach *= FAN_OUT) levels++;
    return levels;
  }

  private release(node: number): void {
    if (this.tree.first[node] < FIRST_64BIT_PFN) this.max32AllocSize = FIRST_64BIT_PFN;
    this.tree.erase(node);
  }
}

export const maple: AllocatorEntry = {
  kind: 'maple',
  schema: {
    type: 'object',
    properties: { kind: { const: 'maple' } },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'maple' },
  source:
    'Rik van Riel, "iova: use maple tree for O(log n) allocation", v3, linux-iommu, 2 June 2026, without the per-CPU magazines',
  searches: 'gaps',
  costSteps: ['gapAllocFixed', 'gapAllocLevel', 'gapFree'],
  findStep: null,
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  refusesExactHoles: true,
  always32BitFirst: false,
  create: (setup) => new Maple(setup.call),
};
