/**
 * The bounce pool: slots of 2 KiB in one stretch of memory, cut into areas with a lock, an index and a count each.
 *
 * A request takes contiguous slots of one segment of 128 (256 KiB at most), found next-fit from the area's index; one of a page or
 * more starts on a page. Each free slot knows how many free ones follow it in its segment, so that one look tells whether a request
 * fits. A CPU begins with its own area and goes through the others when that has no room.
 *
 * Source: Linux `kernel/dma/swiotlb.c`: slots and segments since 2.6, areas since 6.0 (2022).
 * Departs: alignment that a device asks for beyond a page (`min_align_mask`) and pools that grow on demand (6.6) are not modelled.
 * Pathology: it fills. Free slots that are scattered or lie in another segment do not help a long request, so it fails with slots
 * left; and a search that fails has looked at every slot of every area.
 */
import type { Costs } from '../../meter/cost-profile.ts';
import type { Counters } from '../../meter/counters.ts';
import { ROW, type Work } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { Lock } from '../../sim/lock.ts';

export const SLOT_BYTES = 2048;
export const SEGMENT_SLOTS = 128;
export const LONGEST_BYTES = SLOT_BYTES * SEGMENT_SLOTS;
export const NO_SLOT = -1;

export class BouncePool {
  readonly firstFrame: number;
  readonly slots: number;
  readonly areas: number;
  private readonly areaSlots: number;
  /** [slot]: free slots from here on in its segment, 0 to 128; 0: in use. */
  private readonly run: Uint8Array;
  /** [slot]: slots of the request that begins here, 0 none. */
  private readonly taken: Uint8Array;
  /** [area]: where its next search begins, in slots from its start; slots in use. */
  private readonly index: Int32Array;
  private readonly areaUsed: Int32Array;
  used = 0;
  /** High-water mark: the most that were in use at one time. */
  peak = 0;
  readonly locks: Lock[] = [];
  /** Of the last request that found no room, bytes. */
  refusedBytes = 0;
  /** Told when a request finds no room and the one before it did. */
  onFull: () => void = () => {};
  private full = false;
  private readonly work: Work;
  private readonly costs: Costs;
  private readonly counters: Counters;

  /**
   * @param slots a multiple of 128
   * @param areas wanted; a power of two that leaves each a segment is made of it
   */
  constructor(
    parts: { work: Work; costs: Costs; counters: Counters },
    firstFrame: number,
    slots: number,
    areas: number,
  ) {
    this.work = parts.work;
    this.costs = parts.costs;
    this.counters = parts.counters;
    this.firstFrame = firstFrame;
    this.slots = slots;
    let count = 1;
    while (count < areas) count *= 2;
    // An area is made of whole segments, all of one size.
    while (count > 1 && slots % (count * SEGMENT_SLOTS) !== 0) count /= 2;
    this.areas = count;
    this.areaSlots = slots / count;
    this.run = new Uint8Array(slots);
    this.taken = new Uint8Array(slots);
    for (let slot = 0; slot < slots; slot++) this.run[slot] = SEGMENT_SLOTS - (slot % SEGMENT_SLOTS);
    this.index = new Int32Array(count);
    this.areaUsed = new Int32Array(count);
    for (let area = 0; area < count; area++) this.locks.push(new Lock(`bounce-area-${area}`));
  }

  get frames(): number {
    return (this.slots * SLOT_BYTES) / 4096;
  }

  pageOf(slot: number): number {
    return this.firstFrame + (slot >>> 1);
  }

  offsetOf(slot: number): number {
    return (slot & 1) * SLOT_BYTES;
  }

  /**
   * Takes slots for a request; books the search.
   * @param aligned begins on a page however short it is
   * @returns the first, or NO_SLOT
   */
  take(lengthBytes: number, aligned: boolean): number {
    const wanted = Math.ceil(lengthBytes / SLOT_BYTES);
    const stride = aligned || lengthBytes >= 4096 ? 2 : 1;
    const start = this.work.cpu & (this.areas - 1);
    for (let i = 0; i < this.areas; i++) {
      const slot = this.search((start + i) & (this.areas - 1), wanted, stride);
      if (slot === NO_SLOT) continue;
      this.full = false;
      return slot;
    }
    this.counters.bounceFailures++;
    this.refusedBytes = lengthBytes;
    if (!this.full) this.onFull();
    this.full = true;
    return NO_SLOT;
  }

