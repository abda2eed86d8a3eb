/**
 * The invalidation interface of the chip: scopes, the address-mask rule, the queue of 256 descriptors or the register pair.
 *
 * Source: Intel VT-d specification (IOTLB invalidate descriptor, wait descriptor, IOTLB register); Linux
 * `drivers/iommu/intel/cache.c` for how a span of pages becomes base and mask.
 */
import type { Counters } from '../meter/counters.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { IommuSpec } from '../spec.ts';
import type { Iotlb } from './iotlb.ts';
import type { WalkCacheLevel } from './walk-cache.ts';

export const QUEUE_DESCRIPTORS = 256;
const EVERYTHING = Number.POSITIVE_INFINITY;

/** Told of each completed invalidation before the caches drop their entries. */
export interface InvalidationObserver {
  invalidated(domain: number, first: number, last: number, at: number): void;
}

/** Base and mask of the last `alignRange`: 2^mask pages from `base`. */
export const aligned = { base: 0, pages: 0, mask: 0 };

/**
 * The smallest aligned power-of-two block that holds the pages, as the driver computes it: alignment may amplify two pages to 1,024.
 * @returns into `aligned`; mask 52 when no block holds them
 */
export function alignRange(first: number, pages: number): void {
  const last = first + pages - 1;
  let mask = 0;
  let size = 1;
  while (size < pages) {
    size *= 2;
    mask++;
  }
  while (mask < 52 && Math.floor(first / size) !== Math.floor(last / size)) {
    size *= 2;
    mask++;
  }
  aligned.mask = mask;
  aligned.pages = size;
  aligned.base = mask >= 52 ? 0 : first - (first % size);
}

export class InvalidationUnit {
  private readonly iotlb: Iotlb;
  private readonly walkCaches: WalkCacheLevel[];
  private readonly counters: Counters;
  private readonly queued: boolean;
  private readonly pageSelective: boolean;
  private readonly maxAddressMask: number;
  observer: InvalidationObserver;
  /** Next descriptor to write, 0 to 255. */
  tail = 0;
  /** Of the last command: what the hardware really covered. */
  effective = { scope: 'global' as 'global' | 'domain' | 'range', domain: -1, first: 0, pages: 0 };

  constructor(
    spec: IommuSpec['invalidation'],
    iotlb: Iotlb,
    walkCaches: WalkCacheLevel[],
    counters: Counters,
    observer: InvalidationObserver,
  ) {
    this.iotlb = iotlb;
    this.walkCaches = walkCaches;
    this.counters = counters;
    this.observer = observer;
    this.queued = spec.interface === 'queued';
    this.pageSelective = spec.pageSelective;
    this.maxAddressMask = spec.maxAddressMask;
  }

  /** One command and the wait for it: one descriptor and one wait descriptor, or one register write and its polling. */
  private submit(): void {
    const { counters } = this;
    if (this.queued) {
      counters.descriptors++;
      counters.waitDescriptors++;
      this.tail = (this.tail + 2) & (QUEUE_DESCRIPTORS - 1);
    } else counters.registerCommands++;
  }

  /** @param at ps after the clock's base at which it is complete, here and below */
  global(at: number): void {
    this.submit();
    this.counters.invalidationsGlobal++;
    this.effective.scope = 'global';
    this.apply(-1, 0, EVERYTHING, false, at);
  }

  domain(domain: number, at: number): void {
    this.submit();
    this.counters.invalidationsDomain++;
    this.effective.scope = 'domain';
    this.effective.domain = domain;
    this.apply(domain, 0, EVERYTHING, false, at);
  }

  /** Page-selective, or domain-wide where the capability or the mask does not reach. */
  range(domain: number, first: number, pages: number, leafOnly: boolean, at: number): void {
    alignRange(first, pages);
    if (!this.pageSelective || aligned.mask > this.maxAddressMask) {
      this.counters.maskFallbacks++;
      this.domain(domain, at);
      return;
    }
    this.submit();
    this.counters.invalidationsRange++;
    this.counters.amplifiedPages += aligned.pages - pages;
    this.effective.scope = 'range';
    this.effective.domain = domain;
    this.effective.first = aligned.base;
    this.effective.pages = aligned.pages;
    this.apply(domain, aligned.base, aligned.base + aligned.pages - 1, leafOnly, at);
  }

  private apply(domain: number, first: number, last: number, leafOnly: boolean, at: number): void {
    this.observer.invalidated(domain, first, last, at);
    this.iotlb.invalidate(domain, first, last);
    if (!leafOnly) for (const level of this.walkCaches) level.invalidate(domain, first, last);
  }

  digest(sink: DigestSink): void {
    sink.number(this.tail);
  }
}
