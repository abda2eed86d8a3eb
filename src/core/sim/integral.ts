/**
 * A level that changes, and the integral of it over simulated time, exact.
 *
 * Changes may be booked out of order by a little (an operation ends ahead of the events of other CPUs): the sum over signed
 * intervals is the same whatever the order.
 */
import type { DigestSink } from './digest-sink.ts';
import { ExactSum } from './exact-sum.ts';

const EXACT = 2 ** 52;

export class Integral {
  current = 0;
  peak = 0;
  /** Peak since the last `mark`. */
  peakSinceMark = 0;
  /** ps after the clock's base of the last change. */
  private last = 0;
  private readonly sum = new ExactSum();
  /** What did not fit a double on its way: level and interval both huge. */
  private overflow = 0n;

  change(delta: number, at: number): void {
    this.settle(at);
    this.current += delta;
    if (this.current > this.peakSinceMark) {
      this.peakSinceMark = this.current;
      if (this.current > this.peak) this.peak = this.current;
    }
  }

  private settle(at: number): void {
    const elapsed = at - this.last;
    if (this.current !== 0 && elapsed !== 0) {
      const product = this.current * elapsed;
      if (product < EXACT && product > -EXACT) this.sum.add(product);
      else this.overflow += BigInt(this.current) * BigInt(elapsed);
    }
    this.last = at;
  }

  mark(): void {
    this.peakSinceMark = this.current;
  }

  /** Starts the integral and the peak anew from the present level. */
  restart(at: number): void {
    this.peak = this.current;
    this.peakSinceMark = this.current;
    this.last = at;
    this.sum.clear();
    this.overflow = 0n;
  }

  /** Level x ps up to `at`, exact. */
  exactAt(at: number): bigint {
    return this.sum.toBigInt() + this.overflow + BigInt(this.current) * BigInt(at - this.last);
  }

  /** Level x seconds up to `at`, the nearest double. */
  secondsAt(at: number): number {
    return Number(this.exactAt(at)) / 1e12;
  }

  rebase(ps: number): void {
    this.last -= ps;
  }

  digest(sink: DigestSink): void {
    sink.number(this.current);
    sink.number(this.peak);
    sink.number(this.last);
    this.sum.digest(sink);
    sink.text(this.overflow.toString());
  }
}
