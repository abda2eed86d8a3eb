/**
 * The Pareto frontier of speed against exposure: the arms to which no other is preferable.
 *
 * Arms are set against each other only where they run the same traffic on the same machine: one that moves ten times as many packets has
 * more exposed pages by that alone. So there is one frontier for each *scene*: what is varied other than policy, chip and command line.
 *
 * An arm is dominated by another that is better by more than the spread in one of the two and not worse by more than the spread in the
 * other. Speed is throughput, else I/Os, else operations; where all arms are equally fast, because what they are offered or the wire
 * limits them, it is the cycles that an operation takes. Exposure is page-seconds of `potential` windows (what the policy leaves open,
 * whether or not a translation happened to be cached), and where these do not differ stale accesses.
 *
 * Controls are on no frontier, nor is any arm under which a device reaches all memory: nothing is ever taken away from it, so no window
 * opens, and its exposure of 0 is not that of `strict`. Beside the others it would dominate them all.
 */
import type { Plain } from '../experiment.ts';
import { type BySeed, verdictBetween } from './difference.ts';
import { differing } from './pairs.ts';
import type { ComparisonVerdict, FrontierGroup, Knob } from './results.ts';

export interface Candidate {
  id: string;
  varied: Plain;
  /** Equal for those that may be set against each other. */
  scene: string;
  /** By metric. */
  values: (metric: string) => BySeed;
}

/** What one decides on, or what is only a name; all else is what one has to live with. Seeds are no scenes. */
const CHOICE = /^(policy|iommu|kernelCommandLine|seed|name|title)(\.|$)/;

/** Medians this close count as the same load carried: an arm's last packets may fall before or behind the end of its run. */
const SAME_LOAD = 0.01;

const SPEEDS = ['throughputGbps', 'iops', 'operationsPerSecond'] as const;
const CYCLES = 'cyclesPerOperation';
const PAGE_SECONDS = 'exposure.pageSeconds';
const STALE_ACCESSES = 'exposure.staleAccesses';

/** @param members of a spec, or dotted paths into one */
export function sceneOf(members: Plain): Plain {
  return Object.fromEntries(Object.entries(members).filter(([path]) => !CHOICE.test(path)));
}

function verdict(a: Candidate, b: Candidate, metric: string): ComparisonVerdict {
  return verdictBetween(a.values(metric), b.values(metric));
}

/** 1: `a` is better, -1: worse, 0: as good as can be told. */
function compareSpeed(a: Candidate, b: Candidate, { speed, better }: Pick<FrontierGroup, 'speed' | 'better'>): number {
  const seen = verdict(a, b, speed);
  if (seen === 'no difference seen') return 0;
  return seen === better ? 1 : -1;
}

function compareExposure(a: Candidate, b: Candidate): number {
  for (const metric of [PAGE_SECONDS, STALE_ACCESSES]) {
    const seen = verdict(a, b, metric);
    if (seen !== 'no difference seen') return seen === 'lower' ? 1 : -1;
  }
  return 0;
}

const middleOf = (values: BySeed) => {
  const sorted = [...values.values()].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
};

type Axis = Pick<FrontierGroup, 'speed' | 'better' | 'loadLimited'>;

/** null: not all have the same kind of speed, so that they cannot be set against each other. */
export function axisOf(candidates: readonly Candidate[]): Axis | null {
  const has = (metric: string) => candidates.every((candidate) => candidate.values(metric).size > 0);
  const speed = SPEEDS.find(has);
  if (speed === undefined) return null;
  const medians = candidates.map((candidate) => middleOf(candidate.values(speed)));
  const same = Math.max(...medians) * (1 - SAME_LOAD) <= Math.min(...medians);
  const costs = candidates.some((candidate) => [...candidate.values(CYCLES).values()].some((cycles) => cycles > 0));
  if (candidates.length > 1 && same && has(CYCLES) && costs)
    return { speed: CYCLES, better: 'lower', loadLimited: true };
  return { speed, better: 'higher', loadLimited: false };
}

function frontierOf(candidates: readonly Candidate[], scene: Plain): FrontierGroup | null {
  const measured = candidates.filter(
    (candidate) =>
      candidate.values(PAGE_SECONDS).size > 0 && SPEEDS.some((metric) => candidate.values(metric).size > 0),
  );
  const axis = axisOf(measured);
  if (axis === null || measured.length === 0) return null;
  const beatenBy: string[][] = measured.map(() => []);
  for (const [i, a] of measured.entries())
    for (let j = i + 1; j < measured.length; j++) {
      const b = measured[j]!;
      const [speed, exposure] = [compareSpeed(a, b, axis), compareExposure(a, b)];
      if (speed >= 0 && exposure >= 0 && speed + exposure > 0) beatenBy[j]!.push(a.id);
      if (speed <= 0 && exposure <= 0 && speed + exposure < 0) beatenBy[i]!.push(b.id);
    }
  let dominated = measured.map(({ id }, i) => ({ arm: id, by: beatenBy[i]! })).filter(({ by }) => by.length > 0);
  // "As good as can be told" is not transitive: three arms with much spread can each be preferable to the next. None is then dropped.
  if (dominated.length === measured.length) dominated = [];
  const beaten = new Set(dominated.map(({ arm }) => arm));
  return { scene, ...axis, frontier: measured.map(({ id }) => id).filter((id) => !beaten.has(id)), dominated };
}

/** Those without figures are in none. */
export function frontiersOf(candidates: readonly Candidate[]): FrontierGroup[] {
  const scenes = Map.groupBy(candidates, ({ scene }) => scene);
  return [...scenes.values()].flatMap((members) => frontierOf(members, sceneOf(members[0]!.varied)) ?? []);
}

/** Pairs of one frontier that a single knob separates. @param valueAt what an arm has at a path, whether it varies it or not */
export function knobsOf(
  groups: readonly FrontierGroup[],
  variedOf: (arm: string) => Plain,
  valueAt: (arm: string, path: string) => unknown,
): Knob[] {
  const knobs: Knob[] = [];
  for (const { frontier } of groups)
    for (const [i, a] of frontier.entries())
      for (const b of frontier.slice(i + 1)) {
        const [one, other] = [variedOf(a), variedOf(b)];
        const paths = differing(one, other);
        const [path] = paths;
        if (paths.length !== 1 || path === undefined) continue;
        knobs.push({ a, b, path, from: valueAt(a, path) ?? null, to: valueAt(b, path) ?? null });
      }
  return knobs;
}
