/**
 * What should be said of every access, from the full history in plain objects: who mapped what when, who had each frame when, what
 * every cached entry came from, when each page was unmapped and what was invalidated since.
 *
 * It is told the operations, the addresses that the allocator chose, and the commands that reached the invalidation interface; where
 * PTEs may outlive their unmap, also when they were cleared. It works out for itself what is cached, what is translated, what that means, and how long each unmapped page stayed reachable.
 */
import type { RandomStream } from '../../src/core/sim/random.ts';
import { type ChipShape, NaiveChip, type Space } from './chip.ts';
import { type CachedLeaf, NaiveIotlb } from './iotlb.ts';
import { NaiveMemory } from './memory.ts';

export interface PlacedPage {
  page: number;
  frame: number;
  /** [byte]: 1 when it is mapped. */
  bytes: Uint8Array;
  /** Owner of the frame when it was mapped. */
  tenant: number;
}

export interface Mapping {
  space: number;
  /** `iommu-map`: never `subpage`. */
  explicit: boolean;
  permission: number;
  /** Hand-outs of frames until it was made. */
  age: number;
  pages: Map<number, PlacedPage>;
  /** Pages that were unmapped; all of them once it is over. */
  unmapped: Set<number>;
  /** Pages whose memory was freed under it. */
  freedUnder: Set<number>;
}

export interface Window {
  space: number;
  page: number;
  mapping: Mapping;
  bytes: number;
  opened: bigint;
  closed: bigint | null;
  /** Closed stretches in which something cached translated the page. */
  actual: { from: bigint; to: bigint }[];
  /** Whether its PTE is still there. Else, IOTLB entry that translates the page, and entries of device TLBs. */
  stands: boolean;
  entry: CachedLeaf | null;
  held: { device: number; leaf: CachedLeaf }[];
  since: bigint;
  /** Devices that were not told since the IOTLB was; null when the IOTLB was not. */
  owed: number[] | null;
}

/** A command that completed, or the return of the call in progress. */
export type Step =
  | { what: 'invalidate'; space: number; first: number; pages: number; leafOnly: boolean; at: bigint }
  | { what: 'device-invalidate'; device: number; space: number; first: number; pages: number; at: bigint }
  | { what: 'clear'; space: number; first: number; last: number; at: bigint }
  | { what: 'release' }
  | { what: 'return'; at: bigint };

export interface Judged {
  verdict: string;
  cause: string | undefined;
  frame: number | null;
  from: string | null;
  references: number;
}

export const ORDER = [
  'ok',
  'fault',
  'subpage',
  'unprotected',
  'stale',
  'stale-reused',
  'misdirected',
  'stale-cross-tenant',
] as const;

/** A page of the unmap in progress. */
interface Waiting {
  mapping: Mapping;
  page: number;
  bytes: number;
  owed: number[] | null;
}

export class NaiveWorld {
  readonly memory: NaiveMemory;
  readonly chip: NaiveChip<Mapping>;
  readonly spaces = new Map<number, Space<Mapping>>();
  readonly mappings: Mapping[] = [];
  readonly windows: Window[] = [];
  /** Devices with a TLB, and where they are. */
  readonly deviceTlbs = new Map<number, { tlb: NaiveIotlb; space: number | null }>();
  private readonly passthrough: boolean;
  /** Whether PTEs are cleared when it is told so, and not by each unmap. */
  private readonly told: boolean;
  /** Pages that stood after their unmap and that the map in progress takes over. */
  private takenOver: { space: number; page: number }[] = [];
  attempts = 0;
  detected = 0;

  constructor(shape: ChipShape & { memoryBytes: number; passthrough: boolean; told: boolean }, random: RandomStream) {
    this.memory = new NaiveMemory(shape.memoryBytes, 'lifo');
    this.chip = new NaiveChip<Mapping>(shape, this.memory, random);
    this.passthrough = shape.passthrough;
    this.told = shape.told;
  }

  /** Whether a page of a mapping has its PTE in the tables, live or not. */
  private stands({ space, pages }: Mapping, page: number): boolean {
    const leaf = this.chip.leafAt(this.spaces.get(space)!, page);
    return leaf !== null && leaf.origin.pages === pages;
  }

  makeSpace(index: number, levels: number): void {
    this.spaces.set(index, { index, levels, root: this.chip.makeTable(levels, 0) });
  }

  addDeviceTlb(
    device: number,
    space: number,
    shape: { entries: number; ways: number; replacement: string },
    random: RandomStream,
  ): void {
    const tlb = new NaiveIotlb(shape.entries, shape.ways, shape.replacement, random);
    this.deviceTlbs.set(device, { tlb, space });
  }

