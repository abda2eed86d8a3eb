/**
 * replay: the calls that a recording has, made again under the session's allocator and policy.
 *
 * Each recorded map, unmap, allocation and sync of the DMA API becomes that call: the address is the session's, and the recorded one is
 * kept to find what later events are about and to count how often both are the same. Page-table calls without such a call (VFIO) are
 * made at their recorded addresses. Block I/O and packets become maps and unmaps by the rules of `traffic.ts`; accesses, which no
 * kernel traces, by those of `accesses.ts`; memory lies where `memory.ts` says. A recorded fault is an access of one byte at its time.
 *
 * Pace: `recorded` begins each call at its recorded moment, or when its CPU is free; `closed-loop` as soon as its CPU is free. Order is
 * the recording's in both: a call never overtakes one that was recorded before it, so that the allocator meets the calls as it did.
 *
 * Invalidations are the policy's (`simulated`), or also those of the recording at their times (`recorded`): with the policy `never`,
 * which invalidates nothing by itself, that is what the recorded machine did.
 *
 * Calls of the recording's very first moment are taken for what was there before it, as a ring of buffers is: at the recorded pace they
 * take no time of the run.
 *
 * Departs: work of the driver between the calls is not in a recording and takes no time here; a lag behind the recorded times is
 * reported. Pathology: where an excerpt begins in the middle, its first unmaps are of mappings that it does not have.
 */
import { NO_FRAME } from '../../hardware/memory.ts';
import { READ, WRITE } from '../../hardware/page-table.ts';
import type { Device } from '../../os/device.ts';
import { MAP_SUSPENDED } from '../../os/dma-api.ts';
import type { Domain } from '../../os/domain.ts';
import { MAP_KIND } from '../../os/mappings.ts';
import type { InputSegment } from '../../os/scatterlist.ts';
import { PHYSICAL_PAGES } from '../../sim/address.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Simulator } from '../../simulator.ts';
import { DONE, SUSPENDED, Workload, type WorkloadSetup } from '../workload.ts';
import { type AccessSpec, countOf, dueAt, MOST_RULES, NO_TIME, type Plan, pageOf, plansOf } from './accesses.ts';
import { LiveCalls, NO_SLOT } from './live.ts';
import { ReplayMemory } from './memory.ts';
import { ABSENT, KERNEL_DIRECTION, RECORDED, type RecordedEvents } from './source.ts';

/** What an event of the queue is for: below FIRST_SLOT one of these, else (slot + 1) * PER_SLOT + rule, or + TRANSMITTED. */
const MAIN = 0;
const REFILL = 1;
const PER_SLOT = 8;
const TRANSMITTED = 4;

/** Events of the recording that are passed over, and pages of a range that are written, in one event of the run. */
const MOST_SCANNED = 1024;
const MOST_PAGES_AT_ONCE = 2 ** 18;
/** Pages of one call of the DMA API; as for an operation. */
const MOST_PAGES = 2 ** 20;
/** A longer pause is waited for in strides, as picoseconds are whole doubles only so far. */
const STRIDE_NS = 2 ** 40;
/** A clock that steps back by less makes nothing due earlier; one that steps back by more begins anew. */
const RESTARTED_NS = 1e9;
/** How far a CPU may be ahead of the moment of a call that goes on with a turn: by one call that had to flush a full queue. */
const TURN_PS = 20_000_000;
/** One past the last; in a recording times are below it. */
const NO_END = Number.MAX_SAFE_INTEGER;
/** Key of a receive buffer, which no event of the recording mapped: below all of those. */
const BUFFER_KEY = -2;

const TO_DEVICE = 0;
const FROM_DEVICE = 1;
const BIDIRECTIONAL = 2;

/** What was passed over, and why. */
const SKIPS = [
  'unmatchedUnmaps',
  'withoutMemory',
  'withoutAddress',
  'tooLarge',
  'overlapping',
  'cutSuperpages',
  'unknownAddresses',
  'unmatchedSyncs',
  'detached',
] as const;
type Skip = (typeof SKIPS)[number];

export class Replay extends Workload {
  /** No part of the state: found again by its digest. */
  readonly #source: RecordedEvents;
  private readonly closedLoop: boolean;
  private readonly speed: number;
  private readonly fromNs: number;
  private readonly toNs: number;
  private readonly recordedInvalidations: boolean;
  private readonly plans: Plan[];
  /** Whether a rule has to know when the unmap will come. */
  private readonly plansAhead: boolean;
  private readonly pagesPerEntry: number;
  private readonly bufferBytes: number;
  private readonly ringSize: number;
  private readonly transmitPs: number;
  private readonly calls = new LiveCalls();
  private readonly memory: ReplayMemory;
  /** [device of the recording]: index of the session's, ABSENT until a run begins, NO_DEVICE for one that is left out. */
  private readonly deviceOf: Int32Array;

  /** Event that is due next. */
  private position = 0;
  /** `anchorPs` after the clock's base is the moment `anchorNs` and `anchorRest` ps of the recording. */
  private anchorNs = ABSENT;
  private anchorRest = 0;
  /** The recording's first moment: calls of that are what was set up before, and take no time of the run. */
  private firstNs = ABSENT;
  private firstRest = 0;
  private anchorPs = 0;
  private duePs = 0;
  /** What is armed is no event's moment: it is only to look further. */
  private looking = false;
  /** Moment of the last `iommu_lab:call`, which says what the lines of the call are below a nanosecond. */
  private callNs = ABSENT;
  private callRest = 0;
  /** Whether the event has the moment of the one before it; where that one's call was made, and when it returned. */
  private sameMoment = false;
  private atFirst = false;
  private lastCpu = ABSENT;
  private lastEndPs = 0;
  private started = false;
  private over = false;
  /** Pages of the range in progress that are done. */
  private partial = 0;

  // The map in progress, while a search for its address may be suspended.
  private pendingKind = 0;
  private pendingDevice = 0;
  private pendingDirection = 0;
  private pendingFrame = NO_FRAME;
  private pendingFrames = 0;
  private pendingOwn = false;
  private pendingOffset = 0;
  private pendingBytes = 0;
  private pendingList: InputSegment[] | null = null;
  private pendingHolds: number[] | null = null;
  private pendingKey = 0;
  private pendingRecordedPage = ABSENT;
  private pendingRecordedOffset = 0;
  private pendingIntervalPs = 0;
  /** Whether the map belongs to the event at `position`, and not to the ring; whether it is a packet that is sent. */
  private pendingMain = true;
  private pendingTransmit = false;
  private startedPs = 0;

