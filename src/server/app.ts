/** The HTTP server: what surrounds the routes, in the order in which a request meets it. */
import type { Server as HttpsServer } from 'node:https';
import fastifyWebsocket from '@fastify/websocket';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  LogController,
} from 'fastify';
import { HEALTH_PATHS, registerHealth } from '../../routes/health.ts';
import { registerRoutes } from '../../routes/index.ts';
import { answerProblems, reasonOf, sendProblem } from '../../routes/problem-replies.ts';
import { registerStream } from '../../routes/stream.ts';
import { auditRequests } from '../access/audit-requests.ts';
import { AccessControl } from '../access/control.ts';
import { guard } from '../access/guard.ts';
import { decorateOrigins, noteOrigins } from '../access/origins.ts';
import { streamDoor } from '../access/stream-door.ts';
import { LIMITS } from '../api/limits.ts';
import { ProblemError } from '../api/problem.ts';
import type { Config } from '../config.ts';
import type { SessionHost } from '../host/host.ts';
import type { Laboratory } from '../lab/laboratory.ts';
import type { StreamHub } from '../stream/hub.ts';
import { websocketOptions } from '../stream/websocket.ts';
import type { TraceArchive } from '../trace/archive/archive.ts';
import type { TraceWorkLimits } from '../trace/work-limits.ts';
import { answerOutside, belowBasePath } from './base-path.ts';
import { limitBodyTime } from './body-timeout.ts';
import { answerClientError } from './client-errors.ts';
import { compressReplies } from './compression.ts';
import { limitConnections } from './connections.ts';
import { allowOrigins } from './cors.ts';
import { Crowding, exemptFrom } from './crowding.ts';
import { serveDashboard } from './dashboard.ts';
import { serveDocuments } from './documents.ts';
import { serveGuide } from './guide.ts';
import { checkHosts, type HostSettings } from './host-check.ts';
import { answerRetries, uploadMarkOf } from './idempotency.ts';
import { IdempotencyKeys } from './idempotency-keys.ts';
import { KeyedOps } from './idempotency-ops.ts';
import type { Lifecycle } from './lifecycle.ts';
import { HEADER_BYTES, SERVER_LIMITS, type ServerLimits } from './limits.ts';
import { addConnectionFigures, addSpanFigures, createMetrics, measureRequests } from './metrics.ts';

import { logRequests, requestId } from './request-log.ts';
import type { Telemetry } from './telemetry-port.ts';
import type { TlsCertificate } from './tls.ts';

export interface AppServices {
  config: HostSettings &
    Partial<Pick<Config, 'trustProxy' | 'basePath' | 'maxConnections' | 'maxConnectionsPerAddress'>>;
  host: SessionHost;
  /** Absent: experiments are kept in memory. */
  laboratory?: Laboratory;
  /** Absent: traces are kept in a folder that ends with the app. */
  traces?: TraceArchive;
  lifecycle: Lifecycle;
  /** Absent: everybody may do everything, and nothing is put on record. */
  access?: AccessControl;
  /** Absent: plain HTTP. */
  tls?: TlsCertificate | null;
  /** Absent: no logs. */
  logger?: FastifyBaseLogger;
  /** Absent: no streams. */
  stream?: StreamHub;
  limits?: Partial<ServerLimits>;
  /** What exports and analyses may take; absent: as much as usual. */
  traceWork?: TraceWorkLimits;
  /** Absent: no traces. */
  telemetry?: Telemetry | null;
  /** The folder with the built dashboard; absent: the package's. */
  dashboard?: string;
}

/** Ids and names have at most 128 characters; a longer one is looked up, too, and then not found. */
const LONGEST_PATH_PARAMETER = 512;
/** How often Node looks for connections that took too long. */
const CHECK_MS = 1_000;

