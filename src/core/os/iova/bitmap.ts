/**
 * One bit per 4 KiB page of an aperture that starts at IOVA 0, searched next-fit from a cursor that wraps: the thread of June 2008's
 * alternative to the tree, in its plainest form.
 *
 * Source: Fujita Tomonori's proposal for intel-iommu as James Bottomley retells it (linux-kernel, 5 June 2008); the search is
 * Linux 3.6 lib/iommu-helper.c, `iommu_area_alloc`, which never hands out the last entry. The patch itself is not public: aperture
 * size, alignment to the next power of two, and leaving the cursor alone at a free are ours.
 *
 * Pathology: a nearly full or fragmented aperture is scanned word by word. And whoever flushes only when the cursor wraps should
 * know that a page freed ahead of the cursor is handed out again within the lap.
 */
import * as bits from '../../sim/bitmap.ts';
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import * as results from './allocator.ts';
import { BitmapBased, PAGE_BYTES } from './bitmap-based.ts';

/** Constants of this module are folded by V8, imported ones are loaded each time. */
const { NO_PFN } = results;
const { NOT_FOUND } = bits;

class BitmapAllocator extends BitmapBased {
  private readonly onWrap: (() => void) | null;
  /** Where the next search begins: behind the last allocation. */
  private cursor = 0;

  constructor(setup: AllocatorSetup) {
    const aperturePages = Number(setup.parameters.apertureBytes) / PAGE_BYTES;
    super('bitmap', Math.min(aperturePages, setup.lastPfn + 1, setup.maskLastPfn + 1), setup.call);
    this.onWrap = setup.onWrap;
  }

  allocate(pages: number, limitPfn: number): number {
    const { space } = this;
    const { map, entries } = space;
    const scannedBefore = map.wordsScanned;
    // Not Math.min, which goes through doubles.
    const size = (limitPfn < entries ? limitPfn | 0 : entries - 1) | 0;
    const alignMask = 0x7fffffff >> (Math.clz32(pages - 1) - 1);
    let index = map.takeArea(size, this.cursor, pages, alignMask);
    if (index === NOT_FOUND) {
      if (this.onWrap !== null) this.onWrap();
      index = map.takeArea(size, 0, pages, alignMask);
    }
    space.countWords(scannedBefore, 0);
    if (index === NOT_FOUND) return NO_PFN;
    space.countTaken(pages);
    this.cursor = index + pages;
    return index;
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, pages, 0);
  }

  protected cursors() {
    return { cursorPfn: this.cursor };
  }
}

export const bitmap: AllocatorEntry = {
  kind: 'bitmap',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'bitmap' },
      apertureBytes: {
        type: 'integer',
        minimum: 2 ** 20,
        maximum: 2 ** 40,
        multipleOf: PAGE_BYTES,
        default: 2 ** 32,
        description:
          'Size of the address range that the bitmap covers, from IOVA 0; device mask and domain width cap it.',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'bitmap', apertureBytes: 2 ** 32 },
  source:
    'the bitmap that Fujita Tomonori proposed for intel-iommu, as retold on linux-kernel, 5 June 2008; search: Linux 3.6 lib/iommu-helper.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'global',
  aligned: true,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  create: (setup) => new BitmapAllocator(setup),
};
