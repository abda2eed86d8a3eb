/**
 * Accesses of a replay: those that the rules of `accesses.ts` make of each mapping, and those that the recording has. A recorded fault is
 * an access of one byte at its time.
 */
import type { Device } from '../../os/device.ts';
import { type AccessSpec, countOf, dueAt, MOST_RULES, NO_TIME, type Plan, pageOf, plansOf } from './accesses.ts';
import type { Replay } from './replay.ts';
import { ABSENT, RECORDED, type RecordedEvents } from './source.ts';

/** Bytes of one access. */
const MOST_BYTES = 2 ** 24;

export class ReplayTouches {
  readonly #source: RecordedEvents;
  private readonly replay: Replay;
  private readonly plans: Plan[];
  /** Whether a rule has to know when the unmap will come. */
  readonly plansAhead: boolean;
  /** The access of the recording that was made last: its faults come with it. */
  private accessedNs = ABSENT;
  private accessedFirst = 0;
  private accessedLast = 0;
  // Of the run in progress, or the last one.
  private recorded = 0;
  private faults = 0;
  private synthesised = 0;

  constructor(replay: Replay, source: RecordedEvents) {
    this.replay = replay;
    this.#source = source;
    this.plans = plansOf(replay.spec.accesses as AccessSpec[]);
    this.plansAhead = this.plans.some(({ rule }) => rule !== 'late');
  }

  clear(): void {
    this.recorded = 0;
    this.faults = 0;
    this.synthesised = 0;
  }

  /** Arms again what was on its way when the last run ended. */
  rearm(now: number): void {
    const { replay } = this;
    const { calls } = replay;
    for (let slot = 0; slot < calls.used; slot++) {
      calls.armed[slot] = 0;
      for (let rule = 0; rule < MOST_RULES; rule++) {
        const at = calls.at[slot * MOST_RULES + rule]!;
        if (at !== NO_TIME) replay.armAccess(Math.max(now, at), slot, rule);
      }
      calls.release(slot);
    }
  }

  /**
   * What the device does with a new mapping.
   *
   * @param intervalPs from the map's moment to the unmap's; 0 when that is not known
   * @param end ps at which the map returned
   */
  plan(slot: number, intervalPs: number, end: number): void {
    const { calls, order } = this.replay;
    // From when the map returned to when the unmap is due.
    calls.interval[slot] = intervalPs === 0 ? 0 : Math.max(0, intervalPs - (end - order.duePs));
    for (let rule = 0; rule < this.plans.length; rule++) this.planNext(slot, rule, 0, end);
  }

  private planNext(slot: number, rule: number, n: number, now: number): void {
    const { calls } = this.replay;
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
    if (due !== NO_TIME) this.replay.armAccess(Math.max(now, due), slot, rule);
  }

  private pagesIn(slot: number): number {
    const { calls } = this.replay;
    const stretches = calls.stretches[slot]!;
    return stretches === null ? calls.pages[slot]! : stretches.length / 3;
  }

  /** An access may be due. */
  due(slot: number, rule: number, now: number): void {
    const { calls } = this.replay;
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
    const { calls } = this.replay;
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
    this.synthesise(slot, page, from, Math.max(1, Math.min(plan.bytes, to - from)), calls.write[slot] === 1, now);
  }

  /** A packet reaches memory: all of it, as far as it is mapped. */
  touchPacket(slot: number, bytes: number, write: boolean, now: number): void {
    const { calls } = this.replay;
    const length = Math.min(bytes, calls.lengthBytes[slot]!);
    this.synthesise(slot, calls.page[slot]!, calls.offset[slot]!, length, write, now);
  }

  private synthesise(slot: number, page: number, offset: number, bytes: number, write: boolean, now: number): void {
    const { calls, simulator } = this.replay;
    this.synthesised++;
    this.tried(simulator.deviceAt(calls.device[slot]!), page, offset, bytes, write, now);
  }

  private tried(device: Device, page: number, offset: number, bytes: number, write: boolean, now: number): void {
    const { replay } = this;
    const { counters } = replay.simulator;
    const { attemptsAfterUnmap, attemptsDetected } = counters;
    replay.access(device, page, offset, bytes, write, now);
    replay.attempts += counters.attemptsAfterUnmap - attemptsAfterUnmap;
    replay.detected += counters.attemptsDetected - attemptsDetected;
  }

  /** What has not happened when the unmap comes happens right before it. */
  catchUp(slot: number, now: number): void {
    const { plans } = this;
    const { calls } = this.replay;
    for (let rule = 0; rule < plans.length; rule++) {
      const at = slot * MOST_RULES + rule;
      if (calls.at[at] === NO_TIME) continue;
      calls.at[at] = NO_TIME;
      const count = countOf(plans[rule]!, this.pagesIn(slot));
      for (let n = calls.next[at]!; n < count; n++) this.touchPage(slot, rule, n, now);
      calls.next[at] = count;
    }
  }

  /** Of a device that goes on after the unmap, which returned at `end`. */
  planLate(slot: number, end: number): void {
    const { plans } = this;
    const { calls } = this.replay;
    for (let rule = 0; rule < plans.length; rule++) {
      const plan = plans[rule]!;
      if (plan.rule !== 'late') continue;
      const at = slot * MOST_RULES + rule;
      calls.next[at] = 0;
      calls.at[at] = end + plan.afterPs;
      this.replay.armAccess(calls.at[at]!, slot, rule);
    }
  }

  /** The loaded `access` or `fault`. */
  asRecorded(now: number): void {
    const { replay } = this;
    const source = this.#source;
    const { kind, iovaPage, iovaOffset, timeNs, write } = source;
    const device = replay.deviceFor(source.device);
    const bytes = kind === RECORDED.access ? Math.min(Math.max(1, source.lengthBytes), MOST_BYTES) : 1;
    const last = iovaPage + Math.floor((iovaOffset + bytes - 1) / 4096);
    if (kind === RECORDED.access) {
      this.accessedNs = timeNs;
      this.accessedFirst = iovaPage;
      this.accessedLast = last;
      this.recorded++;
    } else {
      // The fault of an access that the recording has, too.
      const own = this.accessedNs === timeNs && iovaPage >= this.accessedFirst && iovaPage <= this.accessedLast;
      if (own) return;
      this.faults++;
    }
    const page = device.domain === null ? ABSENT : replay.calls.translate(device.domain.index, iovaPage);
    if (page < 0) replay.tally.skip('unknownAddresses');
    // An address that the replay has never had is used as it stands.
    this.tried(device, page < 0 ? iovaPage : page, Math.max(0, iovaOffset), bytes, write === 1, now);
  }

  report(): Record<string, number> {
    return { recorded: this.recorded, faults: this.faults, synthesised: this.synthesised };
  }
}
