/**
 * Writes and clears PTEs for ranges, in the page sizes that the kernel's `iommu_map` would choose: the largest that divides IOVA and
 * physical address and is not longer than what is left.
 *
 * Source: Linux `drivers/iommu/iommu.c`, `iommu_pgsize`; `drivers/iommu/intel/iommu.c` for superpages in the place of tables.
 *
 * With `iommu.pageTableLock` a lock of the domain is taken for each PTE that a map writes, as `mapping_lock` was in `addr_to_dma_pte`
 * of Linux 2.6.26 `drivers/pci/intel-iommu.c`, whether or not a table page was missing; clearing took none. Since 2009 table pages are
 * linked in by compare-and-swap and there is no lock: the default. Departs: the lock covers all of the PTE's step of the profile; the
 * kernel had let go of it before it wrote the leaf and flushed its cache line, and no publication splits the step.
 */
import type { PageTables } from '../hardware/page-table.ts';
import type { Costs } from '../meter/cost-profile.ts';
import type { Counters } from '../meter/counters.ts';
import type { Work } from '../meter/work.ts';
import * as workConstants from '../meter/work.ts';
import type { Lock } from '../sim/lock.ts';
import type { Domain } from './domain.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { ROW } = workConstants;

const SPAN_2M = 512;
const SPAN_1G = 262_144;

/** A tree of tables as its writer sees it: a domain's, or one that a hypervisor keeps. */
export interface Tree {
  /** Owner of its tables. */
  readonly index: number;
  readonly levels: number;
  readonly root: number;
  readonly lastPage: number;
  readonly tableLock: Lock;
}

export class PageMapper {
  declare protected readonly tables: PageTables;
  declare private readonly work: Work;
  declare private readonly costs: Costs;
  declare private readonly counters: Counters;
  declare private readonly has2M: boolean;
  declare private readonly has1G: boolean;
  /** Whether each PTE is written under the domain's `tableLock`. */
  declare readonly locks: boolean;
  /** Whose PTEs the last call wrote. */
  private written: Tree | null = null;
  /** Leaves of 4 KiB, 2 MiB and 1 GiB written by calls since `clearSizes`. */
  readonly leaves = [0, 0, 0];

  constructor(
    tables: PageTables,
    work: Work,
    costs: Costs,
    counters: Counters,
    superpages: string[],
    coherent: boolean,
    locks: boolean,
  ) {
    this.tables = tables;
    this.work = work;
    this.costs = costs;
    this.counters = counters;
    this.has2M = superpages.includes('2MiB');
    this.has1G = superpages.includes('1GiB');
    this.locks = locks;
    const saving = coherent ? costs.coherentWalkSaving : 0;
    this.onePte = costs.mapFirstPte - saving;
    this.oneCleared = costs.unmapFirstPte - saving;
  }

  /** Level of the leaf to write at a page with `left` pages to go: 1, 2 or 3. `largest` caps it. */
  leafLevel(page: number, frame: number, left: number, largest: number): number {
    if (left < SPAN_2M || largest === 1) return 1;
    if (this.has1G && largest >= 3 && left >= SPAN_1G && page % SPAN_1G === 0 && frame % SPAN_1G === 0) return 3;
    if (this.has2M && page % SPAN_2M === 0 && frame % SPAN_2M === 0) return 2;
    return 1;
  }

  clearSizes(): void {
    this.leaves[0] = this.leaves[1] = this.leaves[2] = 0;
  }

  /**
   * @param largest 1, 2 or 3: no leaf larger than 4 KiB, 2 MiB, 1 GiB
   * @returns pages written; less than `pages` when there was no frame for a table
   */
  write(domain: Tree, page: number, frame: number, pages: number, permission: number, largest: number): number {
    const { tables } = this;
    this.written = domain;
    let done = 0;
    while (done < pages) {
      const level = pages === 1 ? 1 : this.leafLevel(page + done, frame + done, pages - done, largest);
      if (level > 1) this.replacedTables += tables.unlinkForLeaf(domain.root, domain.levels, page + done, level);
      if (!tables.write(domain.root, domain.levels, domain.index, page + done, frame + done, permission, level)) break;
      this.leaves[level - 1]!++;
      this.counters.ptesWritten++;
      done += level === 1 ? 1 : level === 2 ? SPAN_2M : SPAN_1G;
    }
    return done;
  }

  /** As `write` of one page. @returns whether it was written */
  writeOne(domain: Domain, page: number, frame: number, permission: number): boolean {
    if (!this.tables.write(domain.root, domain.levels, domain.index, page, frame, permission, 1)) return false;
    this.leaves[0]!++;
    this.counters.ptesWritten++;
    return true;
  }

  private replacedTables = 0;

  /**
   * Table pages that superpages took the place of since it was asked last. Walk caches may point to them: the caller invalidates the
   * range, leaf-only not, then releases them, as `switch_to_super_page` of Linux `drivers/iommu/intel/iommu.c` does.
   */
  takeReplaced(): number {
    const { replacedTables } = this;
    this.replacedTables = 0;
    this.counters.tablePagesFreed += replacedTables;
    return replacedTables;
  }

  /** Milli-cycles of the page-table part of a map call that writes one entry. */
  declare readonly onePte: number;

  /** Books the page-table part of a map call that wrote `ptes` entries. */
  bookMap(ptes: number): void {
    if (this.locks) this.bookLocked(ptes);
    else this.work.add(ROW.pageTable, this.onePte + (ptes - 1) * this.costs.mapFurtherPte);
  }

  private bookLocked(ptes: number): void {
    const { work, costs } = this;
    const lock = this.written!.tableLock;
    for (let pte = 0; pte < ptes; pte++) {
      work.acquire(lock);
      work.add(ROW.pageTable, pte === 0 ? this.onePte : costs.mapFurtherPte);
      work.release(lock);
    }
  }

  /** Clears every leaf in a range; holes are skipped. @returns 4 KiB pages that were mapped */
  clear(domain: Tree, page: number, pages: number): number {
    const { tables, counters } = this;
    if (pages === 1) {
      const cleared = tables.clear(domain.root, domain.levels, page);
      if (cleared > 0) counters.ptesCleared++;
      this.clearedPtes = cleared > 0 ? 1 : 0;
      return cleared;
    }
    let mapped = 0;
    let ptes = 0;
    for (let at = page; at < page + pages; ) {
      const cleared = tables.clear(domain.root, domain.levels, at);
      if (cleared > 0) {
        ptes++;
        mapped += cleared;
        at += cleared;
      } else at += tables.holeAt(domain.root, domain.levels, at);
    }
    counters.ptesCleared += ptes;
    this.clearedPtes = ptes;
    counters.tablePagesFreed += tables.unlinkCovered(domain.root, domain.levels, page, page + pages - 1);
    return mapped;
  }

  /** Whether an entry that `clear` was asked to clear still stands: it may be for somebody else to do, later. */
  stands(_domain: Domain, _page: number): boolean {
    return false;
  }

  /** PTEs that the last `clear` found. */
  clearedPtes = 0;

  /** Whether any call ever cleared more than one PTE: whether the step `unmapFurtherPte` was used. */
  clearedSeveral = false;

  /** Milli-cycles of the page-table part of an unmap that clears at most one entry. */
  declare readonly oneCleared: number;

  bookUnmap(ptes: number): void {
    if (ptes > 1) this.clearedSeveral = true;
    this.work.add(ROW.pageTable, this.oneCleared + (ptes > 1 ? (ptes - 1) * this.costs.unmapFurtherPte : 0));
  }
}
