/**
 * The oracle: for each 4 KiB piece of a device access that got through, who may touch it now, and how it got through.
 *
 * It watches hardware and operating system and influences neither. Rules in order; the first that fits gives the verdict.
 */
import type { Iotlb } from '../hardware/iotlb.ts';
import * as iotlbConstants from '../hardware/iotlb.ts';
import * as memoryConstants from '../hardware/memory.ts';
import { isOpen, type Memory, TenantRuns } from '../hardware/memory.ts';
import * as pageTableConstants from '../hardware/page-table.ts';
import type { AccessWatcher } from '../hardware/watcher.ts';
import type { Counters } from '../meter/counters.ts';
import type { Domain } from '../os/domain.ts';
import type { Mappings } from '../os/mappings.ts';
import type { Clock } from '../sim/clock.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { Integral } from '../sim/integral.ts';
import { ByteSet } from './byte-set.ts';
import type { PageChunk, TruthPages } from './pages.ts';
import * as pagesConstants from './pages.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_ENTRY } = iotlbConstants;
const { STANDING } = memoryConstants;
const { WRITE } = pageTableConstants;
const { NEVER } = pagesConstants;

/** In rising order: an operation's verdict is the worst of its pieces. */
export const verdictNames = [
  'ok',
  'fault',
  'subpage',
  'unprotected',
  'stale',
  'stale-reused',
  'misdirected',
  'stale-cross-tenant',
] as const;
const VERDICTS = {
  ok: 0,
  fault: 1,
  subpage: 2,
  unprotected: 3,
  stale: 4,
  staleReused: 5,
  misdirected: 6,
  staleCrossTenant: 7,
} as const;
export const VERDICT = VERDICTS;

export const causeNames = [
  '',
  'iotlb',
  'walk-cache',
  'device-tlb',
  'pte',
  'freed-while-mapped',
  'no-protection',
] as const;
const CAUSES = {
  none: 0,
  iotlb: 1,
  walkCache: 2,
  deviceTlb: 3,
  pte: 4,
  freedWhileMapped: 5,
  noProtection: 6,
} as const;
export const CAUSE = CAUSES;

export class Oracle implements AccessWatcher<Domain> {
  declare private readonly memory: Memory;
  declare private readonly mappings: Mappings;
  declare private readonly iotlb: Iotlb;
  /** The cache that the entry in question is in: the IOTLB or a device's. */
  declare private cache: Iotlb;
  declare private readonly counters: Counters;
  declare private readonly clock: Clock;
  /** [verdict] */
  readonly verdicts = new Float64Array(8);
  /** [verdict]: the writes among those that got through though no live mapping allows them. */
  readonly writes = new Float64Array(8);
  /** Bytes of unmapped buffers that a neighbour's live mapping of the same page still reaches. */
  readonly residual = new Integral();
  /** [frame]: which bytes those are. */
  private readonly residues = new Map<number, ByteSet>();
  /** Cause of the last verdict. */
  cause = 0;

  constructor(memory: Memory, mappings: Mappings, iotlb: Iotlb, counters: Counters, clock: Clock) {
    this.memory = memory;
    this.mappings = mappings;
    this.iotlb = iotlb;
    this.cache = iotlb;
    this.counters = counters;
    this.clock = clock;
  }

  /** A mapping became live at one IOVA page. `frame` is what it reaches there. */
  mapped(
    pages: TruthPages,
    page: number,
    slot: number,
    frame: number,
    direction: number,
    nowNs: number,
    now: number,
  ): void {
    const chunk = pages.chunk(page);
    const at = page & 511;
    if (chunk.live[at] !== 0) {
      const others = pages.shared.get(page);
      if (others) others.push(slot);
      else pages.shared.set(page, [slot]);
    } else chunk.live[at] = slot + 1;
    const frames = this.memory.chunk(frame);
    const at1024 = frame & 1023;
    chunk.tenant[at] = frames.owner[at1024]!;
    chunk.age[at] = this.memory.handOuts;
    chunk.mappedNs[at] = nowNs;
    chunk.direction[at] = direction;
    chunk.freed[at] = 0;
    frames.mapped[at1024]!++;
    if (frames.residual[at1024] !== 0) {
      const { mappings } = this;
      this.residue(frame).remove(mappings.startIn(slot, page), mappings.endIn(slot, page));
      this.settleResidue(frame, now);
    }
  }

