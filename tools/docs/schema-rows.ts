/** A JSON schema as rows of a table: one row a member, members of objects within it by a dotted path. */
import type { Cell } from './table.ts';

export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: boolean | Schema;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  maxProperties?: number;
  uniqueItems?: boolean;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
}

export interface SchemaText {
  /** How another schema is named and linked, by its `$ref`. */
  link(ref: string): string;
}

export const MEMBER_COLUMNS = ['member', 'type', 'must', 'default', 'meaning'];

/** Rows in the columns of `MEMBER_COLUMNS`; none when it has no members. */
export function memberRows(schema: Schema, text: SchemaText, path = ''): Cell[][] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const full = path === '' ? name : `${path}.${name}`;
    const must = schema.required?.includes(name) ? 'yes' : '';
    const preset = member.default === undefined ? '' : `\`${JSON.stringify(member.default)}\``;
    const row = [`\`${full}\``, typeText(member, text), must, preset, oneLine(member.description ?? '')];
    const inner = member.items?.properties === undefined ? member : member.items;
    const innerPath = inner === member ? full : `${full}[]`;
    return [row, ...memberRows(inner, text, innerPath)];
  });
  return [...own, ...(schema.allOf ?? []).flatMap((part) => memberRows(part, text, path))];
}

/** Its type with its bounds, on one line. */
export function typeText(schema: Schema, text: SchemaText): string {
  if (schema.$ref !== undefined) return text.link(schema.$ref);
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) {
    const named = choices.map((choice) => typeText(choice, text)).filter((choice) => choice !== '');
    return named.length > 0 ? [...new Set(named)].join(' or ') : plainType(schema, text);
  }
  if (schema.allOf !== undefined && schema.type === undefined)
    return [...new Set(schema.allOf.map((part) => typeText(part, text)).filter((part) => part !== ''))].join(' and ');
  return plainType(schema, text);
}

function plainType(schema: Schema, text: SchemaText): string {
  const { type, items, additionalProperties } = schema;
  if (type === undefined) return schema.properties === undefined ? '' : 'object';
  const names = [type].flat().map((name) => {
    if (name === 'array' && items !== undefined) return `array of ${typeText(items, text) || 'anything'}`;
    if (name === 'object' && typeof additionalProperties === 'object')
      return `object of ${typeText(additionalProperties, text) || 'anything'}`;
    return name;
  });
  return [names.join(' or '), bounds(schema)].filter((part) => part !== '').join(', ');
}

function bounds(schema: Schema): string {
  const { minimum, exclusiveMinimum, maximum, pattern, format } = schema;
  const low = minimum ?? exclusiveMinimum;
  const above = exclusiveMinimum === undefined ? '' : 'more than ';
  const range =
    low !== undefined && maximum !== undefined
      ? `${above}${number(low)} to ${number(maximum)}`
      : low !== undefined
        ? exclusiveMinimum === undefined
          ? `at least ${number(low)}`
          : `${above}${number(low)}`
        : maximum !== undefined
          ? `at most ${number(maximum)}`
          : '';
  return [
    range,
    sizes(schema.minLength, schema.maxLength, 'characters'),
    sizes(schema.minItems, schema.maxItems, 'elements'),
    sizes(schema.minProperties, schema.maxProperties, 'members'),
    schema.uniqueItems ? 'no two alike' : '',
    format ?? '',
    pattern === undefined ? '' : `as \`${pattern}\``,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

function sizes(least: number | undefined, most: number | undefined, of: string): string {
  if (most === undefined) return least === undefined ? '' : `at least ${number(least)} ${of}`;
  if (least === most) return `${number(most)} ${of}`;
  return least === undefined || least === 0
    ? `at most ${number(most)} ${of}`
    : `${number(least)} to ${number(most)} ${of}`;
}

const number = (value: number): string => value.toLocaleString('en-GB', { maximumFractionDigits: 20 });

/** Text of a table's cell. */
export const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' ').trim();
