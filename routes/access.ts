/** Tokens, who one is, sharing a session, tickets for WebSockets, and the audit log. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuditPosition } from '../src/access/audit.ts';
import type { AccessControl, Act } from '../src/access/control.ts';
import { whoOf } from '../src/access/guard.ts';
import { newCredential, newId } from '../src/access/secrets.ts';
import type { GrantRecord, LinkRecord, TokenRecord } from '../src/access/store.ts';
import { TICKET_SECONDS } from '../src/access/tickets.ts';
import {
  isoTime,
  type MadeToken,
  makeToken,
  type RotationInput,
  rotateToken,
  stateOf,
  type TokenInput,
  tokenDocument,
} from '../src/access/tokens.ts';
import type { PageQuery } from '../src/api/page.ts';
import { ProblemError } from '../src/api/problem.ts';
import type { Laboratory } from '../src/lab/laboratory.ts';
import type { TraceArchive } from '../src/trace/archive/archive.ts';
import { created, type Handlers, linked } from './handlers.ts';

/** Grants, and links, of one session. */
const MOST_SHARES = 1_000;
const DEFAULT_LINK_SECONDS = 7 * 86_400;
const DEFAULT_PAGE = 100;

export function accessHandlers(
  access: AccessControl,
  laboratory: Pick<Laboratory, 'activeOf'>,
  traces: Pick<TraceArchive, 'countOf' | 'storedOf'>,
): Handlers {
  const { store } = access;

  /** The session in the path, if whoever asks may do that with it. */
  function sessionOf(request: FastifyRequest, act: Act): string {
    const { id, problem } = access.reach(whoOf(request), (request.params as { session: string }).session, act);
    if (problem !== null) throw new ProblemError(problem);
    return id;
  }

  function tokenOf(request: FastifyRequest): TokenRecord {
    const { token } = request.params as { token: string };
    const record = store.token(token);
    if (record !== undefined) return record;
    throw new ProblemError({ code: 'unknown-token', detail: `There is no token "${token}".` });
  }

  function shown(reply: FastifyReply, made: MadeToken | null): Record<string, unknown> {
    if (made === null)
      throw new ProblemError({
        code: 'too-many-tokens',
        detail: 'Revoke tokens that nobody uses, or wait until they are forgotten.',
      });
    const { record, text } = made;
    reply.code(201).header('location', `/v1/tokens/${record.id}`).header('cache-control', 'no-store');
    return { ...tokenDocument(record, access.nowMs()), token: text };
  }

  return {
    async whoAmI(request) {
      const who = whoOf(request);
      const { kind, principal, scope, credential, name, session, expiresMs, limits, subject } = who;
      return {
        kind,
        ...(principal === '' ? {} : { principal }),
        scope,
        ...(credential === null ? {} : { credential }),
        ...(name === null ? {} : { name }),
        ...(session === null ? {} : { session }),
        expiresAt: isoTime(expiresMs),
        limits,
        used: {
          sessions: principal === '' ? 0 : access.host.countOf(principal),
          streams: access.leases.countOf('stream', subject),
          runs: access.runs.used(subject),
          experiments: principal === '' ? 0 : laboratory.activeOf(principal),
          traces: principal === '' ? 0 : traces.countOf(principal),
          traceBytes: principal === '' ? 0 : traces.storedOf(principal),
          storedBytes: principal === '' ? 0 : access.host.storedBytesOf(principal),
        },
      };
    },

    async createToken(request, reply) {
      return shown(reply, makeToken(store, request.body as TokenInput, access.nowMs()));
    },
    async listTokens(request, reply) {
      const page = pageBy(store.tokens(), request.query as PageQuery);
      return linked(request, reply, {
        ...page,
        items: page.items.map((token) => tokenDocument(token, access.nowMs())),
      });
    },
    async getToken(request) {
      const token = tokenOf(request);
      return tokenDocument({ ...token, lastUsedMs: store.lastUseOf(token) }, access.nowMs());
    },
    async revokeToken(request) {
      const token = tokenOf(request);
      if (token.revokedMs === null) store.revokeToken(token, access.nowMs());
      access.sweep();
      return { id: token.id };
    },
    async rotateToken(request, reply) {
      const token = tokenOf(request);
      const state = stateOf(token, access.nowMs());
      if (state !== 'active')
        throw new ProblemError({ code: 'token-ended', detail: `The token ${token.id} is ${state}; make a new one.` });
      return shown(reply, rotateToken(store, token, request.body as RotationInput, access.nowMs()));
    },

    async createGrant(request, reply) {
      const session = sessionOf(request, 'own');
      const { principal, scope } = request.body as Pick<GrantRecord, 'principal' | 'scope'>;
      if (principal === access.host.ownerOf(session)) {
        const detail = `The session is ${principal}'s own.`;
        throw new ProblemError({ code: 'invalid-body', detail, path: '/principal' });
      }
      const known = store.grant(session, principal);
      if (known === undefined && store.grantsOf(session).length >= MOST_SHARES) throw tooManyShares('grants');
      const createdBy = whoOf(request).principal;
      const grant: GrantRecord = {
        id: known?.id ?? newId('gra'),
        session,
        principal,
        scope,
        createdMs: known?.createdMs ?? access.nowMs(),
        createdBy,
      };
      store.putGrant(grant);
      access.sweep();
      if (known === undefined) created(request, reply, grant.id);
      return grantDocument(grant);
    },
    async listGrants(request, reply) {
      const page = pageBy(store.grantsOf(sessionOf(request, 'see-shares')), request.query as PageQuery);
      return linked(request, reply, { ...page, items: page.items.map(grantDocument) });
    },
    async deleteGrant(request) {
      const session = sessionOf(request, 'own');
      const { grant: id } = request.params as { grant: string };
      const grant = store.grantsOf(session).find((known) => known.id === id);
      if (grant === undefined)
        throw new ProblemError({ code: 'unknown-grant', detail: `The session has no grant "${id}".` });
      store.removeGrant(grant);
      access.sweep();
      return { id };
    },

    async createLink(request, reply) {
      const session = sessionOf(request, 'own');
      if (store.linksOf(session).length >= MOST_SHARES) throw tooManyShares('links');
      const { expiresInSeconds = DEFAULT_LINK_SECONDS, title = null } = request.body as {
        expiresInSeconds?: number;
        title?: string;
      };
      const { id, hash, text } = newCredential('link');
      const createdMs = access.nowMs();
      const expiresMs = createdMs + expiresInSeconds * 1000;
      const link: LinkRecord = { id, hash, session, title, createdMs, expiresMs, createdBy: whoOf(request).principal };
      store.addLink(link);
      created(request, reply, id);
      reply.header('cache-control', 'no-store');
      return { ...linkDocument(link, createdMs), link: text };
    },
    async listLinks(request, reply) {
      const page = pageBy(store.linksOf(sessionOf(request, 'see-shares')), request.query as PageQuery);
      const now = access.nowMs();
      return linked(request, reply, { ...page, items: page.items.map((link) => linkDocument(link, now)) });
    },
    async deleteLink(request) {
      const session = sessionOf(request, 'own');
      const { link: id } = request.params as { link: string };
      const link = store.link(id);
      if (link === undefined || link.session !== session)
        throw new ProblemError({ code: 'unknown-link', detail: `The session has no link "${id}".` });
      store.removeLink(link);
      access.sweep();
      return { id };
    },

    async createTicket(request, reply) {
      const { text, expiresMs } = access.issueTicket(whoOf(request));
      reply.code(201).header('cache-control', 'no-store');
      return { ticket: text, expiresAt: isoTime(expiresMs), expiresInSeconds: TICKET_SECONDS };
    },

    async getAudit(request, reply) {
      const { limit = DEFAULT_PAGE, cursor } = request.query as PageQuery;
      const before = cursor === undefined ? undefined : positionOf(cursor);
      if (access.audit === null) return { items: [] };
      const { items, next } = access.audit.page(limit, before);
      if (next === null) return { items };
      return linked(request, reply, { items, nextCursor: encode(`${next.file}:${next.offset}`) });
    },
  };
}

