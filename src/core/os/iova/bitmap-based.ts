/**
 * What every allocator on one bitmap is: a search of its own over a `BitmapSpace`.
 *
 * The space is an object of its own and not a parent class: it is of one shape, whatever allocator it belongs to, and V8 reads its
 * fields at once. As a parent its methods ran on objects of seven shapes, and each field was looked up, some 17 times a pair.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { AllocatorSetup, IovaAllocator } from './allocator.ts';
import { BitmapSpace } from './bitmap-space.ts';
import type { AllocatorCall } from './call.ts';

export const PAGE_BYTES = 4096;
const ONE_LOCK: readonly string[] = ['iova-allocator'];

/** `free` is each one's own, for V8 to know the shape that it runs on: nearly always no more than the space's. */
export abstract class BitmapBased implements IovaAllocator {
  /** Not used: the longest scan, 2^22 words, is short enough for one call. */
  budget = Number.POSITIVE_INFINITY;
  nodesVisited = 0;
  lastNodesVisited = 0;
  declare protected readonly space: BitmapSpace;

  constructor(kind: string, entries: number, call?: AllocatorCall) {
    this.space = new BitmapSpace(kind, entries, call);
  }

  abstract allocate(pages: number, limitPfn: number): number;
  abstract free(pfn: number, pages: number): void;

  /** Where searches go on, for `inspect` and the digest. */
  protected abstract cursors(): Record<string, number>;

  get call(): AllocatorCall {
    return this.space.call;
  }

  get lockNames(): readonly string[] {
    return ONE_LOCK;
  }

  get wordsScanned(): number {
    return this.space.map.wordsScanned;
  }

  get lastWordsScanned(): number {
    return this.space.lastWordsScanned;
  }

  get liveRanges(): number {
    return this.space.liveRanges;
  }

  get livePages(): number {
    return this.space.livePages;
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.space.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.space.unreserve(firstPfn, lastPfn);
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    return this.space.overlaps(firstPfn, lastPfn);
  }

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => unknown, limit: number, fromPfn = 0): void {
    this.space.forEachRange(visit, limit, fromPfn);
  }

  inspect(): Record<string, unknown> {
    return this.space.inspect(this.cursors());
  }

  digest(sink: DigestSink): void {
    this.space.digest(sink, this.cursors());
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
