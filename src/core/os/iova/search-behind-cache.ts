/**
 * What a tree does for a cache in front of it: the search when the cache has nothing, and the one more after the cache has given all it
 * kept back to the tree. Suspends as the tree does, with what is left of the budget.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { IovaAllocator } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN, SUSPENDED } = allocatorConstants;

/** A tree that a cache can stand in front of. Ranges that the cache keeps are allocated, as far as it knows. */
export interface TreeBehindCache extends IovaAllocator {
  /** One of STEP: what taking a range out is when a cache gives it back. */
  readonly removeStep: number;
  /** Frees the range that begins at a page; adds no step. */
  remove(pfn: number): void;
}

export interface Cache {
  /** @returns whether to search again */
  giveBack(): boolean;
}

const IDLE = 0;
const FIRST = 1;
const AGAIN = 2;

export class SearchBehindCache {
  /** Predecessor steps of the attempt in progress, or the last one. */
  steps = 0;
  private phase = IDLE;
  declare private readonly tree: TreeBehindCache;
  declare private readonly cache: Cache;

  constructor(tree: TreeBehindCache, cache: Cache) {
    this.tree = tree;
    this.cache = cache;
  }

  /** Whether a search was suspended: the cache has been asked already. */
  get suspended(): boolean {
    return this.phase !== IDLE;
  }

  /**
   * @param budget steps of the tree that this call may take
   * @param mayGiveBack whether the cache gives up what it keeps before this fails
   */
  allocate(pages: number, limitPfn: number, budget: number, mayGiveBack: boolean): number {
    let left = budget;
    if (this.phase === IDLE) {
      this.phase = FIRST;
      this.steps = 0;
    }
    if (this.phase === FIRST) {
      const before = this.steps;
      const pfn = this.search(pages, limitPfn, left);
      if (pfn === SUSPENDED) return SUSPENDED;
      if (pfn !== NO_PFN || !mayGiveBack || !this.cache.giveBack()) {
        this.phase = IDLE;
        return pfn;
      }
      this.phase = AGAIN;
      left -= this.steps - before;
      if (left <= 0) return SUSPENDED;
    }
    const pfn = this.search(pages, limitPfn, left);
    if (pfn !== SUSPENDED) this.phase = IDLE;
    return pfn;
  }

  private search(pages: number, limitPfn: number, budget: number): number {
    const { tree } = this;
    const before = tree.nodesVisited;
    tree.budget = budget;
    const pfn = tree.allocate(pages, limitPfn);
    this.steps += tree.nodesVisited - before;
    return pfn;
  }

  digest(sink: DigestSink): void {
    sink.number(this.phase);
  }
}
