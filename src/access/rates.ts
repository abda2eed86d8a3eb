/**
 * Token buckets, one for each principal: so many at once, refilled at a rate.
 *
 * Not @fastify/rate-limit: it counts requests in fixed windows, by route plugin and for HTTP requests only. Here one principal has
 * one bucket whatever it asks, tokens have numbers of their own, and lines of `ops` are metered by the same arithmetic and made to
 * wait, which a window cannot do.
 */

export class Rate {
  readonly capacity: number;
  readonly perSecond: number;
  /** May be below 0: then what was taken beyond it has still to be waited for. */
  private level: number;
  private atMs: number;

  constructor(capacity: number, perSecond: number, nowMs: number) {
    this.capacity = capacity;
    this.perSecond = perSecond;
    this.level = capacity;
    this.atMs = nowMs;
  }

  /** Takes one, if there is one. */
  take(nowMs: number): boolean {
    this.fill(nowMs);
    if (this.level < 1) return false;
    this.level--;
    return true;
  }

  /** Takes as many as there are, at most `count`, and says how many. */
  takeUpTo(count: number, nowMs: number): number {
    this.fill(nowMs);
    const taken = Math.max(0, Math.min(count, Math.floor(this.level)));
    this.level -= taken;
    return taken;
  }

  /** Whole ones that are there. */
  left(nowMs: number): number {
    this.fill(nowMs);
    return Math.max(0, Math.floor(this.level));
  }

  /** Until `count` are there. */
  waitMs(count: number, nowMs: number): number {
    this.fill(nowMs);
    return Math.max(0, Math.ceil(((count - this.level) * 1000) / this.perSecond));
  }

  isFull(nowMs: number): boolean {
    this.fill(nowMs);
    return this.level >= this.capacity;
  }

  private fill(nowMs: number): void {
    // A clock that is set back gives nothing and takes nothing.
    if (nowMs > this.atMs)
      this.level = Math.min(this.capacity, this.level + ((nowMs - this.atMs) * this.perSecond) / 1000);
    this.atMs = nowMs;
  }
}

/** The buckets of all who ask. One that has filled up again is as good as a new one, and is dropped. */
export class Rates {
  private readonly seconds: number;
  private readonly rates = new Map<string, Rate>();

  /** @param seconds what the bucket holds, in seconds of the rate */
  constructor(seconds: number) {
    this.seconds = seconds;
  }

  /** @param perSecond above 0 */
  of(subject: string, perSecond: number, nowMs: number): Rate {
    let rate = this.rates.get(subject);
    if (rate?.perSecond !== perSecond) {
      rate = new Rate(Math.max(1, perSecond * this.seconds), perSecond, nowMs);
      this.rates.set(subject, rate);
    }
    return rate;
  }

  dropFull(nowMs: number): void {
    for (const [subject, rate] of this.rates) if (rate.isFull(nowMs)) this.rates.delete(subject);
  }

  get size(): number {
    return this.rates.size;
  }
}
