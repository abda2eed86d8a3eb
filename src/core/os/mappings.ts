/**
 * Live DMA-API mappings, in columns. A handle is a slot and its generation; a slot is free again once the mapping is unmapped.
 */

import type { DigestSink } from '../sim/digest-sink.ts';
import { growFloat64, growInt32, growUint8 } from '../sim/growable.ts';

export const MAP_KIND = { single: 0, page: 1, sg: 2, coherent: 3 } as const;
export const mapKinds = ['single', 'page', 'sg', 'coherent'] as const;
export const directions = ['to-device', 'from-device', 'bidirectional'] as const;
export const NO_MAPPING = -1;
/** No copy: the device sees the driver's own memory. */
const NONE = -1;
export const NO_SOURCE = NONE;
export const NO_HOLD = -1;

/** A segment of a list whose memory the device sees a copy of. */
export interface CopiedSegment {
  /** The driver's memory. */
  frame: number;
  offset: number;
  lengthBytes: number;
  /** Where the device sees it. */
  page: number;
  iovaOffset: number;
  /** What the mode holds for it, in numbers of its own; NO_HOLD: the device sees the driver's memory after all. */
  held: number;
}

/** A physically contiguous stretch of a scatter list that reaches memory in more than one piece. */
export interface MappedRun {
  /** First IOVA page, number of pages, first frame. */
  page: number;
  pages: number;
  frame: number;
  /** Mapped bytes: from `offset` in the first page on. */
  offset: number;
  lengthBytes: number;
}

/** What the driver sees of a scatter list: `dma_address` and `dma_len`. */
export interface OutputSegment {
  page: number;
  offset: number;
  lengthBytes: number;
}

export class Mappings {
  private capacity = 1024;
  generation = new Int32Array(this.capacity);
  /** [slot]: 1 while live. */
  live = new Uint8Array(this.capacity);
  domain = new Int32Array(this.capacity);
  device = new Int32Array(this.capacity);
  /** [slot]: index into `mapKinds`, `directions`. */
  kind = new Uint8Array(this.capacity);
  direction = new Uint8Array(this.capacity);
  /** [slot]: READ | WRITE bits the device got. */
  permission = new Uint8Array(this.capacity);
  /** [slot]: first IOVA page, pages, byte offset in the first page, mapped bytes. */
  page = new Float64Array(this.capacity);
  pages = new Int32Array(this.capacity);
  offset = new Int32Array(this.capacity);
  lengthBytes = new Float64Array(this.capacity);
  /** [slot]: first frame of a mapping in one run; -1 when `runs` has several. */
  frame = new Float64Array(this.capacity);
  /** [slot]: 1 once the mapped buffer was freed under it: only truth ends then, the handle stays. */
  freed = new Uint8Array(this.capacity);
  /** [slot]: 1 for a coherent mapping, whose frames came with it and go with it. */
  ownsFrames = new Uint8Array(this.capacity);
  /** [slot]: workload whose driver made it and unmaps it; -1 none, an operation did. */
  workload = new Int32Array(this.capacity);
  mappedNs = new Float64Array(this.capacity);
  /** [slot]: first frame and byte of the driver's memory, where the device sees a copy of it; NONE. */
  source = new Float64Array(this.capacity).fill(NONE);
  sourceOffset = new Int32Array(this.capacity);
  /** [slot]: what the mode holds for the copy, in numbers of its own. */
  held = new Int32Array(this.capacity);
  /** [slot]: 1 when the whole pages belong to the mapping: nothing else is in them. */
  padded = new Uint8Array(this.capacity);
  /** [slot]: the segments of a list that is copied, or mapped one by one; in the driver's order. */
  readonly segments: (CopiedSegment[] | null)[] = [];
  /** Live mappings whose memory the device sees a copy of: those do not show in the counts of frames. */
  copied = 0;
  readonly runs: (MappedRun[] | null)[] = [];
  readonly outputs: (OutputSegment[] | null)[] = [];
  private freeSlots = new Int32Array(this.capacity);
  private freeCount = 0;
  /** Slots ever used. */
  used = 0;
  count = 0;
  countPeak = 0;
  /** Of those, the ones whose buffer was freed under them. */
  freedCount = 0;
  bytes = 0;

