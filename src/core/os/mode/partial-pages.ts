/**
 * What an untrusted device gets of a page that does not belong to the mapping alone: a copy in a page of the bounce pool, the rest of
 * which is cleared. The page is then mapped as any other, so that nothing beside the buffer is ever in reach.
 *
 * Source: Linux `drivers/iommu/dma-iommu.c` since 5.15, for devices on external ports: `dev_use_swiotlb` and an address or a length
 * that is not whole pages. Lists are mapped segment by segment and not merged. At an unmap the page is out of reach before it is
 * copied back, so that what was checked stays as it was.
 * Departs: coherent memory never needs it, as it comes in whole pages.
 */
import { ROW } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Exposure } from '../../truth/exposure.ts';
import type { Device } from '../device.ts';
import { MAP_FAILED, MAP_NO_MEMORY, MAP_SUSPENDED, permissionOf } from '../dma-api.ts';
import type { Domain } from '../domain.ts';
import { NO_PFN, SUSPENDED } from '../iova/allocator.ts';
import { type CopiedSegment, NO_HOLD, NO_SOURCE } from '../mappings.ts';
import type { InputSegment } from '../scatterlist.ts';
import { recordCopies } from './bounce.ts';
import { type BouncePool, NO_SLOT } from './bounce-pool.ts';
import { Copies } from './copies.ts';
import { MAP_BOUNCE_FULL, type ModeParts } from './mode.ts';

const FROM_DEVICE = 1;

export interface PartialParts extends ModeParts {
  exposure: Exposure;
  findCost: number;
}

export class PartialPages {
  private readonly parts: PartialParts;
  readonly pool: BouncePool;
  private readonly copies: Copies;
  /** Slots of a mapping whose address search yielded; NO_SLOT none. */
  private waiting = NO_SLOT;
  /** Segments mapped of a list whose address search yielded. */
  private done: CopiedSegment[] = [];

  constructor(parts: PartialParts, pool: BouncePool) {
    this.parts = parts;
    this.pool = pool;
    this.copies = new Copies(parts);
  }

  /** Takes whole pages and fills them: the driver's bytes if the device is to read them, zeros around or instead. */
  private take(direction: number, lengthBytes: number): number {
    const bytes = Math.ceil(lengthBytes / 4096) * 4096;
    const first = this.pool.take(bytes, true);
    if (first === NO_SLOT) return NO_SLOT;
    this.copies.in(direction, lengthBytes);
    const cleared = direction === FROM_DEVICE ? bytes : bytes - lengthBytes;
    if (cleared > 0) this.copies.zero(cleared);
    return first;
  }

  private full(): number {
    this.parts.work.add(ROW.other, this.parts.costs.mapOther);
    this.parts.counters.mapFailures++;
    return MAP_BOUNCE_FULL;
  }

