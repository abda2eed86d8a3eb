/**
 * Disjoint closed ranges of page numbers in a red-black tree whose nodes are also threaded into a ring, so that the neighbours of
 * a range, and a linear walk over all of them, cost one load a step and no climbing.
 *
 * Nodes are whole-number handles into columns that grow by doubling; the handle 0 is no node, but it closes the ring:
 *
 *     NONE <-> lowest <-> ... <-> highest <-> NONE        next[NONE] is the lowest range, prev[NONE] the highest
 *
 * A handle keeps naming its range until that range is erased; erased handles are handed out again newest first.
 *
 * What makes the tree lies in one column, four words a node, so that mending touches one cache line a node, and each rule is written
 * once for both sides. With four columns, and each rule once a side, a free and an allocation of `rbtree` took 72 to 83 ns and not 64 to 72
 * (ring of 512). NONE stands above the root, as if the root were its lower child, so that no link is a special case.
 *
 * Source: Cormen et al., "Introduction to Algorithms", chapter 13 (deletion relinks nodes instead of copying keys, which is what
 * keeps handles stable). Merging of reservations: Linux 3.6 drivers/iommu/iova.c, `reserve_iova`.
 */

import { InvariantError } from '../assert.ts';
import { growFloat64, growInt32, growUint8 } from './growable.ts';

/** "No range". V8 folds a constant of its own module, and loads an exported one each time: hence the two names. */
const NIL = 0;
export const NONE = NIL;

const INITIAL_CAPACITY = 64;

/** Words of a node in `links`: the subtrees of lower and of higher ranges, the parent, and 1 for red. */
const LOWER = 0;
const UPPER = 1;
const PARENT = 2;
const RED = 3;
/** `node << SHIFT` is where its words begin. */
const SHIFT = 2;

export class RedBlackTree {
  /** [node]: lowest page number of the range, below 2^53. Replaced on growth, as all columns: do not hold across an insertion. */
  first = new Float64Array(INITIAL_CAPACITY);
  /** [node]: highest page number, inclusive; of NONE, below every page. */
  last = new Float64Array(INITIAL_CAPACITY);
  /** [node]: the range below, or NONE. */
  prev = new Int32Array(INITIAL_CAPACITY);
  /** [node]: the range above, or NONE; of an erased handle, the one erased before it. */
  next = new Int32Array(INITIAL_CAPACITY);
  /** [node]: 1 when the range was taken by `reserve`. */
  reserved = new Uint8Array(INITIAL_CAPACITY);
  /** Ranges in the tree. */
  count = 0;

  /** [node * 4 + word]; NONE is black, its lower child is the root, its parent is scratch during `erase`. */
  private links = new Int32Array(INITIAL_CAPACITY << SHIFT);
  /** The range below the one erased last: what is freed in the order of allocation is freed next. */
  private hint = NIL;
  private newestErased = NIL;
  /** Handles below this have been handed out at least once. */
  private handleEnd = 1;

  constructor() {
    this.last[NIL] = -1;
  }

  /** The range that contains the page, or NONE. */
  find(pfn: number): number {
    const { first, last, links, hint } = this;
    if (pfn <= last[hint] && pfn >= first[hint]) return hint;
    let node = links[LOWER];
    while (node !== NIL) {
      if (pfn < first[node]) node = links[(node << SHIFT) + LOWER];
      else if (pfn > last[node]) node = links[(node << SHIFT) + UPPER];
      else break;
    }
    return node;
  }

  /** The lowest range that contains the page or lies wholly above it, or NONE. */
  findAtOrAbove(pfn: number): number {
    const { last, links } = this;
    let node = links[LOWER];
    let found = NIL;
    while (node !== NIL) {
      if (last[node] >= pfn) {
        found = node;
        node = links[(node << SHIFT) + LOWER];
      } else {
        node = links[(node << SHIFT) + UPPER];
      }
    }
    return found;
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    const node = this.findAtOrAbove(firstPfn);
    return node !== NIL && this.first[node] <= lastPfn;
  }

  /** Adds a range that overlaps none. Returns its handle. */
  insert(firstPfn: number, lastPfn: number, reserved: number): number {
    const above = this.findAtOrAbove(firstPfn);
    return this.insertAfter(this.prev[above], firstPfn, lastPfn, reserved);
  }

