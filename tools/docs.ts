/** `npm run docs` writes the generated parts of all pages anew; `npm run docs -- --check` only says which are stale, and fails. */
import { writeFileSync } from 'node:fs';
import { freshen } from './docs/pages.ts';
import { pages } from './site/pages.ts';
import { closeScenes } from './thread-2008/parts.ts';

const check = process.argv.includes('--check');
let stale = 0;
for (const page of pages()) {
  const fresh = await freshen(page);
  for (const name of fresh.stale) console.log(`${page}: "${name}" ${check ? 'is stale' : 'written anew'}`);
  stale += fresh.stale.length;
  if (!check && fresh.stale.length > 0) writeFileSync(page, fresh.text);
}
await closeScenes();
if (check && stale > 0) {
  console.error('Write them anew with: npm run docs');
  process.exitCode = 1;
}
