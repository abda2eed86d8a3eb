/**
 * A body must arrive within a time. Node's own `requestTimeout` is off, because it would also end `ops`, whose body may take as long
 * as it likes between two bytes that are not too far apart.
 *
 * One timer looks after all bodies that have not arrived, oldest first: a timer for each cost a small request a thirtieth of its
 * time, and nearly all bodies come with their headers.
 */
import type { FastifyInstance, FastifyRequest, RequestPayload } from 'fastify';
import { ProblemError } from '../api/problem.ts';

/** Longest time between two looks; a body may take so much longer than the limit. */
const LOOK_MS = 1_000;

interface Awaited {
  payload: RequestPayload;
  deadlineMs: number;
}

export function limitBodyTime(app: FastifyInstance, limitMs: number): void {
  /** In order of their deadlines, as the limit is one for all. */
  const awaited = new Map<FastifyRequest, Awaited>();

  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { headers } = request;
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
    if (hasBody && request.routeOptions.url?.endsWith('/ops') !== true)
      awaited.set(request, { payload, deadlineMs: performance.now() + limitMs });
    done();
  });
  // Here it has been read. What breaks off before leaves the list by its deadline.
  app.addHook('preValidation', (request, _reply, done) => {
    awaited.delete(request);
    done();
  });

  const look = setInterval(
    () => {
      const now = performance.now();
      for (const [request, { payload, deadlineMs }] of awaited) {
        if (deadlineMs > now) break;
        awaited.delete(request);
        // To whoever is reading the body: from there it goes the way of every refusal.
        if (payload.readableEnded !== true && payload.listenerCount('error') > 0)
          payload.emit('error', new ProblemError({ code: 'request-timeout', detail: tooLate(limitMs) }));
      }
    },
    Math.min(LOOK_MS, limitMs / 4),
  );
  look.unref();
  app.addHook('onClose', (_app, done) => {
    clearInterval(look);
    done();
  });
}

function tooLate(limitMs: number): string {
  return `The body did not arrive within ${limitMs / 1000} s.`;
}
