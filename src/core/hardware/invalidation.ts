/**
 * The invalidation interface of the chip: scopes, the address-mask rule, device TLBs, the queue or the register pair.
 *
 * `queued` is one ring of 256 descriptors for everybody. `per-cpu` is a ring for each CPU, as Arm's SMMU has with ECMDQ. `register` is
 * the pair of registers that came before the queue. What a command takes, and who waits for whom, is the driver's side:
 * `os/iotlb-flush.ts`.
 *
 * Source: Intel VT-d specification (IOTLB and device-TLB invalidate descriptors, wait descriptor, IOTLB register); Linux
 * `drivers/iommu/intel/cache.c` for how a span of pages becomes base and mask; for `per-cpu` Arm SMMUv3.3, and Zhen Lei's patches of
 * 2021. Departs: nobody says how an SMMU shares its walker among its queues; here each queue has hardware of its own.
 */
import type { Counters } from '../meter/counters.ts';
import type { IommuSpec } from '../spec.ts';
import { InvalidationQueue } from './invalidation-queue.ts';
import type { Iotlb } from './iotlb.ts';
import type { NotPresentCache } from './not-present-cache.ts';
import type { WalkCacheLevel } from './walk-cache.ts';

const EVERYTHING = Number.POSITIVE_INFINITY;
/** Mask of the whole address space. */
export const ALL_PAGES = 52;

/** Told of each completed invalidation before the caches drop their entries. */
export interface InvalidationObserver {
  invalidated(domain: number, first: number, last: number, at: number): void;
  deviceInvalidated(device: number, domain: number, first: number, last: number, at: number): void;
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
  while (mask < ALL_PAGES && Math.floor(first / size) !== Math.floor(last / size)) {
    size *= 2;
    mask++;
  }
  aligned.mask = mask;
  aligned.pages = size;
  aligned.base = mask >= ALL_PAGES ? 0 : first - (first % size);
}

/**
 * How a device-TLB descriptor says its size: the S bit, and the bits of the address below the block's highest filled with ones.
 * @param base aligned to 2^mask pages
 * @returns the page number that is sent; S is set unless mask is 0
 */
export function codeDeviceRange(base: number, mask: number): number {
  return mask === 0 ? base : base + 2 ** (mask - 1) - 1;
}

/** Pages that a device takes a descriptor for: from its lowest zero bit down. @returns into `aligned` */
export function decodeDeviceRange(page: number, size: boolean): void {
  let mask = 0;
  if (size) {
    let bits = page;
    mask = 1;
    while (bits % 2 === 1) {
      bits = (bits - 1) / 2;
      mask++;
    }
  }
  aligned.mask = mask;
  aligned.pages = 2 ** mask;
  aligned.base = page - (page % aligned.pages);
}

export class InvalidationUnit {
  declare private readonly iotlb: Iotlb;
  declare private readonly walkCaches: WalkCacheLevel[];
  declare private readonly counters: Counters;
  declare private readonly pageSelective: boolean;
  declare private readonly maxAddressMask: number;
  declare observer: InvalidationObserver;
  declare private readonly notPresent: NotPresentCache | null;
  declare readonly register: boolean;
  declare readonly perCpu: boolean;
  /** One, or with `per-cpu` [cpu]; none with `register`. */
  declare readonly queues: readonly InvalidationQueue[];
  /** Of the last command: what the hardware really covered. */
  effective = { scope: 'global' as 'global' | 'domain' | 'range', domain: -1, first: 0, pages: 0 };

  constructor(
    spec: IommuSpec['invalidation'],
    cpus: number,
    iotlb: Iotlb,
    walkCaches: WalkCacheLevel[],
    counters: Counters,
    observer: InvalidationObserver,
    notPresent: NotPresentCache | null = null,
  ) {
    this.iotlb = iotlb;
    this.walkCaches = walkCaches;
    this.counters = counters;
    this.observer = observer;
    this.notPresent = notPresent;
    this.pageSelective = spec.pageSelective;
    this.maxAddressMask = spec.maxAddressMask;
    this.register = spec.interface === 'register';
    this.perCpu = spec.interface === 'per-cpu';
    const rings = this.register ? 0 : this.perCpu ? cpus : 1;
    this.queues = Array.from(
      { length: rings },
      () => new InvalidationQueue(this.perCpu ? 1 : cpus, spec.batchDescriptors),
    );
  }

  /** Commands and one wait for them all: so many descriptors and a wait descriptor, or so many register writes. */
  submit(cpu: number, commands: number): void {
    const { counters } = this;
    if (this.register) {
      counters.registerCommands += commands;
      return;
    }
    counters.descriptors += commands;
    counters.waitDescriptors++;
    this.queues[this.perCpu ? cpu : 0]!.write(commands);
  }

  /** @param at ps after the clock's base at which it is complete, here and below */
  global(at: number): void {
    this.counters.invalidationsGlobal++;
    this.effective.scope = 'global';
    this.apply(-1, 0, EVERYTHING, false, at);
  }

  domain(domain: number, at: number): void {
    this.counters.invalidationsDomain++;
    this.effective.scope = 'domain';
    this.effective.domain = domain;
    this.apply(domain, 0, EVERYTHING, false, at);
  }

  /** Page-selective as the driver asks for it, or domain-wide where the capability or the mask does not reach. */
  range(domain: number, first: number, pages: number, leafOnly: boolean, at: number): void {
    alignRange(first, pages);
    const { base, mask } = aligned;
    if (!this.pageSelective || mask > this.maxAddressMask) {
      this.counters.maskFallbacks++;
      this.domain(domain, at);
      return;
    }
    this.counters.amplifiedPages += aligned.pages - pages;
    this.pages(domain, base, mask, leafOnly, at);
  }

  /**
   * The page-selective command itself. The low `mask` bits of the page number are *ignored*: a driver that sends a start which is not
   * aligned to them invalidates pages before its range, and leaves as many at its end cached.
   */
  pages(domain: number, page: number, mask: number, leafOnly: boolean, at: number): void {
    const { effective } = this;
    const pages = 2 ** mask;
    const base = page - (page % pages);
    this.counters.invalidationsRange++;
    effective.scope = 'range';
    effective.domain = domain;
    effective.first = base;
    effective.pages = pages;
    this.apply(domain, base, base + pages - 1, leafOnly, at);
  }

  private apply(domain: number, first: number, last: number, leafOnly: boolean, at: number): void {
    this.observer.invalidated(domain, first, last, at);
    this.iotlb.invalidate(domain, first, last);
    if (this.notPresent !== null) this.notPresent.invalidate(domain, first, last);
    if (!leafOnly) for (const level of this.walkCaches) level.invalidate(domain, first, last);
  }

  /**
   * A device-TLB descriptor: the device drops what it has of a block, and answers.
   *
   * @param page as `codeDeviceRange` codes it; @param size the S bit
   */
  deviceTlb(device: number, domain: number, tlb: Iotlb, page: number, size: boolean, at: number): void {
    decodeDeviceRange(page, size);
    const { base, pages } = aligned;
    this.counters.deviceTlbInvalidations++;
    this.observer.deviceInvalidated(device, domain, base, base + pages - 1, at);
    tlb.invalidate(domain, base, base + pages - 1);
  }
}
