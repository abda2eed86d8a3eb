/** The HTTP server: what surrounds the routes, in the order in which a request meets it. */
import fastifyWebsocket from '@fastify/websocket';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { HEALTH_PATHS, registerHealth } from '../../routes/health.ts';
import { registerRoutes } from '../../routes/index.ts';
import { reasonOf, sendProblem } from '../../routes/problem-replies.ts';
import { registerStream } from '../../routes/stream.ts';
import { auditRequests } from '../access/audit-requests.ts';
import { AccessControl } from '../access/control.ts';
import { guard } from '../access/guard.ts';
import { streamDoor } from '../access/stream-door.ts';
import { LIMITS } from '../api/limits.ts';
import { ProblemError } from '../api/problem.ts';
import type { Config } from '../config.ts';
import type { SessionHost } from '../host/host.ts';
import type { StreamHub } from '../stream/hub.ts';
import { websocketOptions } from '../stream/websocket.ts';
import { limitBodyTime } from './body-timeout.ts';
import { answerClientError } from './client-errors.ts';
import { serveDocuments } from './documents.ts';
import { frontPage } from './front-page.ts';
import { checkHosts } from './host-check.ts';
import { answerRetries } from './idempotency.ts';
import { IdempotencyKeys } from './idempotency-keys.ts';
import { KeyedOps } from './idempotency-ops.ts';
import type { Lifecycle } from './lifecycle.ts';
import { createMetrics, measureRequests } from './metrics.ts';
import { logRequests, requestId } from './request-log.ts';

export interface AppServices {
  config: Pick<Config, 'host' | 'allowedHosts'>;
  host: SessionHost;
  lifecycle: Lifecycle;
  /** Absent: everybody may do everything, and nothing is put on record. */
  access?: AccessControl;
  /** Absent: no logs. */
  logger?: FastifyBaseLogger;
  /** Absent: no streams. */
  stream?: StreamHub;
  limits?: Partial<AppLimits>;
}

interface AppLimits {
  headersMs: number;
  /** Of everything but `ops`. */
  bodyMs: number;
  /** A connection between two requests; longer than the usual minute of proxies, so that they are the ones who close it. */
  keepAliveMs: number;
}

const DEFAULT_LIMITS: AppLimits = { headersMs: 10_000, bodyMs: 30_000, keepAliveMs: 65_000 };
/** Ids and names have at most 128 characters; a longer one is looked up, too, and then not found. */
const LONGEST_PATH_PARAMETER = 512;
/** How often Node looks for connections that took too long. */
const CHECK_MS = 1_000;

export async function buildApp(services: AppServices): Promise<FastifyInstance> {
  const { config, host, lifecycle, stream, access = new AccessControl({ host }) } = services;
  const limits = { ...DEFAULT_LIMITS, ...services.limits };
  const app = createServer(services, limits);
  const metrics = createMetrics(host, stream);
  const keys = new IdempotencyKeys();
  // One that was given has an end of its own.
  if (services.access === undefined) app.addHook('onClose', async () => access.close());

  // Before all that may refuse an upgrade: it ends the connection of a refused one, which nobody else does.
  if (stream !== undefined) await app.register(fastifyWebsocket, websocketOptions(stream));
  logRequests(app);
  measureRequests(app, metrics);
  auditRequests(app, access);
  refuseWhenClosing(app, lifecycle);
  checkHosts(app, config);
  guard(app, access);
  limitBodyTime(app, limits.bodyMs);
  answerRetries(app, keys);
  if (stream !== undefined) await registerStream(app, stream, streamDoor(access));
  // Before what follows: routes of the root keep the error handler that is set when they come to be.
  await registerRoutes(app, { host, access, opsOf: (view) => new KeyedOps(view, keys).apply });
  registerHealth(app, { host, metrics, lifecycle, frontPage });
  await serveDocuments(app);
  await app.ready();
  return app;
}

function createServer({ logger }: AppServices, limits: AppLimits): FastifyInstance {
  return fastify({
    ...(logger === undefined ? {} : { loggerInstance: logger }),
    genReqId: requestId,
    requestIdHeader: false,
    // Its own two lines a request are one of ours: see `request-log.ts`.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: LIMITS.bodyBytes,
    // Off: see `body-timeout.ts`.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    // A request without Host is answered by us, as a problem.
    http: { headersTimeout: limits.headersMs, connectionsCheckingInterval: CHECK_MS, requireHostHeader: false },
    routerOptions: { maxParamLength: LONGEST_PATH_PARAMETER },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => sendProblem(request, reply, reasonOf(error), error),
  });
}

function refuseWhenClosing(app: FastifyInstance, lifecycle: Lifecycle): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (!lifecycle.closing || HEALTH_PATHS.has(request.url)) return done();
    const detail = 'The server is shutting down and takes no new requests.';
    done(new ProblemError({ code: 'shutting-down', detail }, { connection: 'close', 'retry-after': '5' }));
  });
}
