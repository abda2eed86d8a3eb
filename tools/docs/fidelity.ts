/** Tables of `docs/fidelity.md`: what was published, what comes out here, and whether that was fitted or foretold. */
import type { JobOutcome } from '../../src/lab/experiment.ts';
import { runJob } from '../../src/lab/job.ts';
import { reproductions } from '../../src/lab/repro/index.ts';
import type { Reproduction } from '../../src/lab/repro/reproduction.ts';
import { rowText } from '../../src/lab/repro/results.ts';
import { type RowResult, rowResults } from '../../src/lab/repro/rows.ts';
import { type Cell, percent, table } from './table.ts';

const done = new Map<string, RowResult[]>();

/** Results of a reproduction; run once a process, as several tables and tests ask for them. */
export function resultsOf(reproduction: Reproduction): RowResult[] {
  const known = done.get(reproduction.id);
  if (known !== undefined && known.length === reproduction.rows.length) return known;
  const outcomes = new Map<string, JobOutcome>();
  const results = rowResults(reproduction, (arm) => {
    const known = outcomes.get(arm);
    if (known !== undefined) return known;
    const outcome = runJob({ kind: 'reproduction', reproduction: reproduction.id, arm });
    outcomes.set(arm, outcome);
    return outcome;
  });
  if (results.length === reproductions[reproduction.id]?.rows.length) done.set(reproduction.id, results);
  return results;
}

/** `target, what, published, simulated, relative error, fitted or foretold, status`. */
export function rowOf(result: RowResult): Cell[] {
  const { target, what, published, where, tag, simulated, relativeError, calibrated, status, remark } = rowText(result);
  const seen = result.simulated.length > 0;
  return [
    target,
    what,
    `${published} (${tag}: ${where})`,
    seen && remark !== '' ? `${simulated}; ${remark}` : simulated,
    relativeError === null ? '' : percent(Math.abs(relativeError) < 5e-4 ? 0 : relativeError),
    calibrated ? 'calibrated' : 'predicted',
    seen ? status : `${status}: ${remark}`,
  ];
}

export function reproductionTable(reproduction: Reproduction): string {
  const head = ['target', 'what', 'published', 'simulated', 'relative error', 'constants', 'status'];
  return table(head, resultsOf(reproduction).map(rowOf));
}

/** How many rows of each status, over all reproductions. */
function summary(): string {
  const rows = Object.values(reproductions).map((reproduction) => {
    const results = resultsOf(reproduction);
    const count = (wanted: RowResult['status']) => results.filter(({ status }) => status === wanted).length;
    const targets = [...new Set(reproduction.rows.map(({ target }) => target))].join(', ');
    return [
      `[${reproduction.id}](#${reproduction.id})`,
      reproduction.title,
      targets,
      ...(['appears', 'does not appear', 'reported', 'not simulated'] as const).map(count),
    ];
  });
  return table(['reproduction', 'what', 'targets', 'appears', 'does not appear', 'reported', 'not simulated'], rows);
}

/** Why rows do not appear, a paragraph for those that share a reason; of those that were run. */
export function missesOf(reproduction: Reproduction): string {
  const seen = new Set(
    resultsOf(reproduction).flatMap(({ row, status }) => (status === 'does not appear' ? [row.what] : [])),
  );
  return (reproduction.misses ?? [])
    .filter(({ rows }) => rows.some((what) => seen.has(what)))
    .map(({ rows, why }) => `**Does not appear**: ${rows.map((what) => `*${what}*`).join('; ')}. ${why}`)
    .join('\n\n');
}

function part(reproduction: Reproduction): string {
  const { title, citation, setup, id } = reproduction;
  const command = `\`\`\`\nnpm run repro -- ${id}\n\`\`\``;
  const parts = [`${title}. ${citation}.`, setup, command, reproductionTable(reproduction), missesOf(reproduction)];
  return parts.filter((text) => text !== '').join('\n\n');
}

export const fidelityParts: Record<string, () => string> = {
  'fidelity summary': summary,
  ...Object.fromEntries(
    Object.values(reproductions).map((reproduction) => [`fidelity ${reproduction.id}`, () => part(reproduction)]),
  ),
};
