/**
 * Which request is being answered, for the lines and spans of all that it sets off: its id, who asks, the session that it is about, and
 * the trace that it belongs to, by its `traceparent` where nobody traces here.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { SessionHost } from '../host/host.ts';
import { type Origin, underOrigin } from '../host/origin.ts';
import type {} from './guard.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null until something asks for it. */
    origin: Origin | null;
  }
}

export interface RequestTracing {
  /** Goes on within the span of a request, and tells the two of each other. */
  within(request: FastifyRequest, origin: Origin, then: () => void): void;
}

/** W3C trace context, version 00 and those after it. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** Behind the guard: who asks is known by then. */
export function noteOrigins(
  app: FastifyInstance,
  host: Pick<SessionHost, 'resolve'>,
  tracing: RequestTracing | null,
): void {
  app.addHook('preHandler', (request, _reply, done) => {
    const origin = originOf(request, host);
    if (tracing === null) underOrigin(origin, done);
    else tracing.within(request, origin, () => underOrigin(origin, done));
  });
}

/** Before: the request's members. */
export function decorateOrigins(app: FastifyInstance): void {
  app.decorateRequest('origin', null);
}

/** What is known of a request by now. */
export function originOf(request: FastifyRequest, host: Pick<SessionHost, 'resolve'>): Origin {
  if (request.origin !== null) return request.origin;
  const header = request.headers.traceparent;
  const traceId = typeof header === 'string' ? (TRACEPARENT.exec(header)?.[1] ?? null) : null;
  const who = request.who ?? null;
  const { session } = (request.params ?? {}) as { session?: string };
  // Without a principal nobody may know what a name leads to.
  const id = session === undefined || who === null ? null : host.resolve(session, who.principal);
  request.origin = {
    requestId: request.id,
    principal: who?.kind === 'token' ? who.principal : null,
    traceId,
    session: id,
    worker: null,
  };
  return request.origin;
}
