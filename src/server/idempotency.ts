/**
 * `Idempotency-Key` on every POST but `ops` (which has `idempotency-ops.ts`) and the upload of a trace: a retry gets the reply of the first request.
 *
 * A request that was refused changed nothing, so its key is free again: a client that retries until a run has ended gets through in
 * the end. Remembered are replies to what was carried out, failures of the simulated kernel (507) included, and those after which
 * nobody can tell (500, 504).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type {} from '../access/guard.ts';
import { type KeyMark, type Retry, underRetry } from '../host/retry.ts';
import {
  fingerprintOf,
  type IdempotencyKeys,
  type KeyRecord,
  refuseBadKey,
  type StoredReply,
} from './idempotency-keys.ts';

const KEY_HEADER = 'idempotency-key';
const REPLAYED_HEADER = 'idempotency-replayed';
/** What a reply says beyond its body. */
const KEPT_HEADERS = ['content-type', 'location', 'link'];
/** Replies to requests that were not carried out, beside all 4xx. */
const NOT_NOW = 503;

export function answerRetries(app: FastifyInstance, keys: IdempotencyKeys): void {
  const claimed = new WeakMap<FastifyRequest, { record: KeyRecord; retry: Retry }>();

  app.addHook('preHandler', (request, reply, done) => {
    const key = keyOf(request);
    // Of what there is nothing at, the body was parsed without its limits, and there is nothing to remember.
    if (key === null || request.is404 || hasKeysOfItsOwn(request)) return done();
    let record: KeyRecord;
    try {
      // The body as parsed: another order of members is another body, other white space is not.
      const content = JSON.stringify(request.body) ?? '';
      record = keys.claim(key, fingerprintOf(`${request.method} ${request.url}\n${content}`), subjectOf(request));
    } catch (error) {
      return done(error as Error);
    }
    // A reply ends the request here: `done` is not called.
    if (record.reply !== null) return replay(reply, record.reply);
    // After a restart the record is a new one; then the host knows the key, where the first request changed something.
    const retry: Retry = { key: keptKey(subjectOf(request), key), print: record.fingerprint, replayed: false };
    claimed.set(request, { record, retry });
    underRetry(retry, done);
  });

  app.addHook('onSend', (request, reply, payload, done) => {
    const claim = claimed.get(request);
    if (claim?.retry.replayed === true) markReplayed(reply);
    done();
    if (claim === undefined || !claim.record.inFlight) return;
    const { record } = claim;
    record.inFlight = false;
    const status = reply.statusCode;
    if ((status >= 400 && status < 500) || status === NOT_NOW) keys.forget(record);
    // What may not be stored by anyone holds a secret: it is shown once and kept nowhere.
    else if (typeof payload !== 'string' || reply.getHeader('cache-control') === 'no-store') keys.drop(record);
    else if (keys.reserve(record, payload.length))
      record.reply = { status, headers: keptHeaders(reply), body: payload };
  });
}

function hasKeysOfItsOwn({ routeOptions: { url = '' } }: FastifyRequest): boolean {
  return url.endsWith('/ops') || url === '/v1/traces';
}

/**
 * Of the upload of a trace, whose body nobody has yet: its archive keeps the key, and knows a retry by all that the request says of the
 * body beforehand.
 *
 * @throws ProblemError, 400
 */
export function uploadMarkOf(request: FastifyRequest): KeyMark | null {
  const key = keyOf(request);
  if (key === null) return null;
  refuseBadKey(key);
  const said = ['content-type', 'content-encoding', 'content-length', 'upload-complete', 'upload-length'];
  const print = fingerprintOf(`${request.url}\n${said.map((name) => request.headers[name] ?? '').join('\n')}`);
  return { key: keptKey(subjectOf(request), key), print };
}

/** The key of a request that may have one, else null. */
export function keyOf(request: FastifyRequest): string | null {
  const key = request.headers[KEY_HEADER];
  return request.method === 'POST' && typeof key === 'string' ? key : null;
}

/** Keys are each principal's own. */
export function subjectOf(request: FastifyRequest): string {
  return request.who?.subject ?? '';
}

/** Under which the host keeps a key: sessions may be shared, keys are not. */
export function keptKey(subject: string, key: string): string {
  return `${key} ${subject}`;
}

export function markReplayed(reply: FastifyReply): void {
  reply.header(REPLAYED_HEADER, 'true');
}

function replay(reply: FastifyReply, { status, headers, body }: StoredReply): void {
  markReplayed(reply);
  reply.code(status).headers(headers).send(body);
}

function keptHeaders(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = reply.getHeader(name);
    if (value !== undefined) headers[name] = String(value);
  }
  return headers;
}
