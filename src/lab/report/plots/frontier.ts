/**
 * Speed against exposure, a plot for each scene. Where exposure spans decades its axis is logarithmic, and 0 has no place on that: arms
 * without any stand in a strip of their own below it, and arms without protection in one above, where they cannot be taken for safe ones.
 */
import { sceneOf } from '../../compare/frontier.ts';
import { textOf } from '../../compare/pairs.ts';
import type { ArmResult, ExperimentResults, Figure, FrontierGroup } from '../../compare/results.ts';
import { METRICS, metricOf, sceneText } from '../words.ts';
import {
  axisText,
  legendBelow,
  type Range,
  rangeOf,
  shareOf,
  shortNames,
  spansDecades,
  spreadSeries,
  valueAxis,
} from './axes.ts';
import { COLOURS, FONT_SIZE, INK, MUTED, PAPER } from './draw.ts';
import { GAP, type Label, type Mark, placeLabels } from './labels.ts';
import type { Plot } from './plot.ts';

const WIDTH = 820;
const STRIP = 44;
/** A strip is taller by that for each arm that it has. */
const LINE = 16;
const LEFT = 92;
const RIGHT = 40;
const MAIN = 300;
/** More points have their number instead of their name. */
const NAMED = 14;
/** The others are in the tables. */
const PLOTS = 4;

type Place = 'none' | 'main' | 'unprotected';

const KIND_NAMES = ['frontier', 'dominated', 'unprotected'] as const;

interface Point {
  arm: ArmResult;
  name: string;
  speed: Figure;
  exposure: Figure;
  place: Place;
  kind: keyof typeof KINDS;
}

const KINDS = {
  frontier: { name: 'on the frontier', symbol: 'circle', colour: COLOURS[0]!, size: 13 },
  dominated: { name: 'dominated', symbol: 'emptyCircle', colour: MUTED, size: 11 },
  unprotected: { name: 'no protection', symbol: 'diamond', colour: COLOURS[5]!, size: 14 },
} as const;

function armsOf(group: FrontierGroup, { arms }: ExperimentResults): ArmResult[] {
  const members = new Set([...group.frontier, ...group.dominated.map(({ arm }) => arm)]);
  const controls = new Set(arms.filter(({ id }) => members.has(id)).map(({ controlId }) => controlId));
  const same = (arm: ArmResult) =>
    arm.unprotected && !arm.control && textOf(sceneOf(arm.varied)) === textOf(group.scene);
  return arms.filter((arm) => members.has(arm.id) || controls.has(arm.id) || same(arm));
}

function pointsOf(
  group: FrontierGroup,
  results: ExperimentResults,
  logarithmic: (values: number[]) => boolean,
): Point[] {
  const measured = armsOf(group, results).flatMap((arm) => {
    const [speed, exposure] = [metricOf(arm, group.speed), arm.exposure.pageSeconds];
    return speed === null || exposure === null ? [] : [{ arm, speed, exposure }];
  });
  const names =
    measured.length > NAMED
      ? measured.map(({ arm }) => arm.id.replace(/^arm-/, ''))
      : shortNames(
          measured.map(({ arm }) => arm),
          30,
        );
  const some = measured.filter(({ arm, exposure }) => !arm.unprotected && exposure.median > 0);
  const apart = some.length === 0 || logarithmic(some.map(({ exposure }) => exposure.median));
  return measured.map(({ arm, speed, exposure }, i) => {
    const place = arm.unprotected ? 'unprotected' : exposure.median === 0 && apart ? 'none' : 'main';
    const kind = place === 'unprotected' ? place : group.frontier.includes(arm.id) ? 'frontier' : 'dominated';
    return { arm, name: names[i]!, speed, exposure, place, kind };
  });
}

/** A strip has one line, at 0. */
function stripAxis(name: string, index: number) {
  return {
    type: 'category',
    gridIndex: index,
    data: [name],
    axisLabel: { ...axisText, color: INK, width: LEFT - 12, overflow: 'break' },
    axisLine: { show: true, lineStyle: { color: MUTED } },
    axisTick: { show: false },
    splitLine: { show: false },
  };
}

