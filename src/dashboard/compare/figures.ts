/** What two runs over the same span came to, and how they differ. Pure. */
import type { RunResult } from '../../api/contract-types.ts';

/** Of one session over one span, or over all spans since the comparison began. */
export interface Figures {
  seconds: number;
  operations: number;
  throughputGbps: number;
  iops: number;
  cyclesPerOperation: number | null;
  /** Unmapped pages in the mean: page-seconds by seconds. */
  openPages: number;
  reachablePages: number;
  staleAccesses: number;
  crossTenantAccesses: number;
  faults: number;
  lookups: number;
  hits: number;
  queueEntries: number;
}

interface Windows {
  pageSeconds?: number;
}

const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

export function figuresOf(result: RunResult): Figures {
  const exposure = (result.exposure ?? {}) as {
    potential?: Windows;
    actual?: Windows;
    staleAccesses?: number;
    crossTenantAccesses?: number;
  };
  const seconds = number(result.simulatedSeconds);
  const mean = (windows: Windows | undefined) => (seconds === 0 ? 0 : number(windows?.pageSeconds) / seconds);
  return {
    seconds,
    operations: number(result.operations),
    throughputGbps: number(result.throughputGbps),
    iops: number(result.iops),
    cyclesPerOperation: typeof result.cyclesPerOperation === 'number' ? result.cyclesPerOperation : null,
    openPages: mean(exposure.potential),
    reachablePages: mean(exposure.actual),
    staleAccesses: number(exposure.staleAccesses),
    crossTenantAccesses: number(exposure.crossTenantAccesses),
    faults: number(result.verdicts?.fault),
    lookups: number(result.iotlb?.lookups),
    hits: number(result.iotlb?.hits),
    queueEntries: number((result.gauges as Record<string, unknown> | undefined)?.flushQueueEntries),
  };
}

/** Two spans, one after the other, as one: sums are added, rates are weighted by time, cycles by operations. */
export function joined(before: Figures | null, next: Figures): Figures {
  if (before === null) return next;
  const seconds = before.seconds + next.seconds;
  const rate = (a: number, b: number) => (seconds === 0 ? 0 : (a * before.seconds + b * next.seconds) / seconds);
  const operations = before.operations + next.operations;
  const cycles =
    number(before.cyclesPerOperation) * before.operations + number(next.cyclesPerOperation) * next.operations;
  return {
    seconds,
    operations,
    throughputGbps: rate(before.throughputGbps, next.throughputGbps),
    iops: rate(before.iops, next.iops),
    cyclesPerOperation: operations === 0 ? null : cycles / operations,
    openPages: rate(before.openPages, next.openPages),
    reachablePages: rate(before.reachablePages, next.reachablePages),
    staleAccesses: before.staleAccesses + next.staleAccesses,
    crossTenantAccesses: before.crossTenantAccesses + next.crossTenantAccesses,
    faults: before.faults + next.faults,
    lookups: before.lookups + next.lookups,
    hits: before.hits + next.hits,
    queueEntries: next.queueEntries,
  };
}

export type Better = 'a' | 'b' | null;

export interface Row {
  name: string;
  unit: 'Gb/s' | 'IOPS' | 'cycles' | 'pages' | '%' | 'entries' | '';
  a: number | null;
  b: number | null;
  /** Which is preferable; null where neither is, or where nothing is better or worse. */
  better: Better;
  /** `A is 1.6 times B`. */
  words: string;
}

/** Below it two numbers are not called different. */
const ALIKE = 0.01;

export function rowsOf(a: Figures, b: Figures): Row[] {
  const hitRate = ({ lookups, hits }: Figures) => (lookups === 0 ? null : (100 * hits) / lookups);
  const rows: [string, Row['unit'], (figures: Figures) => number | null, 'more' | 'less' | 'neither'][] = [
    ['throughput', 'Gb/s', ({ throughputGbps }) => throughputGbps, 'more'],
    ['I/Os', 'IOPS', ({ iops }) => iops, 'more'],
    ['operations', '', ({ operations }) => operations, 'more'],
    ['cycles an operation', 'cycles', ({ cyclesPerOperation }) => cyclesPerOperation, 'less'],
    ['IOTLB hits', '%', hitRate, 'neither'],
    ['unmapped and not flushed, mean', 'pages', ({ openPages }) => openPages, 'less'],
    ['unmapped and within reach, mean', 'pages', ({ reachablePages }) => reachablePages, 'less'],
    ['stale accesses', '', ({ staleAccesses }) => staleAccesses, 'less'],
    ['into memory of other tenants', '', ({ crossTenantAccesses }) => crossTenantAccesses, 'less'],
    ['blocked accesses', '', ({ faults }) => faults, 'neither'],
    ['waiting in the flush queue now', 'entries', ({ queueEntries }) => queueEntries, 'neither'],
  ];
  return rows
    .map(([name, unit, of, wanted]) => {
      const [left, right] = [of(a), of(b)];
      return { name, unit, a: left, b: right, better: betterOf(left, right, wanted), words: ratioInWords(left, right) };
    })
    .filter(({ a: left, b: right }) => (left ?? 0) !== 0 || (right ?? 0) !== 0);
}

function betterOf(a: number | null, b: number | null, wanted: 'more' | 'less' | 'neither'): Better {
  if (a === null || b === null || wanted === 'neither' || isAlike(a, b)) return null;
  return a > b === (wanted === 'more') ? 'a' : 'b';
}

function isAlike(a: number, b: number): boolean {
  return Math.abs(a - b) <= ALIKE * Math.max(Math.abs(a), Math.abs(b));
}

export function ratioInWords(a: number | null, b: number | null): string {
  if (a === null || b === null) return 'not both';
  if (isAlike(a, b)) return 'alike';
  if (b === 0) return 'only A';
  if (a === 0) return 'only B';
  const times = (of: number) => (of >= 100 ? of.toFixed(0) : of >= 10 ? of.toFixed(1) : of.toFixed(2));
  return a > b ? `A is ${times(a / b)} times B` : `B is ${times(b / a)} times A`;
}

/** Members of two specs that differ, as dotted paths; a list counts as one. */
export function specDifferences(a: unknown, b: unknown, path = ''): { path: string; a: string; b: string }[] {
  if (isObject(a) && isObject(b)) {
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return names.flatMap((name) => specDifferences(a[name], b[name], path === '' ? name : `${path}.${name}`));
  }
  const [left, right] = [text(a), text(b)];
  return left === right ? [] : [{ path, a: left, b: right }];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);
