/**
 * contiguous: pages of one receive descriptor get neighbouring addresses. A CPU that asks for single pages takes a chunk of 64 (256 KiB,
 * aligned) and hands its pages out one after the other; when they are used up it takes another. A chunk goes back when all its pages
 * have been handed out and freed. Requests of several pages go past the chunks.
 *
 * Source: Rubin, Agarwal, Cai, Agarwal, "Fast & Safe IO Memory Protection", SOSP 2024 (F&S), and its kernel patch: 256 KiB of addresses
 * for each descriptor of 64 pages, mapped page by page, unmapped and invalidated as one; rcache's largest class raised from 32 to 64
 * pages so that chunks come from the magazines. Chunks come from `over`; `rcache` has that class here. With `batched` there is one
 * invalidation a descriptor, and the walk caches keep what leads to 512 neighbours instead of to one page each.
 *
 * Departs: a chunk belongs to a CPU, not to a ring: rings that share a CPU share its chunk, and then a descriptor may lie in two. CPUs
 * have one for devices below 4 GiB and one for the others. Where there is no room for a chunk, a single page is taken instead.
 *
 * Pathology: a page that lives long keeps 63 others from everyone; and a driver that maps one page now and then holds 256 KiB for it.
 */
import { InvariantError } from '../../assert.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { growFloat64, growInt32 } from '../../sim/growable.ts';
import { type AllocatorEntry, type AllocatorSetup, type IovaAllocator, NO_PFN, RANGE, SUSPENDED } from './allocator.ts';
import { type AllocatorCall, STEP } from './call.ts';
import { maple } from './maple.ts';
import { rbtree } from './rbtree.ts';
import { rcache } from './rcache.ts';

/** Pages of a chunk. */
export const CHUNK = 64;
/** Size classes of a cache that has chunks among them: 1, 2, 4 ... 64 pages. */
const ORDERS = 7;
const LAST_32BIT = 0xfffff;
const NONE = -1;

/** What the attempt in progress asks the allocator beneath for. */
const IDLE = 0;
const ASKS_CHUNK = 1;
const ASKS_RANGE = 2;

const beneath: Record<string, AllocatorEntry> = { rbtree, maple, rcache };

/** Parameters of the allocator beneath. */
function parametersOf(over: AllocatorEntry): Record<string, unknown> {
  return over === rcache ? { ...over.defaults, maxOrder: ORDERS } : over.defaults;
}

class Contiguous implements IovaAllocator {
  budget = Number.POSITIVE_INFINITY;
  readonly call: AllocatorCall;
  lastNodesVisited = 0;
  readonly lastWordsScanned = 0;
  private readonly inner: IovaAllocator;
  private phase = IDLE;

  /** [number of the first page / CHUNK]: chunk. */
  private readonly chunkAt = new Map<number, number>();
  /** [chunk]: first page; pages handed out so far; of those, the ones that are not free again, and which: 32 to a word. */
  private first = new Float64Array(16);
  private given = new Int32Array(16);
  private live = new Int32Array(16);
  private liveLow = new Int32Array(16);
  private liveHigh = new Int32Array(16);
  private readonly freeChunks: number[] = [];
  private used = 0;
  /** [cpu * 2 + (0 below 4 GiB, 1 beyond)]: chunk that hands out pages, NONE. */
  private readonly current: Int32Array;
  /** Of all chunks. */
  private chunks = 0;
  private chunkPagesLive = 0;

  constructor(setup: AllocatorSetup) {
    const over = beneath[setup.parameters.over as string]!;
    this.inner = over.create({ ...setup, parameters: parametersOf(over) });
    this.call = this.inner.call;
    this.current = new Int32Array((setup.cpus ?? 1) * 2).fill(NONE);
  }

  get lockNames(): readonly string[] {
    return this.inner.lockNames;
  }
  get nodesVisited(): number {
    return this.inner.nodesVisited;
  }
  get wordsScanned(): number {
    return this.inner.wordsScanned;
  }
  get liveRanges(): number {
    return this.inner.liveRanges - this.chunks + this.chunkPagesLive;
  }
  get livePages(): number {
    return this.inner.livePages - this.chunks * CHUNK + this.chunkPagesLive;
  }
  /** Pages that chunks keep back: not handed out yet, or free again. */
  get cachedPages(): number {
    return this.chunks * CHUNK - this.chunkPagesLive + (this.inner.cachedPages ?? 0);
  }
  get cachedRanges(): number {
    let ranges = this.inner.cachedRanges ?? 0;
    for (const chunk of this.chunkAt.values()) this.forEachRun(chunk, (_first, _last, live) => void (live || ranges++));
    return ranges;
  }
  get ownHits(): number {
    return this.inner.ownHits ?? 0;
  }
  get depotMagazines(): number {
    return this.inner.depotMagazines ?? 0;
  }

