/** `advance`, and `ops`: many operations in one request, streamed both ways. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError } from '../src/api/problem.ts';
import type { OpsOptions, Reply, SessionHost } from '../src/host/host.ts';
import { apply, type Handlers, orProblem } from './handlers.ts';
import { UnpackedBody } from './packed-bodies.ts';
import { PackedLines } from './packed-lines.ts';

/** So long a client may go on sending what nobody reads any more. */
const REST_MS = 30_000;

interface SessionPath {
  session: string;
}

/** What `ops` takes, and in which form the host answers it. */
export const OPS_FORMATS: Readonly<Record<string, OpsOptions['format']>> = {
  'application/x-ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/json': 'array',
};

/** `host.ops` with the request beside it: what stands between, such as the memory of idempotency keys, needs its headers. */
export type ApplyOps = (
  request: FastifyRequest,
  reply: FastifyReply,
  session: string,
  body: AsyncIterable<Uint8Array>,
  options: OpsOptions,
) => Promise<Reply<AsyncIterable<Uint8Array>>>;

export function operationHandlers(host: SessionHost, applyOps?: ApplyOps): Handlers {
  const applyLines: ApplyOps =
    applyOps ?? ((_request, _reply, session, body, options) => host.ops(session, body, options));

  return {
    async advanceTime(request) {
      const { session } = request.params as SessionPath;
      const { ns } = request.body as { ns: number };
      return apply(host, session, { op: 'advance', ns });
    },

    /** The body is the bare request stream: see `takeStreams` in `bodies.ts`. */
    async applyOperations(request, reply) {
      const { session } = request.params as SessionPath;
      const { onError = 'stop' } = request.query as { onError?: 'stop' | 'continue' };
      const type = mediaType(request);
      const format = OPS_FORMATS[type];
      if (format === undefined || !(request.body instanceof Readable)) {
        throw new ProblemError({
          code: 'unsupported-media-type',
          detail: `ops takes ${Object.keys(OPS_FORMATS).join(', ')}`,
        });
      }
      const options: OpsOptions = { onError, format, signal: abortedBy(reply) };
      const packed = request.body instanceof UnpackedBody ? new PackedLines(request.body, options) : null;
      const body = packed?.requests() ?? plainBody(request, reply, request.body);
      const answers = orProblem(await applyLines(request, reply, session, body, options));
      const lines = packed === null ? answers : await packed.replies(answers);
      // An error in the middle destroys the connection, so that a reply cut short is never taken for a whole one.
      return reply.type(type).send(Readable.from(lines, { objectMode: false }));
    },
  };
}

/** The media type of a request, lower case, without parameters; '' when there is none. */
function mediaType(request: FastifyRequest): string {
  const header = request.headers['content-type'] ?? '';
  return (header.split(';', 1)[0] as string).trim().toLowerCase();
}

function plainBody(request: FastifyRequest, reply: FastifyReply, from: Readable): AsyncIterable<Uint8Array> {
  // A host that stops early must not take the connection down with it: the reply is still to be sent there.
  const body = from.iterator({ destroyOnReturn: false }) as AsyncGenerator<Uint8Array>;
  passOverTheRest(request, reply, body);
  return body;
}

/**
 * A reply may be complete before its request is: refused, or stopped by a line that failed. What follows on the connection is heard only
 * once the rest of the body is out of the way.
 */
function passOverTheRest({ raw }: FastifyRequest, reply: FastifyReply, body: AsyncGenerator<Uint8Array>): void {
  reply.raw.once('finish', () => {
    if (raw.complete && raw.readableEnded) return;
    const late = setTimeout(() => raw.destroy(), REST_MS).unref();
    raw.once('close', () => clearTimeout(late));
    // Whoever read it may still wait for more, and as long as somebody does, nothing flows by.
    const flow = (): void => void raw.resume();
    body.return(undefined).then(flow, flow);
  });
}

/** Aborts when the client goes away before the reply is complete. */
function abortedBy(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
