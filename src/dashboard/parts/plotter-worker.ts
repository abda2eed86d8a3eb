/**
 * The worker that draws the charts of a page, each on its own canvas, so that neither lines nor pixels are the page's to make: see
 * `plotter.ts`, which tells it what to draw.
 */
import { drawPlot, type PlotColours, type PlotShape, type PlotSize } from './plot-drawing.ts';
import type { ToPlotter } from './plotter.ts';
import { SeriesBuffer } from './series-buffer.ts';

interface Drawn {
  canvas: OffscreenCanvas;
  shape: PlotShape;
  buffer: SeriesBuffer;
  stacks: Float64Array[];
  size: PlotSize;
  seen: boolean;
}

/**
 * In one frame. A canvas that has changed costs the page a moment as well; ten times a second there are six frames, enough for
 * twenty-four charts.
 */
const MOST = 4;

const charts = new Map<number, Drawn>();
const waiting = new Set<Drawn>();
let colours: PlotColours | null = null;
let asked = false;

addEventListener('message', ({ data }: MessageEvent<ToPlotter>) => {
  switch (data.type) {
    case 'open':
      open(data);
      break;
    case 'points':
      takePoints(data.points);
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
    case 'close': {
      const chart = charts.get(data.chart);
      if (chart !== undefined) waiting.delete(chart);
      charts.delete(data.chart);
    }
  }
});

function open({ chart, canvas, shape, capacity }: Extract<ToPlotter, { type: 'open' }>): void {
  const { length } = shape.series;
  charts.set(chart, {
    canvas,
    shape,
    buffer: new SeriesBuffer(length, capacity),
    stacks: shape.stacked ? Array.from({ length }, () => new Float64Array(capacity)) : [],
    size: { width: 0, height: 0, scale: 1 },
    seen: true,
  });
}

function takePoints(points: Float64Array): void {
  for (let at = 0; at < points.length; ) {
    const chart = charts.get(points[at] as number);
    const x = points[at + 1] as number;
    const values = points[at + 2] as number;
    at += 3;
    if (chart !== undefined) {
      if (Number.isNaN(x)) chart.buffer.clear();
      else chart.buffer.add(x, points.subarray(at, at + values));
      ask(chart);
    }
    at += values;
  }
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
