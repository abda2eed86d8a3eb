/**
 * wrap: the bit of a slot is free at unmap; the whole IOTLB is flushed once per trip round the bitmap, when the search reaches its end.
 *
 * Source: the SPARC trick named in the thread of June 2008; Linux 3.6 `arch/sparc/kernel/iommu.c`. The argument that a slot cannot be
 * handed out twice within a lap bounds allocation to reallocation, not free to reallocation: a slot freed *ahead of* the cursor is
 * handed out again in the same lap with no flush since its free. That hole is here, as it is there.
 */
import type { Domain } from '../domain.ts';
import { ImmediatePolicy } from './immediate.ts';
import type { PolicyEntry } from './policy.ts';

class Wrap extends ImmediatePolicy {
  unmapped(domain: Domain, pfn: number, pages: number): void {
    this.parts.tables.releaseUnlinked();
    this.parts.freeIova(domain, pfn, pages);
  }

  override wrapped(domain: Domain, all: boolean): void {
    if (all) this.parts.flush.global(this.parts.domains);
    else this.parts.flush.domain(domain);
    this.parts.counters.flushesWrap++;
  }

  override freedAhead(domain: Domain, pfn: number, pages: number): void {
    this.parts.flush.range(domain, pfn, pages, false);
  }

  /** A space that goes away, or a device that leaves it, takes its last flush along. */
  override drain(domain: Domain): void {
    this.parts.flush.domain(domain);
    this.parts.counters.flushesExplicit++;
  }
}

export const wrap: PolicyEntry = {
  kind: 'wrap',
  schema: { type: 'object', additionalProperties: false, required: ['kind'], properties: { kind: { const: 'wrap' } } },
  defaults: { kind: 'wrap' },
  source: 'Linux 3.6 arch/sparc/kernel/iommu.c; the thread of June 2008',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'one global flush each time the search wraps',
    iova: 'at unmap (next lap, unless freed ahead of the cursor)',
    tablePages: 'at unmap',
    window: 'until the cursor wraps: no bound in time',
  },
  lazy: true,
  downgrades: {
    'caching-mode': {
      to: null,
      why: 'a trick of platforms whose kernel code has no word for it',
      source: 'Linux 3.6, the platforms’ own DMA operations',
    },
    'no-deferred-flush': {
      to: null,
      why: 'a trick of platforms whose kernel code has no word for it',
      source: 'Linux 3.6, the platforms’ own DMA operations',
    },
    untrusted: {
      to: null,
      why: 'a trick of platforms whose kernel code has no word for it',
      source: 'Linux 3.6, the platforms’ own DMA operations',
    },
  },
  reusesBeforeFlush: true,
  deferred: false,
  needsCircular: true,
  create: (parts) => new Wrap(parts),
};
