/** Verdicts in words: what an engineer would say of two arms, with the interval and what it rests on. */

import type { ArmResult, Comparison, ExperimentResults, MaybeFigure } from '../compare/results.ts';
import { memberAt } from '../compare/sample.ts';
import type { ExperimentDocument, ExperimentInput, Plain } from '../experiment.ts';
import { printableJson } from './escape.ts';
import { figureText, number, percent, type Shown, time } from './numbers.ts';

interface MetricWords {
  /** As a column or an axis, with unit. */
  title: string;
  /** In a sentence: `no difference seen in the throughput`. */
  noun: string;
  /** `strict` ... `deferred-2008`. */
  times: (ratio: string) => string;
  more: (share: string) => string;
  /** Where another has none of it. */
  some: (amount: string) => string;
  shown: Shown;
}

const count: Shown = (value) => number(value, 4);

export const METRICS: Record<string, MetricWords> = {
  throughputGbps: {
    title: 'Throughput, Gb/s',
    noun: 'throughput',
    times: (ratio) => `carries ${ratio} times the throughput of`,
    more: (share) => `carries ${share} more throughput than`,
    some: (amount) => `carries ${amount} Gb/s`,
    shown: number,
  },
  iops: {
    title: 'I/Os per second',
    noun: 'I/Os per second',
    times: (ratio) => `does ${ratio} times the I/Os of`,
    more: (share) => `does ${share} more I/Os than`,
    some: (amount) => `does ${amount} I/Os per second`,
    shown: count,
  },
  operationsPerSecond: {
    title: 'Operations per second',
    noun: 'operations per second',
    times: (ratio) => `does ${ratio} times the operations of`,
    more: (share) => `does ${share} more operations than`,
    some: (amount) => `does ${amount} operations per second`,
    shown: count,
  },
  cyclesPerOperation: {
    title: 'Cycles per operation',
    noun: 'cycles per operation',
    times: (ratio) => `costs ${ratio} times the cycles of`,
    more: (share) => `costs ${share} more cycles than`,
    some: (amount) => `costs ${amount} cycles`,
    shown: count,
  },
  'latencyNs.p99': {
    title: 'Latency, p99',
    noun: 'latency at p99',
    times: (ratio) => `has ${ratio} times the p99 latency of`,
    more: (share) => `has ${share} more p99 latency than`,
    some: (amount) => `has a p99 latency of ${amount}`,
    shown: time,
  },
  'exposure.pageSeconds': {
    title: 'Exposure, page-seconds',
    noun: 'exposure',
    times: (ratio) => `leaves ${ratio} times the page-seconds exposed of`,
    more: (share) => `leaves ${share} more page-seconds exposed than`,
    some: (amount) => `leaves ${amount} page-seconds exposed`,
    shown: number,
  },
  'exposure.longestWindowNs': {
    title: 'Longest window',
    noun: 'longest window',
    times: (ratio) => `has a longest window ${ratio} times that of`,
    more: (share) => `has a longest window ${share} longer than that of`,
    some: (amount) => `has windows of up to ${amount}`,
    shown: time,
  },
  'exposure.staleAccesses': {
    title: 'Stale accesses',
    noun: 'stale accesses',
    times: (ratio) => `lets through ${ratio} times the stale accesses of`,
    more: (share) => `lets through ${share} more stale accesses than`,
    some: (amount) => `lets through ${amount} stale accesses`,
    shown: count,
  },
};

export const metricOf = (arm: ArmResult, metric: string): MaybeFigure => (memberAt(arm, metric) as MaybeFigure) ?? null;

/** Ratios closer to 1 are said in per cent. */
const NEARLY = 1.2;

const seedsText = (seeds: number) => (seeds === 1 ? 'one seed' : `${seeds} seeds`);

/** In how many digits two numbers differ, three to six: `1.0012 to 1.0018`. */
function range(low: number, high: number): string {
  for (let digits = 3; digits < 6; digits++) {
    const [from, to] = [number(low, digits), number(high, digits)];
    if (from !== to) return `${from} to ${to}`;
  }
  return number(low, 3);
}

/** `1.88 to 1.93 over 3 seeds`. */
export function restsOn({ low, high, seeds, oneSeed }: Comparison, upsideDown = false): string {
  if (oneSeed || seeds === 1) return 'one seed: how far seeds spread is not known';
  if (low === null || high === null) return `over ${seedsText(seeds)}`;
  const [from, to] = upsideDown ? [1 / high, 1 / low] : [low, high];
  if (from === to) return `the same with each of ${seedsText(seeds)}`;
  return `${range(from, to)} over ${seedsText(seeds)}`;
}

/** A comparison with a verdict, told from the arm that has more. */
export function sentence(comparison: Comparison, armOf: (id: string) => ArmResult): string {
  const { a, b, metric, verdict, ratio } = comparison;
  const words = METRICS[metric]!;
  const [more, less] = verdict === 'lower' ? [b, a] : [a, b];
  const [one, other] = [armOf(more), armOf(less)];
  if (verdict === 'no difference seen')
    return `no difference seen between ${one.label} and ${other.label} in ${words.noun} (${restsOn(comparison)})`;
  const upsideDown = verdict === 'lower';
  if (ratio === null || ratio === 0) {
    const [most, least] = [metricOf(one, metric), metricOf(other, metric)];
    const rest = least?.high === 0 ? 'none' : figureText(least, words.shown);
    const amount = words.some(figureText(most, words.shown));
    return `${one.label} ${amount}, against ${rest} with ${other.label} (${restsOn(comparison)})`;
  }
  const factor = upsideDown ? 1 / ratio : ratio;
  const how = factor < NEARLY ? words.more(percent(factor - 1)) : words.times(number(factor));
  return `${one.label} ${how} ${other.label} (${restsOn(comparison, upsideDown)})`;
}

