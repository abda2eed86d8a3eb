/** How long pages stay reachable after their unmap: what share of the windows is no longer than a time. */
import type { ArmResult, ExperimentResults } from '../../compare/results.ts';
import { time } from '../numbers.ts';
import { listed } from '../words.ts';
import { legendBelow, legendHeight, rangeOf, shortNames, valueAxis } from './axes.ts';
import { COLOURS } from './draw.ts';
import type { Plot } from './plot.ts';

const WIDTH = 820;
const HEIGHT = 300;
const LINES = 8;
const DASHES = ['solid', 'dashed', 'dotted'] as const;

function curveOf({ windowsNs }: ArmResult): [number, number][] {
  const total = windowsNs.reduce((sum, { count }) => sum + count, 0);
  let below = 0;
  const points: [number, number][] = [[Math.max(1, windowsNs[0]!.from), 0]];
  for (const { to, count } of windowsNs) {
    below += count;
    points.push([Math.max(1, to), below / total]);
  }
  return points;
}

export function windowsPlot({ arms, frontier }: ExperimentResults): Plot | null {
  const last = ({ id }: ArmResult) => Number(!frontier.includes(id));
  const having = arms.filter(({ windowsNs }) => windowsNs.length > 0).sort((a, b) => last(a) - last(b));
  if (having.length === 0) return null;
  const shown = having.slice(0, LINES);
  const curves = shown.map(curveOf);
  const names = shortNames(shown, 28);
  const range = rangeOf(
    curves.flatMap((curve) => curve.map(([x]) => x)),
    true,
  );
  const without = arms.filter((arm) => arm.seeds.length > 0 && !arm.unprotected && arm.exposure.windows?.high === 0);
  const open = arms.filter((arm) => arm.windowsNs.length === 0 && (arm.exposure.windows?.low ?? 0) > 0);
  const notes = [
    having.length > LINES ? `${LINES} of ${having.length} arms that have windows, those of the frontier first.` : '',
    without.length > 0 ? `No window at all: ${listed(without.map(({ label }) => label))}.` : '',
    open.length > 0
      ? `Windows that never closed, and so have no length: ${listed(open.map(({ label }) => label))}.`
      : '',
  ].filter((note) => note !== '');
  return {
    id: 'windows',
    title: 'How long pages stay reachable after their unmap',
    caption: [
      'Share of the closed windows of all seeds that are no longer than the time below; one window for each unmapped page, from the return of its unmap to the end of the last possible translation. The further left, the shorter.',
      ...notes,
    ].join(' '),
    width: WIDTH,
    height: HEIGHT + 76 + legendHeight(names, WIDTH),
    option: {
      grid: { left: 72, right: 30, top: 16, height: HEIGHT },
      xAxis: valueAxis('Length of the window', true, range, 32, time),
      yAxis: valueAxis('Share of windows', false, { min: 0, max: 1 }, 48),
      legend: legendBelow(names),
      series: curves.map((data, i) => ({
        type: 'line',
        name: names[i],
        data,
        symbol: 'none',
        lineStyle: { color: COLOURS[i], width: 2.5, type: DASHES[i % DASHES.length] },
        itemStyle: { color: COLOURS[i] },
      })),
    },
  };
}
