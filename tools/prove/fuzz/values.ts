/**
 * Values made from the schemas of the contract: such as fit, such as nearly do, and texts that are no JSON any more.
 *
 * Random text, numbers and JSON come from fast-check, taken once into pools; walking the schemas is our own, as fast-check has no
 * arbitrary of a JSON schema.
 */
import fc from 'fast-check';
import type { Schema } from '../../../src/api/contract.ts';
import type { Dice } from '../dice.ts';
import type { Things } from './things.ts';

const POOL = 500;
/** Beyond this depth optional members are left out. */
const DEEPEST = 4;
const NAMES = ['a', 'b', 'nic0', 'nic1', 'disk0', 'guest', 'host', 'shared', 'w0', 'x-1', 'Z.z', 'alice', 'bob'];
const ODD_KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '__defineGetter__',
  'then',
  '',
  '$ref',
  'length',
  'a\u0000b',
  '\ud800',
  'é',
];
const ODD_NUMBERS = [
  -1,
  0,
  -0,
  0.5,
  1e-320,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  1e21,
  1e308,
  -1e308,
  4095,
  4097,
];
const ODD_STRINGS = [
  '',
  '\u0000',
  '$',
  '$$',
  '$a',
  '$a.iova+',
  '0x',
  '0xg',
  '-0x1',
  '4096',
  'null',
  '../..',
  '%00',
  '\ud800',
  '𝟘',
  'ß'.repeat(64),
  'x'.repeat(129),
  '__proto__',
  'true',
  '1e3',
  '\r\n',
  'ses_',
  'dev_0 ',
];
/** In the place of a value, in text. */
const ODD_TEXTS = [
  '1e999',
  '-1e999',
  '00',
  '01',
  '+1',
  '.5',
  '1.',
  'NaN',
  'Infinity',
  'undefined',
  "'a'",
  '"\t"',
  '"\\u12"',
  '"\\x"',
  '123456789012345678901234567890',
  '1e-999',
  '[1,]',
  '{"a":1,}',
  '{a:1}',
  '/**/1',
  'nul',
  '',
];

export class Values {
  private readonly seed: number;
  private readonly json: readonly unknown[];
  private readonly text: readonly string[];
  private readonly byPattern = new Map<string, readonly string[]>();
  things: Things;

