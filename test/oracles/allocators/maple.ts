/**
 * Slow model of the gap tree of 2026: all gaps written down anew for each request, the highest that is wide enough taken.
 *
 * Source: Rik van Riel, "iova: use maple tree for O(log n) allocation", v3, June 2026.
 */
import { type AllocatorModel, nextPowerOfTwo, type Range, SortedRanges } from './sorted-ranges.ts';

const FIRST_PFN_ABOVE_4G = 0x100000;
const FIRST_PFN = 1;

export class MapleModel implements AllocatorModel {
  private readonly sorted = new SortedRanges();
  max32AllocSize = FIRST_PFN_ABOVE_4G;
  /** A descent passes no ranges by. */
  readonly lastSteps = 0;

  allocate(pages: number, limitPfn: number): number {
    const limitedTo32Bits = limitPfn + 1 <= FIRST_PFN_ABOVE_4G;
    if (limitedTo32Bits && pages >= this.max32AllocSize) return 0;
    const align = nextPowerOfTwo(pages);
    const gaps: { bottom: number; top: number }[] = [];
    let bottom = FIRST_PFN;
    for (const { lo, hi } of [...this.sorted.list, { lo: Infinity, hi: Infinity }]) {
      gaps.push({ bottom, top: Math.min(lo - 1, limitPfn) });
      bottom = Math.max(bottom, hi + 1);
    }
    const gap = gaps.findLast(({ bottom, top }) => top - bottom + 1 >= pages + align - 1);
    if (gap === undefined) {
      if (limitedTo32Bits) this.max32AllocSize = pages;
      return 0;
    }
    const lo = Math.floor((gap.top - pages + 1) / align) * align;
    this.sorted.insert({ lo, hi: lo + pages - 1, reserved: false });
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
    if (range.lo < FIRST_PFN_ABOVE_4G) this.max32AllocSize = FIRST_PFN_ABOVE_4G;
  }
}