  map(device: Device, kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number {
    const { dma, mappings } = this.parts;
    if (this.waiting === NO_SLOT) {
      this.waiting = this.take(direction, lengthBytes);
      if (this.waiting === NO_SLOT) {
        dma.countCall(kind);
        return this.full();
      }
    }
    const held = this.waiting;
    const slot = dma.mapPages(device, kind, direction, this.pool.pageOf(held), 0, lengthBytes);
    if (slot === MAP_SUSPENDED) return slot;
    this.waiting = NO_SLOT;
    if (slot < 0) {
      this.pool.give(held);
      return slot;
    }
    mappings.setSource(slot, frame, offset, held);
    mappings.padded[slot] = 1;
    return slot;
  }

  mapSg(device: Device, direction: number, segments: readonly InputSegment[]): number {
    const { parts, pool, done } = this;
    const { dma, counters, work, costs, mappings } = parts;
    const domain = device.domain!;
    for (let i = done.length; i < segments.length; i++) {
      const { frame, offset, lengthBytes } = segments[i]!;
      const whole = offset === 0 && lengthBytes % 4096 === 0;
      if (!whole && this.waiting === NO_SLOT) {
        this.waiting = this.take(direction, lengthBytes);
        if (this.waiting === NO_SLOT) return this.giveUp(domain, MAP_BOUNCE_FULL);
      }
      const pages = Math.ceil(lengthBytes / 4096);
      const page = dma.iova.take(device, domain, pages);
      if (page === SUSPENDED) return MAP_SUSPENDED;
      const held = whole ? NO_HOLD : this.waiting;
      if (page === NO_PFN) return this.giveUp(domain, MAP_FAILED);
      const reached = whole ? frame : pool.pageOf(held);
      if (!dma.writeRange(domain, page, reached, pages, permissionOf(direction)))
        return this.giveUp(domain, MAP_NO_MEMORY);
      this.waiting = NO_SLOT;
      work.add(ROW.other, costs.mapOther);
      done.push({ frame, offset, lengthBytes, page, iovaOffset: 0, held });
    }
    this.done = [];
    counters.mapSgCalls++;
    const reach = ({ held, frame }: CopiedSegment) => (held === NO_HOLD ? frame : pool.pageOf(held));
    const slot = recordCopies(parts, device, direction, done, reach);
    mappings.padded[slot] = 1;
    return slot;
  }

  /** The list fails: what was mapped of it is unmapped again. */
  private giveUp(domain: Domain, code: number): number {
    const { dma, mapper, flush, tables, counters, work, costs } = this.parts;
    if (this.waiting !== NO_SLOT) this.pool.give(this.waiting);
    this.waiting = NO_SLOT;
    for (const { page, lengthBytes, held } of this.done) {
      const pages = Math.ceil(lengthBytes / 4096);
      mapper.clear(domain, page, pages);
      mapper.bookUnmap(mapper.clearedPtes);
      flush.range(domain, page, pages, tables.unlinkedTables === 0);
      tables.releaseUnlinked();
      dma.iova.free(domain, page, pages);
      if (held !== NO_HOLD) this.pool.give(held);
    }
    this.done = [];
    counters.mapSgCalls++;
    if (code === MAP_NO_MEMORY) return code;
    work.add(ROW.other, costs.mapOther);
    counters.mapFailures++;
    return code;
  }

  /** The page of a mapping is out of reach: the driver gets its bytes, the pool its slots. */
  release(slot: number): void {
    const { mappings } = this.parts;
    this.copies.out(mappings.direction[slot]!, mappings.lengthBytes[slot]!);
    this.pool.give(mappings.held[slot]!);
  }

  /** A list, segment by segment. */
  unmapList(slot: number, device: Device): void {
    const { dma, mappings, mapper, work, costs, exposure, findCost, domains, clock } = this.parts;
    const domain = domains[mappings.domain[slot]!]!;
    const direction = mappings.direction[slot]!;
    if (device.history !== null) device.history.push(mappings.page[slot]!, mappings.offset[slot]!, work.now());
    for (const { page, frame, lengthBytes, held } of mappings.segments[slot]!) {
      const pages = Math.ceil(lengthBytes / 4096);
      work.add(ROW.iovaFind, findCost);
      mapper.clear(domain, page, pages);
      mapper.bookUnmap(mapper.clearedPtes);
      exposure.pending.begin(domain.index, page, page + pages - 1);
      work.add(ROW.other, domain.deferred ? costs.unmapOtherDeferred : costs.unmapOther);
      domain.policy.unmapped(domain, page, pages);
      if (held !== NO_HOLD) {
        this.copies.out(direction, lengthBytes);
        this.pool.give(held);
      }
      const now = work.now();
      const first = held === NO_HOLD ? frame : this.pool.pageOf(held);
      for (let i = 0; i < pages; i++)
        dma.endPage(slot, domain, page + i, first + i, exposure.pending.open, now, clock.toNs(now));
      exposure.pending.end();
    }
  }

  sync(slot: number, forDevice: boolean, offsetBytes: number, lengthBytes: number): void {
    const { mappings } = this.parts;
    const list = mappings.frame[slot] === -1 && mappings.segments[slot];
    if (list || mappings.source[slot] !== NO_SOURCE) this.copies.sync(slot, forDevice, offsetBytes, lengthBytes);
  }

  abandon(slot: number): void {
    const { mappings } = this.parts;
    const list = mappings.frame[slot] === -1 ? mappings.segments[slot] : null;
    if (list) {
      for (const { held } of list) if (held !== NO_HOLD) this.pool.release(held);
    } else if (mappings.source[slot] !== NO_SOURCE) this.pool.release(mappings.held[slot]!);
  }

  digest(sink: DigestSink): void {
    this.pool.digest(sink);
    sink.number(this.waiting);
  }
}
