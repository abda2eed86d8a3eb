/**
 * alpha: the arena of Alpha's PCI code. Next-fit over the PTEs themselves; at the end of the arena all is flushed and the search starts
 * once more from the beginning. What is freed at or above the cursor is flushed at once, exactly: it may have come back into the TLB
 * since the last lap's flush, and would be handed out before the next one.
 *
 * Source: Linux 3.6 `arch/alpha/kernel/pci_iommu.c`, `iommu_arena_find_pages` and `pci_unmap_single`. Departs from it: entries of one
 * page are aligned to one page (the chips' `align_entry` differs); the direct-map window is not there, so all goes through the arena.
 *
 * Pathology: when the cursor has wrapped, all that is still live from the last lap lies ahead of it and pays an invalidation when it is
 * freed: a ring of n pages pays n a lap. What is freed newest first is behind the cursor and pays nothing.
 */
import * as bitmapConstants from '../../sim/bitmap.ts';
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import { BitmapBased, entriesOf, entriesSchema } from './bitmap-based.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NOT_FOUND } = bitmapConstants;
const { NO_PFN } = allocatorConstants;

class Alpha extends BitmapBased {
  private readonly onWrap: (() => void) | null;
  private readonly onFreedAhead: ((pfn: number, pages: number) => void) | null;
  /** What the kernel calls `next_entry`. */
  private cursor = 0;

  constructor(setup: AllocatorSetup) {
    super('alpha', entriesOf(setup), setup.call);
    this.onWrap = setup.onWrap;
    this.onFreedAhead = setup.onFreedAhead ?? null;
  }

  allocate(pages: number, limitPfn: number): number {
    const { space } = this;
    const { map } = space;
    const scannedBefore = map.wordsScanned;
    // Unlike the other platforms' search this one uses the last entry, too.
    const size = Math.min(space.entries, limitPfn + 1);
    let index = map.findArea(size, this.cursor, pages, 0);
    if (index === NOT_FOUND) {
      if (this.onWrap !== null) this.onWrap();
      index = map.findArea(size, 0, pages, 0);
    }
    space.countWords(scannedBefore, 0);
    if (index === NOT_FOUND) return NO_PFN;
    space.take(index, pages);
    this.cursor = index + pages;
    return index;
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, pages, 0);
    if (pfn >= this.cursor && this.onFreedAhead !== null) this.onFreedAhead(pfn, pages);
  }

  protected cursors() {
    return { cursorPfn: this.cursor };
  }
}

export const alpha: AllocatorEntry = {
  kind: 'alpha',
  schema: {
    type: 'object',
    properties: { kind: { const: 'alpha' }, entries: entriesSchema },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'alpha', entries: 2 ** 20 },
  source: 'Linux 3.6 arch/alpha/kernel/pci_iommu.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'global',
  aligned: false,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  create: (setup) => new Alpha(setup),
};
