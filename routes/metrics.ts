/**
 * `/v1/sessions/{session}/metrics`: one document, as JSON or in the text forms that Prometheus reads, under our names or a vendor's;
 * `/v1/prometheus/targets`: which sessions there are to scrape, as Prometheus' discovery over HTTP asks for it.
 */
import type { FastifyRequest } from 'fastify';
import { preferredType } from '../src/api/accept.ts';
import type { Vendor } from '../src/api/metric-names.ts';
import { metricsTable, TABLE_TYPES, type TableForm } from '../src/api/metrics-tables.ts';
import { exposition, OPENMETRICS_TYPE, PROMETHEUS_TEXT_TYPE, vendorExposition } from '../src/api/openmetrics.ts';
import { ProblemError } from '../src/api/problem.ts';
import type { Scraped, SessionHost } from '../src/host/host.ts';
import type { SessionFilter } from '../src/host/session-filter.ts';
import { type Handlers, orProblem, pathOf, read } from './handlers.ts';

interface Asked {
  /** `lab`: ours. */
  names?: Vendor | 'lab';
  wake?: boolean;
  format?: TableForm;
}

interface TargetsAsked extends Pick<SessionFilter, 'name' | 'state'> {
  awake?: boolean;
  limit?: number;
}

/** In order of preference where the client has none. The text forms are for those who ask for them by name. */
const FORMS = [
  { type: 'application/json', byName: false },
  { type: 'application/openmetrics-text', byName: true },
  { type: 'text/plain', byName: true },
  ...Object.values(TABLE_TYPES).map((type) => ({ type, byName: true })),
];
/** Where there is no JSON to choose: names, and what must not wake a session, are of the text forms. */
const TEXT_FORMS = [
  { type: 'text/plain', byName: false },
  { type: 'application/openmetrics-text', byName: false },
];
const MOST_TARGETS = 1000;
const TABLES = new Map<string, TableForm>(Object.entries(TABLE_TYPES).map(([form, type]) => [type, form as TableForm]));

export function metricsHandlers(host: SessionHost): Handlers {
  return {
    async getMetrics(request, reply) {
      const { session } = request.params as { session: string };
      const { names, wake, format } = request.query as Asked;
      const textOnly = names !== undefined || wake !== undefined;
      if (textOnly && format !== undefined) throw noTable();
      const forms = textOnly ? TEXT_FORMS : FORMS;
      const form = format === undefined ? preferredType(request.headers.accept, forms) : TABLE_TYPES[format];
      reply.header('vary', 'accept');
      if (form === null) {
        const offered = forms.map(({ type }) => type).join(', ');
        throw new ProblemError({ code: 'not-acceptable', detail: `metrics come as ${offered}` });
      }
      if (form === 'application/json') return read(host, session, { read: 'metrics' });
      const table = TABLES.get(form);
      if (table !== undefined) {
        const metrics = await read(host, session, { read: 'metrics' });
        const { id } = orProblem(await host.get(session));
        reply.type(table === 'csv' ? `${form}; charset=utf-8` : form);
        const content = await metricsTable(metrics, id, table);
        return typeof content === 'string' ? content : Buffer.from(content);
      }
      const scraped = orProblem(await host.scrape(session, wake !== false));
      const openMetrics = form === 'application/openmetrics-text';
      reply.type(openMetrics ? OPENMETRICS_TYPE : PROMETHEUS_TEXT_TYPE);
      const meters = described(scraped);
      // The label is the id, also where the request used the name: names change.
      if (names === undefined || names === 'lab') return exposition(meters, scraped.id, openMetrics);
      return vendorExposition(meters, scraped.id, names, openMetrics);
    },

    async listPrometheusTargets(request) {
      const { awake = true, limit = MOST_TARGETS, ...filter } = request.query as TargetsAsked;
      const base = pathOf(request).slice(0, -'/v1/prometheus/targets'.length);
      return host.idsOf({ filter, awake, limit }).map((id) => target(request, base, id));
    },
  };
}

function noTable(): ProblemError {
  const message = 'names and wake are of the text forms, and a table has neither';
  return new ProblemError({
    code: 'invalid-query',
    detail: `?format: ${message}`,
    errors: [{ path: '?format', message }],
  });
}

/** What was read, and what the host knows of the session beside it. */
function described({ name, spec, meters }: Scraped): Record<string, unknown> {
  if (meters === null) return { awake: 0 };
  const { policy, costs, seed } = spec as {
    policy?: { mode?: string; allocator?: { kind?: string }; invalidation?: { kind?: string } };
    costs?: { profile?: string };
    seed?: number;
  };
  const session = {
    one: 1,
    name: name ?? '',
    mode: policy?.mode,
    allocator: policy?.allocator?.kind,
    invalidation: policy?.invalidation?.kind,
    profile: costs?.profile,
    seed,
  };
  return { awake: 1, session: [session], ...meters };
}

/**
 * One to an id: a group of targets shares its labels. Prometheus asks at the address at which it asked for this; a scrape by it neither
 * wakes a session nor keeps it awake.
 */
function target({ host: address, protocol }: FastifyRequest, base: string, id: string): object {
  return {
    targets: [address],
    labels: {
      __scheme__: protocol === 'https' ? 'https' : 'http',
      __metrics_path__: `${base}/v1/sessions/${id}/metrics`,
      __param_wake: 'false',
      instance: id,
    },
  };
}
