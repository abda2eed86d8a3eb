/**
 * A lock in simulated time: who comes while it is held waits until it is free (`Work.acquire`).
 *
 * First come, first served, as ticket and queued spinlocks are. Who comes before a holder that was computed already, and would not be
 * done by then, is served after it: decision 4.
 */
import { BusyTimes } from './busy-times.ts';
import type { DigestSink } from './digest-sink.ts';

export class Lock {
  declare readonly name: string;
  /** When it is held. */
  readonly held = new BusyTimes();
  /** Of the holder in progress: ps after the clock's base at which it got it, and whether it waited. */
  since = 0;
  waited = false;
  acquisitions = 0;
  /** Acquisitions that found it held by another CPU: hand-offs. */
  waits = 0;
  waitPs = 0;

  constructor(name: string) {
    this.name = name;
  }

  rebase(ps: number): void {
    this.held.rebase(ps);
  }

  digest(sink: DigestSink): void {
    this.held.digest(sink);
    sink.number(this.acquisitions);
    sink.number(this.waits);
    sink.number(this.waitPs);
  }
}
