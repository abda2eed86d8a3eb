/**
 * Forensics of a recording: for each `io_page_fault` the last map and unmap that touched its address, how long before, in which
 * direction, and whether a lazy policy would have hidden it; in words that a bug report can quote.
 *
 * One pass, in bounded memory (`touches.ts`). Of a simulated session: its history is a recording (`export/history.ts`).
 *
 * Where both the driver's call and the page-table line of the same range are there, the call says who and for what, the page-table line
 * when the translation really went. Lines that name no device are taken for the faulting device's only if they lie within a
 * millisecond of its own call, or if the recording has no calls of it at all.
 */
import type { RecordedEvents } from '../../core/devices/replay/source.ts';
import { ABSENT, DIRECTIONS, EVENT_KINDS } from '../event.ts';
import { hexAddress } from '../export/lines.ts';
import { LazyRules, type LazyVerdict, ms } from './lazy.ts';
import { pagesOf, type Touch, Touches } from './touches.ts';

/** Faults that are told of; more are counted. */
export const MOST_FAULTS = 1000;
/** Between a driver's call and the page-table line of the same. */
const SAME_CALL_NS = 1_000_000;

const CALL_WORDS: Readonly<Record<number, string>> = {
  [EVENT_KINDS.map]: 'dma_map',
  [EVENT_KINDS.mapSg]: 'dma_map_sg',
  [EVENT_KINDS.alloc]: 'dma_alloc',
  [EVENT_KINDS.iommuMap]: 'iommu map',
  [EVENT_KINDS.unmap]: 'dma_unmap',
  [EVENT_KINDS.unmapSg]: 'dma_unmap_sg',
  [EVENT_KINDS.free]: 'dma_free',
  [EVENT_KINDS.iommuUnmap]: 'iommu unmap',
};

export interface ForensicTouch {
  /** Of the recording, from 1; the driver's call first, then the page-table line, where both are there. */
  lines: number[];
  call: string;
  timeNs: number;
  sinceNs: number;
}

export interface FaultForensics {
  line: number;
  timeNs: number;
  device: string | null;
  iova: string;
  access: 'read' | 'write';
  verdict: 'use after unmap' | 'wrong direction or not covered' | 'never mapped';
  lastMap:
    | (ForensicTouch & { iova: string; lengthBytes: number; direction: string | null; physicalAddress: string | null })
    | null;
  lastUnmap: ForensicTouch | null;
  /** The first invalidation that the recording has after the unmap and before the fault. */
  invalidated: { line: number; afterUnmapNs: number } | null;
  /** What lazy policies would have made of it; empty unless it is a use after unmap. */
  lazy: LazyVerdict[];
  text: string[];
}

export interface Forensics {
  /** All there were. */
  faults: number;
  /** The first MOST_FAULTS of them. */
  items: FaultForensics[];
  /** Pages and long mappings that were forgotten: what is said of "never mapped" may be wrong then. */
  forgotten: number;
}

export function forensicsOf(events: RecordedEvents): Forensics {
  const pass = new ForensicPass(events);
  for (let index = 0; index < events.count; index++) {
    events.load(index);
    pass.event(index);
  }
  return pass.result();
}

/** For callers that want to pause between events: load each in turn and give it here. */
export class ForensicPass {
  private readonly events: RecordedEvents;
  private readonly touches = new Touches();
  private readonly rules = new LazyRules();
  private readonly items: FaultForensics[] = [];
  private faults = 0;
  /** Ranges of open lists, by their event: their unmap has no address. */
  private readonly lists = new Map<number, Touch[]>();
  /** The list whose segments come. */
  private openList: { device: number; touches: Touch[]; index: number; direction: number; timeNs: number } | null =
    null;
  /** The newest invalidations, a few of them. */
  private readonly invalidations: { timeNs: number; line: number; page: number; pages: number }[] = [];
  /** Devices of which there are calls of the DMA API: their unmaps are what a flush queue gets. */
  private readonly driven = new Set<number>();

  constructor(events: RecordedEvents) {
    this.events = events;
  }

  result(): Forensics {
    return { faults: this.faults, items: this.items, forgotten: this.touches.forgotten };
  }

