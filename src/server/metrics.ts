/** The server's own metrics for Prometheus. Nothing is counted on a simulated path: the host's figures are read at each scrape. */
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { SessionHost } from '../host/host.ts';
import type { Laboratory } from '../lab/laboratory.ts';
import type { StreamHub } from '../stream/hub.ts';
import type { TraceArchive } from '../trace/archive/archive.ts';
import type { ConnectionFigures } from './connections.ts';
import type { Telemetry } from './telemetry-port.ts';
import type { TlsCertificate } from './tls.ts';

/** Seconds. Single operations take well below a millisecond, `ops` may take minutes. */
const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
/** Gauges that prom-client names like counters, which `promtool check metrics` refuses. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

type HostFigures = Pick<SessionHost, 'status'>;
type StreamFigures = Pick<StreamHub, 'status'>;
type LabFigures = Pick<Laboratory, 'status'>;
type TraceFigures = Pick<TraceArchive, 'status'>;

export function createMetrics(
  host: HostFigures,
  stream?: StreamFigures,
  laboratory?: LabFigures,
  traces?: TraceFigures,
): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  addHostFigures(registry, host);
  if (stream !== undefined) addStreamFigures(registry, stream);
  if (laboratory !== undefined) addLabFigures(registry, laboratory);
  if (traces !== undefined) addTraceFigures(registry, traces);
  return registry;
}

function addHostFigures(registry: Registry, host: HostFigures): void {
  gauge(registry, 'iommu_lab_sessions', 'Sessions that exist.', () => host.status().sessions);
  gauge(registry, 'iommu_lab_sessions_awake', 'Sessions that are in a worker.', () => host.status().awake);
  gauge(
    registry,
    'iommu_lab_sessions_recovering',
    'Sessions on their way back after a worker or the server ended under them.',
    () => host.status().recovering,
  );
  gauge(
    registry,
    'iommu_lab_storage_writable',
    '1, or 0 while nothing can be written to the data folder and nothing may be changed.',
    () => (host.status().storageTrouble === null ? 1 : 0),
  );
  gauge(registry, 'iommu_lab_workers', 'Worker threads that there should be.', () => host.status().workers);
  gauge(registry, 'iommu_lab_workers_alive', 'Worker threads that answer.', () => host.status().workersAlive);
  gauge(registry, 'iommu_lab_active_runs', 'Runs that have begun and not ended.', () => host.status().activeRuns);
  gauge(
    registry,
    'iommu_lab_sessions_paused',
    'Sessions that a quota keeps from going on.',
    () => host.status().paused,
  );
  gauge(
    registry,
    'iommu_lab_stored_bytes',
    'Bytes that are kept of all sessions: specs, journals, images, snapshots.',
    () => host.status().storedBytes,
  );
  counter(
    registry,
    'iommu_lab_sessions_expired_total',
    'Sessions that were deleted at the instant that they were to expire at.',
    () => host.status().expired,
  );
  gauge(registry, 'iommu_lab_pending_calls', 'Calls to workers without a reply yet.', () => host.status().pendingCalls);
}

function addLabFigures(registry: Registry, lab: LabFigures): void {
  const status = () => lab.status();
  gauge(registry, 'iommu_lab_experiments', 'Experiments on record.', () => status().experiments);
  gauge(registry, 'iommu_lab_experiments_active', 'Experiments that have not ended.', () => status().active);
  gauge(registry, 'iommu_lab_jobs_queued', 'Jobs of experiments that wait.', () => status().queued);
  gauge(registry, 'iommu_lab_jobs_running', 'Jobs of experiments that are computed.', () => status().running);
  gauge(registry, 'iommu_lab_results_bytes', 'Bytes that are kept of results of jobs.', () => status().storedBytes);
  counter(registry, 'iommu_lab_jobs_finished_total', 'Jobs that have a result.', () => status().finished);
  counter(registry, 'iommu_lab_jobs_failed_total', 'Jobs that have none and will not.', () => status().failed);
  counter(
    registry,
    'iommu_lab_jobs_cached_total',
    'Jobs whose result was there, because the same had been computed before.',
    () => status().cached,
  );
}

function addTraceFigures(registry: Registry, traces: TraceFigures): void {
  const status = () => traces.status();
  gauge(registry, 'iommu_lab_traces', 'Traces on record.', () => status().traces);
  gauge(registry, 'iommu_lab_traces_uploading', 'Traces whose bytes are not all there.', () => status().uploading);
  gauge(
    registry,
    'iommu_lab_traces_reading',
    'Traces that are there and not read to their end.',
    () => status().reading,
  );
  gauge(registry, 'iommu_lab_trace_uploads', 'Bodies of recordings that arrive now.', () => status().uploads);
  gauge(registry, 'iommu_lab_trace_readers', 'Threads that read recordings.', () => status().readers);
  gauge(
    registry,
    'iommu_lab_trace_readers_waiting',
    'Recordings that wait for a thread, or for bytes.',
    () => status().queued,
  );
  gauge(
    registry,
    'iommu_lab_traces_stored_bytes',
    'Bytes on the disk of uploads and tapes.',
    () => status().storedBytes,
  );
  counter(
    registry,
    'iommu_lab_trace_received_bytes_total',
    'Bytes of recordings that arrived, packed as they came.',
    () => status().receivedBytes,
  );
  counter(registry, 'iommu_lab_trace_lines_total', 'Lines of recordings that were read.', () => status().readLines);
  counter(registry, 'iommu_lab_trace_events_total', 'Events that were made of them.', () => status().readEvents);
  counter(registry, 'iommu_lab_trace_failures_total', 'Recordings that could not be read.', () => status().failures);
}

/** How connections fare, and until when the certificate is good. */
export function addConnectionFigures(
  registry: Registry,
  connections: ConnectionFigures,
  tls: TlsCertificate | null,
): void {
  gauge(registry, 'iommu_lab_connections', 'Open connections, streams included.', () => connections.open);
  counter(
    registry,
    'iommu_lab_connections_refused_total',
    'Connections that were not taken, because there were as many as there may be, of all or of their address.',
    () => connections.refused,
  );
  counter(
    registry,
    'iommu_lab_connections_stalled_total',
    'Connections that were ended, because the client did not read its reply.',
    () => connections.stalled,
  );
  if (tls !== null)
    gauge(
      registry,
      'iommu_lab_tls_certificate_expiry_timestamp_seconds',
      'When the certificate in use ends.',
      () => tls.expiresMs / 1000,
    );
}

