/**
 * An IOTLB as one list of plain entries, scanned from end to end for everything: no sets laid out, no stamps, no bits.
 *
 * What it shares with the real one is the definition: the set of a leaf is its page number at its size, modulo the number of sets;
 * the three sizes are one look-up; an entry without the permission is a miss and is replaced.
 */
import type { RandomStream } from '../../src/core/sim/random.ts';

export interface CachedLeaf {
  domain: number;
  first: number;
  pages: number;
  frame: number;
  permission: number;
  way: number;
  /** What the leaf came from, for whoever asks; the IOTLB does nothing with it. */
  origin?: unknown;
}

/** A binary tree of a set's ways, each node pointing to the half that was used less recently. */
class Tree {
  private toRight = false;
  private readonly left: Tree | null;
  private readonly right: Tree | null;
  private readonly half: number;

  constructor(ways: number) {
    this.half = ways / 2;
    this.left = ways > 1 ? new Tree(this.half) : null;
    this.right = ways > 1 ? new Tree(this.half) : null;
  }

  use(way: number): void {
    if (!this.left || !this.right) return;
    this.toRight = way < this.half;
    if (way < this.half) this.left.use(way);
    else this.right.use(way - this.half);
  }

  victim(): number {
    if (!this.left || !this.right) return 0;
    return this.toRight ? this.half + this.right.victim() : this.left.victim();
  }
}

export class NaiveIotlb {
  /** Oldest first: by fill, or under lru by use. */
  private order: CachedLeaf[] = [];
  private readonly sets: number;
  private readonly ways: number;
  private readonly replacement: string;
  private readonly random: RandomStream;
  private readonly trees = new Map<number, Tree>();

  constructor(entries: number, ways: number, replacement: string, random: RandomStream) {
    this.ways = ways === 0 ? entries : ways;
    this.sets = entries / this.ways;
    this.replacement = replacement;
    this.random = random;
  }

  get entries(): readonly CachedLeaf[] {
    return this.order;
  }

  setOf({ first, pages }: { first: number; pages: number }): number {
    return (first / pages) % this.sets;
  }

  private treeOf(set: number): Tree {
    let tree = this.trees.get(set);
    if (!tree) this.trees.set(set, (tree = new Tree(this.ways)));
    return tree;
  }

  /** The smallest leaf that covers a page. */
  covering(domain: number, page: number): CachedLeaf | undefined {
    return this.order
      .filter((leaf) => leaf.domain === domain && leaf.first <= page && page < leaf.first + leaf.pages)
      .sort((a, b) => a.pages - b.pages)[0];
  }

  lookup(domain: number, page: number, permission: number): CachedLeaf | null {
    const leaf = this.covering(domain, page);
    if (!leaf || (leaf.permission & permission) === 0) return null;
    if (this.replacement === 'lru') this.order = [...this.order.filter((each) => each !== leaf), leaf];
    if (this.replacement === 'plru') this.treeOf(this.setOf(leaf)).use(leaf.way);
    return leaf;
  }

  /** @returns the entry */
  fill(leaf: Omit<CachedLeaf, 'way'>): CachedLeaf {
    const set = this.setOf(leaf);
    const inSet = this.order.filter((each) => this.setOf(each) === set);
    const same = inSet.find(
      (each) => each.domain === leaf.domain && each.first === leaf.first && each.pages === leaf.pages,
    );
    let way: number;
    if (same) way = same.way;
    else {
      way = 0;
      while (inSet.some((each) => each.way === way)) way++;
      if (way === this.ways) {
        if (this.replacement === 'random') way = this.random.below(this.ways);
        else if (this.replacement === 'plru') way = this.treeOf(set).victim();
        else way = inSet[0]!.way;
      }
    }
    this.order = this.order.filter((each) => this.setOf(each) !== set || each.way !== way);
    const filled = { ...leaf, way };
    this.order.push(filled);
    if (this.replacement === 'plru') this.treeOf(set).use(way);
    return filled;
  }

  invalidate(domain: number, first: number, last: number): void {
    this.order = this.order.filter(
      (leaf) => (domain >= 0 && leaf.domain !== domain) || leaf.first > last || leaf.first + leaf.pages - 1 < first,
    );
  }
}
