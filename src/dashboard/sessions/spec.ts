/**
 * The spec that a new session is made of, while it is written: what differs from preset and defaults, as a document. The form and the JSON
 * are two views of it. Pure.
 */
import { type Json, type JsonObject, withPath } from '../form/schema.ts';

export type Spec = JsonObject;

export function at(spec: Spec, ...path: string[]): Json | undefined {
  let value: Json | undefined = spec;
  for (const name of path) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
    value = value[name];
  }
  return value;
}

export function objectAt(spec: Spec, ...path: string[]): JsonObject | undefined {
  const value = at(spec, ...path);
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
}

export function listAt(spec: Spec, name: string): JsonObject[] | undefined {
  const value = spec[name];
  return Array.isArray(value)
    ? (value.filter((each) => each !== null && typeof each === 'object') as JsonObject[])
    : undefined;
}

export function change(spec: Spec, path: readonly string[], value: Json | undefined): Spec {
  return withPath(spec, path, value) ?? {};
}

export type SpecReading = { spec: Spec } | { problem: string };

/** Of the text of the JSON view. */
export function readSpec(text: string): SpecReading {
  let value: Json;
  try {
    value = text.trim() === '' ? {} : (JSON.parse(text) as Json);
  } catch (error) {
    return { problem: (error as Error).message };
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return { problem: 'A spec is an object.' };
  return { spec: value };
}

/** Longer addresses are cut off here and there. */
const MOST_IN_ADDRESS = 4_000;

/** For the address, since a form that is half done has a link as well; undefined when it is too long for one. */
export function packSpec(spec: Spec): string | undefined {
  const text = JSON.stringify(spec);
  return text.length > MOST_IN_ADDRESS ? undefined : text;
}

/** A name that no element of the list has: `nic0`, `nic1`. */
export function freeName(kind: string, taken: readonly JsonObject[]): string {
  const names = new Set(taken.map(({ name }) => name));
  for (let i = 0; ; i++) if (!names.has(`${kind}${i}`)) return `${kind}${i}`;
}
