/** What batching the flush gains on the tree and on the bitmap, and from which rows of the breakdown the gain comes. */
import { profiles } from '../../src/core/meter/cost-profile.ts';
import { figure, percent, table } from '../docs/table.ts';
import { type Arm, resultOf } from './arms.ts';
import { workload } from './lab.ts';

const ROWS = ['iovaAlloc', 'iovaFind', 'iovaFree', 'pageTable', 'invalidation', 'lockWait', 'other'] as const;
const WORKLOADS = ['rx', 'tx', 'disk'] as const;
type WorkloadName = (typeof WORKLOADS)[number];

/** Cycles of one map and one unmap by a workload, by row. */
function perOperation(arm: Arm, gbps: number, name: WorkloadName, costs: Record<string, number> = {}): number[] {
  const { breakdown } = workload(resultOf(arm, { gbps }, costs), name);
  return ROWS.map((row) => breakdown.map[row]! + breakdown.unmap[row]!);
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

/** The bitmap's steps at one end of the range that the profile gives for these assumptions. */
function bitmapCosts(end: 0 | 1): Record<string, number> {
  const { steps } = profiles['riommu15-brcm']!;
  const names = ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFree'] as const;
  return Object.fromEntries(names.map((name) => [name, steps[name].range![end]!]));
}

export interface Gain {
  strict: number;
  deferred: number;
  gain: number;
  share: number;
}

/** Of one map and one unmap: what `deferred-2008` saves over `strict`. */
export function gainOf(
  allocator: Arm['allocator'],
  gbps: number,
  name: WorkloadName,
  costs: Record<string, number> = {},
): Gain {
  const strict = sum(perOperation({ allocator, policy: 'strict' }, gbps, name, costs));
  const deferred = sum(perOperation({ allocator, policy: 'deferred-2008' }, gbps, name, costs));
  return { strict, deferred, gain: strict - deferred, share: (strict - deferred) / strict };
}

export function batchingTable(): string {
  const variants: { title: string; allocator: Arm['allocator']; costs?: Record<string, number> }[] = [
    { title: 'rbtree-2008', allocator: 'rbtree-2008' },
    { title: 'bitmap', allocator: 'bitmap' },
    { title: 'bitmap, its steps at half', allocator: 'bitmap', costs: bitmapCosts(0) },
    { title: 'bitmap, its steps at twice', allocator: 'bitmap', costs: bitmapCosts(1) },
  ];
  const rows = [10, 2].flatMap((gbps) =>
    variants.map(({ title, allocator, costs }) => {
      const rx = gainOf(allocator, gbps, 'rx', costs);
      const others = (['tx', 'disk'] as const).map((name) => gainOf(allocator, gbps, name, costs));
      return [
        title,
        gbps,
        figure(rx.strict),
        figure(rx.deferred),
        ...[rx, ...others].map(({ gain, share }) => `${figure(gain)} (${percent(share, 0)})`),
      ];
    }),
  );
  return table(
    ['allocator', 'offered Gb/s', 'rx, strict', 'rx, deferred-2008', 'gain of rx', 'gain of tx', 'gain of disk'],
    rows,
  );
}

export function breakdownTable(): string {
  const arms: Arm[] = [
    { allocator: 'rbtree-2008', policy: 'strict' },
    { allocator: 'rbtree-2008', policy: 'deferred-2008' },
    { allocator: 'bitmap', policy: 'strict' },
    { allocator: 'bitmap', policy: 'deferred-2008' },
  ];
  const rows = arms.flatMap((arm) =>
    WORKLOADS.map((name) => {
      const cycles = perOperation(arm, 10, name);
      return [arm.allocator, arm.policy, name, ...cycles.map((value) => figure(value)), figure(sum(cycles))];
    }),
  );
  return table(['allocator', 'policy', 'workload', ...ROWS, 'sum'], rows);
}
