/** `compare <what>`: an experiment, its arms side by side, verdicts, and the frontier of speed against exposure. */
import { constants } from 'node:fs';
import { access, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { atPlace } from '../carry-out.ts';
import { askedFor } from '../experiment-input.ts';
import { EXIT, Failure } from '../failure.ts';
import { WRITTEN } from '../place.ts';
import type { CompareOptions } from '../program.ts';
import { harmless } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { showAnswer } from '../views/answer.ts';
import { showArms } from '../views/arms.ts';
import { showFailures, showFrontier, showVerdicts } from '../views/frontier.ts';

export async function compare(terminal: Terminal, what: string, options: CompareOptions): Promise<number> {
  await refuseUnwritable(options);
  return atPlace(options, async (place, carryOut, signal) => {
    const { input } = await askedFor(place, what, options, 'experiment', {
      signal,
      note: (text) => terminal.err(`iommu-lab: ${text}`),
    });
    const ended = await carryOut(input);
    const { results, document } = ended;
    if (options.json) terminal.json(results);
    else if (options.markdown !== '-') {
      const { title, name, jobs } = document;
      terminal.prose(terminal.style('bold', harmless(title ?? name ?? what)));
      terminal.prose(
        `${results.arms.length} arms, ${jobs.total} jobs${jobs.cached > 0 ? `, ${jobs.cached} of them known before` : ''}`,
      );
      terminal.out('');
      showArms(terminal, results, true);
      terminal.out('');
      showFrontier(terminal, results);
      showVerdicts(terminal, results);
      showAnswer(terminal, results);
    }
    for (const each of WRITTEN) {
      const path = options[each];
      if (path === undefined) continue;
      const content = await ended.write(each);
      if (path === '-') terminal.out(typeof content === 'string' ? content : Buffer.from(content).toString('utf8'));
      else {
        await writeFile(path, content);
        terminal.err(`${each}: ${path}`);
      }
    }
    return showFailures(terminal, results) ? EXIT.answer : EXIT.fine;
  });
}

/** Before an hour of computing, not after it. */
async function refuseUnwritable(options: CompareOptions): Promise<void> {
  for (const each of WRITTEN) {
    const path = options[each];
    if (path === undefined) continue;
    if (path === '-') {
      if (each !== 'markdown') throw new Failure(EXIT.usage, `--${each} - : only --markdown can go to stdout`);
      if (options.json) throw new Failure(EXIT.usage, '--json and --markdown - both want stdout');
      continue;
    }
    const folder = dirname(resolve(path));
    try {
      await access(folder, constants.W_OK);
    } catch {
      throw new Failure(EXIT.usage, `--${each} ${path} cannot be written: there is no folder ${folder} to write to`);
    }
    if ((await stat(path).catch(() => null))?.isDirectory())
      throw new Failure(EXIT.usage, `--${each} ${path} is a folder; name a file`);
  }
}
