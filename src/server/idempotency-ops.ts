/**
 * `Idempotency-Key` on `ops`. Remembered is each line up to the last that was applied, with its reply:
 *
 *     first request    A ok   B ok   C refused          (or the connection broke after B)
 *     retry            A      B      C       D
 *                      └─ answered ┘ └─ run ─┘
 *
 * A refused line is run again, since it changed nothing; under `onError=continue` one between two applied lines is answered again.
 * The host gets whole lines only and keeps its worker on those it has when the client goes away, so that each line that was applied
 * is also on record. An array is treated as its elements, a line each.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LIMITS } from '../api/limits.ts';
import { problemDocument, type Reason } from '../api/problem.ts';
import type { OpsOptions, OpsResume, Reply, SessionHost } from '../host/host.ts';
import { DEFAULT_LIMITS } from '../host/limits.ts';
import { keptKey, keyOf, markReplayed, subjectOf } from './idempotency.ts';
import { fingerprintOf, type IdempotencyKeys, type KeyRecord, mismatch, replyDropped } from './idempotency-keys.ts';
import { type ArrayLimits, asArray, elementsOf } from './ops-array.ts';
import { LINE_BYTES, RecordedReplies, Recorder, type ReplyLine, type SentLine } from './ops-record.ts';
import { isBlank, RequestLines } from './request-lines.ts';

type Lines = AsyncIterable<Uint8Array>;

export interface OpsLimits extends ArrayLimits {
  idleMs: number;
}

/** As the host has them for a request without a key. */
const USUAL: OpsLimits = {
  idleMs: DEFAULT_LIMITS.opsIdleMs,
  arrayBytes: DEFAULT_LIMITS.opsArrayBytes,
  arrayOperations: LIMITS.opsArrayOperations,
};

export class KeyedOps {
  private readonly host: Pick<SessionHost, 'ops' | 'answered'>;
  private readonly keys: IdempotencyKeys;
  private readonly limits: OpsLimits;

  constructor(host: Pick<SessionHost, 'ops' | 'answered'>, keys: IdempotencyKeys, limits: Partial<OpsLimits> = {}) {
    this.host = host;
    this.keys = keys;
    this.limits = { ...USUAL, ...limits };
  }

  /** `host.ops` for a request that may have a key. */
  readonly apply = async (
    request: FastifyRequest,
    reply: FastifyReply,
    session: string,
    body: Lines,
    options: OpsOptions,
  ): Promise<Reply<Lines>> => {
    const key = keyOf(request);
    if (key === null) return this.host.ops(session, body, options);
    const fingerprint = fingerprintOf(`${request.method} ${request.url}\n${options.format}`);
    const record = this.keys.claim(key, fingerprint, subjectOf(request));
    record.inFlight = true;
    let answered: Reply<Lines>;
    try {
      if (record.lines.length === 0) await this.recall(session, key, record);
      const lines = new RequestLines(
        options.format === 'array' ? await elementsOf(body, this.limits) : body,
        this.limits.idleMs,
      );
      answered = await this.answer(session, lines, options, record, reply);
    } catch (error) {
      this.settle(record);
      throw error;
    }
    if (!answered.ok) {
      this.settle(record);
      return answered;
    }
    return options.format === 'array' ? { ok: true, value: asArray(answered.value) } : answered;
  };

  /** What the host knows of the key from before a restart. */
  private async recall(session: string, key: string, record: KeyRecord): Promise<void> {
    const known = await this.host.answered(session, keptKey(record.subject, key));
    // The request itself will be told what is wrong with the session.
    if (!known.ok) return;
    if (known.value.dropped) this.keys.drop(record);
    for (const { line, print, reply } of known.value.lines) {
      while (record.lines.length < line - 1) record.lines.push({ fingerprint: null, reply: null });
      if (this.keys.reserve(record, LINE_BYTES + reply.length))
        record.lines.push({ fingerprint: print, reply: `${reply}\n` });
    }
    if (record.dropped) throw replyDropped();
  }

  private settle(record: KeyRecord): void {
    record.inFlight = false;
    if (record.lines.length === 0 && !record.dropped) this.keys.forget(record);
  }

  private async answer(
    session: string,
    lines: RequestLines,
    options: OpsOptions,
    record: KeyRecord,
    reply: FastifyReply,
  ): Promise<Reply<Lines>> {
    const first = await lines.next();
    if (record.lines.length === 0) return this.run(session, lines, first, options, record, undefined);
    // Still before the reply: a request that has nothing in common with the first one gets a status of its own.
    if (first !== null && !matches(first, record.lines[0]!.fingerprint)) throw mismatch('first line');
    markReplayed(reply);
    const replay = this.replay(session, lines, first, options, record);
    let begun = false;
    // A generator that nobody ever asked for its first value does not run its `finally` either.
    options.signal?.addEventListener('abort', () => {
      if (!begun) this.settle(record);
    });
    const replies = {
      [Symbol.asyncIterator]: () => {
        begun = true;
        return replay;
      },
    };
    return { ok: true, value: replies };
  }

