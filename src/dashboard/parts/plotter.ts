/**
 * Charts are drawn by a worker (`plotter-worker.ts`), one for the page, made with its first chart. Their points come from the page, those
 * of all charts in one message, or from another worker on a port of its own (`addSource`), of which the page has no work at all. Once a
 * second the plotter tells the numbers beside each chart.
 *
 *     const chart = openChart(canvas, shape, feed, (length, numbers) => ...);   // the canvas is the worker's from now on
 *     chart.size({...}); chart.seen(false);
 *     chart.end();
 */
import { effect } from '@preact/signals';
import { palette } from '../palette.ts';
import { Feed } from './feed.ts';
import type { PlotColours, PlotShape, PlotSize } from './plot-drawing.ts';
import { PointSender } from './points.ts';

/** Points that another worker has: the plotter asks it for them by name. */
export interface FarFeed {
  /** Of `addSource`. */
  source: number;
  name: string;
  capacity: number;
}

export type ToPlotter =
  | { type: 'open'; chart: number; canvas: OffscreenCanvas; shape: PlotShape; capacity: number; from: FarFeed | null }
  | { type: 'points'; points: Float64Array<ArrayBuffer> }
  /** In place of the one of that number before, whose points are forgotten; null: there will be no more. */
  | { type: 'source'; source: number; port: MessagePort | null }
  | { type: 'size'; chart: number; size: PlotSize }
  | { type: 'seen'; chart: number; seen: boolean }
  | { type: 'colours'; colours: PlotColours }
  | { type: 'close'; chart: number };

/** Of each chart with news: its number, how many points it has, how many series, and now, mean and highest of each. */
export type FromPlotter = Float64Array<ArrayBuffer>;

/** What a source is asked; it answers with points (`points.ts`). */
export type ToSource = { type: 'draw'; chart: number; feed: string } | { type: 'close'; chart: number };

/** @param numbers now, mean and highest of each series; valid during the call */
export type NumbersListener = (length: number, numbers: Float64Array) => void;

export interface PlotterChart {
  size(size: PlotSize): void;
  seen(seen: boolean): void;
  end(): void;
}

let worker: Worker | null = null;
let made = 0;
const points = new PointSender((sent) => tell({ type: 'points', points: sent }, [sent.buffer]));
const listeners = new Map<number, NumbersListener>();

export function openChart(
  canvas: HTMLCanvasElement,
  shape: PlotShape,
  feed: Feed | FarFeed,
  listener: NumbersListener,
): PlotterChart {
  const chart = ++made;
  const offscreen = canvas.transferControlToOffscreen();
  const [from, capacity] = feed instanceof Feed ? [null, feed.buffer.capacity] : [feed, feed.capacity];
  tell({ type: 'open', chart, canvas: offscreen, shape, capacity, from }, [offscreen]);
  const stop = feed instanceof Feed ? feed.listen(points.of(chart)) : () => {};
  listeners.set(chart, listener);
  return {
    size: (size) => tell({ type: 'size', chart, size }),
    seen: (seen) => tell({ type: 'seen', chart, seen }),
    end() {
      stop();
      listeners.delete(chart);
      tell({ type: 'close', chart });
    },
  };
}

/** A worker with points. `use` takes the port on which the plotter asks for them, again when there is another worker. */
export function addSource(): { source: number; use(port: MessagePort): void; end(): void } {
  const source = ++made;
  return {
    source,
    use: (port) => tell({ type: 'source', source, port }, [port]),
    end: () => tell({ type: 'source', source, port: null }),
  };
}

function tell(message: ToPlotter, moved: Transferable[] = []): void {
  worker ??= begin();
  worker.postMessage(message, moved);
}

function begin(): Worker {
  const begun = new Worker(new URL('./plotter-worker.ts', import.meta.url), { type: 'module' });
  begun.onmessage = ({ data }: MessageEvent<FromPlotter>) => {
    for (let at = 0; at < data.length; ) {
      const end = at + 3 + 3 * (data[at + 2] as number);
      listeners.get(data[at] as number)?.(data[at + 1] as number, data.subarray(at + 3, end));
      at = end;
    }
  };
  effect(() => {
    const { faint, line, series } = palette.value;
    begun.postMessage({ type: 'colours', colours: { faint, line, series } } satisfies ToPlotter);
  });
  return begun;
}
