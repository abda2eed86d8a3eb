/** The numbers that are asked for first. */
import { count, duration, figure, share, withUnit } from '../format.ts';
import { Figures } from '../parts/bits.tsx';
import { useDrawn } from '../use-drawn.ts';
import type { LiveStore } from './store.ts';

export function HeadFigures({ store }: { store: LiveStore }) {
  const shown = useDrawn(store.metrics);
  const { timeNs, operations, throughputGbps, iops, cyclesPerOperation, lookups, hits, faults, exposure } = shown;
  const { potential, actual } = exposure;
  return (
    <Figures
      items={[
        ['Simulated time', duration(timeNs), `${count(operations)} operations in the run`],
        ['Throughput', withUnit(throughputGbps, 'Gb/s'), 'mean of the run'],
        ...(iops > 0 ? ([['I/O', withUnit(iops, 'IOPS'), 'mean of the run']] as const) : []),
        ['Cost', withUnit(cyclesPerOperation, 'cycles'), 'an operation'],
        ['IOTLB hit rate', share(lookups > 0 ? hits / lookups : null), `${count(lookups)} look-ups`],
        ['Exposed pages', count(actual?.currentPages), `${count(potential?.currentPages)} potentially`],
        ['Longest window', duration(actual?.longestWindowNs), `${duration(potential?.longestWindowNs)} potentially`],
        ['Stale accesses', count(exposure.staleAccesses), `${count(exposure.crossTenantAccesses)} across tenants`],
        [
          'Detected',
          share(exposure.detectability),
          `${figure(faults)} faults, ${count(exposure.attemptsAfterUnmap as number | undefined)} attempts after unmap`,
        ],
      ]}
    />
  );
}
