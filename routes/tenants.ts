/** `/v1/sessions/{session}/tenants`: owners of memory. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { TenantSpec } from '../src/core/spec.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';

interface TenantPath {
  session: string;
  tenant: string;
}

export function tenantHandlers(host: SessionHost): Handlers {
  return {
    async createTenant(request, reply) {
      const { session } = request.params as TenantPath;
      const result = await apply(host, session, { op: 'tenant', ...(request.body as TenantSpec) });
      created(request, reply, String(result.id));
      return result;
    },
    async listTenants(request, reply) {
      const { session } = request.params as TenantPath;
      return linked(
        request,
        reply,
        await read(host, session, { read: 'tenants', ...pageOf(request.query as PageQuery) }),
      );
    },
    async getTenant(request) {
      const { session, tenant } = request.params as TenantPath;
      return read(host, session, { read: 'tenant', id: tenant }, { path: ['id', 'tenant'] });
    },
    async deleteTenant(request) {
      const { session, tenant } = request.params as TenantPath;
      return apply(host, session, { op: 'tenant-remove', tenant }, { path: ['tenant'] });
    },
  };
}
