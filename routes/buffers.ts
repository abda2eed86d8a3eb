/** `/v1/sessions/{session}/buffers`: page frames allocated for a tenant. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { Operation } from '../src/core/operations.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';

interface BufferPath {
  session: string;
  buffer: string;
}

export function bufferHandlers(host: SessionHost): Handlers {
  return {
    async createBuffer(request, reply) {
      const { session } = request.params as BufferPath;
      const body = request.body as Omit<Extract<Operation, { op: 'buffer' }>, 'op'>;
      const result = await apply(host, session, { op: 'buffer', ...body });
      created(request, reply, String(result.id));
      return result;
    },
    async listBuffers(request, reply) {
      const { session } = request.params as BufferPath;
      return linked(
        request,
        reply,
        await read(host, session, { read: 'buffers', ...pageOf(request.query as PageQuery) }),
      );
    },
    async getBuffer(request) {
      const { session, buffer } = request.params as BufferPath;
      return read(host, session, { read: 'buffer', id: buffer }, { path: ['id', 'buffer'] });
    },
    async freeBuffer(request) {
      const { session, buffer } = request.params as BufferPath;
      const { force } = request.query as { force?: boolean };
      const operation: Operation = force === undefined ? { op: 'free', buffer } : { op: 'free', buffer, force };
      return apply(host, session, operation, { path: ['buffer'], query: ['force'] });
    },
  };
}
