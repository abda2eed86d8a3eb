/** What `chart.tsx` draws on: uPlot, drawn when it is seen, in the palette of the theme, as wide as its place. */
import { effect } from '@preact/signals';
import uPlot from 'uplot';
import { bytes, duration, figure, share, type Unit, withoutZeros } from '../format.ts';
import { drawer } from '../frames.ts';
import { type Palette, palette, seriesColour } from '../palette.ts';
import type { ChartFeed } from './chart.tsx';
import { stack } from './series-buffer.ts';

export interface ChartSeries {
  name: string;
  /** Which colour of the palette, from 0; absent: its place in the list. */
  colour?: number;
  dashed?: boolean;
}

export interface PlotOptions {
  unit: Unit;
  series: readonly ChartSeries[];
  feed: ChartFeed;
  stacked: boolean;
  atLeast?: number;
}

const FONT = '11px system-ui, sans-serif';

export class Plot {
  private readonly place: HTMLElement;
  private readonly options: PlotOptions;
  private readonly stacks: Float64Array[];
  private readonly drawing = drawer(() => this.draw());
  private readonly ends: (() => void)[] = [];
  private plot: uPlot | null = null;
  private seen = true;
  private width = 0;
  private height = 0;
  /** Of what is shown. */
  private highest = 0;

  constructor(place: HTMLElement, options: PlotOptions) {
    this.place = place;
    this.options = options;
    const { buffer } = options.feed;
    this.stacks = options.stacked ? Array.from({ length: buffer.series }, () => new Float64Array(buffer.capacity)) : [];
    this.ends.push(
      effect(() => {
        const colours = palette.value;
        this.plot?.destroy();
        this.plot = new uPlot(this.shape(colours), this.data(), place);
        this.ask();
      }),
    );
    this.watch();
  }

  /** There is something new. */
  ask(): void {
    if (this.seen) this.drawing.ask();
  }

  end(): void {
    this.drawing.end();
    for (const end of this.ends) end();
    this.plot?.destroy();
    this.plot = null;
  }

  private watch(): void {
    const seeing = new IntersectionObserver(([entry]) => {
      this.seen = entry?.isIntersecting ?? true;
      this.ask();
    });
    // Told, not asked for: to ask in the middle of a frame has all of the page laid out.
    const sizing = new ResizeObserver(([entry]) => {
      if (entry === undefined) return;
      this.width = Math.floor(entry.contentRect.width);
      this.height = Math.floor(entry.contentRect.height);
      this.ask();
    });
    seeing.observe(this.place);
    sizing.observe(this.place);
    this.ends.push(() => seeing.disconnect());
    this.ends.push(() => sizing.disconnect());
  }

  private draw(): void {
    const { plot } = this;
    if (plot === null) return;
    const { width, height } = this;
    if ((width !== plot.width || height !== plot.height) && width > 0 && height > 0) plot.setSize({ width, height });
    plot.setData(this.data());
  }

  private data(): uPlot.AlignedData {
    const { feed, stacked } = this.options;
    const { buffer } = feed;
    const ys = stacked ? stack(buffer, this.stacks) : Array.from({ length: buffer.series }, (_, i) => buffer.y(i));
    this.highest = highestOf(stacked ? ys.slice(-1) : ys);
    // The highest stack is drawn first, and those below it over it.
    return [buffer.x(), ...(stacked ? ys.reverse() : ys)];
  }

  private shape(colours: Palette): uPlot.Options {
    const { series, stacked, unit, atLeast = 0 } = this.options;
    const drawn = series.map((each, i) => ({ ...each, colour: seriesColour(colours, each.colour ?? i) }));
    const axis = {
      stroke: colours.faint,
      font: FONT,
      grid: { stroke: colours.line, width: 1 },
      ticks: { show: false },
    };
    return {
      width: this.width || 320,
      height: this.height || 160,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      pxAlign: false,
      scales: {
        x: { time: false },
        // uPlot's own highest is NaN as soon as one value is.
        y: { range: () => [0, Math.max(atLeast, this.highest * 1.08) || 1] },
      },
      axes: [
        {
          ...axis,
          size: 24,
          gap: 4,
          space: 70,
          values: (_plot, at) => at.map((seconds) => withoutZeros(duration(seconds * 1e9))),
        },
        {
          ...axis,
          size: 52,
          gap: 4,
          space: 30,
          values: (_plot, at) => at.map((value) => withoutZeros(onAxis(value, unit))),
        },
      ],
      series: [{}, ...(stacked ? drawn.toReversed() : drawn).map((each) => lineOf(each, stacked))],
    };
  }
}

function lineOf(
  { name, colour, dashed }: { name: string; colour: string; dashed?: boolean },
  stacked: boolean,
): uPlot.Series {
  return {
    label: name,
    stroke: colour,
    width: stacked ? 1 : 1.75,
    ...(stacked ? { fill: colour } : {}),
    ...(dashed ? { dash: [5, 3] } : {}),
    points: { show: false },
    spanGaps: false,
  };
}

function highestOf(columns: readonly Float64Array[]): number {
  let highest = 0;
  for (const column of columns) for (const value of column) if (value > highest) highest = value;
  return highest;
}

function onAxis(value: number, unit: Unit): string {
  if (unit === 'ns') return duration(value);
  if (unit === 'bytes') return bytes(value);
  if (unit === '%') return share(value / 100);
  if (Math.abs(value) >= 1e6) return `${figure(value / 1e6)} M`;
  if (Math.abs(value) >= 1e4) return `${figure(value / 1e3)} k`;
  return figure(value);
}
