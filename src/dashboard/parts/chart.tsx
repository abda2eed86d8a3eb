/**
 * A chart over simulated time, with its numbers: lines or stacked areas, and a table of now, mean and highest of each series, which is its
 * legend as well as what a screen reader reads.
 *
 *     const feed = new Feed(2);                          // parts/feed.ts: made once, with useMemo or at the top of a store
 *     feed.add(timeNs / 1e9, [8.7, 0.96]);               // as often as one likes; x in seconds of simulated time
 *     <Chart title="Throughput" unit="Gb/s" series={[{ name: 'rx' }, { name: 'tx', dashed: true }]} feed={feed} />
 *
 * Drawn by a worker (`plotter.ts`), and not at all while it is not on the screen; the table follows once a second, one or a few tables in
 * a frame (`frames.ts`).
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Unit, withUnit } from '../format.ts';
import { drawer } from '../frames.ts';
import { seriesVariable } from '../palette.ts';
import { Card } from './bits.tsx';
import type { Feed } from './feed.ts';
import { type ChartSeries, Plot } from './plot.ts';
import type { FarFeed } from './plotter.ts';

export type { ChartSeries } from './plot.ts';

export interface ChartProps {
  title: string;
  unit: Unit;
  series: readonly ChartSeries[];
  feed: Feed | FarFeed;
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

export function Chart(props: ChartProps) {
  const { title, unit, series, feed, stacked = false, about, wide, end } = props;
  const place = useRef<HTMLDivElement>(null);
  const card = useRef<HTMLDivElement>(null);

  useEffect(() => {
    let length = 0;
    let newest = new Float64Array(3 * series.length).fill(Number.NaN);
    const writing = drawer(() => writeNumbers(card.current, props, length, newest));
    const onNumbers = (points: number, numbers: Float64Array) => {
      length = points;
      newest = numbers.slice();
      writing.ask();
    };
    const plot = new Plot(place.current as HTMLElement, { ...props, stacked, onNumbers });
    return () => {
      writing.end();
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

/** By hand: twenty tables a second are nothing for a browser, and much for whoever compares trees. */
function writeNumbers(
  card: HTMLElement | null,
  { title, unit, series }: ChartProps,
  length: number,
  numbers: Float64Array,
): void {
  if (card === null) return;
  const cells = card.querySelectorAll('.steady');
  for (const [place, value] of numbers.entries()) {
    const text = inTable(value, unit);
    const shown = cells[place]?.firstChild as Text | null | undefined;
    if (shown && shown.data !== text) shown.data = text;
  }
  const isEmpty = length === 0;
  const words = series.map(({ name }, i) => `${name} ${withUnit(numbers[3 * i], unit)}`).join(', ');
  const label = isEmpty ? `${title}: nothing yet` : `${title} over simulated time. Now: ${words}.`;
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
