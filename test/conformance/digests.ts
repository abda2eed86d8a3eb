/**
 * The digests of one history of each combination of the covering set, as they have been: who replays a session tomorrow must find the
 * digest that it has today, whatever was made faster meanwhile. `npm run golden` checks them, and writes them anew with `--update`; that
 * is right with another `coreVersion` alone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { coveringSet, nameOf } from '../../tools/prove/conformance/combinations.ts';
import { play } from '../../tools/prove/conformance/history.ts';

export const DIGESTS_FILE = join(import.meta.dirname, 'digests.json');
export const SEED = 1;
export const OPERATIONS = 150;

/** [name of a combination]: 64 hex digits. */
export function knownDigests(): Record<string, string> {
  return JSON.parse(readFileSync(DIGESTS_FILE, 'utf8'));
}

/** What the file is to hold now. */
export function digestsText(): string {
  const digests: Record<string, string> = {};
  for (const combination of coveringSet())
    digests[nameOf(combination)] = play({ combination, seed: SEED, operations: OPERATIONS }).digest;
  return `${JSON.stringify(digests, null, 2)}\n`;
}
