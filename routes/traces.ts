/**
 * `/v1/traces`: recordings come in, in one piece or in several.
 *
 * Several go by the IETF's draft of resumable uploads (draft-ietf-httpbis-resumable-upload), with the trace as its own upload resource. A
 * request without `Upload-Complete` knows nothing of that: it is answered 201 at once, as soon as it is clear that the body will take a
 * while, so that whoever sends it learns where the trace is. That reply is not at its end before the body is, since a client such as
 * `fetch` ends the connection when its request has been answered; blanks in between say that the server is still there.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TraceView } from '../src/access/traces.ts';
import { parseJson } from '../src/api/json-text.ts';
import { type PageQuery, pageOf } from '../src/api/page.ts';
import { ProblemError } from '../src/api/problem.ts';
import type { Reply } from '../src/host/host.ts';
import type { KeyMark } from '../src/host/retry.ts';
import type { EventsQuery } from '../src/trace/archive/events.ts';
import type { Encoding, TraceDocument, TraceState } from '../src/trace/trace.ts';
import { created, type Handlers, linked, orProblem, PAGE_QUERY, pathOf } from './handlers.ts';

interface TracePath {
  trace: string;
}

const DEFAULT_PAGE = 100;
const APPEND_TYPE = 'application/partial-upload';
/** So long a plain POST may take before it is answered while its body still comes. */
const AT_ONCE_MS = 250;
/** Between two blanks: less than what clients and proxies wait for. */
const BEAT_MS = 15_000;
/** So long a client may go on sending what nobody reads any more. */
const REST_MS = 30_000;

/** The bare request stream, whatever is in it: it is a recording. */
export function takeRecordings(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (_request: FastifyRequest, payload: NodeJS.ReadableStream) => payload);
}

/**
 * @param viewOf the traces as they are for whoever asks
 * @param markOf what the request's `Idempotency-Key` is kept under; null without one
 */
export function traceHandlers(
  viewOf: (request: FastifyRequest) => TraceView,
  markOf: (request: FastifyRequest) => KeyMark | null,
): Handlers {
  return {
    async createTrace(request, reply) {
      const view = viewOf(request);
      const { name, format = 'auto', strict = false, options } = request.query as CreateQuery;
      const complete = booleanField(request, 'upload-complete');
      const bodyBytes = bodyBytesOf(request);
      const lengthBytes = integerField(request, 'upload-length') ?? (complete === false ? null : bodyBytes);
      const { trace, replayed } = orProblem(
        view.create(
          {
            ...(name === undefined ? {} : { name }),
            format,
            strict,
            options: optionsOf(options),
            encoding: encodingOf(request),
            lengthBytes,
          },
          markOf(request),
        ),
        { query: ['format', 'options', 'name'] },
      );
      created(request, reply, trace.id);
      if (replayed) {
        passOverTheRest(request, reply);
        reply.header('idempotency-replayed', 'true');
        return shown(reply, view, trace);
      }
      const body = bodyOf(request);
      const appending = view.append(trace.id, {
        offset: 0,
        complete: complete ?? true,
        lengthBytes: integerField(request, 'upload-length'),
        bodyBytes,
        body,
      });
      if (complete !== null) {
        announce(request, reply, view, trace.id);
        return answer(request, reply, view, await appending);
      }
      const early = await Promise.race([appending, after(AT_ONCE_MS)]);
      if (early !== null) return answer(request, reply, view, early);
      return reply
        .type('application/json; charset=utf-8')
        .headers(uploadFields(view, trace))
        .send(whileAppending(reply, appending, view.get(trace.id), trace));
    },

    async appendTrace(request, reply) {
      const { trace } = request.params as TracePath;
      const view = viewOf(request);
      const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
      if (type !== APPEND_TYPE)
        throw new ProblemError(
          { code: 'unsupported-media-type', detail: `A part of a recording comes as ${APPEND_TYPE}.` },
          { 'accept-patch': APPEND_TYPE },
        );
      if ((request.headers['content-encoding'] ?? 'identity').trim().toLowerCase() !== 'identity')
        throw new ProblemError({
          code: 'unsupported-media-type',
          detail: 'How the recording is packed was said when it was created; a part of it is not packed once more.',
        });
      const offset = integerField(request, 'upload-offset');
      const complete = booleanField(request, 'upload-complete');
      if (offset === null || complete === null)
        throw new ProblemError({
          code: 'invalid-header',
          detail: 'A part of a recording comes with Upload-Offset, a whole number, and Upload-Complete, ?0 or ?1.',
        });
      const appended = await view.append(trace, {
        offset,
        complete,
        lengthBytes: integerField(request, 'upload-length'),
        bodyBytes: bodyBytesOf(request),
        body: bodyOf(request),
      });
      return answer(request, reply, view, appended, trace);
    },

    async listTraces(request, reply) {
      const { state, ...query } = request.query as PageQuery & { state?: TraceState };
      const asked = { limit: DEFAULT_PAGE, ...pageOf(query), ...(state === undefined ? {} : { state }) };
      return linked(request, reply, orProblem(viewOf(request).list(asked), { query: PAGE_QUERY }));
    },

    /** `HEAD` comes here, too, and is how a client asks for the offset. */
    async getTrace(request, reply) {
      const { trace } = request.params as TracePath;
      const view = viewOf(request);
      return shown(reply, view, orProblem(view.get(trace), { path: ['trace'] }));
    },

    async getTraceEvents(request) {
      const { trace } = request.params as TracePath;
      const query = { from: 0, limit: DEFAULT_PAGE, ...(request.query as Partial<EventsQuery>) };
      return orProblem(await viewOf(request).events(trace, query), { path: ['trace'] });
    },

    async deleteTrace(request) {
      const { trace } = request.params as TracePath;
      return orProblem(await viewOf(request).delete(trace), { path: ['trace'] });
    },
  };
}

