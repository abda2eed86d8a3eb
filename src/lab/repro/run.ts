/** Runs a reproduction in process: each arm once, when a row first asks for it, and the rows from what came of them. */

import type { JobOutcome } from '../experiment.ts';
import { runArm } from './arm.ts';
import type { Reproduction } from './reproduction.ts';
import { type RowResult, rowResults } from './rows.ts';

/**
 * @param overrides costs of all arms, below what an arm states itself: one end of an assumption's range (`sensitivityOf`)
 * @returns a result for each row, in their order
 */
export function reproduce(reproduction: Reproduction, overrides: Record<string, number> = {}): RowResult[] {
  const done = new Map<string, JobOutcome>();
  return rowResults(reproduction, (name) => {
    const known = done.get(name);
    if (known !== undefined) return known;
    const outcome = runArm(reproduction.arms[name]!, overrides);
    done.set(name, outcome);
    return outcome;
  });
}
