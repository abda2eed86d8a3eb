/**
 * The contract's types: writes `src/api/contract-types.ts` from the schemas of `openapi.yaml`.
 *
 * `--check` writes nothing: it fails when the file is not what would be written, when Redocly finds fault with `openapi.yaml` or `asyncapi.yaml`, or
 * when the contract's operations no longer fit those of the core (`src/api/contract-fits-core.ts` does not compile).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from 'json-schema-to-typescript';
import { contractDocument, packageRoot } from '../src/api/contract.ts';

const TYPES_FILE = join(packageRoot, 'src/api/contract-types.ts');

const BANNER = `/**
 * Types of the contract's schemas. Generated from openapi.yaml by \`node tools/contract.ts\`; do not edit.
 */`;

/** Rules of Redocly that do not fit: schemas of conditions name members that their surroundings define. */
const SKIPPED_RULES = ['no-required-schema-properties-undefined', 'no-unused-components'];

type Node = Record<string, unknown>;

/**
 * A schema as the generator should see it: references into `definitions`, and without conditions, which types cannot say and
 * which it would turn into index signatures. Numbers and texts lose their bounds, arrays their lengths.
 */
function forTypes(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(forTypes);
  if (node === null || typeof node !== 'object') return node;
  const copy: Node = {};
  for (const [member, value] of Object.entries(node as Node)) {
    if (DROPPED.has(member)) continue;
    copy[member] =
      member === '$ref' ? String(value).replace('#/components/schemas/', '#/definitions/') : forTypes(value);
  }
  if (Array.isArray(copy.allOf)) {
    const parts = (copy.allOf as Node[]).filter(saysType);
    if (parts.length > 0) copy.allOf = parts;
    else delete copy.allOf;
  }
  // Choices that only say which members go together: the members stand beside them.
  if (copy.properties !== undefined && Array.isArray(copy.oneOf)) delete copy.oneOf;
  return copy;
}

/** What types cannot say. */
const DROPPED = new Set([
  ...['if', 'then', 'else', 'not', 'propertyNames', 'minProperties', 'maxProperties', 'minItems', 'maxItems'],
  ...['discriminator', 'examples', 'example', 'default', 'x-message'],
]);

/** Whether a part of `allOf` describes a value; references to sets of rules (`...Rules`) and bare `required` do not. */
function saysType(part: Node): boolean {
  if (typeof part.$ref === 'string') return !part.$ref.endsWith('Rules');
  return part.type !== undefined;
}

async function typesOfContract(): Promise<string> {
  const { schemas } = contractDocument.components as { schemas: Record<string, Node> };
  const definitions: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    if (!name.endsWith('Rules')) definitions[name] = forTypes(schema);
  }
  const source = await compile({ definitions } as Parameters<typeof compile>[0], 'Contract', {
    bannerComment: BANNER,
    unreachableDefinitions: true,
    additionalProperties: false,
    format: true,
    style: { printWidth: 120, singleQuote: true },
  });
  // The generator says of each type where in its input it came from, and makes a type of the input itself: neither is of use.
  return source
    .replace(
      / \*\n \* This interface was referenced by `Contract`'s JSON-Schema\n \* via the `definition` "\w+"\.\n/g,
      '',
    )
    .replace(
      /\/\*\*\n \* This interface was referenced by `Contract`'s JSON-Schema\n \* via the `definition` "\w+"\.\n \*\/\n/g,
      '',
    )
    .replace(/^export interface Contract \{\n {2}\[k: string\]: unknown;\n\}\n/m, '');
}

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

const types = await typesOfContract();
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
