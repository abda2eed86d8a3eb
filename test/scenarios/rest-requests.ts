/** The single request that does what a line of `ops` does. */
import type { Operation } from '../../src/core/operations.ts';

export interface RestRequest {
  method: 'POST' | 'PUT' | 'DELETE';
  /** Below the session. */
  path: string;
  body?: unknown;
}

/** @param devices mapping -> the device that it was made for: paths name it, operations by a mapping's handle do not */
export function requestOf(operation: Operation, devices: ReadonlyMap<string, string>): RestRequest {
  const { op, as: _as, ...members } = operation as Operation & { as?: string };
  const at = (strings: TemplateStringsArray, ...values: unknown[]) =>
    String.raw(strings, ...values.map((value) => encodeURIComponent(String(value))));
  switch (operation.op) {
    case 'tenant':
    case 'domain':
    case 'device':
    case 'buffer':
    case 'workload':
      return { method: 'POST', path: `/${op}s`, body: members };
    case 'tenant-remove':
      return { method: 'DELETE', path: at`/tenants/${operation.tenant}` };
    case 'domain-remove':
      return { method: 'DELETE', path: at`/domains/${operation.domain}` };
    case 'device-remove':
      return { method: 'DELETE', path: at`/devices/${operation.device}` };
    case 'workload-remove':
      return { method: 'DELETE', path: at`/workloads/${operation.workload}` };
    case 'attach':
      return {
        method: 'PUT',
        path: at`/devices/${operation.device}/domain`,
        body: without(members, 'device'),
      };
    case 'detach':
      return { method: 'DELETE', path: at`/devices/${operation.device}/domain` };
    case 'free': {
      const query = operation.force === undefined ? '' : at`?force=${operation.force}`;
      return { method: 'DELETE', path: at`/buffers/${operation.buffer}` + query };
    }
    case 'map':
      return { method: 'POST', path: at`/devices/${operation.device}/mappings`, body: without(members, 'device') };
    case 'unmap': {
      if (operation.mapping === undefined)
        return { method: 'POST', path: at`/devices/${operation.device}/unmap`, body: without(members, 'device') };
      const query = operation.cpu === undefined ? '' : at`?cpu=${operation.cpu}`;
      const device = operation.device ?? devices.get(operation.mapping);
      return { method: 'DELETE', path: at`/devices/${device}/mappings/${operation.mapping}` + query };
    }
    case 'sync': {
      const { mapping } = operation;
      const path = at`/devices/${devices.get(mapping)}/mappings/${mapping}/sync`;
      return { method: 'POST', path, body: without(members, 'mapping') };
    }
    case 'dma':
      return { method: 'POST', path: at`/devices/${operation.device}/dma`, body: without(members, 'device') };
    case 'iommu-map':
    case 'iommu-unmap':
    case 'invalidate':
      return { method: 'POST', path: at`/domains/${operation.domain}/${op}`, body: without(members, 'domain') };
    case 'advance':
      return { method: 'POST', path: '/advance', body: members };
  }
}

function without(members: object, name: string): object {
  const { [name]: _left, ...rest } = members as Record<string, unknown>;
  return rest;
}
