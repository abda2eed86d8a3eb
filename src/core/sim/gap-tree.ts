/**
 * Disjoint closed ranges of page numbers in a balanced tree that knows, for every subtree, the widest gap below one of its ranges: the
 * highest gap that is wide enough and lies below a limit is found in one descent, without a walk over the ranges in between.
 *
 * A treap: a search tree by page number and a heap by rank. Ranks are a fixed hash of the handle, so that a history has one shape, and
 * the depth is logarithmic in whatever order ranges come and go, since nothing about a range decides its rank.
 *
 * Handles, columns and the ring through the ranges are those of `red-black-tree.ts`. The handle 0 is no range: it closes the ring, its
 * `first` lies above every page, and its `last` is page 0, which is never free.
 *
 * Source: Seidel and Aragon, "Randomized Search Trees", Algorithmica 1996; augmentation: Cormen et al., "Introduction to Algorithms",
 * chapter 14.
 */
import { InvariantError } from '../assert.ts';
import { growFloat64, growInt32, growUint8 } from './growable.ts';
import { NONE } from './red-black-tree.ts';

/** Result of `highestGap` when no gap is wide enough. */
export const NO_GAP = -1;

const INITIAL_CAPACITY = 64;
/** Above every page number there is. */
const ABOVE_ALL = 2 ** 52;

/** A hash of 31 bits that spreads neighbouring handles: the finaliser of MurmurHash3. */
function rankOf(node: number): number {
  let hash = node;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 1;
}

export class GapTree {
  /** [node]: lowest page number of the range, below 2^52. Replaced on growth, as all columns: do not hold across an insertion. */
  first = new Float64Array(INITIAL_CAPACITY);
  /** [node]: highest page number, inclusive. */
  last = new Float64Array(INITIAL_CAPACITY);
  /** [node]: the range below, or NONE. */
  prev = new Int32Array(INITIAL_CAPACITY);
  /** [node]: the range above, or NONE; of an erased handle, the one erased before it. */
  next = new Int32Array(INITIAL_CAPACITY);
  /** [node]: 1 when the range was taken by `reserve`. */
  reserved = new Uint8Array(INITIAL_CAPACITY);
  /** Ranges in the tree. */
  count = 0;

  private left = new Int32Array(INITIAL_CAPACITY);
  private right = new Int32Array(INITIAL_CAPACITY);
  private parent = new Int32Array(INITIAL_CAPACITY);
  /** [node]: never below its children's. */
  private rank = new Int32Array(INITIAL_CAPACITY);
  /** [node]: free pages between the range below and this one; the widest such gap in the subtree. Of NONE -1: narrower than any. */
  private gap = new Float64Array(INITIAL_CAPACITY);
  private widest = new Float64Array(INITIAL_CAPACITY);
  private root = NONE;
  private newestErased = NONE;
  /** Handles below this have been handed out at least once. */
  private handleEnd = 1;

  constructor() {
    this.first[NONE] = ABOVE_ALL;
    this.gap[NONE] = -1;
    this.widest[NONE] = -1;
  }

  /** The range that contains the page, or NONE. */
  find(pfn: number): number {
    const { first, last, left, right } = this;
    let node = this.root;
    while (node !== NONE) {
      if (pfn < first[node]) node = left[node];
      else if (pfn > last[node]) node = right[node];
      else break;
    }
    return node;
  }

  /** The lowest range that contains the page or lies wholly above it, or NONE. */
  findAtOrAbove(pfn: number): number {
    const { last, left, right } = this;
    let node = this.root;
    let found = NONE;
    while (node !== NONE) {
      if (last[node] >= pfn) {
        found = node;
        node = left[node];
      } else {
        node = right[node];
      }
    }
    return found;
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    return this.first[this.findAtOrAbove(firstPfn)] <= lastPfn;
  }

  /**
   * The highest gap of at least so many pages at or below the limit; of the gap in which the limit lies, only the part up to it counts.
   *
   * @param pages at least 1
   * @param limit highest page, inclusive
   * @returns the range right above the gap, NONE when it is the gap above all ranges; NO_GAP
   */
  highestGap(pages: number, limit: number): number {
    const { first, last, prev, left, right, gap, widest } = this;
    let node = this.root;
    /** Lowest range above the limit. */
    let above = NONE;
    /** The highest range below `above` that has, itself or in its left subtree, a gap that is wide enough. */
    let found = NO_GAP;
    while (node !== NONE) {
      if (first[node] > limit) {
        above = node;
        node = left[node];
      } else {
        if (gap[node] >= pages || widest[left[node]] >= pages) found = node;
        node = right[node];
      }
    }
    if (limit - last[prev[above]] >= pages) return above;
    if (found === NO_GAP || gap[found] >= pages) return found;
    node = left[found];
    for (;;) {
      if (widest[right[node]] >= pages) node = right[node];
      else if (gap[node] >= pages) return node;
      else node = left[node];
    }
  }

