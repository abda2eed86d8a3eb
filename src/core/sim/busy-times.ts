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

/**
 * Stretches there is room for at first: half a kilobyte, so that the locks of a packet stay in the processor's nearest cache. Room for
 * 512 from the start made a packet on 16 CPUs 12 % dearer.
 */
const FEW_STRETCHES = 32;
/** More than CPUs can have taken ahead of the present, 64 of them some ten times in an operation: then the oldest half is forgotten. */
const MAX_STRETCHES = 4096;
/** ps: a shorter gap is none, so that stretches one behind the other become one whatever the rounding. */
const NO_GAP = 1000;

export class BusyTimes {
  /** [2 * stretch], and + 1: ps after the clock's base from which and until which it is taken; rising, apart from each other. */
  private times = new Float64Array(0);
  private count = 0;
  /** Where the last stretch ends: most ask for a moment after it. */
  end = Number.NEGATIVE_INFINITY;

  /** Index of the first stretch that ends after a moment. */
  private after(at: number): number {
    const { times } = this;
    let stretch = this.count;
    while (stretch > 0 && times[2 * stretch - 1]! > at) stretch--;
    return stretch;
  }

  /** @returns the first moment from `at` on at which it is free, if only for that moment */
  freeFrom(at: number): number {
    if (at >= this.end) return at;
    const { times, count } = this;
    let free = at;
    for (let stretch = this.after(at); stretch < count && times[2 * stretch]! <= free; stretch++)
      free = times[2 * stretch + 1]!;
    return free;
  }

  /** @returns the first moment from `at` on from which it is free for so long */
  fit(at: number, lengthPs: number): number {
    if (at >= this.end) return at;
    const { times, count } = this;
    let free = at;
    for (let stretch = this.after(at); stretch < count && times[2 * stretch]! < free + lengthPs; stretch++)
      free = times[2 * stretch + 1]!;
    return free;
  }

  /**
   * Takes it for so long.
   * @param from as `fit` found it
   * @param present ps after the clock's base: nobody will ask for a moment before it any more
   */
  take(from: number, lengthPs: number, present: number): void {
    if (lengthPs <= 0) return;
    const until = from + lengthPs;
    const { end, times } = this;
    if (from < end) {
      this.takeBefore(from, until, present);
      return;
    }
    this.end = until;
    let { count } = this;
    if (end <= present) count = 0;
    else if (from - end < NO_GAP) {
      times[2 * count - 1] = until;
      return;
    }
    if (2 * count === times.length) this.insert(count, from, until, present);
    else {
      times[2 * count] = from;
      times[2 * count + 1] = until;
      this.count = count + 1;
    }
  }

  /** Somewhere before the last stretch. */
  private takeBefore(from: number, until: number, present: number): void {
    const { times, count } = this;
    const at = this.after(from);
    const joinsBefore = at > 0 && from - times[2 * at - 1]! < NO_GAP;
    const joinsNext = times[2 * at]! - until < NO_GAP;
    if (joinsBefore && joinsNext) {
      times[2 * at - 1] = times[2 * at + 1]!;
      for (let i = 2 * at; i < 2 * count - 2; i++) times[i] = times[i + 2]!;
      this.count--;
    } else if (joinsBefore) times[2 * at - 1] = until;
    else if (joinsNext) times[2 * at] = from;
    else this.insert(at, from, until, present);
  }

  private insert(at: number, from: number, until: number, present: number): void {
    const place = 2 * this.count === this.times.length ? this.makeRoom(at, present) : at;
    const { times } = this;
    // A loop: few stretches lie behind, and `copyWithin` is a call out of compiled code.
    for (let i = 2 * this.count - 1; i >= 2 * place; i--) times[i + 2] = times[i]!;
    times[2 * place] = from;
    times[2 * place + 1] = until;
    this.count++;
  }

  /** Forgets the past, or grows when that is less than half. @returns where the place is after that */
  private makeRoom(at: number, present: number): number {
    const { count } = this;
    let past = this.after(present);
    if (2 * past <= count) {
      if (count < MAX_STRETCHES) {
        this.times = growFloat64(this.times, 2 * Math.max(FEW_STRETCHES, 2 * count));
        return at;
      }
      past = count / 2;
    }
    this.times.copyWithin(0, 2 * past, 2 * count);
    this.count = count - past;
    return Math.max(0, at - past);
  }

  rebase(ps: number): void {
    for (let i = 0; i < 2 * this.count; i++) this.times[i]! -= ps;
    this.end -= ps;
  }

  digest(sink: DigestSink): void {
    sink.column(this.times, 2 * this.count);
  }
}
