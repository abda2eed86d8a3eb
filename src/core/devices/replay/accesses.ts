/**
 * What a device does with what was mapped for it. No kernel traces that, so it is stated by rules, and a result says how much of what
 * it counts was synthesised.
 *
 * - `none`: nothing is synthesised; what the recording has of accesses (our own exports) and faults is all.
 * - `first-and-last`: the first and the last page, halfway between map and unmap.
 * - `every-page`: each page once, at even distances between map and unmap, in `order`.
 * - `last-page`: the last page in `order`, `beforeUnmapNs` before the unmap, so that it is cached if anything is.
 * - `late`: the first page in `order`, `afterUnmapNs` after the unmap has returned: a device that goes on.
 *
 * Halfway is by the recording's clock. In a closed loop nobody knows when the unmap will come: what lies before it happens when the map
 * returns. A mapping that the recording never takes back has all of it then, too. What has not happened when the unmap comes happens
 * right before it.
 */
export const ACCESS_RULES = ['none', 'first-and-last', 'every-page', 'last-page', 'late'] as const;
export type AccessRule = (typeof ACCESS_RULES)[number];

export interface AccessSpec {
  rule: AccessRule;
  /** In which a mapping's pages are gone through. */
  order?: 'ascending' | 'descending';
  /** Of one access, from the first mapped byte of the page; as many as are mapped there, at most. */
  bytes?: number;
  beforeUnmapNs?: number;
  afterUnmapNs?: number;
}

/** Rules side by side. */
export const MOST_RULES = 4;

export const DEFAULT_ACCESS = { order: 'ascending', bytes: 64, beforeUnmapNs: 1000, afterUnmapNs: 1000 } as const;

/** Never. */
export const NO_TIME = Number.POSITIVE_INFINITY;

export interface Plan {
  readonly rule: AccessRule;
  readonly descending: boolean;
  readonly bytes: number;
  readonly beforePs: number;
  readonly afterPs: number;
}

export function plansOf(accesses: readonly AccessSpec[]): Plan[] {
  const plans: Plan[] = [];
  for (const given of accesses) {
    if (given.rule === 'none') continue;
    const { rule, order, bytes, beforeUnmapNs, afterUnmapNs } = { ...DEFAULT_ACCESS, ...given };
    plans.push({
      rule,
      descending: order === 'descending',
      bytes,
      beforePs: beforeUnmapNs * 1000,
      afterPs: afterUnmapNs * 1000,
    });
  }
  return plans;
}

/** How many accesses a rule makes of a mapping. */
export function countOf({ rule }: Plan, pages: number): number {
  if (rule === 'every-page') return pages;
  if (rule === 'first-and-last') return Math.min(2, pages);
  return 1;
}

/** Which page the n-th of them is. */
export function pageOf({ rule, descending }: Plan, n: number, pages: number): number {
  if (rule === 'first-and-last') return n === 0 ? 0 : pages - 1;
  const last = rule === 'last-page' ? pages - 1 : n;
  return descending ? pages - 1 - last : last;
}

/**
 * When the n-th of them is due.
 *
 * @param begin ps at which the map returned
 * @param interval ps from then to the unmap; 0 when that is not known
 * @returns NO_TIME for what comes after the unmap
 */
export function dueAt({ rule, beforePs }: Plan, n: number, pages: number, begin: number, interval: number): number {
  if (rule === 'late') return NO_TIME;
  if (rule === 'first-and-last') return begin + Math.floor(interval / 2);
  if (rule === 'last-page') return begin + Math.max(0, interval - beforePs);
  // In two steps, so that no product leaves the whole doubles.
  return begin + Math.floor((interval / pages) * (n + 0.5));
}
