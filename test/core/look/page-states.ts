/**
 * The slow, obvious answer to "what is each page of this space": one page after the other, from lists of mappings, of allocator ranges, of
 * queued entries and of windows; nothing of cells, chunks or intervals.
 */
import type { Simulator } from '../../../src/core/simulator.ts';

export type States = Map<number, string>;

export function pageStates(simulator: Simulator, index: number, first: number, last: number): States {
  const domain = simulator.domains[index]!;
  const { mappings, exposure } = simulator;
  const allocator = new Map<number, string>();
  domain.allocator?.forEachRange((from, to, state) => {
    for (let page = Math.max(from, first); page <= Math.min(to, last); page++)
      allocator.set(page, ['allocated', 'reserved', 'kept'][state]!);
  }, Number.POSITIVE_INFINITY);
  const live = new Set<number>();
  const dangling = new Set<number>();
  for (let slot = 0; slot < mappings.used; slot++) {
    if (mappings.live[slot] !== 1 || mappings.domain[slot] !== index) continue;
    const covers =
      mappings.frame[slot] === -1
        ? mappings.runs[slot]!
        : [{ page: mappings.page[slot]!, pages: mappings.pages[slot]! }];
    for (const { page, pages } of covers)
      for (let at = page; at < page + pages; at++) (mappings.freed[slot] === 1 ? dangling : live).add(at);
  }
  for (const range of domain.pages.ranges)
    for (let page = Math.max(range.first, first); page <= Math.min(range.last, last); page++)
      (range.freed ? dangling : live).add(page);
  const open = new Set<number>();
  const exposed = new Set<number>();
  exposure.forEachOpen(index, (page, cached) => {
    open.add(page);
    if (cached) exposed.add(page);
  });
  const queued = new Set<number>();
  for (const entry of domain.policy.queue(Number.POSITIVE_INFINITY))
    if (entry.domain === domain) for (let page = entry.pfn; page < entry.pfn + entry.pages; page++) queued.add(page);

  const states: States = new Map();
  for (let page = first; page <= last; page++) {
    let state = allocator.get(page) ?? 'free';
    if (live.has(page)) state = exposed.has(page) ? 'remapped' : 'live';
    else if (exposed.has(page)) state = 'stale';
    else if (dangling.has(page)) state = 'dangling';
    else if (queued.has(page)) state = 'queued';
    else if (open.has(page)) state = 'unflushed';
    states.set(page, state);
  }
  return states;
}

export interface Cells {
  from: string;
  to: string;
  cellBytes: number;
  cellCount: number;
  coveredTo: string;
  complete: boolean;
  pages: Record<string, number>;
  cells: Record<string, number[]>;
  marks: { name: string; iova: string }[];
  kept?: { ranges: number; bytes: number; depotMagazines: number };
  space?: {
    complete: boolean;
    ranges: number;
    usedBytes: number;
    reservedBytes: number;
    freeRanges: number;
    largestFreeBytes: number;
    extents: { from: string; to: string; usedBytes: number; reservedBytes: number }[];
  };
}

/** [cell]: pages by state, out of the run lengths. */
export function unpacked({ cells, cellCount }: Cells): Record<string, number>[] {
  const out: Record<string, number>[] = Array.from({ length: cellCount }, () => ({}));
  for (const [state, runs] of Object.entries(cells)) {
    let cell = 0;
    for (let at = 0; at < runs.length; at += 2)
      for (let times = 0; times < runs[at]!; times++, cell++)
        if (runs[at + 1]! !== 0) out[cell]![state] = runs[at + 1]!;
    if (cell !== cellCount) throw new Error(`${state}: ${cell} cells of ${cellCount}`);
  }
  return out;
}

/** What `cells` should say, counted page by page. */
export function counted(
  states: States,
  first: number,
  pagesPerCell: number,
  cellCount: number,
): Record<string, number>[] {
  const out: Record<string, number>[] = Array.from({ length: cellCount }, () => ({}));
  for (const [page, state] of states) {
    const cell = out[Math.floor((page - first) / pagesPerCell)]!;
    cell[state] = (cell[state] ?? 0) + 1;
  }
  return out;
}
