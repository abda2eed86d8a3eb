/**
 * From a JSON schema, as the catalog has them, to the fields of a form, and from what was written in one to a value. Pure.
 *
 * What the catalog uses: `enum`, `const`, `boolean`, `integer` and `number` with bounds, `string`, lists of integers, `oneOf` of a number
 * and a word, objects in objects, objects of words. Anything else is a field of JSON, so that no member is ever out of reach.
 */

export type Json = null | boolean | number | string | Json[] | { [member: string]: Json };
export type JsonObject = { [member: string]: Json };

export interface Schema {
  type?: string | readonly string[];
  enum?: readonly Json[];
  const?: Json;
  oneOf?: readonly Schema[];
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  items?: Schema;
  additionalProperties?: boolean | Schema;
  minimum?: number;
  maximum?: number;
  multipleOf?: number;
  description?: string;
}

export type FieldKind = 'choice' | 'yes-no' | 'number' | 'text' | 'numbers' | 'pairs' | 'group' | 'json';

export interface Field {
  name: string;
  kind: FieldKind;
  schema: Schema;
  required: boolean;
  /** Of a choice. */
  choices: readonly Json[];
  /** Bounds and unit, in words; empty when there is nothing to say. */
  bounds: string;
}

/** `skip`: members that stand elsewhere, `kind` above all. */
export function fieldsOf(schema: Schema, skip: readonly string[] = []): Field[] {
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties)
    .filter(([name, { const: fixed }]) => !skip.includes(name) && fixed === undefined)
    .map(([name, member]) => ({
      name,
      kind: kindOf(member),
      schema: member,
      required: required.includes(name),
      choices: choicesOf(member),
      bounds: boundsOf(member),
    }));
}

function kindOf({ type, enum: words, oneOf, properties, items, additionalProperties }: Schema): FieldKind {
  if (words !== undefined) return 'choice';
  if (oneOf !== undefined)
    return oneOf.every(({ type: each, const: word }) => isNumber(each) || word !== undefined) ? 'text' : 'json';
  if (type === 'boolean') return 'yes-no';
  if (isNumber(type)) return 'number';
  if (type === 'string') return 'text';
  if (type === 'array' && isNumber(items?.type)) return 'numbers';
  if (type === 'object' && properties !== undefined) return 'group';
  if (type === 'object' && typeof additionalProperties === 'object' && additionalProperties.type === 'string')
    return 'pairs';
  return 'json';
}

function isNumber(type: Schema['type']): boolean {
  return type === 'integer' || type === 'number';
}

function choicesOf({ enum: words = [] }: Schema): readonly Json[] {
  return words;
}

function boundsOf(schema: Schema): string {
  const { minimum, maximum, multipleOf, oneOf } = schema;
  if (oneOf !== undefined)
    return oneOf.map((each) => (each.const === undefined ? boundsOf(each) : String(each.const))).join(', or ');
  const parts: string[] = [];
  if (minimum !== undefined && maximum !== undefined) parts.push(`${plain(minimum)} to ${plain(maximum)}`);
  else if (minimum !== undefined) parts.push(`at least ${plain(minimum)}`);
  else if (maximum !== undefined) parts.push(`at most ${plain(maximum)}`);
  if (multipleOf !== undefined) parts.push(`in steps of ${plain(multipleOf)}`);
  return parts.join(', ');
}

/** 1073741824 -> `2^30`, so that a bound is read at a glance. */
function plain(value: number): string {
  const power = Math.log2(value);
  return value >= 65_536 && Number.isInteger(power) ? `2^${power}` : String(value);
}

