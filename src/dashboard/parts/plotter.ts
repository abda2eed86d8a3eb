/**
 * Charts are drawn by a worker (`plotter-worker.ts`), one for the page, made with its first chart. What the page does for them is to send
 * it new points, those of all charts in one message: twenty charts of ten points a second cost it next to nothing.
 *
 *     const chart = openChart(canvas, shape, buffer);   // the canvas is the worker's from now on
 *     chart.add(x, values); chart.size({...}); chart.seen(false);
 *     chart.end();
 */
import { effect } from '@preact/signals';
import { palette } from '../palette.ts';
import type { PlotColours, PlotShape, PlotSize } from './plot-drawing.ts';
import type { SeriesBuffer } from './series-buffer.ts';

export type ToPlotter =
  | { type: 'open'; chart: number; canvas: OffscreenCanvas; shape: PlotShape; capacity: number }
  /** Of each point: the chart, x or NaN for "none any more", how many values, the values. */
  | { type: 'points'; points: Float64Array<ArrayBuffer> }
  | { type: 'size'; chart: number; size: PlotSize }
  | { type: 'seen'; chart: number; seen: boolean }
  | { type: 'colours'; colours: PlotColours }
  | { type: 'close'; chart: number };

export interface PlotterChart {
  add(x: number, values: ArrayLike<number>): void;
  clear(): void;
  size(size: PlotSize): void;
  seen(seen: boolean): void;
  end(): void;
}

let worker: Worker | null = null;
let made = 0;
let points: number[] = [];

export function openChart(canvas: HTMLCanvasElement, shape: PlotShape, buffer: SeriesBuffer): PlotterChart {
  const chart = ++made;
  const offscreen = canvas.transferControlToOffscreen();
  tell({ type: 'open', chart, canvas: offscreen, shape, capacity: buffer.capacity }, [offscreen]);
  const xs = buffer.x();
  const ys = shape.series.map((_, series) => buffer.y(series));
  const add = (x: number, values: ArrayLike<number>) => {
    if (points.length === 0) queueMicrotask(sendPoints);
    points.push(chart, x, values.length);
    for (let i = 0; i < values.length; i++) points.push(values[i] as number);
  };
  for (const [i, x] of xs.entries())
    add(
      x,
      ys.map((column) => column[i] as number),
    );
  return {
    add,
    clear: () => add(Number.NaN, []),
    size: (size) => tell({ type: 'size', chart, size }),
    seen: (seen) => tell({ type: 'seen', chart, seen }),
    end: () => tell({ type: 'close', chart }),
  };
}

function sendPoints(): void {
  const sent = Float64Array.from(points);
  points = [];
  tell({ type: 'points', points: sent }, [sent.buffer]);
}

function tell(message: ToPlotter, moved: Transferable[] = []): void {
  worker ??= begin();
  worker.postMessage(message, moved);
}

function begin(): Worker {
  const begun = new Worker(new URL('./plotter-worker.ts', import.meta.url), { type: 'module' });
  effect(() => {
    const { faint, line, series } = palette.value;
    begun.postMessage({ type: 'colours', colours: { faint, line, series } } satisfies ToPlotter);
  });
  return begun;
}
