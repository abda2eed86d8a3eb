/** Resources as replies have them. */

import type { Workload } from '../devices/workload.ts';
import type { Buffer, Tenant } from '../os/buffer.ts';
import type { Device } from '../os/device.ts';
import type { Domain } from '../os/domain.ts';
import { directions, type Mappings, mapKinds } from '../os/mappings.ts';
import { formatAddress } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import { domainPolicy } from './policy.ts';

const named = (name: string | null) => (name === null ? {} : { name });

export function tenantDocument(simulator: Simulator, tenant: Tenant): Record<string, unknown> {
  return {
    id: simulator.tenants.idOf(tenant),
    ...named(tenant.name),
    kind: tenant.kind,
    memoryBytes: tenant.memoryBytes,
    usedBytes: (simulator.memory.tenantFrames[tenant.index] ?? 0) * 4096,
  };
}

function tenantId(index: number): string | null {
  return index === 0 ? null : `ten_${index}`;
}

export function domainDocument(simulator: Simulator, domain: Domain): Record<string, unknown> {
  const devices: string[] = [];
  for (const device of simulator.devices.all()) if (device.domain === domain) devices.push(device.id);
  return {
    id: domain.id,
    ...named(domain.name),
    tenant: tenantId(domain.tenant),
    levels: domain.levels,
    addressBits: domain.addressBits,
    devices,
    policy: domainPolicy(simulator, domain),
  };
}

export function deviceDocument(simulator: Simulator, device: Device): Record<string, unknown> {
  return {
    id: device.id,
    ...named(device.name),
    kind: device.kind,
    bdf: device.bdf,
    domain: device.domain?.id ?? null,
    dmaMaskBits: device.maskBits,
    maxSegmentBytes: device.maxSegmentBytes,
    segmentBoundaryBytes: device.segmentBoundaryBytes,
    untrusted: device.untrusted,
    ...(device.deviceTlbSpec !== null && { deviceTlb: deviceTlbDocument(device) }),
    liveMappings: device.liveMappings,
    policy: device.domain === null ? null : domainPolicy(simulator, device.domain),
  };
}

function deviceTlbDocument({ deviceTlbSpec, deviceTlbOff, deviceTlb }: Device): Record<string, unknown> {
  if (deviceTlb === null) return { ...deviceTlbSpec, enabled: false, reason: deviceTlbOff };
  const { lookups, hits, evictions } = deviceTlb;
  return { ...deviceTlbSpec, enabled: true, lookups, hits, evictions };
}

export function bufferDocument(_simulator: Simulator, buffer: Buffer): Record<string, unknown> {
  return {
    id: `buf_${buffer.index}`,
    ...named(buffer.name),
    lengthBytes: buffer.lengthBytes,
    physicalAddress: formatAddress(buffer.frame, 0),
    tenant: tenantId(buffer.tenant),
  };
}

export function workloadDocument(workload: Workload): Record<string, unknown> {
  const { name: _name, ...spec } = workload.spec;
  return { id: workload.id, ...named(workload.name), ...spec, device: workload.device.id, cpus: workload.cpus };
}

/** What the driver got: one entry a segment, `dma_address` and `dma_len`. */
export function segmentsOf(mappings: Mappings, slot: number): { iova: string; lengthBytes: number }[] {
  if (mappings.frame[slot] !== -1)
    return [
      { iova: formatAddress(mappings.page[slot]!, mappings.offset[slot]!), lengthBytes: mappings.lengthBytes[slot]! },
    ];
  return mappings.outputs[slot]!.map(({ page, offset, lengthBytes }) => ({
    iova: formatAddress(page, offset),
    lengthBytes,
  }));
}

export function mappingDocument(simulator: Simulator, slot: number): Record<string, unknown> {
  const { mappings } = simulator;
  return {
    id: mappings.handle(slot),
    device: `dev_${mappings.device[slot]}`,
    domain: `dom_${mappings.domain[slot]}`,
    kind: mapKinds[mappings.kind[slot]!],
    direction: directions[mappings.direction[slot]!],
    iova: formatAddress(mappings.page[slot]!, mappings.offset[slot]!),
    lengthBytes: mappings.lengthBytes[slot],
    segments: segmentsOf(mappings, slot),
    mappedNs: mappings.mappedNs[slot],
  };
}
