/**
 * Slow model of the allocator since Linux 4.15: two cached ranges, an anchor above everything, a size known not to fit
 * below 4 GiB, and one second look above the cached range.
 *
 * Source: Linux `drivers/iommu/iova.c`; the second look is commit 4e89dce72521.
 */
import { type AllocatorModel, nextPowerOfTwo, type Range, SortedRanges } from './sorted-ranges.ts';

/** First page at or above 4 GiB. */
const FIRST_PFN_ABOVE_4G = 0x100000;
const FIRST_PFN = 1;

export class RbtreeModel implements AllocatorModel {
  private readonly sorted = new SortedRanges();
  private readonly anchor: Range = { lo: Infinity, hi: Infinity, reserved: true };
  cached32: Range = this.anchor;
  cached: Range = this.anchor;
  max32AllocSize = FIRST_PFN_ABOVE_4G;
  lastSteps = 0;

  constructor() {
    this.sorted.insert(this.anchor);
  }

  allocate(pages: number, limitPfn: number): number {
    const limit = limitPfn + 1;
    this.lastSteps = 0;
    if (limit <= FIRST_PFN_ABOVE_4G && pages >= this.max32AllocSize) return 0;
    const start = limit <= FIRST_PFN_ABOVE_4G ? this.cached32 : this.cached;
    let lo = this.search(start, pages, limit, FIRST_PFN);
    if (lo === 0 && start !== this.anchor && start.hi + 1 < limit) {
      lo = this.search(this.anchor, pages, limit, start.hi + 1);
    }
    if (lo === 0) {
      this.max32AllocSize = pages;
      return 0;
    }
    const created = { lo, hi: lo + pages - 1, reserved: false };
    this.sorted.insert(created);
    if (created.hi < FIRST_PFN_ABOVE_4G) this.cached32 = created;
    else this.cached = created;
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
    return this.sorted.list.filter((range) => range !== this.anchor);
  }

  /** One look downwards from `start`; @returns the lowest page of a place at or above `low`, or 0 */
  private search(start: Range, pages: number, limit: number, low: number): number {
    const align = nextPowerOfTwo(pages);
    let high = Math.min(limit, start.lo);
    let place = Math.floor((high - pages) / align) * align;
    for (const range of this.sorted.below(start)) {
      if (place < low || place > range.hi) break;
      this.lastSteps++;
      high = Math.min(high, range.lo);
      place = Math.floor((high - pages) / align) * align;
    }
    return high < pages || place < low ? 0 : place;
  }

  private forget(range: Range): void {
    const above = this.sorted.successor(range)!;
    if (range === this.cached32 || (range.hi < FIRST_PFN_ABOVE_4G && range.lo >= this.cached32.lo)) {
      this.cached32 = above;
    }
    if (range.lo < FIRST_PFN_ABOVE_4G) this.max32AllocSize = FIRST_PFN_ABOVE_4G;
    if (range.lo >= this.cached.lo) this.cached = above;
  }
}
