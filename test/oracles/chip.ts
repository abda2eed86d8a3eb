/**
 * The chip as plain objects: tables that hold entries, caches that hold references to them, every entry with the mapping it came from.
 *
 * A freed table is an object that is marked so; what a stale path reads is whatever object stands in its frame now.
 */
import type { RandomStream } from '../../src/core/sim/random.ts';
import { type CachedLeaf, NaiveIotlb } from './iotlb.ts';
import type { NaiveMemory } from './memory.ts';
import { NaiveWalkCache } from './walk-cache.ts';

const SPAN = [0, 1, 512, 512 ** 2, 512 ** 3, 512 ** 4, 512 ** 5];

export interface Leaf<Origin> {
  frame: number;
  permission: number;
  origin: Origin;
}

export class Table<Origin> {
  readonly level: number;
  readonly frame: number;
  /** First page of its span. */
  readonly base: number;
  freed = false;
  readonly tables = new Map<number, Table<Origin>>();
  readonly leaves = new Map<number, Leaf<Origin>>();

  constructor(level: number, frame: number, base: number) {
    this.level = level;
    this.frame = frame;
    this.base = base;
  }

  get lastPage(): number {
    return this.base + SPAN[this.level + 1]! - 1;
  }
}

export interface Space<Origin> {
  index: number;
  levels: number;
  root: Table<Origin>;
}

export interface Translated<Origin> {
  frame: number;
  from: 'iotlb' | 'device-tlb' | 'walk-cache' | 'walk';
  /** Through a table that is no more. */
  stale: boolean;
  references: number;
  origin: Origin | null;
  /** Entry that translated it: of the IOTLB, or of the device when it is from there. */
  leaf: CachedLeaf;
  /** What a device with a TLB was given and keeps. */
  given: CachedLeaf | null;
}

export interface ChipShape {
  iotlb: { entries: number; ways: number; replacement: string };
  /** Root first. */
  walkCaches: number[];
  superpages: string[];
  cachingMode: boolean;
}

export class NaiveChip<Origin> {
  readonly iotlb: NaiveIotlb;
  /** [0] holds tables of 4 KiB leaves. */
  readonly walkCaches: NaiveWalkCache<Table<Origin>>[];
  private readonly memory: NaiveMemory;
  private readonly superpages: string[];
  private readonly inFrame = new Map<number, Table<Origin>>();
  /** Taken out of their trees, still in their frames. */
  unlinked: Table<Origin>[] = [];
  references = 0;
  private readonly cachingMode: boolean;
  /** The last 64 pages that a walk found nothing for, oldest first, and whether that is still believed. */
  private absent: { space: number; page: number; believed: boolean }[] = [];

  constructor(shape: ChipShape, memory: NaiveMemory, random: RandomStream) {
    this.memory = memory;
    this.superpages = shape.superpages;
    this.cachingMode = shape.cachingMode;
    this.iotlb = new NaiveIotlb(shape.iotlb.entries, shape.iotlb.ways, shape.iotlb.replacement, random);
    this.walkCaches = [...shape.walkCaches]
      .reverse()
      .map((capacity, i) => new NaiveWalkCache<Table<Origin>>(capacity, SPAN[i + 2]!));
  }

  makeTable(level: number, base: number): Table<Origin> {
    const frame = this.memory.allocate(1, 0);
    if (frame === null) throw new Error('the oracle has no frame for a table');
    const table = new Table<Origin>(level, frame, base);
    this.inFrame.set(frame, table);
    return table;
  }

  private static index(page: number, level: number): number {
    return Math.floor(page / SPAN[level]!) % 512;
  }

  /** @returns table pages that superpages took the place of; they wait in `unlinked` */
  map(
    space: Space<Origin>,
    page: number,
    frame: number,
    pages: number,
    permission: number,
    origin: Origin,
    largest = 3,
  ): number {
    let replaced = 0;
    for (let at = 0; at < pages; ) {
      let level = largest;
      while (
        level > 1 &&
        (!this.superpages.includes(level === 2 ? '2MiB' : '1GiB') ||
          (page + at) % SPAN[level]! !== 0 ||
          (frame + at) % SPAN[level]! !== 0 ||
          pages - at < SPAN[level]!)
      )
        level--;
      let table = space.root;
      while (table.level > level) {
        const index = NaiveChip.index(page + at, table.level);
        let child = table.tables.get(index);
        if (!child) {
          const span = SPAN[table.level]!;
          child = this.makeTable(table.level - 1, Math.floor((page + at) / span) * span);
          table.tables.set(index, child);
        }
        table = child;
      }
      const index = NaiveChip.index(page + at, level);
      const inTheWay = table.tables.get(index);
      if (inTheWay) {
        table.tables.delete(index);
        replaced += this.unlink(inTheWay);
      }
      table.leaves.set(index, { frame: frame + at, permission, origin });
      at += SPAN[level]!;
    }
    return replaced;
  }

  /** Children before parents. */
  private unlink(table: Table<Origin>): number {
    let count = 1;
    for (const index of [...table.tables.keys()].sort((a, b) => a - b)) count += this.unlink(table.tables.get(index)!);
    this.unlinked.push(table);
    return count;
  }