  allocate(pages: number, limitPfn: number): number {
    const { inner } = this;
    let left = this.budget;
    if (this.phase === IDLE) {
      this.lastNodesVisited = 0;
      if (pages === 1) {
        const pfn = this.next(limitPfn);
        if (pfn !== NO_PFN) return pfn;
      }
      this.phase = pages === 1 ? ASKS_CHUNK : ASKS_RANGE;
    }
    if (this.phase === ASKS_CHUNK) {
      const before = inner.nodesVisited;
      const pfn = this.search(CHUNK, limitPfn, left);
      if (pfn === SUSPENDED) return SUSPENDED;
      if (pfn !== NO_PFN) {
        this.phase = IDLE;
        this.open(pfn, limitPfn);
        return this.next(limitPfn);
      }
      this.phase = ASKS_RANGE;
      left -= inner.nodesVisited - before;
      if (left <= 0) return SUSPENDED;
    }
    const pfn = this.search(pages, limitPfn, left);
    if (pfn !== SUSPENDED) this.phase = IDLE;
    return pfn;
  }

  private search(pages: number, limitPfn: number, budget: number): number {
    const { inner } = this;
    const before = inner.nodesVisited;
    inner.budget = budget;
    const pfn = inner.allocate(pages, limitPfn);
    this.lastNodesVisited += inner.nodesVisited - before;
    return pfn;
  }

  private placeOf(limitPfn: number): number {
    return this.call.cpu * 2 + (limitPfn > LAST_32BIT ? 1 : 0);
  }

  /** The next page of the CPU's chunk, NO_PFN when it has none within reach. */
  private next(limitPfn: number): number {
    const at = this.placeOf(limitPfn);
    const chunk = this.current[at]!;
    if (chunk === NONE) return NO_PFN;
    if (this.first[chunk]! + CHUNK - 1 > limitPfn) {
      this.current[at] = NONE;
      this.given[chunk] = CHUNK;
      if (this.live[chunk] === 0) this.close(chunk);
      return NO_PFN;
    }
    const page = this.given[chunk]!++;
    if (page === CHUNK - 1) this.current[at] = NONE;
    this.live[chunk]!++;
    if (page < 32) this.liveLow[chunk]! |= 1 << page;
    else this.liveHigh[chunk]! |= 1 << (page - 32);
    this.chunkPagesLive++;
    this.call.addUnlocked(STEP.cacheAllocate);
    return this.first[chunk]! + page;
  }

  private open(pfn: number, limitPfn: number): void {
    let chunk = this.freeChunks.pop();
    if (chunk === undefined) {
      chunk = this.used++;
      if (chunk === this.given.length) this.grow();
    }
    this.first[chunk] = pfn;
    this.given[chunk] = 0;
    this.live[chunk] = 0;
    this.liveLow[chunk] = 0;
    this.liveHigh[chunk] = 0;
    this.chunkAt.set(pfn / CHUNK, chunk);
    this.chunks++;
    this.current[this.placeOf(limitPfn)] = chunk;
  }

  /** All pages of a chunk have been handed out and freed. */
  private close(chunk: number): void {
    const pfn = this.first[chunk]!;
    this.chunkAt.delete(pfn / CHUNK);
    this.freeChunks.push(chunk);
    this.chunks--;
    this.freeInner(pfn, CHUNK);
  }

  free(pfn: number, pages: number): void {
    const chunk = pages === 1 ? this.chunkAt.get(Math.floor(pfn / CHUNK)) : undefined;
    if (chunk === undefined) {
      this.freeInner(pfn, pages);
      return;
    }
    const page = pfn - this.first[chunk]!;
    const bits = page < 32 ? this.liveLow : this.liveHigh;
    const bit = 1 << (page & 31);
    if ((bits[chunk]! & bit) === 0) throw new InvariantError(`contiguous: page ${pfn} freed, which was not handed out`);
    bits[chunk]! &= ~bit;
    this.chunkPagesLive--;
    this.call.addUnlocked(STEP.cacheFree);
    if (--this.live[chunk]! === 0 && this.given[chunk] === CHUNK) this.close(chunk);
  }

