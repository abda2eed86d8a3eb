/** `repro [id...]`: what publications measured, run again here: published beside simulated. */

import type { ReproductionTable } from '../../lab/compare/results.ts';
import { atPlace } from '../carry-out.ts';
import { EXIT, Failure } from '../failure.ts';
import { percent } from '../figures.ts';
import type { Place } from '../place.ts';
import type { WhereOptions } from '../program.ts';
import { didYouMean } from '../suggestions.ts';
import { harmless, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { showFailures } from '../views/frontier.ts';

const FOLDER = 'repro/';

export function repro(terminal: Terminal, ids: string[], options: WhereOptions): Promise<number> {
  return atPlace(options, async (place, carryOut) => {
    const done: ({ id: string } & ReproductionTable)[] = [];
    let bad = false;
    for (const id of await wantedOf(place, ids)) {
      const { results } = await carryOut({ preset: `${FOLDER}${id}` });
      const { reproduction } = results;
      if (reproduction === undefined) throw new Failure(EXIT.answer, `${id} came to no rows: its jobs have failed`);
      done.push({ id, ...reproduction });
      bad = showFailures(terminal, results) || bad;
      if (!options.json) show(terminal, reproduction);
    }
    if (options.json) terminal.json(done);
    const missing = done.flatMap(({ id, rows }) =>
      rows.filter(({ status }) => status === 'does not appear').map(({ target, what }) => `${id} ${target}, ${what}`),
    );
    for (const row of missing) terminal.err(`iommu-lab: does not appear: ${row}`);
    return bad || missing.length > 0 ? EXIT.answer : EXIT.fine;
  });
}

async function wantedOf(place: Place, ids: string[]): Promise<string[]> {
  const { experiments = [] } = await place.catalog();
  const known = experiments
    .map(({ kind }) => kind)
    .filter((kind) => kind.startsWith(FOLDER))
    .map((kind) => kind.slice(FOLDER.length));
  const wanted = ids.map((id) => (id.startsWith(FOLDER) ? id.slice(FOLDER.length) : id));
  for (const id of wanted)
    if (!known.includes(id))
      throw new Failure(
        EXIT.usage,
        `There is no reproduction "${id}".${didYouMean(id, known)} There are ${known.join(', ')}.`,
      );
  return wanted.length === 0 ? known : wanted;
}

function show(terminal: Terminal, { title, citation, rows }: ReproductionTable): void {
  terminal.prose(harmless(title), 'bold');
  terminal.prose(harmless(citation), 'dim');
  const { lines, leftOut } = table(
    [
      { title: '', cells: rows.map(({ target }) => target) },
      { title: 'what', cells: rows.map(({ what }) => what), shortest: 12, wraps: true },
      { title: 'published', cells: rows.map(({ published }) => published), shortest: 9, wraps: true },
      { title: 'simulated', cells: rows.map(({ simulated }) => simulated), shortest: 9, wraps: true },
      { title: 'error', cells: rows.map(({ relativeError }) => percent(relativeError)), align: 'right' },
      { title: 'status', cells: rows.map(({ status }) => status), shortest: 8 },
      { title: 'fitted', cells: rows.map(({ calibrated }) => (calibrated ? 'yes' : '')), rank: 2 },
      { title: 'remark', cells: rows.map(({ remark }) => remark), shortest: 10, rank: 3, wraps: true },
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
  if (leftOut.length > 0)
    terminal.prose(`No room for ${leftOut.join(', ')}: a wider terminal, or --json, has them.`, 'dim');
  terminal.out('');
}
