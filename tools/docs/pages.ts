/**
 * Generated parts of the pages. A part stands between `<!-- generated: name -->` and `<!-- end -->`; what is between them is written
 * by `npm run docs` and compared by `npm run docs -- --check`.
 */
import { globSync, readFileSync } from 'node:fs';
import { effectivePolicyParts } from '../effective-policy/parts.ts';
import { modeParts } from '../modes/parts.ts';
import { recordedParts } from '../recorded-lines/parts.ts';
import { type Part, sceneParts, threadParts } from '../thread-2008/parts.ts';
import { workloadParts } from '../workloads/parts.ts';
import { boundTable } from './bounds.ts';
import { commandLineParts } from './command-line.ts';
import { fidelityParts } from './fidelity.ts';
import { hazardParts } from './hazards.ts';
import { questionParts } from './questions.ts';
import * as reference from './reference.ts';
import { traceFormatParts } from './trace-formats.ts';

export const PARTS: Record<string, Part> = {
  errors: reference.errorTable,
  limits: reference.limitTable,
  settings: reference.settingTable,
  bounds: boundTable,
  routes: reference.routeTable,
  steps: reference.stepTable,
  profiles: reference.profileTable,
  'profile numbers': reference.profileParts,
  reuse: reference.reuseTable,
  policies: reference.policyTable,
  allocators: reference.allocatorTable,
  workloads: reference.workloadTable,
  presets: reference.presetTable,
  ...fidelityParts,
  ...sceneParts,
  ...threadParts,
  ...recordedParts,
  ...effectivePolicyParts,
  ...workloadParts,
  ...modeParts,
  ...hazardParts,
  ...commandLineParts,
  ...questionParts,
  ...traceFormatParts,
};

const MARKED = /(<!-- generated: (.+?) -->\n)([\s\S]*?)(<!-- end -->)/g;

export function pages(): string[] {
  return ['README.md', ...globSync('docs/**/*.md').sort()];
}

export interface Freshened {
  text: string;
  /** Names of the parts that were not as they are generated now. */
  stale: string[];
  /** Names of all parts that the page has. */
  parts: string[];
}

/** The page with all its parts generated again. */
export async function freshen(page: string): Promise<Freshened> {
  const text = readFileSync(page, 'utf8');
  const stale: string[] = [];
  const parts: string[] = [];
  let out = '';
  let at = 0;
  for (const match of text.matchAll(MARKED)) {
    const [, open, name, old, close] = match as unknown as [string, string, string, string, string];
    const part = PARTS[name];
    if (part === undefined)
      throw new Error(`${page}: nothing generates "${name}"; there are ${Object.keys(PARTS).join(', ')}`);
    const fresh = `\n${await part()}\n\n`;
    parts.push(name);
    if (fresh !== old) stale.push(name);
    out += text.slice(at, match.index) + open + fresh + close;
    at = match.index + match[0].length;
  }
  return { text: out + text.slice(at), stale, parts };
}
