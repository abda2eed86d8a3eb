/** A FIFO lock in simulated time: who comes while it is held waits until `freeAt` (`Work.acquire`). */
import type { DigestSink } from './digest-sink.ts';

export class Lock {
  readonly name: string;
  /** ps after the clock's base at which the last holder lets go. */
  freeAt = Number.NEGATIVE_INFINITY;
  acquisitions = 0;
  /** Acquisitions that found it held by another CPU: hand-offs. */
  waits = 0;
  waitPs = 0;

  constructor(name: string) {
    this.name = name;
  }

  rebase(ps: number): void {
    this.freeAt -= ps;
  }

  digest(sink: DigestSink): void {
    sink.number(this.freeAt === Number.NEGATIVE_INFINITY ? -1 : this.freeAt);
    sink.number(this.acquisitions);
    sink.number(this.waits);
    sink.number(this.waitPs);
  }
}
