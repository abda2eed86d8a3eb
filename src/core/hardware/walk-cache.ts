/**
 * Paging-structure caches: one per upper level, fully associative, LRU, domain-tagged. An entry skips a walk down to the table it
 * points to. They go stale on their own: a table page may be freed while an entry still points at it, until an invalidation that is
 * not leaf-only covers it.
 *
 * Source: Intel VT-d specification, paging-structure caches; F&S (SOSP 2024) for why they matter.
 */
import type { DigestSink } from '../sim/digest-sink.ts';
import * as pageTableConstants from './page-table.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { SPAN } = pageTableConstants;

/** Reserved prefix value: no page number is negative. */
const EMPTY = -1;
/** Places of the hints, a power of two: spans whose numbers are apart by a multiple of it share one. */
const HINTS = 256;

export class WalkCacheLevel {
  /** Level of the table that an entry points to: 1 for the cache of the last upper level. */
  declare readonly tableLevel: number;
  declare readonly capacity: number;
  /** Pages that one entry stands for. */
  declare readonly span: number;
  /** [slot]: first IOVA page of the span, EMPTY when unused. */
  declare readonly prefix: Float64Array;
  declare readonly domain: Int32Array;
  /** [slot]: the table, the frame it was in, and its generation when it was cached. */
  declare readonly table: Int32Array;
  declare readonly frame: Float64Array;
  declare readonly generation: Int32Array;
  declare private readonly lastUse: Float64Array;
  private uses = 0;
  /** [number of the span modulo HINTS]: slot in which it was found or put last. It may hold another span by now. */
  private readonly hint = new Uint16Array(HINTS);
  /** Pages of a span as a power of two. */
  declare private readonly shift: number;
  lookups = 0;
  hits = 0;

  constructor(tableLevel: number, capacity: number) {
    this.tableLevel = tableLevel;
    this.capacity = capacity;
    this.span = SPAN[tableLevel + 1]!;
    this.shift = 9 * tableLevel;
    this.prefix = new Float64Array(capacity).fill(EMPTY);
    this.domain = new Int32Array(capacity);
    this.table = new Int32Array(capacity);
    this.frame = new Float64Array(capacity);
    this.generation = new Int32Array(capacity);
    this.lastUse = new Float64Array(capacity);
  }

  /** First page of the span that holds a page. Bit arithmetic up to 2^27 pages: a double modulo costs 8 ns. */
  prefixOf(page: number): number {
    const { span } = this;
    return span <= 0x8000000 ? page - (page & (span - 1)) : page - (page % span);
  }

  private find(domain: number, prefix: number): number {
    const { prefix: prefixes, domain: domains } = this;
    if (this.capacity === 0) return -1;
    const hinted = this.hint[this.placeOf(prefix)]!;
    if (prefixes[hinted] === prefix && domains[hinted] === domain) return hinted;
    for (let slot = 0; slot < this.capacity; slot++)
      if (prefixes[slot] === prefix && domains[slot] === domain) return slot;
    return -1;
  }

  /** Of the upper levels the low bits are all that differs below 2^31 pages; which hint is asked decides nothing but how long it takes. */
  private placeOf(prefix: number): number {
    return (prefix >>> this.shift) & (HINTS - 1);
  }

  /** @returns the slot, or -1; counts a look-up and refreshes the entry's age */
  lookup(domain: number, prefix: number): number {
    this.lookups++;
    const slot = this.find(domain, prefix);
    if (slot < 0) return -1;
    this.hits++;
    this.hint[this.placeOf(prefix)] = slot;
    this.lastUse[slot] = ++this.uses;
    return slot;
  }

  fill(domain: number, prefix: number, table: number, frame: number, generation: number): void {
    if (this.capacity === 0) return;
    let slot = this.find(domain, prefix);
    if (slot < 0) {
      slot = 0;
      for (let i = 0; i < this.capacity; i++) {
        if (this.prefix[i] === EMPTY) {
          slot = i;
          break;
        }
        if (this.lastUse[i]! < this.lastUse[slot]!) slot = i;
      }
    }
    this.prefix[slot] = prefix;
    this.domain[slot] = domain;
    this.table[slot] = table;
    this.frame[slot] = frame;
    this.generation[slot] = generation;
    this.hint[this.placeOf(prefix)] = slot;
    this.lastUse[slot] = ++this.uses;
  }

  /** Removes the entries of a domain (all domains when negative) that meet [first, last]. @returns how many */
  invalidate(domain: number, first: number, last: number): number {
    let removed = 0;
    const { span } = this;
    for (let slot = 0; slot < this.capacity; slot++) {
      const prefix = this.prefix[slot]!;
      if (prefix === EMPTY || (domain >= 0 && this.domain[slot] !== domain)) continue;
      if (prefix > last || prefix + span - 1 < first) continue;
      this.prefix[slot] = EMPTY;
      this.lastUse[slot] = 0;
      removed++;
    }
    return removed;
  }

  used(slot: number): boolean {
    return this.prefix[slot] !== EMPTY;
  }

  digest(sink: DigestSink): void {
    sink.column(this.prefix, this.capacity);
    sink.column(this.domain, this.capacity);
    sink.column(this.table, this.capacity);
    sink.column(this.frame, this.capacity);
    sink.column(this.generation, this.capacity);
    sink.column(this.lastUse, this.capacity);
    sink.number(this.lookups);
    sink.number(this.hits);
  }
}
