/** `/v1/sessions/{session}/workloads`: traffic that runs generate. */
import type { FastifyRequest } from 'fastify';
import type { TraceView } from '../src/access/traces.ts';
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { WorkloadSpec } from '../src/core/spec.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';
import { withRecording } from './replays.ts';

interface WorkloadPath {
  session: string;
  workload: string;
}

/** @param traces those of whoever asks */
export function workloadHandlers(host: SessionHost, traces: (request: FastifyRequest) => TraceView): Handlers {
  return {
    async createWorkload(request, reply) {
      const { session } = request.params as WorkloadPath;
      const workload = withRecording(request.body as WorkloadSpec, '', () => traces(request));
      const result = await apply(host, session, { op: 'workload', ...workload });
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
