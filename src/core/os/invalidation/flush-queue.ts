/**
 * flush-queue: today's deferred flush. Each CPU has a ring of 256 per domain; two counters tell which flushes began and ended after an
 * entry was queued, so that nobody needs the others' locks to know what is safe to free. A full ring flushes the domain; so does a
 * timer, 10 ms after the first entry since it fired last. `single`: one ring of 32,768 for all CPUs, and one second.
 *
 * Source: Linux 6.x `drivers/iommu/dma-iommu.c`, `queue_iova`, `fq_flush_timeout`, `fq_ring_free`; the single queue is that of 2023 for
 * guests whose every flush is an exit. Departs from it: table pages go back at the flush that covers them and not entry by entry.
 * Counters: an entry that is queued while a flush is on its way carries that flush's number and waits for the next one, because the
 * device may have cached the page after the flush had passed it.
 *
 * Pathologies: the timer frees the rings of all CPUs on the CPU that it fires on; a ring that fills up flushes without touching the
 * timer, which then flushes again; and an idle CPU's ring keeps its addresses until then.
 */
import * as workConstants from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import type { InvalidationPolicy, PolicyEntry, PolicyParts } from './policy.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { ROW } = workConstants;

const RING_ENTRIES = 256;
const SINGLE_ENTRIES = 32_768;
const TIMEOUT_PS = 10e9;
const SINGLE_TIMEOUT_PS = 1e12;

/** One CPU's entries of one domain; one place stays empty, so that full and empty differ. */
export class Ring {
  readonly lock = new Lock('flush-queue');
  /** [place]: range, and how many flushes had begun when it was queued. */
  declare readonly pfn: Float64Array;
  declare readonly pages: Int32Array;
  declare readonly counter: Float64Array;
  head = 0;
  tail = 0;
  declare private readonly mask: number;

  /** @param entries a power of two */
  constructor(entries: number) {
    this.pfn = new Float64Array(entries);
    this.pages = new Int32Array(entries);
    this.counter = new Float64Array(entries);
    this.mask = entries - 1;
  }

  get count(): number {
    return (this.tail - this.head) & this.mask;
  }

  get full(): boolean {
    return this.count === this.mask;
  }

  add(pfn: number, pages: number, counter: number): void {
    const { tail } = this;
    this.pfn[tail] = pfn;
    this.pages[tail] = pages;
    this.counter[tail] = counter;
    this.tail = (tail + 1) & this.mask;
  }

  next(place: number): number {
    return (place + 1) & this.mask;
  }
}

/** Flushes whose ends are remembered: each CPU of 64 may be in the midst of one. */
const ENDS = 128;

export class DomainQueue {
  declare readonly domain: Domain;
  /** [cpu], or one for all; made when a CPU first unmaps here. */
  declare readonly rings: (Ring | undefined)[];
  /** Flushes that have begun. */
  started = 0;
  /** [flush modulo ENDS]: ps after the clock's base at which it ended or will; they end in the order in which they began. */
  readonly ends = new Float64Array(ENDS);
  timerArmed = false;

  /** @param rings how many it may come to have */
  constructor(domain: Domain, rings: number) {
    this.domain = domain;
    // Of full length from the start: an array that grows is of several kinds for V8, and each look at it has to tell them apart.
    this.rings = new Array<Ring | undefined>(rings).fill(undefined);
  }

  /** A flush is over as of `at`. CPUs that are behind that moment do not see it yet. */
  finish(at: number): void {
    this.ends[(this.started - 1) % ENDS] = at;
  }

  /** Flushes that have ended by `now`. */
  finishedBy(now: number): number {
    let finished = this.started;
    while (finished > 0 && finished > this.started - ENDS && this.ends[(finished - 1) % ENDS]! > now) finished--;
    return finished;
  }
}

class FlushQueue implements InvalidationPolicy {
  declare private readonly parts: PolicyParts;
  declare private readonly single: boolean;
  declare private readonly entries: number;
  declare private readonly timeoutPs: number;
  /** [domain] */
  private readonly queues: (DomainQueue | undefined)[] = [];
  /** The one of the last unmap: the next is nearly always of the same domain. */
  private last: DomainQueue | null = null;
  /** By token: the domain whose timer it is. A queue that was drained leaves its timer without one. */
  private readonly armed = new Map<number, DomainQueue>();
  private token = 0;
  queued = 0;
  declare readonly capacity: number;

  constructor(parts: PolicyParts) {
    this.parts = parts;
    this.single = parts.parameters.single === true;
    this.entries = this.single ? SINGLE_ENTRIES : RING_ENTRIES;
    this.timeoutPs = this.single ? SINGLE_TIMEOUT_PS : TIMEOUT_PS;
    this.capacity = (this.entries - 1) * (this.single ? 1 : parts.cpus);
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { work, costs, counters } = this.parts;
    const { last } = this;
    const queue = last !== null && last.domain === domain ? last : this.queueOf(domain);
    const at = this.single ? 0 : work.cpu;
    const known = queue.rings[at];
    const ring = known === undefined ? (queue.rings[at] = new Ring(this.entries)) : known;
    work.acquire(ring.lock);
    work.add(ROW.invalidation, costs.unmapQueue);
    this.freeFinished(queue, ring);
    if (ring.full) {
      counters.flushesFull++;
      this.flush(queue);
      this.freeFinished(queue, ring);
    }
    ring.add(pfn, pages, queue.started);
    this.queued++;
    work.release(ring.lock);
    if (queue.timerArmed) return;
    queue.timerArmed = true;
    this.armed.set(++this.token, queue);
    this.parts.arm(work.now() + this.timeoutPs, this.token);
  }

  private queueOf(domain: Domain): DomainQueue {
    const rings = this.single ? 1 : this.parts.cpus;
    return (this.last = this.queues[domain.index] ??= new DomainQueue(domain, rings));
  }

