/** The server, from its settings to its end. */
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { AuditLog } from './access/audit.ts';
import { tokenCommand } from './access/command-line.ts';
import { AccessControl, type AccessSettings } from './access/control.ts';
import { type AccessStore, folderHasTokens, openAccessStore } from './access/store.ts';
import { type Config, readConfig } from './config.ts';
import type { SessionHost } from './host/host.ts';
import { JournalError } from './host/journal/journal-error.ts';
import type { OwnerQuotas } from './host/quotas.ts';
import { createHost } from './host/session-host.ts';
import { UNTRACED } from './host/tracing.ts';
import type { Laboratory } from './lab/laboratory.ts';
import { createLaboratory } from './lab/local-laboratory.ts';
import { ThreadPool } from './lab/pool.ts';
import { clientName, createQueueRunner } from './lab/queue/queue-runner.ts';
import { ExperimentStore, StoreError } from './lab/store.ts';
import { buildApp } from './server/app.ts';
import { type DataFolder, openDataFolder } from './server/data-folder.ts';
import { firstCurl, secondCurl } from './server/front-page.ts';
import { closeOnSignals, type Lifecycle } from './server/lifecycle.ts';
import { listen } from './server/listen.ts';
import { createLogger } from './server/request-log.ts';
import type { Telemetry } from './server/telemetry-port.ts';
import { TlsCertificate } from './server/tls.ts';
import { createStream } from './stream/hub.ts';
import { TraceArchive } from './trace/archive/archive.ts';
import { tracesFolder } from './trace/archive/uses.ts';
import { TraceStore, StoreError as TraceStoreError } from './trace/store.ts';
import type { TraceWorkLimits } from './trace/work-limits.ts';

// `npm start -- token ...` works on the data folder, whether or not a server runs there, and starts none.
if (process.argv[2] === 'token') process.exit(tokenCommand(process.argv.slice(3), process.env));

const config = settings();
const folder = takeDataFolder(config);
const store = openTokens(config);
const logger = createLogger(config.logLevel);
const lifecycle: Lifecycle = { closing: false };
const telemetry = await openTelemetry(config);
const host = await openHost(config);
const laboratory = await openLaboratory(config);
const traces = await openTraces(config);
const stream = createStream(host);
const audit = new AuditLog(config.data, {}, (error) => logger.error({ err: error }, 'the audit log cannot be written'));
const access = new AccessControl({ host, store, audit, logger, settings: accessSettings(config) });
const tls = certificate(config);
const app = await buildApp({
  config,
  host,
  laboratory,
  traces,
  stream,
  lifecycle,
  access,
  logger,
  tls,
  telemetry,
  traceWork: traceWorkOf(config),
});
const address = await open(app);
folder.announce(address);
closeOnSignals({
  lifecycle,
  app,
  host,
  laboratory,
  telemetry,
  traces,
  logger,
  release,
  ...(tls === null ? {} : { hangUp: () => tls.reload() }),
});
greet(address);

function settings(): Config {
  const reading = readConfig(process.argv.slice(2), process.env, folderHasTokens);
  if (reading.kind === 'text') {
    process.stdout.write(reading.text);
    process.exit(0);
  }
  if (reading.kind === 'problems') return refuse(...reading.problems);
  for (const warning of reading.warnings) console.error(`iommu-lab: ${warning}`);
  return reading.config;
}

function openTokens({ data }: Config): AccessStore {
  try {
    return openAccessStore(data);
  } catch (error) {
    folder.release();
    return refuse((error as Error).message);
  }
}

/** Was checked with the settings. */
function certificate({ tlsCert, tlsKey }: Config): TlsCertificate | null {
  return tlsCert === null || tlsKey === null ? null : new TlsCertificate({ cert: tlsCert, key: tlsKey });
}

function accessSettings(settings: Config): AccessSettings {
  const { auth, requestsPerSecond, opsPerSecond, maxOpsRequests, maxSessions, maxStreams, maxRuns } = settings;
  const { maxExperiments: experiments, maxTraces: traces, maxTraceMib } = settings;
  const { failedAuthPerMinute } = settings;
  const { maxStoredMib, maxComputeSeconds, maxSessionComputeSeconds, maxFrames, maxMappings, maxRunEvents } = settings;
  const counts = {
    opsRequests: maxOpsRequests,
    sessions: maxSessions,
    streams: maxStreams,
    runs: maxRuns,
    experiments,
    traces,
  };
  const quotas: { [name in keyof OwnerQuotas]: number | null } = {
    storedBytes: maxStoredMib === null ? null : maxStoredMib * 1024 * 1024,
    computeSeconds: maxComputeSeconds,
    sessionComputeSeconds: maxSessionComputeSeconds,
    frames: maxFrames,
    mappings: maxMappings,
    sessionMemoryMib: settings.maxSessionMemoryMib,
    runEvents: maxRunEvents,
  };
  const traceBytes = maxTraceMib === null ? null : maxTraceMib * 1024 * 1024;
  const given = { requestsPerSecond, opsPerSecond, ...counts, ...quotas, traceBytes };
  const limits = Object.fromEntries(Object.entries(given).filter(([, limit]) => limit !== null));
  return { required: auth === 'required', limits, failedAuthPerMinute };
}

