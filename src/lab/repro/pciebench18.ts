/** pcie-bench, SIGCOMM 2018: reads at random in a window, one at a time (B8), with superpages (B9), pipelined (B10). */
import { hardwareOf, profiles } from '../../core/meter/cost-profile.ts';
import type { Arm, Measure, Reproduction, Row } from './reproduction.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const HSW = 'pciebench18-hsw';

interface Window {
  name: string;
  bytes: number;
}
const WINDOWS: Window[] = [
  { name: '256 KiB', bytes: 256 * KIB },
  { name: '512 KiB', bytes: 512 * KIB },
  { name: '1 MiB', bytes: MIB },
  { name: '1.5 MiB', bytes: 1.5 * MIB },
  { name: '2 MiB', bytes: 2 * MIB },
  { name: '4 MiB', bytes: 4 * MIB },
  { name: '8 MiB', bytes: 8 * MIB },
  { name: '16 MiB', bytes: 16 * MIB },
  { name: '64 MiB', bytes: 64 * MIB },
];

/** Mean ns of a 64-byte read, by window. */
const LATENCIES = [
  { profile: HSW, name: 'E5-2620 v3', ns: [603, 620, 726, 762, 779, 807, 820, 827, 832] },
  { profile: 'pciebench18-hsw2637', name: 'E5-2637 v3', ns: [646, 665, 791, 833, 855, 886, 900, 907, 913] },
  { profile: 'pciebench18-snb', name: 'Sandy Bridge', ns: [616, 618, 736, 776, 796, 825, 841, 848, 853] },
];

/** Gb/s of pipelined reads of a size, by window. */
const RATES = [
  {
    bytes: 64,
    gbps: {
      '256 KiB': 32.6,
      '512 KiB': 24.4,
      '1 MiB': 16,
      '1.5 MiB': 13.6,
      '2 MiB': 12.6,
      '4 MiB': 11.2,
      '64 MiB': 10.1,
    },
  },
  { bytes: 128, gbps: { '256 KiB': 43.8, '64 MiB': 19.8 } },
  { bytes: 512, gbps: { '256 KiB': 55, '64 MiB': 54.6 } },
];

const of = (kind: string, member: string): number => {
  const { ns, count } = profiles[kind]!.device[member]!;
  return ns ?? count!;
};

interface Reads {
  profile: string;
  windowBytes: number;
  pageSize: '4KiB' | '2MiB';
  accessBytes: number;
  /** Members that say how the device reaches memory. */
  engine: Record<string, number>;
}

const reading = ({ profile, windowBytes, pageSize, accessBytes, engine }: Reads): Arm => ({
  spec: {
    machine: { cpus: 1 },
    iommu: { ...hardwareOf(profiles[profile]!), ...(pageSize === '2MiB' && { superpages: ['2MiB'] }) },
    devices: [{ name: 'nfp', kind: 'custom' }],
    workloads: [
      {
        name: 'window',
        kind: 'dma-window',
        device: 'nfp',
        windowBytes,
        pageSize,
        accessBytes,
        pattern: 'random',
        access: 'read',
        missNs: of(profile, 'missNs'),
        readLatencyNs: of(profile, 'readLatencyNs'),
        ...engine,
      },
    ],
    costs: { profile },
  },
  before: [{ operations: 4000 }],
  run: { operations: 20_000 },
});

const one = { outstanding: 1 };
/**
 * Many reads at a time: 38 were in flight when all hit, and misses overlap 4.5 at a time, which is no whole number of walks. The bus
 * is fitted on the reads of 64 and 512 bytes that hit.
 */
const pipelined = { outstanding: 38, parallelWalks: 4, busGbps: 63, busOverheadBytes: 60 };

const latency = (arm: string): Measure => ({ arm, metric: 'workloads.window.latencyNs.mean' });
const rate = (arm: string): Measure => ({ arm, metric: 'workloads.window.throughputGbps' });
const one4k = (profile: string, window: Window) => `${profile} ${window.name}`;
const one2m = (window: Window) => `2 MiB pages ${window.name}`;
const many = (bytes: number, window: string) => `${bytes} B ${window}`;
const windowOf = (name: string): Window => WINDOWS.find((window) => window.name === name)!;

