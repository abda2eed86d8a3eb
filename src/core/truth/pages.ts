/**
 * What the oracle knows of the IOVA pages of one domain: which mapping is live there, what was mapped there last, and which
 * exposure windows are open. Its own record, kept apart from the page tables that it judges.
 */
import type { TenantRuns } from '../hardware/memory.ts';
import type { DigestSink } from '../sim/digest-sink.ts';

const PAGES = 512;
/** Chunks of a block: 4 GiB of addresses. */
const CHUNKS = 2048;
export const NEVER = -1;

export class PageChunk {
  /** [page]: slot of the live DMA-API mapping plus one; 0 none. */
  readonly live = new Int32Array(PAGES);
  /** [page]: first open window, -1 none. */
  readonly window = new Int32Array(PAGES).fill(-1);
  /** [page]: of the last mapping made here: tenant of its frame, and `Memory.handOuts` when it was made, NEVER if none was. */
  readonly tenant = new Int32Array(PAGES);
  readonly age = new Float64Array(PAGES).fill(NEVER);
  /** [page]: whole ns since the session began of the last map and of the last unmap's return; NEVER. */
  readonly mappedNs = new Float64Array(PAGES).fill(NEVER);
  readonly unmappedNs = new Float64Array(PAGES).fill(NEVER);
  /** [page]: direction of the last mapping, index into `directions`. */
  readonly direction = new Uint8Array(PAGES);
  /** [page]: 1 while the PTE of a mapping stands whose buffer was freed under it. */
  readonly freed = new Uint8Array(PAGES);
}

/** A live range of `iommu-map`. */
export interface IommuRange {
  first: number;
  /** Inclusive. */
  last: number;
  frame: number;
  permission: number;
  /** `Memory.handOuts` when it was made. */
  age: number;
  tenants: TenantRuns;
  mappedNs: number;
  /** Its memory was freed under it: truth has ended, the PTEs stand. */
  freed: boolean;
}

type Block = (PageChunk | undefined)[];
const emptyBlock = (): Block => new Array(CHUNKS).fill(undefined);

export class TruthPages {
  /** Stands where there is none, and stays empty. */
  private readonly noBlock = emptyBlock();
  /**
   * [page >>> 20][page >>> 9 modulo CHUNKS] for pages below 2^31. Arrays of full length from the start: one that is first written at its
   * far end becomes a hash table in V8, and the first page that most allocators hand out is the last one below 4 GiB.
   */
  private readonly near: Block[] = new Array(CHUNKS).fill(this.noBlock);
  private readonly far = new Map<number, PageChunk>();
  /** By `first`, disjoint. */
  readonly ranges: IommuRange[] = [];
  /** The last ranges that ended, oldest first: what a fault's forensics look up. */
  readonly ended: { first: number; last: number; mappedNs: number; unmappedNs: number }[] = [];
  /** In passthrough the IOVA is the physical address and mappings may share a page: the others at a page, beside `live`. */
  readonly shared = new Map<number, number[]>();

  chunk(page: number): PageChunk {
    if (page < 0x80000000) {
      const found = this.near[page >>> 20]![(page >>> 9) & (CHUNKS - 1)];
      return found === undefined ? this.makeNear(page) : found;
    }
    const at = Math.floor(page / PAGES);
    let chunk = this.far.get(at);
    if (!chunk) this.far.set(at, (chunk = new PageChunk()));
    return chunk;
  }

  private makeNear(page: number): PageChunk {
    const top = page >>> 20;
    if (this.near[top] === this.noBlock) this.near[top] = emptyBlock();
    const chunk = new PageChunk();
    this.near[top]![(page >>> 9) & (CHUNKS - 1)] = chunk;
    return chunk;
  }

  /** Looking leaves no trace. */
  peek(page: number): PageChunk | undefined {
    return page < 0x80000000
      ? this.near[page >>> 20]![(page >>> 9) & (CHUNKS - 1)]
      : this.far.get(Math.floor(page / PAGES));
  }

