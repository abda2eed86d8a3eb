/** Counters as they are read: with what allocators count by themselves, since one count is all that an allocation has time for. */
import type { Simulator } from '../simulator.ts';

/** In the order of `Counters`. */
export function countersOf({ counters, domains }: Simulator): Record<string, number> {
  let { cacheHits } = counters;
  for (const { allocator } of domains) cacheHits += allocator?.ownHits ?? 0;
  return { ...counters, cacheHits };
}
