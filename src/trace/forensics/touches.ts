/**
 * Who touched an address last: for each page the newest map and the unmap that ended it, of each device as its driver asked for it, and
 * of page tables, whose lines name no device.
 *
 * Bounded: a page's entry is dropped when MOST_PAGES others were touched since, a long mapping's when MOST_LONG others were made. How
 * many that were is counted, so that "never mapped" is not said of what was forgotten.
 */
import { ABSENT } from '../event.ts';

/** Page entries in all. */
const MOST_PAGES = 1_048_576;
/** Mappings of more pages are kept as one entry, and of these so many. */
const LONG_PAGES = 64;
const MOST_LONG = 16_384;

/** One mapping and its end. */
export interface Touch {
  /** Of the event that mapped: which, when, where in the recording, on which CPU. */
  mapKind: number;
  mapNs: number;
  mapLine: number;
  mapIndex: number;
  /** Of the one that unmapped; `unmapLine` ABSENT: none yet. */
  unmapKind: number;
  unmapNs: number;
  unmapLine: number;
  page: number;
  offset: number;
  lengthBytes: number;
  physicalPage: number;
  physicalOffset: number;
  direction: number;
}

export function pagesOf(offset: number, lengthBytes: number): number {
  return Math.max(1, Math.ceil((Math.max(0, offset) + Math.max(1, lengthBytes)) / 4096));
}

export class Touches {
  /** [device]: [page]: newest. */
  private readonly byDevice = new Map<number, Map<number, Touch>>();
  private readonly long: { device: number; touch: Touch }[] = [];
  private entries = 0;
  forgotten = 0;

  mapped(device: number, touch: Touch): void {
    const pages = pagesOf(touch.offset, touch.lengthBytes);
    if (pages > LONG_PAGES) {
      this.long.push({ device, touch });
      if (this.long.length > MOST_LONG) {
        this.long.shift();
        this.forgotten++;
      }
      return;
    }
    let of = this.byDevice.get(device);
    if (of === undefined) this.byDevice.set(device, (of = new Map()));
    for (let page = touch.page; page < touch.page + pages; page++) {
      // Behind all others: what was touched longest ago comes first.
      if (!of.delete(page)) this.entries++;
      of.set(page, touch);
    }
    while (this.entries > MOST_PAGES) this.dropOldest();
  }

  private dropOldest(): void {
    for (const of of this.byDevice.values())
      for (const page of of.keys()) {
        of.delete(page);
        this.entries--;
        this.forgotten++;
        return;
      }
  }

  /** The newest mapping that covers a page; ended or not. */
  at(device: number, page: number): Touch | null {
    const short = this.byDevice.get(device)?.get(page) ?? null;
    for (let i = this.long.length - 1; i >= 0; i--) {
      const { device: of, touch } = this.long[i]!;
      if (of !== device || page < touch.page || page >= touch.page + pagesOf(touch.offset, touch.lengthBytes)) continue;
      return short !== null && short.mapIndex > touch.mapIndex ? short : touch;
    }
    return short;
  }

  /** Ends what covers [first, first + pages) and has not ended. @returns whether there was anything */
  unmapped(device: number, first: number, pages: number, kind: number, timeNs: number, line: number): boolean {
    let found = false;
    const end = (touch: Touch | null) => {
      if (touch === null || touch.unmapLine !== ABSENT) return;
      touch.unmapKind = kind;
      touch.unmapNs = timeNs;
      touch.unmapLine = line;
      found = true;
    };
    if (pages <= LONG_PAGES) for (let page = first; page < first + pages; page++) end(this.at(device, page));
    else {
      for (const { device: of, touch } of this.long)
        if (of === device && touch.page >= first && touch.page < first + pages) end(touch);
      const of = this.byDevice.get(device);
      if (of !== undefined)
        if (of.size < pages) {
          for (const [page, touch] of of) if (page >= first && page < first + pages) end(touch);
        } else for (let page = first; page < first + pages; page++) end(of.get(page) ?? null);
    }
    return found;
  }
}
