/** A sum of whole numbers that stays exact beyond 2^53: two limbs, carried at 2^50, read as BigInt when someone asks. */
import type { DigestSink } from './digest-sink.ts';

const LIMB = 2 ** 50;

export class ExactSum {
  private low = 0;
  private high = 0;

  /** @param value whole, magnitude below 2^52 */
  add(value: number): void {
    this.low += value;
    if (this.low >= LIMB || this.low <= -LIMB) this.carry();
  }

  clear(): void {
    this.low = 0;
    this.high = 0;
  }

  private carry(): void {
    const limbs = Math.floor(this.low / LIMB);
    this.high += limbs;
    this.low -= limbs * LIMB;
  }

  toBigInt(): bigint {
    return BigInt(this.high) * BigInt(LIMB) + BigInt(this.low);
  }

  digest(sink: DigestSink): void {
    this.carry();
    sink.number(this.high);
    sink.number(this.low);
  }
}