export const pciebench18: Reproduction = {
  id: 'pciebench18',
  title: 'Reads at random in a window',
  citation:
    'Neugebauer and others: Understanding PCIe performance for end host networking, SIGCOMM 2018, raw data (pcie-bench/data)',
  setup:
    'A device reads units at random in a window that was mapped once; no CPU works. Entries of the IOTLB, time of a hit and time of ' +
    'a miss are those of the profile, fitted on these very latencies, so B8 says that the mechanism has the published form and no ' +
    'more. B9 is a prediction, and so are the reads of 128 bytes and the larger windows of 512. The reads in flight and the walks at ' +
    'a time come from the reads of 64 bytes, the bus from those of 64 and 512 bytes that hit. 4.5 walks at a time, which the data ' +
    'say, is no whole number: with 4 the largest window comes out 12 % slow, with 5 those of 512 KiB and 1 MiB up to 29 % fast.',
  arms: {
    ...Object.fromEntries(
      LATENCIES.flatMap(({ profile }) =>
        WINDOWS.map((window) => [
          one4k(profile, window),
          reading({ profile, windowBytes: window.bytes, pageSize: '4KiB', accessBytes: 64, engine: one }),
        ]),
      ),
    ),
    ...Object.fromEntries(
      WINDOWS.map((window) => [
        one2m(window),
        reading({ profile: HSW, windowBytes: window.bytes, pageSize: '2MiB', accessBytes: 64, engine: one }),
      ]),
    ),
    ...Object.fromEntries(
      RATES.flatMap(({ bytes, gbps }) =>
        Object.keys(gbps).map((name) => [
          many(bytes, name),
          reading({
            profile: HSW,
            windowBytes: windowOf(name).bytes,
            pageSize: '4KiB',
            accessBytes: bytes,
            engine: pipelined,
          }),
        ]),
      ),
    ),
    '64 B 8 MiB in 2 MiB pages': reading({
      profile: HSW,
      windowBytes: 8 * MIB,
      pageSize: '2MiB',
      accessBytes: 64,
      engine: pipelined,
    }),
  },
  rows: [
    ...LATENCIES.flatMap(({ profile, name, ns }) => [
      ...WINDOWS.map(
        (window, i): Row => ({
          target: 'B8',
          what: `${name}, ${window.name}: read of 64 bytes`,
          published: { value: ns[i]!, tag: 'sourced', where: 'raw data' },
          simulated: latency(one4k(profile, window)),
          unit: 'ns',
          digits: 0,
          accept: { withinAbsolute: 6 },
          calibrated: true,
        }),
      ),
      {
        target: 'B8',
        what: `${name}: latency against window`,
        published: { text: 'rising', tag: 'sourced', where: 'raw data' },
        shape: { order: 'ascending', of: WINDOWS.map((window) => latency(one4k(profile, window))) },
        digits: 0,
        calibrated: false,
      } satisfies Row,
    ]),
    ...WINDOWS.map(
      (window): Row => ({
        target: 'B9',
        what: `2 MiB pages, ${window.name}: read of 64 bytes`,
        published: { value: 602, tag: 'sourced', where: 'raw data' },
        simulated: latency(one2m(window)),
        unit: 'ns',
        digits: 0,
        accept: { within: 0.01 },
        calibrated: false,
      }),
    ),
    {
      target: 'B9',
      what: '2 MiB pages, 8 MiB: pipelined reads of 64 bytes',
      published: { value: 32.7, tag: 'sourced', where: 'raw data' },
      simulated: rate('64 B 8 MiB in 2 MiB pages'),
      unit: 'Gb/s',
      digits: 1,
      accept: { within: 0.05 },
      calibrated: false,
    },
    ...RATES.flatMap(({ bytes, gbps }) =>
      Object.entries(gbps).map(
        ([name, published]): Row => ({
          target: 'B10',
          what: `pipelined reads of ${bytes} bytes, ${name}`,
          published: { value: published, tag: 'sourced', where: 'raw data' },
          simulated: rate(many(bytes, name)),
          unit: 'Gb/s',
          digits: 1,
          accept: { within: 0.15 },
          calibrated: bytes === 64 || (bytes === 512 && name === '256 KiB'),
        }),
      ),
    ),
    {
      target: 'B10',
      what: 'pipelined reads of 512 bytes: what is lost from 256 KiB to 64 MiB',
      published: { value: 1 - 54.6 / 55, tag: 'derived', where: 'raw data' },
      simulated: { shifted: [{ scaled: [{ ratio: [rate(many(512, '64 MiB')), rate(many(512, '256 KiB'))] }, -1] }, 1] },
      digits: 3,
      accept: { between: [-0.01, 0.03] },
      calibrated: false,
    },
  ],
};