  private devicesIn(space: number): number[] {
    return [...this.deviceTlbs].filter(([, each]) => each.space === space).map(([device]) => device);
  }

  /** Records what a map call has made; `stretches` are contiguous runs of memory and of addresses. */
  map(
    space: number,
    stretches: { page: number; frame: number; offset: number; lengthBytes: number }[],
    permission: number,
    explicit: boolean,
    largest = 3,
  ): Mapping {
    const mapping: Mapping = {
      space,
      explicit,
      permission,
      age: 0,
      pages: new Map(),
      unmapped: new Set(),
      freedUnder: new Set(),
    };
    // Neighbours in memory and in addresses go in one call.
    const calls: { page: number; frame: number; pages: number }[] = [];
    for (const { page, frame, offset, lengthBytes } of stretches) {
      const pages = Math.ceil((offset + lengthBytes) / 4096);
      const last = calls.at(-1);
      if (last && last.page + last.pages === page && last.frame + last.pages === frame) last.pages += pages;
      else calls.push({ page, frame, pages });
      for (let i = 0; i < pages; i++) {
        const bytes = mapping.pages.get(page + i)?.bytes ?? new Uint8Array(4096);
        bytes.fill(1, i === 0 ? offset : 0, Math.min(4096, offset + lengthBytes - i * 4096));
        const { owner } = this.memory.frame(frame + i);
        mapping.pages.set(page + i, { page: page + i, frame: frame + i, bytes, tenant: owner });
      }
    }
    if (!this.passthrough)
      for (const { page, frame, pages } of calls)
        if (!this.takesOver(mapping, page, pages))
          this.chip.map(this.spaces.get(space)!, page, frame, pages, permission, mapping, largest);
    mapping.age = this.memory.handOuts;
    this.mappings.push(mapping);
    return mapping;
  }

  /** What stands there already since another mapping was unmapped becomes this one's. @returns whether all of it does */
  private takesOver(mapping: Mapping, page: number, pages: number): boolean {
    const space = this.spaces.get(mapping.space)!;
    const leaves = Array.from({ length: pages }, (_, i) => this.chip.leafAt(space, page + i));
    if (leaves.some((leaf) => leaf === null)) return false;
    for (const [i, leaf] of leaves.entries()) {
      leaf!.origin = mapping;
      this.takenOver.push({ space: mapping.space, page: page + i });
    }
    return true;
  }

  /** Clears [first, last]; what the call did afterwards is in `steps`, its return among them. */
  unmap(space: number, first: number, last: number, over: Mapping[], steps: Step[], opensWindows = true): void {
    if (!this.passthrough && !this.told) this.chip.clear(this.spaces.get(space)!, first, last);
    const waiting: Waiting[] = [];
    for (const mapping of over)
      for (const [page, placed] of mapping.pages) {
        if (page < first || page > last || mapping.unmapped.has(page)) continue;
        mapping.unmapped.add(page);
        const bytes = mapping.explicit ? 4096 : placed.bytes.reduce((sum, byte) => sum + byte, 0);
        waiting.push({ mapping, page, bytes, owed: null });
      }
    this.happened(steps, space, opensWindows && !this.passthrough ? waiting : []);
  }

  /** @param waiting pages that get a window when the call returns, unless an invalidation covers them before */
  happened(steps: readonly Step[], space = -1, waiting: Waiting[] = []): void {
    let left = waiting;
    for (const step of steps) {
      if (step.what === 'release') this.chip.release();
      else if (step.what === 'clear') {
        if (!this.told) continue;
        this.chip.clear(this.spaces.get(step.space)!, step.first, step.last);
        this.fall(step.at);
      } else if (step.what === 'return') {
        for (const each of left) this.open(space, each, step.at);
        left = [];
        for (const { space: where, page } of this.takenOver)
          for (const window of this.windows)
            if (window.closed === null && window.stands && window.space === where && window.page === page)
              this.close(window, step.at);
        this.takenOver = [];
      } else if (step.what === 'device-invalidate') {
        const last = step.first + step.pages - 1;
        this.deviceTlbs.get(step.device)!.tlb.invalidate(step.space, step.first, last);
        this.settle('devices', step.at);
        const told = (where: number, each: { page: number; owed: number[] | null }): boolean => {
          if (where !== step.space || each.page < step.first || each.page > last || each.owed === null) return false;
          each.owed = each.owed.filter((device) => device !== step.device);
          return each.owed.length === 0;
        };
        left = left.filter((each) => !told(space, each));
        for (const window of this.windows)
          if (window.closed === null && told(window.space, window)) this.close(window, step.at);
      } else {
        const last = step.first + step.pages - 1;
        this.chip.invalidate(step.space, step.first, last, step.leafOnly);
        const covers = (where: number, page: number) =>
          (step.space < 0 || step.space === where) && page >= step.first && page <= last;
        const done = (where: number, each: { mapping: Mapping; page: number; owed: number[] | null }): boolean => {
          if (!covers(where, each.page) || this.stands(each.mapping, each.page)) return false;
          each.owed = this.devicesIn(where);
          return each.owed.length === 0;
        };
        left = left.filter((each) => !done(space, each));
        this.settle('iotlb', step.at);
        for (const window of this.windows)
          if (window.closed === null && done(window.space, window)) this.close(window, step.at);
      }
    }
  }

