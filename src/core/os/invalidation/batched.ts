/**
 * batched: strict, with one invalidation for all that is given back together: the buffers of a receive descriptor, or a scatter list.
 * Ranges are gathered as they come: one that meets the gathered range or touches it widens that; one that lies apart sends it first.
 * When the call returns all is invalidated, and only then are table pages and addresses freed.
 *
 * Source: Linux `include/linux/iommu.h`, `iommu_iotlb_gather_add_page` and its neighbours (gathering, in the kernel since 2019); Rubin,
 * Agarwal, Cai, Agarwal, "Fast & Safe IO Memory Protection", SOSP 2024 (one unmap and one leaf-only invalidation for the 64 pages of a
 * descriptor). What it is worth depends on the allocator: `contiguous` makes one range of a descriptor, a tree of single pages may make
 * as many as it has pages. Leaf-only as `strict` is.
 *
 * Pathology: scattered addresses are flushed one by one, as by `strict`; and the last of many buffers is returned no earlier than the
 * first.
 */
import type { Domain } from '../domain.ts';
import type { PolicyEntry } from './policy.ts';
import { Strict, strict } from './strict.ts';

class Batched extends Strict {
  unmappedTogether(domain: Domain, pfn: Float64Array, pages: Int32Array, count: number): void {
    const { flush, tables, freeIova } = this.parts;
    const leafOnly = this.leafOnly && tables.unlinkedTables === 0;
    let first = pfn[0]!;
    let end = first + pages[0]!;
    for (let i = 1; i < count; i++) {
      const from = pfn[i]!;
      const to = from + pages[i]!;
      if (from > end || to < first) {
        flush.range(domain, first, end - first, leafOnly);
        first = from;
        end = to;
      } else {
        if (from < first) first = from;
        if (to > end) end = to;
      }
    }
    flush.range(domain, first, end - first, leafOnly);
    tables.releaseUnlinked();
    for (let i = 0; i < count; i++) freeIova(domain, pfn[i]!, pages[i]!);
  }
}

export const batched: PolicyEntry = {
  kind: 'batched',
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: {
      kind: { const: 'batched' },
      leafOnly: { type: 'boolean', description: 'false: drops walk caches at each invalidation' },
    },
  },
  defaults: { kind: 'batched' },
  source:
    'Linux include/linux/iommu.h, the IOTLB gather; Fast & Safe, SOSP 2024 (one invalidation for each descriptor)',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'invalidated before the call returns, neighbours in one range, waited for',
    iova: 'before the call returns, after the invalidations',
    tablePages: 'before the call returns, after the invalidations',
    window: 'none',
  },
  lazy: false,
  downgrades: strict.downgrades,
  leavesNothing: true,
  deferred: false,
  needsCircular: false,
  create: (parts) => new Batched(parts),
};
