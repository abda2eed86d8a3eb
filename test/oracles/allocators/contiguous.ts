/**
 * Slow model of `contiguous`: chunks of 64 pages as objects with sets, over the model of whatever is beneath.
 *
 * Source: the description of F&S (SOSP 2024): 256 KiB of addresses for each descriptor of 64 pages, given back as a whole.
 */
import { type AllocatorModel, nextPowerOfTwo, type Range } from './sorted-ranges.ts';

interface Chunk {
  lo: number;
  /** Not handed out yet, in the order in which they will be. */
  fresh: number[];
  live: Set<number>;
}

export class ContiguousModel implements AllocatorModel {
  private readonly inner: AllocatorModel & { cpu?: number; lastAttempt?: boolean; timer?(order: number): void };
  private readonly chunks: Chunk[] = [];
  /** By CPU, and whether for devices that reach beyond 4 GiB. */
  private readonly open = new Map<string, Chunk>();
  cpu = 0;
  lastAttempt = true;
  lastSteps = 0;

  constructor(inner: AllocatorModel) {
    this.inner = inner;
  }

  private ask(pages: number, limitPfn: number): number {
    this.inner.cpu = this.cpu;
    this.inner.lastAttempt = this.lastAttempt;
    const pfn = this.inner.allocate(pages, limitPfn);
    this.lastSteps += this.inner.lastSteps;
    return pfn;
  }

  allocate(pages: number, limitPfn: number): number {
    this.lastSteps = 0;
    if (pages > 1) return this.ask(pages, limitPfn);
    const who = `${this.cpu} ${limitPfn >= 2 ** 20 ? 'wide' : 'narrow'}`;
    const held = this.open.get(who);
    if (held && held.lo + 63 > limitPfn) {
      // Out of this device's reach: nobody will have what is left of it.
      this.open.delete(who);
      held.fresh = [];
      this.settle(held);
    }
    let chunk = this.open.get(who);
    if (!chunk) {
      const lo = this.ask(64, limitPfn);
      if (lo === 0) return this.ask(1, limitPfn);
      chunk = { lo, fresh: Array.from({ length: 64 }, (_, i) => lo + i), live: new Set() };
      this.chunks.push(chunk);
      this.open.set(who, chunk);
    }
    const page = chunk.fresh.shift()!;
    chunk.live.add(page);
    if (chunk.fresh.length === 0) this.open.delete(who);
    return page;
  }

  /** A chunk that has nothing left and nothing out goes back. */
  private settle(chunk: Chunk): void {
    if (chunk.fresh.length > 0 || chunk.live.size > 0) return;
    this.chunks.splice(this.chunks.indexOf(chunk), 1);
    this.inner.cpu = this.cpu;
    this.inner.free(chunk.lo, 64);
  }

  free(pfn: number, pages: number): void {
    const chunk = this.chunks.find(({ live }) => live.has(pfn));
    if (pages > 1 || !chunk) {
      this.inner.cpu = this.cpu;
      this.inner.free(pfn, pages);
      return;
    }
    chunk.live.delete(pfn);
    this.settle(chunk);
  }

  timer(order: number): void {
    this.inner.cpu = this.cpu;
    this.inner.timer?.(order);
  }

  get depotMagazines(): number {
    return (this.inner as { depotMagazines?: number }).depotMagazines ?? 0;
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.inner.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.inner.unreserve(firstPfn, lastPfn);
  }

  ranges(): Range[] {
    return this.inner.ranges().flatMap((range) => {
      const chunk = this.chunks.find(({ lo }) => lo === range.lo);
      if (!chunk || range.reserved || range.cached) return [range];
      const stretches: Range[] = [];
      for (let page = chunk.lo; page < chunk.lo + 64; page++) {
        const cached = !chunk.live.has(page);
        const last = stretches.at(-1);
        if (last?.cached === cached) last.hi = page;
        else stretches.push({ lo: page, hi: page, reserved: false, cached });
      }
      return stretches;
    });
  }
}

/** Pages that a request takes over an `rcache` with a class of 64. */
export function takenOverRcache(pages: number): number {
  return pages === 1 ? 1 : pages < 64 ? nextPowerOfTwo(pages) : pages;
}
