/**
 * The IOVA space as a picture: a stretch of it cut into cells of equal size, each with its pages counted by state. Leaves no trace, and
 * takes a bounded number of steps: where they run out `coveredTo` says how far the counts reach, and another read goes on from there.
 */
import type { Outcome } from '../operations.ts';
import type { Domain } from '../os/domain.ts';
import { ok, refuse } from '../outcome.ts';
import type { Reading } from '../reading.ts';
import { formatAddress, parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import type { Address } from '../spec.ts';
import { domainOf, isOutcome } from './inside.ts';
import { spaceExtents } from './space-extents.ts';
import { heldIn, Intervals, STATE, Steps, spaceStates, stateOf, stateOfRange } from './space-states.ts';

/**
 * Of one read, some 20 ms: ranges of the allocator, ranges of `iommu-map`, and pages with their open windows. More than there can be
 * windows, so that a read gets at least one page further.
 */
const MOST_STEPS = 2 ** 22;

const DEFAULT_CELLS = 1024;

export function spaceCells(simulator: Simulator, reading: Reading & { read: 'space-cells' }): Outcome {
  const domain = domainOf(simulator, reading.domain);
  if (isOutcome(domain)) return domain;
  const first = pageOf(reading.from, 0);
  const asked = pageOf(reading.to, domain.lastPage);
  if (first === null) return refuse('invalid-address', 'is no address', '/from');
  if (asked === null) return refuse('invalid-address', 'is no address', '/to');
  if (first > domain.lastPage) return refuse('invalid-address', 'is beyond the last address of the domain', '/from');
  if (asked < first) return refuse('invalid-address', 'is below `from`', '/to');
  const last = Math.min(asked, domain.lastPage);
  const pagesPerCell = Math.ceil((last - first + 1) / (reading.cells ?? DEFAULT_CELLS));
  const { cells, covered } = countCells(simulator, domain, first, last, pagesPerCell);
  const totals: Record<string, number> = {};
  const runs: Record<string, number[]> = {};
  spaceStates.forEach((name, state) => {
    const total = sum(cells[state]!);
    if (total === 0) return;
    totals[name] = total;
    runs[name] = runLengths(cells[state]!);
  });
  return ok({
    domain: domain.id,
    timeNs: simulator.clock.timeNs,
    from: formatAddress(first, 0),
    to: formatAddress(last, 4095),
    lastIova: formatAddress(domain.lastPage, 4095),
    cellBytes: pagesPerCell * 4096,
    cellCount: cells[0]!.length,
    coveredTo: formatAddress(covered, 4095),
    complete: covered === last,
    pages: totals,
    cells: runs,
    marks: marksOf(domain),
    ...keptBy(domain),
    ...(reading.extents !== undefined && reading.extents > 0 && { space: spaceExtents(domain, reading.extents) }),
  });
}

/** First or last page that is meant; null for what is no address. */
function pageOf(address: Address | undefined, absent: number): number | null {
  if (address === undefined) return absent;
  return parseAddress(address) ? parsed.page : null;
}

/** @returns by state the pages of each cell, and the last page that they cover */
function countCells(
  simulator: Simulator,
  domain: Domain,
  first: number,
  last: number,
  pagesPerCell: number,
): { cells: Float64Array[]; covered: number } {
  const count = Math.ceil((last - first + 1) / pagesPerCell);
  const cells = spaceStates.map(() => new Float64Array(count));
  const cellOf = (page: number) => Math.floor((page - first) / pagesPerCell);
  let covered = last;
  /** Counts end before a page: what is not looked at is not said. */
  const stopBefore = (page: number) => {
    covered = Math.min(covered, Math.max(first, page) - 1);
    return false;
  };

  const ranges = new Intervals();
  let rangesLeft = MOST_STEPS;
  domain.allocator?.forEachRange(
    (from, to, state) => {
      if (from > last) return false;
      if (rangesLeft-- === 0) return stopBefore(from);
      ranges.add(Math.max(from, first), Math.min(to, last), stateOfRange[state]!);
      return true;
    },
    Number.POSITIVE_INFINITY,
    first,
  );
  const mapped = new Intervals();
  let mappedLeft = MOST_STEPS;
  for (let at = domain.pages.rangeIndex(first); at < domain.pages.ranges.length; at++) {
    const range = domain.pages.ranges[at]!;
    if (range.first > last) break;
    if (mappedLeft-- === 0) {
      stopBefore(range.first);
      break;
    }
    mapped.add(Math.max(range.first, first), Math.min(range.last, last), range.freed ? STATE.dangling : STATE.live);
  }
  const base = ranges.under(mapped);
  const held = heldIn(domain, first, last);
  const steps = new Steps(MOST_STEPS);
  // Before the ranges are counted: how far they may be is known only when the pages have been looked at. Counts are below zero meanwhile.
  domain.pages.forEachChunkIn(first, covered, (firstOfChunk, chunk) => {
    const end = Math.min(firstOfChunk + 511, covered);
    for (let page = Math.max(firstOfChunk, first); page <= end; page++) {
      if (steps.left-- <= 0) return stopBefore(page);
      const at = page & 511;
      const isHeld = held.stateAt(page, STATE.free) === STATE.queued;
      if (chunk.live[at] === 0 && chunk.window[at] === -1 && chunk.freed[at] === 0 && !isHeld) continue;
      const was = base.stateAt(page, STATE.free);
      const is = stateOf(simulator, was, chunk, at, isHeld, steps);
      if (steps.left <= 0) return stopBefore(page);
      if (is === was) continue;
      const cell = cellOf(page);
      cells[was]![cell]!--;
      cells[is]![cell]!++;
    }
    return true;
  });

  const addTo = (state: number, from: number, to: number) => {
    const column = cells[state]!;
    const lastCell = cellOf(to);
    for (let cell = cellOf(from), at = from; cell <= lastCell; cell++) {
      const end = Math.min(to, first + (cell + 1) * pagesPerCell - 1);
      column[cell]! += end - at + 1;
      at = end + 1;
    }
  };
  let free = first;
  base.forEach((from, to, state) => {
    if (from > covered) return;
    if (from > free) addTo(STATE.free, free, from - 1);
    addTo(state, from, Math.min(to, covered));
    free = to + 1;
  });
  if (free <= covered) addTo(STATE.free, free, covered);
  return { cells, covered };
}

/** Where the allocator's next search begins and what else it remembers as a place: a bitmap's cursor, a tree's cached nodes. */
function marksOf(domain: Domain): { name: string; iova: string }[] {
  const marks = [];
  for (const [member, value] of Object.entries(domain.allocator?.inspect() ?? {}))
    if (member.endsWith('Pfn') && typeof value === 'number')
      marks.push({ name: member.slice(0, -3), iova: formatAddress(value, 0) });
  return marks;
}

/** Of an allocator with a cache: what is in magazines and other lists, over the whole space. */
function keptBy({ allocator }: Domain): Record<string, unknown> {
  if (allocator?.cachedPages === undefined) return {};
  return {
    kept: {
      ranges: allocator.cachedRanges ?? 0,
      bytes: allocator.cachedPages * 4096,
      depotMagazines: allocator.depotMagazines ?? 0,
    },
  };
}

function sum(column: Float64Array): number {
  let total = 0;
  for (const value of column) total += value;
  return total;
}

/** How often a value follows itself, then the value: `[3, 0, 1, 512]` is three cells with none and one with 512. */
function runLengths(column: Float64Array): number[] {
  const runs: number[] = [];
  for (let at = 0; at < column.length; ) {
    const value = column[at]!;
    let end = at + 1;
    while (end < column.length && column[end] === value) end++;
    runs.push(end - at, value);
    at = end;
  }
  return runs;
}
