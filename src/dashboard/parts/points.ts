/**
 * Points on their way to the plotter, those of all charts in one message: chart, x or NaN for "none any more", how many values, the
 * values; then the next. Pure.
 */
import type { PointListener } from './feed.ts';

export class PointSender {
  private readonly send: (points: Float64Array<ArrayBuffer>) => void;
  private points: number[] = [];

  /** @param send called at the end of the task in which there were points */
  constructor(send: (points: Float64Array<ArrayBuffer>) => void) {
    this.send = send;
  }

  /** To whom the points of a chart are told. */
  of(chart: number): PointListener {
    return { add: (x, values) => this.add(chart, x, values), clear: () => this.add(chart, Number.NaN, []) };
  }

  private add(chart: number, x: number, values: ArrayLike<number>): void {
    const { points } = this;
    if (points.length === 0) queueMicrotask(() => this.flush());
    points.push(chart, x, values.length);
    for (let i = 0; i < values.length; i++) points.push(values[i] as number);
  }

  private flush(): void {
    this.send(Float64Array.from(this.points));
    this.points.length = 0;
  }
}

/** Tells each chart that is known what there is for it. */
export function tellPoints(points: Float64Array, listenerOf: (chart: number) => PointListener | undefined): void {
  for (let at = 0; at < points.length; ) {
    const listener = listenerOf(points[at] as number);
    const x = points[at + 1] as number;
    const end = at + 3 + (points[at + 2] as number);
    if (Number.isNaN(x)) listener?.clear();
    else listener?.add(x, points.subarray(at + 3, end));
    at = end;
  }
}
