/**
 * Integer log-linear histogram: values below 64 exactly, above in 32 buckets per power of two, so a bucket is at most 1/32 of its
 * value wide. Only additions and shifts: the same counts on any engine. HDR encoding happens at the edge.
 */
import type { DigestSink } from '../sim/digest-sink.ts';

export const BUCKETS = 64 + 32 * 47;

/** Bucket of a whole value from 0 to 2^53 - 1. */
export function bucketOf(value: number): number {
  if (value < 0x80000000) {
    // As an integer: V8 would turn a double into one at each step.
    const small = value | 0;
    if (small < 64) return small;
    const exponent = 31 - Math.clz32(small);
    return ((exponent - 5) << 5) + (small >>> (exponent - 5));
  }
  const shifted = Math.floor(value / 2 ** 22);
  return 22 * 32 + bucketOf(shifted);
}

/** Lowest value that falls into a bucket. */
export function bucketLow(bucket: number): number {
  if (bucket < 64) return bucket;
  const octave = (bucket >> 5) - 1;
  return (32 + (bucket & 31)) * 2 ** octave;
}

export class Histogram {
  private readonly counts = new Float64Array(BUCKETS);
  count = 0;
  sum = 0;
  max = 0;
  min = Number.POSITIVE_INFINITY;

  /** @param value whole, 0 to 2^53 - 1 */
  record(value: number): void {
    this.counts[bucketOf(value)]!++;
    this.count++;
    this.sum += value;
    if (value > this.max) this.max = value;
    if (value < this.min) this.min = value;
  }

  /** Lowest value of the bucket in which the quantile lies (the exact maximum for 1); 0 when empty. */
  quantile(fraction: number): number {
    if (this.count === 0) return 0;
    if (fraction >= 1) return this.max;
    const rank = Math.max(1, Math.ceil(fraction * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.counts[bucket]!;
      if (seen >= rank) return Math.max(bucketLow(bucket), this.min);
    }
    return this.max;
  }

  /**
   * Non-empty buckets, `{from, to, count}`, `to` exclusive.
   * @param together how many neighbours to show as one, a power of two up to 32: 8 leaves four to the octave
   */
  buckets(together = 1): { from: number; to: number; count: number }[] {
    const out: { from: number; to: number; count: number }[] = [];
    for (let first = 0; first < BUCKETS; first += together) {
      let count = 0;
      for (let bucket = first; bucket < first + together; bucket++) count += this.counts[bucket]!;
      if (count > 0) out.push({ from: bucketLow(first), to: bucketLow(first + together), count });
    }
    return out;
  }

  quantiles(): {
    count: number;
    min: number;
    mean: number;
    p50: number;
    p90: number;
    p99: number;
    p999: number;
    max: number;
  } {
    const empty = this.count === 0;
    return {
      count: this.count,
      min: empty ? 0 : this.min,
      mean: empty ? 0 : this.sum / this.count,
      p50: this.quantile(0.5),
      p90: this.quantile(0.9),
      p99: this.quantile(0.99),
      p999: this.quantile(0.999),
      max: this.max,
    };
  }

  /** Takes over counts by bucket that were kept elsewhere, and what they do not tell: sum, least, greatest. */
  load(counts: Float64Array, sum: number, min: number, max: number): void {
    this.counts.set(counts);
    this.count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.count += counts[bucket]!;
    this.sum = sum;
    this.min = min;
    this.max = max;
  }

  /** Adds all that another one recorded. */
  merge(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.counts[bucket]! += other.counts[bucket]!;
    this.count += other.count;
    this.sum += other.sum;
    if (other.max > this.max) this.max = other.max;
    if (other.min < this.min) this.min = other.min;
  }

  clear(): void {
    this.counts.fill(0);
    this.count = 0;
    this.sum = 0;
    this.max = 0;
    this.min = Number.POSITIVE_INFINITY;
  }

  digest(sink: DigestSink): void {
    sink.number(this.count);
    sink.number(this.sum);
    sink.number(this.max);
    sink.column(this.counts, BUCKETS);
  }
}
