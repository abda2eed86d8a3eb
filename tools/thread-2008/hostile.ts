/** What the hostile device reaches: writes to addresses that the NIC's driver has unmapped, under the NIC's requester id. */
import { figure, percent, table } from '../docs/table.ts';
import { ARMS, type Arm, type Load, resultOf } from './arms.ts';
import { type WorkloadResult, workload } from './lab.ts';

export function probeOf(arm: Arm, load: Load): WorkloadResult {
  return workload(resultOf(arm, load), 'probe');
}

/** Accesses of the ordinary workloads that landed in the wrong page because an old translation was served. */
export function misdirectedTraffic(arm: Arm, load: Load): number {
  const result = resultOf(arm, load);
  return result.verdicts.misdirected! - workload(result, 'probe').verdicts.misdirected!;
}

export function hostileTable(): string {
  const loads: Load[] = [
    { gbps: 2, select: 'last-unmapped' },
    { gbps: 10, select: 'last-unmapped' },
    { gbps: 2, select: 'random-unmapped' },
  ];
  const rows = loads.flatMap((load) =>
    ARMS.map((arm) => {
      const { verdicts, exposure } = probeOf(arm, load);
      const { attemptsAfterUnmap, detectability } = exposure;
      return [
        `${load.gbps} Gb/s, ${load.select}`,
        arm.allocator,
        arm.policy,
        figure(verdicts.ok!),
        figure(attemptsAfterUnmap),
        figure(attemptsAfterUnmap * (1 - (detectability ?? 1))),
        detectability === null ? '-' : percent(detectability),
        figure(misdirectedTraffic(arm, load)),
      ];
    }),
  );
  return table(
    [
      'NIC load, aim',
      'allocator',
      'policy',
      'address live again',
      'attempts after unmap',
      'got through',
      'detected',
      'ordinary traffic misdirected',
    ],
    rows,
  );
}
