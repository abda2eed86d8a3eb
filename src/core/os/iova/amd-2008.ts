/**
 * amd-2008: the aperture ranges of the AMD driver, 128 MiB each with a bitmap of its own. It starts with one; a search that fails in
 * all of them, from the cursor and then from 0, adds one, up to 4 GiB. Aligned to the next power of two.
 *
 * Under `wrap`, `needFlush` is what keeps addresses apart: the wrap sets it and the next map flushes the whole domain; a free at or
 * above the cursor sets it too, and that same unmap flushes its own pages and clears it.
 *
 * Source: Linux 3.6 `drivers/iommu/amd_iommu.c`. Departs from it: lists are laid out as everywhere here, so a device's segment boundary
 * does not reach the search.
 *
 * Pathologies: a map that fails leaves `needFlush` set, and the next unmap clears it though it has flushed no page but its own, so the
 * wrap goes by without its flush; and a device with a narrow mask that finds no room makes all 32 ranges before it gives up.
 */
import * as bitmapConstants from '../../sim/bitmap.ts';
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import { BitmapBased, entriesOf, entriesSchema } from './bitmap-based.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NOT_FOUND } = bitmapConstants;
const { NO_PFN } = allocatorConstants;

/** Pages of a range. */
const RANGE = 32_768;

class Amd2008 extends BitmapBased {
  private readonly onWrap: (() => void) | null;
  private readonly onFreedAhead: ((pfn: number, pages: number) => void) | null;
  private ranges = 1;
  /** What the kernel calls `next_address`. */
  private cursor = 0;
  private needFlush = false;

  constructor(setup: AllocatorSetup) {
    super('amd-2008', entriesOf(setup), setup.call);
    this.onWrap = setup.onWrap;
    this.onFreedAhead = setup.onFreedAhead ?? null;
  }

  allocate(pages: number, limitPfn: number): number {
    const { space } = this;
    const scannedBefore = space.map.wordsScanned;
    let index = this.search(pages, limitPfn);
    while (index === NOT_FOUND && this.ranges * RANGE < space.entries) {
      this.cursor = this.ranges * RANGE;
      this.ranges++;
      index = this.search(pages, limitPfn);
    }
    space.countWords(scannedBefore, 0);
    if (index === NOT_FOUND) return NO_PFN;
    space.take(index, pages);
    if (this.needFlush) {
      this.needFlush = false;
      if (this.onWrap !== null) this.onWrap();
    }
    return index;
  }

  /** From the cursor, then from 0. */
  private search(pages: number, limitPfn: number): number {
    const found = this.searchFrom(this.cursor, pages, limitPfn);
    if (found !== NOT_FOUND) return found;
    this.cursor = 0;
    this.needFlush = true;
    return this.searchFrom(0, pages, limitPfn);
  }

  private searchFrom(start: number, pages: number, limitPfn: number): number {
    const { ranges } = this;
    const { map, entries } = this.space;
    const alignMask = (1 << (32 - Math.clz32(pages - 1))) - 1;
    let from = start;
    for (let range = Math.floor(start / RANGE); range < ranges; range++) {
      const base = range * RANGE;
      if (base >= limitPfn) break;
      // The search leaves out the last slot, of each range here.
      const end = Math.min(base + RANGE, entries, limitPfn + 1) - 1;
      const index = map.findArea(end, from, pages, alignMask);
      if (index !== NOT_FOUND) {
        this.cursor = index + pages;
        return index;
      }
      from = base + RANGE;
    }
    return NOT_FOUND;
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, pages, 0);
    if (pfn >= this.cursor) this.needFlush = true;
    if (!this.needFlush) return;
    this.needFlush = false;
    if (this.onFreedAhead !== null) this.onFreedAhead(pfn, pages);
  }

  protected cursors() {
    return { cursorPfn: this.cursor, ranges: this.ranges, needFlush: Number(this.needFlush) };
  }
}

export const amd2008: AllocatorEntry = {
  kind: 'amd-2008',
  schema: {
    type: 'object',
    properties: { kind: { const: 'amd-2008' }, entries: entriesSchema },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'amd-2008', entries: 2 ** 20 },
  source: 'Linux 3.6 drivers/iommu/amd_iommu.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'domain',
  aligned: true,
  longestPages: 2 ** 14,
  always32BitFirst: false,
  create: (setup) => new Amd2008(setup),
};
