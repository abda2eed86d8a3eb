/** All routes of the contract but those that the server answers by itself: health, documents and the stream. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AccessControl } from '../src/access/control.ts';
import { guard, whoOf } from '../src/access/guard.ts';
import type { TraceView } from '../src/access/traces.ts';
import { type ContractOperation, contractOperations, resolved } from '../src/api/contract.ts';
import type { SessionHost } from '../src/host/host.ts';
import type { KeyMark } from '../src/host/retry.ts';
import type { Laboratory } from '../src/lab/laboratory.ts';
import { createLaboratory } from '../src/lab/local-laboratory.ts';
import { ThreadPool } from '../src/lab/pool.ts';
import { Analyses } from '../src/trace/analyses/analyses.ts';
import { TraceArchive } from '../src/trace/archive/archive.ts';
import { Exports } from '../src/trace/export/exports.ts';
import type { TraceWorkLimits } from '../src/trace/work-limits.ts';
import { accessHandlers } from './access.ts';
import { settleBody, takeJson, takeStreams } from './bodies.ts';
import { bufferHandlers } from './buffers.ts';
import { catalogHandlers } from './catalog.ts';
import { registerContractRoutes } from './contract-routes.ts';
import { deviceHandlers } from './devices.ts';
import { domainHandlers } from './domains.ts';
import { experimentHandlers } from './experiments.ts';
import type { Handlers } from './handlers.ts';
import { historyHandlers } from './history.ts';
import { inspectionHandlers } from './inspection.ts';
import { kernelFileHandlers } from './kernel-files.ts';
import { mappingHandlers } from './mappings.ts';
import { metricsHandlers } from './metrics.ts';
import { type ApplyOps, operationHandlers } from './operations.ts';
import { answerProblems } from './problem-replies.ts';
import { runHandlers } from './runs.ts';
import { sessionHandlers } from './sessions.ts';
import { snapshotHandlers } from './snapshots.ts';
import { tenantHandlers } from './tenants.ts';
import { analysisHandlers } from './trace-analyses.ts';
import { takeRecordings, traceHandlers } from './traces.ts';
import { versionHandlers } from './version.ts';
import { workloadHandlers } from './workloads.ts';

export interface RouteServices {
  host: SessionHost;
  /** Absent: one that keeps its experiments in memory, and ends with the app. */
  laboratory?: Laboratory;
  /** Absent: one that keeps its traces in a folder that ends with the app. */
  traces?: TraceArchive;
  /** What exports and analyses may take; absent: as much as usual. */
  traceWork?: TraceWorkLimits;
  /** What the `Idempotency-Key` of a request is kept under; absent: keys are not looked at. */
  markOf?: (request: FastifyRequest) => KeyMark | null;
  /** Stands between the route of `ops` and the host; the host itself when absent. */
  opsOf?: (host: SessionHost) => ApplyOps;
  /** Who sees which sessions; its guard is in place. Absent: everybody sees all. */
  access?: AccessControl;
  /** What clients have to put before all paths; the request has it in `originalUrl` only. */
  basePath?: string;
}

/** Registers them, and the problem replies of the whole `app`. */
export async function registerRoutes(app: FastifyInstance, services: RouteServices): Promise<void> {
  const { host, opsOf, access = openAccess(app, host), basePath = '', traceWork = {} } = services;
  const traces = services.traces ?? ownArchive(app);
  const laboratory = services.laboratory ?? ownLaboratory(app, traces.folder);
  traces.govern((owner) => access.quotasOf(owner));
  host.listen({ frames() {}, epoch() {}, failed() {}, deleted: (session) => traces.sessionDeleted(session) });
  const exports = new Exports(traces.folder, traceWork.exports);
  const analyses = new Analyses(traceWork.analyses);
  const handlers: Handlers = {
    ...versionHandlers(basePath, traces.limits, exports.limits, analyses.limits),
    ...handlersOf(host, access, opsOf, (request) => access.tracesOf(whoOf(request), traces), exports),
    ...accessHandlers(access, laboratory, traces),
    ...experimentHandlers(
      (request) => access.experimentsOf(whoOf(request), laboratory),
      (request) => access.tracesOf(whoOf(request), traces),
    ),
    ...analysisHandlers((request) => access.tracesOf(whoOf(request), traces), analyses),
    ...traceHandlers((request) => access.tracesOf(whoOf(request), traces), services.markOf ?? (() => null)),
  };

  const operations = contractOperations.filter((operation) => operation.routed);
  refuseOrphans(operations, handlers);
  const streamed = operations.filter(isStreamed);
  const recordings = operations.filter(({ written }) => written['x-raw-body'] === true);
  const plain = operations.filter((operation) => !isStreamed(operation) && !recordings.includes(operation));

  answerProblems(app);
  await app.register(async (scope) => {
    takeJson(scope);
    scope.addHook('preValidation', settleBody);
    registerContractRoutes(scope, plain, handlers);
  });
  await app.register(async (scope) => {
    takeStreams(scope);
    registerContractRoutes(scope, streamed, handlers);
  });
  await app.register(async (scope) => {
    takeRecordings(scope);
    registerContractRoutes(scope, recordings, handlers);
  });
}