  /** Index in `ranges` of the range that holds the page, or of the first one after it. */
  rangeIndex(page: number): number {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle]!.last < page) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  rangeAt(page: number): IommuRange | null {
    if (this.ranges.length === 0) return null;
    const range = this.ranges[this.rangeIndex(page)];
    return range !== undefined && range.first <= page ? range : null;
  }

  /** Ends, for the oracle, what ranges reach of frames that are freed under them. @returns ranges that did */
  freedUnder(firstFrame: number, lastFrame: number): number {
    const { ranges } = this;
    let ended = 0;
    for (let i = 0; i < ranges.length; i++) {
      const range = ranges[i]!;
      const lastOfRange = range.frame + (range.last - range.first);
      if (range.freed || range.frame > lastFrame || lastOfRange < firstFrame) continue;
      const from = range.first + (Math.max(range.frame, firstFrame) - range.frame);
      const to = range.first + (Math.min(lastOfRange, lastFrame) - range.frame);
      const parts = [
        { ...range, last: from - 1 },
        { ...range, first: from, last: to, frame: range.frame + (from - range.first), freed: true },
        { ...range, first: to + 1, frame: range.frame + (to + 1 - range.first) },
      ].filter((part) => part.first <= part.last);
      ranges.splice(i, 1, ...parts);
      i += parts.length - 1;
      ended++;
    }
    return ended;
  }

  /** Whether a range of `iommu-map` once covered the page and ended; of the last 1,024 that did. */
  hasEnded(page: number): boolean {
    for (const { first, last } of this.ended) if (page >= first && page <= last) return true;
    return false;
  }

  /** Keeps what the fault log's forensics need of a range that ended: the last 1,024 of them. */
  remember(first: number, last: number, mappedNs: number, unmappedNs: number): void {
    if (this.ended.length === 1024) this.ended.shift();
    this.ended.push({ first, last, mappedNs, unmappedNs });
  }

  /** Last map and last unmap of a page, whole ns since the session began, NEVER; index of the direction, -1 for `iommu-map`. */
  lastTouch(page: number): { mappedNs: number; unmappedNs: number; direction: number } {
    const chunk = this.peek(page);
    const at = page & 511;
    const touch = {
      mappedNs: chunk?.mappedNs[at] ?? NEVER,
      unmappedNs: chunk?.unmappedNs[at] ?? NEVER,
      direction: chunk?.direction[at] ?? 0,
    };
    const range = this.rangeAt(page);
    if (range && range.mappedNs > touch.mappedNs) {
      touch.mappedNs = range.mappedNs;
      touch.direction = -1;
    }
    for (let i = this.ended.length - 1; i >= 0; i--) {
      const past = this.ended[i]!;
      if (page < past.first || page > past.last) continue;
      if (past.mappedNs > touch.mappedNs) {
        touch.mappedNs = past.mappedNs;
        touch.direction = -1;
      }
      if (past.unmappedNs > touch.unmappedNs) touch.unmappedNs = past.unmappedNs;
      break;
    }
    return touch;
  }

  forEachChunk(visit: (firstPage: number, chunk: PageChunk) => void): void {
    this.near.forEach((block, top) => {
      if (block === this.noBlock) return;
      block.forEach((chunk, at) => {
        if (chunk !== undefined) visit((top * CHUNKS + at) * PAGES, chunk);
      });
    });
    for (const at of [...this.far.keys()].sort((a, b) => a - b)) visit(at * PAGES, this.far.get(at)!);
  }

  /** As `forEachChunk`, of those that have a page of the closed range, until `visit` answers false. */
  forEachChunkIn(first: number, last: number, visit: (firstPage: number, chunk: PageChunk) => boolean): void {
    const { near, noBlock, far } = this;
    const nearLast = Math.min(last, 0x7fffffff);
    for (let page = first; page <= nearLast; ) {
      const block = near[page >>> 20]!;
      const end = (page >>> 20) * CHUNKS * PAGES + CHUNKS * PAGES;
      if (block !== noBlock)
        for (; page < end && page <= nearLast; page = page - (page % PAGES) + PAGES) {
          const chunk = block[(page >>> 9) & (CHUNKS - 1)];
          if (chunk !== undefined && !visit(page - (page % PAGES), chunk)) return;
        }
      page = end;
    }
    if (last < 0x80000000 || far.size === 0) return;
    const inside = [...far.keys()].filter((at) => at * PAGES <= last && at * PAGES + PAGES > first);
    for (const at of inside.sort((a, b) => a - b)) if (!visit(at * PAGES, far.get(at)!)) return;
  }

  digest(sink: DigestSink): void {
    this.forEachChunk((first, chunk) => {
      sink.number(first);
      sink.column(chunk.live, PAGES);
      sink.column(chunk.window, PAGES);
      sink.column(chunk.tenant, PAGES);
      sink.column(chunk.age, PAGES);
      sink.column(chunk.mappedNs, PAGES);
      sink.column(chunk.unmappedNs, PAGES);
      sink.column(chunk.freed, PAGES);
      sink.column(chunk.direction, PAGES);
    });
    for (const past of this.ended) {
      sink.number(past.first);
      sink.number(past.last);
      sink.number(past.mappedNs);
      sink.number(past.unmappedNs);
    }
    for (const range of this.ranges) {
      sink.number(range.first);
      sink.number(range.last);
      sink.number(range.frame);
      sink.number(range.age);
      sink.number(range.permission);
      sink.number(range.mappedNs);
      sink.number(range.freed ? 1 : 0);
    }
    for (const { first, last, mappedNs, unmappedNs } of this.ended) {
      sink.number(first);
      sink.number(last);
      sink.number(mappedNs);
      sink.number(unmappedNs);
    }
  }
}
