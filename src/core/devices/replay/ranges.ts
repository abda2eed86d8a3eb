/**
 * Page-table calls of a recording without a call of the DMA API around them, as VFIO makes them: made at their recorded addresses. And
 * the recording's invalidations, where the replay is told to make those at their times: with the policy `never`, which invalidates
 * nothing by itself, that is what the recorded machine did.
 */
import { READ, WRITE } from '../../hardware/page-table.ts';
import { PART } from '../../meter/work.ts';
import type { Domain } from '../../os/domain.ts';
import { PHYSICAL_PAGES } from '../../sim/address.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { DONE } from '../workload.ts';
import type { Replay } from './replay.ts';
import type { RecordedEvents } from './source.ts';
import type { Skip } from './tally.ts';

/** Pages of a range that are written in one event of the run. */
const MOST_PAGES_AT_ONCE = 2 ** 18;

export class ReplayRanges {
  readonly #source: RecordedEvents;
  private readonly replay: Replay;
  /** Whether those of the recording are made. */
  readonly recordedInvalidations: boolean;
  /** Ranges that it wrote into page tables and that stand: first page and last, by first page. */
  private readonly ranges: { first: number; last: number }[] = [];

  constructor(replay: Replay, source: RecordedEvents) {
    this.replay = replay;
    this.#source = source;
    this.recordedInvalidations = replay.spec.invalidations === 'recorded';
  }

  /** A range of the loaded event that a domain can have, or why not. */
  private rangeOf(): { domain: Domain; first: number; pages: number } | Skip {
    const { device, simulator } = this.replay;
    const { domain } = device;
    const source = this.#source;
    const pages = Math.ceil((Math.max(0, source.iovaOffset) + source.lengthBytes) / 4096);
    if (domain === null) return 'detached';
    if (simulator.modeEntry.direct) return 'overlapping';
    if (!(pages > 0) || source.iovaPage < 0 || source.iovaPage + pages - 1 > domain.lastPage) return 'tooLarge';
    return { domain, first: source.iovaPage, pages };
  }

  /** `iommuMap`; of a large one a part, and the event stays due. */
  write(cpu: number, now: number): boolean {
    const { replay } = this;
    const { simulator, order, tally } = replay;
    const source = this.#source;
    const range = this.rangeOf();
    if (typeof range === 'string') return this.pass(range, now);
    const { domain } = range;
    const first = range.first + order.partial;
    const pages = Math.min(range.pages - order.partial, MOST_PAGES_AT_ONCE);
    const frame = source.physicalPage + order.partial;
    const last = first + pages - 1;
    const isNew = domain.allocator === null;
    const allocator = domain.space(domain.lastPage);
    const next = domain.pages.ranges[domain.pages.rangeIndex(first)];
    const taken =
      (next !== undefined && next.first <= last) ||
      allocator.overlaps(first, last) ||
      domain.policy.holds(domain, first, last) ||
      simulator.reserved.some((region) => first <= region.last && last >= region.first);
    if (taken || source.physicalPage < 0 || frame + pages > PHYSICAL_PAGES) {
      if (isNew) domain.withdrawSpace();
      return this.pass('overlapping', now);
    }
    replay.begin(cpu, now);
    const started = simulator.work.now();
    const done = simulator.iommuApi.map(domain, first, frame, pages, READ | WRITE, 3);
    const end = replay.finish();
    replay.mapCalls++;
    if (!done) {
      replay.mapFailures++;
      return this.pass('withoutMemory', now);
    }
    replay.latency.record(Math.floor((end - started) / 1000));
    this.note(first, last);
    order.partial += pages;
    if (order.partial < range.pages) {
      replay.armMain(now);
      return DONE;
    }
    replay.operations++;
    tally.maps++;
    tally.sameAddress++;
    return order.goOn(now);
  }

  private pass(why: Skip, now: number): boolean {
    this.replay.tally.skip(why);
    return this.replay.order.goOn(now);
  }

  /** `iommuUnmap`. */
  clear(cpu: number, now: number): boolean {
    const { replay } = this;
    const { simulator, order, tally } = replay;
    const range = this.rangeOf();
    if (typeof range === 'string') return this.pass(range, now);
    const { domain, first, pages } = range;
    const why = this.whyNotClear(domain, first, pages);
    if (why !== null) return this.pass(why, now);
    replay.begin(cpu, now);
    const { work } = simulator;
    const started = work.now();
    work.bookIn(replay.sums, PART.unmaps);
    const unmapped = simulator.iommuApi.unmap(domain, first, pages, !this.recordedInvalidations);
    work.bookIn(replay.sums, PART.maps);
    const end = replay.finish();
    replay.latency.record(Math.floor((end - started) / 1000));
    replay.unmapCalls++;
    replay.operations++;
    replay.bytes += unmapped * 4096;
    tally.unmaps++;
    if (unmapped === 0) tally.skip('unmatchedUnmaps');
    this.forget(first, first + pages - 1);
    return order.goOn(now);
  }

  private whyNotClear(domain: Domain, first: number, pages: number): Skip | null {
    const { simulator } = this.replay;
    const last = first + pages - 1;
    // Only what was mapped like this is in reach of a range; a mapping of the DMA API is unmapped by its own call.
    for (let page = first; page <= last; page++) {
      const chunk = domain.pages.peek(page);
      if (!chunk) page += 511 - (page % 512);
      else if (chunk.live[page & 511] !== 0) return 'overlapping';
    }
    if (simulator.dma.stands(domain, first, last)) return 'overlapping';
    return simulator.iommuApi.cutsSuperpage(domain, first, last) ? 'cutSuperpages' : null;
  }

  private note(first: number, last: number): void {
    const { ranges } = this;
    let at = ranges.length;
    while (at > 0 && ranges[at - 1]!.first > first) at--;
    const before = ranges[at - 1];
    if (before !== undefined && before.last + 1 === first) before.last = last;
    else ranges.splice(at, 0, { first, last });
  }

  private forget(first: number, last: number): void {
    const { ranges } = this;
    for (let at = 0; at < ranges.length && ranges[at]!.first <= last; ) {
      const range = ranges[at]!;
      if (range.last < first) {
        at++;
        continue;
      }
      const rest = [
        { first: range.first, last: first - 1 },
        { first: last + 1, last: range.last },
      ].filter((part) => part.first <= part.last);
      ranges.splice(at, 1, ...rest);
      at += rest.length;
    }
  }

  /** The loaded `invalidate`. */
  invalidate(cpu: number, now: number): boolean {
    const { replay } = this;
    const { simulator } = replay;
    const source = this.#source;
    const { domain } = replay.deviceFor(source.device);
    const { detail, iovaPage, lengthBytes } = source;
    const pages = Math.ceil(lengthBytes / 4096);
    replay.begin(cpu, now);
    if (detail === 1 || domain === null) simulator.flush.global(simulator.domains);
    else if (detail === 3 && iovaPage >= 0 && pages > 0 && iovaPage + pages - 1 <= domain.lastPage)
      simulator.flush.range(domain, iovaPage, pages, false);
    else simulator.flush.domain(domain);
    replay.finish();
    replay.tally.invalidations++;
    return replay.order.goOn(now);
  }

  tearDown(): void {
    const { device, simulator } = this.replay;
    const { domain } = device;
    if (domain !== null && !domain.removed)
      for (const { first, last } of this.ranges) simulator.iommuApi.unmap(domain, first, last - first + 1, true);
    this.ranges.length = 0;
  }

  digest(sink: DigestSink): void {
    for (const { first, last } of this.ranges) {
      sink.number(first);
      sink.number(last);
    }
  }
}
