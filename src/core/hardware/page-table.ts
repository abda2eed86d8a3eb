/**
 * Radix page tables: 3 to 5 levels of 512 entries, leaves of 4 KiB at level 1, 2 MiB at level 2, 1 GiB at level 3.
 *
 * Source: Intel VT-d specification, second-stage tables; Linux `drivers/iommu/intel/iommu.c` (2008 to 3.6) for what is freed when.
 * One pool serves all domains of a session; a table page takes a frame of the machine's memory like anything else, so that a stale
 * walk finds in a freed one whatever the frame holds by then. A table page is freed only when one unmap covers its whole span.
 */
import { assert } from '../assert.ts';
import * as address from '../sim/address.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { growFloat64, growInt32 } from '../sim/growable.ts';
import type { Memory } from './memory.ts';
import * as memoryConstants from './memory.ts';

/** Constants and functions of this module are folded by V8, imported ones are loaded and checked each time. */
const { highPageBits, lowPageBits } = address;
const { HOST_TENANT, NO_FRAME } = memoryConstants;

export const READ = 1;
export const WRITE = 2;
const LARGE = 4;
const ENTRIES = 512;
/** Pages that an entry of level n spans: index n, 1 to 6. */
const PAGES_OF_LEVEL = [0, 1, 512, 512 ** 2, 512 ** 3, 512 ** 4, 512 ** 5];
export const SPAN = PAGES_OF_LEVEL;
/** Table pages a session may hold: 10 KiB of host memory each; a map beyond it fails as the kernel's would without memory. */
export const MAX_TABLES = 65_536;

export const NO_TABLE = -1;
const ALL_DOMAINS = -1;
/** Leaf tables remembered: those of 128 MiB of neighbouring addresses. */
const NEAR = 64;

/** What a walk found. */
const RESULT = { leaf: 1, notPresent: 0 } as const;
export const WALK = RESULT;

export class PageTables {
  declare private readonly memory: Memory;
  /** [table * 512 + index]: 0 nothing; a leaf: frame * 8 + large * 4 + permission; else (child table + 1) * 8. */
  private entries = new Float64Array(16 * ENTRIES);
  /** [table]: frame that holds it. */
  private frame = new Float64Array(16);
  /** [table]: 1 for a table of 4 KiB leaves. */
  private level = new Int32Array(16);
  /** [table]: domain whose tree it is in; -1 when free. */
  private owner = new Int32Array(16);
  /** [table]: first IOVA page of its span. */
  private base = new Float64Array(16);
  /** [table]: rises when it is freed, so that a walk cache can tell. */
  private generation = new Int32Array(16);
  private freeTables: number[] = [];
  private used = 0;
  tables = 0;
  /** [domain]: tenant whose frames its tables take; nothing: the host's. */
  private readonly tenantOf: number[] = [];

  /**
   * Tables of 4 KiB leaves that were found last, so that writing and clearing one entry descends no tree: 52 ns for both became 12.
   * [slot, the span's number modulo NEAR]: root and number of the span, NO_TABLE when empty; the table. Forgotten on every unlink.
   */
  private readonly nearRoot = new Int32Array(NEAR).fill(NO_TABLE);
  private readonly nearSpan = new Int32Array(NEAR);
  private readonly nearTable = new Int32Array(NEAR);

  /** Unlinked by the last unmaps, still holding their frames: see `releaseUnlinked`. */
  private unlinked: number[] = [];

  // Results of `walk` and `mapPage`, in fields: a fresh object would cost six times as much.
  foundFrame = 0;
  foundPermission = 0;
  /** 4 KiB pages of the leaf: 1, 512 or 262,144. */
  foundPages = 1;
  /** First IOVA page of the leaf that was found, in the span of the table it was read from. */
  foundOwner = 0;
  foundBase = 0;
  references = 0;
  /** [level]: table that was read at that level by the last walk, or NO_TABLE. */
  readonly path = new Int32Array(6);

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Tables of a domain lie in a tenant's memory from now on. */
  liesWith(domain: number, tenant: number): void {
    this.tenantOf[domain] = tenant;
  }

