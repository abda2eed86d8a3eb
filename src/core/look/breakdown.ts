/** Mean cycles a call, by row of the literature's tables. */
import { rowNames } from '../meter/work.ts';

/** @param extra milli-cycles that belong to the calls together and to none alone: what timers flushed */
export function meanBreakdown(rows: Float64Array, calls: number, extra?: Float64Array): Record<string, number> {
  const out: Record<string, number> = {};
  for (let row = 0; row < rows.length; row++)
    out[rowNames[row]!] = calls === 0 ? 0 : (rows[row]! + (extra?.[row] ?? 0)) / 1000 / calls;
  return out;
}
