/** What an experiment comes to: verdicts, the frontier of speed against exposure, and what one knob does. */
import type { ArmResult, Comparison, ExperimentResults, FrontierGroup } from '../../lab/compare/results.ts';
import { count, figure, pageSeconds } from '../figures.ts';
import { harmless, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** More verdicts than this are for --json and the report. */
const MOST_VERDICTS = 24;

const NAMES: Record<string, string> = {
  throughputGbps: 'throughput',
  iops: 'I/Os a second',
  operationsPerSecond: 'operations a second',
  cyclesPerOperation: 'cycles an operation',
  'latencyNs.p99': 'latency, p99',
  'exposure.pageSeconds': 'exposed page-seconds',
  'exposure.longestWindowNs': 'longest window',
  'exposure.staleAccesses': 'stale accesses',
};

const SPEEDS = ['throughputGbps', 'iops', 'operationsPerSecond'];

type Labels = (id: string) => string;

function labelsOf({ arms }: ExperimentResults): Labels {
  const labels = new Map(arms.map(({ id, label }) => [id, harmless(label)]));
  return (id) => labels.get(id) ?? id;
}

/** Against a control only what it costs: what it exposes is all memory. */
function worthShowing(comparisons: readonly Comparison[], arms: readonly ArmResult[]): Comparison[] {
  const controls = new Set(arms.filter(({ control, unprotected }) => control || unprotected).map(({ id }) => id));
  return comparisons.filter(({ a, b, metric }) => {
    const cost = SPEEDS.includes(metric) || metric === 'cyclesPerOperation';
    if (controls.has(a) || controls.has(b)) return cost;
    return SPEEDS.includes(metric) || metric === 'exposure.pageSeconds' || metric === 'exposure.staleAccesses';
  });
}

export function showVerdicts(terminal: Terminal, results: ExperimentResults): void {
  const labelOf = labelsOf(results);
  const all = worthShowing(results.comparisons, results.arms);
  if (all.length === 0) return;
  const shown = all.slice(0, MOST_VERDICTS);
  terminal.out(terminal.style('bold', 'Verdicts'));
  const { lines } = table(
    [
      { title: 'of', cells: shown.map(({ a }) => labelOf(a)), shortest: 10 },
      { title: 'against', cells: shown.map(({ b }) => labelOf(b)), shortest: 10 },
      { title: 'figure', cells: shown.map(({ metric }) => NAMES[metric] ?? metric), shortest: 10 },
      { title: 'ratio', cells: shown.map(({ ratio }) => figure(ratio)), align: 'right', rank: 1 },
      { title: 'between', cells: shown.map(betweenOf), align: 'right', rank: 2 },
      { title: 'verdict', cells: shown.map(verdictOf), shortest: 12 },
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
  if (shown.length < all.length)
    terminal.prose(`${all.length - shown.length} more are in --json and in the report.`, 'dim');
  terminal.out('');
}

function betweenOf({ low, high }: Comparison): string {
  return low === null || high === null ? '-' : `${figure(low)} and ${figure(high)}`;
}

function verdictOf({ verdict, oneSeed }: Comparison): string {
  return oneSeed && verdict !== 'no difference seen' ? `${verdict} (one seed)` : verdict;
}

export function showFrontier(terminal: Terminal, results: ExperimentResults): void {
  const labelOf = labelsOf(results);
  const arms = new Map(results.arms.map((arm) => [arm.id, arm]));
  for (const group of results.frontiers) {
    const scene = Object.entries(group.scene).map(([path, value]) => `${path} ${JSON.stringify(value)}`);
    const at = scene.length === 0 ? '' : ` at ${harmless(scene.join(', '))}`;
    terminal.out(terminal.style('bold', `Frontier${at}: no other arm is better in one and not worse in the other`));
    const sorted = group.frontier
      .map((id) => arms.get(id))
      .filter((arm) => arm !== undefined)
      .sort((a, b) => (speedOf(b, group) ?? 0) - (speedOf(a, group) ?? 0));
    if (group.better === 'lower') sorted.reverse();
    for (const arm of sorted)
      terminal.prose(
        `  ${harmless(arm.label)}: ${speedText(arm, group)}, ${pageSeconds(arm.exposure.pageSeconds?.median)} exposed, ${count(arm.exposure.staleAccesses?.median)} stale accesses`,
      );
    if (group.loadLimited)
      terminal.prose('  All carry the same load, so what counts here is what an operation costs.', 'dim');
    for (const { arm, by } of group.dominated)
      terminal.prose(`  dominated: ${labelOf(arm)}, by ${by.map(labelOf).join(' and by ')}`, 'dim');
    terminal.out('');
  }
  if (results.knobs.length === 0) return;
  terminal.out(terminal.style('bold', 'One knob apart'));
  for (const { a, b, path, from, to } of results.knobs)
    terminal.prose(`  ${labelOf(a)} and ${labelOf(b)}: ${path} ${JSON.stringify(from)} or ${JSON.stringify(to)}`);
  terminal.out('');
}

function speedOf(arm: ArmResult, { speed }: FrontierGroup): number | null {
  return arm[speed]?.median ?? null;
}

function speedText(arm: ArmResult, group: FrontierGroup): string {
  const value = speedOf(arm, group);
  switch (group.speed) {
    case 'throughputGbps':
      return `${figure(value)} Gb/s`;
    case 'iops':
      return `${count(value)} I/Os a second`;
    case 'operationsPerSecond':
      return `${count(value)} operations a second`;
    case 'cyclesPerOperation':
      return `${figure(value)} cycles an operation`;
  }
}

/** @returns whether there are any */
export function showFailures(terminal: Terminal, results: ExperimentResults): boolean {
  const labelOf = labelsOf(results);
  for (const { arm, seed, code, detail } of results.failures)
    terminal.err(`iommu-lab: ${labelOf(arm)}, seed ${seed} failed: ${harmless(detail)} (${code})`);
  return results.failures.length > 0;
}
