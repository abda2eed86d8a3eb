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
 * Source: Cormen et al., "Introduction to Algorithms", chapter 13 (deletion relinks nodes instead of copying keys, which is what
 * keeps handles stable). Merging of reservations: Linux 3.6 drivers/iommu/iova.c, `reserve_iova`.
 */

import { InvariantError } from '../assert.ts';
import { growFloat64, growInt32, growUint8 } from './growable.ts';

/** "No range". */
export const NONE = 0;

const INITIAL_CAPACITY = 64;

export class RedBlackTree {
  /** [node]: lowest page number of the range, below 2^53. Replaced on growth, as all columns: do not hold across an insertion. */
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
  /** [node]: parent in the tree; of NONE, scratch during `erase`. */
  private parent = new Int32Array(INITIAL_CAPACITY);
  /** [node]: 1 red, 0 black; NONE is black. */
  private red = new Uint8Array(INITIAL_CAPACITY);
  private root = NONE;
  private newestErased = NONE;
  /** Handles below this have been handed out at least once. */
  private handleEnd = 1;

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
    const node = this.findAtOrAbove(firstPfn);
    return node !== NONE && this.first[node] <= lastPfn;
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
    const { prev, next, left, right, parent, red } = this;
    const above = next[below];
    this.first[node] = firstPfn;
    this.last[node] = lastPfn;
    this.reserved[node] = reserved;
    prev[node] = below;
    next[node] = above;
    next[below] = node;
    prev[above] = node;
    left[node] = NONE;
    right[node] = NONE;
    red[node] = 1;
    this.count++;
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
    this.mendInsertion(node);
    return node;
  }

  /** Takes a range out; its handle is free from now on. */
  erase(node: number): void {
    const { prev, next, left, right, parent, red } = this;
    let removedRed = red[node];
    let child: number;
    if (left[node] === NONE) {
      child = right[node];
      this.replace(node, child);
    } else if (right[node] === NONE) {
      child = left[node];
      this.replace(node, child);
    } else {
      const heir = next[node];
      removedRed = red[heir];
      child = right[heir];
      if (parent[heir] === node) {
        parent[child] = heir;
      } else {
        this.replace(heir, child);
        right[heir] = right[node];
        parent[right[heir]] = heir;
      }
      this.replace(node, heir);
      left[heir] = left[node];
      parent[left[heir]] = heir;
      red[heir] = red[node];
    }
    if (removedRed === 0) this.mendErasure(child);
    parent[NONE] = NONE;
    next[prev[node]] = next[node];
    prev[next[node]] = prev[node];
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
    for (; node !== NONE && this.first[node] <= lastPfn; node = this.next[node]) {
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
    while (node !== NONE && this.reserved[node] === 0) node = this.next[node];
    if (node === NONE || this.first[node] > lastPfn) return NONE;
    if (this.first[node] < firstPfn) node = this.cut(node, firstPfn);
    if (this.last[node] > lastPfn) this.cut(node, lastPfn + 1);
    return node;
  }

  /**
   * Checks order, links, colours and equal black depth.
   * @returns null, or what is wrong
   */
  defect(): string | null {
    const { first, last, prev, next, left, right, parent, red } = this;
    if (red[NONE] !== 0 || left[NONE] !== NONE || right[NONE] !== NONE) return 'the empty node was written to';
    if (red[this.root] !== 0) return 'the root is red';
    if (parent[this.root] !== NONE) return 'the root has a parent';
    let inOrder = NONE;
    let seen = 0;
    let problem: string | null = null;
    const blackDepth = (node: number): number => {
      if (node === NONE || problem !== null) return 0;
      for (const child of [left[node], right[node]]) {
        if (child !== NONE && parent[child] !== node) problem ??= `node ${child} does not know its parent`;
        if (red[node] === 1 && red[child] === 1) problem ??= `red node ${node} has a red child`;
      }
      const below = blackDepth(left[node]);
      if (prev[node] !== inOrder || next[inOrder] !== node) problem ??= `node ${node} is threaded wrongly`;
      if (first[node] > last[node]) problem ??= `node ${node} is empty`;
      if (inOrder !== NONE && last[inOrder] >= first[node]) problem ??= `node ${node} is out of order`;
      inOrder = node;
      seen++;
      if (blackDepth(right[node]) !== below) problem ??= `node ${node} has uneven black depth`;
      return below + 1 - red[node];
    };
    blackDepth(this.root);
    if (problem !== null) return problem;
    if (prev[NONE] !== inOrder || next[inOrder] !== NONE) return 'the ring is not closed';
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
    if (node !== NONE) {
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
    this.left = growInt32(this.left, capacity);
    this.right = growInt32(this.right, capacity);
    this.parent = growInt32(this.parent, capacity);
    this.reserved = growUint8(this.reserved, capacity);
    this.red = growUint8(this.red, capacity);
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
    right[node] = left[riser];
    if (left[riser] !== NONE) parent[left[riser]] = node;
    this.replace(node, riser);
    left[riser] = node;
    parent[node] = riser;
  }

  private rotateRight(node: number): void {
    const { left, right, parent } = this;
    const riser = left[node];
    left[node] = right[riser];
    if (right[riser] !== NONE) parent[right[riser]] = node;
    this.replace(node, riser);
    right[riser] = node;
    parent[node] = riser;
  }

  /** Restores the rules after `inserted`, red, was hung below a parent that may be red too. */
  private mendInsertion(inserted: number): void {
    const { left, right, parent, red } = this;
    let node = inserted;
    while (red[parent[node]] === 1) {
      let above = parent[node];
      const grandparent = parent[above];
      const isLeft = left[grandparent] === above;
      const uncle = isLeft ? right[grandparent] : left[grandparent];
      if (red[uncle] === 1) {
        red[above] = 0;
        red[uncle] = 0;
        red[grandparent] = 1;
        node = grandparent;
        continue;
      }
      if (isLeft) {
        if (right[above] === node) {
          this.rotateLeft(above);
          above = node;
        }
        this.rotateRight(grandparent);
      } else {
        if (left[above] === node) {
          this.rotateRight(above);
          above = node;
        }
        this.rotateLeft(grandparent);
      }
      red[above] = 0;
      red[grandparent] = 1;
      break;
    }
    red[this.root] = 0;
  }

  /** Restores equal black depth after a black node above `orphan` (possibly NONE) went away. */
  private mendErasure(orphan: number): void {
    const { left, right, parent, red } = this;
    let node = orphan;
    while (node !== this.root && red[node] === 0) {
      const above = parent[node];
      if (left[above] === node) {
        let sibling = right[above];
        if (red[sibling] === 1) {
          red[sibling] = 0;
          red[above] = 1;
          this.rotateLeft(above);
          sibling = right[above];
        }
        if (red[left[sibling]] === 0 && red[right[sibling]] === 0) {
          red[sibling] = 1;
          node = above;
          continue;
        }
        if (red[right[sibling]] === 0) {
          red[left[sibling]] = 0;
          red[sibling] = 1;
          this.rotateRight(sibling);
          sibling = right[above];
        }
        red[sibling] = red[above];
        red[above] = 0;
        red[right[sibling]] = 0;
        this.rotateLeft(above);
      } else {
        let sibling = left[above];
        if (red[sibling] === 1) {
          red[sibling] = 0;
          red[above] = 1;
          this.rotateRight(above);
          sibling = left[above];
        }
        if (red[left[sibling]] === 0 && red[right[sibling]] === 0) {
          red[sibling] = 1;
          node = above;
          continue;
        }
        if (red[left[sibling]] === 0) {
          red[right[sibling]] = 0;
          red[sibling] = 1;
          this.rotateLeft(sibling);
          sibling = left[above];
        }
        red[sibling] = red[above];
        red[above] = 0;
        red[left[sibling]] = 0;
        this.rotateRight(above);
      }
      break;
    }
    // The root, or the red node that absorbs the missing black; after `break` it is black already.
    red[node] = 0;
  }
}
