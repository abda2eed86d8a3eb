/**
 * The walk of two stages: a guest's tables from IOVA to guest-physical, its hypervisor's from there to the machine.
 *
 * Every address that the first stage has, of its root, of each table and of the page itself, is guest-physical and goes through the
 * second before anything is read there: with four levels each that is 4 x (4 + 1) + 4 = 24 references. Each stage has paging-structure
 * caches. Those of the first hold where a table really lies, so that a walk which begins there asks nothing of the second for it; with
 * both warm two references are left, a leaf of each. What goes into the IOTLB is both stages in one: the smaller page, and what both
 * allow.
 *
 * Source: Intel VT-d specification, nested translation (scalable mode, PASID entry of type nested) and its fault reasons; 24
 * references: HyperTRIO, ISCA 2020; 2.0 to 2.5 memory accesses a page with warm caches: iommu-vm, 2025.
 * Departs: no cache of whole translations of the second stage alone. First-stage entries have a read bit: on the chip what is present
 * can be read. The PASID table, and access and dirty bits, are not read or written.
 */
import { assert } from '../assert.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { SCALABLE } from './fault.ts';
import { type PageTables, READ, SPAN, WALK, WRITE } from './page-table.ts';
import type { WalkCacheLevel } from './walk-cache.ts';
import type { SecondStage, TranslationDomain } from './watcher.ts';

const BLOCKED = -1;
const EVERYTHING = Number.POSITIVE_INFINITY;

export class NestedWalk {
  private readonly tables: PageTables;
  /** [0] points to leaf tables, [1] to level 2, ...; of the first stage those of the chip. */
  private readonly firstCaches: readonly WalkCacheLevel[];
  readonly secondCaches: readonly WalkCacheLevel[];

  // Of the last walk; what it found is in the tables' own results, as that of one stage.
  /** Fault reason, when it found nothing. */
  reason = 0;
  /** Whether a walk cache of the first stage had part of the way; whether that led to a table which is none any more. */
  skipped = false;
  stale = false;
  private references = 0;

  // Of the last page through the second stage.
  private hostPages = 1;
  private hostPermission = 0;

  constructor(tables: PageTables, firstCaches: readonly WalkCacheLevel[], secondCaches: readonly WalkCacheLevel[]) {
    this.tables = tables;
    this.firstCaches = firstCaches;
    this.secondCaches = secondCaches;
  }

  /** @returns WALK.leaf with the tables' `found*` set, or WALK.notPresent with `reason`; the tables' `references` either way */
  walk(domain: TranslationDomain, stage: SecondStage, page: number, permission: number): number {
    this.references = 0;
    const found = this.descend(domain, stage, page, permission);
    this.tables.references = this.references;
    return found;
  }

  private descend(domain: TranslationDomain, stage: SecondStage, page: number, permission: number): number {
    const { tables, firstCaches } = this;
    let level = domain.levels;
    let frame = tables.frameOf(domain.root);
    this.skipped = false;
    this.stale = false;
    for (let i = 0; i < domain.levels - 1; i++) {
      const cache = firstCaches[i];
      if (cache === undefined || cache.capacity === 0) continue;
      const slot = cache.lookup(domain.index, cache.prefixOf(page));
      if (slot < 0) continue;
      this.skipped = true;
      level = cache.tableLevel;
      frame = cache.frame[slot]!;
      this.stale = tables.generationOf(cache.table[slot]!) !== cache.generation[slot];
      break;
    }
    const start = level;
    for (; level >= 1; level--) {
      if (level < start || !this.skipped) {
        frame = this.throughSecond(stage, frame, READ);
        if (frame === BLOCKED) return WALK.notPresent;
      }
      this.references++;
      const entry = tables.entryIn(frame, level, page);
      if (level < start && !this.stale) this.cacheTable(domain.index, level, page, frame);
      if (entry === 0) break;
      frame = tables.targetOf(entry);
      if (tables.isLast(entry, level)) return this.leaf(stage, entry, level, page, permission);
    }
    this.reason = SCALABLE.firstNotPresent;
    return WALK.notPresent;
  }

  /** The end of the first stage; one page is left to translate. */
  private leaf(stage: SecondStage, entry: number, level: number, page: number, permission: number): number {
    const { tables } = this;
    const allowed = tables.permissionOf(entry);
    if ((allowed & permission) === 0) {
      this.reason = permission === WRITE ? SCALABLE.write : SCALABLE.read;
      return WALK.notPresent;
    }
    const table = tables.readTable;
    const span = SPAN[level]!;
    const target = tables.targetOf(entry);
    const host = this.throughSecond(stage, target - (target % span) + (page % span), permission);
    if (host === BLOCKED) return WALK.notPresent;
    const pages = Math.min(span, this.hostPages);
    tables.foundPages = pages;
    tables.foundFrame = host - (page % pages);
    tables.foundPermission = allowed & this.hostPermission;
    tables.foundOwner = tables.ownerOf(table);
    tables.foundBase = tables.placeOf(table, tables.indexAt(page, level));
    return WALK.leaf;
  }

  /** A guest-physical frame, for what is to be done there. @returns the machine's, or BLOCKED with `reason` */
  private throughSecond(stage: SecondStage, frame: number, permission: number): number {
    const { tables, secondCaches } = this;
    if (frame > stage.lastPage) {
      this.reason = SCALABLE.beyondGuest;
      return BLOCKED;
    }
    let table = stage.root;
    let level = stage.levels;
    for (let i = 0; i < stage.levels - 1; i++) {
      const cache = secondCaches[i];
      if (cache === undefined || cache.capacity === 0) continue;
      const slot = cache.lookup(stage.tag, cache.prefixOf(frame));
      if (slot < 0) continue;
      table = cache.table[slot]!;
      level = cache.tableLevel;
      assert(tables.generationOf(table) === cache.generation[slot], 'a table of the second stage went uninvalidated');
      break;
    }
    const found = tables.walk(table, level, frame);
    this.references += tables.references;
    for (let at = level - 1; at > level - tables.references; at--) {
      const cache = secondCaches[at - 1];
      if (cache === undefined || cache.capacity === 0) continue;
      const read = tables.path[at]!;
      cache.fill(stage.tag, cache.prefixOf(frame), read, tables.frameOf(read), tables.generationOf(read));
    }
    if (found !== WALK.leaf || (tables.foundPermission & permission) === 0) {
      this.reason = SCALABLE.secondPermission;
      return BLOCKED;
    }
    this.hostPages = tables.foundPages;
    this.hostPermission = tables.foundPermission;
    return tables.foundFrame + (frame % tables.foundPages);
  }

  /** A table of the first stage that was read goes into the cache of the pointers to its level. */
  private cacheTable(domain: number, level: number, page: number, frame: number): void {
    const { tables } = this;
    const cache = this.firstCaches[level - 1];
    const table = tables.readTable;
    if (cache === undefined || cache.capacity === 0 || table < 0) return;
    cache.fill(domain, cache.prefixOf(page), table, frame, tables.generationOf(table));
  }

  /** The second stage of a tag changed: nothing that was cached of it is right for sure. */
  invalidateSecond(tag: number): void {
    for (const cache of this.secondCaches) cache.invalidate(tag, 0, EVERYTHING);
  }

  digest(sink: DigestSink): void {
    for (const cache of this.secondCaches) cache.digest(sink);
  }
}
