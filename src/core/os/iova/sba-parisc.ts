/**
 * sba-parisc: the resource map of PA-RISC's system bus adapter. A hint of word and bit; a mask of n bits slides in steps of the next
 * power of two within a word and never crosses one. More than half a word takes a word that is wholly free. Alignment is there because
 * the purge register takes ranges of a power of two.
 *
 * Source: Linux 3.6 `drivers/parisc/sba_iommu.c`, `sba_search_bitmap` and `sba_alloc_range`. Departs from it: a second pass that fails is
 * an answer, not a panic; a list's segment boundary does not reach the search; a word that a device's mask cuts is not used.
 *
 * Pathology: single pages scattered over the map leave no whole word for a request of more than 32 pages, however much is free; and
 * more than 64 pages never fit.
 */
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import { BitmapBased, entriesOf, entriesSchema } from './bitmap-based.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN } = allocatorConstants;

const WORD = 64;

class SbaParisc extends BitmapBased {
  private readonly onWrap: (() => void) | null;
  /** What the kernel calls `res_hint` (as a word's number) and `res_bitshift`. */
  private word = 0;
  private bit = 0;

  constructor(setup: AllocatorSetup) {
    super('sba-parisc', entriesOf(setup), setup.call);
    this.onWrap = setup.onWrap;
  }

  allocate(pages: number, limitPfn: number): number {
    const { space } = this;
    const scannedBefore = space.map.wordsScanned;
    const words = Math.floor(Math.min(space.entries, limitPfn + 1) / WORD);
    let index = NO_PFN;
    if (pages <= WORD) {
      index = this.search(pages, words);
      if (index === NO_PFN) {
        if (this.onWrap !== null) this.onWrap();
        index = this.search(pages, words);
      }
    }
    space.countWords(scannedBefore, 0);
    if (index !== NO_PFN) space.take(index, pages);
    return index;
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, pages, 0);
  }

  /** One pass from the hint to the end of the map; leaves the hint behind what it found, or at the beginning. */
  private search(pages: number, words: number): number {
    const step = pages > WORD / 2 ? WORD : 2 ** (32 - Math.clz32(pages - 1));
    // More than half a word takes a word that is free as a whole.
    const free = step === WORD ? WORD : pages;
    let { word } = this;
    let bit = step === WORD ? 0 : Math.ceil(this.bit / step) * step;
    if (bit >= WORD) {
      bit = 0;
      word++;
    }
    let found = NO_PFN;
    for (; word < words; word++, bit = 0) {
      this.space.map.wordsScanned++;
      while (bit < WORD && !this.isFree(word * WORD + bit, free)) bit += step;
      if (bit < WORD) {
        found = word * WORD + bit;
        break;
      }
    }
    if (step === WORD) {
      // The next search begins in the next word; the others' in the same one.
      word++;
      bit = 0;
    } else bit += pages;
    if (word >= words) {
      word = 0;
      bit = 0;
    }
    this.word = word;
    this.bit = bit;
    return found;
  }

  private isFree(index: number, bits: number): boolean {
    return this.space.map.nextSet(index, index + bits) === index + bits;
  }

  protected cursors() {
    return { cursorPfn: this.word * WORD + this.bit };
  }
}

export const sbaParisc: AllocatorEntry = {
  kind: 'sba-parisc',
  schema: {
    type: 'object',
    properties: { kind: { const: 'sba-parisc' }, entries: entriesSchema },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'sba-parisc', entries: 2 ** 20 },
  source: 'Linux 3.6 drivers/parisc/sba_iommu.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'global',
  aligned: true,
  longestPages: 64,
  always32BitFirst: false,
  create: (setup) => new SbaParisc(setup),
};
