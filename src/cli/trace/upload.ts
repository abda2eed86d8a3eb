/**
 * A file goes to a server, and goes on after whatever breaks: the server is asked how much it has, and gets the rest. Which upload it is,
 * is told by a key made of the file and of how it is to be read, so that the same command given again goes on with the same one.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Encoding, TraceDocument } from '../../trace/trace.ts';
import { EXIT, Failure } from '../failure.ts';
import type { Server } from '../server.ts';

/** Broken connections in a row without a byte between them. */
const TRIES = 8;
const BETWEEN_TRIES_MS = { first: 250, most: 8_000, growth: 2 };
/** Of the server, for what has no body. */
const REPLY_MS = 60_000;
const BLOCK_BYTES = 256 * 1024;

export interface UploadQuery {
  name?: string;
  format: string;
  strict: boolean;
  options: Record<string, unknown>;
}

export interface UploadWatch {
  signal: AbortSignal;
  /** Bytes that are there or on their way. */
  onBytes(done: number, total: number): void;
  /** It broke, and is tried again. */
  onBreak(why: string): void;
}

export async function uploadFile(
  server: Server,
  path: string,
  query: UploadQuery,
  { signal, onBytes, onBreak }: UploadWatch,
): Promise<TraceDocument> {
  const { size, mtimeMs } = await fileAt(path);
  const encoding = await encodingOf(path);
  const search = new URLSearchParams({ format: query.format });
  if (query.strict) search.set('strict', 'true');
  if (query.name !== undefined) search.set('name', query.name);
  if (Object.keys(query.options).length > 0) search.set('options', JSON.stringify(query.options));
  const identity = JSON.stringify([resolve(path), size, mtimeMs, encoding, search.toString()]);
  const key = createHash('sha256').update(identity).digest('hex');
  let trace: TraceDocument | null = null;
  let tries = 0;
  let pauseMs = BETWEEN_TRIES_MS.first;
  for (;;) {
    const before = trace?.upload.offset ?? 0;
    const response: Response | null =
      trace === null
        ? await server.send('POST', `/v1/traces?${search}`, {
            headers: {
              'content-type': 'application/octet-stream',
              ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
              'idempotency-key': key,
              'upload-complete': '?0',
              'upload-length': String(size),
            },
            signal,
            limitMs: REPLY_MS,
          })
        : await server.send('PATCH', `/v1/traces/${trace.id}`, {
            headers: {
              'content-type': 'application/partial-upload',
              'content-length': String(size - before),
              'upload-offset': String(before),
              'upload-complete': '?1',
            },
            body: bytesFrom(path, before, size, onBytes),
            signal,
          });
    if (response?.ok) {
      trace = (await response.json()) as TraceDocument;
      if (trace.upload.complete || trace.state === 'failed') return trace;
      onBytes(trace.upload.offset, size);
      continue;
    }
    if (response !== null && !(await mayGoOn(response))) throw await server.refusal(response, 'The recording');
    // Where it stands is what the server says, not what was sent.
    if (trace !== null) trace = (await lookAt(server, trace.id, signal)) ?? trace;
    if (trace?.upload.complete || trace?.state === 'failed') return trace;
    const further = (trace?.upload.offset ?? 0) > before;
    tries = further ? 0 : tries + 1;
    pauseMs = further ? BETWEEN_TRIES_MS.first : pauseMs;
    const why = response === null ? server.lastBreak : `it answered ${response.status}`;
    if (tries >= TRIES) throw new Failure(EXIT.server, `${server.address} cannot be reached: ${why}`, GIVE_AGAIN);
    onBreak(why);
    await pause(pauseMs, signal);
    pauseMs = Math.min(BETWEEN_TRIES_MS.most, pauseMs * BETWEEN_TRIES_MS.growth);
  }
}

/** @throws the signal's reason */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}

export const GIVE_AGAIN = 'What came of the recording is kept: the same command goes on with it.';

async function fileAt(path: string): Promise<{ size: number; mtimeMs: number }> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found;
  } catch (error) {
    throw new Failure(EXIT.usage, `${path} cannot be read: ${(error as Error).message}`);
  }
  throw new Failure(EXIT.usage, `${path} is no file`);
}

const MAGIC: readonly [Encoding, readonly number[]][] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/** By its first bytes: both have ones that no text begins with. */
export async function encodingOf(path: string): Promise<Encoding> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const head = buffer.subarray(0, bytesRead);
    const found = MAGIC.find(([, magic]) => magic.every((byte, at) => head[at] === byte));
    return found?.[0] ?? 'identity';
  } finally {
    await file.close();
  }
}

async function* bytesFrom(
  path: string,
  offset: number,
  size: number,
  onBytes: UploadWatch['onBytes'],
): AsyncGenerator<Uint8Array> {
  if (offset >= size) return;
  let done = offset;
  // Not beyond what was said: the file may be one that still grows.
  for await (const block of createReadStream(path, { start: offset, end: size - 1, highWaterMark: BLOCK_BYTES })) {
    yield block as Buffer;
    done += (block as Buffer).length;
    onBytes(done, size);
  }
}

/** What is only a matter of time, or of the offset. */
async function mayGoOn(response: Response): Promise<boolean> {
  if (![408, 409, 500, 502, 503, 504].includes(response.status)) return false;
  const problem = (await response
    .clone()
    .json()
    .catch(() => ({}))) as { code?: string; retryable?: boolean };
  return problem.code === undefined || problem.code === 'upload-complete' || problem.retryable === true;
}

async function lookAt(server: Server, id: string, signal: AbortSignal): Promise<TraceDocument | null> {
  const response = await server.send('GET', `/v1/traces/${id}`, {
    headers: {},
    signal,
    limitMs: REPLY_MS,
  });
  if (response === null) return null;
  if (!response.ok) throw await server.refusal(response, 'The trace');
  return (await response.json()) as TraceDocument;
}
