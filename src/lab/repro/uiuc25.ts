/** A guest whose invalidations are exits under a lock: 8 cores, 16 cores, and 16 without the exit (section 1.12; B17's stretch). */
import { profiles } from '../../core/meter/cost-profile.ts';
import type { Arm, Measure, Reproduction, Row } from './reproduction.ts';

const profile = profiles['uiuc25-nested']!;
const guest = profile.guest as Record<string, { ns: number }>;
const CLOCK_GHZ = 2.8;
const PAGES = 80;

const receiving = (cores: number, exits: boolean): Arm => {
  const exitNs = exits ? guest.exitNs!.ns : 0;
  const underLock = guest.criticalSectionWithoutExitNs!.ns + exitNs;
  const whole = guest.invalidationWithoutExitNs!.ns + exitNs;
  return {
    spec: {
      machine: { cpus: cores },
      policy: { allocator: { kind: 'contiguous' }, invalidation: { kind: 'batched' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
      workloads: [
        {
          name: 'rx',
          kind: 'nic-rx',
          device: 'nic0',
          queues: cores,
          cpus: Array.from({ length: cores }, (_, cpu) => cpu),
          gbps: 400,
          frameBytes: 4096,
          bufferBytes: 4096,
          ringSize: 16,
          pagesPerDescriptor: PAGES,
        },
      ],
      costs: {
        profile: profile.kind,
        overrides: {
          packet: 0,
          packetTax: 0,
          mapFirstPte: guest.mapNs!.ns * CLOCK_GHZ,
          invalidation: whole * CLOCK_GHZ,
          invalidationSubmit: underLock * CLOCK_GHZ,
          invalidationHardware: 0,
        },
      },
    },
    before: [{ operations: 10_000 }],
    run: { operations: 20_000 },
  };
};
const gbps = (arm: string): Measure => ({ arm, metric: 'workloads.rx.throughputGbps' });
const ARMS = [
  { name: '8 cores', cores: 8, exits: true, gbps: 237.8 },
  { name: '16 cores', cores: 16, exits: true, gbps: 25 },
  { name: '16 cores, no exit', cores: 16, exits: false, gbps: 344 },
];

export const uiuc25: Reproduction = {
  id: 'uiuc25',
  title: 'An exit under the lock of the invalidation queue',
  citation: 'UIUC fork of Fast & Safe, raw runs of 2025 (vary_cores_results.md, branch lock-contention); not reviewed',
  setup:
    `A guest with two-stage tables, of which only the invalidation exits, so it is run as bare metal with an invalidation that is given: ` +
    `0.93 us under the lock and 2.66 us in all, and 6 us more in both with the exit; one for ${PAGES} pages. Judged is the direction only.`,
  arms: Object.fromEntries(ARMS.map(({ name, cores, exits }) => [name, receiving(cores, exits)])),
  rows: [
    {
      target: 'B17',
      what: '8 cores, 16 cores, with the exit',
      published: { text: 'falling: 237.8, 25.0 Gb/s', tag: 'sourced', where: 'vary_cores_results.md' },
      shape: { order: 'descending', of: ['8 cores', '16 cores'].map(gbps) },
      digits: 1,
      calibrated: false,
    },
    {
      target: 'B17',
      what: '16 cores, with the exit and without',
      published: { text: 'rising: 25.0, 344 Gb/s', tag: 'sourced', where: 'branch lock-contention' },
      shape: { order: 'ascending', of: ['16 cores', '16 cores, no exit'].map(gbps) },
      digits: 1,
      calibrated: false,
    },
    ...ARMS.map(
      ({ name, gbps: published }): Row => ({
        target: 'B17',
        what: `${name}: throughput`,
        published: { value: published, tag: 'sourced', where: 'raw runs' },
        simulated: gbps(name),
        unit: 'Gb/s',
        digits: 0,
        accept: { report: true },
        calibrated: false,
      }),
    ),
  ],
  misses: [
    {
      rows: ['8 cores, 16 cores, with the exit'],
      why:
        '7 us under the lock for 80 pages are 380 Gb/s, which 16 cores do not fill: nothing to collapse. In the ' +
        'runs the section under the lock itself went from 8 to 85 us, which is the exits disturbing each other in ' +
        'the host; a host is not modelled.',
    },
  ],
};
