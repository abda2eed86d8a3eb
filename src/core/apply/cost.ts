/** What an operation cost, as replies have it: decimal cycles with three places, rows that sum to the total exactly. */
import { assumptionsOf } from '../meter/cost-profile.ts';
import { rowNames, type Work } from '../meter/work.ts';
import type { Simulator } from '../simulator.ts';

export interface Cost {
  costCycles: number;
  breakdown: Record<string, number>;
}

export function costOf(work: Work): Cost {
  const { rows } = work;
  let total = 0;
  const breakdown: Record<string, number> = {};
  for (let row = 0; row < rows.length; row++) {
    const milliCycles = rows[row]!;
    total += milliCycles;
    breakdown[rowNames[row]!] = milliCycles / 1000;
  }
  return { costCycles: total / 1000, breakdown };
}

const bitmapSteps = ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree'];

/**
 * Assumed steps that this session's allocator takes: they show in every reply that used them.
 * @param multiplePages whether several PTEs were cleared by one call
 */
export function assumptions(simulator: Simulator, multiplePages: boolean): string[] {
  if (simulator.passthrough) return [];
  return assumptionsOf(simulator.profile, simulator.spec.costs.overrides).filter(
    (step) =>
      (simulator.allocatorEntry.circular && bitmapSteps.includes(step)) ||
      (step === 'unmapFurtherPte' && multiplePages),
  );
}
