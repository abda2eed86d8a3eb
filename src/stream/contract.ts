/** `asyncapi.yaml`, read once: what it says of the clients' messages is what they are checked against. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contractSchema, packageRoot, type Schema } from '../api/contract.ts';
import { parsedContract } from '../api/parsed-contract.ts';

interface StreamContract {
  channels: Record<string, unknown>;
  components: {
    messages: Record<string, { payload: Schema; examples?: { payload: unknown }[] }>;
    schemas: Record<string, Schema>;
  };
}

const FILE = 'asyncapi.yaml';
export const streamContract = parsedContract(
  packageRoot,
  FILE,
  readFileSync(join(packageRoot, FILE), 'utf8'),
) as unknown as StreamContract;

/** A schema of `components.schemas` with every reference replaced, in this document or in `openapi.yaml`; there is no recursion. */
export function streamSchema(name: string): Schema {
  return resolved({ $ref: `#/components/schemas/${name}` }) as Schema;
}

function resolved(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(resolved);
  if (part === null || typeof part !== 'object') return part;
  const reference = (part as { $ref?: unknown }).$ref;
  if (typeof reference === 'string') return resolvedReference(reference);
  return Object.fromEntries(Object.entries(part).map(([member, value]) => [member, resolved(value)]));
}

function resolvedReference(reference: string): unknown {
  const [, file, name = ''] = /^(\.\/openapi\.yaml)?#\/components\/schemas\/(\w+)$/.exec(reference) ?? [];
  if (file !== undefined) return contractSchema(name);
  const schema = streamContract.components.schemas[name];
  if (schema === undefined) throw new Error(`asyncapi.yaml has no ${reference}`);
  return resolved(schema);
}
