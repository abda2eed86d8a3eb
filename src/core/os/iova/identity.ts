/**
 * identity: the address of a page is its frame, in a window of the CPU that maps it: IOVA page = CPU x window + frame. No search and no
 * lock: two CPUs never want the same address, and one CPU wants an address twice only when it maps a page twice. What cannot have its
 * own address takes one by next-fit from a region of 4 GiB above the windows, and where a device does not reach that far, from what is
 * free within its reach.
 *
 * Source: the idea is "dynamic identity mapping" of Peleg, Morrison, Serebrin, Tsafrir, "Utilizing the IOMMU scalably", USENIX ATC 2015,
 * whose text was not at hand; windows, fallback and what narrow devices get are this project's definition. A window is the machine's
 * memory rounded up to a power of two; CPU 0's starts at 0, so there the address is the physical one.
 *
 * Pathologies: the device's addresses tell where memory is; one page mapped by every CPU has as many addresses and cached entries; a
 * scatter list in pieces, a page mapped twice, and all that a narrow device maps away from CPU 0 or above 4 GiB go through the
 * fallback and its lock. An address comes back as soon as its page is mapped again, whatever was flushed; what was cached of it then
 * leads to the same frame, so nothing is misdirected, and a driver that lost the page cannot be told from one that has it again.
 */
import { InvariantError } from '../../assert.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { NONE, RedBlackTree } from '../../sim/red-black-tree.ts';
import { SparseBits } from '../../sim/sparse-bits.ts';
import { type AllocatorEntry, type AllocatorSetup, type IovaAllocator, NO_PFN, RANGE } from './allocator.ts';
import { AllocatorCall, NO_FRAME_HINT, STEP } from './call.ts';

/** Pages of the fallback above the windows: 4 GiB. */
const FALLBACK_PAGES = 2 ** 20;

class Identity implements IovaAllocator {
  /** Not used: a search goes over words. */
  budget = Number.POSITIVE_INFINITY;
  readonly call: AllocatorCall;
  readonly lockNames = ['iova-allocator'];
  readonly nodesVisited = 0;
  wordsScanned = 0;
  readonly lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;
  /** Ranges that got their own address, and that did not, in total. */
  private identities = 0;
  private fallbacks = 0;

  private readonly lastPfn: number;
  /** Pages of a window. */
  private readonly window: number;
  private readonly fallbackFirst: number;
  private readonly fallbackEnd: number;
  private readonly taken = new SparseBits();
  private readonly reservations = new RedBlackTree();
  /** Where the next search begins: in the fallback region, and below it for devices that do not reach that. */
  private cursor: number;
  private lowCursor = 1;

  constructor(setup: AllocatorSetup) {
    this.call = setup.call ?? new AllocatorCall();
    this.lastPfn = setup.lastPfn;
    let window = 1;
    while (window < (setup.frames ?? 1)) window *= 2;
    this.window = window;
    this.fallbackFirst = Math.min((setup.cpus ?? 1) * window, setup.lastPfn + 1);
    this.fallbackEnd = Math.min(this.fallbackFirst + FALLBACK_PAGES, setup.lastPfn + 1);
    this.cursor = this.fallbackFirst;
  }

  allocate(pages: number, limitPfn: number): number {
    const { call, window } = this;
    const last = limitPfn < this.lastPfn ? limitPfn : this.lastPfn;
    this.lastWordsScanned = 0;
    const { frame } = call;
    if (frame !== NO_FRAME_HINT && frame + pages <= window) {
      const pfn = call.cpu * window + frame;
      if (pfn > 0 && pfn + pages - 1 <= last && this.isFree(pfn, pages)) {
        call.addUnlocked(STEP.cacheAllocate);
        this.identities++;
        return this.take(pfn, pages);
      }
    }
    const { fallbackFirst, fallbackEnd } = this;
    let pfn = NO_PFN;
    if (last >= fallbackEnd - 1) {
      pfn = this.nextFit(pages, this.cursor, fallbackFirst, fallbackEnd);
      if (pfn !== NO_PFN) this.cursor = pfn + pages;
    }
    if (pfn === NO_PFN) {
      pfn = this.nextFit(pages, this.lowCursor, 1, last + 1);
      if (pfn !== NO_PFN) this.lowCursor = pfn + pages;
    }
    call.add(STEP.bitmapSearch, 0, this.lastWordsScanned);
    if (pfn === NO_PFN) return NO_PFN;
    this.fallbacks++;
    return this.take(pfn, pages);
  }

  private isFree(pfn: number, pages: number): boolean {
    return this.taken.nextSet(pfn, pfn + pages) === pfn + pages && !this.reservations.overlaps(pfn, pfn + pages - 1);
  }

