/**
 * What is mapped at each moment of a recording, as the calls of the DMA API say; of recordings without any, as the page tables do.
 *
 * Bounded: MOST_LIVE mappings; more are counted and not followed. A mapping is found by device and address; the unmap of a list, which has
 * no address, by the event that it names as its partner.
 */
import type { RecordedEvents } from '../../core/devices/replay/source.ts';
import { ABSENT, EVENT_KINDS } from '../event.ts';
import { hexAddress } from '../export/lines.ts';

/** About 200 bytes each. */
export const MOST_LIVE = 1_000_000;

export interface Mapping {
  device: number;
  kind: number;
  index: number;
  line: number;
  timeNs: number;
  cpu: number;
  page: number;
  offset: number;
  lengthBytes: number;
  direction: number;
  physicalPage: number;
  physicalOffset: number;
  /** Ranges of a list. */
  ranges: { page: number; offset: number; lengthBytes: number }[] | null;
  /** Whether the page table was written for it, where the recording says. */
  written: boolean;
}

export function pagesOf({ offset, lengthBytes }: { offset: number; lengthBytes: number }): number {
  return Math.max(1, Math.ceil((offset + lengthBytes) / 4096));
}

/** Pages of a mapping, of all its ranges. */
export function pageCount(mapping: Mapping): number {
  return mapping.ranges === null ? pagesOf(mapping) : mapping.ranges.reduce((sum, range) => sum + pagesOf(range), 0);
}

export class LiveMappings {
  private readonly events: RecordedEvents;
  /** [device]: [address as page * 4096 + offset, which is below 2^53 for 41 bits of pages; else its text]: newest last. */
  private readonly byAddress = new Map<number, Map<number | string, Mapping[]>>();
  private readonly byIndex = new Map<number, Mapping>();
  refused = 0;

  constructor(events: RecordedEvents) {
    this.events = events;
  }

  get size(): number {
    return this.byIndex.size;
  }

  all(): IterableIterator<Mapping> {
    return this.byIndex.values();
  }

  add(mapping: Mapping): boolean {
    if (this.byIndex.size >= MOST_LIVE) {
      this.refused++;
      return false;
    }
    this.byIndex.set(mapping.index, mapping);
    if (mapping.page === ABSENT) return true;
    const key = keyOf(mapping.page, mapping.offset);
    let of = this.byAddress.get(mapping.device);
    if (of === undefined) this.byAddress.set(mapping.device, (of = new Map()));
    const there = of.get(key);
    if (there === undefined) of.set(key, [mapping]);
    else there.push(mapping);
    return true;
  }

  /** The newest that begins at an address. */
  at(device: number, page: number, offset: number): Mapping | null {
    return this.byAddress.get(device)?.get(keyOf(page, offset))?.at(-1) ?? null;
  }

  ofEvent(index: number): Mapping | null {
    return this.byIndex.get(index) ?? null;
  }

  remove(mapping: Mapping): void {
    this.byIndex.delete(mapping.index);
    const of = this.byAddress.get(mapping.device);
    const key = keyOf(mapping.page, mapping.offset);
    const there = of?.get(key);
    if (there === undefined) return;
    const at = there.indexOf(mapping);
    if (at >= 0) there.splice(at, 1);
    if (there.length === 0) of!.delete(key);
  }

  nameOf(device: number): string {
    return device === ABSENT ? 'some device' : (this.events.devices[device] ?? 'some device');
  }

  /** `0000:3b:00.0 0xfffff000, 2048 bytes from the device`. */
  describe(mapping: Mapping): string {
    const address = mapping.page === ABSENT ? 'a list' : `0x${hexAddress(mapping.page, mapping.offset)}`;
    return `${this.nameOf(mapping.device)} ${address}, ${mapping.lengthBytes} bytes${directionText(mapping.direction)}`;
  }
}

function keyOf(page: number, offset: number): number | string {
  return page < 2 ** 41 ? page * 4096 + Math.max(0, offset) : `${page}+${offset}`;
}

export function directionText(direction: number): string {
  return direction === 1 ? ' to the device' : direction === 2 ? ' from the device' : '';
}

/** Which kind of unmap each kind of map wants. */
export const UNMAP_OF: Readonly<Record<number, number>> = {
  [EVENT_KINDS.map]: EVENT_KINDS.unmap,
  [EVENT_KINDS.mapSg]: EVENT_KINDS.unmapSg,
  [EVENT_KINDS.alloc]: EVENT_KINDS.free,
  [EVENT_KINDS.iommuMap]: EVENT_KINDS.iommuUnmap,
};
