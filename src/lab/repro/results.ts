/** What an experiment `repro/...` answers: published beside simulated, from the outcomes of its jobs. */

import type { ReproductionRow, ReproductionTable } from '../compare/results.ts';
import type { ExperimentData, JobOutcome } from '../experiment.ts';
import { figure } from './figure.ts';
import { reproductions } from './index.ts';
import { type RowResult, rowResults } from './rows.ts';

/** A row in words: numbers with the digits and the unit that it gives them. */
export function rowText({ row, simulated, relativeError, status, remark }: RowResult): ReproductionRow {
  const digits = row.digits ?? 2;
  const unit = 'unit' in row && row.unit !== undefined ? ` ${row.unit}` : '';
  const number = (value: number) => `${figure(value, digits)}${unit}`;
  const { tag, where } = row.published;
  return {
    target: row.target,
    what: row.what,
    published: 'text' in row.published ? row.published.text : number(row.published.value),
    where,
    tag,
    simulated: simulated.length === 0 ? '-' : simulated.map(number).join(', '),
    relativeError,
    calibrated: row.calibrated,
    status,
    remark,
  };
}

/**
 * @param id of a reproduction, without `repro/`
 * @param outcomesByArm by the arm's name; what is not there yet is null or absent
 */
export function reproductionResults(
  id: string,
  outcomesByArm: Readonly<Record<string, JobOutcome | null>>,
): ReproductionTable {
  const reproduction = reproductions[id];
  if (reproduction === undefined) throw new Error(`no reproduction is called ${id}`);
  const { title, citation } = reproduction;
  const rows = rowResults(reproduction, (arm) => outcomesByArm[arm] ?? null).map(rowText);
  return { title, citation, rows };
}

const PREFIX = 'repro/';

/** The member of an experiment's results that only one of a publication has; as far as it has come. */
export function reproductionOf({ document, rows }: ExperimentData): { reproduction?: ReproductionTable } {
  const { preset } = document.request;
  if (preset === undefined || !preset.startsWith(PREFIX)) return {};
  const id = preset.slice(PREFIX.length);
  // Of an earlier version, which may have had others.
  if (reproductions[id] === undefined) return {};
  const labels = new Map(document.arms.map((arm) => [arm.id, arm.label]));
  const outcomes = Object.fromEntries(rows.map((row) => [labels.get(row.arm) ?? row.arm, row.outcome]));
  return { reproduction: reproductionResults(id, outcomes) };
}
