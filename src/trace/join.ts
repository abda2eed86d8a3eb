/**
 * Which events are one call, and which map an unmap ends. The kernel tells of one `dma_map_sg` in several lines, and no line names
 * another; what belongs together is told by place and order:
 *
 * - `iommu:map` comes right before the `dma_*` line of the same call, on the same CPU and of the same task, and there is one for each
 *   physically contiguous stretch. `iommu:unmap` comes before `dma_unmap_*`, but after `dma_free`.
 * - An unmap ends the newest open map of the same device at the same address. `dma_unmap_sg` has no address and ends the map with the
 *   same list of physical addresses; failing that, the one whose address the `iommu:unmap` right before it has.
 * - `iommu:map` and `iommu:unmap` name no device, and two domains may have the same address in use. Of several the one is taken whose
 *   call has the device of the `dma_free` before it, else of the same task, else the newest; a `dma_unmap` that comes after it and
 *   names another device puts it right for what follows, not for the event itself. `ambiguous` counts those guesses.
 * - `iommu:unmap` may end several maps (its partner is the first of them), or the beginning of one, which stays open then with the rest. An
 *   unmap that begins within an open map ends nothing.
 *
 * An event names earlier ones only, so that nothing is held back. `openMaps` and `unmatchedUnmaps` count calls: a map whose `dma_*` line
 * is there counts once and not by its `iommu:map` lines. What is remembered grows with what is live, to a bound (`live-table.ts`).
 */
import { ABSENT, EVENT_KINDS, type EventSink, type RecordedEvent } from './event.ts';
import { LiveTable, NONE } from './live-table.ts';
import type { RangeList } from './range-list.ts';

const PAGE_BYTES = 4096;
/** Pages without a map within an unmap that are looked at: 2 MiB. */
const LONGEST_HOLE = 512;
/** `iommu:map` lines of one call that are remembered one by one. */
const MOST_OF_CALL = 64;

/** What the last lines of one CPU were, as far as a next one may belong to them. */
class CpuState {
  /** `iommu:map` of contiguous IOVAs, whose `dma_*` line has not come: index of the first event, ABSENT for none. */
  mapFirst = ABSENT;
  mapPid = ABSENT;
  mapStart = 0;
  mapEnd = 0;
  /** Slots of the live ranges, and the events that made them. */
  readonly mapSlots = new Int32Array(MOST_OF_CALL);
  readonly mapEvents = new Float64Array(MOST_OF_CALL);
  readonly mapPages = new Float64Array(MOST_OF_CALL);
  mapCount = 0;
  /** `iommu:unmap` whose `dma_unmap_*` has not come. */
  unmapEvent = ABSENT;
  unmapPid = ABSENT;
  unmapPage = 0;
  unmapUnmatched = false;
  /** What it ended: for a device that turns out to be the wrong one. */
  endedDevice = ABSENT;
  endedEvent = ABSENT;
  endedLength = 0;
  endedPid = ABSENT;
  /** `dma_free` whose `iommu:unmap` has not come. */
  freeEvent = ABSENT;
  freePid = ABSENT;
  freePage = 0;
  freeDevice = ABSENT;
}

export class Joiner {
  private readonly sink: EventSink;
  /** Events that went to the sink, segments included: the index of the next. */
  events = 0;
  unmatchedUnmaps = 0;
  /** `iommu:unmap` that might have ended the map of another domain instead. */
  ambiguous = 0;
  /** By page of the IOVA, device and offset (without an IOMMU mappings share pages); `mark` is the hash of a scatter list, else 0. */
  private readonly mapped = new LiveTable();
  /** Scatter lists again, by hash and device; `extent` is the page of the IOVA. */
  private readonly lists = new LiveTable();
  /** By page of the IOVA; `extent` counts pages, `mark` is the device of its call, ABSENT when no `dma_*` line claimed it. */
  private readonly translated = new LiveTable();
  /** Of `translated`, those without a call. */
  private bare = 0;
  /** I/O under way, by sector and device. */
  private readonly requests = new LiveTable();
  /** Buffers by number. */
  private readonly buffers = new LiveTable();
  /** [cpu + 1]. */
  private readonly cpus: (CpuState | undefined)[] = [];

  constructor(sink: EventSink) {
    this.sink = sink;
  }

  get openMaps(): number {
    return this.mapped.live + this.bare;
  }

