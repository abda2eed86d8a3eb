/** Axes, legends and labels that all plots share, and what they decide on: logarithmic or not, where labels fit. */
import { number } from '../numbers.ts';
import { FONT_SIZE, GRID, INK, MUTED, ROOM } from './draw.ts';

/** From so many times the least on, a linear axis would squeeze most arms into its first pixels. */
const SPANS_DECADES = 10;

export function spansDecades(values: readonly number[]): boolean {
  const positive = values.filter((value) => value > 0);
  return positive.length === values.length && Math.max(...positive) / Math.min(...positive) >= SPANS_DECADES;
}

export interface Range {
  min: number;
  max: number;
}

/** With some air; a logarithmic one between whole powers of ten. */
export function rangeOf(values: readonly number[], logarithmic: boolean, fromZero = false): Range {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (logarithmic) return { min: 10 ** Math.floor(Math.log10(low)), max: 10 ** Math.ceil(Math.log10(high * 1.0001)) };
  const span = high - low || Math.abs(high) || 1;
  const step = niceStep((fromZero ? high || 1 : span) / 4);
  const min = fromZero
    ? 0
    : Math.max(low >= 0 ? 0 : Number.NEGATIVE_INFINITY, Math.floor((low - span * 0.08) / step) * step);
  const max = Math.ceil((high + span * 0.08) / step) * step;
  // 0.30000000000000004
  return { min: Number(min.toPrecision(12)), max: Number(max.toPrecision(12)) };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5].find((each) => each * power >= rough * 0.999) ?? 10;
  return factor * power;
}

export const axisText = { color: MUTED, fontSize: FONT_SIZE - 1 };

/** Short enough for an axis: `10 M`. */
const axisNumber = (value: number): string =>
  Math.abs(value) >= 1e6 && Math.abs(value) < 1e12 ? `${number(value / 1e6)} M` : number(value);

export function valueAxis(name: string, logarithmic: boolean, range: Range, gap: number, shown = axisNumber) {
  return {
    type: logarithmic ? 'log' : 'value',
    name,
    nameLocation: 'middle',
    nameGap: gap,
    nameTextStyle: { color: INK, fontSize: FONT_SIZE },
    ...range,
    splitNumber: 5,
    axisLabel: { ...axisText, formatter: shown, hideOverlap: true },
    axisLine: { show: true, lineStyle: { color: MUTED } },
    axisTick: { show: true, lineStyle: { color: MUTED } },
    splitLine: { show: true, lineStyle: { color: GRID } },
    minorSplitLine: { show: false },
  };
}

/**
 * The library, which has no fonts to measure with, takes letters for narrower than some are: it is given some more of them, which
 * `standalone` takes away again.
 */
const withRoom = (name: string): string => name + ROOM.repeat(Math.ceil([...name].length * 0.18));

export function legendBelow(names: readonly string[]) {
  return {
    data: [...names],
    bottom: 4,
    left: 'center',
    width: '94%',
    itemGap: 12,
    formatter: withRoom,
    textStyle: { color: INK, fontSize: FONT_SIZE },
    selectedMode: false,
  };
}

/** Of the sign before a name and the gap after it. */
const SIGN = 48;

/** Pixels that such a legend takes at most. */
export function legendHeight(names: readonly string[], width: number): number {
  let rows = 1;
  let used = 0;
  for (const name of names) {
    const own = SIGN + wide(name) * 1.1;
    if (used + own > width * 0.94 && used > 0) {
      rows++;
      used = 0;
    }
    used += own;
  }
  return rows * 28;
}

/** Pixels of a text at most, as fonts are about this wide. */
export const wide = (text: string): number => text.length * FONT_SIZE * 0.62;

export function short(text: string, most = 34): string {
  const letters = [...text.replace(/\s+/g, ' ')];
  return letters.length <= most ? letters.join('') : `${letters.slice(0, most - 1).join('')}…`;
}

/** Names as they are drawn, no two alike: what was cut to the same text, or is the same, gets its arm's id. */
export function shortNames(arms: readonly { id: string; label: string }[], most = 34): string[] {
  const names = arms.map(({ label }) => short(label, most));
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : `${short(name, most - 8)} (${arms[i]!.id})`,
  );
}

interface Api {
  value: (dimension: number) => number;
  coord: (point: [number, number]) => [number, number];
}

/** How far seeds spread, of points `[x, y, xLow, xHigh, yLow, yHigh]`: thin crosses behind them. */
export function spreadSeries(points: number[][], colour: string, axes: object = {}) {
  const renderItem = (_: unknown, api: Api) => {
    const [x, y, xLow, xHigh, yLow, yHigh] = [0, 1, 2, 3, 4, 5].map((dimension) => api.value(dimension)) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const line = (from: [number, number], to: [number, number]) => {
      const [[x1, y1], [x2, y2]] = [api.coord(from), api.coord(to)];
      return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: colour, lineWidth: 1.5, fill: 'none' } };
    };
    const children = [];
    if (xLow < xHigh) children.push(line([xLow, y], [xHigh, y]));
    if (yLow < yHigh) children.push(line([x, yLow], [x, yHigh]));
    return { type: 'group', children };
  };
  return { type: 'custom', renderItem, data: points, silent: true, clip: true, z: 1, ...axes };
}

/** Where a value lies along an axis, 0 to 1. */
export function shareOf(value: number, { min, max }: Range, logarithmic: boolean): number {
  return logarithmic ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
}