  private search(area: number, wanted: number, stride: number): number {
    const { run, areaSlots, work, costs, counters } = this;
    const base = area * areaSlots;
    const lock = this.locks[area]!;
    let index = this.index[area]!;
    let found = NO_SLOT;
    let looked = 0;
    // An area that has fewer free slots than wanted is not searched at all.
    if (wanted <= areaSlots - this.areaUsed[area]!)
      for (let checked = 0; checked < areaSlots; ) {
        looked++;
        if (stride === 2 && (index & 1) === 1) {
          checked++;
          index++;
        } else if (run[base + index]! >= wanted) {
          found = base + index;
          break;
        } else {
          checked += stride;
          index += stride;
        }
        if (index >= areaSlots) index = 0;
      }
    work.acquire(lock);
    counters.bounceSlotsScanned += looked;
    work.add(ROW.iovaAlloc, costs.slotAllocFixed + looked * costs.slotAllocStep);
    if (found !== NO_SLOT) this.occupy(area, found, wanted);
    work.release(lock);
    return found;
  }

  private occupy(area: number, slot: number, count: number): void {
    const { run } = this;
    for (let at = slot; at < slot + count; at++) run[at] = 0;
    this.taken[slot] = count;
    this.countBack(slot, 0);
    const next = slot - area * this.areaSlots + count;
    this.index[area] = next >= this.areaSlots ? 0 : next;
    this.areaUsed[area]! += count;
    this.used += count;
    if (this.used > this.peak) this.peak = this.used;
  }

  /** Free slots before one, back to the start of its segment or to one in use, are told how many follow them now. */
  private countBack(slot: number, following: number): void {
    const { run } = this;
    let count = following;
    for (let at = slot; at % SEGMENT_SLOTS !== 0 && run[at - 1]! > 0; at--) run[at - 1] = ++count;
  }

  /** Gives a request's slots back; books it. */
  give(slot: number): void {
    const { work, costs } = this;
    const lock = this.locks[Math.floor(slot / this.areaSlots)]!;
    work.acquire(lock);
    work.add(ROW.iovaFree, costs.slotFree);
    this.release(slot);
    work.release(lock);
  }

  /** As `give`, for nothing: the whole domain goes. */
  release(slot: number): void {
    const { run } = this;
    const count = this.taken[slot]!;
    const end = slot + count;
    let following = end % SEGMENT_SLOTS === 0 ? 0 : run[end]!;
    for (let at = end - 1; at >= slot; at--) run[at] = ++following;
    this.countBack(slot, following);
    this.taken[slot] = 0;
    this.areaUsed[Math.floor(slot / this.areaSlots)]! -= count;
    this.used -= count;
  }

  /** What the kernel logs, and what everybody looks for. */
  get complaint(): string {
    const { refusedBytes, slots, used } = this;
    const wanted = Math.ceil(refusedBytes / SLOT_BYTES);
    return (
      `swiotlb buffer is full (sz: ${refusedBytes} bytes), total ${slots} (slots), used ${used} (slots)` +
      (wanted > SEGMENT_SLOTS ? `; ${wanted} slots are more than a segment has, ${SEGMENT_SLOTS}` : '')
    );
  }

  gauges(): Record<string, number> {
    return { bounceSlots: this.slots, bounceUsedSlots: this.used, bounceUsedSlotsPeak: this.peak };
  }

  inspect(): Record<string, unknown> {
    return {
      slotBytes: SLOT_BYTES,
      slots: this.slots,
      usedSlots: this.used,
      usedSlotsPeak: this.peak,
      areas: Array.from(this.areaUsed, (usedSlots, area) => ({
        slots: this.areaSlots,
        usedSlots,
        nextSlot: this.index[area]!,
      })),
    };
  }

  digest(sink: DigestSink): void {
    sink.number(this.firstFrame);
    sink.column(this.taken, this.slots);
    sink.column(this.index, this.areas);
    sink.number(this.peak);
  }
}
