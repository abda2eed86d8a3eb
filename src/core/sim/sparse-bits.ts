/**
 * Bits over a range of any size, in blocks that are made when a bit of theirs is first set: a space of terabytes costs what is touched.
 * An index is a whole double below 2^45.
 */
import type { DigestSink } from './digest-sink.ts';

const WORDS = 1024;
const BLOCK = WORDS * 32;
/** Blocks found without a map: those of the first 2^27 bits. */
const NEAR = 4096;

export class SparseBits {
  /** [block]: bit `index & 31` of word `index >> 5` within it. */
  private readonly near: (Int32Array | undefined)[] = new Array<Int32Array | undefined>(NEAR).fill(undefined);
  private readonly far = new Map<number, Int32Array>();
  /** Numbers of all blocks there are, rising. */
  private readonly made: number[] = [];

  private block(number: number): Int32Array | undefined {
    return number < NEAR ? this.near[number] : this.far.get(number);
  }

  private make(number: number): Int32Array {
    const block = new Int32Array(WORDS);
    if (number < NEAR) this.near[number] = block;
    else this.far.set(number, block);
    this.made.splice(this.placeOf(number), 0, number);
    return block;
  }

  /** Place in `made` of the first block that is not below a number. */
  private placeOf(number: number): number {
    let low = 0;
    let high = this.made.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.made[middle]! < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  set(from: number, count: number): void {
    for (let index = from; index < from + count; ) {
      const number = Math.floor(index / BLOCK);
      const at = index - number * BLOCK;
      const end = Math.min(BLOCK, at + (from + count - index));
      const block = this.block(number) ?? this.make(number);
      for (let word = at >> 5; word <= (end - 1) >> 5; word++) block[word]! |= maskOf(word, at, end);
      index += end - at;
    }
  }

  clear(from: number, count: number): void {
    for (let index = from; index < from + count; ) {
      const number = Math.floor(index / BLOCK);
      const at = index - number * BLOCK;
      const end = Math.min(BLOCK, at + (from + count - index));
      const block = this.block(number);
      if (block !== undefined)
        for (let word = at >> 5; word <= (end - 1) >> 5; word++) block[word]! &= ~maskOf(word, at, end);
      index += end - at;
    }
  }

  /** Whether all of the bits are set. */
  isSet(from: number, count: number): boolean {
    return this.nextZero(from, from + count) === from + count;
  }

  /** The lowest clear bit from `from` on, or `end` when there is none below it. */
  nextZero(from: number, end: number): number {
    for (let index = from; index < end; ) {
      const number = Math.floor(index / BLOCK);
      const block = this.block(number);
      if (block === undefined) return index;
      const at = index - number * BLOCK;
      let word = at >> 5;
      let zeros = ~block[word]! & (-1 << (at & 31));
      while (zeros === 0 && ++word < WORDS) zeros = ~block[word]!;
      if (zeros !== 0) return Math.min(end, number * BLOCK + word * 32 + lowestBit(zeros));
      index = (number + 1) * BLOCK;
    }
    return end;
  }

  /** The lowest set bit from `from` on, or `end` when there is none below it. */
  nextSet(from: number, end: number): number {
    for (let index = from; index < end; ) {
      const number = Math.floor(index / BLOCK);
      const block = this.block(number);
      if (block === undefined) {
        const next = this.made[this.placeOf(number)];
        if (next === undefined) return end;
        index = next * BLOCK;
        continue;
      }
      const at = index - number * BLOCK;
      let word = at >> 5;
      let ones = block[word]! & (-1 << (at & 31));
      while (ones === 0 && ++word < WORDS) ones = block[word]!;
      if (ones !== 0) return Math.min(end, number * BLOCK + word * 32 + lowestBit(ones));
      index = (number + 1) * BLOCK;
    }
    return end;
  }

  /** By what is set: blocks that are empty again do not show. */
  digest(sink: DigestSink): void {
    for (const number of this.made) {
      const block = this.block(number)!;
      if (block.every((word) => word === 0)) continue;
      sink.number(number);
      sink.column(block, WORDS);
    }
  }
}

/** The bits of a word that lie in [from, end). */
function maskOf(word: number, from: number, end: number): number {
  const low = from > word << 5 ? -1 << (from & 31) : -1;
  return end < (word + 1) << 5 ? low & ~(-1 << (end & 31)) : low;
}

/** Index of the lowest set bit of a word that is not zero. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
