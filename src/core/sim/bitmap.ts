/**
 * A fixed array of bits with the area search of the platform IOMMU drivers: the next run of zero bits that starts on an aligned
 * index.
 *
 * Source: Linux 3.6 lib/bitmap.c, `bitmap_find_next_zero_area`. Words have 32 bits here, which is what JavaScript's operators
 * see; the cost is counted in 64-bit words, which is what a 64-bit kernel loads.
 */

/** An area that there is not. V8 folds a constant of its own module, and loads an exported one each time: hence the two names. */
const MISSING = -1;
export const NOT_FOUND = MISSING;

/** A word of so many ones, 1 to 32, from bit 0 up. */
const lowestBits = (count: number): number => ~(-2 << (count - 1));

/** Index of the lowest set bit of a word that is not zero. */
const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);

export class Bitmap {
  declare readonly bits: number;
  /** [index >> 5]: bit `index & 31` is entry `index`; bits beyond `bits` stay 0. */
  declare readonly words: Int32Array;
  /** 64-bit words looked at by `findArea`, in total. */
  wordsScanned = 0;

  /** @param bits how many, 1 to 2^30 */
  constructor(bits: number) {
    this.bits = bits;
    this.words = new Int32Array(Math.ceil(bits / 32));
  }

  /** The lowest clear bit from `from` on, or `end` when there is none below it. */
  nextZero(from: number, end: number): number {
    if (from >= end) return end;
    const { words } = this;
    let word = from >> 5;
    let zeros = ~words[word] & (-1 << (from & 31));
    const lastWord = (end - 1) >> 5;
    while (zeros === 0) {
      if (++word > lastWord) return end;
      zeros = ~words[word];
    }
    return Math.min((word << 5) + lowestBit(zeros), end);
  }

  /** The lowest set bit from `from` on, or `end` when there is none below it. */
  nextSet(from: number, end: number): number {
    if (from >= end) return end;
    const { words } = this;
    let word = from >> 5;
    let ones = words[word] & (-1 << (from & 31));
    const lastWord = (end - 1) >> 5;
    while (ones === 0) {
      if (++word > lastWord) return end;
      ones = words[word];
    }
    return Math.min((word << 5) + lowestBit(ones), end);
  }

  /** Whether all of the bits are set. */
  isSet(from: number, count: number): boolean {
    if ((from & 31) + count <= 32) {
      const mask = lowestBits(count) << (from & 31);
      return (this.words[from >> 5] & mask) === mask;
    }
    return this.nextZero(from, from + count) === from + count;
  }

  set(from: number, count: number): void {
    const { words } = this;
    if ((from & 31) + count <= 32) {
      words[from >> 5] |= lowestBits(count) << (from & 31);
      return;
    }
    const lastBit = from + count - 1;
    const lastWord = lastBit >> 5;
    const tail = -1 >>> (31 - (lastBit & 31));
    let word = from >> 5;
    let mask = -1 << (from & 31);
    for (; word < lastWord; word++) {
      words[word] |= mask;
      mask = -1;
    }
    words[word] |= mask & tail;
  }

  clear(from: number, count: number): void {
    const { words } = this;
    if ((from & 31) + count <= 32) {
      words[from >> 5] &= ~(lowestBits(count) << (from & 31));
      return;
    }
    const lastBit = from + count - 1;
    const lastWord = lastBit >> 5;
    const tail = -1 >>> (31 - (lastBit & 31));
    let word = from >> 5;
    let mask = -1 << (from & 31);
    for (; word < lastWord; word++) {
      words[word] &= ~mask;
      mask = -1;
    }
    words[word] &= ~(mask & tail);
  }

  /** Clears the bits if all of them are set, and else leaves them as they are. @returns whether they were */
  clearIfSet(from: number, count: number): boolean {
    if ((from & 31) + count <= 32) {
      const { words } = this;
      const bits = words[from >> 5];
      const mask = lowestBits(count) << (from & 31);
      if ((bits & mask) !== mask) return false;
      words[from >> 5] = bits ^ mask;
      return true;
    }
    if (!this.isSet(from, count)) return false;
    this.clear(from, count);
    return true;
  }