  private flush(queue: DomainQueue): void {
    const { flush, work } = this.parts;
    queue.started++;
    flush.domain(queue.domain);
    queue.finish(work.now());
    this.parts.tables.releaseUnlinked(queue.domain.index);
  }

  /** From the head on, up to the first entry that no flush has covered since it was queued. */
  private freeFinished(queue: DomainQueue, ring: Ring): void {
    // Nothing, or nothing but what was queued since the last flush began: no need to know which flushes have ended.
    if (ring.head === ring.tail || ring.counter[ring.head]! >= queue.started) return;
    const { freeIova, counters, work } = this.parts;
    const finished = queue.finishedBy(work.now());
    const before = ring.count;
    while (ring.head !== ring.tail && ring.counter[ring.head]! < finished) {
      const { head } = ring;
      freeIova(queue.domain, ring.pfn[head]!, ring.pages[head]!);
      ring.head = ring.next(head);
    }
    const freed = before - ring.count;
    counters.entriesFlushed += freed;
    this.queued -= freed;
  }

  private freeAll(queue: DomainQueue): void {
    const { work } = this.parts;
    for (const ring of queue.rings) {
      if (ring === undefined) continue;
      work.acquire(ring.lock);
      this.freeFinished(queue, ring);
      work.release(ring.lock);
    }
  }

  timer(token: number): boolean {
    const queue = this.armed.get(token);
    if (queue === undefined) return false;
    this.armed.delete(token);
    queue.timerArmed = false;
    this.parts.counters.flushesTimer++;
    this.flush(queue);
    this.freeAll(queue);
    return true;
  }

  wrapped(): void {}
  freedAhead(): void {}

  drain(domain: Domain): void {
    const queue = this.queues[domain.index];
    if (queue === undefined) return;
    this.queues[domain.index] = undefined;
    this.last = null;
    for (const [token, armed] of this.armed) if (armed === queue) this.armed.delete(token);
    if (!queue.rings.some((ring) => ring !== undefined && ring.count > 0)) return;
    this.parts.counters.flushesExplicit++;
    this.flush(queue);
    this.freeAll(queue);
  }

  /** Every entry, in the order of domains, CPUs and adds. */
  private *waiting(): Generator<{ domain: Domain; pfn: number; pages: number }> {
    for (const queue of this.queues)
      for (const ring of queue?.rings ?? []) {
        if (ring === undefined) continue;
        for (let place = ring.head; place !== ring.tail; place = ring.next(place))
          yield { domain: queue!.domain, pfn: ring.pfn[place]!, pages: ring.pages[place]! };
      }
  }

  holds(domain: Domain, first: number, last: number): boolean {
    for (const entry of this.waiting())
      if (entry.domain === domain && entry.pfn <= last && entry.pfn + entry.pages - 1 >= first) return true;
    return false;
  }

  queue(limit: number): { domain: Domain; pfn: number; pages: number }[] {
    const shown = [];
    for (const entry of this.waiting()) {
      if (shown.length === limit) break;
      shown.push(entry);
    }
    return shown;
  }

  get locks(): readonly Lock[] {
    return this.queues.flatMap((queue) =>
      (queue?.rings ?? []).flatMap((ring) => (ring === undefined ? [] : ring.lock)),
    );
  }

  /** Locks are rebased with the others, timers with the queue. */
  rebase(ps: number): void {
    for (const queue of this.queues) if (queue !== undefined) for (let at = 0; at < ENDS; at++) queue.ends[at]! -= ps;
  }

  digest(sink: DigestSink): void {
    sink.number(this.token);
    for (const queue of this.queues) {
      if (queue === undefined) {
        sink.number(-1);
        continue;
      }
      sink.number(queue.started);
      sink.column(queue.ends, ENDS);
      sink.number(queue.timerArmed ? 1 : 0);
      for (const [cpu, ring] of queue.rings.entries()) {
        if (ring === undefined) continue;
        sink.number(cpu);
        sink.number(ring.count);
        for (let place = ring.head; place !== ring.tail; place = ring.next(place)) {
          sink.number(ring.pfn[place]!);
          sink.number(ring.pages[place]!);
          sink.number(ring.counter[place]!);
        }
        ring.lock.digest(sink);
      }
    }
  }
}

export const flushQueue: PolicyEntry = {
  kind: 'flush-queue',
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: {
      kind: { const: 'flush-queue' },
      single: { type: 'boolean', description: 'one ring of 32,768 for all CPUs and one second, as for paged guests' },
    },
  },
  defaults: { kind: 'flush-queue', single: false },
  source: 'Linux 6.x drivers/iommu/dma-iommu.c',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'one flush of the domain when a CPU’s 255 wait, or after 10 ms',
    iova: 'after a flush that began later',
    tablePages: 'at that flush',
    window: 'about 10 ms, if cached',
  },
  lazy: true,
  downgrades: {
    'caching-mode': {
      to: 'strict',
      why: 'since the hypervisor must be told of each page anyway, so that batching gains little',
      source: 'Linux drivers/iommu/intel/iommu.c: no batching under caching mode (2021)',
    },
    'no-deferred-flush': {
      to: 'strict',
      why: 'since nothing else can be promised about when cached translations go',
      source: 'Linux drivers/iommu/dma-iommu.c, IOMMU_CAP_DEFERRED_FLUSH',
    },
    untrusted: {
      to: 'strict',
      why: 'since such a device is trusted with nothing beyond the bytes that it is given',
      source: 'Linux drivers/iommu/iommu.c; iommu mailing list 20210225061454.2864009-1 (2021)',
    },
  },
  deferred: true,
  needsCircular: false,
  create: (parts) => new FlushQueue(parts),
};