function release(): void {
  access.close();
  folder.release();
}

function takeDataFolder({ data, port }: Config): DataFolder {
  const opening = openDataFolder(data);
  if (opening.ok) return opening.folder;
  const { problem, holder } = opening;
  if (holder === null) return refuse(`${problem} Choose another one with --data <folder>.`);
  const samePort = port !== 0 && new RegExp(`:${port}(/|$)`).test(holder.address ?? '');
  return refuse(
    `${problem} ${samePort ? `Port ${port} is taken by it, too. ` : ''}Use that server, stop it, or start this one with --data <another folder> --port <another port>.`,
  );
}

/** Loaded only where traces are wanted: it is some hundred modules. */
async function openTelemetry({ otlpEndpoint: endpoint, otlpPercent }: Config): Promise<Telemetry | null> {
  if (endpoint === null) return null;
  const { startTelemetry } = await import('./server/telemetry.ts');
  return startTelemetry({ endpoint, ratio: otlpPercent / 100, logger });
}

async function openHost(settings: Config): Promise<SessionHost> {
  const { data, sync, workers, maxSessionsTotal: sessions, maxAwake: awakeSessions, restAfter } = settings;
  try {
    const journal = { path: join(data, 'sessions.sqlite'), sync };
    const limits = { sessions, awakeSessions, idleMs: restAfter * 1000 };
    const tracing = telemetry?.tracing ?? UNTRACED;
    const traces = tracesFolder(data);
    return await createHost({ logger, journal, limits, tracing, traces, ...(workers === null ? {} : { workers }) });
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    folder.release();
    return refuse(
      `The sessions in ${data} cannot be read. ${error.message} Restore the folder from a copy, or start with --data <another folder>.`,
    );
  }
}

async function openLaboratory({ data, labWorkers, labResultsMib, redis }: Config): Promise<Laboratory> {
  const tracing = telemetry?.tracing ?? UNTRACED;
  try {
    const store = new ExperimentStore(join(data, 'experiments.sqlite'), labResultsMib * 1024 * 1024);
    if (redis === null) {
      const pool = new ThreadPool({
        traces: tracesFolder(data),
        ...(labWorkers === null ? {} : { width: labWorkers }),
      });
      return createLaboratory({ store, logger, tracing, runner: pool });
    }
    const runner = await createQueueRunner({ redis, name: clientName(data), logger });
    const desk = new ThreadPool({ width: 0, traces: tracesFolder(data) });
    return createLaboratory({ store, logger, tracing, runner, desk });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    await host.close();
    folder.release();
    return refuse(`The experiments in ${data} cannot be read. ${error.message}`);
  }
}

async function openTraces({ data, traceUploadMib, tracesMib, traceReaders }: Config): Promise<TraceArchive> {
  const mib = 1024 * 1024;
  try {
    const limits = { uploadBytes: traceUploadMib * mib, storedBytes: tracesMib * mib, readers: traceReaders };
    const store = new TraceStore(join(data, 'traces.sqlite'));
    const hasSession = (session: string) => host.ownerOf(session) !== null;
    return new TraceArchive({ folder: tracesFolder(data), store, limits, logger, hasSession });
  } catch (error) {
    if (!(error instanceof TraceStoreError)) throw error;
    await laboratory.close();
    await host.close();
    folder.release();
    return refuse(`The traces in ${data} cannot be read. ${error.message}`);
  }
}

function traceWorkOf(settings: Config): TraceWorkLimits {
  return {
    exports: {
      exports: settings.traceExports,
      heapMib: settings.traceExportHeapMib,
      wholeMs: settings.traceExportSeconds * 1000,
    },
    analyses: {
      analyses: settings.traceAnalyses,
      heapMib: settings.traceAnalysisHeapMib,
      wholeMs: settings.traceAnalysisSeconds * 1000,
    },
  };
}

async function open(server: FastifyInstance): Promise<string> {
  const opening = await listen(server, config);
  if (opening.ok) return opening.address;
  folder.release();
  return refuse(opening.problem);
}

function greet(at: string): void {
  const tokens = access.required ? '\nRequests need a token: add -H "authorization: Bearer $TOKEN".' : '';
  console.log(`iommu-lab listens on ${at} and keeps its data in ${config.data}${tokens}
Create a session, then run a millisecond of its traffic:
  ${firstCurl(at)}
  ${secondCurl(at)}
Dashboard: ${at}/   Guide: ${at}/guide/   API reference: ${at}/docs/   Ctrl-C stops the server.`);
}

/** The start is refused: what is wrong, a line each, and no stack trace, as it is not a bug. */
function refuse(...problems: string[]): never {
  for (const problem of problems) console.error(`iommu-lab: ${problem}`);
  process.exit(1);
}
