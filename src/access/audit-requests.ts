/**
 * Puts requests on record that change something, those that are refused for who asks or how often, and those for a session, an experiment or a trace that is not
 * there for whoever asks: whether there is one makes no difference, here as in the reply.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError } from '../api/problem.ts';
import type { AuditEntry } from './audit.ts';
import { clientAddress } from './client-address.ts';
import type { AccessControl } from './control.ts';
import { ruleOf } from './guard.ts';

const LOOKS = new Set(['GET', 'HEAD', 'OPTIONS']);
const REFUSALS = new Set([401, 403, 429]);
const UNKNOWN = new Set(['unknown-session', 'unknown-experiment', 'unknown-trace']);

/** To be called before hooks that refuse: Fastify keeps their order. */
export function auditRequests(app: FastifyInstance, access: AccessControl): void {
  const codes = new WeakMap<FastifyRequest, string>();
  const recorded = new WeakSet<FastifyRequest>();

  function record(request: FastifyRequest, reply: FastifyReply): void {
    const status = reply.statusCode;
    const code = codes.get(request);
    const refused = REFUSALS.has(status) || UNKNOWN.has(code ?? '');
    if (request.unrecorded || recorded.has(request) || (LOOKS.has(request.method) && !refused)) return;
    recorded.add(request);
    access.record(entryOf(request, reply, code));
  }

  app.addHook('onRequest', (request, reply, done) => {
    // A reply that the client does not wait for ends without `onResponse`.
    if (access.required && !LOOKS.has(request.method)) reply.raw.once('close', () => record(request, reply));
    done();
  });
  app.addHook('onError', (request, _reply, error, done) => {
    if (error instanceof ProblemError) codes.set(request, error.reason.code);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    record(request, reply);
    done();
  });
}

function entryOf(request: FastifyRequest, reply: FastifyReply, code: string | undefined): AuditEntry {
  const { session, ...others } = request.params as Record<string, string>;
  const target = Object.values(others).join('/');
  const created = reply.getHeader('location');
  const action = ruleOf(request)?.operationId ?? `${request.method} ${request.routeOptions.url ?? 'elsewhere'}`;
  return {
    time: new Date().toISOString(),
    principal: request.who?.principal || null,
    credential: request.who?.credential ?? null,
    action,
    ...(session === undefined ? {} : { session }),
    ...(target === '' || request.is404 ? {} : { target }),
    ...(typeof created === 'string' ? { created } : {}),
    status: reply.statusCode,
    ...(code === undefined ? {} : { code }),
    requestId: request.id,
    address: clientAddress(request),
  };
}
