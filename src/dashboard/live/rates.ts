/**
 * What happened between two metrics frames. The server counts from the beginning of the session, or of the run for what belongs to
 * workloads; charts want the time between. Pure.
 *
 * `throughputGbps` times the run's nanoseconds are its bits (Gb/s is one bit a nanosecond), a mean of a breakdown times its calls the cycles.
 * The run's beginning is not in the metrics: the `runs` frames tell it (`runStartOf`).
 */
import type { Metrics, Run, WorkloadMetrics } from '../../api/contract-types.ts';

/** The literature's rows, as in the contract's `Breakdown`. */
export const ROWS = [
  'iovaAlloc',
  'iovaFind',
  'iovaFree',
  'pageTable',
  'invalidation',
  'lockWait',
  'copy',
  'vmExit',
  'other',
] as const;

export const ROW_NAMES: Record<(typeof ROWS)[number], string> = {
  iovaAlloc: 'IOVA allocation',
  iovaFind: 'IOVA look-up',
  iovaFree: 'IOVA free',
  pageTable: 'page table',
  invalidation: 'invalidation',
  lockWait: 'lock wait',
  copy: 'copy',
  vmExit: 'VM exit',
  other: 'other of the IOMMU layer',
};

/** Counters of what was invalidated, by scope. */
export const INVALIDATIONS = ['invalidationsGlobal', 'invalidationsDomain', 'invalidationsRange'] as const;

export interface Interval {
  timeNs: number;
  /** Simulated; above 0. */
  lengthNs: number;
  /** By workload, in the order of the metrics; NaN: it has none. */
  throughputGbps: number[];
  operationsPerSecond: number[];
  /** Of all CPUs, 0 to 100: the nine rows, then the rest of what was busy (driver and stack). */
  cpuPercent: number[];
  /** NaN without a look-up. */
  hitPercent: number;
  readsPerLookup: number;
  /** Of one CPU's time, in %, by lock. */
  lockPercent: number[];
  /** By verdict, in the order of the metrics. */
  verdictsPerSecond: number[];
  /** Global, of a domain, of a range of pages. */
  invalidationsPerSecond: number[];
}

interface Counted {
  timeNs: number;
  runStartNs: number | null;
  /** By workload id. */
  bits: Map<string, number>;
  operations: Map<string, number>;
  cycles: number[];
  busyNs: number;
  lookups: number;
  hits: number;
  reads: number;
  lockNs: number[];
  verdicts: number[];
  invalidations: number[];
}

/** When the run began, in simulated time; null when its document does not tell. Frames have the result at the end only. */
export function runStartOf({ timeNs, result, progress, state }: Run): number | null {
  const seconds = (result as { simulatedSeconds?: unknown } | null | undefined)?.simulatedSeconds;
  if (typeof seconds === 'number') return Math.round(timeNs - seconds * 1e9);
  return progress === 0 && state === 'running' ? timeNs : null;
}

/** Places of the workloads that carry data. */
export function carriersOf({ workloads = [] }: Metrics): number[] {
  return workloads.flatMap(({ throughputGbps }, i) => (throughputGbps === undefined ? [] : [i]));
}

/** Beginnings that are told in two ways differ by what was rounded. */
const SAME_NS = 1_000;

export class Rates {
  private readonly cpus: number;
  private readonly cpuGhz: number;
  private before: Counted | null = null;

  constructor(cpus: number, cpuGhz: number) {
    this.cpus = cpus;
    this.cpuGhz = cpuGhz;
  }

  clear(): void {
    this.before = null;
  }