interface CreateQuery {
  name?: string;
  format?: string;
  strict?: boolean;
  options?: string;
}

/** The trace as it is once the body has been taken, or why it was not; whatever is left of the body is passed over. */
function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  view: TraceView,
  appended: Reply<TraceDocument>,
  named?: string,
): TraceDocument {
  passOverTheRest(request, reply);
  if (appended.ok) return shown(reply, view, appended.value);
  // Where to go on from, for who was wrong about it.
  const now = named === undefined ? null : view.get(named);
  if (now?.ok === true) reply.headers(uploadFields(view, now.value));
  throw new ProblemError(appended.problem);
}

function shown(reply: FastifyReply, view: TraceView, trace: TraceDocument): TraceDocument {
  reply.headers(uploadFields(view, trace)).header('cache-control', 'no-store');
  return trace;
}

function uploadFields(view: TraceView, { upload }: TraceDocument): Record<string, string> {
  return {
    'upload-offset': String(upload.offset),
    'upload-complete': upload.complete ? '?1' : '?0',
    ...(upload.length === null ? {} : { 'upload-length': String(upload.length) }),
    'upload-limit': `max-size=${view.uploadBytes}`,
    'accept-patch': APPEND_TYPE,
  };
}

/** 104, for who knows what it means: where to go on if this connection breaks. */
function announce(request: FastifyRequest, reply: FastifyReply, view: TraceView, id: string): void {
  if (request.raw.httpVersion !== '1.1' || reply.raw.destroyed) return;
  (
    reply.raw as typeof reply.raw & { writeInformation(status: number, headers: Record<string, string>): void }
  ).writeInformation(104, {
    location: `${pathOf(request)}/${id}`,
    'upload-limit': `max-size=${view.uploadBytes}`,
  });
}

/** The trace, and blanks until its body is at its end; a body that was not taken to its end cuts the reply, too. */
function whileAppending(
  reply: FastifyReply,
  appending: Promise<Reply<TraceDocument>>,
  now: Reply<TraceDocument>,
  trace: TraceDocument,
): Readable {
  const text = new Readable({ read() {} });
  text.push(JSON.stringify(now.ok ? now.value : trace));
  const beat = setInterval(() => text.push('\n'), BEAT_MS);
  const end = (whole: boolean): void => {
    clearInterval(beat);
    if (whole) text.push(null);
    else reply.raw.destroy();
  };
  text.on('error', () => {});
  appending.then(
    ({ ok }) => end(ok),
    () => end(false),
  );
  return text;
}

