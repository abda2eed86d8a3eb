/** `/v1/sessions/{session}/snapshots`: a session as it was at one moment. What goes on from one is made by `POST /v1/sessions`. */
import { Readable } from 'node:stream';
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { SessionHost } from '../src/host/host.ts';
import { created, type Handlers, linked, orProblem, PAGE_QUERY } from './handlers.ts';

interface SnapshotPath {
  session: string;
  snapshot: string;
}

export function snapshotHandlers(host: SessionHost): Handlers {
  return {
    async takeSnapshot(request, reply) {
      const { session } = request.params as SnapshotPath;
      const snapshot = orProblem(await host.takeSnapshot(session, request.body as { title?: string }));
      created(request, reply, snapshot.id);
      return snapshot;
    },
    async listSnapshots(request, reply) {
      const { session } = request.params as SnapshotPath;
      const page = await host.listSnapshots(session, pageOf(request.query as PageQuery));
      return linked(request, reply, orProblem(page, { query: PAGE_QUERY }));
    },
    async downloadSnapshot(request, reply) {
      const { session, snapshot } = request.params as SnapshotPath;
      const { state = true } = request.query as { state?: boolean };
      const text = orProblem(await host.downloadSnapshot(session, snapshot, state));
      reply.header('content-disposition', `attachment; filename="${snapshot}.json"`);
      return reply.type('application/json; charset=utf-8').send(Readable.from(text, { objectMode: false }));
    },
    async deleteSnapshot(request) {
      const { session, snapshot } = request.params as SnapshotPath;
      return orProblem(await host.deleteSnapshot(session, snapshot));
    },
  };
}
