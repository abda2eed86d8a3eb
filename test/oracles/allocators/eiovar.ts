/**
 * Slow model of EiovaR: a list of freed ranges for each rounded size, the newest last, over the model of the allocator of 2008.
 *
 * Source: Malka, Amit and Tsafrir, "Efficient Intra-Operating System Protection Against Harmful DMAs", FAST 2015.
 */
import { Rbtree2008Model } from './rbtree-2008.ts';
import { type AllocatorModel, nextPowerOfTwo, type Range } from './sorted-ranges.ts';

export class EiovarModel implements AllocatorModel {
  private readonly tree = new Rbtree2008Model();
  private kept: { pfn: number; size: number }[] = [];
  lastSteps = 0;

  allocate(pages: number, limitPfn: number): number {
    const size = nextPowerOfTwo(pages);
    this.lastSteps = 0;
    const place = this.kept.findLastIndex((range) => range.size === size && range.pfn + size - 1 <= limitPfn);
    if (place !== -1) return this.kept.splice(place, 1)[0]!.pfn;
    let pfn = this.tree.allocate(size, limitPfn);
    this.lastSteps = this.tree.lastSteps;
    if (pfn === 0 && this.kept.length > 0) {
      for (const range of this.kept) this.tree.free(range.pfn, range.size);
      this.kept = [];
      pfn = this.tree.allocate(size, limitPfn);
      this.lastSteps += this.tree.lastSteps;
    }
    return pfn;
  }

  free(pfn: number, pages: number): void {
    this.kept.push({ pfn, size: nextPowerOfTwo(pages) });
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.tree.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.tree.unreserve(firstPfn, lastPfn);
  }

  ranges(): Range[] {
    const kept = new Set(this.kept.map(({ pfn }) => pfn));
    return this.tree.ranges().map((range) => ({ ...range, cached: !range.reserved && kept.has(range.lo) }));
  }
}
