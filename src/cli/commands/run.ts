/** `run <what>`: one run of a session, or all of an experiment, and its figures. */
import { atPlace } from '../carry-out.ts';
import { askedFor } from '../experiment-input.ts';
import { EXIT } from '../failure.ts';
import type { ExperimentOptions } from '../program.ts';
import type { Terminal } from '../terminal.ts';
import { showAnswer } from '../views/answer.ts';
import { showArms } from '../views/arms.ts';
import { showFailures } from '../views/frontier.ts';
import { showArm } from '../views/one-run.ts';

export function run(terminal: Terminal, what: string, options: ExperimentOptions): Promise<number> {
  return atPlace(options, async (place, carryOut, signal) => {
    const { input, session } = await askedFor(place, what, options, 'session', {
      signal,
      note: (text) => terminal.err(`iommu-lab: ${text}`),
    });
    const seed = input.base?.seed;
    const alone = session ? { seeds: typeof seed === 'number' ? [seed] : [1], ...input, control: false } : input;
    const { results } = await carryOut(alone);
    if (options.json) terminal.json(results);
    else if (results.arms.length === 1) showArm(terminal, { ...results.arms[0]!, ...(session && { label: what }) });
    else showArms(terminal, results, false);
    if (!options.json) showAnswer(terminal, results);
    return showFailures(terminal, results) ? EXIT.answer : EXIT.fine;
  });
}
