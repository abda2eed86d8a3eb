/** A flush queue for each CPU against one for all. */
import { CYCLES, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import { BENCHMARK } from './machines.ts';
import type { Column, Question } from './question.ts';

const CPUS = [1, 8, 32];
const label = (cpus: number, single: boolean) => `${cpus} CPUs, ${single ? 'one queue' : 'a queue a CPU'}`;

const MILLIONS: Column = {
  head: 'pairs a second, million',
  of: { ratio: ['operations', 'simulatedSeconds'] },
  scale: 1e-6,
  digits: 2,
};
const MOST_PAGES: Column = { head: 'most unmapped pages within reach', of: 'exposure.potential.peakPages' };

export const oneFlushQueue: Question = {
  kind: 'questions/one-flush-queue',
  title: 'One flush queue, or one for each CPU?',
  question:
    'Linux has a flush queue for each CPU, and since 6.7 one large queue for guests whose flushes are dear. What does sharing cost on the ' +
    'way in, and what does it do to the pages that wait?',
  source:
    'Linux iommu/dma "Use a large flush queue and timeout for shadow_on_flush", 2023; siderolabs/pkgs#1057 for who asks about lazy',
  request: {
    base: {
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'dev', kind: 'custom' }],
      costs: { profile: 'riommu15-mlx' },
    },
    arms: CPUS.flatMap((cpus) =>
      [false, true].map((single) => ({
        label: label(cpus, single),
        set: {
          'machine.cpus': cpus,
          'workloads.bench.threads': cpus,
          'policy.invalidation': { kind: 'flush-queue', single },
        },
      })),
    ),
    workloads: [{ ...BENCHMARK, transferNs: 1000 }],
    // More than the one queue holds.
    warmUp: { operations: 40_000 },
    until: { operations: 40_000 },
    seeds: [1],
    control: false,
  },
  columns: [MILLIONS, CYCLES, MOST_PAGES, PAGES_IN_REACH, LONGEST_US],
  answer(arms) {
    const most = CPUS.at(-1)!;
    const [each, one] = arms.each([label(most, false), label(most, true)], MILLIONS.of, MILLIONS.scale) as [
      number,
      number,
    ];
    const [eachPages, onePages] = arms.each([label(most, false), label(most, true)], MOST_PAGES.of) as [number, number];
    return [
      `On ${most} CPUs one queue does ${((100 * one) / each).toFixed(0)} % of what a queue a CPU does, and has ${onePages} pages within ` +
        `reach at most against ${eachPages}.`,
    ];
  },
};
