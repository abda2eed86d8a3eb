/**
 * What the DMA API does with mappings that an allocator keeps after their unmap (`persistent`): takes them over at a map of the same
 * memory, and tears them down, through the session's invalidation policy, when there is no room, when their time is over, and when
 * their domain loses a device.
 */
import type { Costs } from '../meter/cost-profile.ts';
import { ROW, type Work } from '../meter/work.ts';
import type { Clock } from '../sim/clock.ts';
import type { Exposure } from '../truth/exposure.ts';
import type { Device } from './device.ts';
import type { Domain } from './domain.ts';
import type { KeptMappings } from './iova/kept-mappings.ts';
import { type Mappings, NO_SOURCE } from './mappings.ts';

export interface KeeperParts {
  clock: Clock;
  work: Work;
  costs: Costs;
  mappings: Mappings;
  exposure: Exposure;
  /** The rest of an unmap: PTEs, invalidation and address, as the policy has it. */
  tearDown(domain: Domain, page: number, pages: number): void;
}

export class Keeper {
  private readonly parts: KeeperParts;

  constructor(parts: KeeperParts) {
    this.parts = parts;
  }

  /** Whether a mapping can be kept: one run of the driver's memory that its unmap does not free, of a device that is trusted. */
  mayKeep(slot: number, device: Device): boolean {
    const { mappings } = this.parts;
    return (
      mappings.frame[slot] !== -1 &&
      mappings.ownsFrames[slot] === 0 &&
      mappings.source[slot] === NO_SOURCE &&
      !device.untrusted
    );
  }

  /** Keeps a mapping that is being unmapped. */
  keep(domain: Domain, slot: number): void {
    const { mappings, work, costs, clock } = this.parts;
    const kept = domain.allocator!.kept!;
    work.add(ROW.iovaFree, costs.cacheFree);
    if (kept.full) {
      kept.evicted++;
      this.tearDown(domain, kept);
    }
    const nowNs = clock.toNs(work.now());
    kept.keep(mappings.page[slot]!, mappings.frame[slot]!, mappings.pages[slot]!, mappings.permission[slot]!, nowNs);
    kept.armExpiry(nowNs);
  }

  /** Tears down the one kept longest. */
  private tearDown(domain: Domain, kept: KeptMappings): void {
    const slot = kept.first;
    kept.remove(slot);
    this.parts.tearDown(domain, kept.pageOf(slot), kept.pagesOf(slot));
  }

  /**
   * Takes over a mapping of the same memory that was kept. A search that yields asks again; `book` books the look-up once.
   * @returns its first page, or NO_KEPT
   */
  take(device: Device, domain: Domain, frame: number, pages: number, permission: number): number {
    const { maskLastPfn } = device;
    const limit = maskLastPfn < domain.lastPage ? maskLastPfn : domain.lastPage;
    return domain.space(maskLastPfn).kept!.take(frame, pages, permission, limit);
  }

  /** Books the look-up of a map; what was found is exposed no more. */
  book(domain: Domain, page: number, pages: number, found: boolean): void {
    const { work, costs, exposure } = this.parts;
    const kept = domain.allocator!.kept!;
    work.add(ROW.iovaAlloc, costs.cacheAlloc);
    if (!found) {
      kept.misses++;
      return;
    }
    kept.hits++;
    work.add(ROW.other, costs.mapOther);
    exposure.remapped(domain.index, page, page + pages - 1, work.now());
  }

  /** The timer of a domain's kept mappings fires. */
  expire(domain: Domain): void {
    const { clock, work } = this.parts;
    const kept = domain.allocator!.kept!;
    const nowNs = clock.toNs(work.now());
    kept.timerArmed = false;
    while (kept.isDue(nowNs)) {
      kept.expired++;
      this.tearDown(domain, kept);
    }
    kept.armExpiry(clock.toNs(work.now()));
  }

  /** The domain loses a device, or goes away. */
  drain(domain: Domain): void {
    const kept = domain.allocator?.kept;
    if (kept === undefined) return;
    while (kept.count > 0) {
      kept.drained++;
      this.tearDown(domain, kept);
    }
  }
}