export interface PairWords {
  a: ArmResult;
  b: ArmResult;
  /** Why these two: what separates them, or that one is the control. */
  because: string;
  verdicts: { comparison: Comparison; text: string }[];
  /** Figures in which they were not seen to differ. */
  alike: string[];
  alikeText: string | null;
}

/** Names that have commas themselves are kept apart by more. */
export function listed(words: readonly string[]): string {
  if (words.some((word) => word.includes(','))) return words.join('; ');
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** Without protection no window opens: to say that it has no more exposure than `strict` would be true and wrong. */
export function tellable({ comparisons, arms }: ExperimentResults): Comparison[] {
  const open = new Set(arms.filter(({ unprotected, control }) => unprotected || control).map(({ id }) => id));
  return comparisons.filter(({ a, b, metric }) => !metric.startsWith('exposure.') || !(open.has(a) || open.has(b)));
}

/** All that is said of each pair, in the order of the comparisons. */
export function pairsInWords(results: ExperimentResults): PairWords[] {
  const known = new Map(results.arms.map((arm) => [arm.id, arm]));
  const armOf = (id: string) => known.get(id)!;
  const pairs = Map.groupBy(tellable(results), ({ a, b }) => `${a} ${b}`);
  return [...pairs.values()].map((all) => {
    const [a, b] = [armOf(all[0]!.a), armOf(all[0]!.b)];
    const seen = all.filter(({ verdict }) => verdict !== 'no difference seen');
    const alike = all.filter(({ verdict }) => verdict === 'no difference seen');
    const nouns = alike.map(({ metric }) => METRICS[metric]!.noun);
    return {
      a,
      b,
      because: b.control ? 'against its control' : knobText(a, b),
      verdicts: seen.map((comparison) => ({ comparison, text: sentence(comparison, armOf) })),
      alike: nouns,
      alikeText: nouns.length === 0 ? null : `no difference seen between ${a.label} and ${b.label} in ${listed(nouns)}`,
    };
  });
}

/** Trade-offs along the frontier first, controls last. */
export function pairsByWeight(results: ExperimentResults): PairWords[] {
  const onFrontier = new Set(results.frontier);
  const rank = ({ a, b }: PairWords) => (b.control ? 2 : onFrontier.has(a.id) && onFrontier.has(b.id) ? 0 : 1);
  return pairsInWords(results).sort((one, other) => rank(one) - rank(other));
}

function knobText(a: ArmResult, b: ArmResult): string {
  const paths = [...new Set([...Object.keys(a.varied), ...Object.keys(b.varied)])];
  const path = paths.find((each) => valueText(a.varied[each]) !== valueText(b.varied[each]));
  if (path === undefined) return 'the same but for the name';
  return `${path}: ${valueText(a.varied[path])} against ${valueText(b.varied[path])}`;
}

export function valueText(value: unknown): string {
  if (value === undefined || value === null) return 'as in the base';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function headline(document: ExperimentDocument): string {
  return document.title ?? document.name ?? document.request.preset ?? `Experiment ${document.id}`;
}

/** What stands at the top of everything that is not all there; null for what is. */
export function partialText(
  { jobs, state }: ExperimentDocument,
  { complete, failures }: ExperimentResults,
): string | null {
  if (complete) return null;
  const missing = jobs.total - jobs.finished - jobs.failed;
  const parts = [`${jobs.finished} of ${jobs.total} runs have a result`];
  if (failures.length > 0) parts.push(`${failures.length} failed`);
  if (missing > 0) parts.push(state === 'cancelled' ? `${missing} were cancelled` : `${missing} are still to come`);
  return `Partial results: ${listed(parts)}. What is said below holds for the runs that there are.`;
}

/** The request as it is sent: without what is empty. */
export function inputOf({ document }: { document: ExperimentDocument }): ExperimentInput {
  const { preset, base, vary, combine, arms, workloads, until, warmUp, seeds, control } = document.request;
  // A reproduction is run as it is.
  if (preset?.startsWith('repro/')) return { preset };
  return {
    ...(document.title !== undefined && { title: document.title }),
    ...(preset !== undefined && { preset }),
    ...(Object.keys(base).length > 0 && { base }),
    ...(Object.keys(vary).length > 0 && { vary, combine }),
    ...(arms.length > 0 && { arms }),
    ...(workloads !== undefined && { workloads }),
    until,
    ...(warmUp !== undefined && { warmUp }),
    seeds,
    control,
  };
}

/** A shell's single quotes hold all but themselves. */
export function curlOf(input: ExperimentInput): string {
  const body = printableJson(input).replaceAll("'", `'\\''`);
  return `curl -sS -X POST http://localhost:8080/v1/experiments -H 'content-type: application/json' -d '${body}'`;
}

export function untilText(until: { operations: number } | { ns: number }): string {
  return 'ns' in until ? `${time(until.ns)} of simulated time` : `${number(until.operations, 6)} operations`;
}

export function sceneText(scene: Plain): string {
  return Object.entries(scene)
    .map(([path, value]) => `${path} = ${valueText(value)}`)
    .join(', ');
}