/** Thin lines from points to names that had to move: `[x, y, to the right, down]`, the last two in pixels. */
function leaders(points: number[][], axes: object): object {
  const renderItem = (_: unknown, api: { value: (i: number) => number; coord: (at: number[]) => [number, number] }) => {
    const [x, y] = api.coord([api.value(0), api.value(1)]);
    const shape = { x1: x, y1: y, x2: x + api.value(2), y2: y + api.value(3) };
    return { type: 'line', shape, style: { stroke: MUTED, lineWidth: 0.8, fill: 'none' } };
  };
  return { ...axes, type: 'custom', renderItem, data: points, silent: true, z: 2 };
}

interface Strip {
  place: Place;
  name: string;
  top: number;
  height: number;
}

/** From above: without protection, the axis of exposure, no window. */
function stripsOf(points: readonly Point[]): Strip[] {
  const count = (place: Place) => points.filter((point) => point.place === place).length;
  const tall = (arms: number) => STRIP + LINE * Math.min(6, arms - 1);
  const strips: Strip[] = [];
  let top = 16;
  const add = (place: Place, name: string, height: number) => {
    if (count(place) === 0) return;
    strips.push({ place, name, top, height });
    top += height + 10;
  };
  add('unprotected', 'no protection', tall(count('unprotected')));
  add('main', '', MAIN);
  add('none', 'no window', tall(count('none')));
  return strips;
}

interface Scale {
  range: Range;
  logarithmic: boolean;
}

function scaleOf(values: readonly number[], fromZero: boolean): Scale {
  const logarithmic = values.length > 0 && spansDecades(values);
  return {
    logarithmic,
    range: values.length === 0 ? { min: 0, max: 1 } : rangeOf(values, logarithmic, fromZero && !logarithmic),
  };
}

/** In pixels, as the library will put it. */
function markOf({ name, speed, exposure }: Point, { place, top, height }: Strip, x: Scale, y: Scale): Mark {
  const up = place === 'main' ? shareOf(exposure.median, y.range, y.logarithmic) : 0.5;
  return {
    name,
    x: LEFT + shareOf(speed.median, x.range, x.logarithmic) * (WIDTH - LEFT - RIGHT),
    y: top + (1 - up) * height,
    within: { left: LEFT + 4, right: WIDTH - 4, top: top + 1, bottom: top + height - 1 },
  };
}

function seriesOf(own: readonly Point[], strip: Strip, index: number, labels: (Label | null)[]): object[] {
  const axes = { xAxisIndex: index, yAxisIndex: index };
  const y = (value: number) => (strip.place === 'main' ? value : 0);
  const series: object[] = [];
  const moved = own.flatMap((point, i) => {
    const label = labels[i];
    if (!label || label.shift === 0) return [];
    return [[point.speed.median, y(point.exposure.median), (label.side === 'right' ? 1 : -1) * GAP, label.shift]];
  });
  if (moved.length > 0) series.push(leaders(moved, axes));
  for (const kind of KIND_NAMES) {
    const { name, symbol, colour, size } = KINDS[kind];
    const some = own.flatMap((point, i) => (point.kind === kind ? { point, label: labels[i]! } : []));
    if (some.length === 0) continue;
    const crosses = some.map(({ point: { speed, exposure } }) => [
      speed.median,
      y(exposure.median),
      speed.low,
      speed.high,
      y(exposure.low),
      y(exposure.high),
    ]);
    series.push(spreadSeries(crosses, colour, axes), {
      ...axes,
      type: 'scatter',
      name,
      symbol,
      symbolSize: size,
      z: 3,
      clip: false,
      itemStyle: { color: colour, borderColor: colour, borderWidth: 2, opacity: 1 },
      data: some.map(({ point, label }) => ({
        value: [point.speed.median, y(point.exposure.median)],
        label: {
          show: label !== null,
          position: label?.side ?? 'right',
          offset: [0, label?.shift ?? 0],
          formatter: () => point.name,
        },
      })),
      label: { color: INK, fontSize: FONT_SIZE, distance: GAP - size / 2, textBorderColor: PAPER, textBorderWidth: 3 },
    });
  }
  return strip.place === 'main' ? [...stepsBetween(own, axes), ...series] : series;
}

