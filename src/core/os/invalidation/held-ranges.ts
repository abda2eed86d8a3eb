/** Unmapped ranges that a policy holds back, in the order in which they came, up to a number that it chooses. */
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Domain } from '../domain.ts';
import type { IotlbFlush } from '../iotlb-flush.ts';

export class HeldRanges {
  declare readonly capacity: number;
  /** [entry]: index of the domain; lowest page of the range, and how many. */
  declare readonly domain: Int32Array;
  declare readonly pfn: Float64Array;
  declare readonly pages: Int32Array;
  count = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.domain = new Int32Array(capacity);
    this.pfn = new Float64Array(capacity);
    this.pages = new Int32Array(capacity);
  }

  /** There must be room. @returns the entry */
  add(domain: number, pfn: number, pages: number): number {
    const at = this.count++;
    this.domain[at] = domain;
    this.pfn[at] = pfn;
    this.pages[at] = pages;
    return at;
  }

  /** Whether any page of the closed range of a domain is held. */
  holds(domain: Domain, first: number, last: number): boolean {
    for (let at = 0; at < this.count; at++)
      if (this.domain[at] === domain.index && this.pfn[at]! <= last && this.pfn[at]! + this.pages[at]! - 1 >= first)
        return true;
    return false;
  }

  /** The oldest, up to `limit` of them. */
  oldest(domains: readonly Domain[], limit: number): { domain: Domain; pfn: number; pages: number }[] {
    const out = [];
    for (let at = 0; at < Math.min(limit, this.count); at++)
      out.push({ domain: domains[this.domain[at]!]!, pfn: this.pfn[at]!, pages: this.pages[at]! });
    return out;
  }

  /** Device TLBs know no global flush: one command for each range and device. */
  tellDevices(flush: IotlbFlush, domains: readonly Domain[]): void {
    if (!domains.some(({ deviceTlbs }) => deviceTlbs.length > 0)) return;
    for (let at = 0; at < this.count; at++)
      flush.deviceRange(domains[this.domain[at]!]!, this.pfn[at]!, this.pages[at]!);
  }

  digest(sink: DigestSink): void {
    sink.number(this.count);
    sink.column(this.domain, this.count);
    sink.column(this.pfn, this.count);
    sink.column(this.pages, this.count);
  }
}
