/**
 * What operations have added to a simulation and cannot be laid over one that is new, since closures are part of it: domains with their
 * allocators, workloads, the pool for untrusted devices, the run. They are put there as operations would have put them, but for what
 * they would do: that is state, and comes with the image.
 */
import { domainOf } from '../apply/new-domain.ts';
import { copyPartialPages, poolAt } from '../copies.ts';
import { workloads as kinds } from '../devices/index.ts';
import { Device } from '../os/device.ts';
import type { Domain } from '../os/domain.ts';
import { Run } from '../run.ts';
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import { StateImageError } from './image-error.ts';

export interface Growth {
  /** Of every domain there ever was: its levels, and whether it has an allocator. */
  domains: { levels: number; space: boolean }[];
  /** How many there ever were. */
  devices: number;
  workloads: { index: number; spec: WorkloadSpec; device: number; target: number; tenant: number }[];
  /** Whether there are copies of untrusted devices' pages. */
  partial: boolean;
  run: boolean;
}

/** What a domain and its allocator may take at the start, and a device: what an image is charged for them. */
const DOMAIN_BYTES = 16_384;
const DEVICE_BYTES = 512;

/** An allocator may size itself by what the first device reaches; its columns are laid over all the same. */
const FEW_PAGES = 0xfffff;

export function growthOf(simulator: Simulator): Growth {
  return {
    domains: simulator.domains.map(({ levels, allocator }) => ({ levels, space: allocator !== null })),
    devices: simulator.everyDevice.length,
    workloads: simulator.workloadAt
      .filter((workload) => workload !== undefined)
      .map(({ index, spec, device, target, tenant }) => ({
        index,
        spec,
        device: device.index,
        target: target.index,
        tenant,
      })),
    partial: simulator.dma.partial !== null,
    run: simulator.run !== null,
  };
}

/** Bytes at most that growing takes, roughly. */
export function growthBytes({ domains, devices }: Growth): number {
  return domains.length * DOMAIN_BYTES + devices * DEVICE_BYTES;
}

/** Whether a number of a workload is beyond what its kind allows: it would size itself by it before anything is laid over. */
function exceeds(spec: WorkloadSpec, { properties }: Record<string, unknown>): boolean {
  const limits = properties as Record<string, { maximum?: number } | undefined>;
  return Object.entries(spec).some(
    ([member, value]) => typeof value === 'number' && !(value <= (limits[member]?.maximum ?? Number.MAX_VALUE)),
  );
}

export function grow(simulator: Simulator, growth: Growth): void {
  const { domains, everyDevice, workloadAt } = simulator;
  if (growth.domains.length < domains.length || growth.devices < everyDevice.length)
    throw new StateImageError('misfit', 'the image has less than the spec makes');
  for (const [i, { levels, space }] of growth.domains.entries()) {
    if (![3, 4, 5].includes(levels)) throw new StateImageError('misfit', 'the image has a domain that cannot be');
    const domain = domains[i] ?? domainOf(simulator, null, 0, levels, null);
    if (i === domains.length) domains.push(domain);
    if (space) domain.space(FEW_PAGES);
  }
  while (everyDevice.length < growth.devices)
    everyDevice.push(new Device(everyDevice.length, { kind: 'custom' }, '', null as unknown as Domain, null));
  for (const { index, spec, device, target, tenant } of growth.workloads) {
    if (workloadAt[index] !== undefined) continue;
    const entry = kinds[spec.kind];
    const of = everyDevice[device];
    const at = everyDevice[target];
    if (
      entry === undefined ||
      of === undefined ||
      at === undefined ||
      !(index >= 0 && index < 2 ** 24) ||
      exceeds(spec, entry.schema) ||
      (entry.size?.(spec) ?? null) !== null
    )
      throw new StateImageError('misfit', `the image has a workload that cannot be: ${JSON.stringify(spec)}`);
    while (workloadAt.length < index) workloadAt.push(undefined);
    workloadAt[index] = entry.create(simulator, { index, spec, device: of, target: at, tenant });
  }
  // Of the spec's own, those that are gone.
  const living = new Set(growth.workloads.map(({ index }) => index));
  for (const index of workloadAt.keys()) if (!living.has(index)) workloadAt[index] = undefined;
  if (growth.partial && simulator.dma.partial === null)
    copyPartialPages(simulator, simulator.bouncePool ?? poolAt(simulator, 0));
  if (growth.run) simulator.run = Run.unarmed(simulator);
}
