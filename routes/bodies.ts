/** Which bodies requests may have: JSON, or for `ops` a stream, each perhaps in gzip. Everything else is 415. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseJson } from '../src/api/json-text.ts';
import { LIMITS } from '../src/api/limits.ts';
import { ProblemError } from '../src/api/problem.ts';
import { OPS_FORMATS } from './operations.ts';
import { unpackBodies } from './packed-bodies.ts';

const BRACE = '{'.charCodeAt(0);

/** JSON only; an empty body is no body. */
export function takeJson(app: FastifyInstance): void {
  app.addHook('preParsing', unpackBodies());
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (_request, body, done) => {
    let value: unknown;
    try {
      // Most bodies begin with a brace: only the others can be empty.
      if (body.charCodeAt(0) === BRACE || body.trim() !== '') value = parseJson(body);
      // Where a body may be larger, it is for a snapshot in it.
      if (body.length > LIMITS.bodyBytes && !hasSnapshot(value))
        throw new ProblemError({
          code: 'body-too-large',
          detail: `The body is larger than ${LIMITS.bodyBytes} bytes.`,
        });
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, value);
  });
}

function hasSnapshot(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'fromSnapshot' in body;
}

/** The types of `ops`, as the bare stream: lines are read as they come, and the array in the session's worker. */
export function takeStreams(app: FastifyInstance): void {
  app.addHook('preParsing', unpackBodies(LIMITS.opsUnpackedBytes));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    Object.keys(OPS_FORMATS),
    async (_request: FastifyRequest, payload: NodeJS.ReadableStream) => payload,
  );
}

/** Gives an absent body its meaning before it is checked: `{}` where the operation takes one. Where it takes none, none may come. */
export function settleBody(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  const { body } = request;
  if (request.routeOptions.schema?.body !== undefined) {
    if (body === undefined) request.body = {};
    done();
  } else if (isEmpty(body)) done();
  else
    done(
      new ProblemError({ code: 'unexpected-body', detail: `${request.method} ${request.originalUrl} takes no body` }),
    );
}

function isEmpty(body: unknown): boolean {
  return body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0);
}
