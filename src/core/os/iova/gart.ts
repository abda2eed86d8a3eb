/**
 * gart: the bitmap of x86's GART driver. Next-fit without alignment; who frees ahead of the cursor drags the cursor behind what was
 * freed, so that it is not handed out again before the lap ends.
 *
 * Source: Linux 3.6 `arch/x86/kernel/amd_gart_64.c`, `alloc_iommu` and `free_iommu`; the search is `lib/iommu-helper.c`. Departs from
 * it: lists are laid out as everywhere here, so a device's segment boundary does not reach the search; an aperture that is full is an
 * answer, not a bad address or a panic.
 *
 * Pathologies: drivers that hold a few slots for long leave holes that only the next lap finds; a ring that is freed in the order in
 * which it was mapped drags the cursor back to the end for each of its pages there, and each time the next map wraps and flushes; and
 * an idle machine never flushes.
 */
import * as bitmapConstants from '../../sim/bitmap.ts';
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import { BitmapBased, entriesOf, entriesSchema } from './bitmap-based.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NOT_FOUND } = bitmapConstants;
const { NO_PFN } = allocatorConstants;

/** First pages kept back for mappings that must not fail. */
const EMERGENCY_PAGES = 32;

class Gart extends BitmapBased {
  private readonly onWrap: (() => void) | null;
  declare private readonly fullFlush: boolean;
  private cursor = 0;
  /** Set when the search wraps; the map that succeeds next flushes. */
  private needFlush = false;

  constructor(setup: AllocatorSetup) {
    super('gart', entriesOf(setup), setup.call);
    this.onWrap = setup.onWrap;
    this.fullFlush = setup.parameters.fullFlush === true;
    this.reserve(1, EMERGENCY_PAGES - 1);
  }

  allocate(pages: number, limitPfn: number): number {
    const { space } = this;
    const { map, entries } = space;
    const scannedBefore = map.wordsScanned;
    const size = Math.min(entries, limitPfn + 1) - 1;
    let index = map.findArea(size, this.cursor, pages, 0);
    if (index === NOT_FOUND) {
      this.needFlush = true;
      index = map.findArea(size, 0, pages, 0);
    }
    space.countWords(scannedBefore, 0);
    if (index === NOT_FOUND) return NO_PFN;
    space.take(index, pages);
    this.cursor = index + pages;
    if (this.cursor >= entries) {
      this.cursor = 0;
      this.needFlush = true;
    }
    if (this.needFlush || this.fullFlush) {
      this.needFlush = false;
      if (this.onWrap !== null) this.onWrap();
    }
    return index;
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, pages, 0);
    if (pfn >= this.cursor) this.cursor = pfn + pages;
  }

  protected cursors() {
    return { cursorPfn: this.cursor, needFlush: Number(this.needFlush) };
  }
}

export const gart: AllocatorEntry = {
  kind: 'gart',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'gart' },
      entries: entriesSchema,
      fullFlush: {
        type: 'boolean',
        default: false,
        description: 'Under `wrap`, flush at every allocation (`iommu=fullflush`) and not only after a wrap.',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'gart', entries: 2 ** 20, fullFlush: false },
  source: 'Linux 3.6 arch/x86/kernel/amd_gart_64.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'global',
  aligned: false,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  create: (setup) => new Gart(setup),
};
