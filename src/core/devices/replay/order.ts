/**
 * Order and time of a replay: which event of the recording is due next, and when.
 *
 * Order is the recording's at every pace: a call never overtakes one that was recorded before it, so that the allocator meets the calls
 * as it did. At the pace `recorded` a call begins at its recorded moment, or when its CPU is free; at `closed-loop` as soon as its CPU
 * is free. Moments are told from an anchor that moves along, since picoseconds are whole doubles only so far.
 *
 * Departs: work of the driver between the calls is not in a recording and takes no time here; a lag behind the recorded times is
 * reported.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';
import { DONE } from '../workload.ts';
import { NO_SLOT } from './live.ts';
import type { Replay } from './replay.ts';
import { ABSENT, RECORDED, type RecordedEvents } from './source.ts';

/** Events of the recording that are passed over in one event of the run. */
const MOST_SCANNED = 1024;
/** A longer pause is waited for in strides. */
const STRIDE_NS = 2 ** 40;
/** A clock that steps back by less makes nothing due earlier; one that steps back by more begins anew. */
const RESTARTED_NS = 1e9;
/** How far a CPU may be ahead of the moment of a call that goes on with a turn: by one call that had to flush a full queue. */
const TURN_PS = 20_000_000;
/** One past the last; in a recording times are below it. */
const NO_END = Number.MAX_SAFE_INTEGER;

export class ReplayOrder {
  /** No part of the state: found again by its digest. */
  readonly #source: RecordedEvents;
  private readonly replay: Replay;
  readonly closedLoop: boolean;
  private readonly speed: number;
  private readonly fromNs: number;
  private readonly toNs: number;

  /** Event that is due next; pages of its range that are done. */
  position = 0;
  partial = 0;
  /** What is armed is no event's moment: it is only to look further. */
  looking = false;
  over = false;
  private started = false;
  /** `anchorPs` after the clock's base is the moment `anchorNs` and `anchorRest` ps of the recording. */
  private anchorNs = ABSENT;
  private anchorRest = 0;
  private anchorPs = 0;
  /** Moment of the event at `position`. */
  duePs = 0;
  /** The recording's first moment: calls of that are what was set up before, and take no time of the run. */
  private firstNs = ABSENT;
  private firstRest = 0;
  private atFirst = false;
  /** Moment of the last `iommu_lab:call`, which says what the lines of the call are below a nanosecond. */
  private callNs = ABSENT;
  private callRest = 0;
  /** Whether the event has the moment of the one before it; where that one's call was made, and when it returned. */
  private sameMoment = false;
  private lastCpu = ABSENT;
  private lastEndPs = 0;
  /** Of the run in progress, or the last one. */
  private lagPs = 0;
  private maxLagPs = 0;

  constructor(replay: Replay, source: RecordedEvents) {
    const { spec } = replay;
    const window = (spec.window ?? {}) as { fromNs?: number; toNs?: number };
    this.replay = replay;
    this.#source = source;
    this.closedLoop = spec.pace === 'closed-loop';
    this.speed = spec.speed as number;
    this.fromNs = window.fromNs ?? ABSENT;
    this.toNs = window.toNs ?? NO_END;
  }

  /** A run begins. @returns whether it is the first one */
  begin(now: number): boolean {
    this.lagPs = 0;
    this.maxLagPs = 0;
    if (this.started) return false;
    this.started = true;
    this.anchorPs = now;
    this.duePs = now;
    return true;
  }

  /** Whether a call takes no time of the run: what the recording's first moment has was there before it. */
  get beforeRun(): boolean {
    return this.atFirst && !this.closedLoop;
  }

  /** Finds the next event that is anything to the replay, from `position` on, and arms its moment. */
  next(now: number): void {
    const source = this.#source;
    const { replay } = this;
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
      if (source.timeNs >= this.fromNs && source.timeNs < this.toNs && replay.acts()) break;
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
    if (this.closedLoop) {
      const free = replay.simulator.cpuAt[replay.cpuFor(source.cpu)]!;
      this.duePs = Math.max(now, free, this.mappedUntil());
    } else if (ahead / this.speed > STRIDE_NS) {
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
    replay.armMain(Math.max(now, this.duePs));
  }

  private look(at: number): void {
    this.looking = true;
    this.replay.armMain(at);
  }

  /** An unmap waits until its map, on another CPU, has returned. */
  private mappedUntil(): number {
    const source = this.#source;
    if (source.partner === ABSENT) return 0;
    const { calls } = this.replay;
    const slot = calls.ofEvent(source.partner);
    return slot === NO_SLOT ? 0 : calls.begin[slot]!;
  }

  /** The event at `position` is done with. @returns DONE */
  goOn(now: number): boolean {
    this.position++;
    this.partial = 0;
    this.next(now);
    return DONE;
  }

  /**
   * Calls of one moment on one CPU are one turn of a driver, and so are those that come while the call before them is not quite over:
   * they are made back to back, and no timer comes between them, as long as nobody else was on the CPU.
   */
  goesOn(cpu: number, now: number): boolean {
    const free = this.replay.simulator.cpuAt[cpu]!;
    return cpu === this.lastCpu && free === this.lastEndPs && (this.sameMoment || free - now <= TURN_PS);
  }

  /** A call has returned. */
  returned(cpu: number, end: number): void {
    this.lastCpu = cpu;
    this.lastEndPs = end;
  }

  /** The event at `position` begins, or goes on. */
  noteLag(now: number): void {
    if (this.partial > 0) return;
    this.lagPs = now - this.duePs;
    if (this.lagPs > this.maxLagPs) this.maxLagPs = this.lagPs;
  }

  lagNs(): { last: number; max: number } {
    return { last: Math.max(0, Math.floor(this.lagPs / 1000)), max: Math.floor(this.maxLagPs / 1000) };
  }

  /** Of the loaded event: ps of the run from it to what ends it; 0 when that is not known, as in a closed loop. */
  intervalPs(): number {
    const source = this.#source;
    const { partner, timeNs, timePs } = source;
    if (this.closedLoop || partner === ABSENT || partner <= this.position) return 0;
    source.load(partner);
    const interval = (source.timeNs - timeNs) * 1000 + (source.timePs - timePs);
    source.load(this.position);
    return interval > 0 ? Math.min(2 ** 52, Math.round(interval / this.speed)) : 0;
  }

  rebase(ps: number): void {
    this.anchorPs -= ps;
    this.duePs -= ps;
    this.lastEndPs -= ps;
  }

  digest(sink: DigestSink): void {
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
  }
}
