/** Verdicts, causes and exposure of random histories against a naive oracle that keeps everything. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { History } from './history.ts';

const small = { iotlb: { entries: 16, ways: 4, replacement: 'lru' }, walkCache: { entriesPerLevel: [2, 3, 4] } };
const bitmap = { kind: 'bitmap', apertureBytes: 2 ** 20 };

const specs: Record<string, Record<string, unknown>> = {
  strict: { policy: { invalidation: { kind: 'strict' } }, iommu: small },
  'deferred-2008': { policy: { invalidation: { kind: 'deferred-2008', highWater: 20 } }, iommu: small },
  'deferred-2008, caching mode': {
    policy: { invalidation: { kind: 'deferred-2008', highWater: 20 } },
    iommu: { ...small, invalidation: { cachingMode: true } },
  },
  'flush-queue': { policy: { invalidation: { kind: 'flush-queue' } }, iommu: small },
  'gart, wrap': { policy: { allocator: { kind: 'gart', entries: 256 }, invalidation: { kind: 'wrap' } }, iommu: small },
  'amd-2008, wrap': {
    policy: { allocator: { kind: 'amd-2008', entries: 256 }, invalidation: { kind: 'wrap' } },
    iommu: small,
  },
  wrap: { policy: { allocator: bitmap, invalidation: { kind: 'wrap' } }, iommu: small },
  delayed: { policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'delayed' } }, iommu: small },
  'delayed, ia64': {
    policy: { allocator: { kind: 'sba-ia64' }, invalidation: { kind: 'delayed', form: 'ia64', entries: 20 } },
    iommu: small,
  },
  'delayed, ia64, on a tree': {
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'delayed', form: 'ia64' } },
    iommu: { ...small, superpages: [] },
  },
  ...Object.fromEntries(
    [
      { kind: 'strict' },
      { kind: 'deferred-2008', highWater: 20 },
      { kind: 'flush-queue' },
      { kind: 'delayed', form: 'ia64', entries: 10 },
      { kind: 'never' },
    ].map((invalidation) => [
      `persistent, ${invalidation.kind}`,
      {
        policy: { allocator: { kind: 'persistent', keptMappings: 12, keptTimeoutMs: 4 }, invalidation },
        iommu: small,
      },
    ]),
  ),
  never: { policy: { invalidation: { kind: 'never' } }, iommu: small },
  'never, large caches': {
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'never' } },
    iommu: { iotlb: { entries: 256, ways: 0, replacement: 'fifo' }, walkCache: { entriesPerLevel: [16, 16, 16] } },
  },
  'deferred, three levels, no page-selective invalidation, plru': {
    policy: { invalidation: { kind: 'deferred-2008' } },
    iommu: {
      levels: 3,
      superpages: ['2MiB'],
      iotlb: { entries: 32, ways: 8, replacement: 'plru' },
      walkCache: { entriesPerLevel: [0, 4] },
      invalidation: { pageSelective: false },
    },
  },
  'never, five levels, random replacement, register interface': {
    policy: { allocator: bitmap, invalidation: { kind: 'never' } },
    iommu: {
      levels: 5,
      iotlb: { entries: 32, ways: 4, replacement: 'random' },
      walkCache: { entriesPerLevel: [1, 2, 3, 4] },
      invalidation: { interface: 'register', maxAddressMask: 3 },
    },
  },
  'strict, ranges': { policy: { invalidation: { kind: 'strict' } }, iommu: { ...small, superpages: ['1GiB'] } },
  'deferred-2008, ranges, no superpages': { iommu: { ...small, superpages: [] } },
  passthrough: { policy: { mode: 'passthrough', invalidation: { kind: 'strict' } } },
};

const tlb = { entries: 8, ways: 4, replacement: 'lru' } as const;
const random = { entries: 4, ways: 0, replacement: 'random' } as const;
/** Domain `shared` has two devices with a TLB, or one of two; `other` one or none. */
const translating: Record<string, [Record<string, unknown>, (typeof tlb | typeof random | null)[]]> = {
  strict: [{ policy: { invalidation: { kind: 'strict' } }, iommu: small }, [tlb, random, tlb]],
  'strict, 16 descriptors before a wait': [
    { policy: { invalidation: { kind: 'strict' } }, iommu: { ...small, invalidation: { batchDescriptors: 16 } } },
    [tlb, null, random],
  ],
  'deferred-2008': [
    { policy: { invalidation: { kind: 'deferred-2008', highWater: 20 } }, iommu: small },
    [tlb, random],
  ],
  'deferred-2008, caching mode, batches, a queue for each CPU': [
    {
      policy: { invalidation: { kind: 'deferred-2008', highWater: 20 } },
      iommu: { ...small, invalidation: { cachingMode: true, batchDescriptors: 16, interface: 'per-cpu' } },
    },
    [tlb, random, tlb],
  ],
  'flush-queue': [{ policy: { invalidation: { kind: 'flush-queue' } }, iommu: small }, [tlb, null, tlb]],
  'wrap, no page-selective invalidation': [
    {
      policy: { allocator: bitmap, invalidation: { kind: 'wrap' } },
      iommu: { ...small, invalidation: { pageSelective: false } },
    },
    [random, tlb],
  ],
  delayed: [{ policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'delayed' } }, iommu: small }, [tlb, tlb]],
  'delayed, ia64': [
    {
      policy: { allocator: { kind: 'sba-ia64' }, invalidation: { kind: 'delayed', form: 'ia64', entries: 12 } },
      iommu: small,
    },
    [tlb, random, tlb],
  ],
  'persistent, strict': [
    { policy: { allocator: { kind: 'persistent', keptMappings: 12 }, invalidation: { kind: 'strict' } }, iommu: small },
    [tlb, random, tlb],
  ],
  'persistent, deferred-2008': [
    {
      policy: {
        allocator: { kind: 'persistent', keptMappings: 12, keptTimeoutMs: 4 },
        invalidation: { kind: 'deferred-2008', highWater: 20 },
      },
      iommu: small,
    },
    [tlb, null, tlb],
  ],
  never: [{ policy: { invalidation: { kind: 'never' } }, iommu: small }, [tlb, random, tlb]],
  'never, ranges': [{ policy: { invalidation: { kind: 'never' } }, iommu: small }, [tlb, random, tlb]],
};

