/** What `chart.tsx` draws on: a canvas as wide as its place, drawn by `plotter.ts` while it is seen. */
import type { Unit } from '../format.ts';
import type { Feed } from './feed.ts';
import { type FarFeed, type NumbersListener, openChart, type PlotterChart } from './plotter.ts';

export interface ChartSeries {
  name: string;
  /** Which colour of the palette, from 0; absent: its place in the list. */
  colour?: number;
  dashed?: boolean;
}

export interface PlotOptions {
  unit: Unit;
  series: readonly ChartSeries[];
  feed: Feed | FarFeed;
  onNumbers: NumbersListener;
  stacked: boolean;
  atLeast?: number;
}

export class Plot {
  private readonly chart: PlotterChart;
  private readonly canvas = document.createElement('canvas');
  private readonly unwatch: () => void;

  constructor(place: HTMLElement, { unit, series, feed, onNumbers, stacked, atLeast = 0 }: PlotOptions) {
    this.canvas.className = 'fill';
    place.append(this.canvas);
    const shape = {
      unit,
      stacked,
      atLeast,
      series: series.map(({ colour, dashed = false }, i) => ({ colour: colour ?? i, dashed })),
    };
    this.chart = openChart(this.canvas, shape, feed, onNumbers);
    this.unwatch = watch(place, this.chart);
  }

  end(): void {
    this.unwatch();
    this.chart.end();
    this.canvas.remove();
  }
}

const watched = new Map<Element, PlotterChart>();

/** One for all charts, as each has its price in every frame. */
const seeing = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) watched.get(target)?.seen(isIntersecting);
});

/** Told, not asked for: to ask in the middle of a frame has all of the page laid out. */
const sizing = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const width = Math.floor(contentRect.width);
    const height = Math.floor(contentRect.height);
    watched.get(target)?.size({ width, height, scale: window.devicePixelRatio });
  }
});

function watch(place: Element, chart: PlotterChart): () => void {
  watched.set(place, chart);
  seeing.observe(place);
  sizing.observe(place);
  return () => {
    seeing.unobserve(place);
    sizing.unobserve(place);
    watched.delete(place);
  };
}
