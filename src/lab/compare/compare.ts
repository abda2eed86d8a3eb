/**
 * From the outcomes of jobs to what an experiment says: figures over seeds, comparisons with a verdict only beyond the spread, frontier.
 * Pure: the same data give the same results. Works on what is there while an experiment still runs, or where jobs have failed.
 */
import { resolveSpec } from '../../core/index.ts';
import type { Arm, ExperimentData, ExperimentInput, ExperimentRequest, Plain, Row } from '../experiment.ts';
import { type BySeed, differenceOf, QUANTILE_BUCKET } from './difference.ts';
import { figureOf } from './figure.ts';
import { type Candidate, frontiersOf, knobsOf, sceneOf } from './frontier.ts';
import { pairsOf, textOf } from './pairs.ts';
import type { ArmResult, Bucket, Comparison, ExperimentResults, Failure, Measured, WorkloadResult } from './results.ts';
import {
  CYCLE_ROWS,
  cyclesOf,
  DRIVER_ROW,
  isRunResult,
  memberAt,
  numberAt,
  type Sample,
  sampleOf,
  workloadsOf,
} from './sample.ts';

/** By which figures two arms are compared, where both have them. */
export const COMPARED = [
  'throughputGbps',
  'iops',
  'cyclesPerOperation',
  'latencyNs.p99',
  'exposure.pageSeconds',
  'exposure.longestWindowNs',
  'exposure.staleAccesses',
] as const;
/** For arms that have neither of the first two: a benchmark of maps. */
const OPERATIONS = 'operationsPerSecond';

/** Figures that are so many operations in a time, or a sum over so many. */
const BY_OPERATIONS: ReadonlySet<string> = new Set(['throughputGbps', 'iops', OPERATIONS, 'cyclesPerOperation']);

/** Modes under which a device reaches all memory, or all of its guest's. */
const UNPROTECTED = new Set(['passthrough', 'direct']);

interface Finished {
  seed: number;
  run: Plain;
  sample: Sample;
}

interface Resolved {
  profile: string | null;
  unprotected: boolean;
  /** The same for arms that run the same traffic on the same machine, however that was written. */
  scene: string;
  /** Without gaps; null where this version cannot resolve it. */
  full: Plain | null;
}

/** What a spec is taken for; by what is varied alone where this version cannot resolve it. */
function takenFor({ spec, varied }: Arm): Resolved {
  try {
    const resolved = resolveSpec(spec);
    const full = resolved as unknown as Plain;
    const unprotected = UNPROTECTED.has(resolved.policy.mode);
    return { profile: resolved.costs.profile, unprotected, scene: textOf(sceneOf(full)), full };
  } catch {
    return { profile: null, unprotected: false, scene: textOf(sceneOf(varied)), full: null };
  }
}

/** The result of a run; null without one, and for what a script was told. */
export function runOf({ outcome }: Row): Plain | null {
  return outcome?.ok && isRunResult(outcome.result) ? outcome.result : null;
}

/**
 * Whether the experiment is that of a publication. Its arms state runs of their own and differ in more than is varied: they are held
 * against what was published, not against each other.
 */
const isReproduction = ({ preset }: ExperimentRequest): boolean => preset?.startsWith('repro/') === true;

/** What sends an arm alone; one of a reproduction is there only as part of it. */
export function rerunOf({ spec }: Arm, request: ExperimentRequest): ExperimentInput {
  const { preset, until, warmUp, seeds } = request;
  if (preset !== undefined && isReproduction(request)) return { preset };
  return { base: spec, until, ...(warmUp !== undefined && { warmUp }), seeds, control: false };
}

