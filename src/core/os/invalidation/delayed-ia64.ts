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
import { HeldRanges } from './held-ranges.ts';
import type { InvalidationPolicy, PolicyParts } from './policy.ts';

export class DelayedIa64 implements InvalidationPolicy {
  readonly keepsPte = true;
  private readonly parts: PolicyParts;
  private readonly held: HeldRanges;
  /** What the kernel calls `saved_lock`. */
  private readonly lock = new Lock('delayed-resources');

  constructor(parts: PolicyParts) {
    this.parts = parts;
    this.held = new HeldRanges(parts.parameters.entries as number);
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { work, costs, counters } = this.parts;
    work.acquire(this.lock);
    this.held.add(domain.index, pfn, pages);
    work.add(ROW.invalidation, costs.unmapQueue);
    if (this.queued === this.capacity) {
      counters.flushesBatch++;
      this.complete();
    }
    work.release(this.lock);
  }

  private complete(): void {
    const { work, costs, domains, clearPtes, freeIova, tables, counters, unit, flush } = this.parts;
    const { held, queued } = this;
    for (let at = queued - 1; at >= 0; at--) clearPtes(domains[held.domain[at]!]!, held.pfn[at]!, held.pages[at]!);
    // Each purge is posted as its PTEs are cleared; the read-back waits for all of them.
    work.add(ROW.invalidation, costs.invalidation);
    const now = work.now();
    for (let at = queued - 1; at >= 0; at--) {
      unit.submit(work.cpu, 1);
      unit.range(held.domain[at]!, held.pfn[at]!, held.pages[at]!, false, now);
    }
    // No such platform had device TLBs; where there are some, theirs come with the read-back.
    held.tellDevices(flush, domains);
    tables.releaseUnlinked();
    for (let at = queued - 1; at >= 0; at--) freeIova(domains[held.domain[at]!]!, held.pfn[at]!, held.pages[at]!);
    counters.entriesFlushed += queued;
    held.count = 0;
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

  wrapped(): void {}
  freedAhead(): void {}
  timer(): boolean {
    return false;
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

  /** Its lock is rebased with the others. */
  rebase(_ps: number): void {}

  digest(sink: DigestSink): void {
    this.held.digest(sink);
    this.lock.digest(sink);
  }
}
