/**
 * What SPARC and PowerPC share: one bitmap cut into pools, each with a lock and a hint of its own; the CPU's number picks the pool, so
 * that CPUs seldom meet. A large pool at the top takes requests of more than 15 pages.
 *
 * Source: Linux 6.1 `arch/sparc/kernel/iommu-common.c` and `arch/powerpc/kernel/iommu.c`. Departs from them: of the pools that one search
 * visits only the last one's lock is waited for.
 */
import * as bitmapConstants from '../../sim/bitmap.ts';
import * as allocatorConstants from './allocator.ts';
import { BitmapBased } from './bitmap-based.ts';
import type { AllocatorCall } from './call.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NOT_FOUND } = bitmapConstants;
const { NO_PFN } = allocatorConstants;

/** The pool is searched to its own end. */
const NO_LIMIT = -1;
/** Requests of more pages go to the large pool. */
const SMALL_PAGES = 15;
/** Of the kernel's `hash_32`. */
const GOLDEN = 0x61c88647;

export interface PoolLayout {
  kind: string;
  entries: number;
  call: AllocatorCall | undefined;
  /** A power of two, up to 2^hashBits. */
  pools: number;
  /** Bits of the CPU's hash, whatever the number of pools: the lowest of them pick the pool. */
  hashBits: number;
  largePool: boolean;
  /** Whether a small pool's end is its last entry (SPARC) or the one after it; the search then leaves out one more. */
  endIsLast: boolean;
  /** Whether a search that failed in all small pools tries the large one. */
  largeAsLastResort: boolean;
  /** Whether a large request that does not fit the large pool goes on to the others. */
  largeGoesOn: boolean;
  /** Hint after a small allocation is rounded up to this, a power of two. */
  blockEntries: number;
  /** Called when what was handed out may have been handed out before with no flush since. */
  flush: (() => void) | null;
}

export class PoolSpace extends BitmapBased {
  declare private readonly layout: PoolLayout;
  declare private readonly poolSize: number;
  /** Index of the large pool, also where there is none. */
  declare private readonly large: number;
  /** [pool]: first entry, where the next search begins, and the end of the searches. */
  declare private readonly start: Int32Array;
  declare private readonly hint: Int32Array;
  declare private readonly end: Int32Array;
  private needFlush = false;

  constructor(layout: PoolLayout) {
    super(layout.kind, layout.entries, layout.call);
    const { pools, largePool, entries } = layout;
    this.layout = layout;
    this.poolSize = Math.floor((largePool ? Math.floor((entries * 3) / 4) : entries) / pools);
    this.large = pools;
    this.start = new Int32Array(pools + 1);
    this.end = new Int32Array(pools + 1);
    for (let pool = 0; pool < pools; pool++) {
      this.start[pool] = pool * this.poolSize;
      this.end[pool] = (pool + 1) * this.poolSize - (layout.endIsLast ? 1 : 0);
    }
    this.start[pools] = pools * this.poolSize;
    this.end[pools] = entries;
    this.hint = this.start.slice();
    this.names = Array.from({ length: pools + (largePool ? 1 : 0) }, (_, pool) =>
      pool === 0 ? 'iova-allocator' : `iova-pool-${pool}`,
    );
  }

  declare private readonly names: readonly string[];

  override get lockNames(): readonly string[] {
    return this.names;
  }

  allocate(pages: number, limitPfn: number): number {
    const { layout, hint, start, space } = this;
    const scannedBefore = space.map.wordsScanned;
    const isLarge = layout.largePool && pages > SMALL_PAGES;
    let number = (Math.imul(space.call.cpu, GOLDEN) >>> (32 - layout.hashBits)) & (layout.pools - 1);
    let pool = isLarge ? this.large : number;
    let index = NOT_FOUND;
    let lock = pool;
    for (let pass = 0; ; pass++) {
      // The kernel compares a pool's end with the mask itself, so a pool that ends just where the device's reach does counts as cut.
      // At first a cut pool is searched from the hint's place within reach; then from the beginning of the first pool, up to the mask.
      const cut = this.end[pool]! > limitPfn;
      if (cut && pass > 0) pool = 0;
      lock = pool;
      index = this.searchIn(pool, pages, cut ? limitPfn : NO_LIMIT, pass);
      if (index !== NOT_FOUND) break;
      if (pass === 0) {
        // The same pool again, from its start.
      } else if (pass <= layout.pools && (!isLarge || layout.largeGoesOn)) {
        number = (number + 1) & (layout.pools - 1);
        pool = number;
      } else if (pass === layout.pools + 1 && layout.largeAsLastResort && layout.largePool) {
        pool = this.large;
      } else break;
      hint[pool] = start[pool]!;
      this.needFlush = true;
    }
    space.countWords(scannedBefore, lock);
    if (index === NOT_FOUND) return NO_PFN;
    if (index < hint[pool]! || this.needFlush) {
      this.needFlush = false;
      layout.flush?.();
    }
    space.take(index, pages);
    const { blockEntries } = layout;
    const after = index + pages;
    hint[pool] = isLarge ? after : (after + blockEntries - 1) & ~(blockEntries - 1);
    return index;
  }

  private searchIn(pool: number, pages: number, limitPfn: number, pass: number): number {
    let end = this.end[pool]!;
    let from = this.hint[pool]! >= end ? this.start[pool]! : this.hint[pool]!;
    if (limitPfn !== NO_LIMIT) {
      end = limitPfn + 1;
      from = pass > 0 ? this.start[0]! : from & limitPfn;
    }
    return this.space.map.findArea(end - 1, from, pages, 0);
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, pages, this.lockOf(pfn));
  }

  /** Lock under which a range is freed. */
  private lockOf(pfn: number): number {
    const inLarge = this.layout.largePool && pfn >= this.start[this.large]!;
    return inLarge ? this.large : Math.min(Math.floor(pfn / this.poolSize), this.large - 1);
  }

  protected cursors() {
    const cursors: Record<string, number> = this.layout.flush === null ? {} : { needFlush: Number(this.needFlush) };
    for (let pool = 0; pool < this.names.length; pool++)
      cursors[pool === this.large ? 'largeHintPfn' : `hintPfn${pool}`] = this.hint[pool]!;
    return cursors;
  }
}
