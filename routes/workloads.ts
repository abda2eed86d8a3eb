/** `/v1/sessions/{session}/workloads`: traffic that runs generate. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { WorkloadSpec } from '../src/core/spec.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';

interface WorkloadPath {
  session: string;
  workload: string;
}

export function workloadHandlers(host: SessionHost): Handlers {
  return {
    async createWorkload(request, reply) {
      const { session } = request.params as WorkloadPath;
      const result = await apply(host, session, { op: 'workload', ...(request.body as WorkloadSpec) });
      created(request, reply, String(result.id));
      return result;
    },
    async listWorkloads(request, reply) {
      const { session } = request.params as WorkloadPath;
      return linked(
        request,
        reply,
        await read(host, session, { read: 'workloads', ...pageOf(request.query as PageQuery) }),
      );
    },
    async getWorkload(request) {
      const { session, workload } = request.params as WorkloadPath;
      return read(host, session, { read: 'workload', id: workload }, { path: ['id', 'workload'] });
    },
    async deleteWorkload(request) {
      const { session, workload } = request.params as WorkloadPath;
      return apply(host, session, { op: 'workload-remove', workload }, { path: ['workload'] });
    },
  };
}
