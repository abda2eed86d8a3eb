/**
 * Pages of other origins that may use the server (`--cors-origin`): each named in full. Pages of all others are refused before anything
 * else happens, by `host-check.ts`.
 *
 * No credentials in the sense of CORS: the server knows no cookies, and a token in `Authorization` is put there by the page itself.
 */
import cors from '@fastify/cors';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** Beside those that every page may send. */
const REQUEST_HEADERS = ['Authorization', 'Content-Encoding', 'Content-Type', 'Idempotency-Key', 'X-Request-Id'];
/** Beside those that every page may read. */
const REPLY_HEADERS = [
  'Allow',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
];
/** A browser need not ask again for so long. Two hours are what Chromium takes at most. */
const MAX_AGE_SECONDS = 7_200;

/** To be awaited behind the checks of Host and before that of tokens, which no preflight carries. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  const listed = new Set(origins);
  const isPreflight = ({ method, headers }: FastifyRequest): boolean =>
    method === 'OPTIONS' && listed.has(headers.origin ?? '') && headers['access-control-request-method'] !== undefined;
  await app.register(cors, {
    delegator: (request, done) =>
      done(null, {
        origin: [...listed],
        methods: METHODS,
        allowedHeaders: REQUEST_HEADERS,
        exposedHeaders: REPLY_HEADERS,
        maxAge: MAX_AGE_SECONDS,
        // Any other OPTIONS is answered as without all this: 405.
        preflight: isPreflight(request),
      }),
  });
}