  constructor(seed: number, things: Things) {
    this.seed = seed;
    this.things = things;
    this.json = this.sample(fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' }));
    this.text = this.sample(fc.string({ unit: 'binary', maxLength: 80 }));
  }

  private sample<T>(arbitrary: fc.Arbitrary<T>): T[] {
    return fc.sample(arbitrary, { seed: this.seed, numRuns: POOL });
  }

  /** What fits a schema in which all references are replaced; nearly always, as `not`, `if` and the like are not looked at. */
  fitting(schema: Schema, dice: Dice, member = '', depth = 0): unknown {
    if ('const' in schema) return schema.const;
    if (Array.isArray(schema.enum)) return pick(schema.enum, dice);
    const { allOf, oneOf, anyOf, ...own } = schema;
    if (allOf !== undefined) return this.fitting(merged([own, ...(allOf as Schema[])]), dice, member, depth);
    const branches = (oneOf ?? anyOf) as Schema[] | undefined;
    if (branches !== undefined) return this.fitting(merged([own, pick(branches, dice)]), dice, member, depth);
    const types = [own.type ?? (own.properties === undefined ? 'string' : 'object')].flat() as string[];
    const examples = own.examples as unknown[] | undefined;
    const type = pick(types, dice);
    if (examples !== undefined && type !== 'string' && dice(6) === 0) return structuredClone(pick(examples, dice));
    switch (type) {
      case 'object':
        return this.object(own, dice, depth);
      case 'array':
        return this.array(own, dice, member, depth);
      case 'string':
        return this.string(own, dice, member);
      case 'integer':
      case 'number':
        return number(own, dice, type === 'integer');
      case 'boolean':
        return dice(2) === 0;
      default:
        return null;
    }
  }

  private object(schema: Schema, dice: Dice, depth: number): Record<string, unknown> {
    const {
      properties = {},
      required = [],
      additionalProperties,
    } = schema as {
      properties?: Record<string, Schema>;
      required?: string[];
      additionalProperties?: unknown;
    };
    const made: Record<string, unknown> = {};
    for (const [name, property] of Object.entries(properties)) {
      if (!required.includes(name) && (depth >= DEEPEST || dice(3) > 0)) continue;
      made[name] = this.fitting(property, dice, name, depth + 1);
    }
    if (typeof additionalProperties === 'object' && additionalProperties !== null && depth < DEEPEST) {
      for (let i = dice(3); i > 0; i--)
        made[pick(NAMES, dice)] = this.fitting(additionalProperties as Schema, dice, '', depth + 1);
    }
    return made;
  }

  private array(schema: Schema, dice: Dice, member: string, depth: number): unknown[] {
    const least = (schema.minItems as number | undefined) ?? 0;
    const most = Math.min((schema.maxItems as number | undefined) ?? 1000, least + (dice(40) === 0 ? 60 : 3));
    const length = least + dice(most - least + 1);
    const items = (schema.items ?? {}) as Schema;
    const made = Array.from({ length }, () => this.fitting(items, dice, member.replace(/s$/, ''), depth + 1));
    return schema.uniqueItems === true ? [...new Map(made.map((item) => [JSON.stringify(item), item])).values()] : made;
  }

  private string(schema: Schema, dice: Dice, member: string): string {
    const pattern = schema.pattern as string | undefined;
    const most = (schema.maxLength as number | undefined) ?? 200;
    const thing = dice(8) === 0 ? null : this.things.choose(member, dice);
    if (thing !== null) return thing;
    if (pattern?.startsWith('^0x[')) return `0x${(dice(4) === 0 ? dice(0xffff_ffff) : dice(4096) * 4096).toString(16)}`;
    if (pattern !== undefined) {
      if (dice(3) > 0) {
        const name = pick(NAMES, dice);
        if (new RegExp(pattern).test(name)) return name;
      }
      return this.matching(pattern, dice);
    }
    if (schema.format === 'date-time') return new Date(dice(2 ** 31) * 1000).toISOString();
    if (dice(3) > 0) return pick(NAMES, dice).slice(0, most);
    const text = pick(this.text, dice).slice(0, most);
    return text.length >= ((schema.minLength as number | undefined) ?? 0) ? text : 'x';
  }

  private matching(pattern: string, dice: Dice): string {
    let pool = this.byPattern.get(pattern);
    if (pool === undefined) {
      pool = this.sample(fc.stringMatching(new RegExp(pattern)));
      this.byPattern.set(pattern, pool);
    }
    return pick(pool, dice);
  }

  /** Anything at all. */
  odd(dice: Dice): unknown {
    switch (dice(6)) {
      case 0:
        return pick(ODD_NUMBERS, dice);
      case 1:
        return pick(ODD_STRINGS, dice);
      case 2:
        return pick(this.text, dice);
      case 3:
        return pick<unknown>([null, true, false, [], {}, [[]], [null]], dice);
      default:
        // Not the one of the pool: it may be spoiled further.
        return structuredClone(pick(this.json, dice));
    }
  }

  oddText(dice: Dice): string {
    return dice(2) === 0 ? pick(ODD_STRINGS, dice) : pick(this.text, dice);
  }

  /** A copy of a JSON value with one to three things wrong. */
  spoiled(value: unknown, dice: Dice): unknown {
    const root = { root: structuredClone(value) };
    for (let i = 1 + dice(3); i > 0; i--) this.spoil(root, dice);
    return root.root;
  }

  private spoil(root: { root: unknown }, dice: Dice): void {
    let parent: Record<string, unknown> = root;
    let key = 'root';
    for (;;) {
      const here = parent[key];
      if (here === null || typeof here !== 'object' || dice(4) === 0) break;
      const keys = Object.keys(here);
      if (keys.length === 0) break;
      parent = here as Record<string, unknown>;
      key = pick(keys, dice);
    }
    const here = parent[key];
    switch (dice(5)) {
      case 0:
        if (parent !== root && !Array.isArray(parent)) delete parent[key];
        else put(parent, key, this.odd(dice));
        return;
      case 1:
        if (parent !== root && !Array.isArray(parent)) {
          const name = dice(2) === 0 ? `${key}${pick(['s', ' ', 'X', '\u0000'], dice)}` : pick(ODD_KEYS, dice);
          put(parent, name, dice(2) === 0 ? here : this.odd(dice));
          return;
        }
        break;
      case 2:
        put(parent, key, this.nearly(here, dice));
        return;
      default:
    }
    put(parent, key, this.odd(dice));
  }

  /** Of the same type, mostly. */
  private nearly(value: unknown, dice: Dice): unknown {
    if (typeof value === 'number')
      return pick([-value, value + 0.5, value + 1, value - 1, String(value), value * 2 ** 40], dice);
    if (typeof value === 'string') {
      const others = [
        `${value}${this.oddText(dice)}`,
        value.toUpperCase(),
        value.slice(1),
        value.repeat(1 + dice(20)),
        [value],
      ];
      return pick(others, dice);
    }
    if (Array.isArray(value) && value.length > 0)
      return Array.from({ length: 1 + dice(80) }, (_, i) => value[i % value.length]);
    return this.odd(dice);
  }

  /** JSON that was tampered with as text; mostly none any more. */
  spoiledText(text: string, dice: Dice): Buffer {
    const at = dice(text.length + 1);
    switch (dice(10)) {
      case 0:
        return Buffer.from(text.slice(0, at));
      case 1: {
        const bytes = Buffer.from(text);
        for (let i = 1 + dice(3); i > 0 && bytes.length > 0; i--) bytes[dice(bytes.length)] = dice(256);
        return bytes;
      }
      case 2:
        return Buffer.concat([
          Buffer.from(text.slice(0, at)),
          Buffer.from(pick([[0], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xef, 0xbb, 0xbf]], dice)),
          Buffer.from(text.slice(at)),
        ]);
      case 3: {
        // A member twice: the last one counts, as JSON.parse has it, or it is refused.
        const name = pick(text.match(/"[^"\\]{1,40}":/g) ?? ['"a":'], dice);
        return Buffer.from(text.replace('{', () => `{${name}${this.oddJson(dice)},`));
      }
      case 4: {
        const depth = pick([10, 200, 5_000, 100_000], dice);
        const [open, close] = pick(
          [
            ['[', ']'],
            ['{"a":', '}'],
          ] as const,
          dice,
        );
        const whole = open.repeat(depth) + (open === '[' ? '' : '1') + (dice(2) === 0 ? close.repeat(depth) : '');
        return Buffer.from(dice(2) === 0 ? whole : text.replace(/:[^,{}[\]]+/, () => `:${whole}`));
      }
      case 5:
        return Buffer.from(text.replace(/:("[^"]*"|[0-9.]+|true|false|null)/, () => `:${pick(ODD_TEXTS, dice)}`));
      case 6:
        return Buffer.from(`\ufeff${text}`);
      case 7:
        return Buffer.from(text + pick(['x', '}', ',', text, '\u0000', ' '.repeat(1000), '\n\n'], dice));
      case 8:
        return Buffer.from(
          text.replace(
            '{',
            () =>
              `{"${pick(['__proto__', 'constructor'], dice)}":{"${pick(['prototype', 'polluted', 'kind', 'op'], dice)}":${this.oddJson(dice)}},`,
          ),
        );
      default:
        return Buffer.from(
          dice(4) === 0
            ? text.replace('{', () => `{"${'k'.repeat(pick([100, 60_000, 1_100_000], dice))}":1,`)
            : this.oddJson(dice),
        );
    }
  }

  private oddJson(dice: Dice): string {
    return JSON.stringify(this.odd(dice)) ?? 'null';
  }
}

export function pick<T>(choices: readonly T[], dice: Dice): T {
  return choices[dice(choices.length)]!;
}

/** Even under names that an assignment would take for something else. */
function put(parent: object, key: string, value: unknown): void {
  Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Of several schemas that all hold, one; enough for those of the contract. */
function merged(parts: readonly Schema[]): Schema {
  const all: Schema = {};
  for (const part of parts) {
    const { properties, required, ...rest } = part as { properties?: object; required?: string[] };
    Object.assign(all, rest);
    if (properties !== undefined) {
      const known = (all.properties ?? {}) as Record<string, Schema>;
      const more = Object.entries(properties).map(([name, schema]) => [
        name,
        known[name] === undefined ? schema : merged([known[name], schema as Schema]),
      ]);
      all.properties = { ...known, ...Object.fromEntries(more) };
    }
    if (required !== undefined) all.required = [...((all.required as string[] | undefined) ?? []), ...required];
  }
  return all;
}

/** Small ones and those at the bounds are likelier than others. */
function number(schema: Schema, dice: Dice, whole: boolean): number {
  const least = (schema.minimum as number | undefined) ?? 0;
  const most = (schema.maximum as number | undefined) ?? 2 ** 53 - 1;
  const within = (value: number): number => {
    const step = (schema.multipleOf as number | undefined) ?? (whole ? 1 : 0);
    const bounded = Math.min(most, Math.max(least, value));
    return step === 0 ? bounded : Math.ceil(bounded / step) * step;
  };
  switch (dice(16)) {
    case 0:
      return least;
    case 1:
      return most;
    case 2:
      return within((schema.default as number | undefined) ?? least + 1);
    case 3:
      return within(least + 2 ** dice(53));
    case 4:
      return within(least + dice(1_000_000) + (whole ? 0 : 0.25));
    case 5:
    case 6:
    case 7:
      return within(4096 * (1 + dice(64)));
    default:
      return within(least + dice(16) + (whole ? 0 : 0.5));
  }
}