  /** A slot whose columns the caller fills; those that hardly any mapping has are as in a mapping without: `remove` leaves them so. */
  create(): number {
    let slot: number;
    if (this.freeCount > 0) slot = this.freeSlots[--this.freeCount]!;
    else {
      slot = this.used++;
      if (slot === this.capacity) this.grow();
    }
    this.live[slot] = 1;
    this.count++;
    if (this.count > this.countPeak) this.countPeak = this.count;
    return slot;
  }

  remove(slot: number): void {
    this.live[slot] = 0;
    this.generation[slot] = (this.generation[slot]! + 1) & 0x7fffffff;
    if (this.frame[slot] === -1) {
      this.runs[slot] = null;
      this.outputs[slot] = null;
      if (this.segments[slot]) {
        this.segments[slot] = null;
        this.copied--;
      }
    } else if (this.source[slot] !== NONE) {
      this.source[slot] = NONE;
      this.copied--;
    }
    this.ownsFrames[slot] = 0;
    this.padded[slot] = 0;
    this.count--;
    if (this.freed[slot] === 1) {
      this.freed[slot] = 0;
      this.freedCount--;
    }
    if (this.freeCount === this.freeSlots.length) this.freeSlots = growInt32(this.freeSlots, this.freeCount * 2);
    this.freeSlots[this.freeCount++] = slot;
  }

  /** The device sees a copy of the driver's memory. */
  setSource(slot: number, frame: number, offset: number, held: number): void {
    this.source[slot] = frame;
    this.sourceOffset[slot] = offset;
    this.held[slot] = held;
    this.copied++;
  }

  /** As `setSource`, of a list: what it reaches, what the driver gets, and both beside each other. */
  setSegments(slot: number, segments: CopiedSegment[], frameOf: (segment: CopiedSegment) => number): void {
    this.frame[slot] = -1;
    this.runs[slot] = segments
      .map((segment) => ({
        page: segment.page,
        pages: Math.ceil((segment.iovaOffset + segment.lengthBytes) / 4096),
        frame: frameOf(segment),
        offset: segment.iovaOffset,
        lengthBytes: segment.lengthBytes,
      }))
      .sort((a, b) => a.page - b.page || a.offset - b.offset);
    this.outputs[slot] = segments.map(({ page, iovaOffset, lengthBytes }) => ({
      page,
      offset: iovaOffset,
      lengthBytes,
    }));
    this.segments[slot] = segments;
    this.copied++;
  }

  private grow(): void {
    const length = (this.capacity *= 2);
    this.generation = growInt32(this.generation, length);
    this.live = growUint8(this.live, length);
    this.domain = growInt32(this.domain, length);
    this.device = growInt32(this.device, length);
    this.kind = growUint8(this.kind, length);
    this.direction = growUint8(this.direction, length);
    this.permission = growUint8(this.permission, length);
    this.page = growFloat64(this.page, length);
    this.pages = growInt32(this.pages, length);
    this.offset = growInt32(this.offset, length);
    this.lengthBytes = growFloat64(this.lengthBytes, length);
    this.frame = growFloat64(this.frame, length);
    this.freed = growUint8(this.freed, length);
    this.ownsFrames = growUint8(this.ownsFrames, length);
    this.workload = growInt32(this.workload, length);
    this.mappedNs = growFloat64(this.mappedNs, length);
    this.source = growFloat64(this.source, length).fill(NONE, length / 2);
    this.sourceOffset = growInt32(this.sourceOffset, length);
    this.held = growInt32(this.held, length);
    this.padded = growUint8(this.padded, length);
  }

  handle(slot: number): string {
    return `map_${slot}_${this.generation[slot]}`;
  }

  /** @returns the slot of a live handle, or NO_MAPPING */
  find(handle: string): number {
    if (!handle.startsWith('map_')) return NO_MAPPING;
    const middle = handle.indexOf('_', 4);
    if (middle < 0) return NO_MAPPING;
    const slot = Number(handle.slice(4, middle));
    if (!(slot >= 0 && slot < this.used) || this.live[slot] !== 1) return NO_MAPPING;
    return this.handle(slot) === handle ? slot : NO_MAPPING;
  }