  /** Maps that are not remembered, as too many are open. */
  get forgotten(): number {
    return this.mapped.refused + this.translated.refused + this.requests.refused + this.buffers.refused;
  }

  /** Fills in `partner` and `call`, and hands the event and its ranges to the sink. */
  event(event: RecordedEvent, ranges: RangeList): void {
    switch (event.kind) {
      case EVENT_KINDS.map:
      case EVENT_KINDS.alloc:
        this.map(event, 0);
        break;
      case EVENT_KINDS.unmap:
        this.unmap(event);
        break;
      case EVENT_KINDS.iommuMap:
        this.iommuMap(event);
        break;
      case EVENT_KINDS.iommuUnmap:
        this.iommuUnmap(event);
        break;
      case EVENT_KINDS.mapSg:
        this.map(event, hashOf(ranges));
        break;
      case EVENT_KINDS.unmapSg:
        this.unmapSg(event, ranges);
        break;
      case EVENT_KINDS.free:
        this.freed(event);
        break;
      case EVENT_KINDS.ioStart:
        this.requests.add(event.detail, event.device, event.lengthBytes, this.events, ABSENT, 0);
        break;
      case EVENT_KINDS.ioEnd:
        event.partner = take(this.requests, event.detail, event.device, event.lengthBytes);
        break;
      case EVENT_KINDS.buffer:
        this.buffers.add(event.detail, 0, event.lengthBytes, this.events, ABSENT, 0);
        break;
      case EVENT_KINDS.bufferFree:
        event.partner = take(this.buffers, event.detail, 0, ABSENT);
        break;
      case EVENT_KINDS.lost:
        this.cpus[event.cpu + 1] = undefined;
    }
    this.pass(event, ranges);
  }

  private pass(event: RecordedEvent, ranges: RangeList): void {
    const { sink } = this;
    sink.event(event);
    this.events++;
    const { count } = ranges;
    if (count === 0) return;
    event.kind = EVENT_KINDS.segment;
    event.detail = ABSENT;
    event.partner = ABSENT;
    event.call = ABSENT;
    for (let i = 0; i < count; i++) {
      event.iovaPage = ranges.iovaPage[i]!;
      event.iovaOffset = ranges.iovaOffset[i]!;
      event.lengthBytes = ranges.lengthBytes[i]!;
      event.physicalPage = ranges.physicalPage[i]!;
      event.physicalOffset = ranges.physicalOffset[i]!;
      sink.event(event);
      this.events++;
    }
  }

  private cpu(cpu: number): CpuState {
    return (this.cpus[cpu + 1] ??= new CpuState());
  }

  private map(event: RecordedEvent, listHash: number): void {
    const { iovaPage, iovaOffset, device, lengthBytes, pid } = event;
    this.claim(event);
    if (iovaPage === ABSENT) return;
    const key = keyOf(device, iovaOffset);
    if (this.mapped.add(iovaPage, key, lengthBytes, this.events, pid, listHash) === NONE) return;
    if (listHash !== 0) this.lists.add(listHash, key, iovaPage, this.events, pid, 0);
  }

  /** The `iommu:map` lines right before it, when they are where it is. */
  private claim(event: RecordedEvent): void {
    const state = this.cpu(event.cpu);
    if (state.mapFirst === ABSENT) return;
    const { iovaPage, iovaOffset, lengthBytes, pid, device } = event;
    const end = iovaPage + Math.ceil((iovaOffset + lengthBytes) / PAGE_BYTES);
    if (state.mapPid === pid && iovaPage >= state.mapStart && end <= state.mapEnd) {
      if (iovaPage === state.mapStart) event.call = state.mapFirst;
      for (let i = 0; i < state.mapCount; i++) {
        const page = state.mapPages[i]!;
        if (page < iovaPage || page >= end) continue;
        if (event.call === ABSENT) event.call = state.mapEvents[i]!;
        const slot = state.mapSlots[i]!;
        // It may have ended meanwhile, on another CPU.
        if (this.translated.event[slot] !== state.mapEvents[i] || this.translated.mark[slot] !== ABSENT) continue;
        this.translated.mark[slot] = device;
        this.bare--;
      }
    }
    state.mapFirst = ABSENT;
  }