function plotOf(group: FrontierGroup, results: ExperimentResults, index: number, of: number): Plot | null {
  const points = pointsOf(group, results, spansDecades);
  // Without exposure and without a control there is nothing to give up for speed.
  if (points.length < 2 || points.every(({ place }) => place === 'none')) return null;
  const strips = stripsOf(points);
  const at = (place: Place) => points.filter((point) => point.place === place);
  const x = scaleOf(
    points.flatMap(({ speed }) => [speed.low, speed.high]),
    false,
  );
  const y = scaleOf(
    at('main').flatMap(({ exposure }) => [exposure.low, exposure.high]),
    true,
  );
  const better = group.better === 'higher' ? 'better to the right' : 'better to the left';
  const xAxes = strips.map((_, i) => {
    const axis = valueAxis(`${METRICS[group.speed]!.title} (${better})`, x.logarithmic, x.range, 32);
    const last = i === strips.length - 1;
    return { ...axis, gridIndex: i, ...(!last && { name: '', axisLabel: { show: false }, axisTick: { show: false } }) };
  });
  const yAxes = strips.map(({ place, name }, i) =>
    place === 'main'
      ? { ...valueAxis('Exposure, page-seconds (better below)', y.logarithmic, y.range, 66), gridIndex: i }
      : stripAxis(name, i),
  );
  const marks = strips.map((strip) => at(strip.place).map((point) => markOf(point, strip, x, y)));
  const placed = placeLabels(marks.flat());
  const series: object[] = [];
  let before = 0;
  for (const [i, strip] of strips.entries()) {
    const own = at(strip.place);
    series.push(...seriesOf(own, strip, i, placed.slice(before, before + own.length)));
    before += own.length;
  }
  const last = strips.at(-1)!;
  const scene = sceneText(group.scene);
  const nameless = placed.filter((label) => label === null).length;
  const sentences = [
    'Each point is an arm: the median over the seeds, with a cross from the lowest to the highest where they spread.',
    points.length > NAMED ? 'Points have the numbers of their arms.' : '',
    nameless > 0 ? `${nameless} have no room for a name: see the table.` : '',
    group.loadLimited ? 'All carry the same load, so that speed is what an operation costs.' : '',
    'An arm is on the frontier (filled) if no other is better in one and not worse in the other by more than the spread.',
    at('none').length > 0
      ? `The lower strip has the arms that open no window at all${at('main').length > 0 ? ': a logarithmic axis has no place for 0' : ''}.`
      : '',
    at('unprotected').length > 0
      ? 'The upper strip has what runs without protection: every page is reachable all the time.'
      : '',
  ];
  return {
    id: of === 1 ? 'frontier' : `frontier-${index + 1}`,
    title: scene === '' ? 'Speed against exposure' : `Speed against exposure: ${scene}`,
    caption: sentences.filter((sentence) => sentence !== '').join(' '),
    width: WIDTH,
    height: last.top + last.height + 84,
    option: {
      grid: strips.map(({ top, height }) => ({ left: LEFT, right: RIGHT, top, height })),
      xAxis: xAxes,
      yAxis: yAxes,
      legend: {
        ...legendBelow(
          KIND_NAMES.filter((kind) => points.some((point) => point.kind === kind)).map((kind) => KINDS[kind].name),
        ),
        itemWidth: 14,
        itemHeight: 13,
      },
      series,
    },
  };
}

/** From one arm of the frontier to the next, in the order of speed. */
function stepsBetween(points: readonly Point[], axes: object): object[] {
  const line = points
    .filter(({ kind }) => kind === 'frontier')
    .map(({ speed, exposure }) => [speed.median, exposure.median])
    .sort(([a], [b]) => a! - b!);
  if (line.length < 2) return [];
  const lineStyle = { color: KINDS.frontier.colour, width: 1, opacity: 0.5, type: 'dashed' };
  return [{ ...axes, type: 'line', data: line, symbol: 'none', lineStyle, silent: true, z: 2 }];
}

export function frontierPlots(results: ExperimentResults): Plot[] {
  const groups = results.frontiers.slice(0, PLOTS);
  return groups.flatMap((group, index) => plotOf(group, results, index, groups.length) ?? []);
}
