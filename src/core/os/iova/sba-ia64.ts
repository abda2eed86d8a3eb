/**
 * sba-ia64: the resource map of Itanium's system bus adapter. Every request is rounded up to a power of two, because the purge register
 * takes ranges of one. A single page takes the first free bit of the first word from the hint on that is not full, wherever the last
 * search stopped within it. Up to half a word slides within a word, in steps of its own size; more takes whole words. Two passes, from
 * the hint and from the beginning; when both fail, what `delayed` holds back is purged and freed, and a third pass decides.
 *
 * Source: Linux 3.6 `arch/ia64/hp/common/sba_iommu.c`, `sba_search_bitmap`, `sba_alloc_range`, `sba_free_range`. Departs from it: a
 * third pass that fails is an answer, not a panic; a list's segment boundary does not reach the search; a word that a device's mask
 * cuts is not used. Its platform flushes by the batch and never at a wrap; under `wrap` it does what `sba-parisc` does.
 *
 * Pathologies: 33 pages burn 64, and 65 burn 128; the last whole word is never given to a request of more than half a word; whole words
 * are not aligned to the size of what they hold, so a purge of 128 pages may have to cover 256; and under `wrap` a page that was just
 * freed is handed out again with no lap between.
 */
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import { BitmapBased, entriesOf, entriesSchema } from './bitmap-based.ts';
import * as callConstants from './call.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_PFN } = allocatorConstants;
const { STEP } = callConstants;

const WORD = 64;

function roundedUp(pages: number): number {
  return 2 ** (32 - Math.clz32(pages - 1));
}

class SbaIa64 extends BitmapBased {
  private readonly onWrap: (() => void) | null;
  private readonly onExhausted: (() => void) | null;
  /** What the kernel calls `res_hint` (as a word's number) and `res_bitshift`. */
  private word = 0;
  private bit = 0;

  constructor(setup: AllocatorSetup) {
    super('sba-ia64', entriesOf(setup), setup.call);
    this.onWrap = setup.onWrap;
    this.onExhausted = setup.onExhausted ?? null;
  }

  allocate(pages: number, limitPfn: number): number {
    const { space } = this;
    const { map, call } = space;
    const scannedBefore = map.wordsScanned;
    let stepFrom = scannedBefore;
    const words = Math.floor(Math.min(space.entries, limitPfn + 1) / WORD);
    const rounded = roundedUp(pages);
    let index = this.search(rounded, words);
    if (index === NO_PFN) {
      if (this.onWrap !== null) this.onWrap();
      index = this.search(rounded, words);
    }
    if (index === NO_PFN && this.onExhausted !== null) {
      // What the search has taken so far is booked before the drain's own steps.
      call.add(STEP.bitmapSearch, 0, map.wordsScanned - stepFrom);
      stepFrom = map.wordsScanned;
      this.onExhausted();
      index = this.search(rounded, words);
    }
    space.lastWordsScanned = map.wordsScanned - scannedBefore;
    call.add(STEP.bitmapSearch, 0, map.wordsScanned - stepFrom);
    if (index !== NO_PFN) space.take(index, rounded);
    return index;
  }

  free(pfn: number, pages: number): void {
    this.space.free(pfn, roundedUp(pages), 0);
  }

  /** One pass from the hint to the end of the map; leaves the hint behind what it found, or at the beginning. */
  private search(pages: number, words: number): number {
    const found =
      pages === 1 ? this.single(words) : pages <= WORD / 2 ? this.within(pages, words) : this.whole(pages, words);
    if (found === NO_PFN) {
      this.word = 0;
      this.bit = 0;
    }
    return found;
  }

  private single(words: number): number {
    const { map } = this.space;
    for (let { word } = this; word < words; word++) {
      map.wordsScanned++;
      const index = map.nextZero(word * WORD, (word + 1) * WORD);
      if (index === (word + 1) * WORD) continue;
      this.word = word;
      this.bit = index - word * WORD + 1;
      return index;
    }
    return NO_PFN;
  }

  private within(pages: number, words: number): number {
    const { map } = this.space;
    let { word } = this;
    let bit = Math.ceil(this.bit / pages) * pages;
    for (; word < words; word++, bit = 0) {
      map.wordsScanned++;
      for (; bit < WORD; bit += pages) {
        const index = word * WORD + bit;
        if (map.nextSet(index, index + pages) !== index + pages) continue;
        this.word = word;
        this.bit = bit + pages;
        return index;
      }
    }
    return NO_PFN;
  }

  /** So many whole words in a row; the first word is never so far up that they would end with the map. */
  private whole(pages: number, words: number): number {
    const { map } = this.space;
    const wanted = pages / WORD;
    const end = words - wanted;
    for (let { word } = this; word < end; ) {
      const first = word * WORD;
      const obstacle = map.nextSet(first, first + pages);
      if (obstacle === first + pages) {
        map.wordsScanned += wanted;
        this.word = word + wanted;
        this.bit = 0;
        return first;
      }
      // Each start up to the word in the way looks again at all words before it.
      const free = Math.floor(obstacle / WORD) - word;
      const starts = Math.min(free + 1, end - word);
      map.wordsScanned += starts * (free + 1) - (starts * (starts - 1)) / 2;
      word += free + 1;
    }
    return NO_PFN;
  }

  protected cursors() {
    return { cursorPfn: this.word * WORD + this.bit, wordPfn: this.word * WORD };
  }
}

export const sbaIa64: AllocatorEntry = {
  kind: 'sba-ia64',
  schema: {
    type: 'object',
    properties: { kind: { const: 'sba-ia64' }, entries: entriesSchema },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'sba-ia64', entries: 2 ** 20 },
  source: 'Linux 3.6 arch/ia64/hp/common/sba_iommu.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'global',
  aligned: false,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  create: (setup) => new SbaIa64(setup),
};
