/** Comparisons of an experiment in words, and its figures as text. Pure. */
import type { ExperimentArmResult, ExperimentComparison, Figure } from '../../api/contract-types.ts';
import { count, duration, figure, share } from '../format.ts';

interface Metric {
  name: string;
  text(value: number): string;
  /** Of the arm that has more of it. */
  more: string;
  /** What such an arm has where another has none. */
  some?: string;
}

/** By the dotted path into an arm. */
export const METRICS: Readonly<Record<string, Metric>> = {
  throughputGbps: { name: 'throughput', text: (value) => `${figure(value)} Gb/s`, more: 'the throughput of' },
  iops: { name: 'I/Os per second', text: (value) => figure(value), more: 'the I/Os of' },
  operationsPerSecond: { name: 'operations per second', text: (value) => figure(value), more: 'the operations of' },
  cyclesPerOperation: { name: 'cycles per operation', text: (value) => figure(value), more: 'the cycles of' },
  'latencyNs.p99': { name: 'latency at p99', text: duration, more: 'the p99 latency of' },
  'exposure.pageSeconds': {
    name: 'page-seconds exposed',
    text: (value) => figure(value),
    more: 'the page-seconds of',
    some: 'pages exposed',
  },
  'exposure.longestWindowNs': {
    name: 'longest window',
    text: duration,
    more: 'the longest window of',
    some: 'open windows',
  },
  'exposure.staleAccesses': { name: 'stale accesses', text: (value) => count(value), more: 'the stale accesses of' },
  cpuUtilisation: { name: 'CPU', text: share, more: 'the CPU of' },
};

export const metricName = (metric: string): string => METRICS[metric]?.name ?? metric;

/** A member of an arm by its dotted path; null where it has none. */
export function figureAt(arm: ExperimentArmResult, metric: string): Figure {
  let at: unknown = arm;
  for (const part of metric.split('.'))
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[part] : undefined;
  return (at as Figure | undefined) ?? null;
}

export function figureText(value: Figure, metric: string): string {
  return value === null ? '–' : (METRICS[metric]?.text ?? figure)(value.median);
}

/** `9.60 to 9.71 Gb/s`; empty where all seeds came to the same. */
export function spreadText(value: Figure, metric: string): string {
  if (value === null || value.low === value.high) return '';
  const text = METRICS[metric]?.text ?? figure;
  return `${text(value.low)} to ${text(value.high)}`;
}

/** Closer than this to 1, a ratio is said in per cent. */
const NEARLY = 1.2;

/** `strict has 2.70 times the cycles of deferred-2008, over 3 seeds`. */
export function sentenceOf(comparison: ExperimentComparison, labelOf: (id: string) => string): string {
  const { a, b, metric, ratio, verdict } = comparison;
  const words = METRICS[metric];
  if (verdict === 'no difference seen')
    return `No difference seen between ${labelOf(a)} and ${labelOf(b)} in the ${metricName(metric)}.`;
  const [more, less] = verdict === 'higher' ? [a, b] : [b, a];
  const times = ratio === null || ratio === 0 ? null : verdict === 'higher' ? ratio : 1 / ratio;
  const seeds = typeof comparison.seeds === 'number' ? comparison.seeds : null;
  const rests =
    comparison.oneSeed === true || seeds === 1
      ? ' (one seed: how far seeds spread is not known)'
      : seeds === null
        ? ''
        : `, over ${seeds} seeds`;
  if (times === null)
    return `${labelOf(more)} has ${words?.some ?? metricName(metric)} and ${labelOf(less)} has none${rests}.`;
  if (times < NEARLY)
    return `${labelOf(more)} has ${share(times - 1)} more than ${labelOf(less)} in the ${metricName(metric)}${rests}.`;
  return `${labelOf(more)} has ${figure(times)} times ${words?.more ?? `the ${metric} of`} ${labelOf(less)}${rests}.`;
}

/** What is said of one arm: differences first, then in what none was seen, by other arm. */
export function verdictsOf(
  arm: string,
  comparisons: readonly ExperimentComparison[],
  labelOf: (id: string) => string,
  isUnprotected: (id: string) => boolean = () => false,
): { other: string; differences: string[]; alike: string[] }[] {
  const byOther = new Map<string, { other: string; differences: string[]; alike: string[] }>();
  for (const comparison of comparisons) {
    if (comparison.a !== arm && comparison.b !== arm) continue;
    const other = comparison.a === arm ? comparison.b : comparison.a;
    // Without protection no window ever opens: the 0 of such an arm is not that of a strict one.
    if (comparison.metric.startsWith('exposure.') && (isUnprotected(arm) || isUnprotected(other))) continue;
    let entry = byOther.get(other);
    if (entry === undefined) byOther.set(other, (entry = { other, differences: [], alike: [] }));
    if (comparison.verdict === 'no difference seen') entry.alike.push(metricName(comparison.metric));
    else entry.differences.push(sentenceOf(comparison, labelOf));
  }
  return [...byOther.values()];
}

/** `policy.invalidation: strict`; objects by their kind where they have one. */
export function variedText(varied: Readonly<Record<string, unknown>>): string {
  return Object.entries(varied)
    .map(([path, value]) => `${path}: ${valueText(value)}`)
    .join(', ');
}

export function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const { kind, ...rest } = value as Record<string, unknown>;
    if (typeof kind === 'string') return Object.keys(rest).length === 0 ? kind : `${kind} ${JSON.stringify(rest)}`;
  }
  return JSON.stringify(value);
}
