/** What an experiment of a question answers. */
import type { ExperimentResults } from '../../lab/compare/results.ts';
import type { Terminal } from '../terminal.ts';

export function showAnswer(terminal: Terminal, { answer }: ExperimentResults): void {
  if (answer === undefined) return;
  terminal.out('');
  terminal.prose(answer.question, 'bold');
  for (const sentence of answer.sentences) terminal.prose(`  ${sentence}`);
}
