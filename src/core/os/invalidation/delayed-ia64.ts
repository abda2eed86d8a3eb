/**
 * delayed, in its ia64 form: unmap only notes the range. At the 64th, or when an allocation finds nothing, the PTEs of all of them are
 * cleared, purged and their addresses freed, the newest first, behind one read-back that waits for the purges. Until then a device that
 * comes back is served as if nothing had happened, by a page walk if need be; and no timer ends it.
 *
 * Source: Linux 3.6 `arch/ia64/hp/common/sba_iommu.c` (`DELAYED_RESOURCE_CNT` 64), `sba_unmap_single`, `sba_alloc_range`. Departs from
 * it: there an unused entry may stay valid and point at a poisoned page, because devices prefetch beyond the end of a mapping; here it
 * is cleared, and such a prefetch faults.
 */
import { ROW } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import type { InvalidationPolicy, PolicyParts } from './policy.ts';

export class DelayedIa64 implements InvalidationPolicy {
  readonly keepsPte = true;
  private readonly parts: PolicyParts;
  readonly capacity: number;
  /** [entry]: in the order of the unmaps. */
  private readonly domain: Int32Array;
  private readonly pfn: Float64Array;
  private readonly pages: Int32Array;
  queued = 0;
  /** What the kernel calls `saved_lock`. */
  private readonly lock = new Lock('delayed-resources');

  constructor(parts: PolicyParts) {
    this.parts = parts;
    this.capacity = parts.parameters.entries as number;
    this.domain = new Int32Array(this.capacity);
    this.pfn = new Float64Array(this.capacity);
    this.pages = new Int32Array(this.capacity);
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { work, costs, counters } = this.parts;
    work.acquire(this.lock);
    const at = this.queued++;
    this.domain[at] = domain.index;
    this.pfn[at] = pfn;
    this.pages[at] = pages;
    work.add(ROW.invalidation, costs.unmapQueue);
    if (this.queued === this.capacity) {
      counters.flushesBatch++;
      this.complete();
    }
    work.release(this.lock);
  }

  private complete(): void {
    const { work, costs, domains, clearPtes, freeIova, tables, counters, unit, flush } = this.parts;
    const { queued } = this;
    for (let at = queued - 1; at >= 0; at--) clearPtes(domains[this.domain[at]!]!, this.pfn[at]!, this.pages[at]!);
    // Each purge is posted as its PTEs are cleared; the read-back waits for all of them.
    work.add(ROW.invalidation, costs.invalidation);
    const now = work.now();
    for (let at = queued - 1; at >= 0; at--) {
      unit.submit(work.cpu, 1);
      unit.range(this.domain[at]!, this.pfn[at]!, this.pages[at]!, false, now);
    }
    // No such platform had device TLBs; where there are some, theirs come with the read-back.
    for (let at = queued - 1; at >= 0; at--)
      flush.deviceRange(domains[this.domain[at]!]!, this.pfn[at]!, this.pages[at]!);
    tables.releaseUnlinked();
    for (let at = queued - 1; at >= 0; at--) freeIova(domains[this.domain[at]!]!, this.pfn[at]!, this.pages[at]!);
    counters.entriesFlushed += queued;
    this.queued = 0;
  }

  private completeEarly(): void {
    const { work, counters } = this.parts;
    if (this.queued === 0) return;
    work.acquire(this.lock);
    counters.flushesExplicit++;
    this.complete();
    work.release(this.lock);
  }

  exhausted(_domain: Domain): void {
    this.completeEarly();
  }

  drain(_domain: Domain): void {
    this.completeEarly();
  }

  unmappedTogether(): void {}
  wrapped(): void {}
  freedAhead(): void {}
  timer(): boolean {
    return false;
  }

  holds(domain: Domain, first: number, last: number): boolean {
    for (let at = 0; at < this.queued; at++)
      if (this.domain[at] === domain.index && this.pfn[at]! <= last && this.pfn[at]! + this.pages[at]! - 1 >= first)
        return true;
    return false;
  }

  queue(limit: number): { domain: Domain; pfn: number; pages: number }[] {
    const out = [];
    for (let at = 0; at < Math.min(limit, this.queued); at++)
      out.push({ domain: this.parts.domains[this.domain[at]!]!, pfn: this.pfn[at]!, pages: this.pages[at]! });
    return out;
  }

  get locks(): readonly Lock[] {
    return [this.lock];
  }

  /** Its lock is rebased with the others. */
  rebase(_ps: number): void {}

  digest(sink: DigestSink): void {
    sink.number(this.queued);
    sink.column(this.domain, this.queued);
    sink.column(this.pfn, this.queued);
    sink.column(this.pages, this.queued);
    this.lock.digest(sink);
  }
}