/** Of the traces' way to their collector. */
export function addSpanFigures(registry: Registry, telemetry: Pick<Telemetry, 'figures'>): void {
  const figures = () => telemetry.figures();
  gauge(registry, 'iommu_lab_trace_spans_queued', 'Spans that wait to be sent.', () => figures().queued);
  counter(registry, 'iommu_lab_trace_spans_exported_total', 'Spans that the collector took.', () => figures().exported);
  counter(
    registry,
    'iommu_lab_trace_spans_dropped_total',
    'Spans that were thrown away: the collector did not take them, or too many waited.',
    () => figures().dropped,
  );
  counter(
    registry,
    'iommu_lab_trace_export_failures_total',
    'Batches of spans that the collector did not take.',
    () => figures().failures,
  );
}

function addStreamFigures(registry: Registry, stream: StreamFigures): void {
  gauge(registry, 'iommu_lab_stream_subscribers', 'Open streams.', () => stream.status().sockets);
  gauge(
    registry,
    'iommu_lab_stream_history_bytes',
    'Frames kept for those who come back.',
    () => stream.status().historyBytes,
  );
  counter(
    registry,
    'iommu_lab_stream_frames_sent_total',
    'Frames sent to subscribers.',
    () => stream.status().framesSent,
  );
  counter(
    registry,
    'iommu_lab_stream_sent_bytes_total',
    'Bytes of frames sent to subscribers.',
    () => stream.status().bytesSent,
  );
  counter(
    registry,
    'iommu_lab_stream_frames_coalesced_total',
    'Metrics frames that a slow subscriber got as part of a later one.',
    () => stream.status().coalesced,
  );
  counter(
    registry,
    'iommu_lab_stream_frames_lost_total',
    'Frames that a subscriber was told it missed.',
    () => stream.status().lost,
  );
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** Of a figure that is counted elsewhere and never falls. */
function counter(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

/** Durations by route pattern, never by path: a session's id in a label would make a series for each session. */
export function measureRequests(app: FastifyInstance, registry: Registry): void {
  const durations = new Histogram({
    name: 'iommu_lab_http_request_duration_seconds',
    help: 'Time from the request headers to the end of the reply.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS,
    registers: [registry],
  });
  /** "POST 200 /v1/sessions" -> its series: prom-client checks and hashes the labels anew with each observation. */
  const series = new Map<string, Pick<Histogram.Internal<string>, 'observe'>>();
  app.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const route = request.routeOptions.url ?? 'none';
    const status = reply.statusCode;
    const key = `${method} ${status} ${route}`;
    let known = series.get(key);
    if (known === undefined) series.set(key, (known = durations.labels(method, route, String(status))));
    known.observe(reply.elapsedTime / 1000);
    done();
  });
}
