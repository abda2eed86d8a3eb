/** `/v1/experiments`: what is varied, run and compared. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ExperimentView } from '../src/access/experiments.ts';
import type { TraceView } from '../src/access/traces.ts';
import { type Form, preferredType } from '../src/api/accept.ts';
import { type PageQuery, pageOf } from '../src/api/page.ts';
import { ProblemError } from '../src/api/problem.ts';
import type { ExperimentInput, ExperimentState } from '../src/lab/experiment.ts';
import type { RenderForm } from '../src/lab/laboratory.ts';
import { CONTENT_SECURITY_POLICY } from '../src/lab/report/style.ts';
import { created, type Handlers, linked, orProblem, PAGE_QUERY } from './handlers.ts';
import { withRecordings } from './replays.ts';

interface ExperimentPath {
  experiment: string;
}

const DEFAULT_PAGE = 100;

const TYPES: Readonly<Record<RenderForm, string>> = {
  json: 'application/json',
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
  html: 'text/html',
  markdown: 'text/markdown',
};
const OF_TYPE = new Map(Object.entries(TYPES).map(([form, type]) => [type, form as RenderForm]));
/** In order of preference where the client has none. */
const RESULTS: readonly Form[] = ['json', 'csv', 'parquet'].map((form) => offered(form as RenderForm, 'json'));
const REPORTS: readonly Form[] = ['html', 'markdown'].map((form) => offered(form as RenderForm, 'html'));

function offered(form: RenderForm, usual: RenderForm): Form {
  return { type: TYPES[form], byName: form !== usual };
}

/** With the digests of what its workloads replay. */
function recorded(input: ExperimentInput, traces: () => TraceView): ExperimentInput {
  const base = (input as { base?: Record<string, unknown> }).base;
  const whole = withRecordings(input as unknown as Record<string, unknown>, '', traces);
  return (base === undefined
    ? whole
    : { ...whole, base: withRecordings(base, '/base', traces) }) as unknown as ExperimentInput;
}

/** @param viewOf the laboratory as it is for whoever asks; @param traces those of whoever asks */
export function experimentHandlers(
  viewOf: (request: FastifyRequest) => ExperimentView,
  traces: (request: FastifyRequest) => TraceView,
): Handlers {
  return {
    async createExperiment(request, reply) {
      const input = recorded(request.body as ExperimentInput, () => traces(request));
      if ((request.query as { validateOnly?: boolean }).validateOnly === true)
        return orProblem(await viewOf(request).validate(input));
      const experiment = orProblem(await viewOf(request).create(input));
      created(request, reply, experiment.id);
      return experiment;
    },
    async listExperiments(request, reply) {
      const { state, ...query } = request.query as PageQuery & { state?: ExperimentState };
      const asked = { limit: DEFAULT_PAGE, ...pageOf(query), ...(state === undefined ? {} : { state }) };
      return linked(request, reply, orProblem(await viewOf(request).list(asked), { query: PAGE_QUERY }));
    },
    async getExperiment(request) {
      const { experiment } = request.params as ExperimentPath;
      return orProblem(await viewOf(request).get(experiment), { path: ['experiment'] });
    },
    async deleteExperiment(request) {
      const { experiment } = request.params as ExperimentPath;
      return orProblem(await viewOf(request).delete(experiment), { path: ['experiment'] });
    },
    async getExperimentResults(request, reply) {
      const { rows = false } = request.query as { rows?: boolean };
      return send(request, reply, formOf(request, reply, RESULTS), rows);
    },
    async getExperimentReport(request, reply) {
      return send(request, reply, formOf(request, reply, REPORTS), false);
    },
  };

  async function send(request: FastifyRequest, reply: FastifyReply, form: RenderForm, rows: boolean): Promise<unknown> {
    const { experiment } = request.params as ExperimentPath;
    const rendered = orProblem(await viewOf(request).render(experiment, form, { rows }), { path: ['experiment'] });
    reply.type(form === 'parquet' ? TYPES[form] : `${TYPES[form]}; charset=utf-8`);
    if (form === 'csv' || form === 'parquet')
      reply.header('content-disposition', `attachment; filename="experiment.${form}"`);
    // It shows names and labels that people chose; nothing in it may load or run anything from elsewhere.
    if (form === 'html') reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
    return reply.send(typeof rendered === 'string' ? rendered : Buffer.from(rendered));
  }
}

/** What the query says, or else what `Accept` wants most. @throws ProblemError, 406 */
function formOf(request: FastifyRequest, reply: FastifyReply, forms: readonly Form[]): RenderForm {
  const { format } = request.query as { format?: RenderForm };
  if (format !== undefined) return format;
  reply.header('vary', 'accept');
  const type = preferredType(request.headers.accept, forms);
  if (type !== null) return OF_TYPE.get(type)!;
  const detail = `this comes as ${forms.map((form) => form.type).join(', ')}`;
  throw new ProblemError({ code: 'not-acceptable', detail });
}
