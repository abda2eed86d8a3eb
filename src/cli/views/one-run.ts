/** One arm in full: its workloads, where the cycles went, what was exposed. */
import type { ArmResult, MaybeFigure, Measured, WorkloadResult } from '../../lab/compare/results.ts';
import { count, figure, pageSeconds, percent, time } from '../figures.ts';
import { type Column, harmless, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

type Value = MaybeFigure | undefined;

/** The median, and where the seeds differ between what. */
function said(value: Value, text: (value: number) => string): string {
  if (value === null || value === undefined) return '-';
  const [middle, low, high] = [text(value.median), text(value.low), text(value.high)];
  return low === high ? middle : `${middle} (${low}..${high})`;
}

export function showArm(terminal: Terminal, arm: ArmResult): void {
  const bold = (text: string) => terminal.style('bold', text);
  const seeds = `${arm.seeds.length === 1 ? 'seed' : 'seeds'} ${arm.seeds.join(', ')}`;
  const simulated = said(arm.simulatedSeconds, (seconds) => time(seconds * 1e9));
  terminal.prose(bold(`${harmless(arm.label)}, ${seeds}: ${simulated} simulated`));
  terminal.out('');
  showWorkloads(terminal, arm);
  const rows = Object.entries(arm.cycles).filter(([, value]) => (value?.high ?? 0) > 0);
  if (rows.length > 0) {
    const { lines } = table(
      [
        { title: 'cycles an operation', cells: rows.map(([row]) => row) },
        { title: '', cells: rows.map(([, value]) => said(value, figure)), align: 'right' },
      ],
      terminal.width,
      bold,
    );
    for (const line of lines) terminal.out(line);
    terminal.out('');
  }
  showExposure(terminal, arm);
  if (arm.assumptions.length > 0)
    terminal.prose(
      `Rests on assumptions: ${arm.assumptions.join(', ')} of the profile ${arm.profile}; \`iommu-lab catalog ${arm.profile} --json\` says why.`,
      'dim',
    );
}

function showWorkloads(terminal: Terminal, { workloads }: ArmResult): void {
  if (workloads.length === 0) return;
  const column = (
    title: string,
    of: (each: WorkloadResult) => Value,
    text: (value: number) => string,
    rank?: number,
  ): Column[] => {
    const values = workloads.map(of);
    if (!values.some((value) => value !== null && value !== undefined)) return [];
    const cells = values.map((value) => said(value, text));
    return [{ title, cells, align: 'right', ...(rank === undefined ? {} : { rank }) }];
  };
  const { lines, leftOut } = table(
    [
      { title: 'workload', cells: workloads.map(({ name }) => harmless(name)), shortest: 8 },
      { title: 'kind', cells: workloads.map(({ kind }) => kind), rank: 5 },
      ...column('operations', (each) => each.operations, count, 6),
      ...column('Gb/s', (each) => each.throughputGbps, figure),
      ...column('I/Os a second', (each) => each.iops, count),
      ...column('cycles each', (each) => each.cyclesPerOperation, figure, 1),
      ...column('p50', (each) => each.latencyNs.p50, time, 4),
      ...column('p99', (each) => each.latencyNs.p99, time, 2),
      ...column('stale accesses', (each) => each.exposure.staleAccesses, count),
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
  if (leftOut.length > 0)
    terminal.prose(`No room for ${leftOut.join(', ')}: a wider terminal, or --json, has them.`, 'dim');
  terminal.out('');
}

function showExposure(terminal: Terminal, arm: ArmResult): void {
  const { exposure, iotlb, unprotected }: Measured & { unprotected: boolean } = arm;
  const rows: [string, string][] = [
    ['CPUs busy', said(arm.cpuUtilisation, percent)],
    ['IOTLB misses', said(iotlb.missRatio, percent)],
    ['exposed', unprotected ? 'all memory, at any time' : said(exposure.pageSeconds, pageSeconds)],
    ['  while still translated', said(exposure.actualPageSeconds, pageSeconds)],
    ['longest window', unprotected ? 'none ever closes' : said(exposure.longestWindowNs, time)],
    ['most pages exposed at a time', said(exposure.peakPages, count)],
    ['stale accesses', said(exposure.staleAccesses, count)],
    ["accesses to another tenant's", said(exposure.crossTenantAccesses, count)],
    ['yield of the hostile device', said(exposure.hostileYield, percent)],
    ['of what came too late, faulted', said(exposure.detectability, percent)],
  ];
  const known = rows.filter(([, value]) => value !== '-');
  const widest = Math.max(...known.map(([name]) => name.length));
  for (const [name, value] of known) terminal.out(`${name.padEnd(widest)}  ${value}`);
}
