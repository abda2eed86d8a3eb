/**
 * Mappings of one domain that outlive their unmap: address and PTEs stay, found again by what they map (first frame, number of pages,
 * permission). Bounded in number, the one kept longest goes first; who keeps them also asks which have been kept for too long.
 *
 * All in columns, with chains instead of objects: keeping and finding are on the path of every unmap and map.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';

export const NO_KEPT = -1;
const NONE = -1;

export class KeptMappings {
  readonly capacity: number;
  /** [slot]: first frame, pages and permission, which together are the key; first IOVA page. */
  private readonly frame: Float64Array;
  private readonly pages: Int32Array;
  private readonly permission: Uint8Array;
  private readonly page: Float64Array;
  /** [slot]: whole ns since the session began at which it was kept. */
  private readonly since: Float64Array;
  /** [slot]: the next one of its bucket, newest first; of free slots, the next free one. */
  private readonly chain: Int32Array;
  /** [slot]: neighbours in the order of keeping. */
  private readonly older: Int32Array;
  private readonly newer: Int32Array;
  /** [bucket]: newest slot. */
  private readonly buckets: Int32Array;
  private readonly mask: number;
  private free = 0;
  private oldest = NONE;
  private newest = NONE;
  count = 0;
  pagesKept = 0;
  hits = 0;
  misses = 0;
  /** Torn down because there was no room, because of age, and because the domain lost a device or went away. */
  evicted = 0;
  expired = 0;
  drained = 0;
  /** A timer is armed. */
  timerArmed = false;
  /** How long one is kept at most, whole ns; 0 without limit. */
  private readonly limitNs: number;
  private readonly arm: (delayPs: number) => void;

  /** @param capacity how many, from 1; @param arm arms the timer that says what is due */
  constructor(capacity: number, limitNs = 0, arm: (delayPs: number) => void = () => {}) {
    this.capacity = capacity;
    this.limitNs = limitNs;
    this.arm = arm;
    this.frame = new Float64Array(capacity);
    this.pages = new Int32Array(capacity);
    this.permission = new Uint8Array(capacity);
    this.page = new Float64Array(capacity);
    this.since = new Float64Array(capacity);
    this.chain = new Int32Array(capacity);
    this.older = new Int32Array(capacity);
    this.newer = new Int32Array(capacity);
    this.mask = 2 ** Math.max(4, 32 - Math.clz32(capacity)) - 1;
    this.buckets = new Int32Array(this.mask + 1).fill(NONE);
    for (let slot = 0; slot < capacity; slot++) this.chain[slot] = slot + 1;
  }

  private bucketOf(frame: number, pages: number, permission: number): number {
    const low = frame % 0x40000000;
    return (Math.imul(low ^ (pages << 2) ^ permission, 0x9e3779b1) >>> 8) & this.mask;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  /** The one kept longest, NO_KEPT when there is none. */
  get first(): number {
    return this.oldest;
  }

  pageOf(slot: number): number {
    return this.page[slot]!;
  }
  pagesOf(slot: number): number {
    return this.pages[slot]!;
  }
  sinceOf(slot: number): number {
    return this.since[slot]!;
  }

  /** Whether the one kept longest has been kept for as long as any may. */
  isDue(nowNs: number): boolean {
    return this.oldest !== NONE && this.since[this.oldest]! + this.limitNs <= nowNs;
  }

  /** Sees to it that a timer is armed for what is due next. */
  armExpiry(nowNs: number): void {
    if (this.limitNs === 0 || this.timerArmed || this.oldest === NONE) return;
    this.timerArmed = true;
    this.arm(Math.max(1, this.since[this.oldest]! + this.limitNs - nowNs) * 1000);
  }

  /** Keeps a mapping; there must be room. */
  keep(page: number, frame: number, pages: number, permission: number, nowNs: number): void {
    const slot = this.free;
    this.free = this.chain[slot]!;
    this.frame[slot] = frame;
    this.pages[slot] = pages;
    this.permission[slot] = permission;
    this.page[slot] = page;
    this.since[slot] = nowNs;
    const bucket = this.bucketOf(frame, pages, permission);
    this.chain[slot] = this.buckets[bucket]!;
    this.buckets[bucket] = slot;
    this.older[slot] = this.newest;
    this.newer[slot] = NONE;
    if (this.newest === NONE) this.oldest = slot;
    else this.newer[this.newest] = slot;
    this.newest = slot;
    this.count++;
    this.pagesKept += pages;
  }

  /**
   * Takes out the mapping of just this memory that was kept last.
   * @param lastPfn highest page that the device can address, inclusive
   * @returns its first IOVA page, or NO_KEPT
   */
  take(frame: number, pages: number, permission: number, lastPfn: number): number {
    let slot = this.buckets[this.bucketOf(frame, pages, permission)]!;
    while (
      slot !== NONE &&
      (this.frame[slot] !== frame ||
        this.pages[slot] !== pages ||
        this.permission[slot] !== permission ||
        this.page[slot]! + pages - 1 > lastPfn)
    )
      slot = this.chain[slot]!;
    if (slot === NONE) return NO_KEPT;
    this.remove(slot);
    return this.page[slot]!;
  }

  /** Forgets one; its columns can still be read. */
  remove(slot: number): void {
    const { chain, buckets, older, newer } = this;
    const bucket = this.bucketOf(this.frame[slot]!, this.pages[slot]!, this.permission[slot]!);
    if (buckets[bucket] === slot) buckets[bucket] = chain[slot]!;
    else {
      let before = buckets[bucket]!;
      while (chain[before] !== slot) before = chain[before]!;
      chain[before] = chain[slot]!;
    }
    const o = older[slot]!;
    const n = newer[slot]!;
    if (o === NONE) this.oldest = n;
    else newer[o] = n;
    if (n === NONE) this.newest = o;
    else older[n] = o;
    chain[slot] = this.free;
    this.free = slot;
    this.count--;
    this.pagesKept -= this.pages[slot]!;
  }

  /** Whether any page of the closed range is kept. */
  holds(first: number, last: number): boolean {
    for (let slot = this.oldest; slot !== NONE; slot = this.newer[slot]!)
      if (this.page[slot]! <= last && this.page[slot]! + this.pages[slot]! - 1 >= first) return true;
    return false;
  }

  inspect(): Record<string, number> {
    const { count, pagesKept, hits, misses, evicted, expired, drained } = this;
    return {
      keptMappings: count,
      keptPages: pagesKept,
      keptHits: hits,
      keptMisses: misses,
      keptEvicted: evicted,
      keptExpired: expired,
      keptDrained: drained,
    };
  }

  /** In the order of keeping, which is all that acts; which slot one has does not. */
  digest(sink: DigestSink): void {
    for (const figure of Object.values(this.inspect())) sink.number(figure);
    sink.number(this.timerArmed ? 1 : 0);
    for (let slot = this.oldest; slot !== NONE; slot = this.newer[slot]!) {
      sink.number(this.frame[slot]!);
      sink.number(this.pages[slot]!);
      sink.number(this.permission[slot]!);
      sink.number(this.page[slot]!);
      sink.number(this.since[slot]!);
    }
  }
}