function grantDocument({ id, session, principal, scope, createdMs, createdBy }: GrantRecord): Record<string, unknown> {
  return { id, session, principal, scope, createdAt: isoTime(createdMs), createdBy };
}

function linkDocument(link: LinkRecord, nowMs: number): Record<string, unknown> {
  const { id, session, title, createdMs, expiresMs, createdBy } = link;
  return {
    id,
    session,
    ...(title === null ? {} : { title }),
    state: expiresMs <= nowMs ? 'expired' : 'active',
    createdAt: isoTime(createdMs),
    expiresAt: isoTime(expiresMs),
    createdBy,
  };
}

function tooManyShares(what: string): ProblemError {
  const detail = `The session has ${MOST_SHARES} ${what}, and that is the limit; delete one first.`;
  return new ProblemError({ code: 'too-many-shares', detail });
}

// ------------------------------------------------------------------------------------------------ pages

interface Listed {
  id: string;
  createdMs: number;
}

/** A page of what is kept in order of creation; what is deleted between two pages shifts nothing. */
function pageBy<T extends Listed>(
  all: T[],
  { limit = DEFAULT_PAGE, cursor }: PageQuery,
): { items: T[]; nextCursor?: string } {
  const sorted = all.sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
  const after = cursor === undefined ? null : placeOf(cursor);
  const rest = after === null ? sorted : sorted.filter((item) => isAfter(item, after));
  const items = rest.slice(0, limit);
  if (items.length === rest.length) return { items };
  const last = items.at(-1) as T;
  return { items, nextCursor: encode(`${last.createdMs}:${last.id}`) };
}

function isAfter({ createdMs, id }: Listed, after: Listed): boolean {
  return createdMs > after.createdMs || (createdMs === after.createdMs && id > after.id);
}

function placeOf(cursor: string): Listed {
  const [, createdMs, id] = /^([0-9]{1,15}):([a-z]{3}_[0-9a-z]{1,32})$/.exec(decode(cursor)) ?? [];
  if (createdMs === undefined || id === undefined) throw invalidCursor();
  return { createdMs: Number(createdMs), id };
}

function positionOf(cursor: string): AuditPosition {
  const [, file, offset] = /^([0-9]{1,9}):([0-9]{1,15})$/.exec(decode(cursor)) ?? [];
  if (file === undefined || offset === undefined) throw invalidCursor();
  return { file: Number(file), offset: Number(offset) };
}

function invalidCursor(): ProblemError {
  return new ProblemError({ code: 'invalid-cursor', detail: 'The cursor is not one of this list.', path: '?cursor' });
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}
function decode(cursor: string): string {
  return Buffer.from(cursor, 'base64url').toString('latin1');
}
