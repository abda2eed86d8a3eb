/** Lists of the pages of a folder, for the index of the docs. */
import { globSync, readFileSync } from 'node:fs';

const FOLDERS = ['allocators', 'policies', 'questions', 'verification', 'decisions'];

function listOf(folder: string): string {
  return globSync(`docs/${folder}/*.md`)
    .sort()
    .filter((page) => !page.endsWith('/README.md'))
    .map((page) => `- [${titleOf(page)}](${page.slice('docs/'.length)})`)
    .join('\n');
}

const titleOf = (page: string): string => /^# (.+)$/m.exec(readFileSync(page, 'utf8'))![1]!;

export const indexParts: Record<string, () => string> = Object.fromEntries(
  FOLDERS.map((folder) => [`pages of ${folder}`, () => listOf(folder)]),
);
