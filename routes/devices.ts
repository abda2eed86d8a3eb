/** `/v1/sessions/{session}/devices`: DMA masters, the domain they are attached to, and single accesses by them. */
import { type PageQuery, pageOf } from '../src/api/page.ts';
import type { Operation } from '../src/core/operations.ts';
import type { DeviceSpec } from '../src/core/spec.ts';
import type { SessionHost } from '../src/host/host.ts';
import { apply, created, type Handlers, linked, read } from './handlers.ts';

interface DevicePath {
  session: string;
  device: string;
}

export function deviceHandlers(host: SessionHost): Handlers {
  return {
    async createDevice(request, reply) {
      const { session } = request.params as DevicePath;
      const result = await apply(host, session, { op: 'device', ...(request.body as DeviceSpec) });
      created(request, reply, String(result.id));
      return result;
    },
    async listDevices(request, reply) {
      const { session } = request.params as DevicePath;
      return linked(
        request,
        reply,
        await read(host, session, { read: 'devices', ...pageOf(request.query as PageQuery) }),
      );
    },
    async getDevice(request) {
      const { session, device } = request.params as DevicePath;
      return read(host, session, { read: 'device', id: device }, { path: ['id', 'device'] });
    },
    async deleteDevice(request) {
      const { session, device } = request.params as DevicePath;
      return apply(host, session, { op: 'device-remove', device }, { path: ['device'] });
    },
    async attachDevice(request) {
      const { session, device } = request.params as DevicePath;
      const { domain } = request.body as { domain: string };
      return apply(host, session, { op: 'attach', device, domain }, { path: ['device'] });
    },
    async detachDevice(request) {
      const { session, device } = request.params as DevicePath;
      return apply(host, session, { op: 'detach', device }, { path: ['device'] });
    },
    async accessMemory(request) {
      const { session, device } = request.params as DevicePath;
      const body = request.body as Omit<Extract<Operation, { op: 'dma' }>, 'op' | 'device'>;
      return apply(host, session, { op: 'dma', device, ...body }, { path: ['device'] });
    },
  };
}
