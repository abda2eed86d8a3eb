/**
 * The DMA API: map and unmap as the kernel does them, each with its cost booked row by row, and the oracle told of what changed.
 *
 * Source: Linux `drivers/iommu/dma-iommu.c` (today's order of steps, 32-bit first) and `drivers/iommu/intel-iommu.c` of 3.6.
 */
import type { Memory } from '../hardware/memory.ts';
import type { PageTables } from '../hardware/page-table.ts';
import * as pageTableConstants from '../hardware/page-table.ts';
import * as workConstants from '../meter/work.ts';
import type { Clock } from '../sim/clock.ts';
import type { Exposure } from '../truth/exposure.ts';
import type { Oracle } from '../truth/oracle.ts';
import type { Device } from './device.ts';
import type { Domain } from './domain.ts';
import type { PolicyFunctions } from './invalidation/functions.ts';
import type { IotlbFlush } from './iotlb-flush.ts';
import * as allocatorConstants from './iova/allocator.ts';
import * as callConstants from './iova/call.ts';
import * as keptMappingsConstants from './iova/kept-mappings.ts';
import { type IovaCallParts, IovaCalls } from './iova-calls.ts';
import { Keeper } from './keeper.ts';
import type { Mappings } from './mappings.ts';
import * as mappingsConstants from './mappings.ts';
import type { Mode } from './mode/mode.ts';
import type { PartialPages } from './mode/partial-pages.ts';
import type { PageMapper } from './page-mapper.ts';
import { frameOfRun, type InputSegment, isOneRun, layOut, mergeOutputs, runsOf } from './scatterlist.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { READ, WRITE } = pageTableConstants;
const { ROW } = workConstants;
const { NO_PFN, SUSPENDED } = allocatorConstants;
const { NO_FRAME_HINT } = callConstants;
const { NO_KEPT } = keptMappingsConstants;
const { MAP_KIND, NO_SOURCE } = mappingsConstants;

/** Results of `map` that are no slot. */
export const MAP_FAILED = -1;
export const MAP_NO_MEMORY = -2;
export const MAP_SUSPENDED = -3;
const NOT_SUSPENDED = -1;

export interface DmaApiParts extends IovaCallParts {
  clock: Clock;
  memory: Memory;
  tables: PageTables;
  mapper: PageMapper;
  mappings: Mappings;
  exposure: Exposure;
  oracle: Oracle;
  flush: IotlbFlush;
  /** What takes the place of map and unmap; null where each mapping is translated. */
  mode(dma: DmaApi): Mode | null;
  /** Whether a map of one page is no more than an address, a PTE and the record of it. */
  plain: boolean;
  /** Whether the allocator keeps mappings after their unmap. */
  keepsMappings: boolean;
  cachingMode: boolean;
  /** Milli-cycles that an unmap takes to find its range. */
  findCost: number;
  /** [domain index] */
  domains: readonly Domain[];
}

export class DmaApi {
  declare private readonly parts: DmaApiParts;
  declare readonly mode: Mode | null;
  declare readonly iova: IovaCalls;
  declare private readonly plain: boolean;
  declare private readonly byFrame: boolean;
  declare private readonly keeper: Keeper | null;
  /** Copies of the partial pages of untrusted devices; null until there is such a device. */
  partial: PartialPages | null = null;
  /** Whether the last unmap left a cached translation behind. */
  lastExposed = false;
  /** `Work.total` when the call began whose search yielded. */
  private suspendedAt = NOT_SUSPENDED;

  constructor(parts: DmaApiParts) {
    this.parts = parts;
    this.iova = new IovaCalls(parts);
    this.plain = parts.plain;
    this.byFrame = parts.byFrame;
    const tearDown = (domain: Domain, page: number, pages: number) => this.tearDown(domain, page, pages);
    this.keeper = parts.keepsMappings ? new Keeper({ ...parts, tearDown }) : null;
    this.mode = parts.mode(this);
  }

