/**
 * The clients' generated parts: `npm run client` writes them from `openapi.yaml` and `asyncapi.yaml`; `npm run client -- --check` only
 * says which are stale, and fails. What is generated and why so: `docs/clients.md`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/api/contract.ts';
import { pythonFiles } from './client/python.ts';
import { typescriptFiles } from './client/typescript.ts';

/** As the formatter of the project leaves it, so that a generated file passes its lint. */
function formatted(file: string, text: string): string {
  const biome = join(packageRoot, 'node_modules/.bin/biome');
  const { status, stdout, stderr } = spawnSync(biome, ['check', '--write', `--stdin-file-path=${file}`], {
    cwd: packageRoot,
    encoding: 'utf8',
    input: text,
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${file} cannot be formatted: ${stderr}`);
  return stdout;
}

const files: Record<string, string> = { ...(await typescriptFiles()), ...pythonFiles() };
const stale: string[] = [];
for (const [file, text] of Object.entries(files)) {
  const fresh = file.endsWith('.ts') ? formatted(file, text) : text;
  const path = join(packageRoot, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === fresh) continue;
  stale.push(file);
  if (!process.argv.includes('--check')) writeFileSync(path, fresh);
}
for (const file of stale) console.log(`${file}: ${process.argv.includes('--check') ? 'is stale' : 'written anew'}`);
if (process.argv.includes('--check') && stale.length > 0) {
  console.error('Write them anew with: npm run client');
  process.exitCode = 1;
}
