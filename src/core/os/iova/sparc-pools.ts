/**
 * sparc-pools: the pools that SPARC and others took over in 2015. Each of up to 16 has its own lock and hint; a large pool, the top
 * quarter, takes requests of more than 15 pages. Under `wrap` it flushes only when it hands out what lies below the hint, or after a
 * pool was started anew.
 *
 * Source: Linux 6.1 `arch/sparc/kernel/iommu-common.c` (in `lib/` until 2018) and `arch/sparc/kernel/iommu.c`; see `bitmap-pools.ts`.
 *
 * Pathologies: one flush flag for all pools, so that what a request that failed has set, whoever allocates next pays; a slot freed ahead
 * of a pool's hint is handed out again with no flush; and two entries of each small pool are never used.
 */
import type { AllocatorEntry } from './allocator.ts';
import { entriesOf, entriesSchema } from './bitmap-based.ts';
import { PoolSpace } from './bitmap-pools.ts';

export const sparcPools: AllocatorEntry = {
  kind: 'sparc-pools',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'sparc-pools' },
      entries: entriesSchema,
      pools: {
        type: 'integer',
        minimum: 1,
        maximum: 16,
        enum: [1, 2, 4, 8, 16],
        default: 16,
        description: 'small pools; the hash of the CPU picks one',
      },
      largePool: { type: 'boolean', default: true, description: 'the top quarter is for more than 15 pages' },
      lazyFlush: { type: 'boolean', default: true, description: 'without it, `wrap` never flushes (sun4v)' },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'sparc-pools', entries: 2 ** 20, pools: 16, largePool: true, lazyFlush: true },
  source: 'Linux 6.1 arch/sparc/kernel/iommu-common.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: true,
  wrapFlush: 'global',
  aligned: false,
  longestPages: 2 ** 17,
  always32BitFirst: false,
  create: (setup) =>
    new PoolSpace({
      kind: 'sparc-pools',
      entries: entriesOf(setup),
      call: setup.call,
      pools: setup.parameters.pools as number,
      hashBits: 4,
      largePool: setup.parameters.largePool === true,
      endIsLast: true,
      largeAsLastResort: false,
      largeGoesOn: false,
      blockEntries: 1,
      flush: setup.parameters.lazyFlush === true ? setup.onWrap : null,
    }),
};
