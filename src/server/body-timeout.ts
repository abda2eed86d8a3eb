/**
 * A body must arrive within a time. Node's own `requestTimeout` is off, because it would also end `ops`, whose body may take as long
 * as it likes between two bytes that are not too far apart.
 */
import type { FastifyInstance } from 'fastify';
import { ProblemError } from '../api/problem.ts';

export function limitBodyTime(app: FastifyInstance, limitMs: number): void {
  app.addHook('preParsing', (request, _reply, payload, done) => {
    done();
    const { headers } = request;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
    if (request.routeOptions.url?.endsWith('/ops')) return;
    const timer = setTimeout(() => {
      const detail = `The body did not arrive within ${limitMs / 1000} s.`;
      // To whoever is reading the body: from there it goes the way of every refusal.
      if (payload.listenerCount('error') > 0)
        payload.emit('error', new ProblemError({ code: 'request-timeout', detail }));
    }, limitMs);
    payload.once('close', () => clearTimeout(timer));
    payload.once('end', () => clearTimeout(timer));
  });
}
