/** One look at a space, out of the server's run lengths; and the same in words. Pure. */
import type { SpaceCells, SpaceState } from '../../api/contract-types.ts';
import { bytes, count, share } from '../format.ts';
import { hexOf, pageOf } from './address.ts';
import { STATES, stateEntry } from './states.ts';

export interface SpaceFrame {
  timeNs: number;
  first: number;
  pagesPerCell: number;
  cellCount: number;
  /** Of the states that any cell has: [cell], pages. */
  cells: ReadonlyMap<SpaceState, Float64Array>;
  reply: SpaceCells;
}

export function frameOf(reply: SpaceCells): SpaceFrame {
  const cells = new Map<SpaceState, Float64Array>();
  for (const [state, runs] of Object.entries(reply.cells) as [SpaceState, number[]][]) {
    const column = new Float64Array(reply.cellCount);
    let cell = 0;
    for (let at = 0; at + 1 < runs.length; at += 2) {
      const end = Math.min(cell + (runs[at] as number), column.length);
      column.fill(runs[at + 1] as number, cell, end);
      cell = end;
    }
    cells.set(state, column);
  }
  return {
    timeNs: reply.timeNs,
    first: pageOf(reply.from) ?? 0,
    pagesPerCell: reply.cellBytes / 4096,
    cellCount: reply.cellCount,
    cells,
    reply,
  };
}

export interface Part {
  state: SpaceState;
  pages: number;
}

/** What a cell holds, what matters most first. */
export function partsOf(frame: SpaceFrame, cell: number): Part[] {
  const parts: Part[] = [];
  for (const { state } of STATES) {
    const pages = frame.cells.get(state)?.[cell] ?? 0;
    if (pages > 0) parts.push({ state, pages });
  }
  return parts;
}

/** [cell]: 1 where it differs from the look before; of two looks at the same stretch. */
export function changes(before: SpaceFrame | undefined, now: SpaceFrame): Uint8Array {
  const out = new Uint8Array(now.cellCount);
  if (before === undefined || before.first !== now.first || before.pagesPerCell !== now.pagesPerCell) return out;
  for (const state of new Set([...before.cells.keys(), ...now.cells.keys()])) {
    const [a, b] = [before.cells.get(state), now.cells.get(state)];
    for (let cell = 0; cell < out.length; cell++) if ((a?.[cell] ?? 0) !== (b?.[cell] ?? 0)) out[cell] = 1;
  }
  return out;
}

/** `0xfffc0000 to 0xffffffff` of a cell. */
export function addressesOf(frame: SpaceFrame, cell: number): string {
  const first = frame.first + cell * frame.pagesPerCell;
  return frame.pagesPerCell === 1 ? hexOf(first) : `${hexOf(first)} to ${hexOf(first + frame.pagesPerCell - 1, 4095)}`;
}

/** `12 live, 3 queued, 1 free`. */
export function partsInWords(parts: readonly Part[]): string {
  if (parts.length === 1 && parts[0]?.pages === 1) return stateEntry(parts[0].state).name;
  return parts.map(({ state, pages }) => `${count(pages)} ${stateEntry(state).name}`).join(', ');
}

/** The picture in a few sentences, for who does not see it. */
export function summaryOf({ reply }: SpaceFrame): string {
  const pages = reply.pages as Partial<Record<SpaceState, number>>;
  const all = Object.values(pages).reduce((sum, each) => sum + each, 0);
  const used = STATES.filter(({ state }) => state !== 'free' && (pages[state] ?? 0) > 0)
    .map(({ state, name }) => `${count(pages[state])} ${name}`)
    .join(', ');
  const free = `${share((pages.free ?? 0) / Math.max(1, all))} of it is free`;
  const loud = (pages.stale ?? 0) + (pages.remapped ?? 0);
  return [
    `${reply.from} to ${reply.to}, ${count(all)} pages in ${count(reply.cellCount)} cells of ${bytes(reply.cellBytes)}.`,
    used === '' ? 'Nothing is used; all of it is free.' : `Pages: ${used}; ${free}.`,
    loud === 0
      ? 'No unmapped page is within reach of a device.'
      : `${count(loud)} ${loud === 1 ? 'page is' : 'pages are'} still translated as before an unmap.`,
    ...(reply.complete ? [] : [`Counted up to ${reply.coveredTo} only.`]),
  ].join(' ');
}