  private open(space: number, { mapping, page, bytes, owed }: Waiting, at: bigint): void {
    const stands = this.stands(mapping, page);
    const { entry, held } = stands ? { entry: null, held: [] } : this.cachedAt(space, page);
    const since = { opened: at, closed: null, actual: [], since: at };
    this.windows.push({ space, page, mapping, bytes, stands, entry, held, owed, ...since });
  }

  private cachedAt(space: number, page: number): Pick<Window, 'entry' | 'held'> {
    const held = this.devicesIn(space).flatMap((device) => {
      const leaf = this.deviceTlbs.get(device)!.tlb.covering(space, page);
      return leaf ? [{ device, leaf }] : [];
    });
    return { entry: this.chip.iotlb.covering(space, page) ?? null, held };
  }

  /** PTEs were cleared: what stood is kept by what was cached of it, or is over. */
  private fall(at: bigint): void {
    for (const window of this.windows) {
      if (!window.stands || this.stands(window.mapping, window.page)) continue;
      window.stands = false;
      Object.assign(window, this.cachedAt(window.space, window.page));
      if (window.entry === null && window.held.length === 0) this.endActual(window, at);
    }
  }

  private close(window: Window, at: bigint): void {
    window.closed = at > window.opened ? at : window.opened;
    // A stale path may have brought it back since the IOTLB was done with it.
    if (window.stands || window.entry !== null || window.held.length > 0) this.endActual(window, at);
    window.stands = false;
    window.entry = null;
    window.held = [];
  }

  private endActual(window: Window, at: bigint): void {
    window.actual.push({ from: window.since, to: at > window.since ? at : window.since });
  }

  /** Ends what the IOTLB, or what devices no longer have, as of a moment. */
  private settle(where: 'iotlb' | 'devices', at: bigint): void {
    for (const window of this.windows) {
      const before = window.entry !== null || window.held.length > 0;
      if (where === 'iotlb') {
        if (window.entry !== null && !this.chip.iotlb.entries.includes(window.entry)) window.entry = null;
      } else
        window.held = window.held.filter(({ device, leaf }) => this.deviceTlbs.get(device)!.tlb.entries.includes(leaf));
      if (before && window.entry === null && window.held.length === 0) this.endActual(window, at);
    }
  }

  /** The memory of a buffer is freed; mappings that reach it are over, their PTEs stand. */
  freedUnder(first: number, frames: number): void {
    for (const mapping of this.mappings) {
      const reached = [...mapping.pages.values()].filter(
        ({ page, frame }) => !mapping.unmapped.has(page) && frame >= first && frame < first + frames,
      );
      if (reached.length === 0) continue;
      // A mapping of the DMA API is one thing and over as a whole; a range is so many pages.
      for (const { page } of mapping.explicit ? reached : mapping.pages.values()) mapping.freedUnder.add(page);
    }
  }

  /** Live mappings of a space at a page. */
  private live(space: number, page: number): Mapping[] {
    return this.mappings.filter(
      (mapping) =>
        mapping.space === space &&
        mapping.pages.has(page) &&
        !mapping.unmapped.has(page) &&
        !mapping.freedUnder.has(page),
    );
  }

  private everMapped(space: number, page: number): Mapping[] {
    return this.mappings.filter((mapping) => mapping.space === space && mapping.pages.has(page));
  }

