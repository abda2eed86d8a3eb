/**
 * When something that serves one at a time is taken: a lock, a queue's hardware.
 *
 * An operation is computed as a whole when it starts, so what it takes lies in the future of operations that start later: they may ask
 * for a moment before. The times are therefore kept as stretches, and who asks gets the first gap that is long enough. One number, the
 * end of the last stretch, would let a CPU wait for a lock that nobody has yet: with two locks far apart in an operation everything
 * between them became serial.
 */
import type { DigestSink } from './digest-sink.ts';
import { growFloat64 } from './growable.ts';

/** Stretches kept; half of them, the oldest, are forgotten when there is one more. 64 CPUs take a lock four times in an operation. */
const MAX_STRETCHES = 512;
/** ps: a shorter gap is none, so that stretches one behind the other become one whatever the rounding. */
const NO_GAP = 1000;

export class BusyTimes {
  /** [2 * stretch], and + 1: ps after the clock's base from which and until which it is taken; rising, apart from each other. */
  private times = new Float64Array(0);
  private count = 0;

  /** Index of the first stretch that ends after a moment. Nearly everybody asks for the end of the list. */
  private after(at: number): number {
    const { times } = this;
    let stretch = this.count;
    while (stretch > 0 && times[2 * stretch - 1]! > at) stretch--;
    return stretch;
  }

  /** @returns the first moment from `at` on at which it is free, if only for that moment */
  freeFrom(at: number): number {
    const { times, count } = this;
    let free = at;
    for (let stretch = this.after(at); stretch < count && times[2 * stretch]! <= free; stretch++)
      free = times[2 * stretch + 1]!;
    return free;
  }

  /** @returns the first moment from `at` on from which it is free for so long */
  fit(at: number, lengthPs: number): number {
    const { times, count } = this;
    let free = at;
    for (let stretch = this.after(at); stretch < count && times[2 * stretch]! < free + lengthPs; stretch++)
      free = times[2 * stretch + 1]!;
    return free;
  }

  /** Takes it for so long. @param from as `fit` found it */
  take(from: number, lengthPs: number): void {
    if (lengthPs <= 0) return;
    const until = from + lengthPs;
    const at = this.after(from);
    const { times, count } = this;
    const joinsBefore = at > 0 && from - times[2 * at - 1]! < NO_GAP;
    const joinsNext = at < count && times[2 * at]! - until < NO_GAP;
    if (joinsBefore && joinsNext) {
      times[2 * at - 1] = times[2 * at + 1]!;
      times.copyWithin(2 * at, 2 * at + 2, 2 * count);
      this.count--;
    } else if (joinsBefore) times[2 * at - 1] = until;
    else if (joinsNext) times[2 * at] = from;
    else this.insert(at, from, until);
  }

  private insert(at: number, from: number, until: number): void {
    let place = at;
    if (2 * this.count === this.times.length) {
      if (this.count < MAX_STRETCHES) this.times = growFloat64(this.times, Math.max(16, 4 * this.count));
      else {
        this.times.copyWithin(0, MAX_STRETCHES, 2 * MAX_STRETCHES);
        this.count = MAX_STRETCHES / 2;
        place = Math.max(0, at - MAX_STRETCHES / 2);
      }
    }
    const { times } = this;
    if (place < this.count) times.copyWithin(2 * place + 2, 2 * place, 2 * this.count);
    times[2 * place] = from;
    times[2 * place + 1] = until;
    this.count++;
  }

  rebase(ps: number): void {
    for (let i = 0; i < 2 * this.count; i++) this.times[i]! -= ps;
  }

  digest(sink: DigestSink): void {
    sink.column(this.times, 2 * this.count);
  }
}
