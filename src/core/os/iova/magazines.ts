/**
 * Magazines: stacks of freed IOVAs of one size, which a CPU fills and empties without a lock of anybody else's, and which change hands
 * only when they are full.
 *
 * Source: Bonwick and Adams, "Magazines and Vmem", USENIX 2001; Linux `drivers/iommu/iova.c`.
 * Departs: capacity is fixed, as in Linux; the paper's magazines grow under contention. An empty magazine takes no memory here: it is
 * made at the first push, so that a domain with many CPUs costs what it uses. The kernel makes two a CPU and class at once, and could
 * fail to; memory for a magazine never runs out here.
 */
import * as allocatorConstants from './allocator.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN } = allocatorConstants;

export class Magazine {
  declare readonly capacity: number;
  /** [slot]: lowest page of a freed range, below 2^45. */
  declare readonly pfn: Float64Array;
  /** Slots in use; the top one is `fill - 1`. */
  fill = 0;
  /** The one that it lies on, in a depot or among the dropped ones. */
  below: Magazine | null = null;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.pfn = new Float64Array(capacity);
  }

  /**
   * Takes out the newest range that begins at or below a page; the top one fills the hole, as in the kernel.
   * @returns its lowest page, or NO_PFN when none does or the magazine is empty
   */
  pop(highestPfn: number): number {
    const { pfn } = this;
    const top = this.fill - 1;
    for (let slot = top; slot >= 0; slot--) {
      const found = pfn[slot]!;
      if (found > highestPfn) continue;
      pfn[slot] = pfn[top]!;
      this.fill = top;
      return found;
    }
    return NO_PFN;
  }
}

/** What a CPU has of one class. */
export class CpuMagazines {
  declare loaded: Magazine;
  declare prev: Magazine;
  /** Allocations that the loaded one served at once. */
  hits = 0;

  constructor(empty: Magazine) {
    this.loaded = empty;
    this.prev = empty;
  }
}

/** Where magazines come from, and where they go that nobody needs. */
export class Magazines {
  declare readonly capacity: number;
  /** Stands for one that was never pushed to: there is nothing in it, and no room. */
  declare readonly empty: Magazine;
  private dropped: Magazine | null = null;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.empty = new Magazine(0);
  }

  /** A new one, with nothing in it. */
  make(): Magazine {
    const magazine = this.dropped;
    if (magazine === null) return new Magazine(this.capacity);
    this.dropped = magazine.below;
    magazine.below = null;
    return magazine;
  }

  /** Forgets one, whatever it holds. */
  drop(magazine: Magazine): void {
    if (magazine === this.empty) return;
    magazine.fill = 0;
    magazine.below = this.dropped;
    this.dropped = magazine;
  }
}