export async function buildApp(services: AppServices): Promise<FastifyInstance> {
  const { config, host, laboratory, traces, lifecycle, stream, tls = null, telemetry = null } = services;
  const { access = new AccessControl({ host }) } = services;
  const { basePath = '', corsOrigins = [], maxConnections = Number.POSITIVE_INFINITY } = config;
  const { maxConnectionsPerAddress = 0, trustProxy = [] } = config;
  const { dashboard } = services;
  const limits = { ...SERVER_LIMITS, ...services.limits };
  const app = createServer(services, limits);
  const crowding = new Crowding(maxConnectionsPerAddress, exemptFrom(trustProxy));
  const connections = limitConnections(app, { connections: maxConnections, crowding, stallMs: limits.stallMs });
  const metrics = createMetrics(host, stream, laboratory, traces);
  addConnectionFigures(metrics, connections, tls);
  if (telemetry !== null) addSpanFigures(metrics, telemetry);
  const keys = new IdempotencyKeys();
  // One that was given has an end of its own.
  if (services.access === undefined) app.addHook('onClose', async () => access.close());

  // Before all that adds hooks: its own come first.
  await telemetry?.register(app);
  decorateOrigins(app);
  answerProblems(app);
  // Before all that may refuse an upgrade: it ends the connection of a refused one, which nobody else does.
  if (stream !== undefined) await app.register(fastifyWebsocket, websocketOptions(stream));
  logRequests(app, host);
  measureRequests(app, metrics);
  auditRequests(app, access);
  refuseWhenClosing(app, lifecycle);
  checkHosts(app, config);
  if (basePath !== '') answerOutside(app, basePath);
  if (corsOrigins.length > 0) await allowOrigins(app, corsOrigins);
  guard(app, access);
  limitBodyTime(app, limits.bodyMs);
  noteOrigins(app, host, telemetry);
  answerRetries(app, keys);
  await compressReplies(app);
  if (stream !== undefined) await registerStream(app, stream, streamDoor(access));
  await registerRoutes(app, {
    host,
    access,
    basePath,
    ...(laboratory === undefined ? {} : { laboratory }),
    ...(traces === undefined ? {} : { traces }),
    ...(services.traceWork === undefined ? {} : { traceWork: services.traceWork }),
    markOf: uploadMarkOf,
    opsOf: (view) => new KeyedOps(view, keys).apply,
  });
  registerHealth(app, { host, laboratory, metrics, lifecycle, basePath });
  await serveDocuments(app, basePath);
  await serveGuide(app, basePath);
  await serveDashboard(app, { basePath, ...(dashboard === undefined ? {} : { folder: dashboard }) });
  if (tls !== null) keepCertificate(app, tls, services.logger);
  await app.ready();
  return app;
}

function createServer({ config, logger, tls }: AppServices, limits: ServerLimits): FastifyInstance {
  const { trustProxy = [], basePath = '' } = config;
  // A request without Host is answered by us, as a problem.
  const http = {
    headersTimeout: limits.headersMs,
    connectionsCheckingInterval: CHECK_MS,
    maxHeaderSize: HEADER_BYTES,
    requireHostHeader: false,
  };
  const options = {
    ...(logger === undefined ? {} : { loggerInstance: logger }),
    genReqId: requestId,
    requestIdHeader: false,
    // Its own two lines a request are one of ours: see `request-log.ts`.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: LIMITS.bodyBytes,
    // Off: see `body-timeout.ts`.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    connectionTimeout: limits.stallMs,
    ...(trustProxy.length === 0 ? {} : { trustProxy }),
    ...(basePath === '' ? {} : { rewriteUrl: belowBasePath(basePath) }),
    routerOptions: { maxParamLength: LONGEST_PATH_PARAMETER },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => sendProblem(request, reply, reasonOf(error), error),
  } satisfies FastifyServerOptions;
  if (!tls) return fastify({ ...options, http });
  const { cert, key } = tls;
  return fastify({ ...options, https: { ...http, cert, key, handshakeTimeout: limits.headersMs } }) as never;
}

function keepCertificate(app: FastifyInstance, tls: TlsCertificate, logger: FastifyBaseLogger | undefined): void {
  tls.keep(app.server as unknown as HttpsServer, logger);
  app.addHook('onClose', async () => tls.close());
}

function refuseWhenClosing(app: FastifyInstance, lifecycle: Lifecycle): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (!lifecycle.closing || HEALTH_PATHS.has(request.url)) return done();
    const detail = 'The server is shutting down and takes no new requests.';
    done(new ProblemError({ code: 'shutting-down', detail }, { connection: 'close', 'retry-after': '5' }));
  });
}