  private iommuMap(event: RecordedEvent): void {
    const { iovaPage, lengthBytes, pid } = event;
    const pages = Math.ceil(lengthBytes / PAGE_BYTES);
    if (pages === 0) return;
    const slot = this.translated.add(iovaPage, 0, pages, this.events, pid, ABSENT);
    if (slot === NONE) return;
    this.bare++;
    const state = this.cpu(event.cpu);
    if (state.mapFirst === ABSENT || state.mapPid !== pid || state.mapEnd !== iovaPage) {
      state.mapFirst = this.events;
      state.mapPid = pid;
      state.mapStart = iovaPage;
      state.mapCount = 0;
    }
    state.mapEnd = iovaPage + pages;
    if (state.mapCount === MOST_OF_CALL) return;
    state.mapSlots[state.mapCount] = slot;
    state.mapEvents[state.mapCount] = this.events;
    state.mapPages[state.mapCount] = iovaPage;
    state.mapCount++;
  }

  private iommuUnmap(event: RecordedEvent): void {
    const { iovaPage, pid } = event;
    const state = this.cpu(event.cpu);
    const isFree = state.freeEvent !== ABSENT && state.freePid === pid && state.freePage === iovaPage;
    state.endedEvent = ABSENT;
    event.partner = this.endRange(event, isFree ? state.freeDevice : ABSENT, state);
    if (isFree) {
      // Whether it is matched has been counted with the `dma_free`.
      event.call = state.freeEvent;
      state.unmapEvent = ABSENT;
    } else {
      state.unmapEvent = this.events;
      state.unmapPid = pid;
      state.unmapPage = iovaPage;
      state.unmapUnmatched = event.partner === ABSENT;
      if (state.unmapUnmatched) this.unmatchedUnmaps++;
    }
    state.freeEvent = ABSENT;
  }

  /** Ends what is translated in a range. @returns the event of the first of it, or ABSENT */
  private endRange({ iovaPage, lengthBytes, pid }: RecordedEvent, device: number, state: CpuState): number {
    const { translated } = this;
    const end = iovaPage + Math.ceil(lengthBytes / PAGE_BYTES);
    let first = ABSENT;
    let missing = 0;
    for (let page = iovaPage; page < end; ) {
      const slot = this.translationAt(page, end - page, device, pid);
      if (slot === NONE) {
        page++;
        if (++missing > LONGEST_HOLE) break;
        continue;
      }
      const pages = translated.extent[slot]!;
      if (first === ABSENT) {
        first = translated.event[slot]!;
        state.endedDevice = translated.mark[slot]!;
        state.endedEvent = first;
        state.endedLength = pages;
        state.endedPid = translated.pid[slot]!;
      }
      if (page + pages > end) {
        translated.moveTo(slot, end, page + pages - end);
        break;
      }
      if (translated.mark[slot] === ABSENT) this.bare--;
      translated.remove(slot);
      page += pages;
    }
    return first;
  }

  /** Which of the translations that begin at a page. @returns its slot, or NONE */
  private translationAt(page: number, pages: number, device: number, pid: number): number {
    const { translated } = this;
    let slot = translated.findNext(page, 0, NONE);
    if (slot === NONE) return NONE;
    let best = slot;
    let bestWorth = -1;
    let count = 0;
    for (; slot !== NONE && count < MOST_OF_CALL; slot = translated.findNext(page, 0, slot)) {
      count++;
      let worth = 0;
      if (device !== ABSENT && translated.mark[slot] === device) worth += 4;
      if (translated.pid[slot] === pid) worth += 2;
      if (translated.extent[slot] === pages) worth += 1;
      if (worth <= bestWorth) continue;
      bestWorth = worth;
      best = slot;
    }
    if (count > 1 && bestWorth < 4) this.ambiguous++;
    return best;
  }

  private unmap(event: RecordedEvent): void {
    event.partner = this.endMapped(event);
    if (event.partner === ABSENT) this.unmatchedUnmaps++;
    this.joinUnmap(event, event.iovaPage);
  }

  /** The `iommu:unmap` right before it, when it is where it is. */
  private joinUnmap(event: RecordedEvent, page: number): void {
    const state = this.cpu(event.cpu);
    if (state.unmapEvent === ABSENT) return;
    if (state.unmapPid === event.pid && state.unmapPage === page) {
      event.call = state.unmapEvent;
      if (state.unmapUnmatched) this.unmatchedUnmaps--;
      if (state.endedEvent !== ABSENT && state.endedDevice !== event.device) this.exchange(state, page, event.device);
    }
    state.unmapEvent = ABSENT;
  }

