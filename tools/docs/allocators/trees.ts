/** The two trees: walks, rounding, and the size that is known not to fit. */
import type { Step } from '../curl.ts';
import { look, map, onlyTop, operations, run, session, unmap, unmapAt } from './one-device.ts';

const WALK = { line: true, op: true, result: { iova: true, breakdown: { iovaAlloc: true } } } as const;

/** Eight pages live; the topmost is freed, and two are asked for. */
const walk: Step[] = [
  session('walk', { allocator: { kind: 'rbtree-2008' }, invalidation: 'strict' }),
  operations(
    'walk',
    [...['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((as) => map({ as })), unmap('a'), map(), map()],
    WALK,
  ),
  look('walk', { nodesVisited: true, lastNodesVisited: true }),
];

const rings = (name: string, kind: string, ringSize: number): Step[] => [
  session(name, {
    allocator: { kind },
    invalidation: 'strict',
    machine: { cpus: 2 },
    workloads: [
      { kind: 'nic-rx', device: 'nic0', gbps: 1, ringSize, cpus: [0] },
      { kind: 'nic-tx', device: 'nic0', gbps: 1, ringSize, cpus: [1] },
    ],
  }),
  ...run(name, 20_000_000, {
    counts: { allocationAttempts: true, nodesVisited: true },
    breakdown: { map: { iovaAlloc: true } },
  }),
];

const rounding: Step[] = [
  session('rounding', { allocator: { kind: 'rbtree-2008' }, invalidation: 'strict' }),
  operations('rounding', [map({ pages: 5 }), map({ pages: 5 }), map({ pages: 513 })]),
  look('rounding', { liveRanges: true, livePages: true }),
];

const SIZE = { max32AllocSize: true, nodesVisited: true, lastNodesVisited: true } as const;

/** Eight pages of room in which no two free ones are neighbours. */
const knownSize: Step[] = [
  session('full', { allocator: { kind: 'rbtree' }, invalidation: 'strict', dmaMaskBits: 32, iommu: onlyTop(8) }),
  operations(
    'full',
    [...['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((as) => map({ as })), ...['b', 'd', 'f'].map((as) => unmap(as))],
    { line: true, op: true, ok: true },
  ),
  operations('full', [map({ pages: 2 })]),
  look('full', SIZE),
  operations('full', [map({ pages: 2 })]),
  look('full', SIZE),
  operations('full', [unmapAt('0xffff8000'), map({ pages: 2 })]),
  look('full', SIZE),
];

/** A 64-bit device that fills the little that is free below 4 GiB. */
const lastOf32Bits: Step[] = [
  session('wide', { allocator: { kind: 'rbtree' }, invalidation: 'strict', iommu: onlyTop(2) }),
  operations('wide', [map({ as: 'a' }), map({ as: 'b' }), map({ as: 'c' }), unmap('a'), unmap('b'), map()]),
];

export const treeScenes: Record<string, Step[]> = {
  'rbtree-2008 walk': walk,
  'rbtree-2008 rings': [...rings('ring-256', 'rbtree-2008', 256), ...rings('ring-1024', 'rbtree-2008', 1024)],
  'rbtree-2008 rounding': rounding,
  'rbtree rings': rings('ring-1024', 'rbtree', 1024),
  'rbtree known size': knownSize,
  'rbtree wide': lastOf32Bits,
};
