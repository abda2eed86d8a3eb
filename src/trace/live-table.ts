/**
 * What is mapped (or under way) at the moment of a recording, found by two numbers: a chained hash table in columns, which grows with what
 * is live and not with the recording. Several entries may have the same key: two domains, or a line that was lost.
 *
 * Bounded: beyond MOST_LIVE nothing is added, beyond LONGEST_SEARCH entries of a chain nothing is found, so that no recording makes
 * memory or time grow without end.
 */

export const MOST_LIVE = 1 << 20;
const LONGEST_SEARCH = 256;
/** No slot. */
export const NONE = -1;

export class LiveTable {
  live = 0;
  /** Entries that were not added for want of room. */
  refused = 0;
  /** [slot]. */
  page = new Float64Array(64);
  /** Second half of the key: a device and what else tells it, 0 where there is nothing. */
  key = new Int32Array(64);
  /** How long it is, or what else its owner keeps. */
  extent = new Float64Array(64);
  /** Index of the event that made it. */
  event = new Float64Array(64);
  pid = new Int32Array(64);
  /** What its owner keeps beside it: a device, a hash. */
  mark = new Int32Array(64);
  /** [slot]: the next of its chain, or of the free ones. */
  private next = new Int32Array(64);
  /** [hash]: 1 + slot of the newest. */
  private heads = new Int32Array(64);
  private free = NONE;
  private used = 0;

  /** @returns its slot, or NONE when there is no room */
  add(page: number, key: number, extent: number, event: number, pid: number, mark: number): number {
    if (this.live === MOST_LIVE) {
      this.refused++;
      return NONE;
    }
    if (this.free === NONE && this.used === this.page.length) this.grow();
    let slot = this.free;
    if (slot === NONE) slot = this.used++;
    else this.free = this.next[slot]!;
    this.page[slot] = page;
    this.key[slot] = key;
    this.extent[slot] = extent;
    this.event[slot] = event;
    this.pid[slot] = pid;
    this.mark[slot] = mark;
    this.link(slot);
    this.live++;
    return slot;
  }

  /**
   * Among the entries with this key the newest that has the extent, or else the newest of all.
   *
   * @returns its slot, or NONE
   */
  find(page: number, key: number, extent: number): number {
    let best = NONE;
    let left = LONGEST_SEARCH;
    for (let slot = this.heads[this.hash(page, key)]! - 1; slot >= 0 && left > 0; slot = this.next[slot]!, left--) {
      if (this.page[slot] !== page || this.key[slot] !== key) continue;
      if (this.extent[slot] === extent) return slot;
      if (best === NONE) best = slot;
    }
    return best;
  }

  /** The next of the same key after `slot`, older. @param after NONE: the newest */
  findNext(page: number, key: number, after: number): number {
    let slot = after === NONE ? this.heads[this.hash(page, key)]! - 1 : this.next[after]!;
    for (let left = LONGEST_SEARCH; slot >= 0 && left > 0; slot = this.next[slot]!, left--)
      if (this.page[slot] === page && this.key[slot] === key) return slot;
    return NONE;
  }

  remove(slot: number): void {
    this.unlink(slot);
    this.next[slot] = this.free;
    this.free = slot;
    this.live--;
  }

  /** What is left of a range whose beginning is gone. */
  moveTo(slot: number, page: number, extent: number): void {
    this.unlink(slot);
    this.page[slot] = page;
    this.extent[slot] = extent;
    this.link(slot);
  }

  private link(slot: number): void {
    const hash = this.hash(this.page[slot]!, this.key[slot]!);
    this.next[slot] = this.heads[hash]! - 1;
    this.heads[hash] = slot + 1;
  }

  private unlink(slot: number): void {
    const hash = this.hash(this.page[slot]!, this.key[slot]!);
    let at = this.heads[hash]! - 1;
    if (at === slot) {
      this.heads[hash] = this.next[slot]! + 1;
      return;
    }
    while (this.next[at] !== slot) at = this.next[at]!;
    this.next[at] = this.next[slot]!;
  }

  private hash(page: number, key: number): number {
    const mixed = Math.imul(page ^ Math.imul(key + 1, 0x9e3779b1) ^ (page / 0x1_0000_0000), 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.heads.length - 1);
  }

  private grow(): void {
    const size = this.page.length * 2;
    this.page = widened(this.page, new Float64Array(size));
    this.extent = widened(this.extent, new Float64Array(size));
    this.event = widened(this.event, new Float64Array(size));
    this.key = widened(this.key, new Int32Array(size));
    this.pid = widened(this.pid, new Int32Array(size));
    this.mark = widened(this.mark, new Int32Array(size));
    this.next = new Int32Array(size);
    this.heads = new Int32Array(size);
    // Nothing is free: all slots are in use, the oldest first.
    const order = this.order();
    for (const slot of order) this.link(slot);
  }

  /** All slots by the age of what is in them, so that newer ones come first in the chains again. */
  private order(): Int32Array {
    const { event } = this;
    return Int32Array.from({ length: this.used }, (_, slot) => slot).sort((a, b) => event[a]! - event[b]!);
  }
}

function widened<T extends Float64Array | Int32Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
