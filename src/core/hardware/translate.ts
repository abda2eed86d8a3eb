/**
 * A DMA request through the chip, piece by piece: context entry, address width, interrupt range, IOTLB, walk caches, walk, fill.
 *
 * Every access is cut at 4 KiB boundaries and all pieces are attempted, whatever becomes of the ones before.
 *
 * A device with a TLB of its own (ATS) looks there first and asks for a translation when it has none; what it is given it keeps, with
 * the permission, and no look-up of the chip sees the later accesses. Source: PCIe address translation services; Intel VT-d
 * specification, device TLBs. Departs: a page that is not there is answered "not present" without a fault by the real chip, and a
 * device may then try without a translation and be blocked with reason 5 or 6. Here that attempt is part of the access, with no walk
 * of its own; reason 0xd (translation requests blocked) is for context entries that forbid them, and where they do devices do not ask.
 */
import type { Counters } from '../meter/counters.ts';
import type { Clock } from '../sim/clock.ts';
import * as faultConstants from './fault.ts';
import { type FaultLog, type GateReasons, legacyGate, scalableGate } from './fault.ts';
import type { Iotlb } from './iotlb.ts';
import * as iotlbConstants from './iotlb.ts';
import type { NestedWalk } from './nested.ts';
import type { NotPresentCache } from './not-present-cache.ts';
import type { PageTables } from './page-table.ts';
import * as pageTableConstants from './page-table.ts';
import type { WalkCacheLevel } from './walk-cache.ts';
import type { AccessWatcher, EntryWatcher, Requester, SecondStage, TranslationDomain } from './watcher.ts';
import * as watcherConstants from './watcher.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { REASON } = faultConstants;
const { NO_ENTRY } = iotlbConstants;
const { READ, WALK, WRITE } = pageTableConstants;
const { PATH } = watcherConstants;

const SOURCE = { none: 0, iotlb: 1, walkCache: 2, walk: 3, passthrough: 4, interrupt: 5, deviceTlb: 6 } as const;
export const FROM = SOURCE;
export const fromNames = ['', 'iotlb', 'walk-cache', 'walk', 'passthrough', 'interrupt', 'device-tlb'] as const;

/** The last piece of an access. */
export interface Piece {
  readonly verdict: number;
  readonly cause: number;
  /** Fault reason, of a piece that was blocked. */
  readonly reason: number;
  /** Index into `fromNames`. */
  readonly from: number;
  readonly frame: number;
  readonly pieceReferences: number;
}

/** Receives each piece of an interactive access; runs pass null. */
export interface PieceVisitor {
  piece(page: number, offset: number, piece: Piece): void;
}

export class Iommu<Domain extends TranslationDomain> implements Piece {
  declare private readonly iotlb: Iotlb;
  declare private readonly tables: PageTables;
  /** [0] points to leaf tables (level 1), [1] to level 2, ... */
  declare private readonly walkCaches: WalkCacheLevel[];
  declare private readonly oracle: AccessWatcher<Domain>;
  declare private readonly exposure: EntryWatcher;
  declare private readonly faults: FaultLog;
  declare private readonly counters: Counters;
  declare private readonly clock: Clock;
  declare private readonly passthrough: boolean;
  declare private readonly interrupts: { first: number; last: number }[];
  /** First page and last of them all: a page outside is none of theirs. */
  declare private readonly interruptsFirst: number;
  declare private readonly interruptsLast: number;
  private readonly domainAt: (index: number) => Domain;
  declare private readonly notPresent: NotPresentCache | null;
  /** The walk of two stages; null where no domain has a second. */
  declare private readonly nested: NestedWalk | null;
  declare private readonly gate: GateReasons;
  /** Called for a fault that was logged or dropped. */
  onFault: (device: Requester<Domain>) => void = () => {};

  // The last piece.
  verdict = 0;
  cause = 0;
  reason = 0;
  from = 0;
  frame = 0;
  pieceReferences = 0;

