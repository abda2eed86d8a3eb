/** `/v1/sessions/{session}/trace`: what was done in a session, as a recording. */
import { Readable } from 'node:stream';
import type { SessionHost } from '../src/host/host.ts';
import type { Exports } from '../src/trace/export/exports.ts';
import { type Handlers, orProblem } from './handlers.ts';

export function historyHandlers(host: SessionHost, exports: Exports): Handlers {
  return {
    async exportHistory(request, reply) {
      const { session } = request.params as { session: string };
      const { labEvents = true } = request.query as { labEvents?: boolean };
      const history = orProblem(await host.history(session));
      const text = orProblem(exports.open(history, labEvents));
      reply.header('content-disposition', 'attachment; filename="trace.txt"');
      return reply.type('text/plain; charset=utf-8').send(Readable.from(text, { objectMode: false }));
    },
  };
}