  /** One more than the highest word that is not zero. */
  wordsInUse(): number {
    const { words } = this;
    let count = words.length;
    while (count > 0 && words[count - 1] === 0) count--;
    return count;
  }

  /**
   * One pass: finds a clear bit at or above `from`, rounds its index up to the alignment, and takes the area there if it is clear;
   * else goes on behind the set bit that is in the way. The first area that would end beyond `size` ends the search, even if a
   * smaller one is left. Counts each distinct 64-bit word looked at once; words that rounding up jumps over are not looked at.
   *
   * @param size entries to search, from 0
   * @param from where to begin
   * @param count length of the area
   * @param alignMask the start's multiple less one: a power of two, less one
   * @returns index of the first entry, or NOT_FOUND
   */
  findArea(size: number, from: number, count: number, alignMask: number): number {
    // An aligned area of up to 32 bits never lies across two words. With that search, and as much in `set`, `clear` and `isSet`, a pair of
    // allocation and free of 1 to 32 pages went from 42 to 29 ns.
    if (count <= alignMask + 1 && alignMask < 32) return this.findWithinWord(size, from, count, alignMask, 0);
    return this.searchArea(size, from, count, alignMask);
  }

  private searchArea(size: number, from: number, count: number, alignMask: number): number {
    let start = from;
    // Positions only rise within a pass, so the highest word counted so far tells new from old.
    let highestCounted = -1;
    let scanned = 0;
    let found = MISSING;
    for (;;) {
      const zero = this.nextZero(start, size);
      if (start < size) {
        const firstWord = Math.max(start >> 6, highestCounted + 1);
        highestCounted = Math.min(zero, size - 1) >> 6;
        scanned += Math.max(0, highestCounted - firstWord + 1);
      }
      const index = (zero + alignMask) & ~alignMask;
      const end = index + count;
      if (end > size) break;
      const obstacle = this.nextSet(index, end);
      const firstWord = Math.max(index >> 6, highestCounted + 1);
      const lastWord = Math.min(obstacle, end - 1) >> 6;
      if (lastWord >= firstWord) {
        scanned += lastWord - firstWord + 1;
        highestCounted = lastWord;
      }
      if (obstacle === end) {
        found = index;
        break;
      }
      start = obstacle + 1;
    }
    this.wordsScanned += scanned;
    return found;
  }

  /** `findArea`, and sets the bits of what it finds. */
  takeArea(size: number, from: number, count: number, alignMask: number): number {
    if (count <= alignMask + 1 && alignMask < 32) return this.findWithinWord(size, from, count, alignMask, -1);
    const found = this.findArea(size, from, count, alignMask);
    if (found !== MISSING) this.set(found, count);
    return found;
  }

  /**
   * `findArea` where rounding up leads at most to the beginning of the next word, so that no word is jumped over. The first place is
   * looked at before the first clear bit is searched for: that it is free is the usual case, and the processor need not wait for
   * the word to know where the next search begins.
   */
  private findWithinWord(size: number, from: number, count: number, alignMask: number, filled: number): number {
    let index = (from + alignMask) & ~alignMask;
    if (index + count > size) return this.searchArea(size, from, count, alignMask);
    const { words } = this;
    const lastWord = (size - 1) >> 5;
    const area = lowestBits(count);
    let word = index >> 5;
    for (;;) {
      const bits = words[word];
      const mask = area << (index & 31);
      const obstacles = bits & mask;
      if (obstacles === 0) {
        words[word] = bits | (mask & filled);
        break;
      }
      let zeros = ~bits & (-2 << lowestBit(obstacles));
      while (zeros === 0 && word < lastWord) zeros = ~words[++word];
      index = ((word << 5) + lowestBit(zeros) + alignMask) & ~alignMask;
      if (zeros === 0 || index + count > size) {
        index = MISSING;
        break;
      }
      word = index >> 5;
    }
    this.wordsScanned += (word >> 1) - (from >> 6) + 1;
    return index;
  }
}
