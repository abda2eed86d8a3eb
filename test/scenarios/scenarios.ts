/**
 * Golden scenarios: for each a session (`<name>.spec.json`), its operations as `ops` takes them (`<name>.ops.ndjson`) and what they
 * answer (`<name>.expected.ndjson`: a reply line for each, then the fault log and the totals). Made and checked by `npm run golden`;
 * run through the core, a worker and HTTP by `golden.test.ts`; told in `docs/`.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export const FOLDER = import.meta.dirname;

export interface Scenario {
  name: string;
  spec: Record<string, unknown>;
  /** The text of the `ops` request. */
  ops: string;
}

/** What a session answered, in any of the ways to reach one. */
export interface Played {
  replies: ReplyLine[];
  faults: { items: Record<string, unknown>[]; dropped: number; capacity: number };
  metrics: Metrics;
  digest: string;
}

export interface ReplyLine {
  line: number;
  op: string | null;
  ok: boolean;
  result?: Record<string, unknown>;
  problem?: Record<string, unknown>;
}

export interface Metrics {
  timeNs: number;
  counts: Record<string, number>;
  verdicts: Record<string, number>;
  exposure: Record<'actual' | 'potential', Record<string, unknown>> & Record<string, unknown>;
}

export function scenarioNames(): string[] {
  return globSync('*.spec.json', { cwd: FOLDER })
    .map((file) => basename(file, '.spec.json'))
    .sort();
}

export function readScenario(name: string): Scenario {
  const spec = JSON.parse(readFileSync(join(FOLDER, `${name}.spec.json`), 'utf8'));
  return { name, spec, ops: readFileSync(join(FOLDER, `${name}.ops.ndjson`), 'utf8') };
}

export function expectedFile(name: string): string {
  return join(FOLDER, `${name}.expected.ndjson`);
}

/** The operations of an `ops` text, labels not yet replaced. */
export function linesOf(ops: string): Record<string, unknown>[] {
  return ops
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** What `<name>.expected.ndjson` holds: members in alphabetical order, counters that are 0 left out, windows without their histograms. */
export function expectedText({ replies, faults, metrics }: Played): string {
  const { timeNs, counts, verdicts, exposure } = metrics;
  const { actual, potential } = exposure;
  const totals = {
    timeNs,
    counts: withoutZeros(counts),
    verdicts: withoutZeros(verdicts),
    exposure: { ...exposure, actual: withoutShape(actual), potential: withoutShape(potential) },
  };
  return [...replies, { faults }, { totals }].map((line) => `${JSON.stringify(sorted(line))}\n`).join('');
}

function withoutZeros(counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

function withoutShape(windows: Record<string, unknown>): Record<string, unknown> {
  const { histogram: _histogram, quantilesNs: _quantilesNs, ...totals } = windows;
  return totals;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
