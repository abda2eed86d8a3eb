/** Deferred invalidation in the place of strict: the I/Os that come back, and the time in which a device reaches what was taken from it. */
import { CYCLES, IOPS, LONGEST_US, PAGES_IN_REACH, STALE } from './columns.ts';
import { cpusTo, NVME } from './machines.ts';
import type { Question } from './question.ts';

const CPUS = 8;
const STRICT = 'strict';
const LAZY = 'flush-queue';
const NONE = 'passthrough';

export const lazyDefault: Question = {
  kind: 'questions/lazy-default',
  title: 'Lazy became the default: what do we lose?',
  question:
    'A distribution changes its default from strict to lazy invalidation. NVMe gets its I/Os back. What is given for it, in pages and time?',
  source:
    'GitHub NVIDIA/NV-Kernels#184 (passthrough 16.5, lazy 16.4, strict 2.8 million I/Os a second); siderolabs/pkgs#1057, ' +
    'siderolabs/talos#9531: "shouldn’t really reduce security", and nobody says how much',
  request: {
    base: {
      machine: { cpus: CPUS },
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'nvme', kind: 'block' }],
      costs: { profile: 'skl26-nvme' },
    },
    arms: [
      { label: STRICT, set: { 'policy.invalidation.kind': 'strict' } },
      { label: LAZY, set: { 'policy.invalidation.kind': 'flush-queue' } },
      { label: NONE, set: { 'policy.mode': 'passthrough' } },
    ],
    workloads: [
      { ...NVME, jobs: CPUS, cpus: cpusTo(CPUS) },
      { name: 'probe', kind: 'hostile', device: 'nvme', target: 'nvme', access: 'write', accessesPerUs: 0.2 },
    ],
    warmUp: { operations: 20_000 },
    until: { ns: 25_000_000 },
    seeds: [1, 2, 3],
  },
  columns: [
    IOPS,
    CYCLES,
    PAGES_IN_REACH,
    LONGEST_US,
    STALE,
    {
      head: 'of the probe’s attempts, got through, %',
      of: { ratio: ['workloads.probe.exposure.staleAccesses', 'workloads.probe.counts.offered'] },
      scale: 100,
      digits: 1,
    },
  ],
  answer(arms) {
    const [strict, lazy, none] = arms.each([STRICT, LAZY, NONE], 'iops') as [number, number, number];
    return [
      `Lazy does ${(lazy / strict).toFixed(1)} times the I/Os of strict and ${((100 * lazy) / none).toFixed(0)} % of those without protection.`,
      `For it ${arms.of(LAZY, PAGES_IN_REACH.of).toFixed(0)} unmapped pages are within reach at any moment, each for up to ` +
        `${(arms.of(LAZY, LONGEST_US.of) / 1e6).toFixed(1)} ms; under strict ${arms.of(STRICT, PAGES_IN_REACH.of)}.`,
    ];
  },
};
