/**
 * How often what took how long: buckets `{from, to, count}` of times in nanoseconds on a logarithmic axis, one or two kinds over each other.
 *
 *     <Histogram title="Windows" kinds={[{ name: 'potential', buckets }, { name: 'actual', buckets }]} />
 *
 * The table beside it has the same in ten-to-the-n steps.
 */
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { count, duration, roundDuration } from '../format.ts';
import { drawer } from '../frames.ts';
import { palette } from '../palette.ts';
import { Card } from './bits.tsx';
import { Swatch } from './chart.tsx';
import { type Bucket, decades } from './decades.ts';
import { drawHistogram } from './histogram-drawing.ts';

export interface HistogramKind {
  name: string;
  buckets: readonly Bucket[];
}

export function Histogram({ title, kinds, about }: { title: string; kinds: readonly HistogramKind[]; about?: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const newest = useRef(kinds);
  newest.current = kinds;
  const drawing = useRef<ReturnType<typeof drawer> | null>(null);

  useEffect(() => {
    const size = { width: 0, height: 0 };
    const made = drawer(() => {
      if (canvas.current === null) return;
      const buckets = newest.current.map((kind) => kind.buckets);
      drawHistogram(canvas.current, size, buckets, palette.peek());
    });
    drawing.current = made;
    const end = effect(() => {
      void palette.value;
      made.ask();
    });
    // Told, not asked for: to ask in the middle of a frame has all of the page laid out.
    const sizing = new ResizeObserver(([entry]) => {
      Object.assign(size, { width: entry?.contentRect.width ?? 0, height: entry?.contentRect.height ?? 0 });
      made.ask();
    });
    sizing.observe(canvas.current as HTMLCanvasElement);
    return () => {
      end();
      sizing.disconnect();
      made.end();
    };
  }, []);
  useEffect(() => drawing.current?.ask());

  const rows = decades(kinds.map(({ buckets }) => buckets));
  const words = rows.map(({ from, counts }) => `from ${duration(from)}: ${counts.map(count).join(' and ')}`).join('; ');
  return (
    <Card title={title}>
      {about !== undefined && <p class="faint small">{about}</p>}
      <div class="chart">
        <div class="plot" role="img" aria-label={rows.length === 0 ? `${title}: nothing yet` : `${title}. ${words}.`}>
          <canvas ref={canvas} class="fill" />
          {rows.length === 0 && <span class="waiting">Nothing yet</span>}
        </div>
        <table class="tight">
          <caption class="hidden-text">{title}: how many by length</caption>
          <thead>
            <tr>
              <th scope="col">length</th>
              {kinds.map(({ name }, i) => (
                <th key={name} scope="col" class="number">
                  <Swatch index={i} area />
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ from, to, counts }) => (
              <tr key={from}>
                <th scope="row">
                  {roundDuration(from)} to {roundDuration(to)}
                </th>
                {counts.map((each, i) => (
                  <td key={kinds[i]?.name} class="number">
                    <span class="steady">{count(each)}</span>
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
