/** `/v1/sessions/{session}/metrics`: one document, as JSON or in the text forms that Prometheus reads. */
import { preferredType } from '../src/api/accept.ts';
import { metricsTable, TABLE_TYPES, type TableForm } from '../src/api/metrics-tables.ts';
import { exposition, OPENMETRICS_TYPE, PROMETHEUS_TEXT_TYPE } from '../src/api/openmetrics.ts';
import { ProblemError } from '../src/api/problem.ts';
import type { SessionHost } from '../src/host/host.ts';
import { type Handlers, orProblem, read } from './handlers.ts';

/** In order of preference where the client has none. The text forms are for those who ask for them by name. */
const FORMS = [
  { type: 'application/json', byName: false },
  { type: 'application/openmetrics-text', byName: true },
  { type: 'text/plain', byName: true },
  ...Object.values(TABLE_TYPES).map((type) => ({ type, byName: true })),
];
const TABLES = new Map<string, TableForm>(Object.entries(TABLE_TYPES).map(([form, type]) => [type, form as TableForm]));

export function metricsHandlers(host: SessionHost): Handlers {
  return {
    async getMetrics(request, reply) {
      const { session } = request.params as { session: string };
      const { format } = request.query as { format?: TableForm };
      const form = format === undefined ? preferredType(request.headers.accept, FORMS) : TABLE_TYPES[format];
      reply.header('vary', 'accept');
      if (form === null) {
        const forms = FORMS.map(({ type }) => type).join(', ');
        throw new ProblemError({ code: 'not-acceptable', detail: `metrics come as ${forms}` });
      }
      const metrics = await read(host, session, { read: 'metrics' });
      if (form === 'application/json') return metrics;
      // The label is the id, also where the request used the name: names change.
      const { id } = orProblem(await host.get(session));
      const table = TABLES.get(form);
      if (table !== undefined) {
        reply.type(table === 'csv' ? `${form}; charset=utf-8` : form);
        const content = await metricsTable(metrics, id, table);
        return typeof content === 'string' ? content : Buffer.from(content);
      }
      const openMetrics = form === 'application/openmetrics-text';
      reply.type(openMetrics ? OPENMETRICS_TYPE : PROMETHEUS_TEXT_TYPE);
      return exposition(metrics, id, openMetrics);
    },
  };
}
