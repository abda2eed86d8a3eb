/** WIOSCA 2010: a copy engine that goes round more pages than the IOTLB holds (B6); replacement when mappings are used once (B7). */
import { hardwareOf, profiles } from '../../core/meter/cost-profile.ts';
import type { Arm, Measure, Reproduction, Row } from './reproduction.ts';

const profile = profiles['wiosca10-ioat']!;
const iommu = hardwareOf(profile);
const PAGE = 4096;

const COPIES = [
  { bytes: 1024, name: '1 KiB', penalty: { 32: 0.34, 64: 0.42, 128: 0.46, 256: 0.47 } },
  { bytes: 2048, name: '2 KiB', penalty: { 32: 0.17, 64: 0.24, 128: 0.27, 256: 0.28 } },
  { bytes: 4096, name: '4 KiB', penalty: { 32: 0.08, 64: 0.12, 128: 0.14, 256: 0.15 } },
] as const;
const PAGES = [1, 16, 32, 64, 128, 256] as const;

const armName = (copy: string, pages: number) => `${copy} from ${pages}`;

const copying = (bytes: number, pages: number, mode: string): Arm => ({
  spec: {
    machine: { cpus: 1 },
    iommu,
    policy: { mode },
    devices: [{ name: 'ioat', kind: 'custom' }],
    workloads: [
      {
        name: 'copy',
        kind: 'dma-window',
        device: 'ioat',
        windowBytes: pages * PAGE,
        accessBytes: bytes,
        strideBytes: PAGE,
        pattern: 'sequential',
        access: 'copy',
        outstanding: 1,
        readLatencyNs: 0,
        writeLatencyNs: 0,
        busGbps: profile.device.copyGbps!.gbps,
        missNs: profile.device.missNs!.ns,
      },
    ],
    costs: { profile: profile.kind },
  },
  before: [{ operations: 1000 }],
  run: { operations: 5000 },
});

const rate = (arm: string): Measure => ({ arm, metric: 'workloads.copy.throughputGbps' });
/** Time of a copy over that without IOMMU, less one. */
const penalty = (copy: string, pages: number): Measure => ({
  shifted: [{ ratio: [rate(armName(copy, 0)), rate(armName(copy, pages))] }, -1],
});

const REPLACEMENTS = ['lru', 'fifo', 'random'];
const once = (replacement: string): Arm => ({
  spec: {
    machine: { cpus: 1 },
    iommu: { ...iommu, iotlb: { entries: 32, ways: 2, replacement } },
    policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'nic0', kind: 'nic' }],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic0', cpus: [0], gbps: 0.5, ringSize: 256 },
      { name: 'tx', kind: 'nic-tx', device: 'nic0', cpus: [0], gbps: 0.5, ringSize: 256 },
    ],
    costs: { profile: profile.kind },
  },
  run: { operations: 5000 },
});
const missRate = (arm: string): Measure => ({
  ratio: [
    { arm, metric: 'iotlb.misses' },
    { arm, metric: 'iotlb.lookups' },
  ],
});

export const wiosca10: Reproduction = {
  id: 'wiosca10',
  title: 'A copy engine and an IOTLB of 32 entries',
  citation:
    'Amit, Ben-Yehuda, Yassour: IOMMU, strategies for mitigating the IOTLB bottleneck, WIOSCA 2010, figures 2 and 10',
  setup:
    'One channel of 16 Gb/s, one copy at a time, from N source pages in turn to one page, an IOTLB of 32 entries, two ways, LRU, no ' +
    'walk caches. A miss takes 290 ns whatever the size of the copy; it was fitted on the three rows of 256 pages. In turn and under ' +
    'LRU a set either holds its pages or misses each time, so that penalties here jump where the published ones rise. B7: every ' +
    'packet has mappings of its own, used once. Prefetching is not modelled, so the second half of B7 is not run.',
  arms: {
    ...Object.fromEntries(
      COPIES.flatMap(({ name, bytes }) => [
        [armName(name, 0), copying(bytes, 1, 'passthrough')],
        ...PAGES.map((pages) => [armName(name, pages), copying(bytes, pages, 'translate')]),
      ]),
    ),
    ...Object.fromEntries(REPLACEMENTS.map((replacement) => [replacement, once(replacement)])),
  },
  rows: [
    ...COPIES.flatMap(({ name }): Row[] => [
      {
        target: 'B6',
        what: `copies of ${name}, up to 16 pages: penalty`,
        published: { text: 'about 0', tag: 'by eye', where: 'figure 2' },
        shape: { allBelow: 0.005, of: [1, 16].map((pages) => penalty(name, pages)) },
        digits: 3,
        calibrated: false,
      },
      {
        target: 'B6',
        what: `copies of ${name}, from 32 pages on: penalty`,
        published: { text: 'above 0: the knee lies between 16 and 32 pages', tag: 'by eye', where: 'figure 2' },
        shape: { allAbove: 0.005, of: [32, 64, 128, 256].map((pages) => penalty(name, pages)) },
        digits: 3,
        calibrated: false,
      },
    ]),
    ...COPIES.flatMap(({ name, penalty: published }) =>
      ([32, 64, 128, 256] as const).map(
        (pages): Row => ({
          target: 'B6',
          what: `copies of ${name} from ${pages} pages: penalty`,
          published: { value: published[pages], tag: 'by eye', where: 'figure 2' },
          simulated: penalty(name, pages),
          digits: 2,
          accept: pages === 256 ? { withinAbsolute: 0.06 } : { report: true },
          calibrated: pages === 256,
        }),
      ),
    ),
    {
      target: 'B6',
      what: 'penalty at 256 pages, 1 KiB over 4 KiB',
      published: { value: 0.47 / 0.15, tag: 'derived', where: 'figure 2' },
      simulated: { ratio: [penalty('1 KiB', 256), penalty('4 KiB', 256)] },
      digits: 2,
      accept: { between: [2.5, 4.5] },
      calibrated: false,
    },
    ...['fifo', 'random'].map(
      (replacement): Row => ({
        target: 'B7',
        what: `mappings used once: miss rate, ${replacement} less lru`,
        published: { value: 0, tag: 'by eye', where: 'figure 10: 30.7 % and 30.6 % under LRU and the optimum' },
        simulated: { difference: [missRate(replacement), missRate('lru')] },
        digits: 4,
        accept: { withinAbsolute: 0.01 },
        calibrated: false,
      }),
    ),
  ],
};
