/** Prints every number of `docs/thread-2008.md`: `npm run thread-2008`. `npm run docs` writes the same into the page. */
import { closeScenes, threadParts } from './thread-2008/parts.ts';

for (const [name, part] of Object.entries(threadParts))
  console.log(`\n## ${name.replace('thread-2008 ', '')}\n\n${await part()}`);
await closeScenes();