  /**
   * Adds a range right above `below` (NONE: as the lowest), without a descent. The caller vouches for the order.
   * @returns its handle
   */
  insertAfter(below: number, firstPfn: number, lastPfn: number, reserved: number): number {
    const node = this.takeHandle();
    const { prev, next, links } = this;
    const above = next[below];
    this.first[node] = firstPfn;
    this.last[node] = lastPfn;
    this.reserved[node] = reserved;
    prev[node] = below;
    next[node] = above;
    next[below] = node;
    prev[above] = node;
    this.count++;
    // Of two neighbours in order, one lies in the other's subtree, so one of the two facing links is empty. The root of an empty tree
    // hangs below NONE.
    let parent = above;
    let word = (above << SHIFT) + LOWER;
    if (below !== NIL && links[(below << SHIFT) + UPPER] === NIL) {
      parent = below;
      word = (below << SHIFT) + UPPER;
    }
    links[word] = node;
    const own = node << SHIFT;
    links[own + LOWER] = NIL;
    links[own + UPPER] = NIL;
    links[own + PARENT] = parent;
    links[own + RED] = 1;
    if (links[(parent << SHIFT) + RED] === 1) this.mendInsertion(node);
    else if (parent === NIL) links[own + RED] = 0;
    return node;
  }

  /** Takes a range out; its handle is free from now on. */
  erase(node: number): void {
    const { prev, next, links } = this;
    const own = node << SHIFT;
    const lower = links[own + LOWER];
    const upper = links[own + UPPER];
    const above = next[node];
    const below = prev[node];
    let child: number;
    let removedRed: number;
    if (lower === NIL || upper === NIL) {
      removedRed = links[own + RED];
      child = lower + upper;
      this.replace(node, child);
    } else {
      // The lowest range above has no lower child, and takes the place.
      const heir = above << SHIFT;
      removedRed = links[heir + RED];
      child = links[heir + UPPER];
      if (upper === above) {
        links[(child << SHIFT) + PARENT] = above;
      } else {
        this.replace(above, child);
        links[heir + UPPER] = upper;
        links[(upper << SHIFT) + PARENT] = above;
      }
      this.replace(node, above);
      links[heir + LOWER] = lower;
      links[(lower << SHIFT) + PARENT] = above;
      links[heir + RED] = links[own + RED];
    }
    if (removedRed === 0) {
      if (links[(child << SHIFT) + RED] === 1) links[(child << SHIFT) + RED] = 0;
      else this.mendErasure(child);
    }
    links[PARENT] = NIL;
    next[below] = above;
    prev[above] = below;
    this.hint = below;
    next[node] = this.newestErased;
    this.newestErased = node;
    this.count--;
  }

