/** IOTLB reach: the working set of a device against entries times page size. */
import type { Column, Question } from './question.ts';

const MIB = 2 ** 20;
const WINDOWS = [0.125, 0.5, 2, 16, 64, 256];
const SIZES = ['4KiB', '2MiB'] as const;
const label = (mib: number, size: string) =>
  `${mib < 1 ? `${mib * 1024} KiB` : `${mib} MiB`} in ${size === '4KiB' ? '4 KiB' : '2 MiB'}`;

const MISSES: Column = {
  head: 'look-ups that miss, %',
  of: { ratio: ['iotlb.misses', 'iotlb.lookups'] },
  scale: 100,
  digits: 1,
};
const LATENCY: Column = { head: 'latency, mean, ns', of: 'latencyNs.mean' };

export const iotlbReach: Question = {
  kind: 'questions/iotlb-reach',
  title: 'From which working set on do I need huge pages?',
  question:
    'A device reads at random in a buffer. From which size on does each read wait for a page walk, and what do pages of 2 MiB do about it?',
  source: 'GitHub aliireza/iommu-bench ("IOTLB wall"), tenstorrent/tt-umd#2329; pcie-bench, SIGCOMM 2018',
  request: {
    base: {
      machine: { cpus: 1, memoryBytes: 4 * 2 ** 30 },
      iommu: { iotlb: { entries: 64, ways: 0 }, superpages: ['2MiB'] },
      devices: [{ name: 'dev', kind: 'custom' }],
    },
    arms: SIZES.flatMap((pageSize) =>
      WINDOWS.filter((mib) => pageSize === '4KiB' || mib >= 2).map((mib) => ({
        label: label(mib, pageSize),
        set: { 'workloads.reads.windowBytes': mib * MIB, 'workloads.reads.pageSize': pageSize },
      })),
    ),
    workloads: [
      {
        name: 'reads',
        kind: 'dma-window',
        device: 'dev',
        windowBytes: MIB,
        pageSize: '4KiB',
        accessBytes: 64,
        access: 'read',
        missNs: 230,
      },
    ],
    warmUp: { operations: 2000 },
    until: { operations: 20_000 },
    control: false,
  },
  columns: [
    MISSES,
    LATENCY,
    { head: 'million reads a second', of: { ratio: ['operations', 'simulatedSeconds'] }, scale: 1e-6, digits: 3 },
    { head: 'tables, KiB', of: 'gauges.tablePages', scale: 4 },
  ],
  answer(arms) {
    const missing = (mib: number, size: string) => arms.of(label(mib, size), MISSES.of, 100);
    return [
      `64 entries reach 256 KiB in pages of 4 KiB: of 512 KiB ${missing(0.5, '4KiB').toFixed(0)} % of the reads miss, of 2 MiB ` +
        `${missing(2, '4KiB').toFixed(0)} %. In pages of 2 MiB they reach 128 MiB: of 64 MiB ${missing(64, '2MiB').toFixed(0)} % miss, of ` +
        `256 MiB ${missing(256, '2MiB').toFixed(0)} %.`,
    ];
  },
};