  countCall(kind: number): void {
    const { counters } = this.parts;
    if (kind === MAP_KIND.page) counters.mapPageCalls++;
    else if (kind === MAP_KIND.single) counters.mapSingleCalls++;
    else counters.mapCoherentCalls++;
  }

  private noIova(): number {
    const { work, costs, counters } = this.parts;
    work.add(ROW.other, costs.mapOther);
    counters.mapFailures++;
    return MAP_FAILED;
  }

  /** Clears PTEs that were left standing at their unmap. */
  clearPtes(domain: Domain, page: number, pages: number): void {
    const { mapper, exposure, work } = this.parts;
    mapper.clear(domain, page, pages);
    mapper.bookUnmap(mapper.clearedPtes);
    if (!mapper.stands(domain, page)) exposure.cleared(domain.index, page, page + pages - 1, work.now());
  }

  /** Whether PTEs of mappings that are unmapped stand in a range. */
  stands(domain: Domain, first: number, last: number): boolean {
    return (
      (domain.keepsPte && domain.policy.holds(domain, first, last)) ||
      domain.allocator?.kept?.holds(first, last) === true
    );
  }

  /** A domain loses a device, or goes away: what is kept in it or held back is flushed and freed. */
  drain(domain: Domain): void {
    this.keeper?.drain(domain);
    domain.policy.drain(domain);
  }

  /** Unmaps for good what was kept. */
  private tearDown(domain: Domain, page: number, pages: number): void {
    if (!domain.keepsPte) this.clearPtes(domain, page, pages);
    domain.policy.unmapped(domain, page, pages);
  }

  /** Work that a domain's allocator put off is due. @returns false when the domain is gone */
  allocatorTimer(domain: Domain, token: number): boolean {
    if (domain.allocator?.kept === undefined) return this.iova.timer(domain, token);
    this.keeper!.expire(domain);
    return true;
  }

