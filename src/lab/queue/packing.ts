/** Jobs and outcomes as they lie in Redis: JSON in gzip. Whoever reads one believes nothing of it before it was looked at. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { JobOutcome } from '../experiment.ts';
import { BOUNDS } from './bounds.ts';

const packBytes = promisify(gzip);
const unpackBytes = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

/** Null for what is longer than it may be. */
export async function packed(value: unknown, mostBytes: number): Promise<Buffer | null> {
  const text = Buffer.from(JSON.stringify(value));
  return text.length > mostBytes ? null : await packBytes(text, { level: 4 });
}

/** Null for what is none, or unpacks to more than it may. */
export async function unpacked(bytes: Buffer, mostBytes: number): Promise<unknown> {
  try {
    return JSON.parse((await unpackBytes(bytes, { maxOutputLength: mostBytes })).toString());
  } catch {
    return null;
  }
}

const DIGEST_FORM = /^[0-9a-f]{64}$/;
const CODE_FORM = /^[a-z][a-z0-9-]{0,63}$/;

/** Null for what is no outcome. */
export async function outcomeOf(bytes: Buffer): Promise<JobOutcome | null> {
  const value = await unpacked(bytes, BOUNDS.outcomeBytes);
  if (!isObject(value)) return null;
  const { ok, result, digest, timeNs, code, detail } = value;
  if (ok === true) {
    const fits = isObject(result) && typeof digest === 'string' && DIGEST_FORM.test(digest) && isTime(timeNs);
    return fits ? { ok, result, digest, timeNs } : null;
  }
  const fits = ok === false && typeof code === 'string' && CODE_FORM.test(code) && typeof detail === 'string';
  return fits ? { ok, code, detail: detail.slice(0, 4096) } : null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
