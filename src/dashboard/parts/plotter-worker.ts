/**
 * The worker that draws the charts of a page, each on its own canvas, so that neither lines nor pixels are the page's to make: see
 * `plotter.ts`, which tells it what to draw.
 */
import type { PointListener } from './feed.ts';
import { drawPlot, type PlotColours, type PlotShape, type PlotSize } from './plot-drawing.ts';
import type { FarFeed, FromPlotter, ToPlotter, ToSource } from './plotter.ts';
import { tellPoints } from './points.ts';
import { SeriesBuffer, summaryOf } from './series-buffer.ts';

interface Drawn extends PointListener {
  canvas: OffscreenCanvas;
  shape: PlotShape;
  buffer: SeriesBuffer;
  stacks: Float64Array[];
  size: PlotSize;
  seen: boolean;
  from: FarFeed | null;
}

/**
 * In one frame. A canvas that has changed costs the page a moment as well; ten times a second there are six frames, enough for
 * twenty-four charts.
 */
const MOST = 4;
/** Numbers follow so soon, and no more often than that: who reads them does not read ten a second. */
const SOON_MS = 100;
const NUMBERS_MS = 1_000;

const charts = new Map<number, Drawn>();
const sources = new Map<number, MessagePort>();
const waiting = new Set<Drawn>();
/** Charts whose numbers are old. */
const due = new Set<number>();
let colours: PlotColours | null = null;
let asked = false;
/** A timer runs, after which numbers are told. */
let isTelling = false;

addEventListener('message', ({ data }: MessageEvent<ToPlotter>) => {
  switch (data.type) {
    case 'open':
      open(data);
      break;
    case 'points':
      tellPoints(data.points, (chart) => charts.get(chart));
      break;
    case 'source':
      follow(data);
      break;
    case 'size': {
      const chart = charts.get(data.chart);
      if (chart === undefined) break;
      chart.size = data.size;
      ask(chart);
      break;
    }
    case 'seen': {
      const chart = charts.get(data.chart);
      if (chart === undefined) break;
      chart.seen = data.seen;
      ask(chart);
      break;
    }
    case 'colours':
      colours = data.colours;
      for (const chart of charts.values()) ask(chart);
      break;
    case 'close':
      close(data.chart);
  }
});

function open({ chart, canvas, shape, capacity, from }: Extract<ToPlotter, { type: 'open' }>): void {
  const { length } = shape.series;
  const buffer = new SeriesBuffer(length, capacity);
  const changed = (): void => {
    ask(drawn);
    askNumbers(chart);
  };
  const drawn: Drawn = {
    canvas,
    shape,
    buffer,
    stacks: shape.stacked ? Array.from({ length }, () => new Float64Array(capacity)) : [],
    size: { width: 0, height: 0, scale: 1 },
    seen: true,
    from,
    add(x, values) {
      buffer.add(x, values);
      changed();
    },
    clear() {
      buffer.clear();
      changed();
    },
  };
  charts.set(chart, drawn);
  if (from !== null) askSource(from.source, { type: 'draw', chart, feed: from.name });
}

function close(chart: number): void {
  const drawn = charts.get(chart);
  if (drawn === undefined) return;
  waiting.delete(drawn);
  due.delete(chart);
  charts.delete(chart);
  if (drawn.from !== null) askSource(drawn.from.source, { type: 'close', chart });
}

function follow({ source, port }: Extract<ToPlotter, { type: 'source' }>): void {
  sources.get(source)?.close();
  sources.delete(source);
  if (port === null) return;
  sources.set(source, port);
  port.onmessage = ({ data }: MessageEvent<Float64Array>) => tellPoints(data, (chart) => charts.get(chart));
  for (const [chart, { from, clear }] of charts) {
    if (from?.source !== source) continue;
    clear();
    askSource(source, { type: 'draw', chart, feed: from.name });
  }
}

function askSource(source: number, message: ToSource): void {
  sources.get(source)?.postMessage(message);
}

function askNumbers(chart: number): void {
  due.add(chart);
  if (isTelling) return;
  isTelling = true;
  setTimeout(tellNumbers, SOON_MS);
}

function tellNumbers(): void {
  isTelling = due.size > 0;
  if (!isTelling) return;
  setTimeout(tellNumbers, NUMBERS_MS);
  const told: number[] = [];
  for (const chart of due) {
    const { buffer } = charts.get(chart) as Drawn;
    told.push(chart, buffer.length, buffer.series);
    for (let series = 0; series < buffer.series; series++) {
      const { now, mean, max } = summaryOf(buffer, series);
      told.push(now, mean, max);
    }
  }
  due.clear();
  const numbers: FromPlotter = Float64Array.from(told);
  postMessage(numbers, { transfer: [numbers.buffer] });
}

function ask(chart: Drawn): void {
  if (!chart.seen) return;
  waiting.add(chart);
  wake();
}

function wake(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(drawFrame);
}

function drawFrame(): void {
  asked = false;
  let drawn = 0;
  for (const chart of waiting) {
    waiting.delete(chart);
    draw(chart);
    if (++drawn === MOST) break;
  }
  if (waiting.size > 0) wake();
}

function draw({ canvas, size, buffer, stacks, shape }: Drawn): void {
  const width = Math.round(size.width * size.scale);
  const height = Math.round(size.height * size.scale);
  if (colours === null || width === 0 || height === 0) return;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const to = canvas.getContext('2d');
  if (to !== null) drawPlot(to, size, buffer, stacks, shape, colours);
}
