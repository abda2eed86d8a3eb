/**
 * OpenTelemetry traces, sent to a collector as OTLP over HTTP. Loaded only with `--otlp-endpoint`; without it none of these packages is.
 *
 * A span for each request (`@fastify/otel`), below it those of calls to session workers, of the worker's own part, and of waits for the
 * journal; runs and jobs of experiments, which outlive the request that asked for them, are traces of their own with a link to it.
 */
import { FastifyOtelInstrumentation } from '@fastify/otel';
import { context, type Span as OtelSpan, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  NodeTracerProvider,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { HEALTH_PATHS } from '../../routes/health.ts';
import { clientAddress } from '../access/client-address.ts';
import { ERRORS } from '../api/errors.ts';
import { version } from '../api/version.ts';
import type { Origin } from '../host/origin.ts';
import type { Attributes, PastSpan, Span, Tracing } from '../host/tracing.ts';
import type { SpanFigures, Telemetry } from './telemetry-port.ts';
import { QUEUE_BOUNDS, TelemetryQueue } from './telemetry-queue.ts';

export interface TelemetrySettings {
  /** Of the collector; `/v1/traces` is added. */
  endpoint: string;
  /** Share of the requests without a `traceparent` that are traced, 0 to 1; those with one do as it says. */
  ratio: number;
  logger: Logger;
}

const NAME = 'iommu-lab';
/** Of one export; the next waits for it. */
const EXPORT_MS = 10_000;

export function startTelemetry({ endpoint, ratio, logger }: TelemetrySettings): Telemetry {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_MS,
  });
  return new OpenTelemetry(exporter, ratio, logger);
}

class OpenTelemetry implements Telemetry {
  readonly tracing: Tracing;
  private readonly provider: NodeTracerProvider;
  private readonly queue: TelemetryQueue<ReadableSpan>;
  private readonly instrumentation: FastifyOtelInstrumentation;

  constructor(exporter: SpanExporter, ratio: number, logger: Logger) {
    const queue = new TelemetryQueue<ReadableSpan>((spans) => exported(exporter, spans), logger, QUEUE_BOUNDS);
    this.queue = queue;
    const processor: SpanProcessor = {
      onStart() {},
      onEnd: (span) => {
        if ((span.spanContext().traceFlags & 1) !== 0) queue.push(withoutRefusal(span));
      },
      forceFlush: () => queue.flush(),
      shutdown: async () => {
        await queue.close();
        // It waits for what is on its way, which has had its time.
        exporter.shutdown().catch(() => {});
      },
    };
    this.provider = new NodeTracerProvider({
      resource: resourceFromAttributes({ 'service.name': NAME, 'service.version': version }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
      spanProcessors: [processor],
    });
    this.provider.register();
    this.tracing = new Spans(this.provider);
    this.instrumentation = new FastifyOtelInstrumentation({
      // Hooks are the server's own business; the handler's context comes from `within`.
      instrumentHooks: false,
      instrumentHandler: false,
      recordExceptions: false,
      ignorePaths: ({ url }) => HEALTH_PATHS.has(url.split('?', 1)[0]!),
      requestHook: describe,
    });
    this.instrumentation.setTracerProvider(this.provider);
  }

  async register(app: FastifyInstance): Promise<void> {
    await app.register(this.instrumentation.plugin());
  }

  within(request: FastifyRequest, origin: Origin, then: () => void): void {
    const { span, context: own } = request.opentelemetry();
    if (span === null || span === undefined || own === null) {
      then();
      return;
    }
    origin.traceId = span.spanContext().traceId;
    span.setAttributes({
      'iommu_lab.request_id': origin.requestId,
      ...(origin.session !== null && { 'iommu_lab.session': origin.session }),
      ...(origin.principal !== null && { 'enduser.id': origin.principal }),
    });
    context.with(own, then);
  }

  figures(): SpanFigures {
    return this.queue.figures();
  }

  async close(): Promise<void> {
    await this.provider.shutdown();
  }
}

/** By the semantic conventions for HTTP servers; what stands behind `?` may be a secret. */
function describe(span: OtelSpan, request: FastifyRequest): void {
  const route = request.routeOptions.url;
  span.updateName(route === undefined ? request.method : `${request.method} ${route}`);
  const agent = request.headers['user-agent'];
  span.setAttributes({
    'url.path': request.originalUrl.split('?', 1)[0]!,
    'url.scheme': request.protocol,
    'server.address': request.hostname,
    'client.address': clientAddress(request),
    'network.protocol.version': request.raw.httpVersion,
    ...(agent !== undefined && { 'user_agent.original': agent.slice(0, 256) }),
  });
}

/** The plugin calls every problem an error; by the conventions those of the client are none of a server's span. */
function withoutRefusal(span: ReadableSpan): ReadableSpan {
  const status = span.attributes['http.response.status_code'];
  const refused = span.kind === SpanKind.SERVER && typeof status === 'number' && status < 500;
  return refused && span.status.code === SpanStatusCode.ERROR
    ? Object.create(span, { status: { value: { code: SpanStatusCode.UNSET } } })
    : span;
}

function exported(exporter: SpanExporter, spans: ReadableSpan[]): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export(spans, ({ code, error }) => {
      if (code === 0) resolve();
      else reject(error ?? new Error('the collector refused them'));
    });
  });
}

/** The host's port, on the API of OpenTelemetry. */
class Spans implements Tracing {
  private readonly tracer: ReturnType<NodeTracerProvider['getTracer']>;

  constructor(provider: NodeTracerProvider) {
    this.tracer = provider.getTracer(NAME, version);
  }

  current(): string | null {
    const span = trace.getActiveSpan();
    return span?.isRecording() === true ? contextOf(span) : null;
  }

  begin(name: string, attributes: Attributes): Span | null {
    if (this.current() === null) return null;
    return this.opened(this.tracer.startSpan(name, { attributes, kind: SpanKind.INTERNAL }));
  }

  beginApart(name: string, link: string | null, attributes: Attributes): Span | null {
    return this.opened(this.tracer.startSpan(name, { attributes, root: true, links: linksTo(link) }));
  }

  past({ name, attributes, parent, link = null, fromMs, toMs, code }: PastSpan): void {
    const of = parent === undefined ? null : spanContext(parent);
    const within = of === null ? context.active() : trace.setSpanContext(context.active(), of);
    const options = { attributes, startTime: fromMs, links: linksTo(link), root: of === null };
    const span = this.tracer.startSpan(name, options, within);
    settle(span, code);
    // No earlier than it began, though clocks of threads may differ by a little.
    span.end(Math.max(fromMs, toMs));
  }

  private opened(span: OtelSpan): Span | null {
    if (!span.isRecording()) return null;
    return {
      context: contextOf(span),
      end(code) {
        settle(span, code);
        span.end();
      },
    };
  }
}

/** What was refused, or failed as the simulated kernel may, is no error of ours. */
function settle(span: OtelSpan, code: string | null): void {
  if (code === null) return;
  span.setAttribute('error.type', code);
  const status = ERRORS[code]?.status ?? 500;
  if (status >= 500 && status !== 507) span.setStatus({ code: SpanStatusCode.ERROR, message: code });
}

function contextOf(span: OtelSpan): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function spanContext(traceparent: string) {
  const [, traceId = '', spanId = '', flags = '00'] = traceparent.split('-');
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: false };
}

function linksTo(link: string | null) {
  return link === null ? [] : [{ context: spanContext(link) }];
}
