/** Pages of `docs/questions/`: the question, the request that answers it, and the arms of an actual run. */
import { runJob } from '../../src/lab/job.ts';
import { planExperiment } from '../../src/lab/plan.ts';
import { type Answer, answerOf } from '../../src/lab/questions/answer.ts';
import { questions } from '../../src/lab/questions/index.ts';
import type { Question } from '../../src/lab/questions/question.ts';
import { JSON_TYPE } from './commands.ts';
import { table } from './table.ts';

const done = new Map<string, Answer>();

/** Run once a process, as the index and tests ask for them too. */
export function answered(question: Question): Answer {
  const known = done.get(question.kind);
  if (known !== undefined) return known;
  const planned = planExperiment({ preset: question.kind });
  if (!planned.ok) throw new Error(`${question.kind}: ${JSON.stringify(planned.problem)}`);
  const { arms, rows, jobs } = planned.value;
  const answer = answerOf(
    question,
    arms,
    rows,
    jobs.map((job) => runJob(job)),
  );
  done.set(question.kind, answer);
  return answer;
}

export const pageOf = ({ kind }: Question): string => `${kind.slice('questions/'.length)}.md`;

const commands = ({ kind }: Question): string =>
  [
    '```',
    `curl -s localhost:8080/v1/experiments ${JSON_TYPE} -d '{"preset": "${kind}"}'`,
    `iommu-lab run ${kind}`,
    '```',
  ].join('\n');

function part(question: Question): string {
  const { head, rows, sentences } = answered(question);
  return [
    `**${question.question}**`,
    `Asked by: ${question.source}.`,
    commands(question),
    table(head, rows),
    sentences.join(' '),
  ].join('\n\n');
}

const index = (): string =>
  table(
    ['question', 'preset'],
    questions.map((question) => [`[${question.title}](${pageOf(question)})`, `\`${question.kind}\``]),
  );

export const questionParts: Record<string, () => string> = {
  questions: index,
  ...Object.fromEntries(
    questions.map((question) => [`question ${question.kind.slice('questions/'.length)}`, () => part(question)]),
  ),
};
