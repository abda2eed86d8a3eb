/** What every resource gives to `registerRoutes`: a handler for each of its operations in the contract, and how they answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { nextLink } from '../src/api/page.ts';
import { atOrigin, type MemberOrigins, ProblemError } from '../src/api/problem.ts';
import type { Operation } from '../src/core/operations.ts';
import type { Reading } from '../src/core/reading.ts';
import type { Reply, SessionHost } from '../src/host/host.ts';

export type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

/** operationId -> handler. */
export type Handlers = Record<string, Handler>;

/** Where the members of a page come from. */
export const PAGE_QUERY = ['limit', 'cursor'];

/** What a list answers. */
interface Page {
  nextCursor?: string;
}

/**
 * The value of a host's reply.
 *
 * @param origins members of the operation or reading whose values came from the request's path: a problem with one of them is
 *   about the path (404 when unknown), with any other about the query or the body (400)
 * @throws ProblemError when the host refused or the simulated kernel failed
 */
export function orProblem<T>(reply: Reply<T>, origins: MemberOrigins = {}): T {
  if (reply.ok) return reply.value;
  throw new ProblemError(atOrigin(reply.problem, origins));
}

/** Applies one operation and answers with its result; `origins` as in `orProblem`. */
export async function apply(
  host: SessionHost,
  session: string,
  operation: Operation,
  origins: MemberOrigins = {},
): Promise<Record<string, unknown>> {
  return orProblem(await host.apply(session, operation), origins);
}

/** Reads and answers with what was read; `origins` as in `orProblem`. */
export async function read(
  host: SessionHost,
  session: string,
  reading: Reading,
  origins: MemberOrigins = {},
): Promise<Record<string, unknown>> {
  return orProblem(await host.read(session, reading), { ...origins, query: [...PAGE_QUERY, ...(origins.query ?? [])] });
}

/** Answers 201 with the place of the new resource: `id` below `collection`, the path of the request. */
export function created(request: FastifyRequest, reply: FastifyReply, id: string): void {
  reply.code(201).header('location', `${pathOf(request)}/${encodeURIComponent(id)}`);
}

/** The path of a request as the client knows it, with `--base-path` and without the query. */
export function pathOf(request: FastifyRequest): string {
  return withoutQuery(request.originalUrl);
}

export function withoutQuery(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** Adds the `Link` to the next page, when there is one. */
export function linked<T extends Page>(request: FastifyRequest, reply: FastifyReply, page: T): T {
  if (page.nextCursor !== undefined) reply.header('link', nextLink(request.originalUrl, page.nextCursor));
  return page;
}
