/**
 * What the bitmap allocators of all platforms share: one bit a page from IOVA 0 up, and reservations beside the bits.
 *
 * Reservations are kept as ranges too: only so can they be told from allocations, and lie beyond the aperture. Page 0 is never handed
 * out; that is no reservation, and it can be reserved and returned like any other page. A bitmap does not know where one allocation
 * ends and the next begins, so neighbours show as one range.
 */
import { InvariantError } from '../../assert.ts';
import { Bitmap } from '../../sim/bitmap.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import * as redBlackTreeConstants from '../../sim/red-black-tree.ts';
import { RedBlackTree } from '../../sim/red-black-tree.ts';
import type { AllocatorSetup, IovaAllocator } from './allocator.ts';
import * as allocatorConstants from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NONE } = redBlackTreeConstants;
const { RANGE } = allocatorConstants;
const { STEP } = callConstants;

export const PAGE_BYTES = 4096;
const { bitmapSearch, bitmapFree } = STEP;
const ONE_LOCK: readonly string[] = ['iova-allocator'];

export abstract class BitmapSpace implements IovaAllocator {
  /** Not used: the longest scan, 2^22 words, is short enough for one call. */
  budget = Number.POSITIVE_INFINITY;
  declare readonly call: AllocatorCall;
  nodesVisited = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;

  /** Entries of the map; entry i is page i. */
  declare protected readonly entries: number;
  declare protected readonly map: Bitmap;
  declare private readonly kind: string;
  private readonly reservations = new RedBlackTree();

  constructor(kind: string, entries: number, call = new AllocatorCall()) {
    this.kind = kind;
    this.call = call;
    this.entries = entries;
    this.map = new Bitmap(entries);
    this.map.set(0, 1);
  }

  get lockNames(): readonly string[] {
    return ONE_LOCK;
  }

  get wordsScanned(): number {
    return this.map.wordsScanned;
  }

  abstract allocate(pages: number, limitPfn: number): number;

  /** Where searches go on, for `inspect` and the digest. */
  protected abstract cursors(): Record<string, number>;

  protected take(index: number, pages: number): void {
    this.map.set(index, pages);
    this.countTaken(pages);
  }

  /** As `take` where the bits are set already. */
  protected countTaken(pages: number): void {
    this.liveRanges++;
    this.livePages += pages;
  }

  /** @param scannedBefore `map.wordsScanned` when the call began */
  protected countWords(scannedBefore: number, lock = 0): void {
    const { wordsScanned } = this.map;
    const scanned = wordsScanned - scannedBefore;
    this.lastWordsScanned = scanned;
    this.call.add(bitmapSearch, lock, scanned);
  }

  /** Lock under which a range is freed. */
  protected lockOf(_pfn: number): number {
    return 0;
  }

  free(pfn: number, pages: number): void {
    // Beyond the map no bit is set.
    if (pfn < 1 || !this.map.clearIfSet(pfn, pages)) {
      throw new InvariantError(`${this.kind}: ${pages} pages at ${pfn} freed, which were not handed out so`);
    }
    this.liveRanges--;
    this.livePages -= pages;
    this.call.add(bitmapFree, this.lockOf(pfn), 1);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.reservations.reserve(firstPfn, lastPfn);
    const last = Math.min(lastPfn, this.entries - 1);
    if (firstPfn <= last) this.map.set(firstPfn, last - firstPfn + 1);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    const { reservations } = this;
    for (let node = NONE; (node = reservations.cutReserved(firstPfn, lastPfn)) !== NONE; ) {
      const first = Math.max(1, reservations.first[node]);
      const last = Math.min(reservations.last[node], this.entries - 1);
      if (first <= last) this.map.clear(first, last - first + 1);
      reservations.erase(node);
    }
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    if (this.reservations.overlaps(firstPfn, lastPfn)) return true;
    const end = Math.min(lastPfn + 1, this.entries);
    return this.map.nextSet(Math.max(1, firstPfn), end) < end;
  }

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => unknown, limit: number, fromPfn = 0): void {
    const { map, entries } = this;
    const { first, last, next } = this.reservations;
    let node = fromPfn === 0 ? next[NONE] : this.reservations.findAtOrAbove(fromPfn);
    let pfn = Math.max(1, fromPfn);
    for (let left = limit; left > 0; left--) {
      const set = pfn < entries ? map.nextSet(pfn, entries) : entries;
      const reservedFirst = node === NONE ? Number.POSITIVE_INFINITY : first[node];
      if (set < entries && set < reservedFirst) {
        pfn = map.nextZero(set, Math.min(entries, reservedFirst));
        if (visit(set, pfn - 1, RANGE.allocated) === false) return;
      } else if (node !== NONE) {
        // Reservations that touch are one run here, as their bits are.
        while (next[node] !== NONE && first[next[node]] === last[node] + 1) node = next[node];
        pfn = last[node] + 1;
        node = next[node];
        if (visit(reservedFirst, pfn - 1, RANGE.reserved) === false) return;
      } else {
        break;
      }
    }
  }

  inspect(): Record<string, unknown> {
    return {
      kind: this.kind,
      entries: this.entries,
      ...this.cursors(),
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: this.reservations.count,
      wordsScanned: this.wordsScanned,
      lastWordsScanned: this.lastWordsScanned,
    };
  }

  digest(sink: DigestSink): void {
    const { first, last, next, count } = this.reservations;
    sink.text(this.kind);
    sink.number(this.entries);
    for (const cursor of Object.values(this.cursors())) sink.number(cursor);
    sink.column(this.map.words, this.map.wordsInUse());
    sink.number(count);
    for (let node = next[NONE]; node !== NONE; node = next[node]) {
      sink.number(first[node]);
      sink.number(last[node]);
    }
    sink.number(this.liveRanges);
    sink.number(this.livePages);
    sink.number(this.wordsScanned);
  }
}

/** Entries of a platform's bitmap: what was asked for, capped by the address width and by what the first device reaches. */
export function entriesOf({ parameters, lastPfn, maskLastPfn }: AllocatorSetup): number {
  return Math.min(Number(parameters.entries), lastPfn + 1, maskLastPfn + 1);
}

/** The parameter that they share. */
export const entriesSchema = {
  type: 'integer',
  minimum: 2 ** 8,
  maximum: 2 ** 22,
  multipleOf: 64,
  default: 2 ** 20,
  description: 'Pages that the bitmap covers, from IOVA 0; device mask and domain width cap it.',
};