  /** Clears the leaves of a range, and unlinks the tables whose whole span it covers. @returns how many tables */
  clear(space: Space<Origin>, first: number, last: number): number {
    const visit = (table: Table<Origin>): void => {
      for (const [index] of [...table.leaves]) {
        const start = table.base + index * SPAN[table.level]!;
        if (start <= last && start + SPAN[table.level]! - 1 >= first) table.leaves.delete(index);
      }
      for (const child of table.tables.values()) if (child.base <= last && child.lastPage >= first) visit(child);
    };
    visit(space.root);
    const prune = (table: Table<Origin>): number => {
      let count = 0;
      for (const index of [...table.tables.keys()].sort((a, b) => a - b)) {
        const child = table.tables.get(index)!;
        if (child.base >= first && child.lastPage <= last) {
          table.tables.delete(index);
          count += this.unlink(child);
        } else count += prune(child);
      }
      return count;
    };
    return prune(space.root);
  }

  /** What a walk without caches would find, and no trace of the look. */
  leafAt(space: Space<Origin>, page: number): Leaf<Origin> | null {
    for (let table: Table<Origin> | undefined = space.root; table; ) {
      const index = NaiveChip.index(page, table.level);
      const leaf = table.leaves.get(index);
      if (leaf) return leaf;
      table = table.tables.get(index);
    }
    return null;
  }

  /** Frames of unlinked tables go back: from here on whoever still points there reads something else. */
  release(): void {
    for (const table of this.unlinked) {
      table.freed = true;
      this.inFrame.delete(table.frame);
      this.memory.giveBack(table.frame, 1);
    }
    this.unlinked = [];
  }

  /** Drops what is cached of pages [first, last] of a domain, of all domains when negative. */
  invalidate(domain: number, first: number, last: number, leafOnly: boolean): void {
    this.iotlb.invalidate(domain, first, last);
    for (const each of this.absent)
      if ((domain < 0 || each.space === domain) && each.page >= first && each.page <= last) each.believed = false;
    if (!leafOnly) for (const cache of this.walkCaches) cache.invalidate(domain, first, last);
  }

  /**
   * @param deviceTlb of the device that asks, null without one
   * @returns null: blocked; `references` has the table reads in any case
   */
  translate(
    space: Space<Origin>,
    page: number,
    permission: number,
    deviceTlb: NaiveIotlb | null = null,
  ): Translated<Origin> | null {
    this.references = 0;
    const held = deviceTlb?.lookup(space.index, page, permission);
    if (held)
      return {
        frame: held.frame + (page - held.first),
        from: 'device-tlb',
        stale: false,
        references: 0,
        origin: held.origin as Origin | null,
        leaf: held,
        given: null,
      };
    const found = this.translateHere(space, page, permission);
    if (found !== null && deviceTlb !== null) found.given = deviceTlb.fill(found.leaf);
    return found;
  }

  private translateHere(space: Space<Origin>, page: number, permission: number): Translated<Origin> | null {
    const hit = this.iotlb.lookup(space.index, page, permission);
    if (hit)
      return {
        frame: hit.frame + (page - hit.first),
        from: 'iotlb',
        stale: false,
        references: 0,
        origin: hit.origin as Origin | null,
        leaf: hit,
        given: null,
      };
    if (this.absent.some((each) => each.believed && each.space === space.index && each.page === page)) return null;
    let start = space.root;
    let from: 'walk' | 'walk-cache' = 'walk';
    for (let level = 1; level < space.levels; level++) {
      const cached = this.walkCaches[level - 1]?.lookup(space.index, page);
      if (!cached) continue;
      start = cached.table;
      from = 'walk-cache';
      break;
    }
    const stale = start.freed;
    const found = stale ? this.readFrame(start.frame, start.level, page) : this.readTree(space, start, page);
    if (!found && this.cachingMode)
      this.absent = [...this.absent, { space: space.index, page, believed: true }].slice(-64);
    if (!found || (found.permission & permission) === 0) return null;
    const first = Math.floor(page / found.pages) * found.pages;
    const entry: Omit<CachedLeaf, 'way'> = {
      domain: space.index,
      first,
      pages: found.pages,
      frame: found.frame,
      permission: found.permission,
      origin: found.origin,
    };
    const leaf = this.iotlb.fill(entry);
    const frame = found.frame + (page - first);
    return { frame, from, stale, references: this.references, origin: found.origin, leaf, given: null };
  }

  private readTree(space: Space<Origin>, start: Table<Origin>, page: number) {
    let table = start;
    const read: Table<Origin>[] = [];
    let found: (Leaf<Origin> & { pages: number }) | null = null;
    for (;;) {
      this.references++;
      read.push(table);
      const index = NaiveChip.index(page, table.level);
      const leaf = table.leaves.get(index);
      if (leaf) found = { ...leaf, pages: SPAN[table.level]! };
      const child = table.tables.get(index);
      if (!child) break;
      table = child;
    }
    for (const each of read) if (each !== start) this.walkCaches[each.level - 1]?.fill(space.index, page, each);
    return found;
  }

  /** A walk through frames that may hold anything by now. */
  private readFrame(frame: number, level: number, page: number) {
    let at = frame;
    for (let depth = level; depth >= 1; depth--) {
      const table = this.inFrame.get(at);
      this.references++;
      if (!table) return null;
      const index = NaiveChip.index(page, depth);
      const leaf = table.leaves.get(index);
      const child = table.tables.get(index);
      if (!leaf && !child) return null;
      const large = leaf && table.level > 1;
      if (depth === 1 || large) {
        const pages = SPAN[depth]!;
        const target = leaf ? leaf.frame : child!.frame;
        return {
          frame: Math.floor(target / pages) * pages,
          permission: leaf ? leaf.permission : 3,
          origin: leaf ? leaf.origin : null,
          pages,
        };
      }
      at = leaf ? leaf.frame : child!.frame;
    }
    return null;
  }
}
