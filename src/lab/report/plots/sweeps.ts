/** What a number that is varied does: speed by CPUs, IOTLB misses by working set, ring or size of the cache. A line for each set of the other knobs. */
import { differing, textOf } from '../../compare/pairs.ts';
import type { ArmResult, ExperimentResults, Figure } from '../../compare/results.ts';
import { number } from '../numbers.ts';
import { METRICS, metricOf, valueText } from '../words.ts';
import { legendBelow, legendHeight, rangeOf, short, spansDecades, spreadSeries, valueAxis } from './axes.ts';
import { COLOURS } from './draw.ts';
import type { Plot } from './plot.ts';

const WIDTH = 820;
const HEIGHT = 300;
const LINES = 8;
/** The others are in the tables. */
const PLOTS = 3;
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle', 'emptyRect', 'emptyTriangle', 'emptyDiamond'];
const CPUS = 'machine.cpus';

interface Line {
  name: string;
  points: { x: number; y: Figure }[];
}

/** Paths whose values are numbers in all arms that vary them, two or more. */
function numericPaths(arms: readonly ArmResult[]): string[] {
  const paths = [...new Set(arms.flatMap(({ varied }) => Object.keys(varied)))];
  return paths.filter((path) => {
    const values = arms.filter(({ varied }) => path in varied).map(({ varied }) => varied[path]);
    return values.every((value) => typeof value === 'number') && new Set(values).size > 1 && path !== 'seed';
  });
}

/** Arms that differ in nothing but the path, in the order of its values. */
function linesOf(arms: readonly ArmResult[], path: string, metric: string): Line[] {
  const without = ({ varied }: ArmResult) =>
    Object.fromEntries(Object.entries(varied).filter(([each]) => each !== path));
  const groups = [
    ...Map.groupBy(
      arms.filter(({ varied }) => path in varied),
      (arm) => textOf(without(arm)),
    ).values(),
  ];
  const others = groups.map((group) => without(group[0]!));
  // Only what sets lines apart is in their names.
  const apart = [...new Set(others.flatMap((one) => others.flatMap((other) => differing(one, other))))].sort();
  return groups.flatMap((group, i) => {
    const points = group.flatMap((arm) => {
      const y = metricOf(arm, metric);
      return y === null ? [] : [{ x: arm.varied[path] as number, y }];
    });
    if (points.length < 2) return [];
    points.sort((a, b) => a.x - b.x);
    const words = apart.flatMap((each) => (each in others[i]! ? valueText(others[i]![each]) : []));
    return { name: short(words.join(', ') || (group[0]!.control ? 'control' : 'all arms')), points };
  });
}

/** `windowBytes` in units of people. */
function shownBy(path: string): (value: number) => string {
  if (!path.endsWith('Bytes')) return (value) => number(value, 6);
  return (value) => {
    for (const [unit, size] of UNITS) if (value >= size) return `${number(value / size)} ${unit}`;
    return number(value);
  };
}

const UNITS = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;

/** Sizes are doubled, and not made ten times as large. */
function doublingAxis(path: string, values: readonly number[]) {
  const range = {
    min: 2 ** Math.floor(Math.log2(Math.min(...values))),
    max: 2 ** Math.ceil(Math.log2(Math.max(...values))),
  };
  return { ...valueAxis(path, true, range, 32, shownBy(path)), logBase: 2, splitNumber: 8 };
}

function sweepPlot(
  id: string,
  title: string,
  path: string,
  yName: string,
  lines: Line[],
  caption: string,
  isShare = false,
): Plot | null {
  if (lines.length === 0) return null;
  const shown = lines.slice(0, LINES);
  const xs = shown.flatMap(({ points }) => points.map(({ x }) => x));
  const xLog = spansDecades(xs);
  const ys = shown.flatMap(({ points }) => points.flatMap(({ y }) => [y.low, y.high]));
  const names = shown.map(({ name }, i) =>
    shown.findIndex((each) => each.name === name) === i ? name : `${name} (${i + 1})`,
  );
  const cut = lines.length > LINES ? ` The first ${LINES} of ${lines.length} sets of arms.` : '';
  return {
    id,
    title,
    caption: `${caption}${cut} Median over the seeds, with a bar from the lowest to the highest where they spread.`,
    width: WIDTH,
    height: HEIGHT + 76 + legendHeight(names, WIDTH),
    option: {
      grid: { left: 92, right: 40, top: 16, height: HEIGHT },
      xAxis: xLog ? doublingAxis(path, xs) : valueAxis(path, false, rangeOf(xs, false), 32, shownBy(path)),
      yAxis: valueAxis(yName, false, isShare ? { min: 0, max: 1 } : rangeOf(ys, false, true), 66),
      legend: legendBelow(names),
      series: shown.flatMap(({ points }, i) => {
        const colour = COLOURS[i]!;
        return [
          spreadSeries(
            points.map(({ x, y }) => [x, y.median, x, x, y.low, y.high]),
            colour,
          ),
          {
            type: 'line',
            name: names[i],
            data: points.map(({ x, y }) => [x, y.median]),
            symbol: SYMBOLS[i],
            symbolSize: 9,
            lineStyle: { color: colour, width: 2 },
            itemStyle: { color: colour },
          },
        ];
      }),
    },
  };
}

const SPEEDS = ['throughputGbps', 'iops', 'operationsPerSecond'] as const;

export function scalingPlot({ arms }: ExperimentResults): Plot | null {
  if (!numericPaths(arms).includes(CPUS)) return null;
  const metric = SPEEDS.find((each) => arms.every((arm) => arm.seeds.length === 0 || metricOf(arm, each) !== null));
  if (metric === undefined) return null;
  const { title, noun } = METRICS[metric]!;
  return sweepPlot(
    'scaling',
    'Scaling by CPUs',
    CPUS,
    title,
    linesOf(arms, CPUS, metric),
    `What more CPUs bring in ${noun}. A line that stays flat waits for something that all CPUs share: a lock, the invalidation queue, the wire.`,
  );
}

export function iotlbPlots({ arms }: ExperimentResults): Plot[] {
  const paths = numericPaths(arms).filter((path) => path !== CPUS);
  return paths.slice(0, PLOTS).flatMap((path, i) => {
    const lines = linesOf(arms, path, 'iotlb.missRatio');
    return (
      sweepPlot(
        paths.length === 1 ? 'iotlb' : `iotlb-${i + 1}`,
        `IOTLB misses by ${path}`,
        path,
        'Misses of the IOTLB, share of look-ups',
        lines,
        'Share of look-ups for which the tables had to be walked. It rises where what is used in turn no longer fits.',
        true,
      ) ?? []
    );
  });
}