describe('the oracle', () => {
  const seen = new Map<string, number>();
  for (const [name, spec] of Object.entries(specs))
    test(`${name}: translations, verdicts, causes and windows of 3,000 random operations are those of the naive oracle`, () => {
      for (const seed of [1, 2]) {
        const history = new History(spec, seed, name.includes('ranges'));
        try {
          history.run(1500);
        } catch (error) {
          if (error instanceof Error) error.message = `${name}, seed ${seed}: ${error.message}`;
          throw error;
        }
        for (const [what, count] of history.seen) seen.set(what, (seen.get(what) ?? 0) + count);
      }
    });

  for (const [name, [spec, deviceTlbs]] of Object.entries(translating))
    test(`${name}, devices with a TLB: the same of 3,000 random operations`, () => {
      for (const seed of [1, 2]) {
        const history = new History(spec, seed, name.includes('ranges'), deviceTlbs);
        try {
          history.run(1500);
        } catch (error) {
          if (error instanceof Error) error.message = `${name}, seed ${seed}: ${error.message}`;
          throw error;
        }
        for (const [what, count] of history.seen) seen.set(what, (seen.get(what) ?? 0) + count);
      }
    });

  test('every verdict and every cause that this core can have came up', () => {
    const names = [...seen.keys()];
    for (const verdict of [
      'ok',
      'fault',
      'subpage',
      'unprotected',
      'stale',
      'stale-reused',
      'misdirected',
      'stale-cross-tenant',
    ])
      assert.ok(
        names.some((name) => name.split(' by ')[0] === verdict),
        `${verdict}: only ${names.join(', ')}`,
      );
    for (const cause of ['iotlb', 'walk-cache', 'device-tlb', 'pte', 'freed-while-mapped', 'no-protection'])
      assert.ok(
        names.some((name) => name.split(' by ')[1] === cause),
        `${cause}: only ${names.join(', ')}`,
      );
  });
});
