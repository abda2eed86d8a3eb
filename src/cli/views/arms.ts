/** The arms of an experiment, a line each: speed, and beside it, however narrow it is, exposure. */
import type { ArmResult, ExperimentResults, MaybeFigure } from '../../lab/compare/results.ts';
import { count, figure, pageSecondScale, percent, type Scale, timeScale } from '../figures.ts';
import { type Column, harmless, type Rendered, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** Beside a figure: between which values the seeds, or their median, lie. */
type Spread = 'with spread' | 'without spread';

const OPEN = 'open';

interface Kind {
  title: string;
  unit?: string;
  of: (arm: ArmResult) => MaybeFigure | undefined;
  text: (value: number) => string;
  rank?: number;
  /** Not of an arm under which nothing is ever closed. */
  ofWindows?: true;
}

function scaled({ unit, factor }: Scale): Pick<Kind, 'unit' | 'text'> {
  return { unit, text: (value) => figure(value * factor) };
}

/** What is worth a column: what any arm has. */
function kindsOf(arms: readonly ArmResult[]): Kind[] {
  const medians = (of: Kind['of']) => arms.map((arm) => of(arm)?.median);
  const any = (of: Kind['of']) => medians(of).some((value) => value !== undefined && value !== null);
  const some = (of: Kind['of']) => medians(of).some((value) => (value ?? 0) > 0);
  const kinds: Kind[] = [];
  const speed = (kind: Kind): void => {
    if (any(kind.of)) kinds.push(kinds.length === 0 ? kind : { ...kind, rank: 2 });
  };
  speed({ title: 'speed', unit: 'Gb/s', of: (arm) => arm.throughputGbps, text: figure });
  speed({ title: 'I/Os', unit: '/s', of: (arm) => arm.iops, text: count });
  if (kinds.length === 0) speed({ title: 'operations', unit: '/s', of: (arm) => arm.operationsPerSecond, text: count });
  const add = (kind: Kind): void => void kinds.push(kind);
  const p99: Kind['of'] = (arm) => arm.latencyNs.p99;
  if (any((arm) => arm.cyclesPerOperation))
    add({ title: 'cycles', unit: 'each', of: (arm) => arm.cyclesPerOperation, text: figure, rank: 4 });
  if (any((arm) => arm.cpuUtilisation))
    add({ title: 'CPUs', unit: 'busy', of: (arm) => arm.cpuUtilisation, text: percent, rank: 3 });
  if (some(p99)) {
    const { unit, text } = scaled(timeScale(medians(p99)));
    add({ title: 'latency', unit: `p99, ${unit}`, of: p99, text, rank: 5 });
  }
  const pages: Kind['of'] = (arm) => arm.exposure.pageSeconds;
  const window: Kind['of'] = (arm) => arm.exposure.longestWindowNs;
  add({ title: 'exposed', of: pages, ofWindows: true, ...scaled(pageSecondScale(medians(pages))) });
  add({ title: 'longest', of: window, ofWindows: true, ...scaled(timeScale(medians(window))) });
  add({ title: 'stale', of: (arm) => arm.exposure.staleAccesses, text: count });
  if (some((arm) => arm.exposure.crossTenantAccesses))
    add({ title: 'foreign', of: (arm) => arm.exposure.crossTenantAccesses, text: count, rank: 1 });
  if (any((arm) => arm.exposure.hostileYield))
    add({ title: 'hostile', unit: 'yield', of: (arm) => arm.exposure.hostileYield, text: percent, rank: 6 });
  return kinds;
}

function cellOf(arm: ArmResult, { of, text, ofWindows }: Kind, spread: Spread): string {
  if (ofWindows && arm.unprotected) return OPEN;
  const value = of(arm);
  if (value === null || value === undefined) return '-';
  const { median, low, high } = value;
  const [middle, least, greatest] = [text(median), text(low), text(high)];
  return spread === 'without spread' || least === greatest ? middle : `${middle} (${least}..${greatest})`;
}

function columnsOf(arms: readonly ArmResult[], frontier: readonly string[] | null, spread: Spread): Column[] {
  const seeds = arms.map((arm) => String(arm.seeds.length));
  const label: Column = { title: 'arm', unit: '', cells: arms.map((arm) => harmless(arm.label)), shortest: 12 };
  const mark: Column = {
    title: '',
    cells: arms.map(({ id, control }) => (control ? 'c' : frontier?.includes(id) ? '*' : '')),
  };
  const columns = kindsOf(arms).map((kind): Column => {
    const { title, unit = '', rank } = kind;
    const cells = arms.map((arm) => cellOf(arm, kind, spread));
    return { title, unit, cells, align: 'right', ...(rank === undefined ? {} : { rank }) };
  });
  const last: Column = { title: 'seeds', cells: seeds, align: 'right', rank: 7 };
  return [
    ...(frontier === null ? [] : [mark]),
    label,
    ...columns,
    ...(new Set(seeds).size > 1 || seeds[0] !== '1' ? [last] : []),
  ];
}

/** The table alone. @param frontier arms that are on it, to be marked; null: nothing is */
export function armTable(
  arms: readonly ArmResult[],
  frontier: readonly string[] | null,
  width: number,
  head?: (text: string) => string,
): Rendered {
  const wide = table(columnsOf(arms, frontier, 'with spread'), width, head);
  if (wide.leftOut.length === 0 && !wide.lines.some((line) => line.includes('…'))) return wide;
  return table(columnsOf(arms, frontier, 'without spread'), width, head);
}

export function showArms(terminal: Terminal, { arms, frontier }: ExperimentResults, marks: boolean): void {
  if (arms.length === 0) return;
  const { lines, leftOut } = armTable(arms, marks ? frontier : null, terminal.width, (line) =>
    terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
  terminal.out('');
  const notes: string[] = [];
  if (marks) notes.push('*: on the frontier');
  if (marks && arms.some(({ control }) => control)) notes.push('c: a control');
  if (arms.some(({ unprotected }) => unprotected)) notes.push(`${OPEN}: all memory is, at any time`);
  if (!leftOut.includes('cycles')) notes.push('cycles: of an operation');
  notes.push('exposed: page-seconds open after an unmap', 'longest: such a window', 'stale: accesses through one');
  const foreign = arms.some(({ exposure }) => (exposure.crossTenantAccesses?.median ?? 0) > 0);
  if (foreign && !leftOut.includes('foreign')) notes.push("foreign: to another tenant's memory");
  terminal.prose(`${notes.join('; ')}.`, 'dim');
  if (leftOut.length > 0)
    terminal.prose(`No room for ${leftOut.join(', ')}: a wider terminal, or --json, has them.`, 'dim');
}
