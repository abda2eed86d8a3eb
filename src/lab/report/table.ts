/**
 * All rows of an experiment as one flat table: a line for each arm, seed and workload, and one for the totals of each run. What CSV and
 * Parquet are written from.
 *
 * A job without a result has one line, with its state and what went wrong. Columns carry their unit in their name. What is varied has a
 * column for each path, named as the path. Where an experiment reproduces a publication, its rows follow, told apart by `record`.
 */

import { verdictNames } from '../../core/truth/oracle.ts';
import { runOf } from '../compare/compare.ts';
import type { ExperimentResults, ReproductionRow } from '../compare/results.ts';
import { CYCLE_ROWS, numberAt, type Sample, sampleOf, workloadsOf } from '../compare/sample.ts';
import type { Arm, ExperimentData, Plain, Row } from '../experiment.ts';

export type Value = string | number | boolean | null;

export interface Column {
  name: string;
  type: 'text' | 'number' | 'boolean';
  values: Value[];
}

/** Line of the table before it is turned into columns. */
type Line = Record<string, Value>;

/** Text columns in the order in which they stand, before what is varied. */
const FIRST = ['record', 'experiment', 'arm', 'label', 'control', 'controlArm', 'seed', 'state'] as const;
const TEXT = new Set([
  'record',
  'experiment',
  'arm',
  'label',
  'controlArm',
  'state',
  'scope',
  'workload',
  'workloadKind',
  'problemCode',
  'problemDetail',
  'stateDigest',
  'jobKey',
  'coreVersion',
  'target',
  'what',
  'published',
  'publishedWhere',
  'publishedTag',
  'simulated',
  'status',
  'remark',
]);
const BOOLEAN = new Set(['control', 'calibrated']);

/** Of the run as a whole alone. */
const COUNTS = [
  'invalidationsGlobal',
  'invalidationsDomain',
  'invalidationsRange',
  'faults',
  'dmaBytes',
  'memoryReferences',
] as const;

const capital = (name: string) => name[0]!.toUpperCase() + name.slice(1);
const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

function figures(run: Plain, scope: Plain): Line {
  const sample: Sample = sampleOf(run, scope);
  const at = (name: string) => sample[name] ?? null;
  const measured = numberAt(scope, 'latencyNs.count') !== 0;
  const latency = (quantile: string) => (measured ? numberAt(scope, `latencyNs.${quantile}`) : null);
  const line: Line = {
    simulatedSeconds: numberAt(run, 'simulatedSeconds'),
    operations: at('operations'),
    throughputGbps: at('throughputGbps'),
    iops: at('iops'),
    operationsPerSecond: at('operationsPerSecond'),
    cyclesPerOperation: at('cyclesPerOperation'),
    cpuUtilisationShare: at('cpuUtilisation'),
    latencyMeanNs: latency('mean'),
    latencyP50Ns: latency('p50'),
    latencyP90Ns: latency('p90'),
    latencyP99Ns: latency('p99'),
    latencyP999Ns: latency('p999'),
    latencyMaxNs: latency('max'),
  };
  for (const kind of ['potential', 'actual'])
    for (const member of ['pageSeconds', 'byteSeconds', 'longestWindowNs', 'peakPages', 'windows'])
      line[`${kind}${capital(member)}`] = numberAt(scope, `exposure.${kind}.${member}`);
  Object.assign(line, {
    residualByteSeconds: numberAt(scope, 'exposure.residualByteSeconds'),
    staleAccesses: at('exposure.staleAccesses'),
    crossTenantAccesses: at('exposure.crossTenantAccesses'),
    attemptsAfterUnmap: at('exposure.attemptsAfterUnmap'),
    detectabilityShare: at('exposure.detectability'),
    hostileYieldShare: at('exposure.hostileYield'),
    iotlbLookups: numberAt(scope, 'iotlb.lookups'),
    iotlbMisses: numberAt(scope, 'iotlb.misses'),
    maps: mapCalls(run, scope, 'maps'),
    unmaps: mapCalls(run, scope, 'unmaps'),
  });
  for (const call of ['map', 'unmap'])
    for (const row of CYCLE_ROWS) line[`${call}${capital(row)}Cycles`] = numberAt(scope, `breakdown.${call}.${row}`);
  for (const verdict of verdictNames)
    line[`verdict${capital(camel(verdict))}`] = numberAt(scope, `verdicts.${verdict}`);
  for (const count of COUNTS) line[count] = scope === run ? numberAt(run, `counts.${count}`) : null;
  return line;
}