  /**
   * Takes pages out of circulation, by the kernel's rule: a reserved range that overlaps grows downwards to meet the request, what
   * is left above it goes on to the next one, and the rest becomes a range of its own. Ranges that only touch stay separate,
   * which a search notices in its steps, never in its result.
   */
  reserve(firstPfn: number, lastPfn: number): void {
    let rest = firstPfn;
    let node = this.findAtOrAbove(firstPfn);
    for (; node !== NIL && this.first[node] <= lastPfn; node = this.next[node]) {
      if (this.reserved[node] === 0) throw new InvariantError(`reserving page ${this.first[node]}, which is allocated`);
      if (rest < this.first[node]) this.first[node] = rest;
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
    while (node !== NIL && this.reserved[node] === 0) node = this.next[node];
    if (node === NIL || this.first[node] > lastPfn) return NIL;
    if (this.first[node] < firstPfn) node = this.cut(node, firstPfn);
    if (this.last[node] > lastPfn) this.cut(node, lastPfn + 1);
    return node;
  }

  /**
   * Checks order, links, colours and equal black depth.
   * @returns null, or what is wrong
   */
  defect(): string | null {
    const { first, last, prev, next, links } = this;
    const word = (node: number, which: number): number => links[(node << SHIFT) + which];
    const root = word(NIL, LOWER);
    if (word(NIL, RED) !== 0 || word(NIL, UPPER) !== NIL || word(NIL, PARENT) !== NIL)
      return 'the empty node was written to';
    if (word(root, RED) !== 0) return 'the root is red';
    if (word(root, PARENT) !== NIL) return 'the root has a parent';
    let inOrder = NIL;
    let seen = 0;
    let problem: string | null = null;
    const blackDepth = (node: number): number => {
      if (node === NIL || problem !== null) return 0;
      for (const child of [word(node, LOWER), word(node, UPPER)]) {
        if (child !== NIL && word(child, PARENT) !== node) problem ??= `node ${child} does not know its parent`;
        if (word(node, RED) === 1 && word(child, RED) === 1) problem ??= `red node ${node} has a red child`;
      }
      const below = blackDepth(word(node, LOWER));
      if (prev[node] !== inOrder || next[inOrder] !== node) problem ??= `node ${node} is threaded wrongly`;
      if (first[node] > last[node]) problem ??= `node ${node} is empty`;
      if (inOrder !== NIL && last[inOrder] >= first[node]) problem ??= `node ${node} is out of order`;
      inOrder = node;
      seen++;
      if (blackDepth(word(node, UPPER)) !== below) problem ??= `node ${node} has uneven black depth`;
      return below + 1 - word(node, RED);
    };
    blackDepth(root);
    if (problem !== null) return problem;
    if (prev[NIL] !== inOrder || next[inOrder] !== NIL) return 'the ring is not closed';
    return seen === this.count ? null : `${seen} nodes in the tree, ${this.count} counted`;
  }

  /** Splits a range in two; the upper part starts at `pfn` and gets a new handle, which is returned. */
  private cut(node: number, pfn: number): number {
    const last = this.last[node];
    this.last[node] = pfn - 1;
    return this.insertAfter(node, pfn, last, this.reserved[node]);
  }

  private takeHandle(): number {
    const node = this.newestErased;
    if (node !== NIL) {
      this.newestErased = this.next[node];
      return node;
    }
    if (this.handleEnd === this.first.length) this.grow();
    return this.handleEnd++;
  }

  private grow(): void {
    const capacity = this.first.length * 2;
    this.first = growFloat64(this.first, capacity);
    this.last = growFloat64(this.last, capacity);
    this.prev = growInt32(this.prev, capacity);
    this.next = growInt32(this.next, capacity);
    this.links = growInt32(this.links, capacity << SHIFT);
    this.reserved = growUint8(this.reserved, capacity);
  }

  /** Hangs the subtree `child` where `node` hangs. */
  private replace(node: number, child: number): void {
    const { links } = this;
    const parent = links[(node << SHIFT) + PARENT];
    const word = parent << SHIFT;
    links[links[word] === node ? word : word + UPPER] = child;
    links[(child << SHIFT) + PARENT] = parent;
  }

  /** `node` sinks to `side`, LOWER or UPPER; its child on the other side takes its place. */
  private rotate(node: number, side: number): void {
    const { links } = this;
    const own = node << SHIFT;
    const other = own + (side ^ 1);
    const riser = links[other];
    const risen = riser << SHIFT;
    const moved = links[risen + side];
    links[other] = moved;
    if (moved !== NIL) links[(moved << SHIFT) + PARENT] = node;
    const parent = links[own + PARENT];
    const word = parent << SHIFT;
    links[links[word] === node ? word : word + UPPER] = riser;
    links[risen + PARENT] = parent;
    links[risen + side] = node;
    links[own + PARENT] = riser;
  }

  /** Restores the rules after `inserted`, red, was hung below a parent that is red too. */
  private mendInsertion(inserted: number): void {
    const { links } = this;
    let node = inserted;
    let parent = links[(node << SHIFT) + PARENT];
    while (links[(parent << SHIFT) + RED] === 1) {
      const grandparent = links[(parent << SHIFT) + PARENT];
      const side = links[(grandparent << SHIFT) + LOWER] === parent ? LOWER : UPPER;
      const uncle = links[(grandparent << SHIFT) + (side ^ 1)];
      if (links[(uncle << SHIFT) + RED] === 1) {
        links[(parent << SHIFT) + RED] = 0;
        links[(uncle << SHIFT) + RED] = 0;
        links[(grandparent << SHIFT) + RED] = 1;
        node = grandparent;
        parent = links[(node << SHIFT) + PARENT];
        continue;
      }
      if (links[(parent << SHIFT) + side] !== node) {
        this.rotate(parent, side);
        parent = node;
      }
      this.rotate(grandparent, side ^ 1);
      links[(parent << SHIFT) + RED] = 0;
      links[(grandparent << SHIFT) + RED] = 1;
      return;
    }
    if (parent === NIL) links[(node << SHIFT) + RED] = 0;
  }

  /** Restores equal black depth after a black node above `orphan`, black itself or NONE, went away. */
  private mendErasure(orphan: number): void {
    const { links } = this;
    let node = orphan;
    let parent = links[(node << SHIFT) + PARENT];
    while (parent !== NIL && links[(node << SHIFT) + RED] === 0) {
      const family = parent << SHIFT;
      const side = links[family + LOWER] === node ? LOWER : UPPER;
      let sibling = links[family + (side ^ 1)];
      if (links[(sibling << SHIFT) + RED] === 1) {
        links[(sibling << SHIFT) + RED] = 0;
        links[family + RED] = 1;
        this.rotate(parent, side);
        sibling = links[family + (side ^ 1)];
      }
      const near = links[(sibling << SHIFT) + side];
      const far = links[(sibling << SHIFT) + (side ^ 1)];
      if (links[(far << SHIFT) + RED] === 0) {
        if (links[(near << SHIFT) + RED] === 0) {
          links[(sibling << SHIFT) + RED] = 1;
          node = parent;
          parent = links[(node << SHIFT) + PARENT];
          continue;
        }
        this.rotate(sibling, side ^ 1);
        links[(near << SHIFT) + RED] = links[family + RED];
      } else {
        links[(far << SHIFT) + RED] = 0;
        links[(sibling << SHIFT) + RED] = links[family + RED];
      }
      links[family + RED] = 0;
      this.rotate(parent, side);
      return;
    }
    links[(node << SHIFT) + RED] = 0;
  }
}
