/**
 * How the address space falls apart over time: at some moments of the recording, the holes between what is mapped.
 *
 * What the recording does not map counts as free, between its lowest and its highest address: it does not know more.
 */
import { ABSENT } from '../event.ts';
import { hexAddress } from '../export/lines.ts';
import { ms } from '../forensics/lazy.ts';
import type { CheckEntry, Example, Scene } from './check.ts';
import { pagesOf } from './live.ts';

/** The space is looked at so often, evenly by events. */
const LOOKS = 16;
/** Mappings that a look sorts; of more there is no look. */
const MOST_SORTED = 262_144;

interface Look {
  line: number;
  timeNs: number;
  mapped: number;
  mappings: number;
  holes: number;
  largest: number;
  span: number;
}

export const fragmentation: CheckEntry = {
  check: 'fragmentation',
  title: 'Holes in the address space over time',
  create: () => {
    const looks: Look[] = [];
    let lowest = Number.POSITIVE_INFINITY;
    let highest = 0;
    let nextLook = 0;
    const look = ({ events, live }: Scene): void => {
      if (live.size === 0 || live.size > MOST_SORTED) return;
      const ranges: { first: number; last: number }[] = [];
      for (const mapping of live.all())
        for (const range of mapping.ranges ?? [mapping])
          if (range.page !== ABSENT) ranges.push({ first: range.page, last: range.page + pagesOf(range) - 1 });
      ranges.sort((a, b) => a.first - b.first);
      let [holes, largest, mapped, end] = [0, 0, 0, ranges[0]?.first ?? 0];
      for (const { first, last } of ranges) {
        if (first > end) {
          holes++;
          largest = Math.max(largest, first - end);
        }
        mapped += Math.max(0, last + 1 - Math.max(end, first));
        end = Math.max(end, last + 1);
      }
      const span = end - (ranges[0]?.first ?? 0);
      looks.push({ line: events.line, timeNs: events.timeNs, mapped, mappings: live.size, holes, largest, span });
    };
    return {
      event(scene) {
        if (scene.index < nextLook) return;
        nextLook += Math.max(1, Math.ceil(scene.events.count / LOOKS));
        look(scene);
      },
      mapped(mapping) {
        for (const range of mapping.ranges ?? [mapping]) {
          if (range.page === ABSENT) continue;
          lowest = Math.min(lowest, range.page);
          highest = Math.max(highest, range.page + pagesOf(range) - 1);
        }
      },
      finish(scene) {
        look(scene);
        if (looks.length === 0) return null;
        const worst = looks.reduce((most, each) => (each.holes > most.holes ? each : most));
        const examples: Example[] = looks
          .slice(0, LOOKS + 1)
          .map(({ line, timeNs, mapped, mappings, holes, largest, span }) => ({
            line,
            text: `at ${ms(timeNs)}: ${mappings} mappings, ${mapped} pages of a span of ${span}, ${holes} holes, the largest ${largest} pages`,
          }));
        const spread = worst.span > 0 ? worst.mapped / worst.span : 1;
        return {
          check: 'fragmentation',
          severity: worst.holes > 1000 && spread < 0.1 ? 'warning' : 'info',
          count: worst.holes,
          examples,
          explanation:
            `Addresses lay from 0x${hexAddress(lowest, 0)} to 0x${hexAddress(highest, 4095)}. Most holes at a time: ${worst.holes}, between ${worst.mappings} mappings that filled ` +
            `${(spread * 100).toFixed(1)} % of their span. Many small holes make the search for a larger range long, and spread what is mapped over more ` +
            'page-table pages, so that fewer walks find theirs cached.',
        };
      },
    };
  },
};
