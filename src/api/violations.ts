/**
 * What Ajv found, in sentences: the place as a JSON Pointer and the reason, with the nearest known name where one was misspelt.
 *
 * A schema may say it better than its keywords can, in `x-message`; that sentence then stands for whatever failed in it.
 */
import type { ErrorObject } from 'ajv';
import type { Violation } from './problem.ts';

const MOST_VIOLATIONS = 20;

/** The violations of one failed validation (`verbose: true`), in the order found, at most 20. */
export function violationsOf(errors: readonly ErrorObject[]): Violation[] {
  const found: Violation[] = [];
  const covered = errors.filter(coversItsParts).map((error) => `${error.schemaPath}/`);
  for (const error of errors) {
    if (error.keyword === 'if' || error.keyword === 'propertyNames') continue;
    if (covered.some((prefix) => error.schemaPath.startsWith(prefix))) continue;
    const violation = violationOf(error);
    if (found.some((other) => other.path === violation.path && other.message === violation.message)) continue;
    found.push(violation);
    if (found.length === MOST_VIOLATIONS) break;
  }
  return found;
}

/** A choice that says itself what it wants: what its branches say would only confuse. */
function coversItsParts(error: ErrorObject): boolean {
  const combines = error.keyword === 'oneOf' || error.keyword === 'anyOf' || error.keyword === 'not';
  return combines && messageOf(error) !== undefined;
}

function messageOf(error: ErrorObject): string | undefined {
  const own = (error.parentSchema as Record<string, unknown> | undefined)?.['x-message'];
  return typeof own === 'string' ? own : undefined;
}

function violationOf(error: ErrorObject): Violation {
  const path = error.instancePath;
  const { params, keyword } = error;
  switch (keyword) {
    case 'additionalProperties': {
      const unknown = String(params.additionalProperty);
      const known = Object.keys(((error.parentSchema as Record<string, unknown>).properties ?? {}) as object);
      return {
        path: `${path}/${escapeStep(unknown)}`,
        message: `unknown member \`${unknown}\`${suggestion(unknown, known, ', ')}`,
      };
    }
    case 'required':
      return messageOf(error) === undefined
        ? { path: `${path}/${escapeStep(String(params.missingProperty))}`, message: 'is required' }
        : { path, message: messageOf(error) as string };
    case 'discriminator':
      return discriminatorViolation(error);
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
    case 'additionalItems':
      return { path, message: error.message ?? keyword };
  }
  return { path, message: messageOf(error) ?? plainMessage(error) };
}

function plainMessage(error: ErrorObject): string {
  const { keyword, params } = error;
  switch (keyword) {
    case 'type':
      return `must be ${[params.type].flat().join(' or ')}`;
    case 'enum':
      return `must be one of ${quoted(params.allowedValues)}${suggestion(error.data, params.allowedValues)}`;
    case 'const':
      return `must be ${JSON.stringify(params.allowedValue)}`;
    case 'uniqueItems':
      return `items ${params.j} and ${params.i} are equal`;
    case 'false schema':
      return 'is not allowed here';
    default:
      return error.message ?? `does not fit \`${keyword}\``;
  }
}

function discriminatorViolation(error: ErrorObject): Violation {
  const tag = String(error.params.tag);
  const branches = ((error.parentSchema as Record<string, unknown>).oneOf ?? []) as Record<string, unknown>[];
  const values = branches.map((branch) => (branch.properties as Record<string, { const?: unknown }>)[tag]?.const);
  const path = `${error.instancePath}/${escapeStep(tag)}`;
  const given = error.params.tagValue;
  if (given === undefined) return { path, message: `is required: one of ${quoted(values)}` };
  return { path, message: `must be one of ${quoted(values)}${suggestion(given, values)}` };
}

function quoted(values: readonly unknown[]): string {
  return values.map((value) => (typeof value === 'string' ? `\`${value}\`` : JSON.stringify(value))).join(', ');
}

function suggestion(given: unknown, known: readonly unknown[], separator = '; '): string {
  if (typeof given !== 'string') return '';
  const nearest = nearestName(
    given,
    known.filter((name) => typeof name === 'string'),
  );
  return nearest === null ? '' : `${separator}did you mean \`${nearest}\`?`;
}

/** The known name that was most likely meant: at most a third of its letters wrong, upper and lower case alike; or null. */
export function nearestName(given: string, known: readonly string[]): string | null {
  if (given.length > 64) return null;
  let nearest: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase());
    if (distance < least && distance <= Math.max(1, Math.floor(name.length / 3))) {
      nearest = name;
      least = distance;
    }
  }
  return nearest;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(substitution, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}