  /** The translation of another device was ended; the one of this device takes its place. */
  private exchange({ endedDevice, endedEvent, endedLength, endedPid }: CpuState, page: number, device: number): void {
    const { translated } = this;
    for (let slot = translated.findNext(page, 0, NONE); slot !== NONE; slot = translated.findNext(page, 0, slot)) {
      if (translated.mark[slot] !== device) continue;
      if (endedDevice === ABSENT) this.bare++;
      translated.mark[slot] = endedDevice;
      translated.event[slot] = endedEvent;
      translated.extent[slot] = endedLength;
      translated.pid[slot] = endedPid;
      return;
    }
  }

  private unmapSg(event: RecordedEvent, ranges: RangeList): void {
    const { lists, mapped } = this;
    const state = this.cpu(event.cpu);
    // The first range keeps its offset in the IOVA.
    const key = keyOf(event.device, Math.max(0, event.physicalOffset));
    const list = lists.findNext(hashOf(ranges), key, NONE);
    const isAfterUnmap = state.unmapEvent !== ABSENT && state.unmapPid === event.pid;
    let slot = NONE;
    if (list !== NONE) slot = this.withEvent(lists.extent[list]!, key, lists.event[list]!);
    else if (isAfterUnmap) slot = mapped.findNext(state.unmapPage, key, NONE);
    if (slot === NONE || mapped.mark[slot] === 0) {
      this.unmatchedUnmaps++;
      // Without a partner there is no address; on the same CPU and of the same task it is the same call all the same.
      this.joinUnmap(event, state.unmapPage);
      return;
    }
    const page = mapped.page[slot]!;
    event.partner = mapped.event[slot]!;
    this.end(slot);
    this.joinUnmap(event, page);
  }

  private freed(event: RecordedEvent): void {
    event.partner = this.endMapped(event);
    if (event.partner === ABSENT) this.unmatchedUnmaps++;
    const state = this.cpu(event.cpu);
    state.freeEvent = this.events;
    state.freePid = event.pid;
    state.freePage = event.iovaPage;
    state.freeDevice = event.device;
  }

  private endMapped({ iovaPage, iovaOffset, device, lengthBytes }: RecordedEvent): number {
    const { mapped } = this;
    const slot = mapped.find(iovaPage, keyOf(device, iovaOffset), lengthBytes);
    if (slot === NONE) return ABSENT;
    const event = mapped.event[slot]!;
    this.end(slot);
    return event;
  }

  /** Takes a map out of `mapped`, and out of `lists` when it is there. */
  private end(slot: number): void {
    const { mapped, lists } = this;
    const listHash = mapped.mark[slot]!;
    if (listHash !== 0) {
      const key = mapped.key[slot]!;
      const event = mapped.event[slot]!;
      let list = lists.findNext(listHash, key, NONE);
      while (list !== NONE && lists.event[list] !== event) list = lists.findNext(listHash, key, list);
      if (list !== NONE) lists.remove(list);
    }
    mapped.remove(slot);
  }

  /** The open map that this event made. @returns its slot, or NONE */
  private withEvent(page: number, key: number, event: number): number {
    const { mapped } = this;
    let slot = mapped.findNext(page, key, NONE);
    while (slot !== NONE && mapped.event[slot] !== event) slot = mapped.findNext(page, key, slot);
    return slot;
  }
}

/** A device and an offset in a page as one number: there are no more than 4096 devices, and as many offsets. */
function keyOf(device: number, offset: number): number {
  return device * PAGE_BYTES + offset;
}

/** Takes out the newest of a key. @returns its event, or ABSENT */
function take(table: LiveTable, page: number, key: number, lengthBytes: number): number {
  const slot = table.find(page, key, lengthBytes);
  if (slot === NONE) return ABSENT;
  const event = table.event[slot]!;
  table.remove(slot);
  return event;
}

/** Of the physical addresses of a list, in their order; never 0. */
function hashOf({ count, physicalPage, physicalOffset }: RangeList): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < count; i++) {
    const page = physicalPage[i]!;
    if (page === ABSENT) continue;
    hash = Math.imul(hash ^ page ^ (page / 0x1_0000_0000), 0x01000193);
    hash = Math.imul(hash ^ physicalOffset[i]!, 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash | 1;
}