  /**
   * Adds a range right above `below` (NONE: as the lowest), without a descent. The caller vouches for the order.
   * @returns its handle
   */
  insertAfter(below: number, firstPfn: number, lastPfn: number, reserved: number): number {
    const node = this.takeHandle();
    const { first, last, prev, next, left, right, parent, rank, gap } = this;
    const above = next[below];
    first[node] = firstPfn;
    last[node] = lastPfn;
    this.reserved[node] = reserved;
    prev[node] = below;
    next[node] = above;
    next[below] = node;
    prev[above] = node;
    left[node] = NONE;
    right[node] = NONE;
    this.count++;
    gap[node] = firstPfn - last[below] - 1;
    // Of two neighbours in order, one lies in the other's subtree, so one of the two facing links is empty.
    if (below !== NONE && right[below] === NONE) {
      right[below] = node;
      parent[node] = below;
    } else if (above !== NONE) {
      left[above] = node;
      parent[node] = above;
    } else {
      this.root = node;
      parent[node] = NONE;
    }
    if (above !== NONE) gap[above] = first[above] - lastPfn - 1;
    /** What has a gap that changed and still stands above the new range: one of its ancestors, unless it sinks below it. */
    let changed = above;
    let up: number;
    while ((up = parent[node]) !== NONE && rank[up] < rank[node]) {
      if (left[up] === node) this.rotateRight(up);
      else this.rotateLeft(up);
      this.measure(up);
      if (up === changed) changed = NONE;
    }
    this.remeasure(node, node, changed);
    return node;
  }

  /** Takes a range out; its handle is free from now on. */
  erase(node: number): void {
    const { first, last, prev, next, left, right, parent, rank, gap } = this;
    const below = prev[node];
    const above = next[node];
    next[below] = above;
    prev[above] = below;
    if (above !== NONE) gap[above] = first[above] - last[below] - 1;
    /** The highest one that rose past it. */
    let risen = NONE;
    for (;;) {
      const [low, high] = [left[node], right[node]];
      if (low === NONE || high === NONE) break;
      if (rank[low] > rank[high]) {
        this.rotateRight(node);
        if (risen === NONE) risen = low;
      } else {
        this.rotateLeft(node);
        if (risen === NONE) risen = high;
      }
    }
    // The range above lies in the subtree on the right, or is an ancestor when there is none.
    const start = right[node] === NONE ? parent[node] : above;
    this.replace(node, right[node] === NONE ? left[node] : right[node]);
    this.remeasure(start, risen, above === risen ? NONE : above);
    parent[NONE] = NONE;
    next[node] = this.newestErased;
    this.newestErased = node;
    this.count--;
  }

  /**
   * Takes pages out of circulation: a reserved range that overlaps grows downwards to meet the request, what is left above it goes on to
   * the next one, and the rest becomes a range of its own, as in `red-black-tree.ts`.
   */
  reserve(firstPfn: number, lastPfn: number): void {
    let rest = firstPfn;
    let node = this.findAtOrAbove(firstPfn);
    for (; node !== NONE && this.first[node] <= lastPfn; node = this.next[node]) {
      if (this.reserved[node] === 0) throw new InvariantError(`reserving page ${this.first[node]}, which is allocated`);
      if (rest < this.first[node]) {
        this.first[node] = rest;
        this.gap[node] = rest - this.last[this.prev[node]] - 1;
        this.remeasure(node, node, NONE);
      }
      if (lastPfn <= this.last[node]) return;
      rest = this.last[node] + 1;
    }
    this.insertAfter(this.prev[node], rest, lastPfn, 1);
  }

  /**
   * The lowest reserved range inside the closed interval, or NONE. One that sticks out is cut first, so that what is returned can
   * be erased by itself; its lowest piece keeps the handle.
   */
  cutReserved(firstPfn: number, lastPfn: number): number {
    let node = this.findAtOrAbove(firstPfn);
    while (node !== NONE && this.reserved[node] === 0) node = this.next[node];
    if (node === NONE || this.first[node] > lastPfn) return NONE;
    if (this.first[node] < firstPfn) node = this.cut(node, firstPfn);
    if (this.last[node] > lastPfn) this.cut(node, lastPfn + 1);
    return node;
  }