  access(
    space: number | null,
    page: number,
    start: number,
    end: number,
    permission: number,
    at: bigint,
    device = -1,
  ): Judged {
    const blocked = (references: number): Judged => {
      if (space !== null && page < 2 ** (9 * this.spaces.get(space)!.levels))
        if (this.everMapped(space, page).length > 0 && this.live(space, page).length === 0) {
          this.attempts++;
          this.detected++;
        }
      return { verdict: 'fault', cause: undefined, frame: null, from: null, references };
    };
    if (space === null) return blocked(0);
    const where = this.spaces.get(space)!;
    let frame = page;
    let from = 'passthrough';
    let how = 'no-protection';
    let references = 0;
    let origin: Mapping | null = this.everMapped(space, page).at(-1) ?? null;
    if (!this.passthrough) {
      if (page >= 2 ** (9 * where.levels)) return blocked(0);
      const deviceTlb = this.deviceTlbs.get(device)?.tlb ?? null;
      const translated = this.chip.translate(where, page, permission, deviceTlb);
      if (translated === null) return blocked(this.chip.references);
      this.settle('iotlb', at);
      ({ frame, from, references, origin } = translated);
      how = from === 'iotlb' || from === 'device-tlb' ? from : translated.stale ? 'walk-cache' : 'pte';
      if (translated.stale) this.reached(space, page, at);
      this.settle('devices', at);
      if (translated.given !== null)
        for (const window of this.windows)
          if (window.closed === null && window.entry === translated.leaf)
            window.held.push({ device, leaf: translated.given });
    }
    const live = this.live(space, page);
    let best: string | null = null;
    for (const mapping of live) {
      const placed = mapping.pages.get(page)!;
      if ((mapping.permission & permission) === 0 || placed.frame !== frame) continue;
      if (mapping.explicit || placed.bytes.subarray(start, end).every((byte) => byte === 1)) best = 'ok';
      else best ??= 'subpage';
    }
    if (best !== null) return { verdict: best, cause: undefined, frame, from, references };
    if (origin !== null) this.attempts++;
    const placed = origin === null ? null : ([...origin.pages.values()].find((each) => each.frame === frame) ?? null);
    const now = this.memory.frame(frame);
    let verdict: string;
    if (origin && placed && now.owner !== placed.tenant) verdict = 'stale-cross-tenant';
    else if (live.some((mapping) => mapping.pages.get(page)!.frame !== frame)) verdict = 'misdirected';
    else if (origin && now.handedOut > origin.age) verdict = 'stale-reused';
    else if (origin) verdict = 'stale';
    else verdict = 'unprotected';
    const standing = origin !== null && placed !== null && origin.space === space && !origin.unmapped.has(page);
    const cause = !this.passthrough && standing && origin!.freedUnder.has(page) ? 'freed-while-mapped' : how;
    return { verdict, cause, frame, from, references };
  }

  /** A stale path has put pages into the IOTLB again whose windows are open. */
  private reached(space: number, page: number, at: bigint): void {
    const entry = this.chip.iotlb.covering(space, page)!;
    for (const window of this.windows) {
      if (window.closed !== null || window.stands || window.entry !== null || window.space !== space) continue;
      if (window.page < entry.first || window.page >= entry.first + entry.pages) continue;
      if (window.held.length === 0) window.since = at > window.opened ? at : window.opened;
      window.entry = entry;
    }
  }

  /** Count, page-ps, byte-ps, longest and open ones of both kinds, up to a moment. */
  exposure(now: bigint): Record<'potential' | 'actual', Sum> {
    const potential = this.windows.map(({ opened, closed, bytes }) => ({ from: opened, to: closed, bytes }));
    const actual = this.windows.flatMap((window) => [
      ...window.actual.map(({ from, to }) => ({ from, to: to as bigint | null, bytes: window.bytes })),
      ...(window.entry === null && window.held.length === 0 && !window.stands
        ? []
        : [{ from: window.since, to: null, bytes: window.bytes }]),
    ]);
    return { potential: sum(potential, now), actual: sum(actual, now) };
  }
}

export interface Sum {
  opened: number;
  current: number;
  peak: number;
  pagePs: bigint;
  bytePs: bigint;
  longestPs: bigint;
  /** Lengths of the closed ones in whole ns, rising. */
  closedNs: number[];
}

function sum(stretches: { from: bigint; to: bigint | null; bytes: number }[], now: bigint): Sum {
  const out: Sum = { opened: 0, current: 0, peak: 0, pagePs: 0n, bytePs: 0n, longestPs: 0n, closedNs: [] };
  const changes: { at: bigint; delta: number }[] = [];
  for (const { from, to, bytes } of stretches) {
    const length = (to ?? now) - from;
    out.opened++;
    if (to === null) out.current++;
    else out.closedNs.push(Number(length / 1000n));
    out.pagePs += length;
    out.bytePs += length * BigInt(bytes);
    if (length > out.longestPs) out.longestPs = length;
    changes.push({ at: from, delta: 1 });
    if (to !== null) changes.push({ at: to, delta: -1 });
  }
  // At equal times those that end make room first for none: a window that opens as another closes is seen beside it.
  changes.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : b.delta - a.delta));
  let level = 0;
  for (const { delta } of changes) {
    level += delta;
    if (level > out.peak) out.peak = level;
  }
  out.closedNs.sort((a, b) => a - b);
  return out;
}
