/**
 * What every IOVA allocator is: a machine that hands out page-number ranges below a limit. One file per allocator in this folder,
 * and one line in `index.ts`.
 */
import type { StepName } from '../../meter/cost-profile.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { AllocatorCall } from './call.ts';
import type { KeptMappings } from './kept-mappings.ts';

/** "No IOVA": the attempt failed. Page 0 is never handed out, so 0 is free to mean this. */
export const NO_PFN = 0;
/** The step budget ran out in the middle of a search; call `allocate` again with the same arguments to go on. */
export const SUSPENDED = -1;

/** What a range is that is not free: handed out, taken by `reserve`, or freed by its user and kept in a cache for the next one. */
export const RANGE = { allocated: 0, reserved: 1, cached: 2 } as const;
export const rangeNames = ['allocated', 'reserved', 'cached'] as const;

/** Timers that one allocator may have. */
export const TIMERS = 16;

/**
 * An allocator of one domain. Page numbers are 4 KiB IOVA page numbers, below 2^45, as doubles.
 *
 * `allocate` is one attempt, the allocator's whole algorithm, at one limit; who calls it decides which limits to try
 * (32-bit first or not). It changes nothing visible until it succeeds or fails. What a call took it adds to `call`; the caller
 * empties that before.
 */
export interface IovaAllocator {
  /**
   * Searches, and on success marks the range as allocated.
   *
   * @param pages how many, 1 to 2^20
   * @param limitPfn highest page number the device can address, inclusive
   * @returns lowest page number of the range; NO_PFN when there is none; SUSPENDED when `budget` steps were not enough (only the
   *   allocators with linear searches do that), in which case the next call must have the same arguments and goes on
   */
  allocate(pages: number, limitPfn: number): number;
  /**
   * Gives back a range exactly as `allocate` returned it.
   * @param pfn its lowest page number
   * @param pages as passed to `allocate`
   */
  free(pfn: number, pages: number): void;
  /**
   * Takes a range out of circulation (reserved regions, `iommu-map`); parts already reserved are merged.
   * @param firstPfn lowest page number
   * @param lastPfn highest page number, inclusive
   */
  reserve(firstPfn: number, lastPfn: number): void;
  /** Returns a range taken by `reserve` (never one taken by `allocate`) to circulation; it may lie inside a merged range. */
  unreserve(firstPfn: number, lastPfn: number): void;
  /** Whether any page of the closed range is allocated, reserved or cached. */
  overlaps(firstPfn: number, lastPfn: number): boolean;

  /**
   * Work that it put off is due.
   * @param token as given to `AllocatorSetup.arm`
   */
  timer?(token: number): void;

  /** Mappings that outlive their unmap (`AllocatorEntry.keepsMappings`). */
  readonly kept?: KeptMappings;

  /** CPU and memory of the next call; steps of the last one. */
  readonly call: AllocatorCall;
  /** Names of the locks that steps may name by number. */
  readonly lockNames: readonly string[];

  /** Steps a single `allocate` call may take before it returns SUSPENDED; Infinity is "never suspend". */
  budget: number;
  /** Predecessor steps of tree searches, in total. Rises as the search goes, suspended or not. */
  nodesVisited: number;
  /** 64-bit bitmap words looked at, in total. */
  wordsScanned: number;
  /** Predecessor steps of the last finished or suspended `allocate`, from its first call on. */
  lastNodesVisited: number;
  /** 64-bit words of the last finished `allocate`. */
  lastWordsScanned: number;
  /** Allocated ranges that are live, without the reserved and the cached ones. */
  liveRanges: number;
  /** Pages of those, after rounding up where the kind does (`AllocatorEntry.pagesTaken`): what the search sees as taken. */
  livePages: number;
  /** Of one with a cache: ranges and pages freed by their users and kept, and full magazines that belong to no CPU. */
  readonly cachedRanges?: number;
  readonly cachedPages?: number;
  readonly depotMagazines?: number;
  /** Allocations that it served from a cache and that are not in `call.counters`. */
  readonly ownHits?: number;

