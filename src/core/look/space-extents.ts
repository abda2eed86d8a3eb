/**
 * Where in its IOVA space a domain has anything, so that a space of 48 bits can be looked at: the used parts, as few as are asked for,
 * apart at the widest gaps. A block of 2 MiB in which something was ever mapped counts as used, so extents do not come and go with
 * single mappings. With it the figures of fragmentation, which need all ranges too.
 */
import type { Domain } from '../os/domain.ts';
import { RANGE } from '../os/iova/allocator.ts';
import { formatAddress } from '../sim/address.ts';

/** Ranges and blocks that are looked at. */
const MOST = 2 ** 20;
/** Gaps of fewer pages part nothing. */
const LEAST_GAP = 512;

interface Gap {
  /** First page after it. */
  end: number;
  pages: number;
}

export function spaceExtents(domain: Domain, most: number): Record<string, unknown> {
  const blocks: number[] = [];
  domain.pages.forEachChunkIn(0, domain.lastPage, (first) => blocks.push(first) < MOST);
  for (const { first, last } of domain.pages.ranges) if (blocks.length < MOST) blocks.push(first, last - (last % 512));
  blocks.sort((a, b) => a - b);

  // The widest gaps so far, in no order; one more extent than gaps.
  const gaps: Gap[] = [];
  const spans: { first: number; last: number; usedPages: number; reservedPages: number }[] = [];
  let ranges = 0;
  let usedPages = 0;
  let reservedPages = 0;
  let freeRanges = 0;
  let largestFree = 0;
  let previousLast = 0;
  const free = (pages: number) => {
    if (pages <= 0) return;
    freeRanges++;
    largestFree = Math.max(largestFree, pages);
  };
  /** Spans come in the order of their beginnings; those that nearly meet are one. */
  const span = (first: number, last: number, used: number, reserved: number) => {
    const before = spans.at(-1);
    if (before !== undefined && first - before.last <= LEAST_GAP) {
      before.last = Math.max(before.last, last);
      before.usedPages += used;
      before.reservedPages += reserved;
      return;
    }
    if (before !== undefined) gaps.push({ end: first, pages: first - before.last - 1 });
    spans.push({ first, last, usedPages: used, reservedPages: reserved });
  };
  let block = 0;
  const blocksBelow = (page: number) => {
    for (; block < blocks.length && blocks[block]! <= page; block++)
      span(blocks[block]!, Math.min(blocks[block]! + 511, domain.lastPage), 0, 0);
  };
  domain.allocator?.forEachRange((first, last, state) => {
    ranges++;
    const pages = last - first + 1;
    free(first - previousLast - 1);
    previousLast = last;
    if (state === RANGE.reserved) reservedPages += pages;
    else usedPages += pages;
    blocksBelow(first);
    span(first, last, state === RANGE.reserved ? 0 : pages, state === RANGE.reserved ? pages : 0);
  }, MOST);
  blocksBelow(domain.lastPage);
  free(domain.lastPage - previousLast);

  const wide = new Set(
    gaps
      .sort((a, b) => b.pages - a.pages || a.end - b.end)
      .slice(0, most - 1)
      .map(({ end }) => end),
  );
  const extents: typeof spans = [];
  for (const part of spans) {
    const before = extents.at(-1);
    if (before === undefined || wide.has(part.first)) extents.push({ ...part });
    else {
      before.last = Math.max(before.last, part.last);
      before.usedPages += part.usedPages;
      before.reservedPages += part.reservedPages;
    }
  }
  return {
    complete: ranges < MOST && blocks.length < MOST,
    ranges,
    usedBytes: usedPages * 4096,
    reservedBytes: reservedPages * 4096,
    freeRanges,
    largestFreeBytes: largestFree * 4096,
    extents: extents.map((each) => ({
      from: formatAddress(each.first, 0),
      to: formatAddress(each.last, 4095),
      usedBytes: each.usedPages * 4096,
      reservedBytes: each.reservedPages * 4096,
    })),
  };
}
