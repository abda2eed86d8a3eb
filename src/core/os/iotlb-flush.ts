/** The driver's side of an invalidation: the queue's lock, the cost of submit and wait, in-flight DMA drained first. */
import type { InvalidationUnit } from '../hardware/invalidation.ts';
import type { Costs } from '../meter/cost-profile.ts';
import type { Counters } from '../meter/counters.ts';
import { ROW, type Work } from '../meter/work.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { Lock } from '../sim/lock.ts';
import type { Domain } from './domain.ts';

export class IotlbFlush {
  protected readonly unit: InvalidationUnit;
  protected readonly work: Work;
  protected readonly costs: Costs;
  protected readonly counters: Counters;
  /** `q_lock` of the invalidation queue, or the register lock. */
  readonly lock = new Lock('invalidation-queue');

  constructor(unit: InvalidationUnit, work: Work, costs: Costs, counters: Counters) {
    this.unit = unit;
    this.work = work;
    this.costs = costs;
    this.counters = counters;
  }

  /** What one submission and the wait for it take, whoever carries it out. */
  bookSubmission(): void {
    this.work.add(ROW.invalidation, this.costs.invalidation);
  }

  /** A device's context entry changes. */
  context(): void {
    this.counters.contextInvalidations++;
    this.bookSubmission();
  }

  /** A domain is taken apart: nothing of it may be carried out any more. */
  domainGone(_domain: Domain): void {}

  /** @param inFlightUntil ps at which the last DMA in scope lands: the invalidation completes no earlier */
  private wait(inFlightUntil: number): number {
    const { work } = this;
    work.acquire(this.lock);
    this.bookSubmission();
    let now = work.now();
    if (inFlightUntil > now) {
      this.counters.drainWaits++;
      work.add(ROW.invalidation, work.toMilliCycles(inFlightUntil - now));
      now = work.now();
    }
    return now;
  }

  global(domains: readonly Domain[]): void {
    let inFlight = Number.NEGATIVE_INFINITY;
    for (const domain of domains) if (domain.inFlightUntil > inFlight) inFlight = domain.inFlightUntil;
    this.unit.global(this.wait(inFlight));
    this.work.release(this.lock);
  }

  domain(domain: Domain): void {
    this.unit.domain(domain.index, this.wait(domain.inFlightUntil));
    this.work.release(this.lock);
  }

  /** @param leafOnly keeps the walk caches: right when no table page was freed */
  range(domain: Domain, first: number, pages: number, leafOnly: boolean): void {
    this.unit.range(domain.index, first, pages, leafOnly, this.wait(domain.inFlightUntil));
    this.work.release(this.lock);
  }

  /** For `GET .../queues`: what is between the kernel and the chip. */
  inspect(): Record<string, unknown> {
    return {};
  }

  digest(sink: DigestSink): void {
    this.lock.digest(sink);
  }
}
