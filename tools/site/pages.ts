/** What the docs consist of. */
import { globSync } from 'node:fs';

/** Paths from the root of the project. */
export function pages(): string[] {
  return ['README.md', ...globSync('docs/**/*.md').sort()];
}
