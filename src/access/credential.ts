/**
 * Where a request carries its credential: in `Authorization: Bearer`, or, in an upgrade, which browsers let set no header, in the
 * subprotocol `bearer.<base64url>` beside the real one. A ticket, and nothing that lasts, may stand in the query of an upgrade: queries
 * are logged by everything on the way.
 */
import type { FastifyRequest } from 'fastify';
import { ProblemError } from '../api/problem.ts';

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const SUBPROTOCOL = 'bearer.';
const TICKET = /^ilw_/;

/** @param ofUpgrade of the stream, and no other request @throws ProblemError when there is more than one, or what is there is none */
export function credentialOf(request: FastifyRequest, ofUpgrade: boolean): string | null {
  const found = [fromHeader(request), ...(ofUpgrade ? [fromSubprotocol(request), fromQuery(request)] : [])];
  const given = found.filter((text) => text !== null);
  if (given.length <= 1) return given[0] ?? null;
  throw new ProblemError({ code: 'bad-request', detail: 'The request carries more than one token.' });
}

function fromHeader({ headers }: FastifyRequest): string | null {
  const { authorization } = headers;
  if (authorization === undefined) return null;
  const [, text] = BEARER.exec(authorization) ?? [];
  if (text !== undefined) return text;
  throw refused('Authorization must be `Bearer` and a token.');
}

function fromSubprotocol({ headers }: FastifyRequest): string | null {
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((token) => token.trim());
  const bearers = offered.filter((token) => token.startsWith(SUBPROTOCOL));
  if (bearers.length === 0) return null;
  if (bearers.length > 1) {
    throw new ProblemError({ code: 'bad-request', detail: 'The subprotocols carry more than one token.' });
  }
  return Buffer.from(bearers[0]!.slice(SUBPROTOCOL.length), 'base64url').toString('latin1');
}

function fromQuery({ query }: FastifyRequest): string | null {
  const { ticket } = query as { ticket?: unknown };
  if (ticket === undefined) return null;
  if (typeof ticket === 'string' && TICKET.test(ticket)) return ticket;
  throw refused('In the query only one ticket of POST /v1/ws-tickets may stand.');
}

function refused(detail: string): ProblemError {
  const challenge = { 'www-authenticate': 'Bearer realm="iommu-lab", error="invalid_request"' };
  return new ProblemError({ code: 'unauthenticated', detail }, challenge);
}
