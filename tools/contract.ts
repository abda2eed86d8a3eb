/**
 * The contract's types: writes `src/api/contract-types.ts` from the schemas of `openapi.yaml`.
 *
 * `--check` writes nothing: it fails when the file is not what would be written, when Redocly finds fault with `openapi.yaml` or `asyncapi.yaml`, or
 * when the contract's operations no longer fit those of the core (`src/api/contract-fits-core.ts` does not compile).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contractDocument, packageRoot } from '../src/api/contract.ts';
import { type Node, typesOf } from './contract/types.ts';

const TYPES_FILE = join(packageRoot, 'src/api/contract-types.ts');

const BANNER = `/**
 * Types of the contract's schemas. Generated from openapi.yaml by \`node tools/contract.ts\`; do not edit.
 */`;

/** Rules of Redocly that do not fit: schemas of conditions name members that their surroundings define. */
const SKIPPED_RULES = ['no-required-schema-properties-undefined', 'no-unused-components'];

/** Errors elsewhere in the project are not the contract's. */
function fitsCore(): boolean {
  const { stdout } = tool('tsc', ['--noEmit', '-p', 'tsconfig.json']);
  const errors = stdout.split('\n').filter((line) => line.startsWith('src/api/contract-'));
  for (const error of errors) console.error(error);
  return errors.length === 0;
}

function lints(document: string): boolean {
  const skipped = SKIPPED_RULES.flatMap((rule) => ['--skip-rule', rule]);
  const result = tool('redocly', ['lint', document, '--max-problems', '50', ...skipped]);
  if (result.status !== 0) process.stderr.write(`${result.stdout}${result.stderr}`);
  return result.status === 0;
}

function tool(command: string, args: readonly string[]) {
  const file = join(packageRoot, 'node_modules/.bin', command);
  return spawnSync(file, args, {
    cwd: packageRoot,
    encoding: 'utf8',
    env: { ...process.env, REDOCLY_TELEMETRY: 'off' },
  });
}

const { schemas } = contractDocument.components as { schemas: Record<string, Node> };
const types = await typesOf(schemas, BANNER);
if (process.argv.includes('--check')) {
  const failures: string[] = [];
  if (readFileSync(TYPES_FILE, 'utf8') !== types) {
    failures.push('src/api/contract-types.ts is stale: run `npm run contract`');
  }
  for (const document of ['openapi.yaml', 'asyncapi.yaml'])
    if (!lints(document)) failures.push(`${document} does not pass the lint`);
  if (!fitsCore()) failures.push('the contract does not fit the core');
  for (const failure of failures) console.error(failure);
  process.exitCode = failures.length === 0 ? 0 : 1;
} else {
  writeFileSync(TYPES_FILE, types);
}