  event(index: number): void {
    const { events, rules } = this;
    const { kind, timeNs, device } = events;
    rules.begin(timeNs);
    if (kind === EVENT_KINDS.segment) {
      this.segment();
      return;
    }
    this.openList = null;
    switch (kind) {
      case EVENT_KINDS.map:
      case EVENT_KINDS.alloc:
      case EVENT_KINDS.iommuMap:
        if (events.iovaPage !== ABSENT) this.touches.mapped(device, this.touch(index));
        if (device !== ABSENT) this.driven.add(device);
        return;
      case EVENT_KINDS.mapSg: {
        const touches: Touch[] = [];
        this.lists.set(index, touches);
        this.openList = { device, touches, index, direction: events.direction, timeNs };
        this.driven.add(device);
        return;
      }
      case EVENT_KINDS.unmap:
      case EVENT_KINDS.free:
      case EVENT_KINDS.iommuUnmap:
        this.unmapped();
        return;
      case EVENT_KINDS.unmapSg:
        this.listUnmapped();
        return;
      case EVENT_KINDS.invalidate:
        this.invalidated();
        return;
      case EVENT_KINDS.lost:
        rules.lost(timeNs);
        return;
      case EVENT_KINDS.fault:
        this.faults++;
        if (this.items.length < MOST_FAULTS) this.items.push(this.fault());
        return;
    }
  }

  private touch(index: number): Touch {
    const { kind, timeNs, line, iovaPage, iovaOffset, lengthBytes, physicalPage, physicalOffset, direction } =
      this.events;
    return {
      mapKind: kind,
      mapNs: timeNs,
      mapLine: line,
      mapIndex: index,
      unmapKind: ABSENT,
      unmapNs: ABSENT,
      unmapLine: ABSENT,
      page: iovaPage,
      offset: Math.max(0, iovaOffset),
      lengthBytes,
      physicalPage,
      physicalOffset,
      direction,
    };
  }

  private segment(): void {
    const { openList, events } = this;
    if (openList === null || events.iovaPage === ABSENT) return;
    const touch = this.touch(openList.index);
    touch.mapKind = EVENT_KINDS.mapSg;
    touch.direction = openList.direction;
    touch.mapNs = openList.timeNs;
    openList.touches.push(touch);
    this.touches.mapped(openList.device, touch);
  }

  private unmapped(): void {
    const { events, rules } = this;
    const { kind, timeNs, line, device, cpu, iovaPage, iovaOffset, lengthBytes } = events;
    if (iovaPage === ABSENT) return;
    this.touches.unmapped(device, iovaPage, pagesOf(iovaOffset, lengthBytes), kind, timeNs, line);
    // The page-table half of a driver's call is no range of its own.
    if (kind !== EVENT_KINDS.iommuUnmap || events.joined === ABSENT) rules.unmapped(device, cpu, timeNs);
  }

  private listUnmapped(): void {
    const { kind, timeNs, line, device, cpu, partner } = this.events;
    const touches = this.lists.get(partner);
    this.lists.delete(partner);
    for (const touch of touches ?? []) {
      touch.unmapKind = kind;
      touch.unmapNs = timeNs;
      touch.unmapLine = line;
    }
    this.rules.unmapped(device, cpu, timeNs);
  }

  private invalidated(): void {
    const { timeNs, line, detail, iovaPage, lengthBytes } = this.events;
    const paged = detail === 3 && iovaPage !== ABSENT;
    this.invalidations.push({
      timeNs,
      line,
      page: paged ? iovaPage : 0,
      pages: paged ? Math.ceil(lengthBytes / 4096) : Number.POSITIVE_INFINITY,
    });
    if (this.invalidations.length > 4096) this.invalidations.splice(0, 2048);
  }

  private fault(): FaultForensics {
    const { events, touches } = this;
    const { timeNs, line, device, iovaPage, iovaOffset, write } = events;
    const called = touches.at(device, iovaPage);
    const table = this.tableTouch(called, iovaPage);
    const best = called ?? table;
    const name = device === ABSENT ? null : (events.devices[device] ?? null);
    const iova = `0x${hexAddress(iovaPage, Math.max(0, iovaOffset))}`;
    const access = write === 1 ? 'write' : 'read';
    const base = { line, timeNs, device: name, iova, access } as const;
    if (best === null)
      return {
        ...base,
        verdict: 'never mapped',
        lastMap: null,
        lastUnmap: null,
        invalidated: null,
        lazy: [],
        text: [
          `${name ?? 'A device'} ${access === 'write' ? 'wrote to' : 'read from'} ${iova} and was blocked (line ${line}). ` +
            `Nothing in the recording ever mapped that address${touches.forgotten > 0 ? ', as far as it is remembered' : ''}: it may be older than the recording, or the device made it up.`,
        ],
      };
    const ended = best.unmapLine !== ABSENT || (table !== null && table.unmapLine !== ABSENT);
    // When the translation went: the page-table line knows, else the call.
    const unmapNs = table !== null && table.unmapLine !== ABSENT ? table.unmapNs : best.unmapNs;
    const mapLines = [called, table].flatMap((touch) => (touch === null ? [] : [touch.mapLine])).sort((a, b) => a - b);
    const unmapLines = [called, table].flatMap((touch) =>
      touch === null || touch.unmapLine === ABSENT ? [] : [touch.unmapLine],
    );
    const physical = best.physicalPage !== ABSENT ? best : table;
    const lastMap = {
      lines: mapLines,
      call: CALL_WORDS[best.mapKind]!,
      timeNs: best.mapNs,
      sinceNs: timeNs - best.mapNs,
      iova: `0x${hexAddress(best.page, best.offset)}`,
      lengthBytes: best.lengthBytes,
      direction: directionWord(best.direction),
      physicalAddress:
        physical === null || physical.physicalPage === ABSENT
          ? null
          : `0x${hexAddress(physical.physicalPage, Math.max(0, physical.physicalOffset))}`,
    };
    const unmapKind = best.unmapLine === ABSENT ? (table?.unmapKind ?? ABSENT) : best.unmapKind;
    const lastUnmap = ended
      ? { lines: unmapLines, call: CALL_WORDS[unmapKind] ?? 'unmap', timeNs: unmapNs, sinceNs: timeNs - unmapNs }
      : null;
    const invalidated = ended ? this.invalidationAfter(unmapNs, iovaPage) : null;
    const lazy = ended
      ? this.rules.judge(this.driven.has(device) ? device : ABSENT, queuedNs(best, unmapNs), timeNs)
      : [];
    const known = {
      ...base,
      verdict: ended ? ('use after unmap' as const) : ('wrong direction or not covered' as const),
      lastMap,
      lastUnmap,
      invalidated,
      lazy,
    };
    return { ...known, text: wordsOf(known) };
  }

