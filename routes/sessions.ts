/** `/v1/sessions`: create, list, read, rename, delete, reset. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { SessionHost, SessionInput } from '../src/host/host.ts';
import { created, type Handlers, linked, orProblem, PAGE_QUERY } from './handlers.ts';

interface SessionPath {
  session: string;
}

export function sessionHandlers(host: SessionHost): Handlers {
  return {
    async createSession(request, reply) {
      const input = request.body as SessionInput;
      if ((request.query as { validateOnly?: boolean }).validateOnly === true)
        return orProblem(await host.validate(input));
      const session = orProblem(await host.create(input));
      created(request, reply, session.id);
      return session;
    },
    async listSessions(request, reply) {
      return linked(
        request,
        reply,
        orProblem(await host.list(pageOf(request.query as PageQuery)), { query: PAGE_QUERY }),
      );
    },
    async getSession(request) {
      return orProblem(await host.get((request.params as SessionPath).session));
    },
    async renameSession(request) {
      const change = request.body as { name?: string; title?: string };
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
