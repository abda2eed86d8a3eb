/**
 * The points of a chart as they come, and who wants to know of them. What has come is kept for whoever begins to listen later. Pure.
 *
 *     const feed = new Feed(2);                          // made once, with useMemo or at the top of a store
 *     feed.add(timeNs / 1e9, [8.7, 0.96]);               // as often as one likes
 */
import { SeriesBuffer } from './series-buffer.ts';

/** What is told of points. */
export interface PointListener {
  add(x: number, values: ArrayLike<number>): void;
  clear(): void;
}

export class Feed implements PointListener {
  readonly buffer: SeriesBuffer;
  private readonly listeners = new Set<PointListener>();

  constructor(series: number, capacity?: number) {
    this.buffer = new SeriesBuffer(series, capacity);
  }

  add(x: number, values: ArrayLike<number>): void {
    this.buffer.add(x, values);
    for (const each of this.listeners) each.add(x, values);
  }

  clear(): void {
    this.buffer.clear();
    for (const each of this.listeners) each.clear();
  }

  /** Tells what is kept first. */
  listen(listener: PointListener): () => void {
    const { buffer } = this;
    const columns = Array.from({ length: buffer.series }, (_, series) => buffer.y(series));
    for (const [i, x] of buffer.x().entries())
      listener.add(
        x,
        columns.map((column) => column[i] as number),
      );
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}