/** What a value looks like in a field of that kind. */
export function textOf(value: Json | undefined, kind: FieldKind): string {
  if (value === undefined) return '';
  if (kind === 'numbers' && Array.isArray(value)) return value.join(', ');
  if (kind === 'pairs' && value !== null && typeof value === 'object' && !Array.isArray(value))
    return Object.entries(value)
      .map(([name, word]) => `${name}=${word}`)
      .join(', ');
  if (kind === 'json' || typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

export type Reading = { ok: true; value: Json | undefined } | { ok: false; problem: string };

/** What was written, as a value; nothing is undefined: the member is left out. Bounds are the server's to check, which knows them all. */
export function readField(text: string, kind: FieldKind, schema: Schema): Reading {
  const trimmed = text.trim();
  if (trimmed === '') return { ok: true, value: undefined };
  switch (kind) {
    case 'number':
      return numberOf(trimmed);
    case 'numbers': {
      const parts = trimmed
        .split(/[\s,]+/)
        .filter((part) => part !== '')
        .map(numberOf);
      const wrong = parts.find(({ ok }) => !ok);
      if (wrong !== undefined) return wrong;
      return { ok: true, value: parts.map((part) => (part as { value: number }).value) };
    }
    case 'pairs':
      return pairsOf(trimmed);
    case 'choice': {
      const found = schema.enum?.find((word) => String(word) === trimmed);
      return found === undefined ? { ok: false, problem: 'is none of the choices' } : { ok: true, value: found };
    }
    case 'yes-no':
      return { ok: true, value: trimmed === 'true' };
    case 'json':
    case 'group':
      try {
        return { ok: true, value: JSON.parse(trimmed) as Json };
      } catch {
        return { ok: false, problem: 'is no JSON' };
      }
    case 'text':
      // A number or a word: what reads as a number is one.
      return schema.oneOf !== undefined && numberOf(trimmed).ok ? numberOf(trimmed) : { ok: true, value: trimmed };
  }
}

/** `0000:c2:00.0=nic0, 0000:c3:00.0=nic1`. */
function pairsOf(text: string): Reading {
  const value: JsonObject = {};
  for (const part of text.split(/[\s,]+/).filter((word) => word !== '')) {
    const cut = part.indexOf('=');
    if (cut < 1 || cut === part.length - 1) return { ok: false, problem: `"${part}" is no name=value` };
    value[part.slice(0, cut)] = part.slice(cut + 1);
  }
  return { ok: true, value };
}

const UNITS: Record<string, number> = { k: 1e3, m: 1e6, g: 1e9, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 };

/** Also `64 MiB`, `16Gi`, `10k`: what is longer is hard to get right. */
function numberOf(text: string): Reading {
  const found = /^([-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)\s*(ki|mi|gi|ti|k|m|g)?b?$/i.exec(text);
  if (found === null) return { ok: false, problem: 'is no number' };
  const value = Number((found[1] as string).replaceAll('_', '')) * (UNITS[found[2]?.toLowerCase() ?? ''] ?? 1);
  return Number.isFinite(value) ? { ok: true, value } : { ok: false, problem: 'is no number' };
}

/** `object` with a member set, or taken away when `value` is undefined; the object itself stays as it was. */
export function withMember(
  object: JsonObject | undefined,
  name: string,
  value: Json | undefined,
): JsonObject | undefined {
  const next = { ...object };
  if (value === undefined) delete next[name];
  else next[name] = value;
  return Object.keys(next).length === 0 ? undefined : next;
}

/** The same at a path, `['iommu', 'iotlb', 'entries']`; objects that would be empty go. */
export function withPath(
  object: JsonObject | undefined,
  path: readonly string[],
  value: Json | undefined,
): JsonObject | undefined {
  const [first, ...rest] = path;
  if (first === undefined) return object;
  if (rest.length === 0) return withMember(object, first, value);
  const inner = object?.[first];
  const below = inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? inner : undefined;
  return withMember(object, first, withPath(below, rest, value));
}

/** The JSON pointer of a member: `/policy/allocator/kind`. */
export function pointer(...parts: readonly (string | number)[]): string {
  return parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** What is wrong at a place or below it. */
export function problemsAt(problems: readonly { path: string; message: string }[], at: string): string[] {
  return problems
    .filter(({ path }) => path === at || path.startsWith(`${at}/`))
    .map(({ path, message }) => (path === at ? message : `${path.slice(at.length)} ${message}`));
}
