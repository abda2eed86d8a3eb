/**
 * The golden scenarios of `test/scenarios/` and the digests of `test/conformance/`. `npm run golden` compares what they answer now with
 * what is written down, and fails where they differ; `npm run golden -- --update` writes it anew, to be reviewed as a diff. The
 * operations of recorded scenarios are converted from their recordings on the way.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIGESTS_FILE, digestsText } from '../test/conformance/digests.ts';
import { playDirectly } from '../test/scenarios/drivers.ts';
import { opsText, recordedNames, replayOf } from '../test/scenarios/recorded.ts';
import { expectedFile, expectedText, FOLDER, readScenario, scenarioNames } from '../test/scenarios/scenarios.ts';

const update = process.argv.includes('--update');
const files = new Map<string, string>();
for (const name of recordedNames) check(join(FOLDER, `${name}.ops.ndjson`), opsText(replayOf(name)));
for (const name of scenarioNames()) check(expectedFile(name), expectedText(playDirectly(readScenario(name))));

check(DIGESTS_FILE, digestsText());

/** Of recorded scenarios the operations are written before they are played. */
function check(file: string, text: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (before === text) return;
  files.set(file, firstDifference(before, text));
  if (update) writeFileSync(file, text);
}

function firstDifference(before: string, after: string): string {
  const old = before.split('\n');
  const fresh = after.split('\n');
  const at = fresh.findIndex((line, i) => line !== old[i]);
  return at < 0 ? `${old.length - fresh.length} line(s) more than now` : `line ${at + 1} is now ${fresh[at]}`;
}

for (const [file, difference] of files) console.log(`${file}: ${update ? 'written anew' : difference}`);
console.log(`golden: ${scenarioNames().length} scenarios, ${files.size} file(s) ${update ? 'written' : 'differ'}`);
if (!update && files.size > 0) {
  console.error('If that is what they should answer: npm run golden -- --update, and look at the diff.');
  process.exitCode = 1;
}
