/**
 * What every invalidation policy is: what happens between clearing PTEs and handing the address out again. One file per policy in
 * this folder, and one line in `index.ts`.
 */

import type { InvalidationUnit } from '../../hardware/invalidation.ts';
import type { PageTables } from '../../hardware/page-table.ts';
import type { Costs } from '../../meter/cost-profile.ts';
import type { Counters } from '../../meter/counters.ts';
import type { Work } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import type { IotlbFlush } from '../iotlb-flush.ts';

/** What a policy works with: what real driver code has. */
export interface PolicyParts {
  work: Work;
  costs: Costs;
  counters: Counters;
  flush: IotlbFlush;
  unit: InvalidationUnit;
  tables: PageTables;
  domains: readonly Domain[];
  /** Emulated hardware that caches not-present entries. */
  cachingMode: boolean;
  /** Clears PTEs that this policy left standing (`InvalidationPolicy.keepsPte`), and books it. */
  clearPtes(domain: Domain, pfn: number, pages: number): void;
  /** Frees an IOVA range: the allocator's lock and its cost. */
  freeIova(domain: Domain, pfn: number, pages: number): void;
  /** Arms a timer of this policy, `ps` after the clock's base; `token` comes back in `timer`. It fires on the CPU that arms it. */
  arm(ps: number, token: number): void;
  /** As `arm`, but for something the chip does by itself: it happens at its time whatever the CPUs do. */
  armHardware(ps: number, token: number): void;
  /** How many the machine has. */
  cpus: number;
  parameters: Record<string, unknown>;
}

export interface InvalidationPolicy {
  /** Whether `unmapped` finds the PTEs as they were: it clears them, by `clearPtes`, when it sees fit, and says so in `holds` until then. */
  readonly keepsPte?: boolean;
  /**
   * The PTEs of [first, first + pages - 1] are cleared and their covered tables unlinked (`tables.unlinkedTables`).
   * Books its cost to the operation in progress.
   */
  unmapped(domain: Domain, pfn: number, pages: number): void;
  /**
   * As `unmapped`, of several mappings that the driver gives back together: the buffers of one receive descriptor. A policy without it
   * sees one `unmapped` after the other.
   */
  unmappedTogether?(domain: Domain, pfn: Float64Array, pages: Int32Array, count: number): void;
  /** A circular allocator wrapped (`wrap` only); `all` when its platform then flushes every domain and not just this one. */
  wrapped(domain: Domain, all: boolean): void;
  /** A range was freed ahead of the cursor, on a platform that flushes it there and then (`wrap` only). */
  freedAhead(domain: Domain, pfn: number, pages: number): void;
  /** An allocator of a platform that frees what is held back before it gives up found nothing (`AllocatorSetup.onExhausted`). */
  exhausted?(domain: Domain): void;
  /** A domain loses a device, or goes away: what it still holds back is flushed and freed. */
  drain(domain: Domain): void;
  /** A timer fires. @returns whether it did anything (a superseded one does not) */
  timer(token: number): boolean;
  /** Pages of a domain that are unmapped and whose IOVA is held back. */
  holds(domain: Domain, first: number, last: number): boolean;
  /** Entries held back, for `GET .../queues`. */
  queue(limit: number): { domain: Domain; pfn: number; pages: number }[];
  readonly queued: number;
  readonly capacity: number;
  /** Its own locks, shown and rebased with the others. */
  readonly locks: readonly Lock[];
  /** The clock's base moved: times that it keeps fall by `ps`. */
  rebase(ps: number): void;
  digest(sink: DigestSink): void;
}

/** When each thing becomes reusable, relative to the flush: the whole safety question, as data. */
export interface Reuse {
  pteCleared: string;
  cachedTranslation: string;
  iova: string;
  tablePages: string;
  /** How long a page may stay reachable after unmap returns. */
  window: string;
}

/** What makes real systems put another policy in the place of the one that was asked for. */
export const downgradeCauses = ['caching-mode', 'no-deferred-flush', 'untrusted'] as const;
export type DowngradeCause = (typeof downgradeCauses)[number];

export interface Downgrade {
  /** Kind that is in force then; null: the policy stays. */
  to: string | null;
  /** Where it stays and behaves otherwise: how. */
  instead?: string;
  why: string;
  source: string;
}

/** All parameters of a kind, for those that are given; its own defaults when none are. */
export function withDefaults(entry: PolicyEntry, given: Record<string, unknown> = {}): Record<string, unknown> {
  const known = { ...entry.defaults, ...given };
  return { ...entry.furtherDefaults?.(known), ...known };
}

export interface PolicyEntry {
  kind: string;
  schema: Record<string, unknown>;
  defaults: Record<string, unknown>;
  /** Defaults that depend on the other parameters. */
  furtherDefaults?(given: Record<string, unknown>): Record<string, unknown>;
  source: string;
  reuse: Reuse;
  /** Forms of it with another answer. */
  forms?: readonly { parameters: Record<string, unknown>; reuse: Reuse }[];
  /** What Linux calls lazy: unmap may return before the cached translation is gone. */
  lazy: boolean;
  /** What becomes of it under each cause; applied by `boot/effective-policy.ts`. */
  downgrades: Readonly<Record<DowngradeCause, Downgrade>>;
  /** An address may come back before the flush that ends its windows: stale translations then answer for it. */
  reusesBeforeFlush?: boolean;
  /** Nothing is reachable any more when unmap has returned. */
  leavesNothing?: boolean;
  /** Steps of the profile that replace `unmapOther`. */
  deferred: boolean;
  /** Needs an allocator with a cursor that wraps. */
  needsCircular: boolean;
  create(parts: PolicyParts): InvalidationPolicy;
}
