/** Published beside simulated, for the results of a reproduction that have it not. */
import type { ExperimentResults } from '../lab/compare/results.ts';
import type { ExperimentData, JobOutcome } from '../lab/experiment.ts';
import { reproductionOf } from '../lab/presets.ts';
import { reproductionResults } from '../lab/repro/results.ts';

export function withReproduction(results: ExperimentResults, { document, rows }: ExperimentData): ExperimentResults {
  const reproduction = reproductionOf(document.request.preset);
  if (reproduction === null || results.reproduction !== undefined) return results;
  const labels = new Map(document.arms.map(({ id, label }) => [id, label]));
  const outcomes: Record<string, JobOutcome | null> = Object.fromEntries(
    rows.map(({ arm, outcome }) => [labels.get(arm)!, outcome]),
  );
  return { ...results, reproduction: reproductionResults(reproduction.id, outcomes) };
}
