/**
 * What an IOVA page is, in one word, for the picture of a space: what the allocator says of it, then what truth and the policy's queue say.
 *
 *     mapped now?  yes: `remapped` while an older translation of it is cached, else `live`
 *     no:          `stale`      something translates it still: a cached entry, or the PTE of an unmapped page (the `actual` exposure)
 *                  `dangling`   its buffer was freed under the mapping; the PTE stands until the driver unmaps
 *                  `queued`     unmapped, held back by the policy: the address cannot be handed out
 *                  `unflushed`  unmapped since the last flush that covers it, nothing cached, and the address is free to be handed out
 *                  `allocated`  handed out with nothing of a driver mapped: rounding, what a mode keeps mapped for good, what is left of a chunk
 *                  `kept`, `reserved`, `free`   as the allocator has it
 *
 * The first that fits. A path that the walk caches keep to a freed table counts once a walk went through it and was cached.
 */
import type { Domain } from '../os/domain.ts';
import { RANGE } from '../os/iova/allocator.ts';
import type { Simulator } from '../simulator.ts';
import type { PageChunk } from '../truth/pages.ts';

export const spaceStates = [
  'free',
  'reserved',
  'kept',
  'allocated',
  'live',
  'queued',
  'unflushed',
  'dangling',
  'stale',
  'remapped',
] as const;

export const STATE = {
  free: 0,
  reserved: 1,
  kept: 2,
  allocated: 3,
  live: 4,
  queued: 5,
  unflushed: 6,
  dangling: 7,
  stale: 8,
  remapped: 9,
} as const;

/** [RANGE]: the state that a page has as far as its allocator knows. */
export const stateOfRange: readonly number[] = [];
(stateOfRange as number[])[RANGE.allocated] = STATE.allocated;
(stateOfRange as number[])[RANGE.reserved] = STATE.reserved;
(stateOfRange as number[])[RANGE.cached] = STATE.kept;

/** Closed ranges of pages in rising order, disjoint, each with a state; asked for pages in rising order. */
export class Intervals {
  private readonly first: number[] = [];
  private readonly last: number[] = [];
  private readonly state: number[] = [];
  private at = 0;

  get count(): number {
    return this.first.length;
  }

  add(first: number, last: number, state: number): void {
    this.first.push(first);
    this.last.push(last);
    this.state.push(state);
  }

  /** State at a page, `none` between ranges. Pages must not fall from call to call. */
  stateAt(page: number, none: number): number {
    const { first, last } = this;
    while (this.at < first.length && last[this.at]! < page) this.at++;
    return this.at < first.length && first[this.at]! <= page ? this.state[this.at]! : none;
  }

  forEach(visit: (first: number, last: number, state: number) => void): void {
    for (let i = 0; i < this.first.length; i++) visit(this.first[i]!, this.last[i]!, this.state[i]!);
  }

  /** With `over` laid over it. */
  under(over: Intervals): Intervals {
    if (over.count === 0) return this;
    const out = new Intervals();
    let next = 0;
    for (let i = 0; i < this.first.length; i++) {
      let from = this.first[i]!;
      const end = this.last[i]!;
      while (next < over.first.length && over.last[next]! < from) {
        out.add(over.first[next]!, over.last[next]!, over.state[next]!);
        next++;
      }
      while (next < over.first.length && over.first[next]! <= end) {
        if (over.first[next]! > from) out.add(from, over.first[next]! - 1, this.state[i]!);
        from = over.last[next]! + 1;
        out.add(over.first[next]!, over.last[next]!, over.state[next]!);
        next++;
      }
      if (from <= end) out.add(from, end, this.state[i]!);
    }
    for (; next < over.first.length; next++) out.add(over.first[next]!, over.last[next]!, over.state[next]!);
    return out;
  }
}

/** What a policy holds back of a domain within a closed range of pages, in rising order. */
export function heldIn(domain: Domain, first: number, last: number): Intervals {
  const held: { pfn: number; end: number }[] = [];
  if (domain.policy.queued > 0)
    for (const entry of domain.policy.queue(Number.POSITIVE_INFINITY))
      if (entry.domain === domain && entry.pfn <= last && entry.pfn + entry.pages > first)
        held.push({ pfn: entry.pfn, end: entry.pfn + entry.pages - 1 });
  const out = new Intervals();
  for (const { pfn, end } of held.sort((a, b) => a.pfn - b.pfn)) out.add(pfn, end, STATE.queued);
  return out;
}

/** Looks at pages, allocator ranges and windows that one read may take. */
export class Steps {
  left: number;

  constructor(most: number) {
    this.left = most;
  }
}

/** Whether something still translates a page: one of its open windows is actual. */
function isExposed({ exposure }: Simulator, chunk: PageChunk, at: number, steps: Steps): boolean {
  const first = chunk.window[at]!;
  if (first === -1) return false;
  let exposed = false;
  exposure.forEachOnPage(first, (_opened, _stands, cached) => {
    steps.left--;
    exposed = cached;
    return !cached && steps.left > 0;
  });
  return exposed;
}

/**
 * State of one page.
 * @param base its state as the allocator, or a range of `iommu-map`, has it
 * @param chunk undefined where nothing was ever mapped
 * @param held whether the policy holds it back
 */
export function stateOf(
  simulator: Simulator,
  base: number,
  chunk: PageChunk | undefined,
  at: number,
  held: boolean,
  steps: Steps,
): number {
  const exposed = chunk !== undefined && chunk.window[at] !== -1 && isExposed(simulator, chunk, at, steps);
  if (base === STATE.live || (chunk !== undefined && chunk.live[at] !== 0))
    return exposed ? STATE.remapped : STATE.live;
  if (exposed) return STATE.stale;
  if (base === STATE.dangling || (chunk !== undefined && chunk.freed[at] === 1)) return STATE.dangling;
  if (held) return STATE.queued;
  return chunk !== undefined && chunk.window[at] !== -1 ? STATE.unflushed : base;
}
