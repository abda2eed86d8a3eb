/** One invalidation queue among CPUs: where the lock is the limit, and what a queue for each is worth. */
import { CYCLES } from './columns.ts';
import { BENCHMARK } from './machines.ts';
import type { Column, Question } from './question.ts';

const CPUS = [1, 2, 4, 8, 16, 32];
const label = (cpus: number, kind: string) => `${cpus} CPUs, ${kind === 'queued' ? 'one queue' : 'a queue a CPU'}`;

const MILLIONS: Column = {
  head: 'pairs a second, million',
  of: { ratio: ['operations', 'simulatedSeconds'] },
  scale: 1e-6,
  digits: 2,
};

export const queueLock: Question = {
  kind: 'questions/queue-lock',
  title: 'From how many cores on does the invalidation queue saturate?',
  question:
    'A CPU that serves NVMe spends half of its time, later three quarters, in submitting commands to the IOMMU. How does strict scale with ' +
    'CPUs behind one locked queue, and what does a queue for each give?',
  source: 'linux iommu list b2a6e26d-6d0d-7f0d-f222-589812f701d2, B926444035E5E2439431908E3842AFD24B86DB (2020)',
  request: {
    base: {
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'dev', kind: 'custom' }],
      costs: { profile: 'riommu15-mlx' },
    },
    arms: ['queued', 'per-cpu'].flatMap((kind) =>
      CPUS.map((cpus) => ({
        label: label(cpus, kind),
        set: { 'machine.cpus': cpus, 'workloads.bench.threads': cpus, 'iommu.invalidation.interface': kind },
      })),
    ),
    workloads: [{ ...BENCHMARK, transferNs: 2000 }],
    warmUp: { operations: 1000 },
    until: { operations: 6000 },
    control: false,
  },
  columns: [
    MILLIONS,
    CYCLES,
    { head: 'of them waiting for locks', of: 'breakdown.unmap.lockWait' },
    { head: 'and invalidating', of: 'breakdown.unmap.invalidation' },
  ],
  answer(arms) {
    const rates = CPUS.map((cpus) => arms.of(label(cpus, 'queued'), MILLIONS.of, MILLIONS.scale));
    const last = rates.at(-1)!;
    const from = CPUS[rates.findIndex((rate) => rate > 0.95 * last)]!;
    const each = arms.of(label(CPUS.at(-1)!, 'per-cpu'), MILLIONS.of, MILLIONS.scale);
    return [
      `From ${from} CPUs on one queue does ${last.toFixed(2)} million maps and unmaps a second, however many more there are. With a queue ` +
        `for each, ${CPUS.at(-1)} CPUs do ${each.toFixed(2)} million.`,
    ];
  },
};