/** @param parts workloads, which say what rates there are */
function measuredOf(samples: readonly Sample[], parts: readonly Plain[]): Measured {
  const figure = (metric: string) => figureOf(samples.map((sample) => sample[metric] ?? null));
  const rate = (name: 'throughputGbps' | 'iops') =>
    parts.some((part) => name in part) ? { [name]: figure(name) } : undefined;
  return {
    operations: figure('operations'),
    ...rate('throughputGbps'),
    ...rate('iops'),
    operationsPerSecond: figure(OPERATIONS),
    cyclesPerOperation: figure('cyclesPerOperation'),
    cpuUtilisation: figure('cpuUtilisation'),
    latencyNs: { p50: figure('latencyNs.p50'), p99: figure('latencyNs.p99') },
    exposure: {
      pageSeconds: figure('exposure.pageSeconds'),
      byteSeconds: figure('exposure.byteSeconds'),
      longestWindowNs: figure('exposure.longestWindowNs'),
      peakPages: figure('exposure.peakPages'),
      windows: figure('exposure.windows'),
      meanPages: figure('exposure.meanPages'),
      actualPageSeconds: figure('exposure.actualPageSeconds'),
      actualLongestWindowNs: figure('exposure.actualLongestWindowNs'),
      staleAccesses: figure('exposure.staleAccesses'),
      crossTenantAccesses: figure('exposure.crossTenantAccesses'),
      attemptsAfterUnmap: figure('exposure.attemptsAfterUnmap'),
      detectability: figure('exposure.detectability'),
      hostileYield: figure('exposure.hostileYield'),
    },
    iotlb: { missRatio: figure('iotlb.missRatio'), missesPerOperation: figure('iotlb.missesPerOperation') },
  };
}

/** Workloads are told by their place: those of one arm are the same with every seed. */
function workloadResults(finished: readonly Finished[]): WorkloadResult[] {
  const [first] = finished;
  if (first === undefined) return [];
  return workloadsOf(first.run).map((workload, place) => {
    const own = finished.flatMap(({ run }) => {
      const part = workloadsOf(run)[place];
      return part === undefined ? [] : [{ part, sample: sampleOf(run, part) }];
    });
    const measured = measuredOf(
      own.map(({ sample }) => sample),
      own.map(({ part }) => part),
    );
    const id = String(workload.id ?? place);
    return { id, name: String(workload.name ?? id), kind: String(workload.kind), ...measured };
  });
}

/** Width of the bucket of this grid, eight to the octave, in which a value lies. Whole below 16. */
function widthAt(value: number): number {
  let width = 1;
  while (value >= width * 16) width *= 2;
  return width;
}

/** Counts of all seeds. Each bucket of a run, 32 to the octave, lies in one of these. */
function windowsOf(finished: readonly Finished[]): Bucket[] {
  const counts = new Map<number, number>();
  for (const { run } of finished) {
    const histogram = memberAt(run, 'exposure.potential.histogram');
    for (const { from, count } of Array.isArray(histogram) ? (histogram as Bucket[]) : []) {
      const low = from - (from % widthAt(from));
      counts.set(low, (counts.get(low) ?? 0) + count);
    }
  }
  const buckets = [...counts].map(([from, count]) => ({ from, to: from + widthAt(from), count }));
  return buckets.sort((a, b) => a.from - b.from);
}

function armResult(
  arm: Arm,
  { profile, unprotected }: Resolved,
  finished: readonly Finished[],
  request: ExperimentRequest,
): ArmResult {
  const cycles = finished.map(({ run }) => cyclesOf(run));
  const assumptions = finished.flatMap(({ run }) => (Array.isArray(run.assumptions) ? run.assumptions : []));
  return {
    id: arm.id,
    label: arm.label,
    control: arm.control,
    controlId: arm.controlId,
    varied: arm.varied,
    seeds: finished.map(({ seed }) => seed),
    simulatedSeconds: figureOf(finished.map(({ run }) => numberAt(run, 'simulatedSeconds'))),
    unprotected,
    ...measuredOf(
      finished.map(({ sample }) => sample),
      finished.flatMap(({ run }) => workloadsOf(run)),
    ),
    workloads: workloadResults(finished),
    cycles: Object.fromEntries(
      [...CYCLE_ROWS, DRIVER_ROW].map((row) => [row, figureOf(cycles.map((sample) => sample[row]!))]),
    ),
    windowsNs: windowsOf(finished),
    profile,
    assumptions: [...new Set(assumptions.map(String))].sort(),
    rerun: rerunOf(arm, request),
  };
}

