/**
 * What a Linux kernel would show of a session, in its own words, for tools and eyes that know them:
 *
 *     dmar_perf_latency   `/sys/kernel/debug/iommu/intel/dmar_perf_latency` (drivers/iommu/intel/perf.c), of invalidations
 *     dma_map_benchmark   what the tool of kernel/dma/map_benchmark.c prints, for each such workload
 *     dmesg               the fault log, as the kernel's log has it
 *
 * Departs: the session has one unit, named dmar0, at an address that is usual and nothing more; all is measured, always; of the table's
 * rows only `inv_iotlb`, since a submission is not timed by what else is in it. Where none was submitted its columns are 0.
 */

export type KernelFile = 'dmar_perf_latency' | 'dma_map_benchmark' | 'dmesg';

/** Seconds; counts of what took at most so long. */
export interface Latencies {
  bounds: number[];
  cumulated: number[];
  count: number;
  sum: number;
  least?: number;
  most?: number;
}

const REGISTER_BASE = 'fed90000';
/** Seconds that end the table's columns, and what it calls them. */
const COLUMNS: [endSeconds: number, title: string][] = [
  [1e-7, '<0.1us'],
  [1e-6, '0.1us-1us'],
  [1e-5, '1us-10us'],
  [1e-4, '10us-100us'],
  [1e-3, '100us-1ms'],
  [1e-2, '1ms-10ms'],
];
const NAME_WIDTH = 13;
const COLUMN_WIDTH = 12;

export function dmarPerfLatency({ bounds, cumulated, count, sum, least = 0, most = 0 }: Latencies): string {
  const upTo = COLUMNS.map(([end]) => cumulated[bounds.findIndex((bound) => Math.abs(bound - end) < end / 1e6)]!);
  const inColumns = [...upTo, count].map((all, i) => all - (upTo[i - 1] ?? 0));
  const microseconds = (seconds: number): number => Math.floor(seconds * 1e6);
  const head = [...COLUMNS.map(([, title]) => title), '>=10ms', 'min(us)', 'max(us)', 'average(us)'];
  const row = [...inColumns, microseconds(least), microseconds(most), microseconds(count === 0 ? 0 : sum / count)];
  const line = (name: string, cells: (string | number)[]): string =>
    name.padStart(NAME_WIDTH) + cells.map((cell) => String(cell).padStart(COLUMN_WIDTH)).join('');
  return `IOMMU: dmar0 Register Base Address: ${REGISTER_BASE}\n${line('', head)}\n${line('inv_iotlb', row)}\n`;
}

/** @param workloads of the session's metrics */
export function dmaMapBenchmark(workloads: readonly { lines?: string[] }[]): string {
  return workloads.flatMap(({ lines }) => (lines === undefined ? [] : [`${lines.join('\n')}\n`])).join('\n');
}

export function dmesg(faults: readonly { timeNs: number; message: string }[]): string {
  return faults.map(({ timeNs, message }) => `[${stamp(timeNs)}] ${message}\n`).join('');
}

/** Seconds since the start, as the kernel's log counts them. */
function stamp(timeNs: number): string {
  const microseconds = Math.floor(timeNs / 1000);
  const seconds = Math.floor(microseconds / 1e6);
  return `${String(seconds).padStart(5)}.${String(microseconds % 1e6).padStart(6, '0')}`;
}
