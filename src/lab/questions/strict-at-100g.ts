/** Strict invalidation at 100 Gb/s with the address caches of today, against batching and deferring. */
import { CYCLES, GBPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import { cpusTo } from './machines.ts';
import type { Question } from './question.ts';

const QUEUES = 16;
const STRICT = 'strict, rcache';
const LAZY = 'flush-queue, rcache';
const ADJACENT = 'batched, contiguous, 64 pages a descriptor';
const PER_CPU = 'strict, rcache, a queue a CPU';
const NONE = 'passthrough';

export const strictAt100g: Question = {
  kind: 'questions/strict-at-100g',
  title: 'Can a 100 Gb/s link afford strict?',
  question:
    'Since 2016 addresses come from caches of each CPU, so that only the invalidation is left. Does a NIC with sixteen queues and packets of 1,500 bytes fill 100 Gb/s ' +
    'under strict, and if not, what does?',
  source:
    'iommu mailing list CAHn8xckNt3smeQPi3dgq5i_3vP7KwU45pnP5OCF8nOV_QEdyMA (95 Gb/s became 34); Fast & Safe, SOSP 2024',
  request: {
    base: {
      machine: { cpus: QUEUES },
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
      costs: { profile: 'riommu15-mlx' },
    },
    arms: [
      { label: STRICT, set: { 'policy.invalidation': { kind: 'strict' } } },
      { label: PER_CPU, set: { 'policy.invalidation': { kind: 'strict' }, 'iommu.invalidation.interface': 'per-cpu' } },
      {
        label: ADJACENT,
        set: {
          'policy.allocator': { kind: 'contiguous' },
          'policy.invalidation': { kind: 'batched' },
          'workloads.rx.pagesPerDescriptor': 64,
          'workloads.rx.ringSize': 16,
        },
      },
      { label: LAZY, set: { 'policy.invalidation': { kind: 'flush-queue' } } },
      { label: NONE, set: { 'policy.mode': 'passthrough' } },
    ],
    workloads: [
      {
        name: 'rx',
        kind: 'nic-rx',
        device: 'nic0',
        gbps: 100,
        frameBytes: 1500,
        queues: QUEUES,
        cpus: cpusTo(QUEUES),
        mappingsPerPacket: 1,
        ringSize: 256,
      },
    ],
    warmUp: { operations: 5000 },
    until: { ns: 3_000_000 },
    // Its own arm is the control of all.
    control: false,
  },
  columns: [GBPS, CYCLES, { head: 'packets dropped', of: 'workloads.rx.counts.dropped' }, PAGES_IN_REACH, LONGEST_US],
  answer(arms) {
    const gbps = (label: string) => arms.of(label, GBPS.of).toFixed(1);
    return [
      `Strict moves ${gbps(STRICT)} Gb/s through one invalidation queue, ${gbps(PER_CPU)} with a queue a CPU; lazy ${gbps(LAZY)}.`,
      `One invalidation for the 64 neighbouring pages of a descriptor moves ${gbps(ADJACENT)} Gb/s, with the guarantee of strict.`,
    ];
  },
};
