/**
 * Invalidation descriptors of Intel VT-d as `qi_submit` prints them: what is dropped, of which domain, where.
 *
 * Source: Intel VT-d specification, "Invalidation Descriptors"; Linux `drivers/iommu/intel/trace.h` prints the word of the type, the
 * unit's name and four quadwords, whose lowest four bits are the type again. 64-bit words travel as halves of 32 bits.
 */
import { ABSENT } from '../event.ts';

/** By their code. */
export const QI_TYPES = {
  cc_inv: 1,
  iotlb_inv: 2,
  dev_tlb_inv: 3,
  iec_inv: 4,
  inv_wait: 5,
  p_iotlb_inv: 6,
  pc_inv: 7,
  p_dev_tlb_inv: 8,
  page_grp_resp: 9,
} as const;

export const GRANULARITY = { all: 1, domain: 2, pages: 3 } as const;

/** What a descriptor says, in fields that are used again for the next. */
export class QiDescriptor {
  /** One of QI_TYPES. */
  type = 0;
  /** One of GRANULARITY, or what the type has instead; ABSENT where it has none. */
  granularity = ABSENT;
  domain = ABSENT;
  /** Requester id of the device whose TLB it is about. */
  source = ABSENT;
  pasid = ABSENT;
  /** First page and how many, a power of two; ABSENT but for GRANULARITY.pages. */
  page = ABSENT;
  pages = ABSENT;

  /**
   * @param high0 bits 63 to 32 of the first quadword, as an unsigned number; `low0` bits 31 to 0; `high1`, `low1` of the second
   * @returns whether it is a descriptor that there is
   */
  decode(high0: number, low0: number, high1: number, low1: number): boolean {
    this.type = low0 % 16;
    this.granularity = ABSENT;
    this.domain = ABSENT;
    this.source = ABSENT;
    this.pasid = ABSENT;
    this.page = ABSENT;
    this.pages = ABSENT;
    const granularity = Math.floor(low0 / 16) % 4;
    const domain = Math.floor(low0 / 65_536);
    switch (this.type) {
      case QI_TYPES.iotlb_inv:
        if (granularity === 0) return false;
        this.granularity = granularity;
        if (granularity >= GRANULARITY.domain) this.domain = domain;
        if (granularity === GRANULARITY.pages) this.selectPages(high1, low1);
        return true;
      case QI_TYPES.p_iotlb_inv:
        // 2: all pages of a PASID, 3: some.
        if (granularity < 2) return false;
        this.granularity = granularity;
        this.domain = domain;
        this.pasid = high0 % 2 ** 20;
        if (granularity === GRANULARITY.pages) this.selectPages(high1, low1);
        return true;
      case QI_TYPES.dev_tlb_inv:
        this.source = high0 % 65_536;
        this.selectBySize(high1, low1, low1 % 2 === 1);
        return true;
      case QI_TYPES.p_dev_tlb_inv:
        this.source = domain;
        this.pasid = high0 % 2 ** 20;
        this.selectBySize(high1, low1, Math.floor(low1 / 2048) % 2 === 1);
        return true;
      case QI_TYPES.cc_inv:
        this.granularity = granularity;
        if (granularity >= 2) this.domain = domain;
        if (granularity === 3) this.source = high0 % 65_536;
        return granularity !== 0;
      case QI_TYPES.pc_inv:
        this.granularity = granularity;
        this.domain = domain;
        this.pasid = high0 % 2 ** 20;
        return true;
      case QI_TYPES.iec_inv:
        this.granularity = Math.floor(low0 / 16) % 2;
        return true;
      case QI_TYPES.inv_wait:
      case QI_TYPES.page_grp_resp:
        return true;
      default:
        return false;
    }
  }

  /** Bits 5 to 0: 2^n pages, naturally aligned; what is below in the address is not looked at. */
  private selectPages(high: number, low: number): void {
    const mask = low % 64;
    this.pages = 2 ** mask;
    this.page = Math.floor(pageOf(high, low) / this.pages) * this.pages;
  }

  /** A device's TLB: with the size bit, the lowest 0 of the address from bit 12 on says how many pages; none at all: everything. */
  private selectBySize(high: number, low: number, sized: boolean): void {
    let page = pageOf(high, low);
    this.pages = 1;
    if (sized) {
      this.pages = 2;
      while (page % this.pages === this.pages - 1 && this.pages < 2 ** 51) this.pages *= 2;
      page -= page % this.pages;
    }
    if (this.pages >= 2 ** 51) {
      this.granularity = GRANULARITY.all;
      this.pages = ABSENT;
      return;
    }
    this.granularity = GRANULARITY.pages;
    this.page = page;
  }
}

function pageOf(high: number, low: number): number {
  return high * 2 ** 20 + Math.floor(low / 4096);
}
