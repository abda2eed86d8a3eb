/** A session at one moment as bytes: the state of its simulation, and beside it what the host knows of its runs and its keys. */
import type { AnsweredLines } from './host.ts';
import type { Told } from './keyed-replies.ts';
import type { RunRecord } from './run-records.ts';

export interface StoredKeys {
  told: [string, { print: string; atMs: number; told: Told }][];
  lines: [string, AnsweredLines & { size: number }][];
}

export const NO_KEYS: StoredKeys = { told: [], lines: [] };

export interface HostPart {
  runs: { last: number; records: RunRecord[] };
  /** Number of the active run, or null. */
  active: number | null;
  keys: StoredKeys;
}

const LENGTH_BYTES = 4;

/** The host's part as JSON, its length before it, then the image. */
export function pack(host: HostPart, image: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(host));
  const bytes = new Uint8Array(LENGTH_BYTES + json.length + image.length);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, LENGTH_BYTES);
  bytes.set(image, LENGTH_BYTES + json.length);
  return bytes;
}

/** Throws when it is none. */
export function unpack(bytes: Uint8Array): { host: HostPart; image: Uint8Array } {
  const length = bytes.length < LENGTH_BYTES ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (length < 0 || length > bytes.length - LENGTH_BYTES) throw new Error('what should be a session ends too early');
  const json = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
  // In a buffer of its own, with the alignment that columns need.
  return { host: JSON.parse(json) as HostPart, image: bytes.slice(LENGTH_BYTES + length) };
}
