/** What a process takes of the machine while a proof runs, and whether that grows. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of the last quarter against the second one. */
export const LARGEST_GROWTH = 1.1;
const SHOWN = 40;

/** Bytes; 0 of a process that is ending, which has none any more. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The median of the last quarter of a series, divided by that of its second quarter; the first is a start, not a course. */
export function growthOf(series: readonly number[]): number {
  const quarter = Math.floor(series.length / 4);
  return median(series.slice(-quarter)) / median(series.slice(quarter, 2 * quarter));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** At even distances, few enough to be read. */
export function shown<T>(series: readonly T[], most = SHOWN): T[] {
  if (series.length <= most) return [...series];
  return Array.from({ length: most }, (_, i) => series[Math.floor((i * (series.length - 1)) / (most - 1))]!);
}

export function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