  /** The lines on record, then the host's for the rest. */
  private async *replay(
    session: string,
    lines: RequestLines,
    first: Uint8Array | null,
    options: OpsOptions,
    record: KeyRecord,
  ): AsyncGenerator<Uint8Array> {
    let handedOver = false;
    try {
      const labels: OpsResume['labels'] = [];
      let line = first;
      let lineNumber = 0;
      for (const { fingerprint, reply } of record.lines) {
        if (line === null) return;
        lineNumber++;
        if (!matches(line, fingerprint)) {
          yield problemLine(lineNumber, mismatch(`line ${lineNumber}`).reason);
          return;
        }
        if (reply !== null) {
          noteLabel(labels, line, reply);
          yield Buffer.from(reply);
        }
        line = await lines.next();
      }
      const linesBefore = lineNumber;
      // Only a further operation asks anything of the session.
      const blanks: Uint8Array[] = [];
      while (line !== null && isBlank(line)) {
        blanks.push(line);
        line = await lines.next();
      }
      if (line === null) return;
      const rest = Buffer.concat([...blanks, line]);
      handedOver = true;
      const answered = await this.run(session, lines, rest, options, record, { linesBefore, labels });
      if (answered.ok) yield* answered.value;
      else {
        this.settle(record);
        yield problemLine(linesBefore + blanks.length + 1, answered.problem);
      }
    } finally {
      if (!handedOver) {
        this.settle(record);
        lines.letGo();
      }
    }
  }

  /** Has the host run lines and puts them on record as their replies come. `first`: what was read of them already. */
  private async run(
    session: string,
    lines: RequestLines,
    first: Uint8Array | null,
    options: OpsOptions,
    record: KeyRecord,
    resume: OpsResume | undefined,
  ): Promise<Reply<Lines>> {
    const sent: SentLine[] = [];
    // Not the client's signal: what was begun for a client that has gone is finished, for when it comes back.
    const { onError } = options;
    const hostOptions: OpsOptions = {
      onError,
      format: 'ndjson',
      key: keptKey(record.subject, record.key),
      ...(resume === undefined ? {} : { resume }),
    };
    const answered = await this.host.ops(session, sending(lines, first, sent), hostOptions);
    if (!answered.ok) return answered;
    const recorder = new Recorder(this.keys, record, sent, () => this.settle(record));
    const replies = new RecordedReplies(answered.value[Symbol.asyncIterator](), recorder);
    options.signal?.addEventListener('abort', () => void replies.detach());
    if (options.signal?.aborted) void replies.detach();
    return { ok: true, value: replies };
  }
}

/** The body for the host: whole lines, each noted in `sent` before it goes. */
async function* sending(lines: RequestLines, first: Uint8Array | null, sent: SentLine[]): AsyncGenerator<Uint8Array> {
  if (first === null) return;
  for (const line of splitLines(first)) note(sent, line);
  yield first;
  for (let block = await lines.nextBlock(); block !== null; block = await lines.nextBlock()) {
    for (const line of block) note(sent, line);
    yield block.length === 1 ? (block[0] as Uint8Array) : Buffer.concat(block);
  }
}

function note(sent: SentLine[], line: Uint8Array): void {
  sent.push({ fingerprint: fingerprintOfLine(line), blank: isBlank(line) });
}

/** @param fingerprint null: any blank line */
function matches(line: Uint8Array, fingerprint: string | null): boolean {
  return fingerprint === null ? isBlank(line) : fingerprintOfLine(line) === fingerprint;
}

/** Of a line without its end, which the last line of a body need not have. */
function fingerprintOfLine(line: Uint8Array): string {
  let end = line.length;
  if (line[end - 1] === 10) end--;
  if (line[end - 1] === 13) end--;
  return fingerprintOf(line.subarray(0, end));
}

function* splitLines(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(10, start);
    const next = end === -1 ? bytes.length : end + 1;
    yield bytes.subarray(start, next);
    start = next;
  }
}

/** What a replayed line with `as` left behind, for the lines that are run after it. */
function noteLabel(labels: OpsResume['labels'], line: Uint8Array, reply: string): void {
  const { line: number, result } = JSON.parse(reply) as ReplyLine;
  let operation: unknown;
  try {
    operation = JSON.parse(Buffer.from(line).toString());
  } catch {
    return;
  }
  const label = (operation as { as?: unknown } | null)?.as;
  if (typeof label === 'string') labels.push({ label, line: number, result: result ?? null });
}

function problemLine(line: number, reason: Reason): Uint8Array {
  return Buffer.from(`${JSON.stringify({ line, op: null, ok: false, problem: problemDocument(reason) })}\n`);
}
