/** Logs: JSON by pino on stderr, one line a request, each with the request's id. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { destination, type Logger, pino } from 'pino';
import { clientAddress } from '../access/client-address.ts';
import type {} from '../access/guard.ts';
import { originOf } from '../access/origins.ts';
import { withoutSecrets } from '../access/secrets.ts';
import type { LogLevel } from '../config.ts';
import type { SessionHost } from '../host/host.ts';
import { aboutOf } from '../host/origin.ts';

/**
 * Written in blocks, so that a line costs a request little; what waits goes out after this time, and when the process ends. Larger
 * blocks are dearer: the stream joins lines by appending, and with 64 KiB a request took 9 us longer (Node 24).
 */
const FLUSH_MS = 250;
const BLOCK_BYTES = 4096;
/** Ids of clients that may stand in logs and headers as they are. */
const ID_FORM = /^[A-Za-z0-9._:/+=@-]{1,128}$/;
/** Where credentials travel; the second because browsers can put a token nowhere else in an upgrade. */
const SECRET_HEADERS = ['authorization', 'sec-websocket-protocol', 'cookie'];

export function createLogger(level: LogLevel): Logger {
  const redact = SECRET_HEADERS.flatMap((name) => [`req.headers["${name}"]`, `headers["${name}"]`]);
  return pino(
    {
      level,
      redact,
      base: { pid: process.pid },
      timestamp: timestamp(),
      // Whatever a token stands in, a path or a message, it ends here.
      hooks: { streamWrite: withoutSecrets },
    },
    destination({ dest: 2, sync: false, minLength: BLOCK_BYTES, periodicFlush: FLUSH_MS }),
  );
}

/** ISO 8601 with milliseconds, as pino's own; made once for all lines of a millisecond. */
function timestamp(): () => string {
  let madeMs = 0;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== madeMs) {
      madeMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

/** The client's `X-Request-Id` where it is harmless, else one of ours. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && ID_FORM.test(given) ? given : randomUUID();
}

export function logRequests(app: FastifyInstance, host: Pick<SessionHost, 'resolve'>): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const status = reply.statusCode;
    const line = {
      method: request.method,
      route: request.routeOptions.url ?? null,
      path: request.originalUrl,
      status,
      address: clientAddress(request),
      ms: Math.round(reply.elapsedTime * 1000) / 1000,
      ...about(request, reply, host),
      ...(request.who?.credential ? { principal: request.who.principal, credential: request.who.credential } : {}),
    };
    if (status === 503) request.log.warn(line, 'request');
    else if (status >= 500 && status !== 507) request.log.error(line, 'request');
    else request.log.info(line, 'request');
    done();
  });
}

/** The session that a request was about, or made; its trace, and the worker that was asked. */
function about(request: FastifyRequest, reply: FastifyReply, host: Pick<SessionHost, 'resolve'>): object {
  const origin = originOf(request, host);
  if (reply.statusCode === 201 && request.routeOptions.url === '/v1/sessions') {
    const location = reply.getHeader('location');
    if (typeof location === 'string') origin.session = location.slice(location.lastIndexOf('/') + 1);
  }
  return aboutOf(origin);
}