  /**
   * Calls `visit(firstPfn, lastPfn, state)`, the state one of RANGE, for every range that is not free, rising, up to `limit` of them
   * or until it answers false.
   * @param fromPfn those that end below it are passed over without a look at each where that can be; a bitmap's ranges begin no lower
   */
  forEachRange(
    visit: (firstPfn: number, lastPfn: number, state: number) => unknown,
    limit: number,
    fromPfn?: number,
  ): void;
  /** What `GET .../allocator` shows: cached nodes, cursor, sizes; plain JSON, addresses as page numbers in members named `...Pfn`. */
  inspect(): Record<string, unknown>;
  /** Feeds all that future behaviour depends on into the digest. */
  digest(sink: DigestSink): void;
}

/** What the domain tells an allocator at construction. */
export interface AllocatorSetup {
  /** Highest page number of the domain's address width, inclusive. */
  lastPfn: number;
  /** Highest page number that the domain's first device can address, inclusive; `bitmap` sizes itself by it. */
  maskLastPfn: number;
  /** The allocator's own parameters, defaults filled in. */
  parameters: Record<string, unknown>;
  /** Shared by all allocators of a machine; each has its own where there is none. */
  call?: AllocatorCall;
  /** CPUs of the machine, 1 when absent. */
  cpus?: number;
  /** Frames of its memory, for allocators that give addresses by frame. */
  frames?: number;
  /** Arms a timer of this allocator: `timer` is called with that token, below TIMERS, so many ps from now, on the CPU that arms it. */
  arm?: (delayPs: number, token: number) => void;
  /**
   * Called by circular allocators where their platform flushes because the search wrapped, mostly between the search up to the end
   * and the one from the start. Absent under every policy but `wrap`.
   */
  onWrap: (() => void) | null;
  /** Called by those whose platform flushes what is freed ahead of the cursor, with just that range. As `onWrap`. */
  onFreedAhead?: ((pfn: number, pages: number) => void) | null;
  /**
   * Called by those whose platform, before it gives up, frees what its unmaps hold back. What the search has taken so far must be in
   * `call` by then: ranges are freed in the course of it, and `call` comes back empty.
   */
  onExhausted?: (() => void) | null;
}

/** One line of the registry in `index.ts`. */
export interface AllocatorEntry {
  kind: string;
  /** JSON Schema (2020-12 subset) of the spec object, `kind` included, `additionalProperties: false`. */
  schema: Record<string, unknown>;
  defaults: Record<string, unknown>;
  source: string;
  /** What its searches go over. */
  searches: 'tree' | 'bitmap' | 'gaps' | 'cache';
  /** Steps of a cost profile that its calls take, and the one that an unmap takes to find the range (null: the address is enough). */
  costSteps: readonly StepName[];
  /** The steps with other parameters than the defaults, where they matter. */
  costStepsWith?(parameters: Record<string, unknown>): readonly StepName[];
  findStep: StepName | null;
  /** Next-fit with a cursor that wraps and a platform that flushes when it does: what the policy `wrap` needs. */
  circular: boolean;
  /** Of a circular one: what its platform flushes after a wrap. */
  wrapFlush?: 'global' | 'domain';
  /** Whether a range begins at a multiple of its size, rounded up to a power of two. */
  aligned: boolean;
  /** Pages that one range can have, a power of two, in a space that is large and empty. */
  longestPages: number;
  /** Pages that a request takes. Where it is absent, those asked for, or for every size the next power of two. */
  pagesTaken?(pages: number, parameters: Record<string, unknown>): number;
  /** Single pages that come back only when all so many that were taken with them are free. */
  freedTogether?: number;
  /** Whether it refuses a hole that an aligned range of several pages would fill exactly. */
  refusesExactHoles?: boolean;
  /** Tries the 32-bit range first on every map (2008) instead of once per device. */
  always32BitFirst: boolean;
  /** An unmap keeps address and PTEs for the next map of the same memory: `IovaAllocator.kept`. */
  keepsMappings?: boolean;
  /** Gives addresses by what is to be mapped: `AllocatorCall.frame` is filled in. Asks for no 32-bit address first. */
  byFrame?: boolean;
  create(setup: AllocatorSetup): IovaAllocator;
}
