/**
 * What every request meets behind the checks of Host and Origin: who asks, how often, and whether the token reaches so far. What it
 * finds stands in `request.who`.
 *
 * The scope of an operation stands in the contract: its `security`, or else `read` to look and `write` to change. A path that the
 * contract does not have is answered, with 404, only to who has a token.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { contractOperations } from '../api/contract.ts';
import { ProblemError } from '../api/problem.ts';
import { wantsEvents } from '../stream/event-request.ts';
import { clientAddress } from './client-address.ts';
import type { AccessControl } from './control.ts';
import { credentialOf } from './credential.ts';
import { SCOPES, type Scope } from './scopes.ts';
import type { Who } from './who.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null until the request has passed the guard, and where none is needed. */
    who: Who | null;
    /** One of many of its kind, and not put on record: see `failed-attempts.ts`. */
    unrecorded: boolean;
  }
}

export interface OperationRule {
  operationId: string;
  /** Null: open to all. */
  scope: Scope | null;
}

/** `GET /v1/sessions/:session` -> what it needs. */
export const RULES: ReadonlyMap<string, OperationRule> = new Map(
  contractOperations.map(({ operationId, method, path, written }) => {
    const route = `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`;
    return [route, { operationId, scope: scopeOf(method, written.security) }];
  }),
);

function scopeOf(method: string, security: unknown): Scope | null {
  if (Array.isArray(security) && security.length === 0) return null;
  const [named] = (security as { token?: string[] }[] | undefined)?.[0]?.token ?? [];
  const scope = SCOPES.find((known) => known === named);
  return scope ?? (method === 'get' ? 'read' : 'write');
}

/** The rule of the route that a request has come to; undefined when the contract does not have it. */
export function ruleOf({ method, routeOptions }: FastifyRequest): OperationRule | undefined {
  return RULES.get(`${method === 'HEAD' ? 'GET' : method} ${routeOptions.url}`);
}

/** Scripts and styles of the reference and of the dashboard, and the guide. */
const OPEN_PREFIXES = ['/docs/', '/guide/', '/ui/'];

function isOpen(request: FastifyRequest, rule: OperationRule | undefined): boolean {
  if (rule !== undefined) return rule.scope === null;
  const { url = '' } = request.routeOptions;
  return OPEN_PREFIXES.some((prefix) => url.startsWith(prefix));
}

/** An upgrade or a wish for events: what would do for the stream is good for nothing else, whatever headers a request has. */
function isOfStream({ headers }: FastifyRequest, rule: OperationRule | undefined): boolean {
  if (rule?.operationId !== 'openStream') return false;
  return headers.upgrade?.toLowerCase() === 'websocket' || wantsEvents(headers.accept);
}

export function guard(app: FastifyInstance, access: AccessControl): void {
  app.decorateRequest('who', null);
  app.decorateRequest('unrecorded', false);
  app.addHook('onRequest', (request, reply, done) => {
    const rule = ruleOf(request);
    if (isOpen(request, rule)) return done();
    try {
      const ofStream = isOfStream(request, rule);
      const who = access.identify(() => credentialOf(request, ofStream), ofStream);
      request.who = who;
      countRequest(access, who, reply);
      if (rule?.scope) access.demand(who, rule.scope);
    } catch (error) {
      return done(heldBack(access, request, error as Error));
    }
    done();
  });
}

/** What a request that does not say who asks is told: how it failed, or, after many from its address, to wait. */
function heldBack(access: AccessControl, request: FastifyRequest, error: Error): Error {
  if (!(error instanceof ProblemError) || error.reason.code !== 'unauthenticated') return error;
  const { failures } = access;
  const held = failures.count(clientAddress(request), access.nowMs());
  if (held === null) return error;
  request.unrecorded = !held.recorded;
  const { retryAfterSeconds } = held;
  const quota = { name: 'failed-auth-per-minute', limit: failures.perMinute, retryAfterSeconds };
  const detail = `More than ${failures.perMinute} requests a minute came from your address without a valid token. One with a valid token is answered at any time.`;
  return new ProblemError({ code: 'too-many-requests', detail, quota });
}

/** Of a request that has passed the guard. @throws when it has not: nobody is let in by a hook that is missing */
export function whoOf(request: FastifyRequest): Who {
  if (request.who === null || request.who === undefined) throw new Error('a request came past the guard');
  return request.who;
}

/** Counts it, and says how many more there may be (draft-ietf-httpapi-ratelimit-headers). */
function countRequest(access: AccessControl, who: Who, reply: FastifyReply): void {
  const rate = access.requestRate(who);
  if (rate === null) return;
  const now = access.nowMs();
  const taken = rate.take(now);
  const { capacity, perSecond } = rate;
  const fullAfter = Math.ceil(rate.waitMs(capacity, now) / 1000);
  reply.header('ratelimit-policy', `"requests";q=${capacity};w=${Math.ceil(capacity / perSecond)}`);
  reply.header('ratelimit', `"requests";r=${rate.left(now)};t=${fullAfter}`);
  if (taken) return;
  const retryAfterSeconds = Math.max(1, Math.ceil(rate.waitMs(1, now) / 1000));
  const detail = `At most ${perSecond} requests a second are taken, ${capacity} at once.`;
  const quota = { name: 'requests-per-second', limit: perSecond, retryAfterSeconds };
  throw new ProblemError({ code: 'too-many-requests', detail, quota });
}
