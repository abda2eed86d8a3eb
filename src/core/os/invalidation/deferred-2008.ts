/**
 * deferred-2008: unmapped ranges wait in one table per IOMMU, behind one lock and one counter, for one global flush, when the table is
 * full or 10 ms after the first of them; only then are their IOVAs freed.
 *
 * Source: commit 5e0d2a6fc094 (Mark Gross, 2008) as it stood in Linux 3.6 `drivers/iommu/intel-iommu.c`: the 251st add flushes first,
 * freed table pages go back at once, before any flush (a hazard that later kernels mended), caching-mode hardware gets one page-selective
 * flush per entry, and device TLBs one for each entry and device. Departs: one IOMMU. Pathology: everybody meets at one lock, and the
 * flusher frees 250 addresses under it.
 */

import * as workConstants from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import { HeldRanges } from './held-ranges.ts';
import type { InvalidationPolicy, PolicyEntry, PolicyParts } from './policy.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { ROW } = workConstants;

class Deferred2008 implements InvalidationPolicy {
  declare private readonly parts: PolicyParts;
  declare private readonly timeoutPs: number;
  declare private readonly held: HeldRanges;
  /** What the kernel calls `async_umap_flush_lock`. */
  private readonly lock = new Lock('deferred-flush');
  private timerPending = false;
  /** Token of the timer that counts; arming again moves it, as `mod_timer` does. */
  private token = 0;

  constructor(parts: PolicyParts) {
    this.parts = parts;
    this.held = new HeldRanges(parts.parameters.highWater as number);
    this.timeoutPs = (parts.parameters.timeoutMs as number) * 1e9;
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { work, costs, tables, counters } = this.parts;
    tables.releaseUnlinked();
    work.acquire(this.lock);
    work.add(ROW.invalidation, costs.unmapQueue);
    if (this.queued === this.capacity) {
      counters.flushesFull++;
      this.flush();
    }
    this.held.add(domain.index, pfn, pages);
    if (!this.timerPending) {
      this.timerPending = true;
      this.parts.arm(work.now() + this.timeoutPs, ++this.token);
    }
    work.release(this.lock);
  }

  private flush(): void {
    const { flush, domains, freeIova, cachingMode, counters } = this.parts;
    this.timerPending = false;
    const { held, queued } = this;
    if (queued === 0) return;
    if (cachingMode) this.flushEach();
    else {
      flush.globalIotlb(domains);
      held.tellDevices(flush, domains);
    }
    for (let at = 0; at < queued; at++) freeIova(domains[held.domain[at]!]!, held.pfn[at]!, held.pages[at]!);
    counters.entriesFlushed += queued;
    held.count = 0;
  }

  /** One page-selective flush an entry; entries of one domain that follow each other may share a wait. */
  private flushEach(): void {
    const { flush, domains } = this.parts;
    const { held, queued } = this;
    const { domain } = held;
    for (let at = 0; at < queued; ) {
      let end = at + 1;
      while (end < queued && domain[end] === domain[at]) end++;
      const firsts = held.pfn.subarray(at, end);
      flush.ranges(domains[domain[at]!]!, firsts, held.pages.subarray(at, end), end - at, false);
      at = end;
    }
  }

  timer(token: number): boolean {
    if (token !== this.token || !this.timerPending) return false;
    const { work, counters } = this.parts;
    work.acquire(this.lock);
    if (this.queued > 0) counters.flushesTimer++;
    this.flush();
    work.release(this.lock);
    return true;
  }

  wrapped(): void {}
  freedAhead(): void {}

  drain(_domain: Domain): void {
    const { work, counters } = this.parts;
    if (this.queued === 0) return;
    work.acquire(this.lock);
    counters.flushesExplicit++;
    this.flush();
    work.release(this.lock);
  }

  holds(domain: Domain, first: number, last: number): boolean {
    return this.held.holds(domain, first, last);
  }

  queue(limit: number): { domain: Domain; pfn: number; pages: number }[] {
    return this.held.oldest(this.parts.domains, limit);
  }

  get queued(): number {
    return this.held.count;
  }

  get capacity(): number {
    return this.held.capacity;
  }

  get locks(): readonly Lock[] {
    return [this.lock];
  }

  /** Its lock is rebased with the others, its timer with the queue. */
  rebase(_ps: number): void {}

  digest(sink: DigestSink): void {
    this.held.digest(sink);
    sink.number(this.timerPending ? 1 : 0);
    sink.number(this.token);
    this.lock.digest(sink);
  }
}

export const deferred2008: PolicyEntry = {
  kind: 'deferred-2008',
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: {
      kind: { const: 'deferred-2008' },
      highWater: { type: 'integer', minimum: 1, maximum: 65536, description: 'entries; one more flushes first' },
      timeoutMs: { type: 'number', minimum: 0.001, maximum: 60000, description: 'from the first entry to the flush' },
    },
  },
  defaults: { kind: 'deferred-2008', highWater: 250, timeoutMs: 10 },
  source: 'commit 5e0d2a6fc094 (2008); Linux 3.6 drivers/iommu/intel-iommu.c',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'one global flush when 250 wait, or after 10 ms',
    iova: 'after that flush',
    tablePages: 'at unmap, before any flush',
    window: 'up to 10 ms, if cached',
  },
  lazy: true,
  downgrades: {
    'caching-mode': {
      to: null,
      instead: 'each entry gets a page-selective flush of its own when the table is flushed',
      why: 'its driver had an answer of its own: no global flush, which is dear to emulate',
      source: 'Linux 3.6 drivers/iommu/intel-iommu.c, flush_unmaps',
    },
    'no-deferred-flush': {
      to: null,
      why: 'its table is the driver’s own and asks for no capability',
      source: 'Linux 3.6 drivers/iommu/intel-iommu.c',
    },
    untrusted: {
      to: 'strict',
      why: 'since such a device is trusted with nothing beyond the bytes that it is given',
      source: 'today’s rule (Linux drivers/iommu/iommu.c): 3.6 had no word for such devices',
    },
  },
  deferred: true,
  needsCircular: false,
  create: (parts) => new Deferred2008(parts),
};
