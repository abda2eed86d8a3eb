/**
 * How long maps, unmaps and invalidations took, in buckets that never change, as scrapes of metrics want them.
 *
 * The bounds are 1, 2 and 5 of each decade from 100 ns to 10 ms; the decades among them are those of Linux' `dmar_perf_latency`
 * (`drivers/iommu/intel/perf.c`), so its columns are sums of these. They only watch: nothing depends on them, and no digest has them.
 */

const DECADES = [1e5, 1e6, 1e7, 1e8, 1e9];
/** [bucket]: most picoseconds that fall into it; what takes longer than the last falls into one more. */
export const DURATION_BOUNDS_PS: readonly number[] = [...DECADES.flatMap((ps) => [ps, 2 * ps, 5 * ps]), 1e10];

const MOST_SMALL = 0x7fffffff;

export class DurationHistogram {
  /** [bucket]: milli-cycles; infinite at its end. */
  declare private readonly bounds: Float64Array;
  /** [leading zeros of a whole number below 2^31]: the first bucket it may be in. */
  declare private readonly firstOf: Uint8Array;
  /** The first bucket of what is longer. */
  declare private readonly firstOfLong: number;
  /** [bucket]: how many, the last one of what is longer than all bounds. */
  declare readonly counts: Float64Array;
  /** Milli-cycles of all together, of the shortest and of the longest. */
  sum = 0;
  least = Number.POSITIVE_INFINITY;
  most = 0;
  /** The last one and its bucket: where nobody waits for a lock they are all alike. */
  private last = Number.NaN;
  private lastBucket = 0;

  /** @param milliGhz CPU clock, in thousandths of a GHz: a multiple of 1 */
  constructor(milliGhz: number) {
    const bounds = DURATION_BOUNDS_PS.map((ps) => Math.floor((ps * milliGhz) / 1000));
    this.bounds = Float64Array.from([...bounds, Number.POSITIVE_INFINITY]);
    this.counts = new Float64Array(this.bounds.length);
    const firstFrom = (least: number) => this.bounds.findIndex((bound) => bound >= least);
    this.firstOf = Uint8Array.from({ length: 33 }, (_, zeros) => firstFrom(zeros === 32 ? 0 : 2 ** (31 - zeros)));
    this.firstOfLong = firstFrom(MOST_SMALL + 1);
  }

  /**
   * Counts `times` durations that took so long together, each the same share of it.
   * @param milliCycles whole
   */
  record(milliCycles: number, times = 1): void {
    this.sum += milliCycles;
    const each = times === 1 ? milliCycles : milliCycles / times;
    if (each !== this.last) this.find(each);
    this.counts[this.lastBucket]! += times;
  }

  private find(each: number): void {
    if (each < this.least) this.least = each;
    if (each > this.most) this.most = each;
    const { bounds } = this;
    let bucket = each <= MOST_SMALL ? this.firstOf[Math.clz32(each | 0)]! : this.firstOfLong;
    while (each > bounds[bucket]!) bucket++;
    this.last = each;
    this.lastBucket = bucket;
  }
}

export class Durations {
  /** From the first look for room in the queue until the wait descriptor is seen complete, by submission. */
  declare readonly invalidation: DurationHistogram;
  /** Calls of the DMA API. */
  declare readonly map: DurationHistogram;
  declare readonly unmap: DurationHistogram;

  constructor(milliGhz: number) {
    this.invalidation = new DurationHistogram(milliGhz);
    this.map = new DurationHistogram(milliGhz);
    this.unmap = new DurationHistogram(milliGhz);
  }
}
