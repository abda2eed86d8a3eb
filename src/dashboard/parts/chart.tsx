/**
 * A chart over simulated time, with its numbers: lines or stacked areas by uPlot, and a table of now, mean and highest of each series, which
 * is its legend as well as what a screen reader reads.
 *
 *     const buffer = new SeriesBuffer(2);               // parts/series-buffer.ts; x in seconds of simulated time
 *     const feed = chartFeed(buffer);                    // made once, with useMemo or at the top of a store
 *     feed.add(timeNs / 1e9, [8.7, 0.96]);               // as often as one likes
 *     <Chart title="Throughput" unit="Gb/s" series={[{ name: 'rx' }, { name: 'tx', dashed: true }]} feed={feed} />
 *
 * Drawn at most once a frame (`frames.ts`), and not at all while it is not on the screen; the table follows twice a second.
 */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Unit, withUnit } from '../format.ts';
import { seriesVariable } from '../palette.ts';
import { Card } from './bits.tsx';
import { type ChartSeries, Plot } from './plot.ts';
import { type SeriesBuffer, summaryOf } from './series-buffer.ts';

export type { ChartSeries } from './plot.ts';

/** Points, and who wants to know of new ones. */
export interface ChartFeed {
  readonly buffer: SeriesBuffer;
  add(x: number, values: ArrayLike<number>): void;
  clear(): void;
  listen(heard: () => void): () => void;
}

export function chartFeed(buffer: SeriesBuffer): ChartFeed {
  const heard = new Set<() => void>();
  const tellAll = () => {
    for (const each of heard) each();
  };
  return {
    buffer,
    add(x, values) {
      buffer.add(x, values);
      tellAll();
    },
    clear() {
      buffer.clear();
      tellAll();
    },
    listen(each) {
      heard.add(each);
      return () => heard.delete(each);
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

const NUMBERS_MS = 500;

export function Chart(props: ChartProps) {
  const { title, unit, series, feed, stacked = false, about, wide, end } = props;
  const place = useRef<HTMLDivElement>(null);
  const version = useSignal(0);

  useEffect(() => {
    const plot = new Plot(place.current as HTMLElement, { ...props, stacked });
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      plot.ask();
      waiting ??= setTimeout(() => {
        waiting = undefined;
        version.value++;
      }, NUMBERS_MS);
    };
    const stop = feed.listen(heard);
    return () => {
      stop();
      clearTimeout(waiting);
      plot.end();
    };
    // A chart of other series is another chart.
  }, [feed, series.map(({ name }) => name).join()]);

  void version.value;
  const numbers = series.map(({ name }, i) => ({ name, ...summaryOf(feed.buffer, i) }));
  const words = numbers.map(({ name, now }) => `${name} ${withUnit(now, unit)}`).join(', ');
  const isEmpty = feed.buffer.length === 0;
  return (
    <Card title={title} end={end} {...(wide ? { wide } : {})}>
      {about !== undefined && <p class="faint small">{about}</p>}
      <div
        class="plot"
        role="img"
        aria-label={isEmpty ? `${title}: nothing yet` : `${title} over simulated time. Now: ${words}.`}
      >
        <div ref={place} />
        {isEmpty && <span class="waiting">Nothing yet</span>}
      </div>
      <table class="tight">
        <caption class="hidden-text">
          {title}
          {unit === '' ? '' : `, ${unit}`}: now, mean and highest of what the chart shows
        </caption>
        <thead>
          <tr>
            <th scope="col">{unit === 'ns' || unit === 'bytes' ? '' : unit}</th>
            <th scope="col" class="number">
              now
            </th>
            <th scope="col" class="number">
              mean
            </th>
            <th scope="col" class="number">
              highest
            </th>
          </tr>
        </thead>
        <tbody>
          {numbers.map(({ name, now, mean, max }, i) => (
            <tr key={name}>
              <th scope="row">
                <Swatch index={series[i]?.colour ?? i} area={stacked} dashed={series[i]?.dashed ?? false} />
                {name}
              </th>
              <td class="number">{inTable(now, unit)}</td>
              <td class="number">{inTable(mean, unit)}</td>
              <td class="number">{inTable(max, unit)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
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
