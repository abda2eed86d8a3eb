/** From what the jobs of a question came to, to its table and its sentences. */
import { resolveSpec } from '../../core/index.ts';
import type { QuestionAnswer } from '../compare/results.ts';
import type { Arm, ExperimentData, JobOutcome, Row } from '../experiment.ts';
import { figure } from '../repro/figure.ts';
import { questions } from './index.ts';
import { ArmFigures, type Column, type Question } from './question.ts';

export interface Answer {
  head: string[];
  /** The label of the arm, and its figures. */
  rows: string[][];
  sentences: string[];
  figures: ArmFigures;
}

/** What stays mapped under a mode, whatever is unmapped. */
const STANDING: Readonly<Record<string, string>> = {
  passthrough: 'all memory',
  direct: 'all of the guest',
  bounce: 'the pool',
  shadow: 'its copies',
};

/** @param outcomes of the rows, in their order; @throws for one that failed or is not there */
export function answerOf(
  question: Question,
  arms: readonly Arm[],
  rows: readonly Row[],
  outcomes: readonly (JobOutcome | null)[],
): Answer {
  const figures = new ArmFigures(
    arms.map(({ id, label }) => ({
      label,
      results: rows.flatMap((row, i) => {
        if (row.arm !== id) return [];
        const outcome = outcomes[i];
        if (outcome == null || !outcome.ok)
          throw new Error(`${label}, seed ${row.seed}: ${outcome?.detail ?? 'no result'}`);
        return [outcome.result];
      }),
    })),
  );
  const cell = ({ label, spec }: Arm, { of, scale, digits, unless, windows }: Column): string => {
    const standing = windows === true ? STANDING[resolveSpec(spec).policy.mode] : undefined;
    if (standing !== undefined) return standing;
    if (unless !== undefined && figures.of(label, unless) === 0) return '-';
    return figure(figures.of(label, of, scale), digits);
  };
  return {
    head: ['arm', ...question.columns.map(({ head }) => head)],
    rows: arms.map((arm) => [arm.label, ...question.columns.map((column) => cell(arm, column))]),
    sentences: question.answer(figures),
    figures,
  };
}

/** The member of an experiment's results that only one of a question has, once all of its jobs have a result. */
export function answerTo({ document, rows }: ExperimentData): { answer?: QuestionAnswer } {
  const asked = questions.find(({ kind }) => kind === document.request.preset);
  if (asked === undefined || !rows.every(({ outcome }) => outcome?.ok === true)) return {};
  const { question, source } = asked;
  const outcomes = rows.map(({ outcome }) => outcome);
  try {
    const { head, rows: table, sentences } = answerOf(asked, document.arms, rows, outcomes);
    return { answer: { question, source, sentences, head, rows: table } };
  } catch {
    // Its arms or its workloads were changed: what the answer is read off is not there.
    return {};
  }
}
