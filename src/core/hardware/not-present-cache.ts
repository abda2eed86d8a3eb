/**
 * Caching mode: the chip also keeps that nothing was there. A page that a walk found without an entry faults without another walk,
 * until an invalidation covers it; so a driver that maps it has to invalidate it, or the device does not see the new entry.
 *
 * Source: Intel VT-d specification, capability bit CM, which emulated IOMMUs set, because their hypervisor learns of new entries by the
 * invalidation alone. Departs: a hypervisor may keep any number of pages; here the last 64 that were found are kept.
 */
import type { DigestSink } from '../sim/digest-sink.ts';

const ENTRIES = 64;
const NO_PAGE = -1;

export class NotPresentCache {
  /** [slot]: IOVA page that nothing was found for, NO_PAGE when empty; its domain. */
  private readonly page = new Float64Array(ENTRIES).fill(NO_PAGE);
  private readonly domain = new Int32Array(ENTRIES);
  /** Slot that is filled next, the one that was filled first. */
  private next = 0;

  has(domain: number, page: number): boolean {
    for (let slot = 0; slot < ENTRIES; slot++)
      if (this.page[slot] === page && this.domain[slot] === domain) return true;
    return false;
  }

  add(domain: number, page: number): void {
    const { next } = this;
    this.page[next] = page;
    this.domain[next] = domain;
    this.next = (next + 1) % ENTRIES;
  }

  /** @param domain negative for all */
  invalidate(domain: number, first: number, last: number): void {
    for (let slot = 0; slot < ENTRIES; slot++) {
      const page = this.page[slot]!;
      if (page >= first && page <= last && (domain < 0 || this.domain[slot] === domain)) this.page[slot] = NO_PAGE;
    }
  }

  digest(sink: DigestSink): void {
    sink.column(this.page, ENTRIES);
    sink.column(this.domain, ENTRIES);
    sink.number(this.next);
  }
}
