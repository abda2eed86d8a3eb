/** Tables of `docs/fidelity.md`: what was published, what comes out here, and whether that was fitted or foretold. */
import { reproductions } from '../../src/lab/repro/index.ts';
import type { Reproduction } from '../../src/lab/repro/reproduction.ts';
import { type RowResult, reproduce } from '../../src/lab/repro/run.ts';
import { type Cell, figure, percent, table } from './table.ts';

const done = new Map<string, RowResult[]>();

/** Results of a reproduction; run once a process, as several tables and tests ask for them. */
export function resultsOf(reproduction: Reproduction): RowResult[] {
  const known = done.get(reproduction.id);
  if (known !== undefined && known.length === reproduction.rows.length) return known;
  const results = reproduce(reproduction);
  if (results.length === reproductions[reproduction.id]?.rows.length) done.set(reproduction.id, results);
  return results;
}

/** `target, what, published, simulated, relative error, fitted or foretold, status`. */
export function rowOf({ row, simulated, relativeError, status, remark }: RowResult): Cell[] {
  const digits = row.digits ?? 2;
  const unit = 'unit' in row && row.unit !== undefined ? ` ${row.unit}` : '';
  const number = (value: number) => `${figure(value, digits)}${unit}`;
  const { tag, where } = row.published;
  const published = 'text' in row.published ? row.published.text : number(row.published.value);
  const seen = simulated.map(number).join(', ') + (remark !== '' && simulated.length > 0 ? `; ${remark}` : '');
  return [
    row.target,
    row.what,
    `${published} (${tag}: ${where})`,
    seen === '' ? '-' : seen,
    relativeError === null ? '' : percent(Math.abs(relativeError) < 5e-4 ? 0 : relativeError),
    row.calibrated ? 'calibrated' : 'predicted',
    simulated.length === 0 ? `${status}: ${remark}` : status,
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

function part(reproduction: Reproduction): string {
  const { title, citation, setup, id } = reproduction;
  return `${title}. ${citation}.\n\n${setup}\n\n\`\`\`\nnpm run repro -- ${id}\n\`\`\`\n\n${reproductionTable(reproduction)}`;
}

export const fidelityParts: Record<string, () => string> = {
  'fidelity summary': summary,
  ...Object.fromEntries(
    Object.values(reproductions).map((reproduction) => [`fidelity ${reproduction.id}`, () => part(reproduction)]),
  ),
};