  /**
   * Maps one physically contiguous stretch.
   *
   * @param kind `MAP_KIND.single`, `page` or `coherent`
   * @param direction index into `directions`
   * @returns a mapping slot; MAP_FAILED (no IOVA), MAP_NO_MEMORY (no frame for a table) or what the mode answers when it cannot, all
   * executed; MAP_SUSPENDED: call again
   */
  map(device: Device, kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number {
    const { work } = this.parts;
    const begun = work.total;
    return this.timed(begun, this.mapAsIs(device, kind, direction, frame, offset, lengthBytes));
  }

  /** Books how long a call that maps took, when it is over: one whose search yields goes on where it was. */
  private timed(begun: number, slot: number): number {
    if (slot === MAP_SUSPENDED) {
      if (this.suspendedAt === NOT_SUSPENDED) this.suspendedAt = begun;
      return slot;
    }
    const { work } = this.parts;
    if (this.suspendedAt === NOT_SUSPENDED) work.durations.map.record(work.total - begun);
    else {
      work.durations.map.record(work.total - this.suspendedAt);
      this.suspendedAt = NOT_SUSPENDED;
    }
    return slot;
  }

  private mapAsIs(
    device: Device,
    kind: number,
    direction: number,
    frame: number,
    offset: number,
    lengthBytes: number,
  ): number {
    if (this.plain && offset + lengthBytes <= 4096 && !device.untrusted)
      return this.mapOne(device, kind, direction, frame, offset, lengthBytes);
    if (this.mode !== null) return this.mode.map(device, kind, direction, frame, offset, lengthBytes);
    if (device.untrusted && kind !== MAP_KIND.coherent && (offset !== 0 || lengthBytes % 4096 !== 0))
      return this.partial!.map(device, kind, direction, frame, offset, lengthBytes);
    return this.mapPages(device, kind, direction, frame, offset, lengthBytes);
  }

  /** As `map`: an address and page-table entries of its own. */
  mapPages(
    device: Device,
    kind: number,
    direction: number,
    frame: number,
    offset: number,
    lengthBytes: number,
  ): number {
    const { parts, keeper } = this;
    const domain = device.domain!;
    const pages = Math.ceil((offset + lengthBytes) / 4096);
    const permission = permissionOf(direction);
    let page = keeper === null ? NO_KEPT : keeper.take(device, domain, frame, pages, permission);
    const found = page !== NO_KEPT;
    if (!found) {
      if (this.byFrame) parts.call.frame = frame;
      page = this.iova.allocate(device, domain, pages);
      if (page === SUSPENDED) return MAP_SUSPENDED;
    }
    if (keeper !== null) keeper.book(domain, page, pages, found);
    this.countCall(kind);
    if (!found) {
      if (page === NO_PFN) return this.noIova();
      if (!this.writeRange(domain, page, frame, pages, permission)) return MAP_NO_MEMORY;
      parts.work.add(ROW.other, parts.costs.mapOther);
    }
    const slot = this.record(device, domain, kind, direction, page, pages, offset, lengthBytes);
    const { mappings, oracle } = parts;
    mappings.frame[slot] = frame;
    const nowNs = mappings.mappedNs[slot]!;
    const now = parts.work.now();
    for (let i = 0; i < pages; i++) oracle.mapped(domain.pages, page + i, slot, frame + i, direction, nowNs, now);
    return slot;
  }

  /** Entries for a range that was just allocated. @returns false without a frame for a table: the address is free again */
  writeRange(domain: Domain, page: number, frame: number, pages: number, permission: number): boolean {
    const { mapper, counters } = this.parts;
    const written = counters.ptesWritten;
    const done = mapper.write(domain, page, frame, pages, permission, 3);
    mapper.bookMap(Math.max(1, counters.ptesWritten - written));
    if (done < pages) {
      this.undo(domain, page, pages, done);
      return false;
    }
    this.afterWrite(domain, page, pages);
    return true;
  }

  /** As `map` of at most a page, the usual case by far, without what cannot happen then: half the code, and so half the time. */
  private mapOne(
    device: Device,
    kind: number,
    direction: number,
    frame: number,
    offset: number,
    lengthBytes: number,
  ): number {
    const { parts } = this;
    const { work, costs, mappings } = parts;
    const domain = device.domain!;
    if (this.byFrame) parts.call.frame = frame;
    const page = this.iova.allocate(device, domain, 1);
    if (page === SUSPENDED) return MAP_SUSPENDED;
    this.countCall(kind);
    if (page === NO_PFN) return this.noIova();
    const permission = permissionOf(direction);
    if (!parts.mapper.writeOne(domain, page, frame, permission)) {
      parts.mapper.bookMap(1);
      return this.undo(domain, page, 1, 0);
    }
    work.addBoth(ROW.pageTable, parts.mapper.onePte, ROW.other, costs.mapOther);
    const slot = mappings.create();
    mappings.workload[slot] = parts.exposure.workload;
    mappings.domain[slot] = domain.index;
    mappings.device[slot] = device.index;
    mappings.kind[slot] = kind;
    mappings.direction[slot] = direction;
    mappings.permission[slot] = permission;
    mappings.page[slot] = page;
    mappings.pages[slot] = 1;
    mappings.offset[slot] = offset;
    mappings.lengthBytes[slot] = lengthBytes;
    mappings.frame[slot] = frame;
    mappings.bytes += lengthBytes;
    device.liveMappings++;
    const now = work.now();
    const nowNs = parts.clock.toNs(now);
    mappings.mappedNs[slot] = nowNs;
    parts.oracle.mapped(domain.pages, page, slot, frame, direction, nowNs, now);
    return slot;
  }

  /** The record of a mapping; where it reaches is the caller's to say. */
  record(
    device: Device,
    domain: Domain,
    kind: number,
    direction: number,
    page: number,
    pages: number,
    offset: number,
    lengthBytes: number,
  ): number {
    const { mappings, work, clock, exposure } = this.parts;
    const slot = mappings.create();
    mappings.workload[slot] = exposure.workload;
    mappings.domain[slot] = domain.index;
    mappings.device[slot] = device.index;
    mappings.kind[slot] = kind;
    mappings.direction[slot] = direction;
    mappings.permission[slot] = permissionOf(direction);
    mappings.page[slot] = page;
    mappings.pages[slot] = pages;
    mappings.offset[slot] = offset;
    mappings.lengthBytes[slot] = lengthBytes;
    mappings.bytes += lengthBytes;
    mappings.mappedNs[slot] = clock.toNs(work.now());
    device.liveMappings++;
    return slot;
  }

  /** What a map still owes the chip: caches that may hold a table which a superpage replaced, or the absence of what is there now. */
  private afterWrite(domain: Domain, page: number, pages: number): void {
    const { mapper, flush, tables, cachingMode } = this.parts;
    if (mapper.takeReplaced() > 0) {
      flush.range(domain, page, pages, false);
      tables.releaseUnlinked();
    } else if (cachingMode) flush.mapped(domain, page, pages);
  }

  /** No frame for a table: what was written is cleared again and the address goes back, as the kernel does. */
  private undo(domain: Domain, page: number, pages: number, done: number): number {
    this.parts.mapper.takeReplaced();
    if (done > 0) {
      this.parts.mapper.clear(domain, page, done);
      this.parts.flush.range(domain, page, done, false);
      this.parts.tables.releaseUnlinked();
    }
    this.iova.free(domain, page, pages);
    this.parts.counters.mapFailures++;
    return MAP_NO_MEMORY;
  }

  /** As `map`, of a scatter list. */
  mapSg(device: Device, direction: number, segments: readonly InputSegment[]): number {
    const { work } = this.parts;
    const begun = work.total;
    return this.timed(begun, this.mapSgAsIs(device, direction, segments));
  }

  private mapSgAsIs(device: Device, direction: number, segments: readonly InputSegment[]): number {
    if (this.mode !== null) return this.mode.mapSg(device, direction, segments);
    if (device.untrusted) return this.partial!.mapSg(device, direction, segments);
    return this.mapList(device, direction, segments);
  }

  /** Maps a list: one allocation, one run of PTEs for each contiguous stretch, outputs merged as the device allows. */
  mapList(device: Device, direction: number, segments: readonly InputSegment[]): number {
    const { parts, keeper } = this;
    const domain = device.domain!;
    const layout = layOut(segments, device.segmentBoundaryBytes);
    const permission = permissionOf(direction);
    const frame = this.byFrame || keeper !== null ? frameOfRun(segments, layout) : NO_FRAME_HINT;
    let page = NO_KEPT;
    if (keeper !== null && frame !== NO_FRAME_HINT) page = keeper.take(device, domain, frame, layout.pages, permission);
    const found = page !== NO_KEPT;
    if (!found) {
      parts.call.frame = frame;
      page = this.iova.allocate(device, domain, layout.pages);
      if (page === SUSPENDED) return MAP_SUSPENDED;
    }
    if (keeper !== null) keeper.book(domain, page, layout.pages, found);
    parts.counters.mapSgCalls++;
    if (page === NO_PFN) {
      parts.work.add(ROW.other, parts.costs.mapOther);
      parts.counters.mapFailures++;
      return MAP_FAILED;
    }
    const runs = runsOf(segments, layout, page);
    const written = parts.counters.ptesWritten;
    for (let i = 0; i < runs.length && !found; ) {
      // Physically contiguous neighbours go in one call, so that a superpage may span them.
      const first = runs[i]!;
      let pages = first.pages;
      for (i++; i < runs.length; i++) {
        const next = runs[i]!;
        if (next.frame !== first.frame + pages || next.page !== first.page + pages) break;
        pages += next.pages;
      }
      if (parts.mapper.write(domain, first.page, first.frame, pages, permission, 3) < pages) {
        parts.mapper.bookMap(Math.max(1, parts.counters.ptesWritten - written));
        return this.undo(domain, page, layout.pages, layout.pages);
      }
    }
    if (!found) {
      parts.mapper.bookMap(parts.counters.ptesWritten - written);
      this.afterWrite(domain, page, layout.pages);
      parts.work.add(ROW.other, parts.costs.mapOther);
    }
    const bytes = segments.reduce((sum, segment) => sum + segment.lengthBytes, 0);
    const slot = this.record(device, domain, MAP_KIND.sg, direction, page, layout.pages, runs[0]!.offset, bytes);
    const outputs = mergeOutputs(runs, device.segmentBoundaryBytes, device.maxSegmentBytes);
    this.recordRuns(slot, domain, runs, outputs, direction);
    return slot;
  }

  /** Where a list reaches, and what the driver gets. */
  recordRuns(
    slot: number,
    domain: Domain,
    runs: ReturnType<typeof runsOf>,
    outputs: ReturnType<typeof mergeOutputs>,
    direction: number,
  ): void {
    const { mappings, oracle } = this.parts;
    if (isOneRun(runs) && outputs.length === 1) mappings.frame[slot] = runs[0]!.frame;
    else {
      mappings.frame[slot] = -1;
      mappings.runs[slot] = runs;
      mappings.outputs[slot] = outputs;
    }
    const nowNs = mappings.mappedNs[slot]!;
    const now = this.parts.work.now();
    for (const run of runs)
      for (let i = 0; i < run.pages; i++)
        oracle.mapped(domain.pages, run.page + i, slot, run.frame + i, direction, nowNs, now);
  }

  /** Unmaps a live mapping; books its cost. */
  unmap(slot: number, device: Device): void {
    const { parts } = this;
    const { work } = parts;
    const begun = work.total;
    parts.counters.unmapCalls++;
    this.lastExposed = false;
    if (this.mode !== null) this.mode.unmap(slot, device);
    else if (device.untrusted && parts.mappings.frame[slot] === -1) this.partial!.unmapList(slot, device);
    else {
      const domain = this.domainOf(slot);
      const { keeper } = this;
      if (keeper?.mayKeep(slot, device)) this.keepPages(slot, device, domain, keeper);
      else this.unmapPages(slot, device, domain, domain.policyFunctions, domain.deferred);
    }
    this.forget(slot, device);
    work.durations.unmap.record(work.total - begun);
  }

  /** PTEs and address stay as they are. */
  private keepPages(slot: number, device: Device, domain: Domain, keeper: Keeper): void {
    const { mappings, work, costs, exposure } = this.parts;
    const page = mappings.page[slot]!;
    exposure.pending.begin(domain.index, page, page + mappings.pages[slot]! - 1, true);
    work.add(ROW.other, domain.deferred ? costs.unmapOtherDeferred : costs.unmapOther);
    keeper.keep(domain, slot);
    this.end(slot, device, domain, exposure.pending.open);
    exposure.pending.end();
  }

  /** PTEs, invalidation as the policy has it, the address. */
  unmapPages(slot: number, device: Device, domain: Domain, policy: PolicyFunctions, deferred: boolean): void {
    const { mappings, work, costs, mapper, exposure, findCost } = this.parts;
    const page = mappings.page[slot]!;
    const pages = mappings.pages[slot]!;
    const keepsPte = domain.keepsPte && policy === domain.policyFunctions;
    if (findCost !== 0) work.add(ROW.iovaFind, findCost);
    const other = deferred ? costs.unmapOtherDeferred : costs.unmapOther;
    if (keepsPte) work.add(ROW.other, other);
    else {
      mapper.clear(domain, page, pages);
      if (pages === 1 && this.plain) work.addBoth(ROW.pageTable, mapper.oneCleared, ROW.other, other);
      else {
        mapper.bookUnmap(mapper.clearedPtes);
        work.add(ROW.other, other);
      }
    }
    exposure.pending.begin(domain.index, page, page + pages - 1, keepsPte);
    policy.unmapped(domain, page, pages);
    if (mappings.source[slot] !== NO_SOURCE) this.partial!.release(slot);
    this.end(slot, device, domain, exposure.pending.open);
    exposure.pending.end();
  }

  /**
   * Unmaps live mappings of one domain that the driver gives back together. Under a policy that gathers they are unmapped when this
   * returns, all at once; under the others this is one `unmap` after the other.
   */
  unmapTogether(slots: Int32Array, count: number, device: Device): void {
    const { parts } = this;
    const domain = this.domainOf(slots[0]!);
    if (
      !domain.gathers ||
      this.mode !== null ||
      this.partial !== null ||
      this.keeper !== null ||
      count === 1 ||
      !this.inOneDomain(slots, count)
    ) {
      let exposed = false;
      for (let i = 0; i < count; i++) {
        this.unmap(slots[i]!, device);
        exposed ||= this.lastExposed;
      }
      this.lastExposed = exposed;
      return;
    }
    const { mappings, work, costs, counters, mapper, exposure } = parts;
    const begun = work.total;
    if (this.togetherPfn.length < count) {
      this.togetherPfn = new Float64Array(count);
      this.togetherPages = new Int32Array(count);
    }
    let first = Number.POSITIVE_INFINITY;
    let last = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!;
      const page = mappings.page[slot]!;
      const pages = mappings.pages[slot]!;
      counters.unmapCalls++;
      work.add(ROW.iovaFind, parts.findCost);
      mapper.clear(domain, page, pages);
      mapper.bookUnmap(mapper.clearedPtes);
      work.add(ROW.other, domain.deferred ? costs.unmapOtherDeferred : costs.unmapOther);
      this.togetherPfn[i] = page;
      this.togetherPages[i] = pages;
      if (page < first) first = page;
      if (page + pages - 1 > last) last = page + pages - 1;
    }
    exposure.pending.begin(domain.index, first, last);
    domain.policy.unmappedTogether!(domain, this.togetherPfn, this.togetherPages, count);
    this.lastExposed = false;
    for (let i = 0; i < count; i++) {
      this.end(slots[i]!, device, domain, exposure.pending.open);
      this.forget(slots[i]!, device);
    }
    exposure.pending.end();
    work.durations.unmap.record(work.total - begun, count);
  }

