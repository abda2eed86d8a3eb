/** `/v1/sessions`: create, list, read, rename, delete, reset. */
import type { FastifyRequest } from 'fastify';
import type { TraceView } from '../src/access/traces.ts';
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { SessionChange, SessionHost, SessionInput } from '../src/host/host.ts';
import { FILTER_NAMES, type SessionFilter } from '../src/host/session-filter.ts';
import { created, type Handlers, linked, orProblem, PAGE_QUERY } from './handlers.ts';
import { withRecordings } from './replays.ts';

interface SessionPath {
  session: string;
}

/** @param traces those of whoever asks */
export function sessionHandlers(host: SessionHost, traces: (request: FastifyRequest) => TraceView): Handlers {
  return {
    async createSession(request, reply) {
      const input = withRecordings(request.body as SessionInput, '', () => traces(request));
      if ((request.query as { validateOnly?: boolean }).validateOnly === true)
        return orProblem(await host.validate(input));
      const session = orProblem(await host.create(input));
      created(request, reply, session.id);
      return session;
    },
    async listSessions(request, reply) {
      const query = request.query as PageQuery & SessionFilter;
      const page = orProblem(await host.list({ ...pageOf(query), ...filterOf(query) }), { query: PAGE_QUERY });
      return linked(request, reply, page);
    },
    async getSession(request) {
      return orProblem(await host.get((request.params as SessionPath).session));
    },
    async renameSession(request) {
      const change = request.body as SessionChange;
      return orProblem(await host.rename((request.params as SessionPath).session, change));
    },
    async deleteSession(request) {
      return orProblem(await host.delete((request.params as SessionPath).session));
    },
    async resetSession(request) {
      return orProblem(await host.reset((request.params as SessionPath).session));
    },
  };
}

/** What the list is to be narrowed to; nothing where nothing is asked for. */
function filterOf(query: SessionFilter): { filter?: SessionFilter } {
  const given = FILTER_NAMES.filter((name) => query[name] !== undefined).map((name) => [name, query[name]]);
  return given.length === 0 ? {} : { filter: Object.fromEntries(given) };
}
