/**
 * Slow model of the allocator of 2008: a top-down first fit over all ranges with one cached range for 32-bit requests.
 *
 * Source: Linux 3.6 `drivers/iommu/iova.c` (the rule for freeing is the form of 2012).
 */
import { type AllocatorModel, nextPowerOfTwo, type Range, SortedRanges } from './sorted-ranges.ts';

/** The page that ends at 4 GiB, inclusive; both the limit that uses the cache and the line a cached range lies below. */
const LAST_32BIT_PFN = 0xfffff;
const FIRST_PFN = 1;

export class Rbtree2008Model implements AllocatorModel {
  private readonly sorted = new SortedRanges();
  cached32: Range | null = null;
  lastSteps = 0;

  allocate(pages: number, limitPfn: number): number {
    const size = nextPowerOfTwo(pages);
    /** Pages to leave above the range so that it starts on a multiple of its size. */
    const padBelow = (limit: number) => (limit + 1) % size;
    let limit = limitPfn;
    let start: Range | null = null;
    if (limitPfn === LAST_32BIT_PFN && this.cached32 !== null) {
      limit = this.cached32.lo - 1;
      start = this.cached32;
    }
    this.lastSteps = 0;
    let fits = false;
    for (const range of this.sorted.below(start)) {
      if (limit >= range.hi && range.hi + size + padBelow(limit) <= limit) {
        fits = true;
        break;
      }
      // A range wholly above the limit leaves the limit as it is.
      if (limit >= range.lo) limit = range.lo - 1;
      this.lastSteps++;
    }
    if (!fits && FIRST_PFN + size + padBelow(limit) > limit) return 0;
    const lo = limit - (size + padBelow(limit)) + 1;
    const created = { lo, hi: lo + size - 1, reserved: false };
    this.sorted.insert(created);
    if (limitPfn === LAST_32BIT_PFN) this.cached32 = created;
    return lo;
  }

  free(pfn: number, _pages: number): void {
    const range = this.sorted.startingAt(pfn);
    this.forget(range);
    this.sorted.remove(range);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.sorted.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.sorted.unreserve(firstPfn, lastPfn, (range) => this.forget(range));
  }

  ranges(): Range[] {
    return this.sorted.list;
  }

  private forget(range: Range): void {
    if (this.cached32 === null || range.lo < this.cached32.lo) return;
    const above = this.sorted.successor(range);
    this.cached32 = above !== null && above.lo < LAST_32BIT_PFN ? above : null;
  }
}
