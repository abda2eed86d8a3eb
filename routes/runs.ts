/** `/v1/sessions/{session}/runs`: stretches of simulated time with the workloads active. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import { problemDocument } from '../src/api/problem.ts';
import type { RunRequest } from '../src/core/operations.ts';
import type { RunDocument, SessionHost } from '../src/host/host.ts';
import { created, type Handlers, linked, orProblem, PAGE_QUERY } from './handlers.ts';

interface RunPath {
  session: string;
  run: string;
}

export function runHandlers(host: SessionHost): Handlers {
  return {
    async startRun(request, reply) {
      const { session } = request.params as RunPath;
      const run = orProblem(await host.startRun(session, request.body as RunRequest));
      created(request, reply, run.id);
      // Accepted: it goes on after the reply.
      reply.code(202);
      return presented(run);
    },
    async listRuns(request, reply) {
      const { session } = request.params as RunPath;
      const query = request.query as PageQuery & { state?: RunDocument['state'] };
      const { state } = query;
      const page = orProblem(
        await host.listRuns(session, { ...pageOf(query), ...(state === undefined ? {} : { state }) }),
        {
          query: PAGE_QUERY,
        },
      );
      return linked(request, reply, { ...page, items: page.items.map(presented) });
    },
    async getRun(request) {
      const { session, run } = request.params as RunPath;
      return presented(orProblem(await host.getRun(session, run), { path: ['run'] }));
    },
    async deleteRun(request) {
      const { session, run } = request.params as RunPath;
      return presented(orProblem(await host.deleteRun(session, run), { path: ['run'] }));
    },
  };
}

/** As clients see it: the reason why a run failed becomes a problem with status and title. */
function presented(run: RunDocument): Record<string, unknown> {
  return run.problem === undefined ? { ...run } : { ...run, problem: problemDocument(run.problem) };
}
