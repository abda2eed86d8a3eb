/**
 * The IOTLB: set-associative, domain-tagged, one entry for a leaf of any size. The set is the page number at the entry's size modulo
 * the number of sets; the three sizes are probed as one look-up. A cached entry without the permission that is asked for counts as a
 * miss and is replaced.
 *
 * Source: Intel VT-d specification, IOTLB; sizes and ways are parameters because vendors do not publish them.
 */
import { assert } from '../assert.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { RandomStream } from '../sim/random.ts';
import type { Replacement } from '../spec.ts';
import type { TenantRuns } from './memory.ts';

const NONE = -1;
export const NO_ENTRY = NONE;
const NO_PAGE = -1;

/** Told when an entry that the oracle marked goes away; the chip itself does nothing with the marks. */
export interface EntryObserver {
  dropped(entry: number): void;
}

/** Ages and trees, in one place so that the entry path stays a loop over columns. */
const LRU = 0;
const FIFO = 1;
const RANDOM = 2;
const PLRU = 3;
const POLICY: Record<Replacement, number> = { lru: LRU, fifo: FIFO, random: RANDOM, plru: PLRU };

/** Of `alike`: powers of two. */
const PLACES_AN_ENTRY = 16;
const MOST_PLACES = 2 ** 16;

export class Iotlb {
  declare readonly entries: number;
  declare readonly ways: number;
  declare readonly sets: number;
  declare private readonly policy: number;
  declare private readonly random: RandomStream;
  declare private readonly setMask: number;
  /** [entry = set * ways + way]: first 4 KiB page of the leaf, NO_PAGE when empty. */
  declare readonly page: Float64Array;
  declare readonly domain: Int32Array;
  /** [entry]: 0 for 4 KiB, 1 for 2 MiB, 2 for 1 GiB. */
  declare readonly size: Uint8Array;
  /** [entry]: first frame of the leaf. */
  declare readonly frame: Float64Array;
  declare readonly permission: Uint8Array;
  /** [entry]: use (lru) or fill (fifo) number. */
  declare private readonly stamp: Float64Array;
  /** [set]: bits of the pseudo-LRU tree. */
  declare private readonly tree: Int32Array;
  /** Valid entries of 2 MiB and 1 GiB, so that sizes nobody uses are not probed. */
  private large = 0;
  /**
   * [low bits of a page]: valid entries of 4 KiB with these bits. It is 0 for nearly every page that is not there, which a probe then
   * knows without a look at the set.
   */
  declare private readonly alike: Int32Array;
  private stamps = 0;
  lookups = 0;
  hits = 0;
  readonly hitsOfSize = new Float64Array(3);
  evictions = 0;

  // The oracle's columns: the chip carries them and never reads them.
  /** [entry]: tenant of the frame and hand-out count when the mapping was made that the entry came from. */
  declare readonly originTenant: Int32Array;
  declare readonly originAge: Float64Array;
  /** [entry]: for a leaf over frames of several tenants, the tenant of each run; else null. */
  declare readonly originRuns: (TenantRuns | null)[];
  /** [entry]: first exposure window that it keeps open, -1 none. */
  declare readonly window: Int32Array;
  observer: EntryObserver | null = null;

  constructor(entries: number, ways: number, replacement: Replacement, random: RandomStream) {
    this.entries = entries;
    this.ways = ways === 0 ? entries : ways;
    this.sets = entries / this.ways;
    assert(Number.isInteger(this.sets), 'IOTLB entries are not a multiple of its ways');
    this.policy = POLICY[replacement];
    this.random = random;
    this.setMask = (this.sets & (this.sets - 1)) === 0 ? this.sets - 1 : -1;
    this.page = new Float64Array(entries).fill(NO_PAGE);
    this.domain = new Int32Array(entries);
    this.size = new Uint8Array(entries);
    this.frame = new Float64Array(entries);
    this.permission = new Uint8Array(entries);
    this.stamp = new Float64Array(entries);
    this.alike = new Int32Array(Math.min(PLACES_AN_ENTRY * 2 ** Math.ceil(Math.log2(entries)), MOST_PLACES));
    this.tree = new Int32Array(this.sets * Math.ceil(this.ways / 32));
    this.originTenant = new Int32Array(entries);
    this.originAge = new Float64Array(entries);
    this.originRuns = new Array(entries).fill(null);
    this.window = new Int32Array(entries).fill(-1);
  }

  private setOf(pageAtSize: number): number {
    return this.setMask >= 0 ? pageAtSize & this.setMask : pageAtSize % this.sets;
  }

  /** Looks without counting or ageing. @returns the entry that covers the page, whatever its permission, or NONE */
  probe(domain: number, page: number): number {
    const entry = this.probeSmall(domain, page);
    return entry !== NONE || this.large === 0 ? entry : this.probeLarge(domain, page);
  }

  private probeSmall(domain: number, page: number): number {
    const { alike } = this;
    return alike[page & (alike.length - 1)] === 0 ? NONE : this.find(domain, page, 0, this.setOf(page));
  }

  /** @returns the entry of a leaf in its set, or NONE */
  private find(domain: number, first: number, size: number, set: number): number {
    const { page: pages, ways } = this;
    const base = set * ways;
    for (let entry = base; entry < base + ways; entry++)
      if (pages[entry] === first && this.domain[entry] === domain && this.size[entry] === size) return entry;
    return NONE;
  }

  private probeLarge(domain: number, page: number): number {
    for (let size = 1; size <= 2; size++) {
      const span = size === 1 ? 512 : 262_144;
      const at = Math.floor(page / span);
      const entry = this.find(domain, at * span, size, this.setOf(at));
      if (entry !== NONE) return entry;
    }
    return NONE;
  }

