/** The order of the pages: `docs/README.md` has them under its headings, and is the only place that does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const INDEX = 'docs/README.md';

export interface Chapter {
  title: string;
  /** From the root of the project. */
  pages: { page: string; title: string }[];
}

/** @returns the headings of the index with the pages that are linked under each, in its order */
export function chapters(text = readFileSync(INDEX, 'utf8')): Chapter[] {
  const found: Chapter[] = [];
  for (const line of text.split('\n')) {
    const heading = /^## (.+)$/.exec(line);
    if (heading !== null) found.push({ title: heading[1]!, pages: [] });
    const chapter = found.at(-1);
    if (chapter === undefined) continue;
    for (const [, title, path] of line.matchAll(/\[([^\]]+)\]\(([^)#\s]+\.md)\)/g))
      chapter.pages.push({ page: join('docs', path!), title: title!.replaceAll('`', '') });
  }
  return found.filter(({ pages }) => pages.length > 0);
}