function valuesOf(finished: readonly Finished[], metric: string): BySeed {
  const values = new Map<number, number>();
  for (const { seed, sample } of finished) {
    const value = sample[metric];
    if (value !== null && value !== undefined) values.set(seed, value);
  }
  return values;
}

type Values = (arm: string, metric: string) => BySeed;

function comparisonsOf(arms: readonly Arm[], values: Values): Comparison[] {
  return pairsOf(arms).flatMap(({ a, b }) => {
    const [{ id: one }, { id: other }] = [a, b];
    const both = (metric: string) => values(one, metric).size > 0 && values(other, metric).size > 0;
    const metrics: string[] = COMPARED.filter(both);
    if (!both('throughputGbps') && !both('iops') && both(OPERATIONS)) metrics.unshift(OPERATIONS);
    return metrics.flatMap((metric) => {
      const resolution = resolutionOf(metric, [
        ...values(one, 'operations').values(),
        ...values(other, 'operations').values(),
      ]);
      const difference = differenceOf(values(one, metric), values(other, metric), resolution);
      return difference === null ? [] : { a: one, b: other, metric, ...difference };
    });
  });
}

/**
 * Factor between two values that may be the same one. Where a run begins and ends, an operation more or less is chance.
 *
 * @param operations of the runs
 */
function resolutionOf(metric: string, operations: readonly number[]): number {
  if (metric.startsWith('latencyNs')) return QUANTILE_BUCKET;
  const fewest = Math.min(...operations);
  return BY_OPERATIONS.has(metric) && fewest > 0 ? 1 + 2 / fewest : 1;
}

function failuresOf(rows: readonly Row[]): Failure[] {
  return rows.flatMap(({ arm, seed, outcome }) =>
    outcome !== null && !outcome.ok ? { arm, seed, code: outcome.code, detail: outcome.detail } : [],
  );
}

export function compareExperiment({ document, rows }: ExperimentData): ExperimentResults {
  const finished = new Map<string, Finished[]>(document.arms.map(({ id }) => [id, []]));
  for (const row of rows) {
    const run = runOf(row);
    if (run !== null) finished.get(row.arm)?.push({ seed: row.seed, run, sample: sampleOf(run, run) });
  }
  for (const each of finished.values()) each.sort((a, b) => a.seed - b.seed);
  const known = new Map<string, BySeed>();
  const values: Values = (arm, metric) => {
    const key = `${arm} ${metric}`;
    const made = known.get(key) ?? valuesOf(finished.get(arm) ?? [], metric);
    known.set(key, made);
    return made;
  };
  const taken = document.arms.map((arm) => ({ arm, is: takenFor(arm) }));
  const arms = taken.map(({ arm, is }) => armResult(arm, is, finished.get(arm.id)!, document.request));
  const alone = isReproduction(document.request);
  const candidates: Candidate[] = (alone ? [] : taken)
    .filter(({ arm, is }) => !arm.control && !is.unprotected)
    .map(({ arm: { id, varied }, is: { scene } }) => ({
      id,
      varied,
      scene,
      values: (metric) => values(id, metric),
    }));
  const frontiers = frontiersOf(candidates);
  const takenOf = new Map(taken.map(({ arm, is }) => [arm.id, { varied: arm.varied, full: is.full }]));
  return {
    experiment: document.id,
    state: document.state,
    complete: rows.length >= document.jobs.total && rows.every(({ outcome }) => outcome?.ok === true),
    arms,
    comparisons: alone ? [] : comparisonsOf(document.arms, values),
    frontier: frontiers.flatMap(({ frontier }) => frontier),
    dominated: frontiers.flatMap((group) => group.dominated.map(({ arm }) => arm)),
    frontiers,
    knobs: knobsOf(
      frontiers,
      (arm) => takenOf.get(arm)!.varied,
      (arm, path) => {
        const { varied, full } = takenOf.get(arm)!;
        return path in varied ? varied[path] : memberAt(full, path);
      },
    ),
    failures: failuresOf(rows),
  };
}
