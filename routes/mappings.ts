/** The DMA API: map, unmap by handle or by address, sync, and the live mappings. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { Operation } from '../src/core/operations.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';

interface MappingPath {
  session: string;
  device: string;
  mapping: string;
}

export function mappingHandlers(host: SessionHost): Handlers {
  return {
    async mapMemory(request, reply) {
      const { session, device } = request.params as MappingPath;
      const body = request.body as Omit<Extract<Operation, { op: 'map' }>, 'op' | 'device'>;
      const result = await apply(host, session, { op: 'map', device, ...body }, { path: ['device'] });
      created(request, reply, String(result.id));
      return result;
    },
    async listMappings(request, reply) {
      const { session } = request.params as MappingPath;
      return linked(
        request,
        reply,
        await read(host, session, { read: 'mappings', ...pageOf(request.query as PageQuery) }),
      );
    },
    async listDeviceMappings(request, reply) {
      const { session, device } = request.params as MappingPath;
      const page = pageOf(request.query as PageQuery);
      return linked(
        request,
        reply,
        await read(host, session, { read: 'mappings', device, ...page }, { path: ['device'] }),
      );
    },
    async getMapping(request) {
      const { session, device, mapping } = request.params as MappingPath;
      return read(host, session, { read: 'mapping', device, id: mapping }, { path: ['id', 'device', 'mapping'] });
    },
    async unmapMapping(request) {
      const { session, device, mapping } = request.params as MappingPath;
      const { cpu } = request.query as { cpu?: number };
      const operation: Operation = { op: 'unmap', mapping, device };
      if (cpu !== undefined) operation.cpu = cpu;
      return apply(host, session, operation, { path: ['device', 'mapping'], query: ['cpu'] });
    },
    async unmapRange(request) {
      const { session, device } = request.params as MappingPath;
      const body = request.body as Omit<Extract<Operation, { op: 'unmap' }>, 'op' | 'device' | 'mapping'>;
      return apply(host, session, { op: 'unmap', device, ...body }, { path: ['device'] });
    },
    async syncMapping(request) {
      const { session, device, mapping } = request.params as MappingPath;
      const body = request.body as Omit<Extract<Operation, { op: 'sync' }>, 'op' | 'mapping'>;
      // The operation names no device: that the mapping is one of the device in the path is looked up first.
      await read(host, session, { read: 'mapping', device, id: mapping }, { path: ['id', 'device', 'mapping'] });
      return apply(host, session, { op: 'sync', mapping, ...body }, { path: ['mapping'] });
    },
  };
}