  // The last access.
  worst = 0;
  references = 0;
  /** Translations that the device asked for. */
  requests = 0;

  constructor(parts: {
    iotlb: Iotlb;
    tables: PageTables;
    walkCaches: WalkCacheLevel[];
    oracle: AccessWatcher<Domain>;
    exposure: EntryWatcher;
    faults: FaultLog;
    counters: Counters;
    clock: Clock;
    passthrough: boolean;
    interrupts: { first: number; last: number }[];
    domainAt: (index: number) => Domain;
    /** Of a chip in caching mode. */
    notPresent: NotPresentCache | null;
    nested: NestedWalk | null;
  }) {
    this.iotlb = parts.iotlb;
    this.tables = parts.tables;
    this.walkCaches = parts.walkCaches;
    this.oracle = parts.oracle;
    this.exposure = parts.exposure;
    this.faults = parts.faults;
    this.counters = parts.counters;
    this.clock = parts.clock;
    this.passthrough = parts.passthrough;
    this.interrupts = parts.interrupts;
    this.interruptsFirst = Math.min(...parts.interrupts.map(({ first }) => first));
    this.interruptsLast = Math.max(...parts.interrupts.map(({ last }) => last));
    this.domainAt = parts.domainAt;
    this.notPresent = parts.notPresent;
    this.nested = parts.nested;
    this.gate = parts.nested === null ? legacyGate : scalableGate;
  }

  /**
   * @param now ps after the clock's base
   * @returns the worst verdict of its pieces; `references` has the page-table reads it took
   */
  access(
    device: Requester<Domain>,
    page: number,
    offset: number,
    lengthBytes: number,
    write: boolean,
    now: number,
    visitor: PieceVisitor | null,
  ): number {
    const { counters } = this;
    if (write) counters.dmaWrites++;
    else counters.dmaReads++;
    counters.dmaBytes += lengthBytes;
    this.exposure.now = now;
    this.worst = 0;
    this.references = 0;
    this.requests = 0;
    if (offset + lengthBytes <= 4096 && visitor === null) {
      // One piece, the usual case by far.
      this.piece(device, page, offset, offset + lengthBytes, write, now);
      counters.dmaPieces++;
      this.references = this.pieceReferences;
      return (this.worst = this.verdict);
    }
    let start = offset;
    let left = lengthBytes;
    for (let at = page; left > 0; at++) {
      const bytes = left < 4096 - start ? left : 4096 - start;
      this.piece(device, at, start, start + bytes, write, now);
      counters.dmaPieces++;
      if (this.verdict > this.worst) this.worst = this.verdict;
      this.references += this.pieceReferences;
      if (visitor !== null) visitor.piece(at, start, this);
      left -= bytes;
      start = 0;
    }
    return this.worst;
  }

  private piece(
    device: Requester<Domain>,
    page: number,
    start: number,
    end: number,
    write: boolean,
    now: number,
  ): void {
    const { counters } = this;
    this.pieceReferences = 0;
    this.cause = 0;
    const { domain } = device;
    counters.contextLookups++;
    if (domain === null) {
      this.block(device, null, page, start, write, this.gate.noDomain, now);
      return;
    }
    if (device.contextCached) counters.contextHits++;
    else device.contextCached = true;
    if (page >= this.interruptsFirst && page <= this.interruptsLast && this.isInterrupt(page)) {
      this.interrupt(device, domain, page, start, write, now);
      return;
    }
    const permission = write ? WRITE : READ;
    if (this.passthrough) {
      this.from = SOURCE.passthrough;
      this.frame = page;
      this.verdict = this.oracle.classify(domain, page, start, end, permission, page, NO_ENTRY, PATH.noProtection, now);
      this.cause = this.oracle.cause;
      return;
    }
    if (page > domain.lastPage) {
      this.block(device, domain, page, start, write, this.gate.beyondWidth, now);
      return;
    }
    if (device.deviceTlb !== null) {
      this.throughDevice(device, device.deviceTlb, domain, page, start, end, permission, now);
      return;
    }
    const { iotlb } = this;
    let entry = iotlb.lookup(domain.index, page, permission);
    let cause: number = PATH.iotlb;
    if (entry !== NO_ENTRY) this.from = SOURCE.iotlb;
    else {
      entry = this.miss(domain, page, permission, now);
      if (entry === NO_ENTRY) {
        this.block(device, domain, page, start, write, this.whyNot(write), now);
        return;
      }
      cause = this.cause;
    }
    const frame = iotlb.size[entry] === 0 ? iotlb.frame[entry]! : iotlb.frame[entry]! + (page - iotlb.page[entry]!);
    this.frame = frame;
    this.verdict = this.oracle.classify(domain, page, start, end, permission, frame, entry, cause, now);
    this.cause = this.oracle.cause;
  }

