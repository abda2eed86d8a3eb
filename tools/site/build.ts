/** All pages of the docs, rendered into a folder. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chapters } from './navigation.ts';
import { pages } from './pages.ts';
import { documentOf, fileOf, headingsPage, renderPage } from './render.ts';

const STYLE = fileURLToPath(new URL('site.css', import.meta.url));

/** @returns how many pages were written; whatever was in the folder is gone */
export function buildSite(folder: string): number {
  const known = pages();
  const isPage = (path: string): boolean => known.includes(path);
  const all = known.map((page) => ({ page, rendered: renderPage(page, readFileSync(page, 'utf8'), isPage) }));
  const menu = chapters();
  const write = (file: string, text: string): void => {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  rmSync(folder, { recursive: true, force: true });
  for (const { page, rendered } of all) write(fileOf(page), documentOf(page, rendered, menu));
  write('headings.html', documentOf('docs/headings.md', headingsPage(all), menu));
  copyFileSync(STYLE, join(folder, 'site.css'));
  return all.length;
}
