/** What comes of an experiment: what every one has, and what only one of a publication, or of a question, has. */
import { compareExperiment } from './compare/compare.ts';
import type { ExperimentResults } from './compare/results.ts';
import type { ExperimentData } from './experiment.ts';
import { answerTo } from './questions/answer.ts';
import { reproductionOf } from './repro/results.ts';

export function resultsOf(data: ExperimentData): ExperimentResults {
  return { ...compareExperiment(data), ...answerTo(data), ...reproductionOf(data) };
}
