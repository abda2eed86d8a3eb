/**
 * powerpc-pools: the pools of PowerPC's TCE tables. Four of them from 1 GiB of window up, else one; the top quarter is a large pool for
 * more than 15 pages, and for whoever finds nothing else. The hint moves on by whole blocks, so that two CPUs' entries seldom share a
 * cache line of the table.
 *
 * Source: Linux 6.1 `arch/powerpc/kernel/iommu.c`; see `bitmap-pools.ts`. Nothing is flushed when a hint wraps: the platform
 * invalidates at each free, so it goes with `strict` and is refused under `wrap`.
 *
 * Pathology: a block of 16 entries is passed over for every single page, so a pool is soon scattered.
 */
import type { AllocatorEntry } from './allocator.ts';
import { entriesOf, entriesSchema } from './bitmap-based.ts';
import { PoolSpace } from './bitmap-pools.ts';

/** Pages of 1 GiB. */
const FOUR_POOLS_FROM = 2 ** 18;

export const powerpcPools: AllocatorEntry = {
  kind: 'powerpc-pools',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'powerpc-pools' },
      entries: entriesSchema,
      blockEntries: {
        type: 'integer',
        minimum: 1,
        maximum: 64,
        enum: [1, 2, 4, 8, 16, 32, 64],
        default: 16,
        description: 'entries in a cache line of the table',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'powerpc-pools', entries: 2 ** 20, blockEntries: 16 },
  source: 'Linux 6.1 arch/powerpc/kernel/iommu.c',
  searches: 'bitmap',
  costSteps: ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'],
  findStep: 'bitmapFind',
  circular: false,
  aligned: false,
  longestPages: 2 ** 17,
  always32BitFirst: false,
  create: (setup) => {
    const entries = entriesOf(setup);
    return new PoolSpace({
      kind: 'powerpc-pools',
      entries,
      call: setup.call,
      pools: entries >= FOUR_POOLS_FROM ? 4 : 1,
      hashBits: 2,
      largePool: true,
      endIsLast: false,
      largeAsLastResort: true,
      largeGoesOn: true,
      blockEntries: setup.parameters.blockEntries as number,
      flush: null,
    });
  },
};
