/**
 * JSON from a client, read strictly: a fault in it is named with its place, nesting has a limit, and no member may be called
 * `__proto__`, which objects made from it later would take for their prototype.
 */
import { ProblemError } from './problem.ts';

/** Levels of arrays and objects inside each other; the contract needs six. */
export const DEEPEST_NESTING = 64;

/** @throws ProblemError `not-json` or `invalid-body` */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ProblemError({
      code: 'not-json',
      detail: `The body is not JSON: ${placeOfFault(text, error as Error)}.`,
    });
  }
  const mayNameProto = text.includes('__proto__') || text.includes('\\u');
  // A level takes two characters: most bodies are too short to be nested too deeply, and are not gone through.
  if (!mayNameProto && text.length < 2 * DEEPEST_NESTING) return value;
  const fault = faultInside(value, 1, mayNameProto);
  if (fault !== null) {
    throw new ProblemError({
      code: 'invalid-body',
      detail: `${fault.path || 'The body'} ${fault.message}.`,
      errors: [fault],
    });
  }
  return value;
}

interface Fault {
  path: string;
  message: string;
}

function faultInside(value: unknown, depth: number, mayNameProto: boolean): Fault | null {
  if (typeof value !== 'object' || value === null) return null;
  if (depth > DEEPEST_NESTING) return { path: '', message: `is nested deeper than ${DEEPEST_NESTING} levels` };
  const list = Array.isArray(value);
  for (const member of Object.keys(value)) {
    if (mayNameProto && !list && member === '__proto__')
      return { path: '/__proto__', message: 'is not a possible member' };
    const fault = faultInside((value as Record<string, unknown>)[member], depth + 1, mayNameProto);
    if (fault !== null) {
      return { path: `/${member.replaceAll('~', '~0').replaceAll('/', '~1')}${fault.path}`, message: fault.message };
    }
  }
  return null;
}

/** White space, a string, a number, a word or one of `{}[]:,`: what JSON consists of (RFC 8259). */
const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside strings
  /[ \t\n\r]+|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE+-])|true|false|null|[{}[\]:,]/y;

/**
 * Where and why the text is no JSON. V8's own message has the position only of some faults, so the text is read again, by the
 * state after each token; this runs for faulty bodies only.
 */
function placeOfFault(text: string, error: Error): string {
  const open: ('{' | '[')[] = [];
  /** What may come next: a value, a member's name, its colon, or what follows a value. */
  let expected: 'value' | 'value or ]' | 'name' | 'name or }' | 'colon' | 'comma or end' = 'value';
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined && text[at] === '"') {
      return `the string that begins at ${lineAndColumn(text, at)} has no end, or a character that must be escaped`;
    }
    if (token === undefined) return `${excerpt(text, at)} at ${lineAndColumn(text, at)} cannot stand there`;
    if (/^[ \t\n\r]/.test(token)) {
      at += token.length;
      continue;
    }
    const inside = open[open.length - 1];
    if (token === '{' || token === '[') {
      if (!expected.startsWith('value')) return unexpected(text, at, expected);
      open.push(token);
      expected = token === '{' ? 'name or }' : 'value or ]';
    } else if (token === '}' || token === ']') {
      const empty = token === '}' ? expected === 'name or }' : expected === 'value or ]';
      const matches = inside === (token === '}' ? '{' : '[');
      if (!matches || !(empty || expected === 'comma or end')) return unexpected(text, at, expected);
      open.pop();
      expected = 'comma or end';
    } else if (token === ',') {
      if (expected !== 'comma or end' || inside === undefined) return unexpected(text, at, expected);
      expected = inside === '{' ? 'name' : 'value';
    } else if (token === ':') {
      if (expected !== 'colon') return unexpected(text, at, expected);
      expected = 'value';
    } else if (expected.startsWith('name')) {
      if (!token.startsWith('"')) return unexpected(text, at, expected);
      expected = 'colon';
    } else {
      if (!expected.startsWith('value')) return unexpected(text, at, expected);
      expected = 'comma or end';
    }
    at += token.length;
  }
  if (open.length > 0 || expected !== 'comma or end') return `it ends early, at ${lineAndColumn(text, at)}`;
  return error.message;
}

function unexpected(text: string, at: number, expected: string): string {
  return `${excerpt(text, at)} at ${lineAndColumn(text, at)} stands where a ${expected} should`;
}

function excerpt(text: string, at: number): string {
  return JSON.stringify(text.slice(at, at + 20));
}

/** From 1, as editors count. */
function lineAndColumn(text: string, at: number): string {
  const before = text.slice(0, at);
  const lineStart = before.lastIndexOf('\n') + 1;
  return `position ${at} (line ${before.split('\n').length}, column ${at - lineStart + 1})`;
}