  /** Receive buffers, oldest first: slots in a ring. */
  private readonly ring: Int32Array;
  private ringHead = 0;
  private ringCount = 0;
  private buffersMade = 0;

  /** Ranges that it wrote into page tables and that stand: first page and last, by first page. */
  private readonly ranges: { first: number; last: number }[] = [];

  /** The access of the recording that was made last: its faults come with it. */
  private accessedNs = ABSENT;
  private accessedFirst = 0;
  private accessedLast = 0;

  // Of the run in progress, or the last one.
  private maps = 0;
  private unmaps = 0;
  private sameAddress = 0;
  private recordedAccesses = 0;
  private recordedFaults = 0;
  private synthesised = 0;
  private invalidations = 0;
  private lagPs = 0;
  private maxLagPs = 0;
  private readonly skipped = new Float64Array(SKIPS.length);

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    const source = simulator.recordings.open(spec.recording as string);
    if (source === null) throw new Error(`the recording ${spec.recording} is not here`);
    this.#source = source;
    this.closedLoop = spec.pace === 'closed-loop';
    this.speed = spec.speed as number;
    const window = (spec.window ?? {}) as { fromNs?: number; toNs?: number };
    this.fromNs = window.fromNs ?? ABSENT;
    this.toNs = window.toNs ?? NO_END;
    this.recordedInvalidations = spec.invalidations === 'recorded';
    this.plans = plansOf(spec.accesses as AccessSpec[]);
    this.plansAhead = this.plans.some(({ rule }) => rule !== 'late');
    this.pagesPerEntry = spec.pagesPerEntry as number;
    this.bufferBytes = spec.bufferBytes as number;
    this.ringSize = spec.ringSize as number;
    this.transmitPs = (spec.transmitNs as number) * 1000;
    this.ring = new Int32Array(this.ringSize);
    this.memory = new ReplayMemory(simulator.memory, setup.tenant);
    this.deviceOf = new Int32Array(source.devices.length).fill(ABSENT);
    if (!spec.cpus) {
      this.cpus.length = 0;
      for (let cpu = 0; cpu < simulator.cpuAt.length; cpu++) this.cpus.push(cpu);
    }
  }

  override get hasThroughput(): boolean {
    return true;
  }

  override uses(device: Device): boolean {
    return super.uses(device) || this.deviceOf.includes(device.index);
  }

  protected start(now: number): void {
    this.maps = 0;
    this.unmaps = 0;
    this.sameAddress = 0;
    this.recordedAccesses = 0;
    this.recordedFaults = 0;
    this.synthesised = 0;
    this.invalidations = 0;
    this.lagPs = 0;
    this.maxLagPs = 0;
    this.skipped.fill(0);
    if (!this.started) {
      this.started = true;
      this.bindDevices();
      this.anchorPs = now;
      this.duePs = now;
    }
    const { calls } = this;
    for (let slot = 0; slot < calls.used; slot++) {
      calls.armed[slot] = 0;
      for (let rule = 0; rule < MOST_RULES; rule++) {
        const at = calls.at[slot * MOST_RULES + rule]!;
        if (at !== NO_TIME) this.armSlot(Math.max(now, at), slot, rule);
      }
      calls.release(slot);
    }
    for (let n = 0; n < this.transmitting.length; n++)
      this.armSlot(Math.max(now, this.transmitAt[n]!), this.transmitting[n]!, TRANSMITTED);
    if (this.buffersMade >= this.ringSize && this.ringCount < this.ringSize) this.armCode(now, REFILL);
    if (!this.over) this.armNext(now);
  }

  /** Recorded names -> devices of the session; all that are not named are the workload's own device. */
  private bindDevices(): void {
    const { devices } = this.simulator;
    const given = (this.spec.devices ?? {}) as Record<string, string>;
    for (const [i, name] of this.#source.devices.entries()) {
      const found = Object.hasOwn(given, name) ? devices.find(given[name]!) : undefined;
      this.deviceOf[i] = (found ?? this.device).index;
    }
  }

  private deviceAt(recorded: number): Device {
    if (recorded < 0) return this.device;
    return this.simulator.deviceAt(this.deviceOf[recorded]!);
  }

  private cpuAt(recorded: number): number {
    return this.cpus[recorded < 0 ? 0 : recorded % this.cpus.length]!;
  }

  private armCode(time: number, code: number): void {
    this.arm(time, code >>> 8, code & 255);
  }

  private armSlot(time: number, slot: number, what: number): void {
    this.calls.armed[slot]!++;
    this.armCode(time, (slot + 1) * PER_SLOT + what);
  }

  private skip(why: Skip): void {
    this.skipped[SKIPS.indexOf(why)]!++;
  }

  // ------------------------------------------------------------------------------------------------ order and time

  /** Finds the next event that is anything to the replay, from `position` on, and arms its moment. */
  private armNext(now: number): void {
    const source = this.#source;
    this.looking = false;
    for (let scanned = 0; ; scanned++) {
      if (this.position >= source.count) {
        this.over = true;
        return;
      }
      if (scanned === MOST_SCANNED) {
        this.look(now);
        return;
      }
      source.load(this.position);
      if (source.kind === RECORDED.call) {
        this.callNs = source.timeNs;
        this.callRest = source.timePs;
      }
      if (source.timeNs >= this.fromNs && source.timeNs < this.toNs && this.acts()) break;
      this.position++;
    }
    const { timeNs } = source;
    const timePs = source.timePs === 0 && timeNs === this.callNs ? this.callRest : source.timePs;
    if (this.firstNs === ABSENT) {
      this.firstNs = timeNs;
      this.firstRest = timePs;
    }
    this.atFirst = timeNs === this.firstNs && timePs === this.firstRest;
    if (this.anchorNs === ABSENT || timeNs < this.anchorNs - RESTARTED_NS) this.anchorNs = timeNs;
    const ahead = timeNs - this.anchorNs;
    if (this.closedLoop) this.duePs = Math.max(now, this.simulator.cpuAt[this.cpuAt(source.cpu)]!, this.mappedUntil());
    else if (ahead / this.speed > STRIDE_NS) {
      // As far as whole picoseconds reach.
      this.anchorNs += Math.floor(STRIDE_NS * this.speed);
      this.anchorPs += STRIDE_NS * 1000;
      this.look(Math.max(now, this.anchorPs));
      return;
    } else {
      const aheadPs = ahead * 1000 + timePs - this.anchorRest;
      this.sameMoment = aheadPs <= 0;
      if (aheadPs > 0) {
        this.anchorPs += Math.round(aheadPs / this.speed);
        this.anchorNs = timeNs;
        this.anchorRest = timePs;
      }
      this.duePs = this.anchorPs;
    }
    this.armCode(Math.max(now, this.duePs), MAIN);
  }

  private look(at: number): void {
    this.looking = true;
    this.armCode(at, MAIN);
  }

  /** An unmap waits until its map, on another CPU, has returned. */
  private mappedUntil(): number {
    const source = this.#source;
    if (source.partner === ABSENT) return 0;
    const slot = this.calls.ofEvent(source.partner);
    return slot === NO_SLOT ? 0 : this.calls.begin[slot]!;
  }

  /** Whether the loaded event is one that the replay does something about. */
  private acts(): boolean {
    const source = this.#source;
    switch (source.kind) {
      case RECORDED.map:
      case RECORDED.unmap:
      case RECORDED.mapSg:
      case RECORDED.unmapSg:
      case RECORDED.alloc:
      case RECORDED.free:
      case RECORDED.sync:
      case RECORDED.syncSg:
      case RECORDED.fault:
      case RECORDED.access:
      case RECORDED.ioStart:
      case RECORDED.ioEnd:
      case RECORDED.packet:
        return true;
      case RECORDED.iommuMap:
      case RECORDED.iommuUnmap:
        return source.joined === ABSENT;
      case RECORDED.invalidate:
        return this.recordedInvalidations;
      default:
        return false;
    }
  }

  event(phase: number, queue: number, now: number): boolean {
    const code = phase * 256 + queue;
    if (code === MAIN) return this.main(now);
    if (code === REFILL) return this.refill(now);
    const slot = Math.floor(code / PER_SLOT) - 1;
    const what = code % PER_SLOT;
    this.calls.armed[slot]!--;
    if (what === TRANSMITTED) return this.transmitted(slot, now);
    this.accessDue(slot, what, now);
    return DONE;
  }

  private main(now: number): boolean {
    const source = this.#source;
    if (this.looking) {
      this.armNext(now);
      return DONE;
    }
    source.load(this.position);
    if (source.kind === RECORDED.fault || source.kind === RECORDED.access) {
      this.touchAsRecorded(now);
      this.goOn(now);
      return DONE;
    }
    const cpu = this.cpuAt(source.cpu);
    if (!this.goesOn(cpu, now) && !this.simulator.mayRun(cpu, this.index, now)) {
      this.armCode(this.simulator.cpuAt[cpu]!, MAIN);
      return DONE;
    }
    const lag = now - this.duePs;
    if (this.partial === 0) {
      this.lagPs = lag;
      if (lag > this.maxLagPs) this.maxLagPs = lag;
    }
    return this.make(cpu, now);
  }

  /**
   * Calls of one moment on one CPU are one turn of a driver, and so are those that come while the call before them is not quite over:
   * they are made back to back, and no timer comes between them, as long as nobody else was on the CPU.
   */
  private goesOn(cpu: number, now: number): boolean {
    const free = this.simulator.cpuAt[cpu]!;
    return cpu === this.lastCpu && free === this.lastEndPs && (this.sameMoment || free - now <= TURN_PS);
  }

  protected override finish(): number {
    const { work } = this.simulator;
    if (this.atFirst && !this.closedLoop && this.pendingMain) {
      this.milliCycles += work.total;
      return work.now();
    }
    const end = super.finish();
    this.lastCpu = this.simulator.work.cpu;
    this.lastEndPs = end;
    return end;
  }

  /** The event at `position` is done with. */
  private goOn(now: number): void {
    this.position++;
    this.partial = 0;
    this.armNext(now);
  }

  /** The loaded call. */
  private make(cpu: number, now: number): boolean {
    const source = this.#source;
    switch (source.kind) {
      case RECORDED.map:
      case RECORDED.alloc:
        return this.mapOne(cpu, now);
      case RECORDED.mapSg:
        return this.mapList(cpu, now);
      case RECORDED.ioStart:
        return this.mapTransfer(cpu, now);
      case RECORDED.packet:
        return this.packet(cpu, now);
      case RECORDED.iommuMap:
        return this.writeRange(cpu, now);
      case RECORDED.iommuUnmap:
        return this.clearRange(cpu, now);
      case RECORDED.invalidate:
        this.invalidate(cpu, now);
        return DONE;
      case RECORDED.sync:
      case RECORDED.syncSg:
        this.sync(cpu, now);
        return DONE;
      default:
        this.unmapOne(cpu, now);
        return DONE;
    }
  }

  // ------------------------------------------------------------------------------------------------ maps

  /** Of the loaded event: ps of the recording from it to what ends it; 0 when that is not known or does not count. */
  private intervalPs(): number {
    const source = this.#source;
    const { partner, timeNs, timePs } = source;
    if (this.closedLoop || !this.plansAhead || partner === ABSENT || partner <= this.position) return 0;
    source.load(partner);
    const interval = (source.timeNs - timeNs) * 1000 + (source.timePs - timePs);
    source.load(this.position);
    return interval > 0 ? Math.min(2 ** 52, Math.round(interval / this.speed)) : 0;
  }

  /** What a map of the loaded event is about, but for its memory. @returns whether it can be made */
  private prepare(kind: number, direction: number, bytes: number): boolean {
    const source = this.#source;
    const device = this.deviceAt(source.device);
    if (device.domain === null) return this.cannot('detached');
    if (!(bytes > 0) || bytes > MOST_PAGES * 4096) return this.cannot('tooLarge');
    this.pendingKind = kind;
    this.pendingDevice = device.index;
    this.pendingDirection = direction;
    this.pendingOffset = 0;
    this.pendingBytes = bytes;
    this.pendingList = null;
    this.pendingHolds = null;
    this.pendingKey = this.position;
    this.pendingRecordedPage = source.iovaPage;
    this.pendingRecordedOffset = source.iovaOffset;
    this.pendingMain = true;
    this.pendingTransmit = false;
    this.pendingIntervalPs = this.intervalPs();
    return true;
  }

  private cannot(why: Skip): false {
    this.skip(why);
    return false;
  }

  private mapOne(cpu: number, now: number): boolean {
    const source = this.#source;
    const coherent = source.kind === RECORDED.alloc;
    // Coherent memory is for both sides, whatever the line says.
    const direction = coherent ? BIDIRECTIONAL : directionOf(source.direction);
    const { physicalPage, lengthBytes } = source;
    const offset = coherent || physicalPage < 0 ? 0 : Math.max(0, source.physicalOffset);
    // An offset within the page that the address shows and no physical address says.
    const within = coherent || physicalPage >= 0 || source.iovaOffset < 0 ? offset : source.iovaOffset;
    if (!this.prepare(coherent ? MAP_KIND.coherent : MAP_KIND.page, direction, lengthBytes)) {
      this.goOn(now);
      return DONE;
    }
    const pages = Math.ceil((within + lengthBytes) / 4096);
    this.pendingOffset = within;
    if (coherent) this.pendingBytes = pages * 4096;
    if (coherent && this.simulator.dma.mode?.ownCoherent === true) {
      this.pendingFrame = 0;
      this.pendingFrames = 0;
      this.pendingOwn = false;
    } else if (!this.takeMemory(physicalPage, pages)) {
      this.goOn(now);
      return DONE;
    }
    return this.beginMap(cpu, now);
  }

  private takeMemory(recorded: number, frames: number): boolean {
    const frame = this.memory.take(recorded, frames);
    this.pendingFrame = frame;
    this.pendingFrames = frames;
    this.pendingOwn = this.memory.own;
    return frame !== NO_FRAME || this.cannot('withoutMemory');
  }

  /** Memory of one segment of the list in the making. */
  private takeSegment(recorded: number, offset: number, lengthBytes: number): boolean {
    const frames = Math.ceil((offset + lengthBytes) / 4096);
    const frame = this.memory.take(recorded, frames);
    if (frame === NO_FRAME) return this.cannot('withoutMemory');
    this.pendingList!.push({ frame, offset, lengthBytes });
    this.pendingHolds!.push(frame, frames, this.memory.own ? 1 : 0);
    return true;
  }

  private dropHolds(holds: readonly number[]): void {
    for (let at = 0; at < holds.length; at += 3) this.memory.leave(holds[at]!, holds[at + 1]!, holds[at + 2] === 1);
  }

  /**
   * The ranges behind the loaded `mapSg`. Where entries were merged the recording has fewer lengths than entries: each but the last
   * then goes to the end of its page, and the last has what is left.
   */
  private mapList(cpu: number, now: number): boolean {
    const source = this.#source;
    const direction = directionOf(source.direction);
    const memory: { page: number; offset: number }[] = [];
    const lengths: number[] = [];
    let iovaPage = ABSENT;
    let iovaOffset = 0;
    for (let at = this.position + 1; at < source.count; at++) {
      source.load(at);
      if (source.kind !== RECORDED.segment) break;
      if (lengths.length === 0 && source.iovaPage >= 0) {
        iovaPage = source.iovaPage;
        iovaOffset = source.iovaOffset;
      }
      if (source.lengthBytes > 0) lengths.push(source.lengthBytes);
      if (source.physicalPage >= 0) memory.push({ page: source.physicalPage, offset: source.physicalOffset });
    }
    source.load(this.position);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (!this.prepare(MAP_KIND.sg, direction, total)) {
      this.goOn(now);
      return DONE;
    }
    this.pendingRecordedPage = iovaPage;
    this.pendingRecordedOffset = iovaOffset;
    this.pendingList = [];
    this.pendingHolds = [];
    let taken = true;
    if (memory.length === 0) for (const length of lengths) taken &&= this.takeSegment(ABSENT, 0, length);
    else if (memory.length === lengths.length)
      for (const [i, { page, offset }] of memory.entries()) taken &&= this.takeSegment(page, offset, lengths[i]!);
    else {
      let left = total;
      for (const [i, { page, offset }] of memory.entries()) {
        const length = i === memory.length - 1 ? left : Math.min(left, 4096 - offset);
        if (length > 0) taken &&= this.takeSegment(page, offset, length);
        left -= length;
      }
    }
    if (!taken) {
      this.dropHolds(this.pendingHolds);
      this.goOn(now);
      return DONE;
    }
    return this.beginMap(cpu, now);
  }

  /** A transfer of a block trace: pages of its own, `pagesPerEntry` in each entry of the list. */
  private mapTransfer(cpu: number, now: number): boolean {
    const source = this.#source;
    const { lengthBytes } = source;
    if (!this.prepare(MAP_KIND.sg, source.write === 1 ? FROM_DEVICE : TO_DEVICE, lengthBytes)) {
      this.goOn(now);
      return DONE;
    }
    this.pendingRecordedPage = ABSENT;
    this.pendingList = [];
    this.pendingHolds = [];
    let taken = true;
    for (let left = lengthBytes; left > 0 && taken; left -= this.pagesPerEntry * 4096)
      taken = this.takeSegment(ABSENT, 0, Math.min(left, this.pagesPerEntry * 4096));
    if (!taken) {
      this.dropHolds(this.pendingHolds);
      this.goOn(now);
      return DONE;
    }
    return this.beginMap(cpu, now);
  }

  private beginMap(cpu: number, now: number): boolean {
    this.begin(cpu, now);
    this.startedPs = this.simulator.work.now();
    return this.attempt();
  }

  private attempt(): boolean {
    const { simulator } = this;
    const { dma } = simulator;
    const device = simulator.deviceAt(this.pendingDevice);
    const { pendingList: list } = this;
    const mapping =
      list !== null
        ? dma.mapSg(device, this.pendingDirection, list)
        : dma.map(
            device,
            this.pendingKind,
            this.pendingDirection,
            this.pendingFrame,
            this.pendingOffset,
            this.pendingBytes,
          );
    if (mapping === MAP_SUSPENDED) return SUSPENDED;
    this.mapCalls++;
    this.offered++;
    const end = this.finish();
    this.latency.record(Math.floor((end - this.startedPs) / 1000));
    let slot = NO_SLOT;
    if (mapping < 0) {
      this.mapFailures++;
      this.dropped++;
      this.skip('withoutAddress');
      if (this.pendingHolds !== null) this.dropHolds(this.pendingHolds);
      else if (this.pendingFrames > 0) this.memory.leave(this.pendingFrame, this.pendingFrames, this.pendingOwn);
    } else slot = this.keep(mapping, end);
    if (this.pendingMain) {
      this.operations++;
      this.maps++;
      if (slot !== NO_SLOT && this.pendingTransmit) this.sent(slot, end);
      else if (slot !== NO_SLOT) this.afterMap(slot, end);
      this.goOn(this.simulator.clock.now);
    } else if (slot !== NO_SLOT) {
      this.ring[(this.ringHead + this.ringCount) % this.ringSize] = slot;
      this.ringCount++;
      if (this.ringCount < this.ringSize && this.buffersMade >= this.ringSize) this.armCode(end, REFILL);
    }
    return DONE;
  }

  resume(): boolean {
    return this.attempt();
  }

  private keep(mapping: number, end: number): number {
    const { calls, simulator } = this;
    const { mappings } = simulator;
    const slot = calls.add(this.pendingKey, this.pendingRecordedPage);
    calls.mapping[slot] = mapping;
    calls.device[slot] = this.pendingDevice;
    calls.domain[slot] = mappings.domain[mapping]!;
    calls.write[slot] = this.pendingDirection === TO_DEVICE ? 0 : 1;
    calls.page[slot] = mappings.page[mapping]!;
    calls.offset[slot] = mappings.offset[mapping]!;
    calls.lengthBytes[slot] = mappings.lengthBytes[mapping]!;
    calls.pages[slot] = mappings.pages[mapping]!;
    calls.holds[slot] = this.pendingHolds;
    calls.holdFirst[slot] = this.pendingHolds === null && this.pendingFrames > 0 ? this.pendingFrame : NO_FRAME;
    calls.holdCount[slot] = this.pendingFrames;
    calls.holdOwn[slot] = this.pendingOwn ? 1 : 0;
    calls.begin[slot] = end;
    calls.interval[slot] = 0;
    if (mappings.frame[mapping] === -1) {
      const stretches: number[] = [];
      for (const run of mappings.runs[mapping]!)
        for (let i = 0; i < run.pages; i++) {
          const from = i === 0 ? run.offset : 0;
          stretches.push(run.page + i, from, Math.min(4096, run.offset + run.lengthBytes - i * 4096));
        }
      calls.stretches[slot] = stretches;
    }
    const same = calls.page[slot] === this.pendingRecordedPage && calls.offset[slot] === this.pendingRecordedOffset;
    if (same) this.sameAddress++;
    return slot;
  }

  /** Plans what the device does with it. */
  private afterMap(slot: number, end: number): void {
    const { calls, plans } = this;
    // From when the map returned to when the unmap is due.
    const interval = Math.max(0, this.pendingIntervalPs - (end - this.duePs));
    calls.interval[slot] = this.pendingIntervalPs === 0 ? 0 : interval;
    for (let rule = 0; rule < plans.length; rule++) this.planNext(slot, rule, 0, end);
  }

  private pagesIn(slot: number): number {
    const stretches = this.calls.stretches[slot]!;
    return stretches === null ? this.calls.pages[slot]! : stretches.length / 3;
  }

  private planNext(slot: number, rule: number, n: number, now: number): void {
    const { calls } = this;
    const plan = this.plans[rule]!;
    const pages = this.pagesIn(slot);
    const at = slot * MOST_RULES + rule;
    calls.next[at] = n;
    if (n >= countOf(plan, pages)) {
      calls.at[at] = NO_TIME;
      return;
    }
    const due = dueAt(plan, n, pages, calls.begin[slot]!, calls.interval[slot]!);
    calls.at[at] = due;
    if (due !== NO_TIME) this.armSlot(Math.max(now, due), slot, rule);
  }

  // ------------------------------------------------------------------------------------------------ accesses

  private accessDue(slot: number, rule: number, now: number): void {
    const { calls } = this;
    const at = slot * MOST_RULES + rule;
    if (calls.at[at] === NO_TIME || calls.at[at]! > now) {
      calls.release(slot);
      return;
    }
    const n = calls.next[at]!;
    calls.at[at] = NO_TIME;
    this.touchPage(slot, rule, n, now);
    if (calls.isLive(slot)) this.planNext(slot, rule, n + 1, now);
    else calls.release(slot);
  }

  private touchPage(slot: number, rule: number, n: number, now: number): void {
    const { calls } = this;
    const plan = this.plans[rule]!;
    const index = pageOf(plan, n, this.pagesIn(slot));
    const stretches = calls.stretches[slot]!;
    let page: number;
    let from: number;
    let to: number;
    if (stretches !== null) {
      page = stretches[index * 3]!;
      from = stretches[index * 3 + 1]!;
      to = stretches[index * 3 + 2]!;
    } else {
      page = calls.page[slot]! + index;
      from = index === 0 ? calls.offset[slot]! : 0;
      to = Math.min(4096, calls.offset[slot]! + calls.lengthBytes[slot]! - index * 4096);
    }
    const device = this.simulator.deviceAt(calls.device[slot]!);
    this.synthesised++;
    this.tried(device, page, from, Math.max(1, Math.min(plan.bytes, to - from)), calls.write[slot] === 1, now);
  }

  private tried(device: Device, page: number, offset: number, bytes: number, write: boolean, now: number): void {
    const { counters } = this.simulator;
    const { attemptsAfterUnmap, attemptsDetected } = counters;
    this.access(device, page, offset, bytes, write, now);
    this.attempts += counters.attemptsAfterUnmap - attemptsAfterUnmap;
    this.detected += counters.attemptsDetected - attemptsDetected;
  }

  /** What has not happened when the unmap comes happens right before it. */
  private catchUp(slot: number, now: number): void {
    const { calls, plans } = this;
    for (let rule = 0; rule < plans.length; rule++) {
      const at = slot * MOST_RULES + rule;
      if (calls.at[at] === NO_TIME) continue;
      calls.at[at] = NO_TIME;
      const count = countOf(plans[rule]!, this.pagesIn(slot));
      for (let n = calls.next[at]!; n < count; n++) this.touchPage(slot, rule, n, now);
      calls.next[at] = count;
    }
  }

  /** Of a device that goes on after the unmap. */
  private planLate(slot: number, end: number): void {
    const { calls, plans } = this;
    for (let rule = 0; rule < plans.length; rule++) {
      const plan = plans[rule]!;
      if (plan.rule !== 'late') continue;
      const at = slot * MOST_RULES + rule;
      calls.next[at] = 0;
      calls.at[at] = end + plan.afterPs;
      this.armSlot(calls.at[at]!, slot, rule);
    }
  }

  private touchAsRecorded(now: number): void {
    const source = this.#source;
    const { kind, iovaPage, iovaOffset, timeNs, write } = source;
    const device = this.deviceAt(source.device);
    const bytes = kind === RECORDED.access ? Math.min(Math.max(1, source.lengthBytes), 2 ** 24) : 1;
    const last = iovaPage + Math.floor((iovaOffset + bytes - 1) / 4096);
    if (kind === RECORDED.access) {
      this.accessedNs = timeNs;
      this.accessedFirst = iovaPage;
      this.accessedLast = last;
      this.recordedAccesses++;
    } else {
      // The fault of an access that the recording has, too.
      const own = this.accessedNs === timeNs && iovaPage >= this.accessedFirst && iovaPage <= this.accessedLast;
      if (own) return;
      this.recordedFaults++;
    }
    const page = device.domain === null ? ABSENT : this.calls.translate(device.domain.index, iovaPage);
    if (page < 0) this.skip('unknownAddresses');
    // An address that the replay has never had is used as it stands.
    this.tried(device, page < 0 ? iovaPage : page, Math.max(0, iovaOffset), bytes, write === 1, now);
  }

  // ------------------------------------------------------------------------------------------------ unmaps

  private unmapOne(cpu: number, now: number): void {
    const source = this.#source;
    const slot = source.partner === ABSENT ? NO_SLOT : this.calls.ofEvent(source.partner);
    if (slot === NO_SLOT) this.skip('unmatchedUnmaps');
    else {
      this.takeBack(slot, cpu, now);
      this.operations++;
      this.unmaps++;
    }
    this.goOn(now);
  }

  /** @returns ps at which the unmap returned */
  private takeBack(slot: number, cpu: number, now: number): number {
    const { calls, simulator } = this;
    this.catchUp(slot, now);
    this.begin(cpu, now);
    const { work } = simulator;
    const started = work.now();
    work.rows = this.unmapRows;
    simulator.dma.unmap(calls.mapping[slot]!, simulator.deviceAt(calls.device[slot]!));
    work.rows = this.mapRows;
    this.unmapCalls++;
    this.bytes += calls.lengthBytes[slot]!;
    const end = this.finish();
    this.latency.record(Math.floor((end - started) / 1000));
    const holds = calls.holds[slot]!;
    if (holds !== null) this.dropHolds(holds);
    else this.memory.leave(calls.holdFirst[slot]!, calls.holdCount[slot]!, calls.holdOwn[slot] === 1);
    this.planLate(slot, end);
    calls.end(slot);
    return end;
  }

  private sync(cpu: number, now: number): void {
    const source = this.#source;
    const { kind, detail } = source;
    let { iovaPage, iovaOffset, lengthBytes } = source;
    const { domain } = this.deviceAt(source.device);
    if (kind === RECORDED.syncSg && this.position + 1 < source.count) {
      source.load(this.position + 1);
      if (source.kind === RECORDED.segment) ({ iovaPage, iovaOffset, lengthBytes } = source);
      source.load(this.position);
    }
    const slot = iovaPage < 0 || domain === null ? NO_SLOT : this.calls.slotAt(domain.index, iovaPage);
    if (slot === NO_SLOT || this.calls.mapping[slot]! < 0) this.skip('unmatchedSyncs');
    else {
      const { calls } = this;
      const whole = calls.lengthBytes[slot]!;
      const offset = kind === RECORDED.syncSg ? 0 : Math.max(0, iovaOffset - calls.offset[slot]!);
      const bytes = kind === RECORDED.syncSg ? whole : Math.min(Math.max(0, lengthBytes), Math.max(0, whole - offset));
      this.begin(cpu, now);
      this.simulator.counters.syncCalls++;
      this.simulator.dma.sync(calls.mapping[slot]!, detail === 1, offset, bytes);
      this.finish();
    }
    this.goOn(now);
  }

  // ------------------------------------------------------------------------------------------------ page tables

  /** A range of the loaded event that a domain can have, or why not. */
  private rangeOf(): { domain: Domain; first: number; pages: number } | Skip {
    const { domain } = this.device;
    const source = this.#source;
    const pages = Math.ceil((Math.max(0, source.iovaOffset) + source.lengthBytes) / 4096);
    if (domain === null) return 'detached';
    if (this.simulator.modeEntry.direct) return 'overlapping';
    if (!(pages > 0) || source.iovaPage < 0 || source.iovaPage + pages - 1 > domain.lastPage) return 'tooLarge';
    return { domain, first: source.iovaPage, pages };
  }

  private writeRange(cpu: number, now: number): boolean {
    const { simulator } = this;
    const source = this.#source;
    const range = this.rangeOf();
    if (typeof range === 'string') {
      this.skip(range);
      this.goOn(now);
      return DONE;
    }
    const { domain } = range;
    const first = range.first + this.partial;
    const pages = Math.min(range.pages - this.partial, MOST_PAGES_AT_ONCE);
    const frame = source.physicalPage + this.partial;
    const last = first + pages - 1;
    const isNew = domain.allocator === null;
    const allocator = domain.space(domain.lastPage);
    const next = domain.pages.ranges[domain.pages.rangeIndex(first)];
    const taken =
      (next !== undefined && next.first <= last) ||
      allocator.overlaps(first, last) ||
      domain.policy.holds(domain, first, last) ||
      simulator.reserved.some((region) => first <= region.last && last >= region.first);
    if (taken || source.physicalPage < 0 || frame + pages > PHYSICAL_PAGES) {
      if (isNew) domain.withdrawSpace();
      this.skip('overlapping');
      this.goOn(now);
      return DONE;
    }
    this.begin(cpu, now);
    const started = simulator.work.now();
    const done = simulator.iommuApi.map(domain, first, frame, pages, READ | WRITE, 3);
    const end = this.finish();
    this.mapCalls++;
    if (!done) {
      this.mapFailures++;
      this.skip('withoutMemory');
      this.goOn(now);
      return DONE;
    }
    this.latency.record(Math.floor((end - started) / 1000));
    this.noteRange(first, last);
    this.partial += pages;
    if (this.partial < range.pages) {
      this.armCode(now, MAIN);
      return DONE;
    }
    this.operations++;
    this.maps++;
    this.sameAddress++;
    this.goOn(now);
    return DONE;
  }

  private clearRange(cpu: number, now: number): boolean {
    const { simulator } = this;
    const range = this.rangeOf();
    const why = typeof range === 'string' ? range : this.whyNotClear(range.domain, range.first, range.pages);
    if (typeof range === 'string' || why !== null) {
      this.skip(why as Skip);
      this.goOn(now);
      return DONE;
    }
    const { domain, first, pages } = range;
    this.begin(cpu, now);
    const { work } = simulator;
    const started = work.now();
    work.rows = this.unmapRows;
    const unmapped = simulator.iommuApi.unmap(domain, first, pages, !this.recordedInvalidations);
    work.rows = this.mapRows;
    const end = this.finish();
    this.latency.record(Math.floor((end - started) / 1000));
    this.unmapCalls++;
    this.unmaps++;
    this.operations++;
    this.bytes += unmapped * 4096;
    if (unmapped === 0) this.skip('unmatchedUnmaps');
    this.forgetRange(first, first + pages - 1);
    this.goOn(now);
    return DONE;
  }

  private whyNotClear(domain: Domain, first: number, pages: number): Skip | null {
    const { simulator } = this;
    const last = first + pages - 1;
    // Only what was mapped like this is in reach of a range; a mapping of the DMA API is unmapped by its own call.
    for (let page = first; page <= last; page++) {
      const chunk = domain.pages.peek(page);
      if (!chunk) page += 511 - (page % 512);
      else if (chunk.live[page & 511] !== 0) return 'overlapping';
    }
    if (simulator.dma.stands(domain, first, last)) return 'overlapping';
    return simulator.iommuApi.cutsSuperpage(domain, first, last) ? 'cutSuperpages' : null;
  }

  private noteRange(first: number, last: number): void {
    const { ranges } = this;
    let at = ranges.length;
    while (at > 0 && ranges[at - 1]!.first > first) at--;
    const before = ranges[at - 1];
    if (before !== undefined && before.last + 1 === first) before.last = last;
    else ranges.splice(at, 0, { first, last });
  }

  private forgetRange(first: number, last: number): void {
    const { ranges } = this;
    for (let at = 0; at < ranges.length && ranges[at]!.first <= last; ) {
      const range = ranges[at]!;
      if (range.last < first) {
        at++;
        continue;
      }
      const rest = [
        { first: range.first, last: first - 1 },
        { first: last + 1, last: range.last },
      ].filter((part) => part.first <= part.last);
      ranges.splice(at, 1, ...rest);
      at += rest.length;
    }
  }

  private invalidate(cpu: number, now: number): void {
    const { simulator } = this;
    const source = this.#source;
    const { domain } = this.deviceAt(source.device);
    const { detail, iovaPage, lengthBytes } = source;
    const pages = Math.ceil(lengthBytes / 4096);
    this.begin(cpu, now);
    if (detail === 1 || domain === null) simulator.flush.global(simulator.domains);
    else if (detail === 3 && iovaPage >= 0 && pages > 0 && iovaPage + pages - 1 <= domain.lastPage)
      simulator.flush.range(domain, iovaPage, pages, false);
    else simulator.flush.domain(domain);
    this.finish();
    this.invalidations++;
    this.goOn(now);
  }

  // ------------------------------------------------------------------------------------------------ packets

  /** Slots on their way out, in the order in which they complete, and when. */
  private readonly transmitting: number[] = [];
  private readonly transmitAt: number[] = [];

  private packet(cpu: number, now: number): boolean {
    const source = this.#source;
    const bytes = Math.min(Math.max(1, source.lengthBytes), MOST_PAGES * 4096);
    if (source.write === 1) {
      if (this.ringCount < this.ringSize && this.buffersMade < this.ringSize) {
        // The ring is filled before the first packet.
        return this.fillRing(cpu, now);
      }
      this.receive(bytes, cpu, now);
      return DONE;
    }
    if (!this.prepare(MAP_KIND.single, TO_DEVICE, bytes) || !this.takeMemory(ABSENT, Math.ceil(bytes / 4096))) {
      this.goOn(now);
      return DONE;
    }
    this.pendingRecordedPage = ABSENT;
    this.pendingIntervalPs = 0;
    this.pendingTransmit = true;
    return this.beginMap(cpu, now);
  }

  /** A packet goes out: when it is out the device has read it, and it is unmapped. */
  private sent(slot: number, end: number): void {
    const at = end + this.transmitPs;
    this.transmitting.push(slot);
    this.transmitAt.push(at);
    this.armSlot(at, slot, TRANSMITTED);
  }

  private transmitted(slot: number, now: number): boolean {
    const cpu = this.cpus[0]!;
    if (!this.simulator.mayRun(cpu, this.index, now)) {
      this.armSlot(this.simulator.cpuAt[cpu]!, slot, TRANSMITTED);
      return DONE;
    }
    const at = this.transmitting.indexOf(slot);
    this.transmitting.splice(at, 1);
    this.transmitAt.splice(at, 1);
    const { calls } = this;
    const bytes = Math.min(2 ** 24, calls.lengthBytes[slot]!);
    this.tried(this.simulator.deviceAt(calls.device[slot]!), calls.page[slot]!, calls.offset[slot]!, bytes, false, now);
    this.synthesised++;
    this.takeBack(slot, cpu, now);
    this.unmaps++;
    return DONE;
  }

  /** Maps one buffer more; the event at `position` waits until the ring is full. */
  private fillRing(cpu: number, now: number): boolean {
    if (!this.prepareBuffer()) {
      this.buffersMade = this.ringSize;
      this.armCode(now, MAIN);
      return DONE;
    }
    this.buffersMade++;
    this.armCode(now, MAIN);
    return this.beginMap(cpu, now);
  }

  private prepareBuffer(): boolean {
    if (this.device.domain === null) return this.cannot('detached');
    const frames = Math.ceil(this.bufferBytes / 4096);
    if (!this.takeMemory(ABSENT, frames)) return false;
    this.pendingKind = MAP_KIND.page;
    this.pendingDevice = this.device.index;
    this.pendingDirection = FROM_DEVICE;
    this.pendingOffset = 0;
    this.pendingBytes = this.bufferBytes;
    this.pendingList = null;
    this.pendingHolds = null;
    this.pendingRecordedPage = ABSENT;
    this.pendingRecordedOffset = 0;
    this.pendingKey = BUFFER_KEY - this.bufferKeys++;
    this.pendingMain = false;
    this.pendingTransmit = false;
    this.pendingIntervalPs = 0;
    return true;
  }

  private bufferKeys = 0;

  private receive(bytes: number, cpu: number, now: number): void {
    this.offered++;
    if (this.ringCount === 0) {
      this.dropped++;
      this.goOn(now);
      return;
    }
    const slot = this.ring[this.ringHead]!;
    this.ringHead = (this.ringHead + 1) % this.ringSize;
    this.ringCount--;
    const device = this.simulator.deviceAt(this.calls.device[slot]!);
    const length = Math.min(bytes, this.calls.lengthBytes[slot]!);
    this.tried(device, this.calls.page[slot]!, this.calls.offset[slot]!, length, true, now);
    this.synthesised++;
    const end = this.takeBack(slot, cpu, now);
    this.operations++;
    this.unmaps++;
    this.position++;
    this.armCode(end, REFILL);
    this.armNext(now);
  }

  private refill(now: number): boolean {
    if (this.ringCount >= this.ringSize) return DONE;
    const cpu = this.cpus[0]!;
    if (!this.simulator.mayRun(cpu, this.index, now)) {
      this.armCode(this.simulator.cpuAt[cpu]!, REFILL);
      return DONE;
    }
    return this.prepareBuffer() ? this.beginMap(cpu, now) : DONE;
  }

  // ------------------------------------------------------------------------------------------------ the rest

  override report(): Record<string, unknown> {
    const source = this.#source;
    const skipped = Object.fromEntries(SKIPS.map((name, i) => [name, this.skipped[i]!]));
    return {
      replay: {
        recording: source.digest,
        event: this.position,
        events: source.count,
        finished: this.over,
        maps: this.maps,
        unmaps: this.unmaps,
        sameAddress: this.sameAddress,
        live: this.calls.count,
        accesses: { recorded: this.recordedAccesses, faults: this.recordedFaults, synthesised: this.synthesised },
        invalidations: this.invalidations,
        lagNs: { last: Math.max(0, Math.floor(this.lagPs / 1000)), max: Math.floor(this.maxLagPs / 1000) },
        memory: { folded: this.memory.folded, moved: this.memory.moved },
        skipped,
      },
    };
  }

  tearDown(): void {
    const { simulator, calls } = this;
    simulator.begin(this.cpus[0]!);
    for (const slot of [...calls.live()]) {
      simulator.dma.unmap(calls.mapping[slot]!, simulator.deviceAt(calls.device[slot]!));
      const holds = calls.holds[slot]!;
      if (holds !== null) this.dropHolds(holds);
      else this.memory.leave(calls.holdFirst[slot]!, calls.holdCount[slot]!, calls.holdOwn[slot] === 1);
      calls.end(slot);
    }
    const { domain } = this.device;
    if (domain !== null && !domain.removed)
      for (const { first, last } of this.ranges) simulator.iommuApi.unmap(domain, first, last - first + 1, true);
    this.ranges.length = 0;
    this.transmitting.length = 0;
    this.transmitAt.length = 0;
    this.ringCount = 0;
    this.memory.tearDown();
    simulator.end();
  }

  protected rebase(ps: number): void {
    this.anchorPs -= ps;
    this.duePs -= ps;
    this.lastEndPs -= ps;
    this.calls.rebase(ps);
    for (let n = 0; n < this.transmitAt.length; n++) this.transmitAt[n]! -= ps;
  }

  protected digestState(sink: DigestSink): void {
    sink.text(this.#source.digest);
    sink.number(this.position);
    sink.number(this.started ? 1 : 0);
    sink.number(this.over ? 1 : 0);
    sink.number(this.anchorNs);
    sink.number(this.anchorRest);
    sink.number(this.firstNs);
    sink.number(this.firstRest);
    sink.number(this.atFirst ? 1 : 0);
    sink.number(this.anchorPs);
    sink.number(this.looking ? 1 : 0);
    sink.number(this.callNs);
    sink.number(this.callRest);
    sink.number(this.sameMoment ? 1 : 0);
    sink.number(this.lastCpu);
    sink.number(this.partial);
    sink.number(this.bufferKeys);
    sink.number(this.buffersMade);
    sink.number(this.ringHead);
    sink.number(this.ringCount);
    for (let n = 0; n < this.ringCount; n++) sink.number(this.ring[(this.ringHead + n) % this.ringSize]!);
    for (const slot of this.transmitting) sink.number(slot);
    for (const { first, last } of this.ranges) {
      sink.number(first);
      sink.number(last);
    }
    sink.column(this.deviceOf, this.deviceOf.length);
    this.calls.digest(sink);
    this.memory.digest(sink);
  }
}

/** As the core's directions are numbered; what a line does not say or calls NONE is for both. */
function directionOf(recorded: number): number {
  if (recorded === KERNEL_DIRECTION.toDevice) return TO_DEVICE;
  if (recorded === KERNEL_DIRECTION.fromDevice) return FROM_DEVICE;
  return BIDIRECTIONAL;
}
