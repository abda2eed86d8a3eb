/**
 * Slow model of the bitmap allocator: one yes or no per page from IOVA 0 up, and a cursor at which the next search
 * starts.
 *
 * Source: Linux 3.6 `lib/iommu-helper.c` and `lib/bitmap.c` for the search; the cursor that only an allocation moves
 * and the one second search from 0 are those of the linux-kernel thread of June 2008 on IOMMU allocators.
 */
import { type AllocatorModel, nextPowerOfTwo, type Range } from './sorted-ranges.ts';

const PAGE_BYTES = 4096;
const FREE = 0;
const ALLOCATED = 1;
const RESERVED = 2;

/** One of three states a page. */
export abstract class PagesModel implements AllocatorModel {
  /**
   * [page]: FREE, ALLOCATED or RESERVED. Reaches beyond the map, to 4 GiB at least: reservations may lie there. A buffer of Node is
   * looked through for a state some twenty times as fast as a typed array.
   */
  readonly pages: Buffer;
  /** Pages of the map itself. */
  readonly size: number;
  readonly lastSteps = 0;

  constructor(size: number) {
    this.size = size;
    this.pages = Buffer.alloc(Math.max(size, 2 ** 20));
    this.pages[0] = RESERVED;
  }

  abstract allocate(pages: number, limitPfn: number): number;

  protected take(lo: number, pages: number): number {
    this.pages.fill(ALLOCATED, lo, lo + pages);
    return lo;
  }

  free(pfn: number, pages: number): void {
    this.pages.fill(FREE, pfn, pfn + pages);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.pages.fill(RESERVED, firstPfn, lastPfn + 1);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.pages.fill(FREE, firstPfn, lastPfn + 1);
    this.pages[0] = RESERVED;
  }

  /** Stretches of one state, but for what is free. Each state is looked for once from end to end: spaces have millions of pages. */
  ranges(): Range[] {
    const { pages } = this;
    const next = [-1, -1, -1];
    const first = (state: number, from: number): number => {
      if (next[state]! < from) {
        const found = pages.indexOf(state, from);
        next[state] = found === -1 ? pages.length : found;
      }
      return next[state]!;
    };
    const taken = (from: number): number => Math.min(first(ALLOCATED, from), first(RESERVED, from));
    const found: Range[] = [];
    for (let lo = taken(0); lo < pages.length; ) {
      const reserved = pages[lo] === RESERVED;
      const hi = Math.min(first(FREE, lo), first(reserved ? ALLOCATED : RESERVED, lo)) - 1;
      found.push({ lo, hi, reserved });
      lo = taken(hi + 1);
    }
    return found;
  }

  protected isFree(lo: number, count: number): boolean {
    for (let pfn = lo; pfn < lo + count; pfn++) if (this.pages[pfn] !== FREE) return false;
    return true;
  }

  /** @returns the first place from `from` on that fits below `end`, a multiple of `align`, or 0 */
  protected search(count: number, from: number, end: number, align: number): number {
    const pages = this.pages.subarray(0, end);
    let place = from;
    for (;;) {
      if (place < end && pages[place] !== FREE) place = pages.indexOf(FREE, place);
      if (place === -1) return 0;
      place = Math.ceil(place / align) * align;
      if (place + count > end) return 0;
      let next = place;
      while (next < place + count && pages[next] === FREE) next++;
      if (next === place + count) return place;
      place = next + 1;
    }
  }
}

export class BitmapModel extends PagesModel {
  cursor = 0;
  /** Called when the first search has failed, before the second. */
  private readonly onWrap: () => void;

  constructor(lastPfn: number, maskLastPfn: number, apertureBytes: number, onWrap: () => void) {
    super(Math.min(apertureBytes / PAGE_BYTES, lastPfn + 1, maskLastPfn + 1));
    this.onWrap = onWrap;
  }

  allocate(pages: number, limitPfn: number): number {
    // The search keeps one slot in hand: the last one is never given out.
    const end = Math.min(this.size, limitPfn + 1) - 1;
    const align = nextPowerOfTwo(pages);
    let lo = this.search(pages, this.cursor, end, align);
    if (lo === 0) {
      this.onWrap();
      lo = this.search(pages, 0, end, align);
    }
    if (lo === 0) return 0;
    this.cursor = lo + pages;
    return this.take(lo, pages);
  }
}