  /** @returns the entry that allows the access, or NONE; counts one look-up */
  lookup(domain: number, page: number, permission: number): number {
    this.lookups++;
    const entry = this.probe(domain, page);
    if (entry === NONE || (this.permission[entry]! & permission) === 0) return NONE;
    this.hits++;
    this.hitsOfSize[this.size[entry]!]!++;
    this.touch(entry);
    return entry;
  }

  private touch(entry: number): void {
    if (this.policy === LRU) this.stamp[entry] = ++this.stamps;
    else if (this.policy === PLRU) this.pointAway(entry);
  }

  /** Tree pseudo-LRU: every node on the way to the entry is made to point at the other half. */
  private pointAway(entry: number): void {
    const { ways } = this;
    const set = Math.floor(entry / ways);
    const way = entry - set * ways;
    let node = 1;
    for (let half = ways >> 1; half >= 1; half >>= 1) {
      const right = (way & half) !== 0;
      this.setBit(set, node, !right);
      node = 2 * node + (right ? 1 : 0);
    }
  }

  private setBit(set: number, node: number, on: boolean): void {
    const at = set * Math.ceil(this.ways / 32) + (node >> 5);
    const bit = 1 << (node & 31);
    this.tree[at] = on ? this.tree[at]! | bit : this.tree[at]! & ~bit;
  }

  /** What `lru` and `fifo` replace: an empty entry has the stamp 0, older than all. */
  private oldest(set: number): number {
    const { stamp: stamps, ways } = this;
    const base = set * ways;
    let oldest = base;
    let least = stamps[base]!;
    for (let entry = base + 1; entry < base + ways; entry++) {
      const stamp = stamps[entry]!;
      if (stamp >= least) continue;
      oldest = entry;
      least = stamp;
    }
    return oldest;
  }

  /** What `random` and `plru` replace. */
  private victim(set: number): number {
    const { ways } = this;
    const base = set * ways;
    for (let entry = base; entry < base + ways; entry++) if (this.page[entry] === NO_PAGE) return entry;
    if (this.policy === RANDOM) return base + this.random.below(ways);
    let node = 1;
    let way = 0;
    for (let half = ways >> 1; half >= 1; half >>= 1) {
      const right = (this.tree[set * Math.ceil(ways / 32) + (node >> 5)]! & (1 << (node & 31))) !== 0;
      if (right) way |= half;
      node = 2 * node + (right ? 1 : 0);
    }
    return base + way;
  }

  /**
   * Caches a leaf. An entry for the same leaf (cached with less permission) is replaced in place.
   * @param size 0, 1, 2 for 4 KiB, 2 MiB, 1 GiB; page and frame are the leaf's first
   * @returns the entry, its oracle columns cleared
   */
  fill(domain: number, page: number, size: number, frame: number, permission: number): number {
    const span = size === 0 ? 1 : size === 1 ? 512 : 262_144;
    const set = this.setOf(size === 0 ? page : page / span);
    const { page: pages } = this;
    let entry = size === 0 ? this.probeSmall(domain, page) : this.find(domain, page, size, set);
    if (entry === NONE) {
      entry = this.policy <= FIFO ? this.oldest(set) : this.victim(set);
      if (pages[entry] !== NO_PAGE) this.evictions++;
    }
    if (pages[entry] !== NO_PAGE) this.drop(entry);
    pages[entry] = page;
    this.domain[entry] = domain;
    this.size[entry] = size;
    this.frame[entry] = frame;
    this.permission[entry] = permission;
    if (size === 0) this.alike[page & (this.alike.length - 1)]!++;
    else this.large++;
    if (this.policy === PLRU) this.pointAway(entry);
    else this.stamp[entry] = ++this.stamps;
    return entry;
  }

  private drop(entry: number): void {
    if (this.size[entry] === 0) this.alike[this.page[entry]! & (this.alike.length - 1)]!--;
    else this.large--;
    this.page[entry] = NO_PAGE;
    this.stamp[entry] = 0;
    if (this.originRuns[entry] !== null) this.originRuns[entry] = null;
    if (this.window[entry] !== -1) this.observer?.dropped(entry);
  }

  valid(entry: number): boolean {
    return this.page[entry] !== NO_PAGE;
  }

  /**
   * Removes every entry of a domain (of all when negative) any byte of which lies in pages [first, last].
   * @returns how many
   */
  invalidate(domain: number, first: number, last: number): number {
    let removed = 0;
    const { page: pages, domain: domains } = this;
    if (domain >= 0 && last - first < 8 && this.large === 0) {
      for (let page = first; page <= last; page++) {
        const entry = this.probeSmall(domain, page);
        if (entry === NONE) continue;
        this.drop(entry);
        removed++;
      }
      return removed;
    }
    for (let entry = 0; entry < this.entries; entry++) {
      const start = pages[entry]!;
      if (start === NO_PAGE || (domain >= 0 && domains[entry] !== domain)) continue;
      const span = this.size[entry] === 0 ? 1 : this.size[entry] === 1 ? 512 : 262_144;
      if (start > last || start + span - 1 < first) continue;
      this.drop(entry);
      removed++;
    }
    return removed;
  }

  digest(sink: DigestSink): void {
    sink.column(this.page, this.entries);
    sink.column(this.domain, this.entries);
    sink.column(this.size, this.entries);
    sink.column(this.frame, this.entries);
    sink.column(this.permission, this.entries);
    sink.column(this.stamp, this.entries);
    sink.column(this.tree, this.tree.length);
    sink.column(this.originTenant, this.entries);
    sink.column(this.originAge, this.entries);
    sink.number(this.lookups);
    sink.number(this.hits);
    sink.number(this.evictions);
  }
}