  /** Bytes of a frame that were unmapped while a neighbour's mapping of the frame lived on, and were not mapped again since. */
  private residue(frame: number): ByteSet {
    let bytes = this.residues.get(frame);
    if (!bytes) this.residues.set(frame, (bytes = new ByteSet()));
    return bytes;
  }

  private settleResidue(frame: number, now: number): void {
    const frames = this.memory.chunk(frame);
    const at1024 = frame & 1023;
    const { size } = this.residue(frame);
    this.residual.change(size - frames.residual[at1024]!, now);
    frames.residual[at1024] = size;
    if (size === 0) this.residues.delete(frame);
  }

  /**
   * A mapping is over at one IOVA page, by unmap or because its buffer was freed. Its bytes there were [start, end).
   * @param chunk that of the page
   */
  ended(
    pages: TruthPages,
    chunk: PageChunk,
    page: number,
    slot: number,
    frame: number,
    start: number,
    end: number,
    now: number,
  ): void {
    const at = page & 511;
    if (chunk.live[at] === slot + 1) {
      const others = pages.shared.size === 0 ? undefined : pages.shared.get(page);
      if (others) {
        chunk.live[at] = others.pop()! + 1;
        if (others.length === 0) pages.shared.delete(page);
      } else chunk.live[at] = 0;
    } else {
      const others = pages.shared.get(page);
      if (others) {
        const index = others.indexOf(slot);
        if (index >= 0) others.splice(index, 1);
        if (others.length === 0) pages.shared.delete(page);
      }
    }
    const frames = this.memory.chunk(frame);
    const at1024 = frame & 1023;
    const left = --frames.mapped[at1024]!;
    // Two copies in one page of a pool: no byte of the one's buffer is where the other reaches.
    if (left > 0 && frames.standing[at1024] === STANDING.pool) return;
    if (left > 0) {
      this.residue(frame).add(start, end);
      this.settleResidue(frame, now);
    } else if (frames.residual[at1024] !== 0) {
      this.residue(frame).clear();
      this.settleResidue(frame, now);
    }
  }

  private allows(slot: number, page: number, start: number, end: number, permission: number, frame: number): number {
    const { mappings } = this;
    if ((mappings.permission[slot]! & permission) === 0) return -1;
    const first = mappings.frame[slot]!;
    if (first !== -1) {
      // One run of memory, the usual case: the rules below in one piece.
      const before = (page - mappings.page[slot]!) * 4096;
      if (first * 4096 + before !== frame * 4096) return -1;
      const from = mappings.offset[slot]! - before;
      if (start >= from && end <= from + mappings.lengthBytes[slot]!) return VERDICTS.ok;
      return mappings.padded[slot] === 1 ? VERDICTS.ok : VERDICTS.subpage;
    }
    if (!mappings.backed(slot, page)) return -1;
    if (mappings.frameAt(slot, page) !== frame) return -1;
    return mappings.holds(slot, page, start, end) ? VERDICTS.ok : VERDICTS.subpage;
  }

  /** Rule 2: the verdict of the live mappings at a page, or -1 when none allows it. */
  private live(
    pages: TruthPages,
    chunk: PageChunk | undefined,
    page: number,
    start: number,
    end: number,
    permission: number,
    frame: number,
  ): number {
    let best = -1;
    if (chunk !== undefined) {
      const first = chunk.live[page & 511]!;
      if (first !== 0) {
        best = this.allows(first - 1, page, start, end, permission, frame);
        if (best === VERDICTS.ok) return best;
        if (pages.shared.size > 0)
          for (const slot of pages.shared.get(page) ?? []) {
            const verdict = this.allows(slot, page, start, end, permission, frame);
            if (verdict === VERDICTS.ok) return verdict;
            if (verdict > best) best = verdict;
          }
      }
    }
    if (pages.ranges.length > 0) {
      const range = pages.rangeAt(page);
      if (range && !range.freed && range.permission & permission && range.frame + (page - range.first) === frame)
        return VERDICTS.ok;
    }
    return best;
  }

