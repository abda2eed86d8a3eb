/**
 * Whether a lazy policy would have hidden a fault: by its rule alone, from the unmaps of the recording. A cached translation of an
 * unmapped page goes at the first flush after the unmap; a flush comes from a timer, armed by the first unmap since it fired last, or
 * from a queue that is full.
 *
 * - `flush-queue` (Linux 2017 to today): a timer for each domain, 10 ms; a ring for each CPU that holds 255; a full ring flushes the domain.
 *   A device stands for its domain, as recordings do not name domains.
 * - `deferred-2008` (2008 to 2016): one timer and one counter for the whole machine, 10 ms and 250 ranges; the 251st flushes first.
 *
 * A kernel's timer fires at a tick: up to `LATE_NS` later than asked. Within that nobody can say. Nor where events were lost, or where
 * the recording begins so shortly before the unmap that a timer may have been running already.
 */

const TIMEOUT_NS = 10_000_000;
/** A tick of HZ=250 is 4 ms, and a timeout is rounded up to whole ticks, plus the one in progress: at most 6 ms beyond 10. */
const LATE_NS = 6_000_000;
const RING_HOLDS = 255;
const TABLE_HOLDS = 250;

export type Hidden = 'yes' | 'no' | 'depends';

export interface LazyVerdict {
  policy: 'flush-queue' | 'deferred-2008';
  /** `yes`: if the translation was cached when the page was unmapped; nothing hides an access to what is not. */
  hidden: Hidden;
  why: string;
}

interface Queue {
  /** When the timer that runs was armed; null: none runs. */
  armedNs: number | null;
  /** [CPU], or all in one: ranges that wait. */
  waiting: Map<number, number>;
  /** The newest flush, and why. */
  flushedNs: number;
  by: 'timer' | 'full' | null;
}

function emptyQueue(): Queue {
  return { armedNs: null, waiting: new Map(), flushedNs: Number.NEGATIVE_INFINITY, by: null };
}

export class LazyRules {
  private readonly domains = new Map<number, Queue>();
  private readonly machine = emptyQueue();
  private firstNs: number | null = null;
  private lostNs = Number.NEGATIVE_INFINITY;

  /** The recording's time has come to a moment. */
  begin(timeNs: number): void {
    this.firstNs ??= timeNs;
  }

  /** The kernel dropped events here. */
  lost(timeNs: number): void {
    this.lostNs = timeNs;
  }

  /** A range of a device was unmapped. */
  unmapped(device: number, cpu: number, timeNs: number): void {
    let domain = this.domains.get(device);
    if (domain === undefined) this.domains.set(device, (domain = emptyQueue()));
    add(domain, cpu, RING_HOLDS, timeNs);
    add(this.machine, 0, TABLE_HOLDS, timeNs);
  }

  /** Of a fault of `device` at `faultNs`, on a page that was unmapped at `unmapNs`. */
  judge(device: number, unmapNs: number, faultNs: number): LazyVerdict[] {
    const domain = this.domains.get(device);
    return [
      this.verdict('flush-queue', domain ?? emptyQueue(), unmapNs, faultNs, `a CPU's queue had ${RING_HOLDS} ranges`),
      this.verdict('deferred-2008', this.machine, unmapNs, faultNs, `${TABLE_HOLDS} ranges had gathered`),
    ];
  }

  private verdict(
    policy: LazyVerdict['policy'],
    queue: Queue,
    unmapNs: number,
    faultNs: number,
    full: string,
  ): LazyVerdict {
    settle(queue, faultNs);
    const since = faultNs - unmapNs;
    const say = (hidden: Hidden, why: string): LazyVerdict => ({ policy, hidden, why });
    if (queue.flushedNs > unmapNs && queue.by === 'full')
      return say('no', `${full}, which flushed ${ms(queue.flushedNs - unmapNs)} after the unmap`);
    if (since >= TIMEOUT_NS + LATE_NS)
      return say('no', `the 10 ms timer has flushed by then: the access came ${ms(since)} after the unmap`);
    if (this.lostNs >= unmapNs - TIMEOUT_NS && this.lostNs <= faultNs)
      return say('depends', 'events were lost around it, so what the queue did is not known');
    if (queue.flushedNs > unmapNs) {
      const late = faultNs - queue.flushedNs;
      if (late >= LATE_NS) return say('no', `the timer flushed ${ms(queue.flushedNs - unmapNs)} after the unmap`);
      return say('depends', `the timer was due ${ms(queue.flushedNs - unmapNs)} after the unmap, and fires at a tick`);
    }
    if (unmapNs - (this.firstNs ?? unmapNs) < TIMEOUT_NS && queue.armedNs === unmapNs)
      return say(
        'depends',
        'the recording begins less than 10 ms before the unmap: an earlier one may have armed the timer',
      );
    const left = queue.armedNs === null ? TIMEOUT_NS : queue.armedNs + TIMEOUT_NS - faultNs;
    return say('yes', `no flush came in between: the timer was due ${ms(left)} after the access, no queue was full`);
  }
}

/** A timer that was due has fired. */
function settle(queue: Queue, timeNs: number): void {
  if (queue.armedNs === null || timeNs < queue.armedNs + TIMEOUT_NS) return;
  queue.flushedNs = queue.armedNs + TIMEOUT_NS;
  queue.by = 'timer';
  queue.armedNs = null;
  queue.waiting.clear();
}

function add(queue: Queue, place: number, holds: number, timeNs: number): void {
  settle(queue, timeNs);
  const waiting = queue.waiting.get(place) ?? 0;
  if (waiting === holds) {
    // What waits is flushed, the new one waits for the next flush; the timer goes on.
    queue.flushedNs = timeNs;
    queue.by = 'full';
    queue.waiting.clear();
    queue.waiting.set(place, 1);
  } else queue.waiting.set(place, waiting + 1);
  queue.armedNs ??= timeNs;
}

/** A span of time in the unit that suits it. */
export function ms(ns: number): string {
  const abs = Math.abs(ns);
  if (abs < 1000) return `${ns} ns`;
  if (abs < 1_000_000) return `${trimmed(ns / 1000)} us`;
  if (abs < 1e9) return `${trimmed(ns / 1e6)} ms`;
  return `${trimmed(ns / 1e9)} s`;
}

function trimmed(value: number): string {
  return value.toFixed(3).replace(/\.?0+$/, '');
}
