/**
 * The points of a chart: a column of times and one for each series, oldest first, at most `capacity` of them. Columns are twice as long and
 * are moved to the front when full, so that what is drawn is one piece of each and adding a point makes nothing. Pure.
 */
export class SeriesBuffer {
  readonly capacity: number;
  /** [point]: x, as a rule simulated time in seconds; rising. */
  private readonly xs: Float64Array;
  /** [series][point]; NaN where there is no value. */
  private readonly ys: Float64Array[];
  private begin = 0;
  private end = 0;

  constructor(series: number, capacity = 600) {
    this.capacity = capacity;
    this.xs = new Float64Array(2 * capacity);
    this.ys = Array.from({ length: series }, () => new Float64Array(2 * capacity));
  }

  get length(): number {
    return this.end - this.begin;
  }

  get series(): number {
    return this.ys.length;
  }

  /** A point at the time of the newest one takes its place; an older one, as after a reset, begins anew. */
  add(x: number, values: ArrayLike<number>): void {
    if (this.length > 0) {
      const last = this.xs[this.end - 1] as number;
      if (x === last) this.end--;
      else if (x < last) this.clear();
    }
    if (this.end === this.xs.length) this.moveToFront();
    this.xs[this.end] = x;
    for (let i = 0; i < this.ys.length; i++) (this.ys[i] as Float64Array)[this.end] = values[i] ?? Number.NaN;
    this.end++;
    if (this.length > this.capacity) this.begin++;
  }

  clear(): void {
    this.begin = 0;
    this.end = 0;
  }

  x(): Float64Array {
    return this.xs.subarray(this.begin, this.end);
  }

  /** Valid until the next `add`. */
  y(series: number): Float64Array {
    return (this.ys[series] as Float64Array).subarray(this.begin, this.end);
  }

  last(series: number): number {
    return this.length === 0 ? Number.NaN : ((this.ys[series] as Float64Array)[this.end - 1] as number);
  }

  private moveToFront(): void {
    for (const column of [this.xs, ...this.ys]) column.copyWithin(0, this.begin, this.end);
    this.end -= this.begin;
    this.begin = 0;
  }
}

/** Each series on top of those before it, into columns that are kept: for stacked areas. Missing values count as 0. */
export function stack(buffer: SeriesBuffer, into: Float64Array[]): Float64Array[] {
  const { length, series } = buffer;
  for (let i = 0; i < series; i++) {
    const out = into[i] as Float64Array;
    const own = buffer.y(i);
    const below = i === 0 ? null : (into[i - 1] as Float64Array);
    for (let at = 0; at < length; at++) {
      const value = own[at] as number;
      out[at] = (Number.isNaN(value) ? 0 : value) + (below === null ? 0 : (below[at] as number));
    }
  }
  return into.map((column) => column.subarray(0, length));
}

export interface Summary {
  now: number;
  mean: number;
  max: number;
}

/** Of the points that are shown; NaN without any. */
export function summaryOf(buffer: SeriesBuffer, series: number): Summary {
  let sum = 0;
  let count = 0;
  let max = Number.NaN;
  for (const value of buffer.y(series)) {
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
    if (!(value <= max)) max = value;
  }
  return { now: buffer.last(series), mean: count === 0 ? Number.NaN : sum / count, max };
}
