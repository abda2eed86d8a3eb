/** `/v1/sessions/{session}/domains`: protection domains, and what VFIO or iommufd do with one. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { Operation } from '../src/core/operations.ts';
import type { Address, DomainSpec } from '../src/core/spec.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';

interface DomainPath {
  session: string;
  domain: string;
}

type OperationBody<Op extends Operation['op']> = Omit<Extract<Operation, { op: Op }>, 'op' | 'domain'>;

interface InvalidateBody {
  scope: 'global' | 'domain' | 'range';
  iova?: Address;
  lengthBytes?: number;
  leafOnly?: boolean;
}

export function domainHandlers(host: SessionHost): Handlers {
  return {
    async createDomain(request, reply) {
      const { session } = request.params as DomainPath;
      const result = await apply(host, session, { op: 'domain', ...(request.body as DomainSpec) });
      created(request, reply, String(result.id));
      return result;
    },
    async listDomains(request, reply) {
      const { session } = request.params as DomainPath;
      return linked(
        request,
        reply,
        await read(host, session, { read: 'domains', ...pageOf(request.query as PageQuery) }),
      );
    },
    async getDomain(request) {
      const { session, domain } = request.params as DomainPath;
      return read(host, session, { read: 'domain', id: domain }, { path: ['id', 'domain'] });
    },
    async deleteDomain(request) {
      const { session, domain } = request.params as DomainPath;
      return apply(host, session, { op: 'domain-remove', domain }, { path: ['domain'] });
    },
    async iommuMap(request) {
      const { session, domain } = request.params as DomainPath;
      const body = request.body as OperationBody<'iommu-map'>;
      return apply(host, session, { op: 'iommu-map', domain, ...body }, { path: ['domain'] });
    },
    async iommuUnmap(request) {
      const { session, domain } = request.params as DomainPath;
      const body = request.body as OperationBody<'iommu-unmap'>;
      return apply(host, session, { op: 'iommu-unmap', domain, ...body }, { path: ['domain'] });
    },
    async invalidateDomain(request) {
      const { session, domain } = request.params as DomainPath;
      const body = request.body as InvalidateBody;
      if (body.scope !== 'global')
        return apply(host, session, { op: 'invalidate', domain, ...body }, { path: ['domain'] });
      // A global invalidation names no domain, so the one in the path is looked up first.
      await read(host, session, { read: 'domain', id: domain }, { path: ['id', 'domain'] });
      return apply(host, session, { op: 'invalidate', ...body });
    },
  };
}