  private isInterrupt(page: number): boolean {
    return this.interrupts.some(({ first, last }) => page >= first && page <= last);
  }

  /** A piece of a device with a TLB: by what it has, or by what it asks for. */
  private throughDevice(
    device: Requester<Domain>,
    tlb: Iotlb,
    domain: Domain,
    page: number,
    start: number,
    end: number,
    permission: number,
    now: number,
  ): void {
    const { iotlb, oracle } = this;
    const held = tlb.lookup(domain.index, page, permission);
    if (held !== NO_ENTRY) {
      this.from = SOURCE.deviceTlb;
      const frame = tlb.frame[held]! + (page - tlb.page[held]!);
      this.frame = frame;
      this.verdict = oracle.classifyHeld(tlb, domain, page, start, end, permission, frame, held, now);
      this.cause = oracle.cause;
      return;
    }
    this.requests++;
    this.counters.translationRequests++;
    let entry = iotlb.lookup(domain.index, page, permission);
    let cause: number = PATH.iotlb;
    if (entry !== NO_ENTRY) this.from = SOURCE.iotlb;
    else {
      entry = this.miss(domain, page, permission, now);
      if (entry === NO_ENTRY) {
        const write = permission === WRITE;
        this.block(device, domain, page, start, write, this.whyNot(write), now);
        return;
      }
      cause = this.cause;
    }
    const given = tlb.fill(
      domain.index,
      iotlb.page[entry]!,
      iotlb.size[entry]!,
      iotlb.frame[entry]!,
      iotlb.permission[entry]!,
    );
    oracle.copied(entry, tlb, given);
    this.exposure.copied(entry, device.index, given, now);
    const frame = iotlb.frame[entry]! + (page - iotlb.page[entry]!);
    this.frame = frame;
    this.verdict = oracle.classify(domain, page, start, end, permission, frame, entry, cause, now);
    this.cause = oracle.cause;
  }

  /** Walks and fills. @returns the entry, or NO_ENTRY when the page is not there or does not allow the access */
  private miss(domain: Domain, page: number, permission: number, now: number): number {
    const { tables, walkCaches, counters, notPresent } = this;
    if (notPresent?.has(domain.index, page)) return NO_ENTRY;
    counters.walks++;
    if (domain.secondStage !== null) return this.missNested(domain, domain.secondStage, page, permission, now);
    let table = domain.root;
    let level = domain.levels;
    let stale = false;
    let staleFrame = 0;
    this.from = SOURCE.walk;
    for (let i = 0; i < domain.levels - 1; i++) {
      const cache = walkCaches[i];
      if (cache === undefined || cache.capacity === 0) continue;
      const slot = cache.lookup(domain.index, cache.prefixOf(page));
      if (slot < 0) continue;
      this.from = SOURCE.walkCache;
      table = cache.table[slot]!;
      level = cache.tableLevel;
      stale = tables.generationOf(table) !== cache.generation[slot];
      staleFrame = cache.frame[slot]!;
      break;
    }
    const found = stale ? tables.walkStale(staleFrame, level, page) : tables.walk(table, level, page);
    this.pieceReferences = tables.references;
    counters.memoryReferences += tables.references;
    if (stale) counters.staleWalks++;
    else this.cachePath(domain, page, level);
    if (found !== WALK.leaf || (tables.foundPermission & permission) === 0) {
      if (found !== WALK.leaf) notPresent?.add(domain.index, page);
      return NO_ENTRY;
    }
    return this.fill(domain, page, stale, now);
  }