  /** A tree looks what is freed by address up first. */
  private freeInner(pfn: number, pages: number): void {
    const { call } = this;
    const from = call.count;
    this.inner.free(pfn, pages);
    if (call.stepAt(from) === STEP.treeFree) call.change(from, STEP.treeRemove);
  }

  timer(token: number): void {
    this.inner.timer?.(token);
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.inner.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.inner.unreserve(firstPfn, lastPfn);
  }

  overlaps(firstPfn: number, lastPfn: number): boolean {
    return this.inner.overlaps(firstPfn, lastPfn);
  }

  /** Stretches of a chunk that are live, and that are not. */
  private forEachRun(chunk: number, visit: (firstPfn: number, lastPfn: number, live: boolean) => void): void {
    const isLive = (page: number) =>
      ((page < 32 ? this.liveLow[chunk]! >> page : this.liveHigh[chunk]! >> (page - 32)) & 1) === 1;
    for (let page = 0; page < CHUNK; ) {
      const live = isLive(page);
      const from = page;
      while (page < CHUNK && isLive(page) === live) page++;
      visit(this.first[chunk]! + from, this.first[chunk]! + page - 1, live);
    }
  }

  forEachRange(visit: (firstPfn: number, lastPfn: number, state: number) => unknown, limit: number, fromPfn = 0): void {
    let left = limit;
    const show = (first: number, last: number, state: number) => {
      if (left-- > 0 && visit(first, last, state) === false) left = 0;
    };
    this.inner.forEachRange(
      (first, last, state) => {
        const chunk = state === RANGE.allocated ? this.chunkAt.get(first / CHUNK) : undefined;
        if (chunk === undefined) show(first, last, state);
        else this.forEachRun(chunk, (from, to, live) => show(from, to, live ? RANGE.allocated : RANGE.cached));
        return left > 0;
      },
      limit,
      fromPfn,
    );
  }

  inspect(): Record<string, unknown> {
    const behind = this.inner.inspect();
    return {
      ...behind,
      kind: 'contiguous',
      over: behind.kind,
      lastNodesVisited: this.lastNodesVisited,
      liveRanges: this.liveRanges,
      livePages: this.livePages,
      chunks: this.chunks,
      cachedRanges: this.cachedRanges,
      cachedPages: this.cachedPages,
    };
  }

  digest(sink: DigestSink): void {
    sink.text('contiguous');
    this.inner.digest(sink);
    sink.number(this.phase);
    for (const number of [...this.chunkAt.keys()].sort((a, b) => a - b)) {
      const chunk = this.chunkAt.get(number)!;
      sink.number(this.first[chunk]!);
      sink.number(this.given[chunk]!);
      sink.number(this.liveLow[chunk]!);
      sink.number(this.liveHigh[chunk]!);
      sink.number(this.current.indexOf(chunk));
    }
  }

  private grow(): void {
    const length = this.given.length * 2;
    this.first = growFloat64(this.first, length);
    this.given = growInt32(this.given, length);
    this.live = growInt32(this.live, length);
    this.liveLow = growInt32(this.liveLow, length);
    this.liveHigh = growInt32(this.liveHigh, length);
  }
}

export const contiguous: AllocatorEntry = {
  kind: 'contiguous',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'contiguous' },
      over: {
        type: 'string',
        enum: Object.keys(beneath),
        default: 'rcache',
        description: 'where chunks come from; `rcache` then has a class of 64 pages, as F&S gave it',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'contiguous', over: 'rcache' },
  source: 'Fast & Safe IO Memory Protection, SOSP 2024, and its kernel patch',
  searches: 'cache',
  costSteps: rcache.costSteps,
  costStepsWith: ({ over }) => {
    const entry = beneath[String(over)]!;
    return ['cacheAlloc', 'cacheFree', ...entry.costSteps];
  },
  findStep: null,
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  pagesTaken: (pages, { over }) => {
    const entry = beneath[String(over)]!;
    return pages === 1 ? 1 : (entry.pagesTaken?.(pages, parametersOf(entry)) ?? pages);
  },
  freedTogether: CHUNK,
  always32BitFirst: false,
  create: (setup) => new Contiguous(setup),
};