  /** @returns the table, or NO_TABLE when there is no frame for it */
  create(level: number, domain: number, base: number): number {
    if (this.tables >= MAX_TABLES) return NO_TABLE;
    const frame = this.memory.allocate(1, this.tenantOf[domain] ?? HOST_TENANT);
    if (frame === NO_FRAME) return NO_TABLE;
    let table = this.freeTables.pop();
    if (table === undefined) {
      table = this.used++;
      if (table === this.frame.length) this.grow();
    } else this.entries.fill(0, table * ENTRIES, (table + 1) * ENTRIES);
    this.frame[table] = frame;
    this.level[table] = level;
    this.owner[table] = domain;
    this.base[table] = base;
    this.memory.chunk(frame).table[frame & 1023] = table + 1;
    this.tables++;
    return table;
  }

  private grow(): void {
    const length = this.frame.length * 2;
    this.entries = growFloat64(this.entries, length * ENTRIES);
    this.frame = growFloat64(this.frame, length);
    this.level = growInt32(this.level, length);
    this.owner = growInt32(this.owner, length);
    this.base = growFloat64(this.base, length);
    this.generation = growInt32(this.generation, length);
  }

  frameOf(table: number): number {
    return this.frame[table]!;
  }
  generationOf(table: number): number {
    return this.generation[table]!;
  }
  levelOf(table: number): number {
    return this.level[table]!;
  }
  ownerOf(table: number): number {
    return this.owner[table]!;
  }
  baseOf(table: number): number {
    return this.base[table]!;
  }
  entryAt(table: number, index: number): number {
    return this.entries[table * ENTRIES + index]!;
  }

  indexAt(page: number, level: number): number {
    const low = lowPageBits(page);
    if (level === 1) return low & 511;
    if (level === 2) return (low >>> 9) & 511;
    if (level === 3) return low >>> 18;
    const high = highPageBits(page, low);
    return level === 4 ? high & 511 : (high >>> 9) & 511;
  }

  /**
   * Writes one leaf, making the tables on its way.
   *
   * @param leafLevel 1, 2 or 3: 4 KiB, 2 MiB, 1 GiB; page and frame aligned to it
   * @returns false when there was no frame for a table (tables made on the way stay, as in the kernel)
   */
  write(
    root: number,
    rootLevel: number,
    domain: number,
    page: number,
    frame: number,
    permission: number,
    leafLevel: number,
  ): boolean {
    if (leafLevel === 1) {
      const near = this.near(root, page);
      if (near !== NO_TABLE) {
        this.entries[near * ENTRIES + (page & 511)] = frame * 8 + permission;
        return true;
      }
    }
    let table = root;
    for (let level = rootLevel; level > leafLevel; level--) {
      const at = table * ENTRIES + this.indexAt(page, level);
      const entry = this.entries[at]!;
      if (entry === 0) {
        const span = PAGES_OF_LEVEL[level]!;
        const child = this.create(level - 1, domain, page - (page % span));
        if (child === NO_TABLE) return false;
        this.entries[at] = (child + 1) * 8;
        table = child;
      } else {
        assert((entry & 3) === 0, 'a leaf is in the way of a table');
        table = entry / 8 - 1;
      }
    }
    this.entries[table * ENTRIES + this.indexAt(page, leafLevel)] =
      frame * 8 + (leafLevel > 1 ? LARGE : 0) + permission;
    if (leafLevel === 1) this.remember(root, page, table);
    return true;
  }

  /** @returns the table of 4 KiB leaves that has the page's entry, if it was found lately, or NO_TABLE */
  private near(root: number, page: number): number {
    if (page >= 0x80000000) return NO_TABLE;
    const span = page >>> 9;
    const slot = span & (NEAR - 1);
    return this.nearSpan[slot] === span && this.nearRoot[slot] === root ? this.nearTable[slot]! : NO_TABLE;
  }

  private remember(root: number, page: number, table: number): void {
    if (page >= 0x80000000) return;
    const span = page >>> 9;
    const slot = span & (NEAR - 1);
    this.nearRoot[slot] = root;
    this.nearSpan[slot] = span;
    this.nearTable[slot] = table;
  }

  /**
   * Makes room for a superpage: unlinks the table that stands where its leaf goes, which small unmaps left behind empty.
   * @returns how many table pages; they hold their frames until `releaseUnlinked`
   */
  unlinkForLeaf(root: number, rootLevel: number, page: number, leafLevel: number): number {
    let table = root;
    for (let level = rootLevel; level > leafLevel; level--) {
      const entry = this.entries[table * ENTRIES + this.indexAt(page, level)]!;
      if (entry === 0 || entry & 3) return 0;
      table = entry / 8 - 1;
    }
    const at = table * ENTRIES + this.indexAt(page, leafLevel);
    const entry = this.entries[at]!;
    if (entry === 0 || entry & 3) return 0;
    this.entries[at] = 0;
    return this.unlinkTree(entry / 8 - 1, leafLevel - 1);
  }

