/**
 * One bit per 4 KiB page of an aperture that starts at IOVA 0, searched next-fit from a cursor that wraps: the thread of June 2008's
 * alternative to the tree, in its plainest form.
 *
 * Source: Fujita Tomonori's proposal for intel-iommu as James Bottomley retells it (linux-kernel, 5 June 2008); the search is
 * Linux 3.6 lib/iommu-helper.c, `iommu_area_alloc`, which never hands out the last entry. The patch itself is not public: aperture
 * size, alignment to the next power of two, and leaving the cursor alone at a free are ours.
 *
 * Pathology: a nearly full or fragmented aperture is scanned word by word. And whoever flushes only when the cursor wraps should
 * know that a page freed ahead of the cursor is handed out again within the lap.
 *
 * Reservations are kept beside the bits as ranges too: only so can they be told from allocations, and lie beyond the aperture.
 * Page 0 is never handed out; that is no reservation, and it can be reserved and returned like any other page.
 * A bitmap does not know where one allocation ends and the next begins, so neighbours show as one range.
 */
import { InvariantError } from '../../assert.ts';
import { Bitmap, NOT_FOUND } from '../../sim/bitmap.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { NONE, RedBlackTree } from '../../sim/red-black-tree.ts';
import { type AllocatorEntry, type AllocatorSetup, type IovaAllocator, NO_PFN } from './allocator.ts';

const PAGE_BYTES = 4096;

export class BitmapAllocator implements IovaAllocator {
  /** Not used: the longest scan, 2^22 words, is short enough for one call. */
  budget = Number.POSITIVE_INFINITY;
  nodesVisited = 0;
  wordsScanned = 0;
  lastNodesVisited = 0;
  lastWordsScanned = 0;
  liveRanges = 0;
  livePages = 0;

  /** Entries of the map; entry i is page i. */
  private readonly entries: number;
  private readonly map: Bitmap;
  private readonly reservations = new RedBlackTree();
  private readonly onWrap: (() => void) | null;
  /** Where the next search begins: behind the last allocation. */
  private cursor = 0;

  constructor(setup: AllocatorSetup) {
    const aperturePages = Number(setup.parameters.apertureBytes) / PAGE_BYTES;
    this.entries = Math.min(aperturePages, setup.lastPfn + 1, setup.maskLastPfn + 1);
    this.onWrap = setup.onWrap;
    this.map = new Bitmap(this.entries);
    this.map.set(0, 1);
  }

  allocate(pages: number, limitPfn: number): number {
    const { map } = this;
    const scannedBefore = map.wordsScanned;
    const size = (Math.min(this.entries, limitPfn + 1) - 1) | 0;
    const alignMask = (1 << (32 - Math.clz32(pages - 1))) - 1;
    let index = map.findArea(size, this.cursor, pages, alignMask);
    if (index === NOT_FOUND) {
      if (this.onWrap !== null) this.onWrap();
      index = map.findArea(size, 0, pages, alignMask);
    }
    this.wordsScanned = map.wordsScanned;
    this.lastWordsScanned = map.wordsScanned - scannedBefore;
    if (index === NOT_FOUND) return NO_PFN;
    map.set(index, pages);
    this.cursor = index + pages;
    this.liveRanges++;
    this.livePages += pages;
    return index;
  }

  free(pfn: number, pages: number): void {
    const { map } = this;
    if (pfn < 1 || pfn + pages > this.entries || !map.isSet(pfn, pages)) {
      throw new InvariantError(`bitmap: ${pages} pages at ${pfn} freed, which were not handed out so`);
    }
    map.clear(pfn, pages);
    this.liveRanges--;
    this.livePages -= pages;
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

  forEachRange(visit: (firstPfn: number, lastPfn: number, reserved: boolean) => void, limit: number): void {
    const { map, entries } = this;
    const { first, last, next } = this.reservations;
    let node = next[NONE];
    let pfn = 1;
    for (let left = limit; left > 0; left--) {
      const set = map.nextSet(pfn, entries);
      const reservedFirst = node === NONE ? Number.POSITIVE_INFINITY : first[node];
      if (set < entries && set < reservedFirst) {
        pfn = map.nextZero(set, Math.min(entries, reservedFirst));
        visit(set, pfn - 1, false);
      } else if (node !== NONE) {
        // Reservations that touch are one run here, as their bits are.
        while (next[node] !== NONE && first[next[node]] === last[node] + 1) node = next[node];
        pfn = last[node] + 1;
        node = next[node];
        visit(reservedFirst, pfn - 1, true);
      } else {
        break;
      }
    }
  }

  inspect(): Record<string, number | string | boolean | null> {
    return {
      kind: 'bitmap',
      entries: this.entries,
      cursorPfn: this.cursor,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      reservedRanges: this.reservations.count,
      wordsScanned: this.wordsScanned,
      lastWordsScanned: this.lastWordsScanned,
    };
  }

  digest(sink: DigestSink): void {
    const { first, last, next, count } = this.reservations;
    sink.text('bitmap');
    sink.number(this.entries);
    sink.number(this.cursor);
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

export const bitmap: AllocatorEntry = {
  kind: 'bitmap',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'bitmap' },
      apertureBytes: {
        type: 'integer',
        minimum: 2 ** 20,
        maximum: 2 ** 40,
        multipleOf: PAGE_BYTES,
        default: 2 ** 32,
        description:
          'Size of the address range that the bitmap covers, from IOVA 0; device mask and domain width cap it.',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'bitmap', apertureBytes: 2 ** 32 },
  source:
    'the bitmap that Fujita Tomonori proposed for intel-iommu, as retold on linux-kernel, 5 June 2008; search: Linux 3.6 lib/iommu-helper.c',
  circular: true,
  always32BitFirst: false,
  create: (setup) => new BitmapAllocator(setup),
};
