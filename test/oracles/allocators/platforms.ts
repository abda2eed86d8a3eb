/**
 * Slow models of the bitmap allocators of five platforms, a state a page. They tell of each flush that the platform would make.
 *
 * Sources, all Linux 3.6: `arch/x86/kernel/amd_gart_64.c`, `arch/alpha/kernel/pci_iommu.c`, `drivers/iommu/amd_iommu.c`,
 * `drivers/parisc/sba_iommu.c`, `arch/ia64/hp/common/sba_iommu.c`.
 */
import { PagesModel } from './bitmap.ts';
import { nextPowerOfTwo } from './sorted-ranges.ts';

export interface Flushes {
  all(): void;
  range(pfn: number, pages: number): void;
}

abstract class PlatformModel extends PagesModel {
  protected readonly flushes: Flushes;

  constructor(size: number, flushes: Flushes) {
    super(size);
    this.flushes = flushes;
  }

  protected below(limitPfn: number): number {
    return Math.min(this.size, limitPfn + 1);
  }
}

export class GartModel extends PlatformModel {
  private nextBit = 0;
  private owesFlush = false;

  constructor(size: number, flushes: Flushes) {
    super(size, flushes);
    this.reserve(1, 31);
  }

  allocate(pages: number, limitPfn: number): number {
    const end = this.below(limitPfn) - 1;
    const ahead = this.search(pages, this.nextBit, end, 1);
    if (ahead === 0) this.owesFlush = true;
    const lo = ahead || this.search(pages, 0, end, 1);
    if (lo === 0) return 0;
    this.nextBit = lo + pages;
    // The mapping is made, and then what is owed is paid.
    if (this.owesFlush) this.flushes.all();
    this.owesFlush = false;
    return this.take(lo, pages);
  }

  override free(pfn: number, pages: number): void {
    super.free(pfn, pages);
    this.nextBit = pfn >= this.nextBit ? pfn + pages : this.nextBit;
  }
}

export class AlphaModel extends PlatformModel {
  private nextEntry = 0;

  allocate(pages: number, limitPfn: number): number {
    const end = this.below(limitPfn);
    let lo = this.search(pages, this.nextEntry, end, 1);
    if (lo === 0) {
      this.flushes.all();
      lo = this.search(pages, 0, end, 1);
    }
    if (lo === 0) return 0;
    this.nextEntry = lo + pages;
    return this.take(lo, pages);
  }

  override free(pfn: number, pages: number): void {
    super.free(pfn, pages);
    if (pfn >= this.nextEntry) this.flushes.range(pfn, pages);
  }
}

/** Apertures of 32,768 pages, of which the last one is never handed out. */
export class Amd2008Model extends PlatformModel {
  private apertures = 1;
  private nextAddress = 0;
  private owesFlush = false;

  allocate(pages: number, limitPfn: number): number {
    let lo = this.bothWays(pages, limitPfn);
    while (lo === 0 && this.apertures < this.size / 32_768) {
      this.nextAddress = 32_768 * this.apertures++;
      lo = this.bothWays(pages, limitPfn);
    }
    if (lo === 0) return 0;
    if (this.owesFlush) this.flushes.all();
    this.owesFlush = false;
    return this.take(lo, pages);
  }

  private bothWays(pages: number, limitPfn: number): number {
    const first = this.from(this.nextAddress, pages, limitPfn);
    if (first !== 0) return first;
    this.nextAddress = 0;
    this.owesFlush = true;
    return this.from(0, pages, limitPfn);
  }

  private from(start: number, pages: number, limitPfn: number): number {
    for (let aperture = 0; aperture < this.apertures; aperture++) {
      const base = aperture * 32_768;
      if (base + 32_768 <= start || base >= limitPfn) continue;
      const end = Math.min(base + 32_768, this.below(limitPfn)) - 1;
      const lo = this.search(pages, Math.max(base, start), end, nextPowerOfTwo(pages));
      if (lo !== 0) {
        this.nextAddress = lo + pages;
        return lo;
      }
    }
    return 0;
  }

  override free(pfn: number, pages: number): void {
    super.free(pfn, pages);
    if (pfn >= this.nextAddress || this.owesFlush) this.flushes.range(pfn, pages);
    this.owesFlush = false;
  }
}

export class SbaPariscModel extends PlatformModel {
  /** Where the last search stopped: word and bit in it. */
  private hint = { word: 0, shift: 0 };

  allocate(pages: number, limitPfn: number): number {
    if (pages > 64) return 0;
    const words = Math.floor(this.below(limitPfn) / 64);
    let lo = this.pass(pages, words);
    if (lo === 0) {
      this.flushes.all();
      lo = this.pass(pages, words);
    }
    return lo === 0 ? 0 : this.take(lo, pages);
  }

  private pass(pages: number, words: number): number {
    const whole = pages > 32;
    const step = nextPowerOfTwo(pages);
    for (let word = this.hint.word; word < words; word++) {
      const from = whole || word > this.hint.word ? 0 : Math.ceil(this.hint.shift / step) * step;
      for (let shift = from; shift < 64; shift += whole ? 64 : step) {
        const lo = word * 64 + shift;
        if (!this.isFree(lo, whole ? 64 : pages)) continue;
        this.hint = whole ? { word: word + 1, shift: 0 } : { word, shift: shift + pages };
        if (this.hint.word >= words) this.hint = { word: 0, shift: 0 };
        return lo;
      }
    }
    this.hint = { word: 0, shift: 0 };
    return 0;
  }
}

export class SbaIa64Model extends PlatformModel {
  private hint = { word: 0, shift: 0 };

  allocate(asked: number, limitPfn: number): number {
    const pages = nextPowerOfTwo(asked);
    const words = Math.floor(this.below(limitPfn) / 64);
    let lo = this.pass(pages, words);
    if (lo === 0) {
      this.flushes.all();
      lo = this.pass(pages, words);
    }
    return lo === 0 ? 0 : this.take(lo, pages);
  }

  private pass(pages: number, words: number): number {
    const { word, shift } = this.hint;
    // A single page looks at the hint's word from its first bit on. Whole words must end before the map does.
    const lo =
      pages === 1
        ? this.search(1, word * 64, words * 64, 1)
        : pages <= 32
          ? this.search(pages, word * 64 + shift, words * 64, pages)
          : this.search(pages, word * 64, words * 64 - 1, 64);
    const last = (lo + pages - 1) % 64;
    if (lo === 0) this.hint = { word: 0, shift: 0 };
    else if (pages > 32) this.hint = { word: (lo + pages) / 64, shift: 0 };
    else this.hint = { word: Math.floor(lo / 64), shift: last + 1 };
    return lo;
  }

  override free(pfn: number, pages: number): void {
    super.free(pfn, nextPowerOfTwo(pages));
  }
}
