/**
 * The request of an experiment while it is written: what its form reads from the document and puts into it. The form and the JSON are two
 * views of one document, the body of `POST /v1/experiments`. Pure.
 */
import type { Json, JsonObject } from '../form/schema.ts';
import { pointer } from '../form/schema.ts';
import { nanosecondsOf } from '../live/run-request.ts';

export type Vary = Readonly<Record<string, readonly Json[]>>;

export interface ArmInput {
  label?: string;
  set: JsonObject;
}

/** Each value with each; the first with the first; arms one by one. */
export type Way = 'product' | 'paired' | 'list';

/** Where there is neither a preset nor anything else: the shape of a request, to be changed. */
export const EXAMPLE: JsonObject = {
  base: { preset: 'thread-2008' },
  vary: { 'policy.invalidation.kind': ['strict', 'deferred-2008', 'flush-queue'] },
  until: { operations: 5000 },
  seeds: [1, 2, 3],
};

export function varyOf({ vary }: JsonObject): Vary {
  if (!isObject(vary)) return {};
  return Object.fromEntries(
    Object.entries(vary).map(([path, values]) => [path, Array.isArray(values) ? values : [values]]),
  );
}

export function armsOf({ arms }: JsonObject): ArmInput[] {
  if (!Array.isArray(arms)) return [];
  return arms.filter(isObject).map(({ label, set }) => ({
    ...(typeof label === 'string' ? { label } : {}),
    set: isObject(set) ? set : {},
  }));
}

/** Undefined: it says nothing of it, so that a preset's holds. */
export function wayOf(request: JsonObject): Way | undefined {
  if (armsOf(request).length > 0) return 'list';
  if (Object.keys(varyOf(request)).length === 0) return undefined;
  return request.combine === 'paired' ? 'paired' : 'product';
}

/** The same arms, as far as they go, said in another way. @param arms what the request comes to now, without controls */
export function toWay(request: JsonObject, way: Way, arms: readonly ArmInput[]): JsonObject {
  const { vary: _vary, arms: _arms, combine: _combine, ...rest } = request;
  if (way === 'list') return { ...rest, arms: (arms.length > 0 ? arms : [{ set: {} }]) as unknown as Json };
  const vary = wayOf(request) === 'list' ? varyOfArms(armsOf(request), way) : varyOf(request);
  return {
    ...rest,
    ...(Object.keys(vary).length === 0 ? {} : { vary: vary as unknown as Json }),
    ...(way === 'paired' ? { combine: way } : {}),
  };
}

/** What an experiment was asked for, without what says nothing: to be changed and asked for again. */
export function againOf(request: JsonObject): JsonObject {
  const { combine, name: _name, ...rest } = request;
  const isEmpty = (value: Json) => Object.keys(value as object).length === 0;
  const given = Object.entries(rest).filter(
    ([name, value]) => !['vary', 'arms', 'base'].includes(name) || !isEmpty(value),
  );
  return { ...Object.fromEntries(given), ...(combine === 'paired' ? { combine } : {}) };
}

function varyOfArms(arms: readonly ArmInput[], way: Way): Vary {
  const vary: Record<string, Json[]> = {};
  for (const { set } of arms)
    for (const [path, value] of Object.entries(set)) {
      vary[path] ??= [];
      const values = vary[path];
      if (way === 'paired' || !values.some((each) => JSON.stringify(each) === JSON.stringify(value)))
        values.push(value);
    }
  return vary;
}

/** A row that is called otherwise stays where it is. @returns null when another row has that path */
export function renamed(vary: Vary, path: string, next: string): Vary | null {
  if (next !== path && next in vary) return null;
  return Object.fromEntries(Object.entries(vary).map(([each, values]) => [each === path ? next : each, values]));
}

export type Read<T> = { value: T } | { problem: string };

/** `strict, 64, {"kind": "wrap"}`: JSON where it is, words where it is none. */
export function valuesOf(text: string): Read<Json[]> {
  const values: Json[] = [];
  for (const part of partsOf(text)) {
    const read = jsonOf(part);
    if ('problem' in read) return read;
    values.push(read.value);
  }
  return values.length === 0 ? { problem: 'Give one value at least.' } : { value: values };
}

