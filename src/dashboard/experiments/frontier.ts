/**
 * Speed against exposure, as places in a plot: arms of one scene. Pure.
 *
 * Exposure is on a logarithmic axis where it spans a decade; an arm without any has a lane of its own at the left, as a logarithm has no
 * place for 0, and what is without protection one at the right, as its exposure is no figure of windows. Up and left is better.
 */
import type { ExperimentArmResult, ExperimentResults } from '../../api/contract-types.ts';
import { figureAt } from './words.ts';

export type Standing = 'frontier' | 'dominated' | 'control' | 'unprotected' | 'none';
export type Lane = 'none' | 'axis' | 'unprotected';

export interface Point {
  arm: ExperimentArmResult;
  /** From 1, as in the table. */
  number: number;
  standing: Standing;
  /** Ids of those that are preferable. */
  by: readonly string[];
  lane: Lane;
  /** 0 to 1 of the axis, from the left and from below; the whiskers too. */
  x: number;
  xLow: number;
  xHigh: number;
  y: number;
  yLow: number;
  yHigh: number;
}

export interface Axis {
  low: number;
  high: number;
  logarithmic: boolean;
  ticks: readonly number[];
}

export interface FrontierPlot {
  /** Path into an arm. */
  speed: string;
  exposure: string;
  lessIsFaster: boolean;
  points: Point[];
  xAxis: Axis | null;
  yAxis: Axis;
}

interface Scene {
  scene?: Record<string, unknown>;
  speed: string;
  better: 'higher' | 'lower';
  loadLimited?: boolean;
  frontier: string[];
  dominated: { arm: string; by: string[] }[];
}

export const scenesOf = (results: ExperimentResults): Scene[] => (results.frontiers as Scene[] | undefined) ?? [];

const EXPOSURE = 'exposure.pageSeconds';

export function standingOf(
  arm: ExperimentArmResult,
  results: ExperimentResults,
): { standing: Standing; by: readonly string[] } {
  if (arm.control) return { standing: 'control', by: [] };
  if (arm.unprotected === true) return { standing: 'unprotected', by: [] };
  for (const { dominated } of scenesOf(results)) {
    const found = dominated.find((each) => each.arm === arm.id);
    if (found !== undefined) return { standing: 'dominated', by: found.by };
  }
  if (results.dominated.includes(arm.id)) return { standing: 'dominated', by: [] };
  return { standing: results.frontier.includes(arm.id) ? 'frontier' : 'none', by: [] };
}

/** @returns null when there is nothing to plot */
export function frontierPlot(results: ExperimentResults, scene: number): FrontierPlot | null {
  const scenes = scenesOf(results);
  const chosen = scenes[scene];
  const speed =
    chosen?.speed ??
    (results.arms.some(({ throughputGbps }) => throughputGbps) ? 'throughputGbps' : 'operationsPerSecond');
  const lessIsFaster = chosen?.better === 'lower';
  const ids = new Set(
    chosen === undefined
      ? results.arms.map(({ id }) => id)
      : [...chosen.frontier, ...chosen.dominated.map(({ arm }) => arm)],
  );
  const arms = results.arms
    .map((arm, at) => ({ arm, number: at + 1 }))
    .filter(
      ({ arm }) =>
        (ids.has(arm.id) || ((arm.control || arm.unprotected === true) && isOfScene(arm, results, ids))) &&
        figureAt(arm, speed) !== null,
    );
  if (arms.length === 0) return null;
  const isFree = (arm: ExperimentArmResult) => arm.control || arm.unprotected === true;
  const onAxis = arms.filter(({ arm }) => !isFree(arm) && (figureAt(arm, EXPOSURE)?.median ?? 0) > 0);
  const exposures = onAxis.flatMap(({ arm }) => {
    const value = figureAt(arm, EXPOSURE);
    return value === null ? [] : [value.low > 0 ? value.low : value.median, value.high];
  });
  const xAxis = exposures.length === 0 ? null : axisOf(Math.min(...exposures), Math.max(...exposures), true);
  const speeds = arms.flatMap(({ arm }) => {
    const value = figureAt(arm, speed);
    return value === null ? [] : [value.low, value.high];
  });
  const yAxis = axisOf(Math.min(0, ...speeds), Math.max(...speeds), false);
  const up = (value: number) => (lessIsFaster ? 1 - placeOn(yAxis, value) : placeOn(yAxis, value));
  const points = arms.map(({ arm, number }): Point => {
    const speedOf = figureAt(arm, speed) as NonNullable<ReturnType<typeof figureAt>>;
    const exposed = figureAt(arm, EXPOSURE);
    const lane: Lane = isFree(arm) ? 'unprotected' : (exposed?.median ?? 0) > 0 ? 'axis' : 'none';
    const across = (value: number) => (xAxis === null || lane !== 'axis' ? 0.5 : placeOn(xAxis, value));
    return {
      arm,
      number,
      ...standingOf(arm, results),
      lane,
      x: across(exposed?.median ?? 0),
      xLow: across(exposed?.low ?? 0),
      xHigh: across(exposed?.high ?? 0),
      y: up(speedOf.median),
      yLow: up(speedOf.low),
      yHigh: up(speedOf.high),
    };
  });
  return { speed, exposure: EXPOSURE, lessIsFaster, points, xAxis, yAxis };
}

/** A control belongs to the arms that are compared with it; what is without protection, where there is one scene only. */
function isOfScene(arm: ExperimentArmResult, results: ExperimentResults, ids: ReadonlySet<string>): boolean {
  return results.arms.some(({ id, controlId }) => ids.has(id) && controlId === arm.id) || scenesOf(results).length <= 1;
}

export function axisOf(low: number, high: number, mayBeLogarithmic: boolean): Axis {
  if (mayBeLogarithmic && low > 0 && high / low >= 10) {
    const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const ticks = Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at));
    return { low: 10 ** from, high: 10 ** to, logarithmic: true, ticks };
  }
  const bottom = Math.min(0, low);
  // All of it 0: some axis has to be there.
  const step = niceStep((high > bottom ? high - bottom : 1) / 4);
  const top = Math.max(step, Math.ceil((high * 1.0001) / step) * step);
  const ticks: number[] = [];
  for (let at = 0; bottom + at * step <= top * 1.0001; at++) ticks.push(bottom + at * step);
  return { low: bottom, high: top, logarithmic: false, ticks };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const times = rough / power;
  return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

/** 0 to 1. */
export function placeOn({ low, high, logarithmic }: Axis, value: number): number {
  const at = logarithmic
    ? (Math.log10(Math.max(value, low)) - Math.log10(low)) / (Math.log10(high) - Math.log10(low))
    : (value - low) / (high - low);
  return Math.min(1, Math.max(0, at));
}
