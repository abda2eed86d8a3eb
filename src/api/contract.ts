/**
 * The contract, `openapi.yaml`, read once: its text as served, its document, and its schemas with every `$ref` replaced.
 *
 * The contract has no recursive schema, so replacing references ends; that keeps the validators free of reference look-ups and
 * lets an error say which schema it met.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsedContract } from './parsed-contract.ts';

export type Json = null | boolean | number | string | Json[] | { [member: string]: Json };
export type Schema = Record<string, unknown>;

export const METHODS = ['get', 'put', 'post', 'patch', 'delete'] as const;
export type Method = (typeof METHODS)[number];

export interface ContractOperation {
  operationId: string;
  method: Method;
  /** As in the contract, `/v1/sessions/{session}`. */
  path: string;
  /** False for what the server answers by itself (`x-no-fastify-config`): health, documents, the stream. */
  routed: boolean;
  /** As in the contract, references and all. */
  written: Readonly<Record<string, unknown>>;
  /** With references replaced and the parameters of its path. Made when it is first asked for: all of them take 30 ms. */
  readonly definition: Record<string, unknown>;
}

/** The package's root: above `src` in a checkout, above `dist` in a package; the nearest folder upwards that has the contract. */
export const packageRoot = findPackageRoot();

function findPackageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'openapi.yaml'))) return folder;
    if (dirname(folder) === folder) throw new Error('openapi.yaml is missing from the installation');
  }
}

/** What `GET /openapi.yaml` answers. */
export const contractText = readFileSync(join(packageRoot, 'openapi.yaml'), 'utf8');

/** The server in the contract. */
const SERVER = /^servers:\n {2}- url: \/$/m;

/** The contract of a server whose paths all begin with `basePath`. */
export function contractAt(basePath: string): string {
  return basePath === '' ? contractText : contractText.replace(SERVER, `servers:\n  - url: ${basePath}`);
}

/** The document as written, references and all. */
export const contractDocument = parsedContract(packageRoot, 'openapi.yaml', contractText);

/**
 * A deep copy of a part of the contract with every `$ref` replaced by what it names. Also drops the `mapping` of discriminators:
 * Ajv finds the branch by the `const` of the property and refuses a mapping.
 */
export function resolved<T>(part: T, trail: readonly string[] = []): T {
  if (Array.isArray(part)) return part.map((item) => resolved(item, trail)) as T;
  if (part === null || typeof part !== 'object') return part;
  const reference = (part as { $ref?: unknown }).$ref;
  if (typeof reference === 'string') {
    if (trail.includes(reference)) throw new Error(`${reference} refers to itself`);
    return resolved(atPointer(reference), [...trail, reference]) as T;
  }
  const copy: Record<string, unknown> = {};
  for (const [member, value] of Object.entries(part)) {
    copy[member] =
      member === 'discriminator' && isDiscriminator(value)
        ? { propertyName: value.propertyName }
        : resolved(value, trail);
  }
  return copy as T;
}

function isDiscriminator(value: unknown): value is { propertyName: string } {
  return value !== null && typeof value === 'object' && 'propertyName' in value;
}

function atPointer(reference: string): unknown {
  if (!reference.startsWith('#/'))
    throw new Error(`only references inside the contract are possible, not ${reference}`);
  let here: unknown = contractDocument;
  for (const step of reference.slice(2).split('/')) {
    here = (here as Record<string, unknown> | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  if (here === undefined) throw new Error(`the contract refers to ${reference}, which it does not have`);
  return here;
}

/** A schema of `components.schemas`, references replaced. */
export function contractSchema(name: string): Schema {
  return resolved({ $ref: `#/components/schemas/${name}` }) as Schema;
}

/** Every operation of the contract, in its order. */
export const contractOperations: readonly ContractOperation[] = Object.entries(
  contractDocument.paths as Record<string, Record<string, unknown>>,
).flatMap(([path, item]) =>
  METHODS.filter((method) => method in item).map((method) => {
    const own = item[method] as Record<string, unknown>;
    const written = { ...own, parameters: [item.parameters ?? [], own.parameters ?? []].flat() };
    let definition: Record<string, unknown> | null = null;
    return {
      operationId: String(own.operationId),
      method,
      path,
      routed: own['x-no-fastify-config'] !== true,
      written,
      get definition() {
        return (definition ??= resolved(written));
      },
    };
  }),
);

/** The methods that the contract has for a path as requested (`/v1/sessions/ses_1`), upper case; empty when it has no such path. */
export function methodsAt(path: string): string[] {
  const steps = path.split('/');
  const methods = new Set<string>();
  for (const operation of contractOperations) {
    const pattern = operation.path.split('/');
    if (pattern.length !== steps.length) continue;
    if (!pattern.every((step, i) => (step.startsWith('{') ? steps[i] !== '' : step === steps[i]))) continue;
    methods.add(operation.method.toUpperCase());
    if (operation.method === 'get') methods.add('HEAD');
  }
  return [...methods];
}
