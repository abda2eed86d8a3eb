/** What an experiment comes to: verdicts, the frontier of speed against exposure, and what one knob does. */
import type { ArmResult, Comparison, ExperimentResults, FrontierGroup } from '../../lab/compare/results.ts';
import { count, counted, figure, pageSeconds } from '../figures.ts';
import { harmless } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** More are for --json and the report. */
const MOST_PAIRS = 12;

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

/** Up to here a difference is told in per cent. */
const NEAR = 0.1;

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
  const pairs = Map.groupBy(all, ({ a, b }) => `${a} ${b}`);
  if (pairs.size === 0) return;
  const oneSeed = all.every((each) => each.oneSeed);
  const note = oneSeed
    ? ' (of one seed: how far others spread is not known)'
    : ', as ratios, where they exceed the spread';
  terminal.prose(`Differences${note}`, 'bold');
  for (const comparisons of [...pairs.values()].slice(0, MOST_PAIRS)) {
    const { a, b } = comparisons[0]!;
    const seen = comparisons.filter(({ verdict }) => verdict !== 'no difference seen').map(saidOf);
    const equal = comparisons.filter(({ verdict }) => verdict === 'no difference seen').map(nameOf);
    const none = equal.length === 0 ? [] : [`no difference seen in ${equal.join(', ')}`];
    terminal.prose(`  ${labelOf(a)} against ${labelOf(b)}: ${[...seen, ...none].join('; ')}`);
  }
  if (pairs.size > MOST_PAIRS)
    terminal.prose(`  ${pairs.size - MOST_PAIRS} more pairs are in --json and in the report.`, 'dim');
  terminal.out('');
}

function nameOf({ metric }: Comparison): string {
  return NAMES[metric] ?? metric;
}

/** `throughput lower (x 0.466)`, `(0.05 %)` where that says more, and between what where the seeds differ. */
function saidOf(comparison: Comparison): string {
  const { ratio, low, high, verdict } = comparison;
  const head = `${nameOf(comparison)} ${verdict}`;
  if (ratio === null) return head;
  const near = [ratio, low, high].every((value) => value === null || Math.abs(value - 1) < NEAR);
  const text = (value: number) =>
    near ? `${value < 1 ? '-' : '+'}${figure(Math.abs(value - 1) * 100)}` : figure(value);
  const between = low === null || high === null || text(low) === text(high) ? '' : `, ${text(low)} to ${text(high)}`;
  return `${head} (${near ? '' : 'x '}${text(ratio)}${between}${near ? ' %' : ''})`;
}

export function showFrontier(terminal: Terminal, results: ExperimentResults): void {
  const labelOf = labelsOf(results);
  const arms = new Map(results.arms.map((arm) => [arm.id, arm]));
  for (const group of results.frontiers) {
    const scene = Object.entries(group.scene).map(([path, value]) => `${path} ${JSON.stringify(value)}`);
    const at = scene.length === 0 ? '' : ` at ${harmless(scene.join(', '))}`;
    terminal.prose(
      `Frontier of speed and exposure${at}: no other arm is better in one and as good in the other`,
      'bold',
    );
    const sorted = group.frontier
      .map((id) => arms.get(id))
      .filter((arm) => arm !== undefined)
      .sort((a, b) => (speedOf(b, group) ?? 0) - (speedOf(a, group) ?? 0));
    if (group.better === 'lower') sorted.reverse();
    for (const arm of sorted)
      terminal.prose(
        `  ${harmless(arm.label)}: ${speedText(arm, group)}, ${pageSeconds(arm.exposure.pageSeconds?.median)} exposed, ${counted(arm.exposure.staleAccesses?.median, 'stale access', 'stale accesses')}`,
      );
    if (group.loadLimited)
      terminal.prose('  All carry the same load, so what counts here is what an operation costs.', 'dim');
    for (const { arm, by } of group.dominated)
      terminal.prose(`  dominated: ${labelOf(arm)}, by ${by.map(labelOf).join(' and by ')}`, 'dim');
    terminal.out('');
  }
  if (results.knobs.length === 0) return;
  terminal.prose('One knob apart', 'bold');
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