  /**
   * Clears the leaf that covers a page, whatever its size.
   * @returns 4 KiB pages it spanned; 0 when nothing was mapped there
   */
  clear(root: number, rootLevel: number, page: number): number {
    const near = this.near(root, page);
    if (near !== NO_TABLE) {
      const at = near * ENTRIES + (page & 511);
      if (this.entries[at] === 0) return 0;
      this.entries[at] = 0;
      return 1;
    }
    let table = root;
    for (let level = rootLevel; level >= 1; level--) {
      const at = table * ENTRIES + this.indexAt(page, level);
      const entry = this.entries[at]!;
      if (entry === 0) return 0;
      if (entry & 3) {
        this.entries[at] = 0;
        if (level === 1) this.remember(root, page, table);
        return PAGES_OF_LEVEL[level]!;
      }
      table = entry / 8 - 1;
    }
    return 0;
  }

  /** 4 KiB pages without a leaf from `page` to the end of the entry that is empty, so that holes are skipped in strides. */
  holeAt(root: number, rootLevel: number, page: number): number {
    let table = root;
    for (let level = rootLevel; level >= 1; level--) {
      const entry = this.entries[table * ENTRIES + this.indexAt(page, level)]!;
      const span = PAGES_OF_LEVEL[level]!;
      if (entry === 0) return span - (page % span);
      if (entry & 3) return 0;
      table = entry / 8 - 1;
    }
    return 0;
  }

  /** Unlinks every table page below the root whose whole span lies in [first, last]. @returns how many */
  unlinkCovered(root: number, rootLevel: number, first: number, last: number): number {
    if (last - first + 1 < ENTRIES) return 0;
    return this.unlinkBelow(root, rootLevel, first, last);
  }

  private unlinkBelow(table: number, level: number, first: number, last: number): number {
    if (level === 1) return 0;
    const span = PAGES_OF_LEVEL[level]!;
    const base = this.base[table]!;
    const from = Math.max(0, Math.floor((first - base) / span));
    const to = Math.min(ENTRIES - 1, Math.floor((last - base) / span));
    let freed = 0;
    for (let index = from; index <= to; index++) {
      const at = table * ENTRIES + index;
      const entry = this.entries[at]!;
      if (entry === 0 || entry & 3) continue;
      const child = entry / 8 - 1;
      const start = base + index * span;
      if (first <= start && start + span - 1 <= last) {
        freed += this.unlinkTree(child, level - 1);
        this.entries[at] = 0;
      } else freed += this.unlinkBelow(child, level - 1, first, last);
    }
    return freed;
  }

  private unlinkTree(table: number, level: number): number {
    this.nearRoot.fill(NO_TABLE);
    let freed = 1;
    if (level > 1) {
      for (let index = 0; index < ENTRIES; index++) {
        const entry = this.entries[table * ENTRIES + index]!;
        if (entry !== 0 && (entry & 3) === 0) freed += this.unlinkTree(entry / 8 - 1, level - 1);
      }
    }
    this.unlinked.push(table);
    return freed;
  }

  get unlinkedTables(): number {
    return this.unlinked.length;
  }

  /**
   * Gives the frames of unlinked tables back, of one domain or of all. Before the invalidation that covers them, that is the hazard of
   * the 2008 code.
   */
  releaseUnlinked(domain = ALL_DOMAINS): void {
    if (this.unlinked.length === 0) return;
    const kept: number[] = [];
    for (const table of this.unlinked) {
      if (domain !== ALL_DOMAINS && this.owner[table] !== domain) {
        kept.push(table);
        continue;
      }
      const frame = this.frame[table]!;
      this.memory.chunk(frame).table[frame & 1023] = 0;
      this.memory.giveBack(frame, 1);
      this.owner[table] = -1;
      this.generation[table]!++;
      this.freeTables.push(table);
      this.tables--;
    }
    this.unlinked = kept;
  }

  /** Frees the whole tree of a domain, root included. */
  destroy(root: number, rootLevel: number): void {
    const owner = this.owner[root]!;
    this.unlinkTree(root, rootLevel);
    this.releaseUnlinked(owner);
  }

