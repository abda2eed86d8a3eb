/** Buckets of times, by powers of ten: the numbers of `histogram.tsx`. Pure. */

export interface Bucket {
  /** Nanoseconds; `to` is not part of it. */
  from: number;
  to: number;
  count: number;
}

export interface Decade {
  from: number;
  to: number;
  /** One for each kind. */
  counts: number[];
}

/** A bucket counts where it begins; below a nanosecond is the first. Powers of ten without anything between others are there. */
export function decades(kinds: readonly (readonly Bucket[])[]): Decade[] {
  const found: Decade[] = [];
  for (const [kind, buckets] of kinds.entries())
    for (const { from, count } of buckets) {
      const power = powerOf(from);
      found[power] ??= { from: power === 0 ? 0 : 10 ** power, to: 10 ** (power + 1), counts: kinds.map(() => 0) };
      (found[power].counts[kind] as number) += count;
    }
  const first = found.findIndex((each) => each !== undefined);
  if (first === -1) return [];
  return Array.from({ length: found.length - first }, (_, i) => {
    const power = first + i;
    return found[power] ?? { from: 10 ** power, to: 10 ** (power + 1), counts: kinds.map(() => 0) };
  });
}

function powerOf(ns: number): number {
  return ns < 1 ? 0 : Math.floor(Math.log10(ns) + 1e-9);
}
