/** Figures that several questions look at. */
import type { Column } from './question.ts';

export const IOPS: Column = { head: 'I/Os a second', of: 'iops' };
export const GBPS: Column = { head: 'Gb/s', of: 'throughputGbps', digits: 1 };
export const CYCLES: Column = { head: 'cycles an operation', of: 'cyclesPerOperation' };
/** Unmapped pages that a cached translation may still reach. */
export const PAGES_IN_REACH: Column = {
  head: 'unmapped pages within reach, mean',
  of: { ratio: ['exposure.potential.pageSeconds', 'simulatedSeconds'] },
  digits: 1,
  windows: true,
};
export const LONGEST_US: Column = {
  head: 'longest window, us',
  of: 'exposure.potential.longestWindowNs',
  scale: 1e-3,
  windows: true,
};
export const STALE: Column = { head: 'stale accesses', of: 'exposure.staleAccesses' };
