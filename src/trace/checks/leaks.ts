/** Mappings that the recording never takes back: leaks, if it is long enough to tell. */
import { ms } from '../forensics/lazy.ts';
import { type CheckEntry, Examples } from './check.ts';

/** Of the mappings that ended, the longest life: what is older than that at the end is suspicious. */
export const leaks: CheckEntry = {
  check: 'leaks',
  title: 'Mappings that are never taken back',
  create: () => {
    let longestNs = 0;
    return {
      unmapped(mapping, { events }) {
        longestNs = Math.max(longestNs, events.timeNs - mapping.timeNs);
      },
      finish({ events, live }) {
        const examples = new Examples();
        const endNs = events.timeNs;
        let old = 0;
        for (const mapping of live.all()) {
          const ageNs = endNs - mapping.timeNs;
          if (ageNs > longestNs) old++;
          examples.add(mapping.line, () => `${live.describe(mapping)}, mapped ${ms(ageNs)} before the end`);
        }
        return examples.finding(
          'leaks',
          old > 0 ? 'warning' : 'info',
          `${old} of these are older at the end of the recording than any mapping that it takes back ever became (${ms(longestNs)}): ` +
            'a driver that loses them runs out of address space or of bounce buffers in the end. The others may just be in use: rings of ' +
            'receive buffers and coherent memory stand as long as the driver does.',
        );
      },
    };
  },
};
