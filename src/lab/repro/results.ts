/** What an experiment `repro/...` answers: published beside simulated, from the outcomes of its jobs. */

import type { JobOutcome } from '../experiment.ts';
import { figure } from './figure.ts';
import { reproductions } from './index.ts';
import { type RowResult, rowResults } from './rows.ts';

export interface ReproductionRow {
  target: string;
  what: string;
  published: string;
  where: string;
  tag: string;
  simulated: string;
  relativeError: number | null;
  calibrated: boolean;
  status: string;
  remark: string;
}

export interface ReproductionTable {
  title: string;
  citation: string;
  rows: ReproductionRow[];
}

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
