/**
 * A figure over seeds: the median, and how far the seeds spread.
 *
 * Up to five values `low` and `high` are the least and the greatest. From six on they are the two values of the sorted sample between
 * which the median of *all* seeds lies with a probability of at least 95 per cent, whatever the distribution: with n values, the number
 * of those below the median is binomial (n, 1/2). For six to eight that is the least and the greatest again.
 *
 * Source: the sign test turned into an interval; W. J. Conover, Practical Nonparametric Statistics, section 3.2.
 */
import type { Figure, MaybeFigure } from './results.ts';

/** Up to here there is no interval of 95 per cent. */
const FEW = 5;

/**
 * How many of the lowest values lie outside of the interval: the most that leaves at most 2.5 per cent on each side.
 * Exact in integers: a double has lost 2^-n long before there are too many seeds.
 */
export function valuesOutside(count: number): number {
  const all = 2n ** BigInt(count);
  let outside = 0;
  let ways = 1n;
  let below = 1n;
  // P(at most `outside` of them below the median) <= 1/40.
  while (below * 40n <= all) {
    outside++;
    ways = (ways * BigInt(count - outside + 1)) / BigInt(outside);
    below += ways;
  }
  return outside - 1;
}

/** @param values in any order; null where a seed has none */
export function figureOf(values: readonly (number | null)[]): MaybeFigure {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  const { length } = known;
  if (length === 0) return null;
  const middle = length >> 1;
  const median = length % 2 === 1 ? known[middle]! : (known[middle - 1]! + known[middle]!) / 2;
  const outside = length <= FEW ? 0 : Math.max(0, valuesOutside(length));
  return { median, low: known[outside]!, high: known[length - 1 - outside]! } satisfies Figure;
}
