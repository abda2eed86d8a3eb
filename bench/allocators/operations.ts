/**
 * The list of operations that `bench/c/pairs.c` makes from the same arguments: fill every slot, then give one back and fill it anew,
 * over and over.
 */

/** Pages from IOVA 0 up that addresses come from. */
export const SPACE_PAGES = 2 ** 20;

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

export interface Operations {
  /** [allocation]: pages; those that fill the slots come first, one each in order. */
  pages: Uint8Array;
  /** [pair]: the slot that is given back and filled anew. */
  slots: Uint16Array;
}

export function operationsOf({ order, live, maxPages, unmeasured, measured, seed }: Round): Operations {
  // Marsaglia's xorshift with 13, 17, 5.
  let state = seed | 0;
  const below = (bound: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 16) * bound) >>> 16;
  };
  const pairs = unmeasured + measured;
  const pages = new Uint8Array(live + pairs);
  const slots = new Uint16Array(pairs);
  for (let i = 0; i < live + pairs; i++) pages[i] = maxPages === 1 ? 1 : 1 + below(maxPages);
  for (let i = 0; i < pairs; i++) slots[i] = order === 'random' ? below(live) : i % live;
  return { pages, slots };
}