function bodyOf(request: FastifyRequest): Readable {
  return request.body instanceof Readable ? request.body : Readable.from([]);
}

/** Null when the client does not say. */
function bodyBytesOf({ headers }: FastifyRequest): number | null {
  if (headers['transfer-encoding'] !== undefined) return null;
  return Number(headers['content-length'] ?? 0);
}

/** A structured field; what is none is as if it were not there (RFC 9651). */
function booleanField({ headers }: FastifyRequest, name: string): boolean | null {
  const value = headers[name];
  return value === '?1' ? true : value === '?0' ? false : null;
}

function integerField({ headers }: FastifyRequest, name: string): number | null {
  const value = headers[name];
  return typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : null;
}

const CODINGS: Readonly<Record<string, Encoding>> = {
  '': 'identity',
  identity: 'identity',
  gzip: 'gzip',
  'x-gzip': 'gzip',
  zstd: 'zstd',
};
/** Files that are packed, sent as what they are. */
const PACKED_TYPES: Readonly<Record<string, Encoding>> = {
  'application/gzip': 'gzip',
  'application/x-gzip': 'gzip',
  'application/zstd': 'zstd',
};
const TYPES = /^(?:text\/[a-z0-9.+-]+|application\/(?:octet-stream|vnd\.tcpdump\.pcap))$/;

/** How the recording is packed: by the coding, or by the type of a file that is packed. @throws ProblemError, 415 */
function encodingOf(request: FastifyRequest): Encoding {
  const coding = request.headers['content-encoding']?.trim().toLowerCase() ?? '';
  const type = (request.headers['content-type'] ?? 'application/octet-stream').split(';', 1)[0]!.trim().toLowerCase();
  const encoding = Object.hasOwn(CODINGS, coding) ? CODINGS[coding] : undefined;
  if (encoding === undefined)
    throw new ProblemError(
      {
        code: 'unsupported-media-type',
        detail: `Recordings are taken as they are, in gzip and in zstd, not in ${JSON.stringify(coding.slice(0, 60))}.`,
      },
      // RFC 9110 section 12.5.3: in a reply it says what the client may use.
      { 'accept-encoding': 'gzip, zstd' },
    );
  const packed = Object.hasOwn(PACKED_TYPES, type) ? PACKED_TYPES[type] : undefined;
  if (packed !== undefined && encoding === 'identity') return packed;
  if (packed !== undefined)
    throw new ProblemError({
      code: 'unsupported-media-type',
      detail: `By its type and its encoding the recording is packed twice; a file in ${packed} is sent with one of the two.`,
    });
  if (TYPES.test(type)) return encoding;
  throw new ProblemError({
    code: 'unsupported-media-type',
    detail:
      'A recording comes as text/plain or application/octet-stream, or packed as application/gzip or application/zstd (curl: -H "content-type: text/plain").',
  });
}

/** @throws ProblemError, 400 */
function optionsOf(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  let options: unknown;
  try {
    options = parseJson(text);
  } catch (error) {
    throw invalidOptions((error as Error).message);
  }
  if (typeof options === 'object' && options !== null && !Array.isArray(options))
    return options as Record<string, unknown>;
  throw invalidOptions('they are a JSON object, such as {"order":"merged"}');
}

function invalidOptions(message: string): ProblemError {
  const errors = [{ path: '?options', message }];
  return new ProblemError({ code: 'invalid-query', detail: `?options: ${message}`, errors });
}

function after(ms: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), ms).unref();
  });
}

/** What follows on the connection is heard only once the rest of the body is out of the way. */
function passOverTheRest({ raw }: FastifyRequest, reply: FastifyReply): void {
  reply.raw.once('finish', () => {
    if (raw.complete && raw.readableEnded) return;
    const late = setTimeout(() => raw.destroy(), REST_MS).unref();
    raw.once('close', () => clearTimeout(late));
    raw.resume();
  });
}