/** Each request is handled on the sessions as they are for whoever asks. */
function handlersOf(
  host: SessionHost,
  access: AccessControl,
  opsOf: RouteServices['opsOf'],
  traces: (request: FastifyRequest) => TraceView,
  exports: Exports,
): Handlers {
  const byView = new WeakMap<SessionHost, Handlers>();
  const viewed = (request: FastifyRequest): Handlers => {
    const view = access.viewOf(whoOf(request));
    let own = byView.get(view);
    if (own === undefined) byView.set(view, (own = sessionsOf(view, opsOf, traces, exports)));
    return own;
  };
  const handlers: Handlers = { ...catalogHandlers() };
  for (const operationId of Object.keys(sessionsOf(host, opsOf, traces, exports)))
    handlers[operationId] = (request, reply) => viewed(request)[operationId]!(request, reply);
  return handlers;
}

function ownLaboratory(app: FastifyInstance, traces: string): Laboratory {
  const laboratory = createLaboratory({ runner: new ThreadPool({ traces }) });
  app.addHook('onClose', () => laboratory.close());
  return laboratory;
}

function ownArchive(app: FastifyInstance): TraceArchive {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-traces-'));
  const traces = new TraceArchive({ folder });
  app.addHook('onClose', async () => {
    await traces.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return traces;
}

/** Everybody is `local` and sees all. */
function openAccess(app: FastifyInstance, host: SessionHost): AccessControl {
  const access = new AccessControl({ host });
  guard(app, access);
  app.addHook('onClose', async () => access.close());
  return access;
}

/** Everything about sessions. */
function sessionsOf(
  host: SessionHost,
  opsOf: RouteServices['opsOf'],
  traces: (request: FastifyRequest) => TraceView,
  exports: Exports,
): Handlers {
  return {
    ...sessionHandlers(host, traces),
    ...tenantHandlers(host),
    ...domainHandlers(host),
    ...deviceHandlers(host),
    ...bufferHandlers(host),
    ...mappingHandlers(host),
    ...workloadHandlers(host, traces),
    ...operationHandlers(host, opsOf?.(host)),
    ...runHandlers(host),
    ...snapshotHandlers(host),
    ...historyHandlers(host, exports),
    ...metricsHandlers(host),
    ...inspectionHandlers(host),
    ...kernelFileHandlers(host),
  };
}

/** Bodies that are read line by line have an `x-line-schema` in the contract in the place of a schema. */
function isStreamed({ written }: ContractOperation): boolean {
  const { content = {} } = resolved(written.requestBody ?? {}) as { content?: Record<string, object> };
  return Object.values(content).some((type) => 'x-line-schema' in type);
}

/** A handler whose operation is not in the contract would never be called. */
function refuseOrphans(operations: readonly ContractOperation[], handlers: Handlers): void {
  const known = new Set(operations.map((operation) => operation.operationId));
  const orphans = Object.keys(handlers).filter((operationId) => !known.has(operationId));
  if (orphans.length > 0) throw new Error(`handlers without an operation in the contract: ${orphans.join(', ')}`);
}