  /** A device that was moved leaves mappings behind in the domain where it was. */
  private inOneDomain(slots: Int32Array, count: number): boolean {
    const { domain } = this.parts.mappings;
    for (let i = 1; i < count; i++) if (domain[slots[i]!] !== domain[slots[0]!]) return false;
    return true;
  }

  private togetherPfn = new Float64Array(64);
  private togetherPages = new Int32Array(64);

  private forget(slot: number, device: Device): void {
    const { mappings } = this.parts;
    mappings.bytes -= mappings.lengthBytes[slot]!;
    // A mapping that its device left behind in another domain was written off as leaked when it moved.
    if (device.domain !== null && device.domain.index === mappings.domain[slot]) device.liveMappings--;
    mappings.remove(slot);
  }

  domainOf(slot: number): Domain {
    return this.parts.domains[this.parts.mappings.domain[slot]!]!;
  }

  /** Part of a live mapping goes to the CPU or to the device: nothing to do where the device sees the driver's own memory. */
  sync(slot: number, forDevice: boolean, offsetBytes: number, lengthBytes: number): void {
    if (this.mode !== null) this.mode.sync(slot, forDevice, offsetBytes, lengthBytes);
    else if (this.partial !== null) this.partial.sync(slot, forDevice, offsetBytes, lengthBytes);
  }

