/**
 * Whether two arms differ in a figure by more than their seeds do.
 *
 * The ratio of `a` to `b` is the geometric mean of the ratios of runs with the same seed, and its interval that of Student's t on their
 * logarithms: 99.5 per cent (`student.ts`). A verdict is where the interval leaves out 1. Seeds that only one of the arms has say nothing
 * of pairs: where the arms share no two seeds, the two samples are compared as such (Welch), where they share some, those alone count.
 *
 * - A figure that is 0 somewhere has no logarithm. Then the differences are compared in the same way; and what never happened in one arm
 *   and happened with every seed in the other is a difference too, from three seeds on. The ratio has no interval then, and where `b` is 0
 *   somewhere there is none.
 * - A quantile of a latency is the lower end of a histogram's bucket: what is one bucket apart may be equal, so the interval is wider by
 *   that much on both sides.
 * - One seed has no spread: the two runs differ or do not. `oneSeed` says that this is all that is known.
 * - Runs that chance has no part in are alike whatever the seed: every difference exceeds a spread of nothing.
 *
 * Source: B. L. Welch, Biometrika 34 (1947); pairs as "common random numbers" in A. M. Law, Simulation Modeling and Analysis, 10.2.
 */
import type { ComparisonVerdict } from './results.ts';
import { criticalValue } from './student.ts';

/** Value by seed. */
export type BySeed = ReadonlyMap<number, number>;

export interface Difference {
  ratio: number | null;
  low: number | null;
  high: number | null;
  verdict: ComparisonVerdict;
  seeds: number;
  oneSeed?: true;
}

/** A bucket is at most this wide (`core/meter/histogram.ts`); a metric that is not a quantile is exact. */
export const QUANTILE_BUCKET = 33 / 32;
/** From so many seeds on, never against always counts: by chance in at most one of 32 pairs that do not differ. */
const NEVER_AGAINST_ALWAYS = 3;

