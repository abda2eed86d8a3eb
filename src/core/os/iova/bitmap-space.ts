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
import * as allocatorConstants from './allocator.ts';
import * as callConstants from './call.ts';
import { AllocatorCall } from './call.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NONE } = redBlackTreeConstants;
const { RANGE } = allocatorConstants;
const { STEP } = callConstants;

const { bitmapSearch, bitmapFree } = STEP;

export class BitmapSpace {
  declare readonly call: AllocatorCall;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;

  /** Entries of the map; entry i is page i. */
  declare readonly entries: number;
  declare readonly map: Bitmap;
  declare readonly kind: string;
  private readonly reservations = new RedBlackTree();

  constructor(kind: string, entries: number, call = new AllocatorCall()) {
    this.kind = kind;
    this.call = call;
    this.entries = entries;
    this.map = new Bitmap(entries);
    this.map.set(0, 1);
  }

  take(index: number, pages: number): void {
    this.map.set(index, pages);
    this.countTaken(pages);
  }

  /** As `take` where the bits are set already. */
  countTaken(pages: number): void {
    this.liveRanges++;
    this.livePages += pages;
  }

  /** @param scannedBefore `map.wordsScanned` when the call began */
  countWords(scannedBefore: number, lock: number): void {
    const { wordsScanned } = this.map;
    const scanned = wordsScanned - scannedBefore;
    this.lastWordsScanned = scanned;
    this.call.add(bitmapSearch, lock, scanned);
  }

  /** @param lock under which it is done */
  free(pfn: number, pages: number, lock: number): void {
    // Beyond the map no bit is set.
    if (pfn < 1 || !this.map.clearIfSet(pfn, pages)) {
      throw new InvariantError(`${this.kind}: ${pages} pages at ${pfn} freed, which were not handed out so`);
    }
    this.liveRanges--;
    this.livePages -= pages;
    this.call.add(bitmapFree, lock, 1);
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

  /** @param cursors where searches go on */
  inspect(cursors: Record<string, number>): Record<string, unknown> {
    return {
      kind: this.kind,
      entries: this.entries,
      ...cursors,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: this.reservations.count,
      wordsScanned: this.map.wordsScanned,
      lastWordsScanned: this.lastWordsScanned,
    };
  }

  digest(sink: DigestSink, cursors: Record<string, number>): void {
    const { first, last, next, count } = this.reservations;
    sink.text(this.kind);
    sink.number(this.entries);
    for (const cursor of Object.values(cursors)) sink.number(cursor);
    sink.column(this.map.words, this.map.wordsInUse());
    sink.number(count);
    for (let node = next[NONE]; node !== NONE; node = next[node]) {
      sink.number(first[node]);
      sink.number(last[node]);
    }
    sink.number(this.liveRanges);
    sink.number(this.livePages);
    sink.number(this.map.wordsScanned);
  }
}