  /** A live mapping goes with its domain. */
  abandon(slot: number): void {
    if (this.mode !== null) this.mode.abandon(slot);
    else if (this.partial !== null) this.partial.abandon(slot);
  }

  /** The unmap returns: truth ends, and what no invalidation covered opens its windows. */
  end(slot: number, device: Device, domain: Domain, mayOpen: boolean): void {
    const { parts } = this;
    const { mappings, work, clock } = parts;
    const now = work.now();
    const nowNs = clock.toNs(now);
    const first = mappings.page[slot]!;
    if (device.history !== null) device.history.push(first, mappings.offset[slot]!, now);
    const frame = mappings.frame[slot]!;
    if (frame !== -1) {
      const pages = mappings.pages[slot]!;
      if (pages === 1 && mappings.padded[slot] === 0) {
        const start = mappings.offset[slot]!;
        this.endBytes(slot, domain, first, frame, start, start + mappings.lengthBytes[slot]!, mayOpen, now, nowNs);
        return;
      }
      for (let i = 0; i < pages; i++) this.endPage(slot, domain, first + i, frame + i, mayOpen, now, nowNs);
    } else
      for (const run of mappings.runs[slot]!)
        for (let i = 0; i < run.pages; i++)
          this.endPage(slot, domain, run.page + i, run.frame + i, mayOpen, now, nowNs);
  }