  /**
   * Checks order, links, ranks, gaps and what subtrees know of them.
   * @returns null, or what is wrong
   */
  defect(): string | null {
    const { first, last, prev, next, left, right, parent, rank, gap, widest } = this;
    if (gap[NONE] !== -1 || widest[NONE] !== -1 || last[NONE] !== 0 || first[NONE] !== ABOVE_ALL) {
      return 'the empty node was written to';
    }
    if (parent[this.root] !== NONE) return 'the root has a parent';
    let below = NONE;
    let seen = 0;
    let problem: string | null = null;
    const widestOf = (node: number): number => {
      if (node === NONE || problem !== null) return -1;
      for (const child of [left[node], right[node]]) {
        if (child !== NONE && parent[child] !== node) problem ??= `node ${child} does not know its parent`;
        if (child !== NONE && rank[child] > rank[node]) problem ??= `node ${child} outranks its parent`;
      }
      const low = widestOf(left[node]);
      if (prev[node] !== below || next[below] !== node) problem ??= `node ${node} is threaded wrongly`;
      if (first[node] > last[node]) problem ??= `node ${node} is empty`;
      if (below !== NONE && last[below] >= first[node]) problem ??= `node ${node} is out of order`;
      if (gap[node] !== first[node] - last[below] - 1) problem ??= `node ${node} has another gap below it`;
      below = node;
      seen++;
      const found = Math.max(low, gap[node], widestOf(right[node]));
      if (widest[node] !== found) problem ??= `node ${node} knows ${widest[node]} as widest, which is ${found}`;
      return found;
    };
    widestOf(this.root);
    if (problem !== null) return problem;
    if (prev[NONE] !== below || next[below] !== NONE) return 'the ring is not closed';
    return seen === this.count ? null : `${seen} nodes in the tree, ${this.count} counted`;
  }

  /** Splits a range in two; the upper part starts at `pfn` and gets a new handle, which is returned. */
  private cut(node: number, pfn: number): number {
    const last = this.last[node];
    this.last[node] = pfn - 1;
    return this.insertAfter(node, pfn, last, this.reserved[node]);
  }

  private measure(node: number): void {
    const { left, right, gap, widest } = this;
    let most = gap[node];
    const low = widest[left[node]];
    if (low > most) most = low;
    const high = widest[right[node]];
    widest[node] = high > most ? high : most;
  }

  /**
   * Measures anew from a node up, as far as anything changes, and at least up to two nodes whose own measure says nothing of what their
   * ancestors reckoned with; NONE for one that there is not.
   */
  private remeasure(from: number, one: number, other: number): void {
    const { parent, widest } = this;
    let waiting = (one === NONE ? 0 : 1) + (other === NONE ? 0 : 1);
    for (let node = from; node !== NONE; node = parent[node]) {
      const before = widest[node];
      this.measure(node);
      if (node === one || node === other) waiting--;
      else if (waiting === 0 && widest[node] === before) return;
    }
  }

  private takeHandle(): number {
    const node = this.newestErased;
    if (node !== NONE) {
      this.newestErased = this.next[node];
      return node;
    }
    if (this.handleEnd === this.first.length) this.grow();
    this.rank[this.handleEnd] = rankOf(this.handleEnd);
    return this.handleEnd++;
  }

  private grow(): void {
    const capacity = this.first.length * 2;
    this.first = growFloat64(this.first, capacity);
    this.last = growFloat64(this.last, capacity);
    this.prev = growInt32(this.prev, capacity);
    this.next = growInt32(this.next, capacity);
    this.left = growInt32(this.left, capacity);
    this.right = growInt32(this.right, capacity);
    this.parent = growInt32(this.parent, capacity);
    this.rank = growInt32(this.rank, capacity);
    this.gap = growFloat64(this.gap, capacity);
    this.widest = growFloat64(this.widest, capacity);
    this.reserved = growUint8(this.reserved, capacity);
  }

  /** Hangs the subtree `child` where `node` hangs. */
  private replace(node: number, child: number): void {
    const { left, right, parent } = this;
    const above = parent[node];
    if (above === NONE) this.root = child;
    else if (left[above] === node) left[above] = child;
    else right[above] = child;
    parent[child] = above;
  }

  private rotateLeft(node: number): void {
    const { left, right, parent } = this;
    const riser = right[node];
    const moved = left[riser];
    right[node] = moved;
    if (moved !== NONE) parent[moved] = node;
    this.replace(node, riser);
    left[riser] = node;
    parent[node] = riser;
  }

  private rotateRight(node: number): void {
    const { left, right, parent } = this;
    const riser = left[node];
    const moved = right[riser];
    left[node] = moved;
    if (moved !== NONE) parent[moved] = node;
    this.replace(node, riser);
    right[riser] = node;
    parent[node] = riser;
  }
}
