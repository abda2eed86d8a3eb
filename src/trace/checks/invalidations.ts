/**
 * Invalidations of a recording against its unmaps: such as never came, and such as had nothing to drop. Only where the recording has any.
 *
 * An unmapped page is covered by an invalidation of everything, of its domain (recordings do not say which domain a device has: any
 * domain-wide one counts) or of a range that holds it. Bounded: the newest MOST_WAITING unmapped ranges wait.
 */
import { ABSENT, EVENT_KINDS } from '../event.ts';
import { ms } from '../forensics/lazy.ts';
import { type CheckEntry, Examples } from './check.ts';
import { type Mapping, pagesOf } from './live.ts';

const MOST_WAITING = 65_536;
/** The longest of lazy timers that Linux has: one second, of the single queue. */
const LONGEST_NS = 1_000_000_000;

interface Waiting {
  page: number;
  pages: number;
  timeNs: number;
  line: number;
  mapping: Mapping;
}

export const missingInvalidations: CheckEntry = {
  check: 'missing-invalidations',
  title: 'Unmapped ranges that no invalidation covers',
  create: () => {
    const waiting = new Set<Waiting>();
    const missing = new Examples();
    let invalidations = 0;
    let forgotten = 0;
    let longestNs = 0;
    const late = (nowNs: number, describe: (mapping: Mapping) => string) => {
      for (const range of waiting) {
        if (nowNs - range.timeNs <= LONGEST_NS) return;
        waiting.delete(range);
        missing.add(
          range.line,
          () => `${describe(range.mapping)}: still not invalidated ${ms(nowNs - range.timeNs)} later`,
        );
      }
    };
    return {
      event({ events, live }) {
        if (events.kind !== EVENT_KINDS.invalidate) return;
        if (invalidations++ === 0) waiting.clear();
        const { detail, iovaPage, lengthBytes, timeNs } = events;
        late(timeNs, (mapping) => live.describe(mapping));
        const pages = Math.ceil(lengthBytes / 4096);
        for (const range of waiting) {
          if (detail === 3 && (range.page < iovaPage || range.page + range.pages > iovaPage + pages)) continue;
          waiting.delete(range);
          longestNs = Math.max(longestNs, timeNs - range.timeNs);
        }
      },
      unmapped(mapping, { events }) {
        for (const range of mapping.ranges ?? [mapping]) {
          if (range.page === ABSENT) continue;
          waiting.add({ page: range.page, pages: pagesOf(range), timeNs: events.timeNs, line: events.line, mapping });
          if (waiting.size <= MOST_WAITING) continue;
          forgotten++;
          waiting.delete(waiting.values().next().value!);
        }
      },
      finish({ events, live }) {
        if (invalidations === 0) return null;
        late(events.timeNs, (mapping) => live.describe(mapping));
        return missing.finding(
          'missing-invalidations',
          'error',
          `No policy of Linux waits for more than a second; in this recording the longest wait that ended was ${ms(longestNs)}. Until an ` +
            'invalidation covers it, a device that has cached the translation goes on reaching the page.' +
            `${forgotten > 0 ? ` ${forgotten} ranges were not followed to their end.` : ''}`,
        );
      },
    };
  },
};

export const superfluousInvalidations: CheckEntry = {
  check: 'superfluous-invalidations',
  title: 'Invalidations with nothing to drop',
  create: () => {
    const idle = new Examples();
    let all = 0;
    let unmapsSince = 0;
    let mapsSince = 0;
    return {
      event({ events }) {
        if (events.kind === EVENT_KINDS.iommuUnmap) unmapsSince++;
        if (events.kind === EVENT_KINDS.iommuMap) mapsSince++;
        if (events.kind !== EVENT_KINDS.invalidate) return;
        all++;
        if (unmapsSince === 0)
          idle.add(
            events.line,
            () =>
              `nothing was unmapped since the one before${mapsSince > 0 ? `; ${mapsSince} ranges were mapped` : ''}`,
          );
        unmapsSince = 0;
        mapsSince = 0;
      },
      unmapped() {
        unmapsSince++;
      },
      unmatched() {
        unmapsSince++;
      },
      finish: () =>
        idle.finding(
          'superfluous-invalidations',
          'info',
          `Of ${all} invalidations. Under an emulated IOMMU (caching mode) each map needs one; on hardware these are round trips for nothing, ` +
            'or belong to what the recording does not show.',
        ),
    };
  },
};