  /**
   * The verdict on a piece that was translated.
   *
   * @param entry IOTLB entry that translated it (hit, or just filled); NO_ENTRY in passthrough
   * @param cause how it was translated, CAUSES.iotlb, walkCache, pte or noProtection
   * @param now ps after the clock's base
   */
  classify(
    domain: Domain,
    page: number,
    start: number,
    end: number,
    permission: number,
    frame: number,
    entry: number,
    cause: number,
    now: number,
  ): number {
    const { pages } = domain;
    this.cause = CAUSES.none;
    const chunk = pages.peek(page);
    const live = this.live(pages, chunk, page, start, end, permission, frame);
    if (live === VERDICTS.ok || (live >= 0 && this.memory.standingOf(frame) !== STANDING.pool)) {
      this.verdicts[live]!++;
      return live;
    }
    const at = page & 511;
    // The unmap has not returned yet: until then the mapping is live.
    if (chunk !== undefined && chunk.unmappedNs[at]! > this.clock.toNs(now) && chunk.live[at] === 0) {
      this.verdicts[VERDICTS.ok]!++;
      return VERDICTS.ok;
    }
    return this.through(pages, chunk, page, permission, frame, entry, cause);
  }

  classifyHeld(
    deviceTlb: Iotlb,
    domain: Domain,
    page: number,
    start: number,
    end: number,
    permission: number,
    frame: number,
    entry: number,
    now: number,
  ): number {
    this.cache = deviceTlb;
    const verdict = this.classify(domain, page, start, end, permission, frame, entry, CAUSES.deviceTlb, now);
    this.cache = this.iotlb;
    return verdict;
  }

  /** Rule 3: it got through though no live mapping allows it. */
  private through(
    pages: TruthPages,
    chunk: PageChunk | undefined,
    page: number,
    permission: number,
    frame: number,
    entry: number,
    cause: number,
  ): number {
    const { memory, cache, mappings } = this;
    const at = page & 511;
    let tenant = chunk === undefined ? 0 : chunk.tenant[at]!;
    let age = chunk === undefined ? NEVER : chunk.age[at]!;
    if (entry !== NO_ENTRY) {
      age = cache.originAge[entry]!;
      const runs = cache.originRuns[entry];
      tenant = runs ? runs.tenantOf(frame) : cache.originTenant[entry]!;
    }
    const slot = chunk === undefined ? -1 : chunk.live[at]! - 1;
    const range = pages.rangeAt(page);
    // The PTE of a mapping whose buffer was freed: it, or what was cached of it; not an older entry of the same address.
    const freed =
      (chunk !== undefined && chunk.freed[at] === 1 && chunk.age[at] === age) ||
      (range?.freed === true && range.age === age);
    const stands = isOpen(memory.standingOf(frame));
    if (stands) {
      // The mapping that it got through stands for good: no unmap would have ended it.
      this.cause = CAUSES.noProtection;
      if (slot < 0 && chunk !== undefined && chunk.age[at] !== NEVER) this.counters.attemptsAfterUnmap++;
      this.verdicts[VERDICTS.unprotected]!++;
      return VERDICTS.unprotected;
    }
    this.cause = freed && cause !== CAUSES.noProtection ? CAUSES.freedWhileMapped : cause;
    if (age !== NEVER) this.counters.attemptsAfterUnmap++;
    let verdict: number;
    if (age !== NEVER && memory.ownerOf(frame) !== tenant) verdict = VERDICTS.staleCrossTenant;
    else if (
      (slot >= 0 && mappings.backed(slot, page) && mappings.frameAt(slot, page) !== frame) ||
      (range !== null && !range.freed && range.frame + (page - range.first) !== frame)
    )
      verdict = VERDICTS.misdirected;
    else if (age !== NEVER && memory.handedOutAt(frame) > age) verdict = VERDICTS.staleReused;
    else if (age !== NEVER) verdict = VERDICTS.stale;
    else verdict = VERDICTS.unprotected;
    this.verdicts[verdict]!++;
    if (permission === WRITE) this.writes[verdict]!++;
    return verdict;
  }

