/**
 * A chart over simulated time, with its numbers: lines or stacked areas, and a table of now, mean and highest of each series, which is its
 * legend as well as what a screen reader reads.
 *
 *     const buffer = new SeriesBuffer(2);               // parts/series-buffer.ts; x in seconds of simulated time
 *     const feed = chartFeed(buffer);                    // made once, with useMemo or at the top of a store
 *     feed.add(timeNs / 1e9, [8.7, 0.96]);               // as often as one likes
 *     <Chart title="Throughput" unit="Gb/s" series={[{ name: 'rx' }, { name: 'tx', dashed: true }]} feed={feed} />
 *
 * Drawn by a worker (`plotter.ts`), and not at all while it is not on the screen; the table follows twice a second, one or a few tables in
 * a frame (`frames.ts`).
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Unit, withUnit } from '../format.ts';
import { type Drawer, drawer } from '../frames.ts';
import { seriesVariable } from '../palette.ts';
import { Card } from './bits.tsx';
import { type ChartSeries, Plot } from './plot.ts';
import { type SeriesBuffer, summaryOf } from './series-buffer.ts';

export type { ChartSeries } from './plot.ts';

/** What is told of points. */
export interface ChartListener {
  add(x: number, values: ArrayLike<number>): void;
  clear(): void;
}

/** Points, and who wants to know of new ones. */
export interface ChartFeed extends ChartListener {
  readonly buffer: SeriesBuffer;
  listen(listener: ChartListener): () => void;
}

export function chartFeed(buffer: SeriesBuffer): ChartFeed {
  const listeners = new Set<ChartListener>();
  return {
    buffer,
    add(x, values) {
      buffer.add(x, values);
      for (const each of listeners) each.add(x, values);
    },
    clear() {
      buffer.clear();
      for (const each of listeners) each.clear();
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export interface ChartProps {
  title: string;
  unit: Unit;
  series: readonly ChartSeries[];
  feed: ChartFeed;
  /** Areas on top of each other, the first at the bottom. */
  stacked?: boolean;
  /** The axis goes up to here at least; 1 of a share, say. */
  atLeast?: number;
  /** What it shows, in a sentence. */
  about?: string;
  wide?: boolean;
  /** At the right of the heading. */
  end?: ComponentChildren;
}

/** Who reads numbers does not read ten a second. */
const NUMBERS_MS = 500;

/** Tables whose numbers are old: those of all charts by one timer. */
const due = new Set<Drawer>();

function askLater(numbers: Drawer): void {
  if (due.size === 0)
    setTimeout(() => {
      for (const each of due) each.ask();
      due.clear();
    }, NUMBERS_MS);
  due.add(numbers);
}

export function Chart(props: ChartProps) {
  const { title, unit, series, feed, stacked = false, about, wide, end } = props;
  const place = useRef<HTMLDivElement>(null);
  const card = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const plot = new Plot(place.current as HTMLElement, { ...props, stacked });
    const numbers = drawer(() => writeNumbers(card.current, props));
    const follow = () => askLater(numbers);
    const stop = feed.listen({ add: follow, clear: follow });
    numbers.ask();
    return () => {
      stop();
      due.delete(numbers);
      numbers.end();
      plot.end();
    };
    // A chart of other series is another chart.
  }, [feed, series.map(({ name }) => name).join()]);

  return (
    <Card title={title} end={end} {...(wide ? { wide } : {})}>
      {about !== undefined && <p class="faint small">{about}</p>}
      <div ref={card} class="chart">
        <div class="plot" role="img" aria-label={`${title}: nothing yet`}>
          <div ref={place} />
          <span class="waiting">Nothing yet</span>
        </div>
        <table class="tight">
          <caption class="hidden-text">
            {title}
            {unit === '' ? '' : `, ${unit}`}: now, mean and highest of what the chart shows
          </caption>
          <thead>
            <tr>
              <th scope="col">{unit === 'ns' || unit === 'bytes' || unit === '' ? 'series' : unit}</th>
              {['now', 'mean', 'highest'].map((name) => (
                <th key={name} scope="col" class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {series.map(({ name, colour, dashed = false }, i) => (
              <tr key={name}>
                <th scope="row">
                  <Swatch index={colour ?? i} area={stacked} dashed={dashed} />
                  {name}
                </th>
                {['now', 'mean', 'highest'].map((column) => (
                  <td key={column} class="number">
                    <span class="steady">–</span>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

/** By hand: twenty tables twice a second are nothing for a browser, and much for whoever compares trees. */
function writeNumbers(card: HTMLElement | null, { title, unit, series, feed }: ChartProps): void {
  if (card === null) return;
  const { buffer } = feed;
  const cells = card.querySelectorAll('.steady');
  const words: string[] = [];
  for (const [i, { name }] of series.entries()) {
    const { now, mean, max } = summaryOf(buffer, i);
    words.push(`${name} ${withUnit(now, unit)}`);
    for (const [place, value] of [now, mean, max].entries()) {
      const cell = cells[3 * i + place];
      const text = inTable(value, unit);
      const shown = cell?.firstChild as Text | null | undefined;
      if (shown && shown.data !== text) shown.data = text;
    }
  }
  const isEmpty = buffer.length === 0;
  const label = isEmpty ? `${title}: nothing yet` : `${title} over simulated time. Now: ${words.join(', ')}.`;
  card.querySelector('[role="img"]')?.setAttribute('aria-label', label);
  card.querySelector('.waiting')?.toggleAttribute('hidden', !isEmpty);
}

/** The unit stands at the top, but where each number has its own. */
function inTable(value: number, unit: Unit): string {
  return withUnit(value, unit === 'ns' || unit === 'bytes' ? unit : '');
}

/** The colour of a series beside its name. */
export function Swatch({ index, area = false, dashed = false }: { index: number; area?: boolean; dashed?: boolean }) {
  const kind = area ? 'swatch area' : dashed ? 'swatch dashed' : 'swatch';
  return <span class={kind} style={{ '--colour': seriesVariable(index) }} aria-hidden="true" />;
}
