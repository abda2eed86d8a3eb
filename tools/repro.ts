/**
 * Prints reproductions: `npm run repro -- eiovar15`, or those of one target, `npm run repro -- B4`; without a name, all.
 * `--sensitivity` runs each again with every assumption of its profiles at both ends of its range, and prints the rows that change.
 */
import { profiles, sensitivityOf } from '../src/core/meter/cost-profile.ts';
import { reproductions } from '../src/lab/repro/index.ts';
import type { Reproduction } from '../src/lab/repro/reproduction.ts';
import { reproduce } from '../src/lab/repro/run.ts';
import { reproductionTable, rowOf } from './docs/fidelity.ts';
import { table } from './docs/table.ts';

const names = process.argv.slice(2).filter((argument) => argument !== '--sensitivity');
const sensitivity = process.argv.includes('--sensitivity');

/** The reproduction of that id, or what all have of that target. */
function chosen(name: string): Reproduction[] {
  const own = reproductions[name];
  if (own !== undefined) return [own];
  return Object.values(reproductions)
    .map((each) => ({ ...each, rows: each.rows.filter(({ target }) => target === name) }))
    .filter(({ rows }) => rows.length > 0);
}

function profilesOf({ arms }: Reproduction): string[] {
  const named = Object.values(arms).map(({ spec }) => (spec.costs as { profile?: string } | undefined)?.profile);
  return [...new Set(named.map((profile) => profile ?? 'riommu15-mlx'))].filter((profile) => profile in profiles);
}

function printSensitivity(reproduction: Reproduction): void {
  const before = reproduce(reproduction).map((result) => rowOf(result));
  const changed: string[][] = [];
  for (const profile of profilesOf(reproduction))
    for (const { step, low, high } of sensitivityOf(profiles[profile]!)) {
      const [atLow, atHigh] = [low, high].map((costs) => reproduce(reproduction, costs).map((result) => rowOf(result)));
      for (const [i, [target, what, , simulated]] of before.entries()) {
        const [from, to] = [atLow![i]!, atHigh![i]!];
        if (from[3] === simulated && to[3] === simulated) continue;
        const end = (row: typeof from) => `${row[3]} (${row[6]})`;
        changed.push([`${step} of ${profile}`, `${target} ${what}`, String(simulated), end(from), end(to)]);
      }
    }
  console.log(
    changed.length === 0
      ? '\nNo row depends on an assumption.'
      : `\n${table(['assumption', 'row', 'simulated', 'at its lowest', 'at its highest'], changed)}`,
  );
}

const wanted = names.length === 0 ? Object.values(reproductions) : names.flatMap(chosen);
if (wanted.length === 0) {
  console.error(
    `No reproduction or target is called ${names.join(', ')}. There are ${Object.keys(reproductions).join(', ')}.`,
  );
  process.exit(2);
}
for (const reproduction of wanted) {
  console.log(`\n## ${reproduction.title}\n\n${reproduction.citation}\n\n${reproduction.setup}\n`);
  console.log(reproductionTable(reproduction));
  if (sensitivity) printSensitivity(reproduction);
}