interface Interval {
  middle: number;
  half: number;
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Sum of squares about the mean. Values that are all alike give 0 and not the rounding of their mean. */
function squares(values: readonly number[], mean: number): number {
  if (values.every((value) => value === values[0])) return 0;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

function pairedInterval(differences: readonly number[]): Interval {
  const count = differences.length;
  const middle = differences.every((value) => value === differences[0]) ? differences[0]! : meanOf(differences);
  const variance = squares(differences, middle) / (count - 1);
  return { middle, half: criticalValue(count - 1) * Math.sqrt(variance / count) };
}

function welchInterval(a: readonly number[], b: readonly number[]): Interval {
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  const [errorA, errorB] = [
    squares(a, meanA) / (a.length - 1) / a.length,
    squares(b, meanB) / (b.length - 1) / b.length,
  ];
  const middle = a.concat(b).every((value) => value === a[0]) ? 0 : meanA - meanB;
  const error = errorA + errorB;
  if (error === 0) return { middle, half: 0 };
  const degrees = error ** 2 / (errorA ** 2 / (a.length - 1) + errorB ** 2 / (b.length - 1));
  return { middle, half: criticalValue(degrees) * Math.sqrt(error) };
}

/** So that no engine's last bit of a logarithm shows. */
const rounded = (value: number) => Number(value.toPrecision(12));
/** A ratio of 1, rounded like that, is one whose logarithm is no further from 0. */
const LAST_DIGIT = 5e-12;

function verdictOf(low: number, high: number, margin: number): ComparisonVerdict {
  if (low > margin) return 'higher';
  return high < -margin ? 'lower' : 'no difference seen';
}

interface Matched {
  a: number[];
  b: number[];
  /** Value i of both is of one seed. */
  paired: boolean;
}

/** Runs with the same seed, as soon as there are two; else all that there are. */
function match(a: BySeed, b: BySeed): Matched {
  const shared = [...a.keys()].filter((seed) => b.has(seed));
  if (shared.length >= 2 || (shared.length === 1 && a.size === 1 && b.size === 1))
    return { a: shared.map((seed) => a.get(seed)!), b: shared.map((seed) => b.get(seed)!), paired: true };
  return { a: [...a.values()], b: [...b.values()], paired: false };
}

interface Seen {
  verdict: ComparisonVerdict;
  matched: Matched;
  seeds: number;
  /** Of the logarithm of the ratio; null without one, or with one seed. */
  logRatio: Interval | null;
}

function see(a: BySeed, b: BySeed, resolution: number): Seen {
  const matched = match(a, b);
  const seeds = Math.min(matched.a.length, matched.b.length);
  const hasRatio = matched.a.every((value) => value > 0) && matched.b.every((value) => value > 0);
  if (seeds === 1) return { verdict: ofOneSeed(matched, hasRatio, resolution), matched, seeds, logRatio: null };
  if (!hasRatio) return { verdict: byAmount(matched), matched, seeds, logRatio: null };
  const logRatio = matched.paired
    ? pairedInterval(matched.a.map((value, i) => logOf(value, matched.b[i]!)))
    : welchInterval(matched.a.map(Math.log), matched.b.map(Math.log));
  const { middle, half } = logRatio;
  const verdict = verdictOf(middle - half, middle + half, Math.log(resolution) + LAST_DIGIT);
  return { verdict, matched, seeds, logRatio };
}

/** `differenceOf(a, b)!.verdict`, for who asks that of many; none is seen where an arm has no value. */
export function verdictBetween(a: BySeed, b: BySeed): ComparisonVerdict {
  return a.size === 0 || b.size === 0 ? 'no difference seen' : see(a, b, 1).verdict;
}

/**
 * @param resolution factor between two values that may be the same one; 1 where all values are told apart
 * @returns null where one of them has no value
 */
export function differenceOf(a: BySeed, b: BySeed, resolution = 1): Difference | null {
  if (a.size === 0 || b.size === 0) return null;
  const { verdict, matched, seeds, logRatio } = see(a, b, resolution);
  if (logRatio === null) {
    const known = { ratio: plainRatio(matched), low: null, high: null, verdict, seeds };
    return seeds === 1 && verdict !== 'no difference seen' ? { ...known, oneSeed: true } : known;
  }
  const { middle, half } = logRatio;
  const low = rounded(Math.exp(middle - half) / resolution);
  const high = rounded(Math.exp(middle + half) * resolution);
  return { ratio: rounded(Math.exp(middle)), low, high, verdict, seeds };
}

/** 0 exactly for what is equal. */
const logOf = (a: number, b: number) => (a === b ? 0 : Math.log(a / b));

function ofOneSeed(matched: Matched, hasRatio: boolean, resolution: number): ComparisonVerdict {
  const [a, b] = [meanOf(matched.a), meanOf(matched.b)];
  const alike = a === b || (hasRatio && Math.abs(logOf(a, b)) <= Math.log(resolution) + LAST_DIGIT);
  if (alike) return 'no difference seen';
  return a > b ? 'higher' : 'lower';
}

/** Nothing to something is 0 of it; something to nothing is no number. */
const plainRatio = ({ a, b }: Matched) => (b.every((value) => value > 0) ? rounded(meanOf(a) / meanOf(b)) : null);

/** Without logarithms: by what is between them. */
function byAmount({ a, b, paired }: Matched): ComparisonVerdict {
  const [never, always] = [
    (values: number[]) => values.every((value) => value === 0),
    (values: number[]) => values.every((value) => value > 0),
  ];
  if (Math.min(a.length, b.length) >= NEVER_AGAINST_ALWAYS) {
    if (never(b) && always(a)) return 'higher';
    if (never(a) && always(b)) return 'lower';
  }
  const { middle, half } = paired ? pairedInterval(a.map((value, i) => value - b[i]!)) : welchInterval(a, b);
  return verdictOf(middle - half, middle + half, 0);
}
