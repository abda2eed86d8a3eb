/**
 * A path before all paths, `--base-path /lab`, for a server that has a part of a host name only.
 *
 *     /lab/v1/sessions   is routed as /v1/sessions, and keeps its full path in `originalUrl`, from which every link is made
 *     /lab               is sent on to /lab/
 *     /v1/sessions       is not the server's: 404, with or without a token, health included
 *
 * What lies outside is not answered as if the path were there, although a proxy that cuts it off would like that: links would lead
 * out of the proxy's part, and the server would answer for paths that somebody else has.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { ProblemError } from '../api/problem.ts';

/** Routed nowhere. A client that asks for one of these below the base path finds as little. */
const OUTSIDE = '/outside-of-the-base-path';
const BARE = '/base-path-without-its-slash';

/** For Fastify's `rewriteUrl`. */
export function belowBasePath(basePath: string): (request: IncomingMessage) => string {
  return ({ url = '' }) => {
    if (!url.startsWith(basePath)) return OUTSIDE;
    const next = url[basePath.length];
    if (next === '/') return url.slice(basePath.length);
    return next === undefined || next === '?' ? BARE : OUTSIDE;
  };
}

/** To be called behind the checks of Host and before that of tokens. */
export function answerOutside(app: FastifyInstance, basePath: string): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { url, originalUrl } = request;
    if (url === BARE) {
      reply.redirect(`${basePath}/${originalUrl.slice(basePath.length)}`, 308);
      return;
    }
    if (url !== OUTSIDE) return done();
    done(
      new ProblemError({
        code: 'not-found',
        detail: `There is nothing here: the server's paths begin with ${basePath}/.`,
      }),
    );
  });
}
