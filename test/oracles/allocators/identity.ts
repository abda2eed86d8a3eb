/**
 * Slow model of `identity`: a state a page. Its definition is the header of `src/core/os/iova/identity.ts`: a window for each CPU, the
 * page at its frame's place in it; else next-fit in the region above the windows; else, and for whoever does not reach that, next-fit
 * from the bottom of what it reaches.
 */
import { PagesModel } from './bitmap.ts';

export class IdentityModel extends PagesModel {
  /** Told before each allocation. */
  cpu = 0;
  frame = -1;
  private readonly window: number;
  private readonly above: { first: number; end: number };
  private cursors = { above: 0, below: 1 };

  constructor(cpus: number, window: number, fallback: number) {
    super(cpus * window + fallback);
    this.window = window;
    this.above = { first: cpus * window, end: cpus * window + fallback };
    this.cursors.above = this.above.first;
  }

  allocate(pages: number, limitPfn: number): number {
    const own = this.cpu * this.window + this.frame;
    const inWindow = this.frame >= 0 && this.frame + pages <= this.window;
    if (inWindow && own > 0 && own + pages - 1 <= limitPfn && this.isFree(own, pages)) return this.take(own, pages);
    const { first, end } = this.above;
    if (limitPfn >= end - 1) {
      const lo = this.search(pages, this.cursors.above, end, 1) || this.search(pages, first, end, 1);
      if (lo !== 0) {
        this.cursors.above = lo + pages;
        return this.take(lo, pages);
      }
    }
    const reach = Math.min(limitPfn + 1, this.size);
    const from = this.cursors.below < reach ? this.cursors.below : 1;
    const lo = this.search(pages, from, reach, 1) || this.search(pages, 1, reach, 1);
    if (lo === 0) return 0;
    this.cursors.below = lo + pages;
    return this.take(lo, pages);
  }
}
