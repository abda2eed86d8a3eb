/** Everything that is refused leaves as `application/problem+json`, whoever refused it: a handler, a plugin or Fastify itself. */

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type {} from '../src/access/origins.ts';
import { methodsAt } from '../src/api/contract.ts';
import { isCatalogued } from '../src/api/errors.ts';
import { PROBLEM_TYPE, ProblemError, problemDocument, type Reason } from '../src/api/problem.ts';
import { Gone } from '../src/host/gone.ts';
import { aboutOf } from '../src/host/origin.ts';
import { pathOf, withoutQuery } from './handlers.ts';

/** Codes of Fastify (`FST_ERR_...`) that say more than their status. */
const FASTIFY_CODES: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad-request',
  FST_ERR_BAD_URL: 'bad-request',
};

/** The code for an error that has only a status. */
const STATUS_CODES: Readonly<Record<number, string>> = {
  401: 'unauthenticated',
  403: 'forbidden-origin',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  408: 'request-timeout',
  413: 'body-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  426: 'upgrade-required',
  429: 'too-many-requests',
  431: 'header-too-large',
  503: 'overloaded',
};

const MARK = 'answersProblems';

/** Before the first route: those of the root keep the error handler that is set when they come to be. A second call does nothing. */
export function answerProblems(app: FastifyInstance): void {
  if (app.hasDecorator(MARK)) return;
  app.decorate(MARK, true);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof ProblemError) reply.headers(error.headers);
    sendProblem(request, reply, reasonOf(error), error);
  });

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const methods = methodsAt(withoutQuery(request.url));
    if (methods.length === 0) {
      sendProblem(request, reply, { code: 'not-found', detail: `there is nothing at ${path}` });
    } else {
      const detail = `${path} has ${methods.join(', ')}, not ${request.method}`;
      sendProblem(request, reply.header('allow', methods.join(', ')), { code: 'method-not-allowed', detail });
    }
  });
}

/** What a server answers that cannot just now. */
const PASSING = new Set(['overloaded', 'session-busy', 'session-recovering', 'shutting-down']);

/** Of a request whose client went away before it was whole. */
const BROKEN_OFF = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE']);

/** What an error thrown anywhere means to the client. Of an error of ours it learns nothing but the id of the log entry. */
export function reasonOf(error: Error & { code?: string; statusCode?: number }): Reason {
  if (error instanceof ProblemError) return error.reason;
  if (error instanceof Gone) return error.problem;
  if (BROKEN_OFF.has(error.code ?? '')) return { code: 'aborted', detail: 'The request ended before it was whole.' };
  const status = error.statusCode ?? 500;
  const code = FASTIFY_CODES[error.code ?? ''] ?? STATUS_CODES[status] ?? (status < 500 ? 'bad-request' : 'internal');
  return { code, detail: code === 'internal' ? 'the server failed; the log has the reason' : error.message };
}

/** Sends a reason as a problem and logs what is our fault. `cause` is logged, never sent. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, reason: Reason, cause?: Error): void {
  const problem = problemDocument(reason, pathOf(request));
  const about = (): object => aboutOf(request.origin ?? null);
  if (!isCatalogued(reason.code))
    request.log.error({ ...about(), reason }, 'a problem code that is not in the catalogue');
  // The server is well, and as busy as it may be: its log need not say at which line it found that out.
  if (PASSING.has(reason.code)) request.log.warn({ ...about(), problem }, problem.title);
  else if (problem.status >= 500 && problem.status !== 507)
    request.log.error({ ...about(), err: cause, problem }, problem.title);
  if (reason.quota !== undefined) tellQuota(reply, reason.quota);
  else if (PASSING.has(reason.code) && !reply.hasHeader('retry-after')) reply.header('retry-after', '1');
  reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

/** The number that was reached, as a structured field (draft-ietf-httpapi-ratelimit-headers), and when to try again. */
function tellQuota(reply: FastifyReply, { name, limit, retryAfterSeconds = 1 }: NonNullable<Reason['quota']>): void {
  reply.header('retry-after', String(retryAfterSeconds));
  if (reply.hasHeader('ratelimit')) return;
  reply.header('ratelimit-policy', `"${name}";q=${limit}`).header('ratelimit', `"${name}";r=0;t=${retryAfterSeconds}`);
}
