/** Addresses longer than the caches of each CPU hold. */
import { CYCLES, IOPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import { cpusTo } from './machines.ts';
import type { Question } from './question.ts';

const CPUS = 16;
const POLICIES = ['strict', 'flush-queue'] as const;
/** Classes of the caches: sizes up to 2^(classes - 1) pages. */
const REACH = [
  { classes: 6, pages: 32 },
  { classes: 8, pages: 128 },
];
const label = (policy: string, pages: number) => `${policy}, cached up to ${pages} pages`;

export const longBuffers: Question = {
  kind: 'questions/long-buffers',
  title: 'Buffers above the limit of the address caches: may I raise it?',
  question:
    'Addresses of more than 32 pages are not cached and come from the tree under its lock. I/Os of 160 KiB collapse under strict. What does ' +
    'a limit of 128 pages give, under strict and under lazy?',
  source:
    'linux iommu list 1616160348-29451-1 (March 2021: 600 became 1,300 thousand I/Os a second), 1649071634-188535-1',
  request: {
    base: {
      machine: { cpus: CPUS },
      devices: [{ name: 'sas', kind: 'block' }],
      // A unit that answers a sync in 280 ns, as the SMMU of such a server does.
      costs: { profile: 'skl26-nvme', overrides: { invalidation: 1416, invalidationHardware: 672 } },
    },
    arms: POLICIES.flatMap((kind) =>
      REACH.map(({ classes, pages }) => ({
        label: label(kind, pages),
        set: { 'policy.allocator': { kind: 'rcache', maxOrder: classes }, 'policy.invalidation': { kind } },
      })),
    ),
    workloads: [
      {
        name: 'fio',
        kind: 'block',
        device: 'sas',
        disk: 'custom',
        iops: 1_800_000,
        lengthBytes: 40 * 4096,
        pattern: 'random',
        access: 'read',
        depth: 32,
        jobs: CPUS,
        cpus: cpusTo(CPUS),
      },
    ],
    warmUp: { operations: 1500 },
    until: { operations: 3000 },
    seeds: [1],
    control: false,
  },
  columns: [
    IOPS,
    CYCLES,
    { head: 'of a map: the address, cycles', of: 'breakdown.map.iovaAlloc' },
    { head: 'of a map: waiting for locks, cycles', of: 'breakdown.map.lockWait' },
    PAGES_IN_REACH,
    LONGEST_US,
  ],
  answer(arms) {
    const gain = (kind: string) => arms.of(label(kind, 128), IOPS.of) / arms.of(label(kind, 32), IOPS.of);
    return [
      `Raising the limit gives ${gain('strict').toFixed(2)} times the I/Os under strict and ${gain('flush-queue').toFixed(2)} under lazy.`,
    ];
  },
};