  /** The page-table line of the same mapping. */
  private tableTouch(called: Touch | null, page: number): Touch | null {
    const table = this.touches.at(ABSENT, page);
    if (called === null || table === null) return table;
    return Math.abs(table.mapNs - called.mapNs) <= SAME_CALL_NS ? table : null;
  }

  private invalidationAfter(unmapNs: number, page: number): FaultForensics['invalidated'] {
    for (const { timeNs, line, page: first, pages } of this.invalidations)
      if (timeNs >= unmapNs && page >= first && page < first + pages) return { line, afterUnmapNs: timeNs - unmapNs };
    return null;
  }
}

/** When the range went into a queue: at the driver's call. */
function queuedNs(touch: Touch, unmapNs: number): number {
  return touch.unmapLine === ABSENT ? unmapNs : touch.unmapNs;
}

function directionWord(direction: number): string | null {
  if (direction === DIRECTIONS.toDevice) return 'to the device';
  if (direction === DIRECTIONS.fromDevice) return 'from the device';
  if (direction === DIRECTIONS.bidirectional) return 'in both directions';
  return null;
}

function count(bytes: number): string {
  return `${String(bytes).replace(/\B(?=(\d{3})+$)/g, ',')} byte${bytes === 1 ? '' : 's'}`;
}

function linesWord(lines: readonly number[]): string {
  return lines.length === 1 ? `line ${lines[0]}` : `lines ${lines.join(' and ')}`;
}

function wordsOf(fault: Omit<FaultForensics, 'text'>): string[] {
  const { device, access, iova, line, lastMap, lastUnmap, invalidated, lazy } = fault;
  const did = `${device ?? 'A device'} ${access === 'write' ? 'wrote to' : 'read from'} ${iova}`;
  const mapped =
    `The address lies in ${count(lastMap!.lengthBytes)} at ${lastMap!.iova} that ${lastMap!.call} mapped` +
    `${lastMap!.direction === null ? '' : ` for use ${lastMap!.direction}`} (${linesWord(lastMap!.lines)}), ${ms(lastMap!.sinceNs)} before the fault` +
    `${lastMap!.physicalAddress === null ? '' : `; behind it was ${lastMap!.physicalAddress}`}.`;
  if (lastUnmap === null)
    return [
      `${did} and was blocked (line ${line}), while the address was mapped: the mapping did not permit the ${access}, or its tables did not reach so far.`,
      mapped,
    ];
  const out = [
    `${did} ${ms(lastUnmap.sinceNs)} after the driver had taken that address back (${lastUnmap.call}, ${linesWord(lastUnmap.lines)}), and was blocked (line ${line}). This is a use after unmap.`,
    mapped,
  ];
  if (invalidated !== null)
    out.push(
      `An invalidation covered it ${ms(invalidated.afterUnmapNs)} after the unmap (line ${invalidated.line}), so that nothing cached translated it any more.`,
    );
  for (const { policy, hidden, why } of lazy) {
    const word =
      hidden === 'yes'
        ? 'would have let it through unseen, had the translation still been cached'
        : hidden === 'no'
          ? 'would have blocked it as well'
          : 'may have let it through unseen, had the translation still been cached; that depends on what the queue did';
    out.push(`Under the lazy policy ${policy} the IOMMU ${word}: ${why}.`);
  }
  return out;
}
