/** Archives in folders of their own, and uploads from memory. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reply } from '../../../src/host/host.ts';
import { type ArchiveParts, TraceArchive } from '../../../src/trace/archive/archive.ts';
import type { AppendRequest } from '../../../src/trace/archive/uploads.ts';
import { TraceStore } from '../../../src/trace/store.ts';
import type { TraceDocument, TraceInput } from '../../../src/trace/trace.ts';

/** Of `TestContext`, the part that is used. */
export interface Ending {
  after(end: () => unknown): void;
}

export function newFolder(context: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** On a folder that another one may have had before. */
export function openArchive(context: Ending, data: string, parts: Partial<ArchiveParts> = {}): TraceArchive {
  const store = new TraceStore(join(data, 'traces.sqlite'));
  const archive = new TraceArchive({ folder: join(data, 'traces'), store, ...parts });
  context.after(() => archive.close());
  return archive;
}

export const PLAIN: TraceInput = {
  format: 'ftrace',
  strict: false,
  options: {},
  encoding: 'identity',
  lengthBytes: null,
};

export function value<T>(reply: Reply<T>): T {
  if (reply.ok) return reply.value;
  assert.fail(`${reply.problem.code}: ${reply.problem.detail}`);
}

export function codeOf(reply: Reply<unknown>): string | null {
  return reply.ok ? null : reply.problem.code;
}

export function create(archive: TraceArchive, input: Partial<TraceInput> = {}, owner = 'local'): string {
  return value(archive.create({ ...PLAIN, ...input }, owner)).trace.id;
}

export function part(bytes: Uint8Array | Readable, request: Partial<AppendRequest> = {}): AppendRequest {
  const body = bytes instanceof Readable ? bytes : Readable.from(piecesOf(bytes), { objectMode: false });
  return {
    offset: 0,
    complete: true,
    lengthBytes: null,
    bodyBytes: bytes instanceof Readable ? null : bytes.length,
    body,
    ...request,
  };
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

export async function upload(
  archive: TraceArchive,
  bytes: Uint8Array,
  input: Partial<TraceInput> = {},
): Promise<string> {
  const id = create(archive, input);
  value(await archive.append(id, part(bytes)));
  return id;
}

/** Waits for what is to come in the end. */
export async function until<T>(look: () => T | null | undefined | false): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    await sleep(5);
  }
}

export function ended(archive: TraceArchive, id: string): Promise<TraceDocument> {
  return until(() => {
    const trace = value(archive.get(id));
    return trace.endedAt !== null && trace;
  });
}