  /** Through two stages: what is cached is both in one. */
  private missNested(domain: Domain, secondStage: SecondStage, page: number, permission: number, now: number): number {
    const { tables, counters } = this;
    const nested = this.nested!;
    const found = nested.walk(domain, secondStage, page, permission);
    this.from = nested.skipped ? SOURCE.walkCache : SOURCE.walk;
    this.pieceReferences = tables.references;
    counters.memoryReferences += tables.references;
    if (nested.stale) counters.staleWalks++;
    return found === WALK.leaf ? this.fill(domain, page, nested.stale, now) : NO_ENTRY;
  }

  /** Fault reason of a walk that found nothing. */
  private whyNot(write: boolean): number {
    if (this.nested !== null) return this.nested.reason;
    return write ? REASON.write : REASON.read;
  }

  /** Caches the leaf that a walk found. @returns the entry */
  private fill(domain: Domain, page: number, stale: boolean, now: number): number {
    const { tables } = this;
    this.cause = stale ? PATH.walkCache : PATH.pte;
    const pages = tables.foundPages;
    const first = pages === 1 ? page : page - (page % pages);
    const { iotlb, oracle } = this;
    const entry = iotlb.fill(
      domain.index,
      first,
      pages === 1 ? 0 : pages === 512 ? 1 : 2,
      tables.foundFrame,
      tables.foundPermission,
    );
    if (stale) {
      // Somebody else's table: the mapping that the leaf came from is the one at the address where that table stands now.
      const from = this.domainAt(tables.foundOwner);
      oracle.origin(entry, from, tables.foundBase);
      // What a PTE that stands translates is no longer the page that was unmapped there before.
      this.exposure.filled(domain.index, page, entry, now);
    } else oracle.origin(entry, domain, page);
    return entry;
  }

  /** Tables read on the way down go into the walk caches. */
  private cachePath(domain: Domain, page: number, startLevel: number): void {
    const { tables, walkCaches } = this;
    const lowest = startLevel - tables.references + 1;
    for (let level = startLevel - 1; level >= lowest; level--) {
      const cache = walkCaches[level - 1];
      if (cache === undefined || cache.capacity === 0) continue;
      const table = tables.path[level]!;
      cache.fill(domain.index, cache.prefixOf(page), table, tables.frameOf(table), tables.generationOf(table));
    }
  }

  private interrupt(
    device: Requester<Domain>,
    domain: Domain,
    page: number,
    start: number,
    write: boolean,
    now: number,
  ): void {
    if (!write) {
      this.block(device, domain, page, start, write, this.gate.interruptRead, now);
      return;
    }
    this.counters.interrupts++;
    this.from = SOURCE.interrupt;
    this.frame = page;
    this.verdict = this.oracle.interrupted();
  }

  private block(
    device: Requester<Domain>,
    domain: Domain | null,
    page: number,
    offset: number,
    write: boolean,
    reason: number,
    now: number,
  ): void {
    this.reason = reason;
    this.from = SOURCE.none;
    this.counters.faults++;
    this.verdict = this.oracle.blocked(domain, page);
    const { mappedNs, unmappedNs, direction } = this.oracle.lastTouch(domain, page);
    this.faults.add({
      timeNs: this.clock.toNs(now),
      device: device.index,
      bdf: device.bdf,
      reason,
      write,
      page,
      offset,
      domain: domain?.index ?? -1,
      mappedNs,
      unmappedNs,
      direction,
    });
    this.onFault(device);
  }
}