  /**
   * @param leastNs a shorter time is no interval yet: the next frame has it as well
   * @returns null for the first frame, and when no simulated time went by
   */
  take(metrics: Metrics, runStartNs: number | null, leastNs = 0): Interval | null {
    const now = countedIn(metrics, runStartNs);
    const { before } = this;
    const lengthNs = before === null ? 0 : now.timeNs - before.timeNs;
    if (before !== null && lengthNs > 0 && lengthNs < leastNs && sameRunOf(before, now)) return null;
    this.before = now;
    if (before === null || lengthNs <= 0) return null;
    // Another run counts from its own beginning: what it has is all of this interval.
    const sameRun = sameRunOf(before, now);
    const inRun = (value: number, old: number | undefined) => Math.max(0, value - (sameRun ? (old ?? 0) : 0));
    const knowsRun = now.runStartNs !== null;
    const workloads = metrics.workloads ?? [];
    const rows = now.cycles.map((cycles, i) => inRun(cycles, before.cycles[i]));
    const wholeNs = lengthNs * this.cpus;
    const percent = (cycles: number) => (cycles / this.cpuGhz / wholeNs) * 100;
    const busy = (Math.max(0, now.busyNs - before.busyNs) / wholeNs) * 100;
    const ofRows = rows.map(percent);
    const rest = Math.max(0, busy - ofRows.reduce((sum, each) => sum + each, 0));
    const lookups = Math.max(0, now.lookups - before.lookups);
    const per = (value: number) => (lookups === 0 ? Number.NaN : value / lookups);
    return {
      timeNs: now.timeNs,
      lengthNs,
      throughputGbps: workloads.map(({ id, throughputGbps }) =>
        throughputGbps === undefined || !knowsRun
          ? (throughputGbps ?? Number.NaN)
          : inRun(now.bits.get(String(id)) ?? 0, before.bits.get(String(id))) / lengthNs,
      ),
      operationsPerSecond: workloads.map(
        ({ id }) => (inRun(now.operations.get(String(id)) ?? 0, before.operations.get(String(id))) / lengthNs) * 1e9,
      ),
      cpuPercent: [...ofRows, rest],
      hitPercent: 100 * per(Math.max(0, now.hits - before.hits)),
      readsPerLookup: per(Math.max(0, now.reads - before.reads)),
      lockPercent: now.lockNs.map((ns, i) => (Math.max(0, ns - (before.lockNs[i] ?? 0)) / lengthNs) * 100),
      verdictsPerSecond: perSecond(now.verdicts, before.verdicts, lengthNs),
      invalidationsPerSecond: perSecond(now.invalidations, before.invalidations, lengthNs),
    };
  }
}

function sameRunOf(before: Counted, now: Counted): boolean {
  return Math.abs((before.runStartNs ?? 0) - (now.runStartNs ?? 0)) < SAME_NS;
}

function perSecond(now: readonly number[], before: readonly number[], lengthNs: number): number[] {
  return now.map((count, i) => (Math.max(0, count - (before[i] ?? 0)) / lengthNs) * 1e9);
}

function countedIn(metrics: Metrics, runStartNs: number | null): Counted {
  const { timeNs = 0, cpuUtilisation = [], workloads = [], counters = {}, iotlb, locks = [], verdicts = {} } = metrics;
  const runNs = runStartNs === null ? 0 : timeNs - runStartNs;
  return {
    timeNs,
    runStartNs,
    bits: new Map(workloads.map(({ id, throughputGbps = 0 }) => [String(id), throughputGbps * runNs])),
    operations: new Map(workloads.map(({ id, operations = 0 }) => [String(id), operations])),
    cycles: cyclesOf(metrics),
    busyNs: cpuUtilisation.reduce((sum, share) => sum + share, 0) * timeNs,
    lookups: iotlb?.lookups ?? 0,
    hits: iotlb?.hits ?? 0,
    reads: (counters as Record<string, number>).memoryReferences ?? 0,
    lockNs: locks.map(({ waitNs = 0 }) => waitNs),
    verdicts: Object.values(verdicts as Record<string, number>),
    invalidations: INVALIDATIONS.map((name) => (counters as Record<string, number>)[name] ?? 0),
  };
}

/** Of the run: mean of a call, times the calls of all workloads. */
function cyclesOf({ breakdown, workloads = [] }: Metrics): number[] {
  const calls = (name: 'maps' | 'unmaps') => workloads.reduce((sum, each) => sum + callsOf(each, name), 0);
  const [maps, unmaps] = [calls('maps'), calls('unmaps')];
  const mean = breakdown as { map?: Record<string, number>; unmap?: Record<string, number> } | undefined;
  return ROWS.map((row) => (mean?.map?.[row] ?? 0) * maps + (mean?.unmap?.[row] ?? 0) * unmaps);
}

function callsOf({ counts }: WorkloadMetrics, name: string): number {
  return ((counts ?? {}) as Record<string, number>)[name] ?? 0;
}