  private take(pfn: number, pages: number): number {
    this.taken.set(pfn, pages);
    this.liveRanges++;
    this.livePages += pages;
    return pfn;
  }

  /** From a cursor to the end of a region, then once more from its beginning. */
  private nextFit(pages: number, cursor: number, first: number, end: number): number {
    const from = cursor < first || cursor >= end ? first : cursor;
    const found = this.search(pages, from, end);
    return found !== NO_PFN || from === first ? found : this.search(pages, first, end);
  }

  private search(pages: number, start: number, end: number): number {
    const { taken, reservations } = this;
    for (let from = start; from + pages <= end; ) {
      const place = taken.nextZero(from, end);
      this.countWords(from, place);
      if (place + pages > end) return NO_PFN;
      const obstacle = taken.nextSet(place, place + pages);
      this.countWords(place + 1, obstacle);
      if (obstacle < place + pages) {
        from = obstacle + 1;
        continue;
      }
      const reserved = reservations.findAtOrAbove(place);
      if (reserved === NONE || reservations.first[reserved]! >= place + pages) return place;
      from = reservations.last[reserved]! + 1;
    }
    return NO_PFN;
  }

  /** 64-bit words from one bit to another, both included. */
  private countWords(from: number, to: number): void {
    const words = Math.max(0, Math.floor(to / 64) - Math.floor(from / 64) + 1);
    this.wordsScanned += words;
    this.lastWordsScanned += words;
  }

  free(pfn: number, pages: number): void {
    if (pfn < 1 || !this.taken.isSet(pfn, pages))
      throw new InvariantError(`identity: ${pages} pages at ${pfn} freed, which were not handed out so`);
    this.taken.clear(pfn, pages);
    this.liveRanges--;
    this.livePages -= pages;
    if (pfn < this.fallbackFirst) this.call.addUnlocked(STEP.cacheFree);
    else this.call.add(STEP.bitmapFree, 0, 1);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.reservations.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    const { reservations } = this;
    for (let node = NONE; (node = reservations.cutReserved(firstPfn, lastPfn)) !== NONE; ) reservations.erase(node);
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    if (this.reservations.overlaps(firstPfn, lastPfn)) return true;
    return this.taken.nextSet(Math.max(1, firstPfn), lastPfn + 1) <= lastPfn;
  }

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => unknown, limit: number, fromPfn = 0): void {
    const { taken } = this;
    const { first, last, next } = this.reservations;
    const end = this.lastPfn + 1;
    let node = fromPfn === 0 ? next[NONE]! : this.reservations.findAtOrAbove(fromPfn);
    let pfn = Math.max(1, fromPfn);
    for (let left = limit; left > 0; left--) {
      const set = pfn < end ? taken.nextSet(pfn, end) : end;
      if (set < end && (node === NONE || set < first[node]!)) {
        pfn = taken.nextZero(set, end);
        if (visit(set, pfn - 1, RANGE.allocated) === false) return;
      } else if (node !== NONE) {
        if (visit(first[node]!, last[node]!, RANGE.reserved) === false) return;
        node = next[node]!;
      } else break;
    }
  }

  inspect(): Record<string, number | string | boolean | null> {
    return {
      kind: 'identity',
      windowPages: this.window,
      fallbackPfn: this.fallbackFirst,
      cursorPfn: this.cursor,
      lowCursorPfn: this.lowCursor,
      identities: this.identities,
      fallbacks: this.fallbacks,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: this.reservations.count,
      wordsScanned: this.wordsScanned,
      lastWordsScanned: this.lastWordsScanned,
    };
  }

  digest(sink: DigestSink): void {
    const { first, last, next } = this.reservations;
    sink.text('identity');
    for (const figure of Object.values(this.inspect())) if (typeof figure === 'number') sink.number(figure);
    this.taken.digest(sink);
    for (let node = next[NONE]!; node !== NONE; node = next[node]!) {
      sink.number(first[node]!);
      sink.number(last[node]!);
    }
  }
}

export const identity: AllocatorEntry = {
  kind: 'identity',
  schema: {
    type: 'object',
    properties: { kind: { const: 'identity' } },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'identity' },
  source:
    'the idea: dynamic identity mapping, "Utilizing the IOMMU scalably", USENIX ATC 2015; windows and fallback are defined by this project',
  searches: 'bitmap',
  costSteps: ['cacheAlloc', 'cacheFree', 'bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFree'],
  findStep: null,
  circular: false,
  aligned: false,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  byFrame: true,
  create: (setup) => new Identity(setup),
};
