/** Addresses that age: allocated on some CPUs, freed on others and in bursts, until the caches of addresses no longer serve. */
import { CYCLES, IOPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import type { Column, Question } from './question.ts';

/** So many submit, as many complete. */
const HALF = 24;
const submitters = Array.from({ length: HALF }, (_, cpu) => cpu);
const FIXED = { kind: 'rcache', magazineEntries: 128, depot: 'fixed', depotMax: 32 };
const TRIMMED = { kind: 'rcache' };
const OLD = 'lazy, depot of 2016';
const NEW = 'lazy, depot of 2023';
const STRICT = 'strict, depot of 2016';
const NO_CACHE = 'lazy, no cache';

const MISSED: Column = {
  head: 'allocations that the caches do not serve, %',
  of: { ratio: ['counts.cacheMisses', 'counts.allocationAttempts'] },
  scale: 100,
  digits: 2,
};

export const iopsCliff: Question = {
  kind: 'questions/iops-cliff',
  title: 'Why do the I/Os fall off a cliff after hours, and only in lazy mode?',
  question:
    'A storage server does its I/Os for hours, then a fraction of them, and does not recover until it is booted again. With strict ' +
    'invalidation it never happens. What ages?',
  source:
    'linux iommu list, 1607538189-237944-4 (December 2020: after 16 hours 0.33 to 0.69 of 1.5 to 1.7 million I/Os a second), ' +
    '20190815121104.29140-3 (35 % less)',
  request: {
    base: {
      machine: { cpus: 2 * HALF },
      devices: [{ name: 'nvme', kind: 'block' }],
      costs: { profile: 'skl26-nvme' },
    },
    arms: [
      { label: OLD, set: { 'policy.allocator': FIXED, 'policy.invalidation.kind': 'flush-queue' } },
      { label: NEW, set: { 'policy.allocator': TRIMMED, 'policy.invalidation.kind': 'flush-queue' } },
      { label: STRICT, set: { 'policy.allocator': FIXED, 'policy.invalidation.kind': 'strict' } },
      { label: NO_CACHE, set: { 'policy.allocator': { kind: 'rbtree' }, 'policy.invalidation.kind': 'flush-queue' } },
    ],
    workloads: [
      {
        name: 'fio',
        kind: 'block',
        device: 'nvme',
        disk: 'custom',
        // No drive is the limit.
        iops: 8_000_000,
        lengthBytes: 4096,
        pattern: 'random',
        access: 'read',
        depth: 64,
        jobs: HALF,
        cpus: submitters,
        completionCpus: submitters.map((cpu) => HALF + cpu),
      },
    ],
    warmUp: { operations: 60_000 },
    until: { operations: 20_000 },
    seeds: [1],
    control: false,
  },
  columns: [
    IOPS,
    CYCLES,
    MISSED,
    {
      head: 'nodes looked at for an allocation',
      of: { ratio: ['counts.nodesVisited', 'counts.allocationAttempts'] },
      digits: 2,
    },
    PAGES_IN_REACH,
    LONGEST_US,
  ],
  answer(arms) {
    const [old, now, strict] = arms.each([OLD, NEW, STRICT], MISSED.of, 100) as [number, number, number];
    const [oldCycles, newCycles] = arms.each([OLD, NEW], CYCLES.of) as [number, number];
    return [
      `With the depot of 2016 the caches do not serve ${old.toFixed(1)} % of the allocations under lazy, and ${strict.toFixed(2)} % under ` +
        `strict; with today’s, which has room for what a flush frees at once, ${now.toFixed(2)} %.`,
      `Each I/O takes ${(oldCycles - newCycles).toFixed(0)} cycles more for it, as long as the tree is short. The fall to a third, which took ` +
        'hours, is not seen in this run: see below.',
    ];
  },
};
