/**
 * The unmap in progress: its PTEs are cleared, it has not returned. What is invalidated before it returns opens no exposure window.
 *
 * Where its domain has device TLBs, a page is done when the IOTLB was invalidated and after that every device was told: one that was
 * told before may have asked again.
 */
import { growFloat64 } from '../sim/growable.ts';
import type { TranslatingDevice } from './device-holds.ts';

const NO_DOMAIN = -1;
/** In the place of a device: the IOTLB. */
export const NO_DEVICE = -1;

export class PendingUnmap {
  domain = NO_DOMAIN;
  private first = 0;
  private last = 0;
  /** Whether its PTEs are left standing: then no invalidation covers it. */
  stands = false;
  /** [range * 2]: first and last page of what was invalidated meanwhile, short of all of it. */
  private covered = new Float64Array(16);
  private coveredCount = 0;

  private readonly devicesOf: (domain: number) => readonly TranslatingDevice[];
  /** Whether there ever was a device TLB. */
  watched = false;
  /** Where its domain has some: what was invalidated, IOTLB (NO_DEVICE) and devices, in order. */
  private steps: { device: number; first: number; last: number }[] = [];

  constructor(devicesOf: (domain: number) => readonly TranslatingDevice[]) {
    this.devicesOf = devicesOf;
  }

  /** @param stands whether its PTEs are left as they are until `cleared` */
  begin(domain: number, first: number, last: number, stands = false): void {
    this.domain = domain;
    this.first = first;
    this.last = last;
    this.stands = stands;
    this.coveredCount = 0;
    if (this.watched) this.steps = [];
  }

  /** It returns: what it left open becomes windows, by `Exposure.openWindow`. */
  end(): void {
    this.domain = NO_DOMAIN;
  }

  /** Whether pages of it are still without an invalidation. */
  get open(): boolean {
    return this.domain !== NO_DOMAIN;
  }

  isOpen(page: number): boolean {
    if (this.domain === NO_DOMAIN) return false;
    const { covered } = this;
    for (let at = 0; at < this.coveredCount * 2; at += 2)
      if (page >= covered[at]! && page <= covered[at + 1]!) return false;
    return !this.watched || this.owed(page)?.length !== 0;
  }

  /** Devices that were not told of a page since the IOTLB was; null when the IOTLB was not. */
  owed(page: number): number[] | null {
    const devices = this.devicesOf(this.domain);
    let owed: number[] | null = null;
    for (const { device, first, last } of this.steps) {
      if (page < first || page > last) continue;
      if (device === NO_DEVICE) owed ??= devices.map(({ index }) => index);
      else if (owed !== null) owed = owed.filter((each) => each !== device);
    }
    return owed;
  }

  /** The IOTLB, or a device, dropped what it had of pages of a domain with device TLBs. */
  told(device: number, domain: number, first: number, last: number): void {
    if (this.domain === domain && !this.stands) this.steps.push({ device, first, last });
  }

  /** The IOTLB dropped pages (of all domains when negative) and is all that caches. */
  iotlbWasLast(domain: number, first: number, last: number): void {
    if (this.domain === NO_DOMAIN || this.stands || (domain >= 0 && domain !== this.domain)) return;
    if (first <= this.first && last >= this.last) this.domain = NO_DOMAIN;
    else if (first <= this.last && last >= this.first) this.cover(first, last);
  }

  private cover(first: number, last: number): void {
    const at = this.coveredCount++ * 2;
    if (at === this.covered.length) this.covered = growFloat64(this.covered, at * 2);
    this.covered[at] = first;
    this.covered[at + 1] = last;
  }

  /** PTEs that were left standing are cleared. */
  cleared(domain: number, first: number, last: number): void {
    if (this.domain === domain && first <= this.first && last >= this.last) this.stands = false;
  }
}
