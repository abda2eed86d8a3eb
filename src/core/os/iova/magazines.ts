/**
 * Magazines: stacks of freed IOVAs of one size, which a CPU fills and empties without a lock of anybody else's, and which change hands
 * only when they are full.
 *
 * All lie in one column, each in a stretch of a power of two of places. A *top* says which magazine it is and how much is in it, in one
 * number: the place of its newest range. Below its oldest one is a page that is beyond every limit, and the top of an empty one points
 * there, so that who takes the newest range need not ask whether there is one. Whoever owns a magazine keeps its top; one that is in a
 * depot is full.
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

/** In the place of a magazine that a list goes on with. The stretch of this number stands for one that was never pushed to. */
const NONE = 0;
export const NO_MAGAZINE = NONE;
const FEW_MAGAZINES = 4;
const BEYOND_LIMITS = Number.POSITIVE_INFINITY;

export class Magazines {
  declare readonly capacity: number;
  /** Of a top: its place in the stretch. A full magazine ends with its stretch, so all of these bits are set then. */
  declare readonly placeMask: number;
  /**
   * Top of one that was never pushed to. It is that of a full one, so there is no room in it, and points to a page beyond every limit,
   * so there is nothing in it: who looks for room or for a range need not ask for it.
   */
  declare readonly none: number;
  declare private readonly shift: number;
  /** Place of an empty one's top in the stretch. */
  declare private readonly floor: number;
  /** [place]: lowest page of a freed range, below 2^45. */
  declare pfn: Float64Array;
  /** [magazine]: the one that it lies on, in a depot or among the dropped ones; NO_MAGAZINE. */
  private below = new Int32Array(FEW_MAGAZINES);
  private dropped = NONE;
  private used = NONE + 1;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.shift = 32 - Math.clz32(capacity);
    this.placeMask = (1 << this.shift) - 1;
    this.floor = this.placeMask - capacity;
    this.none = this.placeMask;
    this.pfn = new Float64Array(FEW_MAGAZINES << this.shift);
    this.pfn[this.none] = BEYOND_LIMITS;
  }

  /** How many ranges are in a magazine. */
  fillOf(top: number): number {
    return top === this.none ? 0 : (top & this.placeMask) - this.floor;
  }

  isFull(top: number): boolean {
    return top !== this.none && (top & this.placeMask) === this.placeMask;
  }

  /** Lowest pages of its ranges, in the order in which they were pushed where no pop has moved one. */
  rangesOf(top: number): Float64Array {
    return this.pfn.subarray(top + 1 - this.fillOf(top), top + 1);
  }

  /** Top of a magazine that is full, as those in depots are. */
  fullTop(magazine: number): number {
    return (magazine << this.shift) + this.placeMask;
  }

  /** @returns the top of a new one, with nothing in it */
  make(): number {
    const magazine = this.dropped === NONE ? this.used++ : this.dropped;
    if (magazine === this.below.length) {
      this.below = growInt32(this.below, magazine * 2);
      this.pfn = growFloat64(this.pfn, (magazine * 2) << this.shift);
    }
    this.dropped = this.takeOff(magazine);
    const top = (magazine << this.shift) + this.floor;
    this.pfn[top] = BEYOND_LIMITS;
    return top;
  }

  /** Forgets one, whatever it holds. */
  drop(top: number): void {
    if (top !== this.none) this.dropped = this.putOn(top, this.dropped);
  }

  /** Lays one on top of a list. @returns its number */
  putOn(top: number, list: number): number {
    const magazine = top >> this.shift;
    this.below[magazine] = list;
    return magazine;
  }

  /** Takes the first one off a list. @returns the rest */
  takeOff(magazine: number): number {
    const rest = this.below[magazine]!;
    this.below[magazine] = NONE;
    return rest;
  }

  /** The one below another, in a list. */
  next(magazine: number): number {
    return this.below[magazine]!;
  }

  /**
   * Takes out the newest range that begins at or below a page; the top one fills the hole, as in the kernel.
   * @returns its lowest page, and its magazine has one less; or NO_PFN when none does or the magazine is empty
   */
  pop(top: number, highestPfn: number): number {
    const { pfn } = this;
    for (let left = this.fillOf(top), place = top; left > 0; left--, place--) {
      const found = pfn[place]!;
      if (found > highestPfn) continue;
      pfn[place] = pfn[top]!;
      return found;
    }
    return NO_PFN;
  }
}