  /** What a walk reads at a level from a frame, whatever that holds. @returns the entry; 0: nothing, or no table. Which: `readTable` */
  entryIn(frame: number, level: number, page: number): number {
    const table = this.memory.tableIn(frame);
    this.readTable = table;
    return table < 0 ? 0 : this.entries[table * ENTRIES + this.indexAt(page, level)]!;
  }
  readTable = NO_TABLE;

  /** Whether a walk ends at an entry that it read at a level. */
  isLast(entry: number, level: number): boolean {
    return level === 1 || ((entry & 3) !== 0 && (entry & LARGE) !== 0);
  }

  /** Of an entry: the frame that it points to, a table's or a leaf's; a pointer has read and write set. */
  targetOf(entry: number): number {
    return (entry & 3) !== 0 ? Math.floor(entry / 8) : this.frame[entry / 8 - 1]!;
  }
  permissionOf(entry: number): number {
    return (entry & 3) !== 0 ? entry & 3 : READ | WRITE;
  }

  /** First IOVA page of the entry that a table holds for a page at the level that it was made for. */
  placeOf(table: number, index: number): number {
    return this.base[table]! + index * PAGES_OF_LEVEL[this.level[table]!]!;
  }

  /**
   * Walks from a table of `level` down to a leaf, counting one memory reference per entry read.
   *
   * @returns RESULT.leaf with `found*` set, or RESULT.notPresent
   */
  walk(table: number, level: number, page: number): number {
    const { entries, path } = this;
    const low = lowPageBits(page);
    let references = 0;
    let at = table;
    let from = level;
    if (from >= 4) {
      const high = highPageBits(page, low);
      while (from >= 4) {
        path[from] = at;
        references++;
        const entry = entries[at * ENTRIES + (from === 4 ? high & 511 : (high >>> 9) & 511)]!;
        if (entry === 0) {
          this.references = references;
          return RESULT.notPresent;
        }
        at = (entry / 8 - 1) | 0;
        from--;
      }
    }
    for (; from >= 1; from--) {
      path[from] = at;
      references++;
      const entry = entries[at * ENTRIES + (from === 3 ? low >>> 18 : from === 2 ? (low >>> 9) & 511 : low & 511)]!;
      if (entry === 0) break;
      const permission = entry & 3;
      if (permission !== 0) {
        this.references = references;
        this.foundPermission = permission;
        this.foundFrame = Math.floor(entry / 8);
        this.foundPages = PAGES_OF_LEVEL[from]!;
        this.foundOwner = this.owner[at]!;
        this.foundBase = page;
        return RESULT.leaf;
      }
      at = (entry / 8 - 1) | 0;
    }
    this.references = references;
    return RESULT.notPresent;
  }

  /**
   * Walks from a frame that once held a table of `level`, reading whatever it holds now: zeros fault, the entries of a new table
   * count, data is not present.
   */
  walkStale(frame: number, level: number, page: number): number {
    let at = frame;
    let references = 0;
    for (let depth = level; depth >= 1; depth--) {
      const table = this.memory.tableIn(at);
      references++;
      if (table < 0) break;
      const index = this.indexAt(page, depth);
      const entry = this.entries[table * ENTRIES + index]!;
      if (entry === 0) break;
      const leaf = (entry & 3) !== 0;
      // A pointer read where a leaf is expected translates to the table page it points to, with its read and write bits set.
      const target = leaf ? Math.floor(entry / 8) : this.frame[entry / 8 - 1]!;
      if (depth === 1 || (leaf && entry & LARGE)) {
        this.references = references;
        this.foundPermission = leaf ? entry & 3 : READ | WRITE;
        this.foundPages = PAGES_OF_LEVEL[depth]!;
        this.foundFrame = target - (target % this.foundPages);
        this.foundOwner = this.owner[table]!;
        this.foundBase = this.base[table]! + index * PAGES_OF_LEVEL[this.level[table]!]!;
        return RESULT.leaf;
      }
      at = target;
    }
    this.references = references;
    return RESULT.notPresent;
  }

  digest(sink: DigestSink): void {
    sink.number(this.used);
    sink.column(this.entries, this.used * ENTRIES);
    sink.column(this.frame, this.used);
    sink.column(this.level, this.used);
    sink.column(this.owner, this.used);
    for (const table of this.freeTables) sink.number(table);
    for (const table of this.unlinked) sink.number(table);
  }
}
