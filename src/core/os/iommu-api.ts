/**
 * The domain-level calls under the DMA API, as VFIO or iommufd make them: explicit IOVAs, no allocator, ranges that may be huge.
 *
 * Source: Linux `drivers/iommu/iommu.c`, `iommu_map` and `iommu_unmap`.
 */
import type { Memory } from '../hardware/memory.ts';
import { type PageTables, WALK } from '../hardware/page-table.ts';
import type { Counters } from '../meter/counters.ts';
import type { Work } from '../meter/work.ts';
import type { Clock } from '../sim/clock.ts';
import type { Exposure } from '../truth/exposure.ts';
import type { Domain } from './domain.ts';
import type { IotlbFlush } from './iotlb-flush.ts';
import type { PageMapper } from './page-mapper.ts';

export interface IommuApiParts {
  clock: Clock;
  work: Work;
  counters: Counters;
  memory: Memory;
  tables: PageTables;
  mapper: PageMapper;
  exposure: Exposure;
  flush: IotlbFlush;
  cachingMode: boolean;
}

export class IommuApi {
  private readonly parts: IommuApiParts;

  constructor(parts: IommuApiParts) {
    this.parts = parts;
  }

  /**
   * Maps a range that nothing stands in the way of.
   *
   * @param largest 1 to 3: no leaf larger than 4 KiB, 2 MiB, 1 GiB
   * @returns false when there was no frame for a table: what was written is cleared again
   */
  map(domain: Domain, page: number, frame: number, pages: number, permission: number, largest: number): boolean {
    const { counters, mapper, memory, flush, tables, clock, work } = this.parts;
    counters.iommuMapCalls++;
    mapper.clearSizes();
    const before = counters.ptesWritten;
    const done = mapper.write(domain, page, frame, pages, permission, largest);
    mapper.bookMap(Math.max(1, counters.ptesWritten - before));
    const replaced = mapper.takeReplaced();
    if (done < pages) {
      if (done > 0) {
        mapper.clear(domain, page, done);
        flush.range(domain, page, done, false);
        tables.releaseUnlinked();
      }
      return false;
    }
    if (replaced > 0) {
      flush.range(domain, page, pages, false);
      tables.releaseUnlinked();
    } else if (this.parts.cachingMode) flush.mapped(domain, page, pages);
    const last = page + pages - 1;
    domain.space(domain.lastPage).reserve(page, last);
    domain.pages.ranges.splice(domain.pages.rangeIndex(page), 0, {
      first: page,
      last,
      frame,
      permission,
      age: memory.handOuts,
      tenants: memory.ownersOf(frame, frame + pages - 1),
      mappedNs: clock.toNs(work.now()),
      freed: false,
    });
    return true;
  }

  /** Whether an unmap of [first, last] would cut a superpage in two. */
  cutsSuperpage(domain: Domain, first: number, last: number): boolean {
    const { tables } = this.parts;
    for (const [page, edge] of [
      [first, first],
      [last, last + 1],
    ] as const) {
      if (
        tables.walk(domain.root, domain.levels, page) === WALK.leaf &&
        tables.foundPages > 1 &&
        edge % tables.foundPages !== 0
      )
        return true;
    }
    return false;
  }

  /**
   * Unmaps whatever lies in a range; holes are fine.
   * @returns 4 KiB pages that were mapped
   */
  unmap(domain: Domain, first: number, pages: number, invalidate: boolean): number {
    const { counters, mapper, tables, flush, exposure, work, clock } = this.parts;
    counters.iommuUnmapCalls++;
    const last = first + pages - 1;
    const unmapped = mapper.clear(domain, first, pages);
    mapper.bookUnmap(mapper.clearedPtes);
    exposure.pending.begin(domain.index, first, last);
    // Also where nothing was mapped: a table that small unmaps left empty may go, and a walk cache may point to it.
    if (invalidate && (unmapped > 0 || tables.unlinkedTables > 0))
      flush.range(domain, first, pages, tables.unlinkedTables === 0);
    tables.releaseUnlinked();
    const now = work.now();
    const nowNs = clock.toNs(now);
    const open = exposure.pending.open;
    const { ranges } = domain.pages;
    const allocator = domain.space(domain.lastPage);
    for (let i = domain.pages.rangeIndex(first); i < ranges.length && ranges[i]!.first <= last; ) {
      const range = ranges[i]!;
      const from = Math.max(first, range.first);
      const to = Math.min(last, range.last);
      allocator.unreserve(from, to);
      domain.pages.remember(from, to, range.mappedNs, nowNs);
      if (open)
        for (let page = from; page <= to; page++) {
          const chunk = domain.pages.chunk(page);
          chunk.tenant[page & 511] = range.tenants.tenantOf(range.frame + (page - range.first));
          chunk.age[page & 511] = range.age;
          chunk.mappedNs[page & 511] = range.mappedNs;
          chunk.unmappedNs[page & 511] = nowNs;
          if (exposure.pending.isOpen(page))
            exposure.openWindow(domain.index, chunk, page, 4096, now, mapper.stands(domain, page));
        }
      const left = { ...range, last: from - 1 };
      const right = { ...range, first: to + 1, frame: range.frame + (to + 1 - range.first) };
      const rest = [left, right].filter((part) => part.first <= part.last);
      ranges.splice(i, 1, ...rest);
      i += rest.length;
    }
    exposure.pending.end();
    return unmapped;
  }
}
