/**
 * What one run says, as numbers by name: a sample of an arm, or of one of its workloads.
 *
 * The names are the dotted paths of the results (`exposure.pageSeconds`). null where the run has no such number, and where it says 0
 * for want of anything to measure: a mean over no packets is not 0.
 */
import type { Plain } from '../experiment.ts';

export type Sample = Record<string, number | null>;

/** The literature's rows, in its order; the last is what a driver and its stack do beside map and unmap. */
export const CYCLE_ROWS = [
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
export const DRIVER_ROW = 'driver';

export const SAMPLE_METRICS = [
  'operations',
  'throughputGbps',
  'iops',
  'operationsPerSecond',
  'cyclesPerOperation',
  'cpuUtilisation',
  'latencyNs.p50',
  'latencyNs.p99',
  'exposure.pageSeconds',
  'exposure.byteSeconds',
  'exposure.longestWindowNs',
  'exposure.peakPages',
  'exposure.windows',
  'exposure.meanPages',
  'exposure.actualPageSeconds',
  'exposure.actualLongestWindowNs',
  'exposure.staleAccesses',
  'exposure.crossTenantAccesses',
  'exposure.attemptsAfterUnmap',
  'exposure.detectability',
  'exposure.hostileYield',
  'iotlb.missRatio',
  'iotlb.missesPerOperation',
] as const;

const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The member that a dotted path names; undefined when there is none. */
export function memberAt(document: unknown, path: string): unknown {
  let value = document;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Plain)[part];
  }
  return value;
}

export function numberAt(document: unknown, path: string): number | null {
  const value = memberAt(document, path);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Of a run's result; none for what a script was told. */
export function workloadsOf(run: Plain): Plain[] {
  return Array.isArray(run.workloads) ? run.workloads.filter(isPlain) : [];
}

/** Whether this is the result of a run at all: a reproduction's script has another shape. */
export function isRunResult(result: Plain): boolean {
  return Array.isArray(result.workloads) && isPlain(result.exposure);
}

function meanOf(values: unknown): number | null {
  if (!Array.isArray(values) || values.length === 0) return null;
  return values.reduce((sum: number, value) => sum + Number(value), 0) / values.length;
}

const share = (part: number | null, of: number | null): number | null =>
  part === null || of === null || of === 0 ? null : part / of;

/** Stale accesses that hostile workloads made, of all that they made; null where there is no such workload. */
function hostileYield(hostiles: Plain[]): number | null {
  let [got, made] = [0, 0];
  for (const hostile of hostiles) {
    got += numberAt(hostile, 'exposure.staleAccesses') ?? 0;
    made += numberAt(hostile, 'counts.offered') ?? 0;
  }
  return share(got, made);
}

/** Rates of a kind exist where a workload has one. */
function rateOf(run: Plain, scope: Plain, name: string): number | null {
  const parts = scope === run ? workloadsOf(run) : [scope];
  return parts.some((part) => name in part) ? numberAt(scope, name) : null;
}

/**
 * @param run result of a run
 * @param scope the run itself, or one of its workloads
 */
export function sampleOf(run: Plain, scope: Plain): Sample {
  const operations = numberAt(scope, 'operations');
  const seconds = numberAt(run, 'simulatedSeconds');
  const some = operations !== null && operations > 0;
  const measured = (numberAt(scope, 'latencyNs.count') ?? 0) > 0;
  const attempts = numberAt(scope, 'exposure.attemptsAfterUnmap');
  const lookups = numberAt(scope, 'iotlb.lookups');
  const misses = numberAt(scope, 'iotlb.misses');
  const potential = (name: string) => numberAt(scope, `exposure.potential.${name}`);
  const pageSeconds = potential('pageSeconds');
  const hostiles = (scope === run ? workloadsOf(run) : [scope]).filter(({ kind }) => kind === 'hostile');
  return {
    operations,
    throughputGbps: some ? rateOf(run, scope, 'throughputGbps') : null,
    iops: some ? rateOf(run, scope, 'iops') : null,
    operationsPerSecond: some ? share(operations, seconds) : null,
    cyclesPerOperation: some ? numberAt(scope, 'cyclesPerOperation') : null,
    cpuUtilisation: meanOf(scope.cpuUtilisation),
    'latencyNs.p50': measured ? numberAt(scope, 'latencyNs.p50') : null,
    'latencyNs.p99': measured ? numberAt(scope, 'latencyNs.p99') : null,
    'exposure.pageSeconds': pageSeconds,
    'exposure.byteSeconds': potential('byteSeconds'),
    'exposure.longestWindowNs': potential('longestWindowNs'),
    'exposure.peakPages': potential('peakPages'),
    'exposure.windows': potential('windows'),
    'exposure.meanPages': share(pageSeconds, seconds),
    'exposure.actualPageSeconds': numberAt(scope, 'exposure.actual.pageSeconds'),
    'exposure.actualLongestWindowNs': numberAt(scope, 'exposure.actual.longestWindowNs'),
    'exposure.staleAccesses': numberAt(scope, 'exposure.staleAccesses'),
    'exposure.crossTenantAccesses': numberAt(scope, 'exposure.crossTenantAccesses'),
    'exposure.attemptsAfterUnmap': attempts,
    'exposure.detectability': numberAt(scope, 'exposure.detectability'),
    'exposure.hostileYield': hostileYield(hostiles),
    'iotlb.missRatio': share(misses, lookups),
    'iotlb.missesPerOperation': some ? share(misses, operations) : null,
  };
}

/**
 * Cycles an operation by row. The result has the mean of a map and of an unmap: each counts as often as it was called. What timers
 * flushed is in the rows of the whole run, and in nobody's `cyclesPerOperation`; so `driver` is what the workloads' own cycles leave.
 */
export function cyclesOf(run: Plain): Sample {
  const rows: Sample = Object.fromEntries([...CYCLE_ROWS, DRIVER_ROW].map((row) => [row, null]));
  const operations = numberAt(run, 'operations');
  const total = numberAt(run, 'cyclesPerOperation');
  if (operations === null || operations === 0 || total === null) return rows;
  const called = (part: Plain, calls: 'maps' | 'unmaps') => numberAt(part, `counts.${calls}`) ?? 0;
  const parts = workloadsOf(run);
  const maps = parts.reduce((sum, part) => sum + called(part, 'maps'), 0);
  const unmaps = parts.reduce((sum, part) => sum + called(part, 'unmaps'), 0);
  let own = 0;
  for (const row of CYCLE_ROWS) {
    const [map, unmap] = [`breakdown.map.${row}`, `breakdown.unmap.${row}`];
    rows[row] = ((numberAt(run, map) ?? 0) * maps + (numberAt(run, unmap) ?? 0) * unmaps) / operations;
    for (const part of parts)
      own += (numberAt(part, map) ?? 0) * called(part, 'maps') + (numberAt(part, unmap) ?? 0) * called(part, 'unmaps');
  }
  // A sum of means is off by its last bits.
  rows[DRIVER_ROW] = Math.max(0, Math.round((total - own / operations) * 1000) / 1000);
  return rows;
}
