/** Looks inside a session that leave no trace: address space, caches, page tables, queues, allocator, faults, events. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { Reading } from '../src/core/reading.ts';
import type { SessionHost } from '../src/host/host.ts';
import { type Handlers, linked, read } from './handlers.ts';

interface SessionPath {
  session: string;
}
interface InDomain {
  domain?: string;
}

interface CellsQuery extends InDomain {
  from?: string;
  to?: string;
  cells?: number;
  extents?: number;
}
interface PageOfSpace extends InDomain {
  iova: string;
}

export function inspectionHandlers(host: SessionHost): Handlers {
  return {
    async getSpace(request, reply) {
      const query = request.query as PageQuery & InDomain;
      return linked(
        request,
        reply,
        await look(request.params, { read: 'space', ...domainOf(query), ...pageOf(query) }),
      );
    },
    getSpaceCells: (request) => look(request.params, { ...(request.query as CellsQuery), read: 'space-cells' }),
    getSpacePage: (request) => look(request.params, { ...(request.query as PageOfSpace), read: 'space-page' }),
    getIotlb: (request) => look(request.params, { read: 'iotlb' }),
    getWalkCache: (request) => look(request.params, { read: 'walk-cache' }),
    getQueues: (request) => look(request.params, { read: 'queues' }),
    async getPageTable(request) {
      const { domain, iova } = request.query as { domain: string; iova: string };
      return look(request.params, { read: 'page-table', domain, iova });
    },
    async getAllocator(request) {
      return look(request.params, { read: 'allocator', ...domainOf(request.query as InDomain) });
    },
    async getFaults(request, reply) {
      const page = pageOf(request.query as PageQuery);
      return linked(request, reply, await look(request.params, { read: 'faults', ...page }));
    },
    async getEvents(request, reply) {
      const page = pageOf(request.query as PageQuery);
      return linked(request, reply, await look(request.params, { read: 'events', ...page }));
    },
  };

  function look(path: unknown, reading: Reading): Promise<Record<string, unknown>> {
    return read(host, (path as SessionPath).session, reading, { query: ['domain', 'iova', 'from', 'to'] });
  }
}

function domainOf(query: InDomain): InDomain {
  return query.domain === undefined ? {} : { domain: query.domain };
}
