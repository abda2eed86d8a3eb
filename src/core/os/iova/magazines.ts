/**
 * Magazines: stacks of freed IOVAs of one size, which a CPU fills and empties without a lock of anybody else's, and which change hands
 * only when they are full.
 *
 * Source: Bonwick and Adams, "Magazines and Vmem", USENIX 2001; Linux `drivers/iommu/iova.c`.
 * Departs: capacity is fixed, as in Linux; the paper's magazines grow under contention. An empty magazine takes no memory here: it is
 * made at the first push, so that a domain with many CPUs costs what it uses. The kernel makes two a CPU and class at once, and could
 * fail to; memory for a magazine never runs out here.
 */
import { growFloat64, growInt32 } from '../../sim/growable.ts';
import * as allocatorConstants from './allocator.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN } = allocatorConstants;

/** The handle of a magazine that was never pushed to: always empty. */
export const EMPTY = 0;

const INITIAL_MAGAZINES = 16;

export class Magazines {
  declare readonly capacity: number;
  /** [magazine * capacity + slot]: lowest page of a freed range, below 2^45. Replaced on growth: do not hold across `make`. */
  declare pfn: Float64Array;
  /** [magazine]: slots in use; the top one is `fill - 1`. */
  fill = new Int32Array(INITIAL_MAGAZINES);
  /** [magazine]: the one below in the stack that it lies on, a depot or that of the dropped ones; EMPTY ends it. */
  below = new Int32Array(INITIAL_MAGAZINES);
  private dropped = EMPTY;
  /** Handles below this have been handed out at least once. */
  private end = 1;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.pfn = new Float64Array(INITIAL_MAGAZINES * capacity);
  }

  /** A new one, empty. */
  make(): number {
    const magazine = this.dropped;
    if (magazine !== EMPTY) {
      this.dropped = this.below[magazine];
      return magazine;
    }
    if (this.end === this.fill.length) this.grow();
    return this.end++;
  }

  /** Forgets one, whatever it holds. */
  drop(magazine: number): void {
    if (magazine === EMPTY) return;
    this.fill[magazine] = 0;
    this.below[magazine] = this.dropped;
    this.dropped = magazine;
  }

  /** The magazine must have room. */
  push(magazine: number, pfn: number): void {
    const { fill } = this;
    const slot = fill[magazine];
    this.pfn[magazine * this.capacity + slot] = pfn;
    fill[magazine] = slot + 1;
  }

  /**
   * Takes out the newest range that begins at or below a page; the top one fills the hole, as in the kernel.
   * @returns its lowest page, or NO_PFN when none does or the magazine is empty
   */
  pop(magazine: number, highestPfn: number): number {
    const { pfn, fill } = this;
    const count = fill[magazine];
    if (count === 0) return NO_PFN;
    const base = magazine * this.capacity;
    const top = base + count - 1;
    const newest = pfn[top];
    // The usual case by far, and then there is no hole.
    if (newest <= highestPfn) {
      fill[magazine] = count - 1;
      return newest;
    }
    for (let slot = top - 1; slot >= base; slot--) {
      const found = pfn[slot];
      if (found > highestPfn) continue;
      pfn[slot] = newest;
      fill[magazine] = count - 1;
      return found;
    }
    return NO_PFN;
  }

  private grow(): void {
    const length = this.fill.length * 2;
    this.pfn = growFloat64(this.pfn, length * this.capacity);
    this.fill = growInt32(this.fill, length);
    this.below = growInt32(this.below, length);
  }
}
