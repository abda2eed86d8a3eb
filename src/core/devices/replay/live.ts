/**
 * Mappings of a replay: which event of the recording each came from, where the session has it, and what the device is still to do with
 * it. In columns; a slot is free again once the mapping is unmapped and no access of it is on its way.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';
import { growFloat64, growInt32, growUint8 } from '../../sim/growable.ts';
import { MOST_RULES, NO_TIME } from './accesses.ts';

export const NO_SLOT = -1;
const FREE = 0;
const LIVE = 1;
const ENDED = 2;

/** Mappings that have ended and whose addresses are still known: what a recorded fault is about. */
const REMEMBERED = 4096;

export class LiveCalls {
  private capacity = 256;
  /** [slot]: FREE, LIVE or ENDED. */
  state = new Uint8Array(this.capacity);
  /** [slot]: event that mapped it; mapping of the DMA API, -1 where the page table was written directly. */
  event = new Float64Array(this.capacity);
  mapping = new Int32Array(this.capacity);
  /** [slot]: index of the session's device and of its domain, 1 when the device writes. */
  device = new Int32Array(this.capacity);
  domain = new Int32Array(this.capacity);
  write = new Uint8Array(this.capacity);
  /** [slot]: where the session has it, and where the recording had it. */
  page = new Float64Array(this.capacity);
  offset = new Int32Array(this.capacity);
  lengthBytes = new Float64Array(this.capacity);
  pages = new Float64Array(this.capacity);
  recordedPage = new Float64Array(this.capacity);
  /** [slot]: memory of a mapping in one stretch: first frame, frames, 1 for a block of its own. */
  holdFirst = new Float64Array(this.capacity);
  holdCount = new Float64Array(this.capacity);
  holdOwn = new Uint8Array(this.capacity);
  /** [slot]: ps at which the map returned, ps from then to the unmap. */
  begin = new Float64Array(this.capacity);
  interval = new Float64Array(this.capacity);
  /** [slot]: memory of a list as triples, as `hold*`; its pages as triples: page, first mapped byte, end of the mapped bytes. */
  readonly holds: (number[] | null)[] = [];
  readonly stretches: (number[] | null)[] = [];
  /** [slot * MOST_RULES + rule]: ps at which its next access is due, NO_TIME none; the number of that access. */
  at = new Float64Array(this.capacity * MOST_RULES).fill(NO_TIME);
  next = new Float64Array(this.capacity * MOST_RULES);
  /** [slot]: events of it in the queue. */
  armed = new Uint8Array(this.capacity);
  private freeSlots = new Int32Array(this.capacity);
  private freeCount = 0;
  used = 0;
  /** Mapped now. */
  count = 0;
  /** [event that mapped]: slot. */
  private readonly byEvent = new Map<number, number>();
  /** [recorded first page]: slot of the newest mapping there. */
  private readonly byPage = new Map<number, number>();

  // A ring of those that have ended, newest last.
  private readonly endedRecorded = new Float64Array(REMEMBERED);
  private readonly endedPages = new Float64Array(REMEMBERED);
  private readonly endedPage = new Float64Array(REMEMBERED);
  private readonly endedDomain = new Int32Array(REMEMBERED);
  private endedNext = 0;
  private endedCount = 0;

  add(event: number, recordedPage: number): number {
    let slot: number;
    if (this.freeCount > 0) slot = this.freeSlots[--this.freeCount]!;
    else {
      slot = this.used++;
      if (slot === this.capacity) this.grow();
    }
    this.state[slot] = LIVE;
    this.event[slot] = event;
    this.recordedPage[slot] = recordedPage;
    this.holds[slot] = null;
    this.stretches[slot] = null;
    this.armed[slot] = 0;
    this.count++;
    this.byEvent.set(event, slot);
    if (recordedPage >= 0) this.byPage.set(recordedPage, slot);
    return slot;
  }

  /** The slot of what an event mapped and nobody has unmapped since. */
  ofEvent(event: number): number {
    return this.byEvent.get(event) ?? NO_SLOT;
  }

  /** Of the live mapping that covers a recorded page. */
  slotAt(domain: number, recordedPage: number): number {
    const first = this.byPage.get(recordedPage);
    if (first !== undefined && this.domain[first] === domain) return first;
    if (this.covers(this.foundLast, domain, recordedPage)) return this.foundLast;
    for (let slot = 0; slot < this.used; slot++)
      if (this.covers(slot, domain, recordedPage)) return (this.foundLast = slot);
    return NO_SLOT;
  }

  private foundLast = 0;

  private covers(slot: number, domain: number, recordedPage: number): boolean {
    const first = this.recordedPage[slot]!;
    return (
      this.state[slot] === LIVE &&
      this.domain[slot] === domain &&
      first >= 0 &&
      recordedPage >= first &&
      recordedPage < first + this.pages[slot]!
    );
  }