  endPage(
    slot: number,
    domain: Domain,
    page: number,
    frame: number,
    mayOpen: boolean,
    now: number,
    nowNs: number,
  ): void {
    const { mappings } = this.parts;
    const start = mappings.startIn(slot, page);
    const end = mappings.endIn(slot, page);
    this.endBytes(slot, domain, page, frame, start, end, mayOpen, now, nowNs);
  }

  /** As `endPage`, of a page whose mapped bytes are [start, end). */
  private endBytes(
    slot: number,
    domain: Domain,
    page: number,
    frame: number,
    start: number,
    end: number,
    mayOpen: boolean,
    now: number,
    nowNs: number,
  ): void {
    const { mappings, oracle, exposure, mapper } = this.parts;
    const chunk = domain.pages.chunk(page);
    if (mappings.freed[slot] === 0) oracle.ended(domain.pages, chunk, page, slot, frame, start, end, now);
    chunk.unmappedNs[page & 511] = nowNs;
    chunk.freed[page & 511] = 0;
    if (!mayOpen || !exposure.pending.isOpen(page)) return;
    const stands = exposure.pending.stands || mapper.stands(domain, page);
    if (exposure.openWindow(domain.index, chunk, page, end - start, now, stands)) this.lastExposed = true;
  }

  /** The mapped buffer was freed under its mapping: only truth ends, PTE and handle stay. */
  freedUnder(slot: number, now: number): void {
    const { mappings, oracle } = this.parts;
    if (mappings.freed[slot] === 1) return;
    mappings.freed[slot] = 1;
    mappings.freedCount++;
    const domain = this.domainOf(slot);
    const endPage = (page: number, frame: number) => {
      const chunk = domain.pages.chunk(page);
      const start = mappings.startIn(slot, page);
      oracle.ended(domain.pages, chunk, page, slot, frame, start, mappings.endIn(slot, page), now);
      chunk.freed[page & 511] = 1;
    };
    if (mappings.frame[slot] !== -1)
      for (let i = 0; i < mappings.pages[slot]!; i++) endPage(mappings.page[slot]! + i, mappings.frame[slot]! + i);
    else
      for (const run of mappings.runs[slot]!) for (let i = 0; i < run.pages; i++) endPage(run.page + i, run.frame + i);
  }
}

export function permissionOf(direction: number): number {
  return direction === 0 ? READ : direction === 1 ? WRITE : READ | WRITE;
}
