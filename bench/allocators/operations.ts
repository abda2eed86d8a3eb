/**
 * The list of operations that `bench/c/pairs.c` makes from the same arguments: fill every slot, then give one back and fill it anew,
 * over and over.
 */

export interface Workload {
  name: string;
  /** Which slot is next: the one filled longest ago, or any. */
  order: 'ring' | 'random';
  /** Slots, 1 to 2^16. */
  live: number;
  /** Every allocation has 1 to so many pages. */
  maxPages: number;
}

/** Those of the yardsticks that the aim is stated for. */
export const WORKLOADS: readonly Workload[] = [
  { name: 'ring of 512 single pages', order: 'ring', live: 512, maxPages: 1 },
  { name: 'ring of 4,096 single pages', order: 'ring', live: 4096, maxPages: 1 },
  { name: 'random single page, 4,096 live', order: 'random', live: 4096, maxPages: 1 },
  { name: 'random 1 to 32 pages, 4,096 live', order: 'random', live: 4096, maxPages: 32 },
  { name: 'random 1 to 32 pages, 32,768 live', order: 'random', live: 32_768, maxPages: 32 },
];

/** What one round plays: a workload, so many pairs before the clock starts and so many under it, and a seed from 1 to 2^32 - 1. */
export interface Round extends Workload {
  unmeasured: number;
  measured: number;
  seed: number;
}

/** What is given back and taken next, in one word, so that the list costs the loop that plays it as little as can be. */
export const SLOT_BITS = 16;
/** Written out, since a power that is computed is a double for V8. */
export const SLOT_MASK = 0xffff;

/**
 * [i]: slot, and above its 16 bits the pages of its new allocation. The first `live` fill the slots in order, each of the others gives
 * back what its slot holds before it fills it anew.
 */
export type Operations = Int32Array;

export function operationsOf({ order, live, maxPages, unmeasured, measured, seed }: Round): Operations {
  // Marsaglia's xorshift with 13, 17, 5.
  let state = seed | 0;
  const below = (bound: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 16) * bound) >>> 16;
  };
  const count = live + unmeasured + measured;
  const operations = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const slot = i < live || order === 'ring' ? i % live : below(live);
    const pages = maxPages === 1 ? 1 : 1 + below(maxPages);
    operations[i] = slot | (pages << SLOT_BITS);
  }
  return operations;
}