export function jsonOf(text: string): Read<Json> {
  const trimmed = text.trim();
  try {
    return { value: JSON.parse(trimmed) as Json };
  } catch {
    return /^[{["]/.test(trimmed) ? { problem: `${trimmed} is no JSON.` } : { value: trimmed };
  }
}

/** The other way round: what reads as the same value. */
export function valueText(value: Json): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  const read = jsonOf(value);
  const isPlain = 'value' in read && read.value === value && value !== '' && !/[,{}[\]"\n=]/.test(value);
  return isPlain ? value : JSON.stringify(value);
}

export function valuesText(values: readonly Json[]): string {
  return values.map(valueText).join(', ');
}

/** At commas, those in brackets and quotes left out. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (quoted && char === '\\') {
      part += char + (text[++i] ?? '');
      continue;
    }
    if (char === '"') quoted = !quoted;
    else if (!quoted && (char === '{' || char === '[')) depth++;
    else if (!quoted && (char === '}' || char === ']')) depth--;
    if (char === ',' && !quoted && depth <= 0) {
      parts.push(part);
      part = '';
    } else part += char;
  }
  return [...parts, part].filter((each) => each.trim() !== '');
}

/** Of an arm, a line for each member: `policy.invalidation.kind = strict`. */
export function setOf(text: string): Read<JsonObject> {
  const set: JsonObject = {};
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const cut = line.indexOf('=');
    const path = line.slice(0, Math.max(0, cut)).trim();
    if (path === '') return { problem: `"${line.trim()}" is no path = value.` };
    if (path in set) return { problem: `${path} is there twice.` };
    const read = jsonOf(line.slice(cut + 1));
    if ('problem' in read) return read;
    set[path] = read.value;
  }
  return { value: set };
}

export function setText(set: JsonObject): string {
  return Object.entries(set)
    .map(([path, value]) => `${path} = ${valueText(value)}`)
    .join('\n');
}

/** What stands at a list of values, or below: the value it is about is named instead of counted. */
export function problemsOfValues(
  problems: readonly { path: string; message: string }[],
  at: string,
  values: readonly Json[],
): string[] {
  return problems.flatMap(({ path, message }) => {
    if (path === at) return [message];
    if (!path.startsWith(`${at}/`)) return [];
    const [, index = '', ...below] = path.slice(at.length).split('/');
    const value = values[Number(index)];
    const place = below.length === 0 ? '' : ` ${pointer(...below)}`;
    return [`${value === undefined ? index : valueText(value)}${place}: ${message}`];
  });
}

export type LengthUnit = 'operations' | 'ns';

/** Of `until` and `warmUp`: `5,000`, `100 ms`. */
export function lengthOf(unit: LengthUnit, text: string): Read<JsonObject> {
  if (unit === 'ns') {
    const ns = nanosecondsOf(text);
    return ns === null ? { problem: `"${text}" is no time: 100 ms, 2 s.` } : { value: { ns } };
  }
  const operations = Number(text.trim().replaceAll(/[_,]/g, ''));
  if (text.trim() === '' || !Number.isFinite(operations)) return { problem: `"${text}" is no number.` };
  return { value: { operations } };
}

/** `{"ns": 100000000}` -> time, `100 ms`. */
export function lengthText(length: Json | undefined): { unit: LengthUnit; text: string } | null {
  if (!isObject(length)) return null;
  if (typeof length.ns === 'number') return { unit: 'ns', text: timeText(length.ns) };
  if (length.operations !== undefined) return { unit: 'operations', text: String(length.operations) };
  return null;
}

/** Exactly, in the largest unit in which it is a whole number. */
function timeText(ns: number): string {
  for (const [unit, of] of [
    ['s', 1e9],
    ['ms', 1e6],
    ['us', 1e3],
  ] as const)
    if (ns !== 0 && ns % of === 0) return `${ns / of} ${unit}`;
  return `${ns} ns`;
}

/** Objects into each other, as a preset's base and the request's own; anything else replaces. */
export function merged(below: Json | undefined, over: Json | undefined): Json | undefined {
  if (over === undefined) return below;
  if (!isObject(below) || !isObject(over)) return over;
  // Another kind begins from its own defaults.
  if (over.kind !== undefined && over.kind !== below.kind) return over;
  const names = [...new Set([...Object.keys(below), ...Object.keys(over)])];
  return Object.fromEntries(names.map((name) => [name, merged(below[name], over[name]) as Json]));
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
