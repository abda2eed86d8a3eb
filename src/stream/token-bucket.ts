/** A limit on a rate that lets short bursts through. */
export class TokenBucket {
  private readonly capacity: number;
  private readonly perMs: number;
  private tokens: number;
  private atMs: number;

  constructor(capacity: number, perSecond: number, nowMs: number) {
    this.capacity = capacity;
    this.perMs = perSecond / 1000;
    this.tokens = capacity;
    this.atMs = nowMs;
  }

  /** @returns false when there is none left */
  take(nowMs: number): boolean {
    this.tokens = Math.min(this.capacity, this.tokens + (nowMs - this.atMs) * this.perMs);
    this.atMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