  isLive(slot: number): boolean {
    return this.state[slot] === LIVE;
  }

  /** It is unmapped: its address may be given away again, and what is on its way still finds it here. */
  end(slot: number): void {
    this.state[slot] = ENDED;
    this.count--;
    this.byEvent.delete(this.event[slot]!);
    const recorded = this.recordedPage[slot]!;
    if (recorded >= 0) {
      if (this.byPage.get(recorded) === slot) this.byPage.delete(recorded);
      const at = this.endedNext;
      this.endedRecorded[at] = recorded;
      this.endedPages[at] = this.pages[slot]!;
      this.endedPage[at] = this.page[slot]!;
      this.endedDomain[at] = this.domain[slot]!;
      this.endedNext = (at + 1) % REMEMBERED;
      if (this.endedCount < REMEMBERED) this.endedCount++;
    }
    this.release(slot);
  }

  /** Free again, if it has ended and nothing of it is on its way. */
  release(slot: number): void {
    if (this.state[slot] !== ENDED || this.armed[slot]! > 0) return;
    for (let rule = 0; rule < MOST_RULES; rule++) if (this.at[slot * MOST_RULES + rule] !== NO_TIME) return;
    this.state[slot] = FREE;
    this.holds[slot] = null;
    this.stretches[slot] = null;
    if (this.freeCount === this.freeSlots.length) this.freeSlots = growInt32(this.freeSlots, this.freeCount * 2);
    this.freeSlots[this.freeCount++] = slot;
  }

  /**
   * The session's page for a recorded one: of what is mapped there, else of what was there last.
   * @returns -1 when the replay has never had it
   */
  translate(domain: number, recordedPage: number): number {
    const slot = this.slotAt(domain, recordedPage);
    if (slot !== NO_SLOT) return this.page[slot]! + (recordedPage - this.recordedPage[slot]!);
    for (let n = 1; n <= this.endedCount; n++) {
      const at = (this.endedNext - n + REMEMBERED) % REMEMBERED;
      const first = this.endedRecorded[at]!;
      if (this.endedDomain[at] === domain && recordedPage >= first && recordedPage < first + this.endedPages[at]!)
        return this.endedPage[at]! + (recordedPage - first);
    }
    return -1;
  }

  *live(): Generator<number> {
    for (let slot = 0; slot < this.used; slot++) if (this.state[slot] === LIVE) yield slot;
  }

  rebase(ps: number): void {
    for (let slot = 0; slot < this.used; slot++) {
      this.begin[slot]! -= ps;
      for (let rule = 0; rule < MOST_RULES; rule++) this.at[slot * MOST_RULES + rule]! -= ps;
    }
  }

  private grow(): void {
    const length = (this.capacity *= 2);
    this.state = growUint8(this.state, length);
    this.event = growFloat64(this.event, length);
    this.mapping = growInt32(this.mapping, length);
    this.device = growInt32(this.device, length);
    this.domain = growInt32(this.domain, length);
    this.write = growUint8(this.write, length);
    this.page = growFloat64(this.page, length);
    this.offset = growInt32(this.offset, length);
    this.lengthBytes = growFloat64(this.lengthBytes, length);
    this.pages = growFloat64(this.pages, length);
    this.recordedPage = growFloat64(this.recordedPage, length);
    this.holdFirst = growFloat64(this.holdFirst, length);
    this.holdCount = growFloat64(this.holdCount, length);
    this.holdOwn = growUint8(this.holdOwn, length);
    this.begin = growFloat64(this.begin, length);
    this.interval = growFloat64(this.interval, length);
    this.armed = growUint8(this.armed, length);
    const before = this.at.length;
    this.at = growFloat64(this.at, length * MOST_RULES);
    this.at.fill(NO_TIME, before);
    this.next = growFloat64(this.next, length * MOST_RULES);
  }

  digest(sink: DigestSink): void {
    const { used } = this;
    sink.number(used);
    sink.column(this.state, used);
    sink.column(this.freeSlots, this.freeCount);
    for (let slot = 0; slot < used; slot++) {
      if (this.state[slot] === FREE) continue;
      sink.number(this.event[slot]!);
      sink.number(this.mapping[slot]!);
      sink.number(this.device[slot]!);
      sink.number(this.page[slot]!);
      sink.number(this.pages[slot]!);
      sink.number(this.recordedPage[slot]!);
      sink.number(this.interval[slot]!);
      for (let rule = slot * MOST_RULES; rule < (slot + 1) * MOST_RULES; rule++) {
        sink.number(this.at[rule] === NO_TIME ? -1 : this.at[rule]!);
        sink.number(this.next[rule]!);
      }
    }
    sink.number(this.endedNext);
    sink.column(this.endedRecorded, REMEMBERED);
    sink.column(this.endedPage, REMEMBERED);
  }
}
