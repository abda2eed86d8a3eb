/** What each arm costs, and how long it leaves pages within reach. */
import { figure, percent, table } from '../docs/table.ts';
import { ARMS, resultOf } from './arms.ts';
import { workload } from './lab.ts';

export function costTable(): string {
  const rows = ARMS.filter(({ policy }) => policy !== 'never').map((arm) => {
    const result = resultOf(arm, { gbps: 10 });
    const rx = workload(result, 'rx');
    const disk = workload(result, 'disk');
    const { nodesVisited = 0, wordsScanned = 0, allocationAttempts = 1 } = result.counts;
    return [
      arm.allocator,
      arm.policy,
      figure(rx.throughputGbps, 2),
      percent(rx.counts.dropped / rx.counts.offered),
      percent(rx.cpuUtilisation[0]!, 0),
      figure(rx.cyclesPerOperation),
      arm.allocator === 'bitmap'
        ? `${figure(wordsScanned / allocationAttempts, 1)} words`
        : `${figure(nodesVisited / allocationAttempts, 1)} nodes`,
      figure(disk.iops),
      figure(disk.cyclesPerOperation),
    ];
  });
  return table(
    [
      'allocator',
      'policy',
      'received Gb/s',
      'dropped',
      'CPU 0',
      'cycles a packet',
      'search per allocation',
      'disk IOPS',
      'cycles an I/O',
    ],
    rows,
  );
}

export function exposureTable(): string {
  const rows = ARMS.map((arm) => {
    const { exposure, simulatedSeconds } = resultOf(arm, { gbps: 2 });
    const { potential, actual } = exposure;
    return [
      arm.allocator,
      arm.policy,
      figure(potential.longestWindowNs / 1000, 3),
      potential.peakPages,
      figure(potential.pageSeconds / simulatedSeconds, 2),
      figure(actual.longestWindowNs / 1000, 3),
      actual.peakPages,
      figure(actual.pageSeconds / simulatedSeconds, 2),
    ];
  });
  return table(
    [
      'allocator',
      'policy',
      'longest window, us',
      'most pages at once',
      'mean pages',
      'longest with a cached entry, us',
      'most pages cached',
      'mean pages cached',
    ],
    rows,
  );
}
