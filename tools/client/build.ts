/**
 * `npm run build:client`: `clients/typescript/dist`. The compiler writes `.js` for `.ts` in what runs and leaves it in declarations, where not
 * every program's compiler finds its way.
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE = join(ROOT, 'clients/typescript');
const RELATIVE = /(\bfrom '|\bimport\(")(\.{1,2}\/[\w/.-]+)\.ts(['"])/g;

/** @returns where it was built */
export function buildClient(): string {
  const dist = join(PACKAGE, 'dist');
  rmSync(dist, { recursive: true, force: true });
  const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', PACKAGE], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the client does not compile:\n${stdout}`);
  for (const file of globSync('**/*.d.ts', { cwd: dist })) {
    const path = join(dist, file);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(RELATIVE, '$1$2.js$3'));
  }
  return dist;
}

if (import.meta.main) console.log(buildClient());
