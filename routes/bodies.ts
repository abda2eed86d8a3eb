/** Which bodies requests may have: JSON, or for `ops` a stream. Everything else is 415. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseJson } from '../src/api/json-text.ts';
import { ProblemError } from '../src/api/problem.ts';
import { OPS_FORMATS } from './operations.ts';

/** JSON only; an empty body is no body. */
export function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) =>
    body.trim() === '' ? undefined : parseJson(body),
  );
}

/** The types of `ops`, as the bare stream: lines are read as they come, and the array in the session's worker. */
export function takeStreams(app: FastifyInstance): void {
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
  else done(new ProblemError({ code: 'unexpected-body', detail: `${request.method} ${request.url} takes no body` }));
}

function isEmpty(body: unknown): boolean {
  return body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0);
}
