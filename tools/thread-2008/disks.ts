/** A disk of 4 KiB sequential reads at the rates of SATA, SAS and Fibre Channel disks. Only SATA's rate has a source. */
import { figure, percent, table } from '../docs/table.ts';
import { type Arm, RUN_NS } from './arms.ts';
import { type RunResult, run, workload } from './lab.ts';

const RATES = [
  { disk: 'SATA, low', iops: 7_000, origin: 'the thread: 7 to 8 k' },
  { disk: 'SATA, high', iops: 8_000, origin: 'the thread: 7 to 8 k' },
  { disk: 'SAS, low', iops: 8_000, origin: 'assumption: 8 to 20 k' },
  { disk: 'SAS, high', iops: 20_000, origin: 'assumption: 8 to 20 k' },
  { disk: 'FC, low', iops: 8_000, origin: 'assumption: 8 to 25 k' },
  { disk: 'FC, high', iops: 25_000, origin: 'assumption: 8 to 25 k' },
];

const POLICIES: Arm[] = [
  { allocator: 'rbtree-2008', policy: 'strict' },
  { allocator: 'rbtree-2008', policy: 'deferred-2008' },
  { allocator: 'bitmap', policy: 'strict' },
  { allocator: 'bitmap', policy: 'wrap' },
];

/** Its place in POLICIES. */
const DEFERRED = 1;
/** Of the profile. */
const CPU_HZ = 3.1e9;

/** The disk by itself on one CPU: no NIC in its domain. */
function alone({ allocator, policy }: Arm, iops: number): RunResult {
  return run(
    {
      machine: { cpus: 1 },
      policy: { allocator: { kind: allocator }, invalidation: { kind: policy } },
      devices: [{ name: 'disk0', kind: 'block' }],
      workloads: [{ name: 'disk', kind: 'block', device: 'disk0', disk: 'custom', iops, lengthBytes: 4096, cpus: [0] }],
      costs: { profile: 'riommu15-brcm' },
    },
    RUN_NS,
  );
}

export function diskTable(): string {
  const rows = RATES.map(({ disk, iops, origin }) => {
    const results = POLICIES.map((arm) => alone(arm, iops));
    const cells = results.map((result) => {
      const { breakdown } = workload(result, 'disk');
      const iommu = [breakdown.map, breakdown.unmap].flatMap((rows) => Object.values(rows)).reduce((a, b) => a + b, 0);
      return `${figure(iommu)} (${percent((iommu * iops) / CPU_HZ, 2)})`;
    });
    const windows = results.map(({ exposure }) => exposure.potential.longestWindowNs / 1e6);
    return [disk, figure(iops), origin, ...cells, figure(windows[DEFERRED]!, 2)];
  });
  return table(
    [
      'disk',
      'IOPS',
      'where the rate is from',
      ...POLICIES.map(({ allocator, policy }) => `${allocator}, ${policy}`),
      'longest window under deferred-2008, ms',
    ],
    rows,
  );
}