  /** Frame that the mapping reaches at one of its IOVA pages. */
  frameAt(slot: number, page: number): number {
    const first = this.frame[slot]!;
    if (first !== -1) return first + (page - this.page[slot]!);
    const run = this.runAt(slot, page);
    return run.frame + (page - run.page);
  }

  /** The stretch of a scattered mapping that holds one of its IOVA pages. */
  runAt(slot: number, page: number): MappedRun {
    const runs = this.runs[slot]!;
    let low = 0;
    let high = runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (runs[middle]!.page <= page) low = middle;
      else high = middle - 1;
    }
    return runs[low]!;
  }

  /** First mapped byte within one of its IOVA pages, 0 to 4,095. */
  startIn(slot: number, page: number): number {
    if (this.padded[slot] === 1) return 0;
    if (this.frame[slot] !== -1) return page === this.page[slot] ? this.offset[slot]! : 0;
    const run = this.runAt(slot, page);
    return page === run.page ? run.offset : 0;
  }

  /** End of the mapped bytes within one of its IOVA pages, exclusive; 0 when the page only pads the list. */
  endIn(slot: number, page: number): number {
    if (this.padded[slot] === 1) return 4096;
    if (this.frame[slot] !== -1) {
      const left = this.offset[slot]! + this.lengthBytes[slot]! - (page - this.page[slot]!) * 4096;
      return left < 4096 ? left : 4096;
    }
    const run = this.runAt(slot, page);
    if (page >= run.page + run.pages) return 0;
    const left = run.offset + run.lengthBytes - (page - run.page) * 4096;
    return left < 4096 ? left : 4096;
  }

  /** Whether bytes [start, end) of one of its IOVA pages are mapped. Without translation two stretches of a list may share a page. */
  holds(slot: number, page: number, start: number, end: number): boolean {
    if (this.padded[slot] === 1) return true;
    if (start >= this.startIn(slot, page) && end <= this.endIn(slot, page)) return true;
    if (this.frame[slot] !== -1) return false;
    for (const run of this.runs[slot]!) {
      const from = (page - run.page) * 4096 - run.offset;
      if (from + start >= 0 && from + end <= run.lengthBytes) return true;
    }
    return false;
  }

  /** Whether one of its IOVA pages has memory behind it: a scatter list may leave padding pages without. */
  backed(slot: number, page: number): boolean {
    if (this.frame[slot] !== -1) return true;
    const run = this.runAt(slot, page);
    return page < run.page + run.pages;
  }

  digest(sink: DigestSink): void {
    sink.number(this.used);
    sink.column(this.generation, this.used);
    sink.column(this.live, this.used);
    sink.column(this.freeSlots, this.freeCount);
    for (let slot = 0; slot < this.used; slot++) {
      if (this.live[slot] !== 1) continue;
      sink.number(this.domain[slot]!);
      sink.number(this.device[slot]!);
      sink.number(this.page[slot]!);
      sink.number(this.pages[slot]!);
      sink.number(this.offset[slot]!);
      sink.number(this.lengthBytes[slot]!);
      sink.number(this.frame[slot]!);
      sink.number(this.source[slot]!);
      sink.number(this.padded[slot]!);
      if (this.source[slot] !== NONE) {
        sink.number(this.sourceOffset[slot]!);
        sink.number(this.held[slot]!);
      }
      for (const segment of (this.frame[slot] === -1 ? this.segments[slot] : null) ?? []) {
        sink.number(segment.frame);
        sink.number(segment.offset);
        sink.number(segment.lengthBytes);
        sink.number(segment.page);
        sink.number(segment.iovaOffset);
        sink.number(segment.held);
      }
      sink.number(this.kind[slot]! * 64 + this.direction[slot]! * 8 + this.permission[slot]! * 2 + this.freed[slot]!);
      for (const run of this.runs[slot] ?? []) {
        sink.number(run.page);
        sink.number(run.frame);
        sink.number(run.lengthBytes);
      }
    }
    sink.number(this.countPeak);
  }
}