/** Of the run: what its workloads called. */
function mapCalls(run: Plain, scope: Plain, calls: 'maps' | 'unmaps'): number {
  const parts = scope === run ? workloadsOf(run) : [scope];
  return parts.reduce((sum, part) => sum + (numberAt(part, `counts.${calls}`) ?? 0), 0);
}

/** Of a run without workloads, to have the names in any case. */
const FIGURE_NAMES = Object.keys(figures({}, {}));

function linesOf(row: Row, arm: Arm | undefined, data: ExperimentData): Line[] {
  const { outcome } = row;
  const run = runOf(row);
  const first: Line = {
    record: 'run',
    experiment: data.document.id,
    arm: row.arm,
    label: arm?.label ?? null,
    control: arm?.control ?? null,
    controlArm: arm?.controlId ?? null,
    seed: row.seed,
    state: row.state,
    coreVersion: data.document.coreVersion,
    jobKey: row.key,
    stateDigest: outcome?.ok ? outcome.digest : null,
    problemCode: outcome !== null && !outcome.ok ? outcome.code : null,
    problemDetail: outcome !== null && !outcome.ok ? outcome.detail : null,
  };
  for (const [path, value] of Object.entries(arm?.varied ?? {})) first[variedName(path)] = plainValue(value);
  if (run === null) return [first];
  const parts = workloadsOf(run).map((workload) => ({
    ...first,
    scope: 'workload',
    workload: String(workload.name ?? workload.id),
    workloadKind: String(workload.kind),
    ...figures(run, workload),
  }));
  return [{ ...first, scope: 'total', ...figures(run, run) }, ...parts];
}

/** A path that is called as another column is told apart from it. */
function variedName(path: string): string {
  return KNOWN.has(path) ? `varied.${path}` : path;
}

function plainValue(value: unknown): Value {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return value;
  return value === null || value === undefined ? null : JSON.stringify(value);
}

const REPRODUCTION_NAMES = [
  'target',
  'what',
  'published',
  'publishedWhere',
  'publishedTag',
  'simulated',
  'relativeErrorShare',
  'calibrated',
  'status',
  'remark',
] as const;

function reproductionLine(row: ReproductionRow, { document }: ExperimentData): Line {
  const { where, tag, relativeError, target, what, published, simulated, calibrated, status, remark } = row;
  return {
    record: 'reproduction',
    experiment: document.id,
    coreVersion: document.coreVersion,
    ...{ target, what, published, simulated, calibrated, status, remark },
    publishedWhere: where,
    publishedTag: tag,
    relativeErrorShare: relativeError,
  };
}

const LAST = ['problemCode', 'problemDetail', 'coreVersion', 'jobKey', 'stateDigest'] as const;
const SCOPE = ['scope', 'workload', 'workloadKind'] as const;
const KNOWN: ReadonlySet<string> = new Set([...FIRST, ...SCOPE, ...FIGURE_NAMES, ...LAST, ...REPRODUCTION_NAMES]);

/** Numbers if all are, else yes or no if all are, else text. */
function variedColumn(name: string, values: Value[]): Column {
  const is = (type: string) => values.every((value) => value === null || typeof value === type);
  if (is('number')) return { name, type: 'number', values };
  if (is('boolean')) return { name, type: 'boolean', values };
  return { name, type: 'text', values: values.map((value) => (value === null ? null : String(value))) };
}

export function tableOf(data: ExperimentData, results: ExperimentResults): Column[] {
  const { document, rows } = data;
  const arms = new Map(document.arms.map((arm) => [arm.id, arm]));
  const lines = rows.flatMap((row) => linesOf(row, arms.get(row.arm), data));
  const { reproduction } = results;
  if (reproduction !== undefined) lines.push(...reproduction.rows.map((row) => reproductionLine(row, data)));
  const valuesOf = (name: string) => lines.map((line) => line[name] ?? null);
  const known = (name: string): Column => ({
    name,
    type: TEXT.has(name) ? 'text' : BOOLEAN.has(name) ? 'boolean' : 'number',
    values: valuesOf(name),
  });
  const paths = [...new Set(document.arms.flatMap(({ varied }) => Object.keys(varied)))];
  return [
    ...FIRST.map(known),
    ...paths.map((path) => variedColumn(variedName(path), valuesOf(variedName(path)))),
    ...[...SCOPE, ...FIGURE_NAMES, ...(reproduction === undefined ? [] : REPRODUCTION_NAMES), ...LAST].map(known),
  ];
}
