/**
 * strict: unmap clears the PTEs, invalidates exactly this range and waits, frees table pages, then the IOVA. Nothing is reachable
 * once unmap has returned.
 *
 * Source: Linux `drivers/iommu/dma-iommu.c` (unmap path), `intel_iommu=strict` before it. Leaf-only when no table page was freed, unless
 * `leafOnly` is false: then each invalidation drops the walk caches of its range as well, which is what "Fast & Safe" (SOSP 2024) reports
 * of its baseline and does away with.
 *
 * Pathology: an invalidation an unmap, all through one queue; without `leafOnly`, misses that read tables which nobody has changed.
 */
import type { Domain } from '../domain.ts';
import { ImmediatePolicy } from './immediate.ts';
import type { PolicyEntry, PolicyParts } from './policy.ts';

export class Strict extends ImmediatePolicy {
  /** Whether an invalidation that frees no table page keeps the walk caches. */
  declare protected readonly leafOnly: boolean;

  constructor(parts: PolicyParts) {
    super(parts);
    this.leafOnly = parts.parameters.leafOnly !== false;
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { flush, tables, freeIova } = this.parts;
    flush.range(domain, pfn, pages, this.leafOnly && tables.unlinkedTables === 0);
    tables.releaseUnlinked();
    freeIova(domain, pfn, pages);
  }
}

export const strict: PolicyEntry = {
  kind: 'strict',
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: {
      kind: { const: 'strict' },
      leafOnly: { type: 'boolean', description: 'false: drops walk caches at each unmap' },
    },
  },
  defaults: { kind: 'strict' },
  source: 'Linux drivers/iommu/dma-iommu.c, unmap path; intel_iommu=strict since 2008',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'invalidated at unmap, waited for',
    iova: 'at unmap, after the invalidation',
    tablePages: 'at unmap, after the invalidation',
    window: 'none',
  },
  lazy: false,
  downgrades: {
    'caching-mode': {
      to: null,
      why: 'nothing is held back that could be forbidden',
      source: 'Linux drivers/iommu/dma-iommu.c',
    },
    'no-deferred-flush': {
      to: null,
      why: 'nothing is held back that could be forbidden',
      source: 'Linux drivers/iommu/dma-iommu.c',
    },
    untrusted: {
      to: null,
      why: 'nothing is held back that could be forbidden',
      source: 'Linux drivers/iommu/dma-iommu.c',
    },
  },
  leavesNothing: true,
  deferred: false,
  needsCircular: false,
  create: (parts) => new Strict(parts),
};