  /** A piece was blocked. */
  blocked(domain: Domain | null, page: number): number {
    this.verdicts[VERDICTS.fault]!++;
    if (domain !== null && isOver(domain.pages, page)) {
      this.counters.attemptsAfterUnmap++;
      this.counters.attemptsDetected++;
    }
    return VERDICTS.fault;
  }

  interrupted(): number {
    this.verdicts[VERDICTS.ok]!++;
    return VERDICTS.ok;
  }

  lastTouch(domain: Domain | null, page: number): { mappedNs: number; unmappedNs: number; direction: number } {
    return domain === null ? { mappedNs: NEVER, unmappedNs: NEVER, direction: 0 } : domain.pages.lastTouch(page);
  }

  /** Marks a just-filled IOTLB entry with the mapping that its leaf came from. */
  origin(entry: number, domain: Domain, page: number): void {
    const { iotlb } = this;
    const { pages } = domain;
    const range = pages.rangeAt(page);
    if (range) {
      iotlb.originAge[entry] = range.age;
      iotlb.originTenant[entry] = range.tenants.only;
      iotlb.originRuns[entry] = range.tenants.only < 0 ? range.tenants : null;
      return;
    }
    const chunk = pages.peek(page);
    iotlb.originTenant[entry] = chunk === undefined ? 0 : chunk.tenant[page & 511]!;
    iotlb.originAge[entry] = chunk === undefined ? NEVER : chunk.age[page & 511]!;
    // What a mode keeps mapped for good is nobody's mapping: whose it was does not matter.
    if (iotlb.size[entry] !== 0 && !isOpen(this.memory.standingOf(iotlb.frame[entry]!)))
      iotlb.originRuns[entry] = this.tenantsUnder(entry, pages, page);
  }

  /** What a device is given comes from where the IOTLB's entry came from. */
  copied(entry: number, deviceTlb: Iotlb, deviceEntry: number): void {
    const { iotlb } = this;
    deviceTlb.originAge[deviceEntry] = iotlb.originAge[entry]!;
    deviceTlb.originTenant[deviceEntry] = iotlb.originTenant[entry]!;
    deviceTlb.originRuns[deviceEntry] = iotlb.originRuns[entry]!;
  }

  /** Tenants of the frames under a superpage when its mapping was made; null when it was one, as it nearly always is. */
  private tenantsUnder(entry: number, pages: TruthPages, page: number): TenantRuns | null {
    const span = this.iotlb.size[entry] === 1 ? 512 : 262_144;
    const first = page - (page % span);
    const frame = this.iotlb.frame[entry]!;
    const runs = new TenantRuns();
    for (let i = 0; i < span; i++) runs.add(frame + i, pages.peek(first + i)?.tenant[(first + i) & 511] ?? 0);
    return runs.only < 0 ? runs : null;
  }

  digest(sink: DigestSink): void {
    sink.column(this.verdicts, 8);
    this.residual.digest(sink);
    for (const frame of [...this.residues.keys()].sort((a, b) => a - b)) {
      sink.number(frame);
      this.residues.get(frame)!.digest(sink);
    }
  }
}

/** Whether a page was mapped once and is not now: unmapped, or its memory was freed under the mapping. */
function isOver(pages: TruthPages, page: number): boolean {
  const range = pages.rangeAt(page);
  if (range !== null) return range.freed;
  const chunk = pages.peek(page);
  if (chunk !== undefined && chunk.age[page & 511] !== NEVER) return chunk.live[page & 511] === 0;
  return pages.hasEnded(page);
}
