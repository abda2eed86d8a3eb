/** Devices: attached to a domain, moved to another, removed. */

import { readyForUntrusted } from '../copies.ts';
import { deviceDocument } from '../look/documents.ts';
import type { Outcome } from '../operations.ts';
import { Device } from '../os/device.ts';
import type { Domain } from '../os/domain.ts';
import { fail, ok, refuse } from '../outcome.ts';
import { formatAddress } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import { costOf, invalidationSteps } from './cost.ts';
import { deviceTlbOf } from './device-tlb.ts';
import { retireDomain, tenantOfOwnDomain, workloadIn } from './domains.ts';
import type { Of } from './index.ts';
import { refuseName } from './names.ts';
import { newDomain } from './new-domain.ts';

/** 00:02.0, 00:03.0, ...: as a root complex would number them; bus after bus when one is full. */
function defaultBdf(index: number): string {
  const slot = index + 2;
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return `${hex(Math.floor(slot / 32) % 256)}:${hex(slot % 32)}.${Math.floor(slot / 8192) % 8}`;
}

export function makeDevice(simulator: Simulator, operation: Of<'device'>): Outcome {
  const { devices } = simulator;
  const refused = refuseName(operation.name, devices);
  if (refused) return refused;
  let domain: Domain | undefined;
  if (operation.domain !== undefined) {
    domain = simulator.domainNames.find(operation.domain);
    if (!domain) return refuse('unknown-domain', `no domain "${operation.domain}"`, '/domain');
  }
  const bdf = operation.bdf ?? defaultBdf(devices.next);
  for (const other of devices.all())
    if (other.bdf === bdf) return refuse('name-taken', `device ${other.id} has the requester id ${bdf}`, '/bdf');
  const deviceTlb = deviceTlbOf(simulator, devices.next, operation);
  if (deviceTlb !== null && 'status' in deviceTlb) return deviceTlb;
  const tenant = domain ? domain.tenant : tenantOfOwnDomain(simulator);
  if (typeof tenant !== 'number') return tenant;
  if (operation.untrusted === true && simulator.modeEntry.kind === 'nested')
    return refuse(
      'policy-conflict',
      'in the mode "nested" a device is a guest\'s, which does not see the port that it hangs on: nothing there is untrusted',
      '/untrusted',
    );
  if (operation.untrusted === true && !readyForUntrusted(simulator))
    return fail('no-frame', 'no page frames are left for the pool that an untrusted device needs');
  if (!domain) {
    const own = newDomain(simulator, null, tenant, simulator.spec.iommu.levels);
    if (!own) return fail('no-frame', 'no page frame is left for the root table of its domain');
    domain = own;
  }
  const device = new Device(devices.next, operation, bdf, domain, deviceTlb);
  if (device.deviceTlb !== null) simulator.exposure.watch(device);
  if (simulator.effective.policy.forcedac) device.try32BitFirst = false;
  if (device.untrusted) {
    const waits = holdsAny(domain);
    if (waits) simulator.begin(0);
    distrust(simulator, device, domain);
    if (waits) simulator.end();
  }
  devices.add(device);
  simulator.everyDevice.push(device);
  join(domain, device);
  if (operation.domain === undefined) domain.ownedBy = device.index;
  domain.space(device.maskLastPfn);
  return ok(deviceDocument(simulator, device));
}

function join(domain: Domain, device: Device): void {
  domain.devices++;
  if (device.deviceTlb !== null) domain.deviceTlbs.push(device);
}

/** DMA of a device that has not landed yet, by name. */
function inFlight(simulator: Simulator, device: Device): Record<string, unknown>[] {
  if (device.lastEndPs <= simulator.clock.now) return [];
  return [
    {
      device: device.id,
      iova: formatAddress(device.lastPage, device.lastOffset),
      lengthBytes: device.lastLength,
      landsNs: simulator.clock.toNs(device.lastEndPs),
    },
  ];
}

/** Takes a device out of its domain; the context entry is flushed, and the old domain's entries if it is left empty. */
function leave(simulator: Simulator, device: Device): { check: string; detail: string }[] {
  const { domain } = device;
  const { counters, flush, log, dma } = simulator;
  device.contextCached = false;
  flush.context(device);
  if (!domain) return [];
  const translating = domain.deviceTlbs.indexOf(device);
  if (translating >= 0) domain.deviceTlbs.splice(translating, 1);
  dma.drain(domain);
  dma.mode?.deviceLeft(device, domain);
  domain.devices--;
  if (domain.devices === 0) flush.left(domain);
  device.domain = null;
  if (device.liveMappings === 0) return [];
  counters.misuse++;
  const leak = {
    check: 'leak-at-detach',
    detail: `${device.liveMappings} live mapping(s) of ${device.id} stay in ${domain.id}`,
  };
  log.add('misuse', simulator.timeNs, leak);
  return [leak];
}

function holdsAny(domain: Domain): boolean {
  return domain.policy.queued > 0 && domain.policy.holds(domain, 0, domain.lastPage);
}

/**
 * A domain gets its first untrusted device: what it holds back is flushed, and its unmaps wait from now on, for all its devices. It
 * stays so when the device is gone, as a domain of Linux keeps its type.
 */
function distrust(simulator: Simulator, device: Device, domain: Domain): void {
  const { untrustedFunctions, untrustedEntry } = simulator;
  if (domain.policyEntry === untrustedEntry) return;
  if (holdsAny(domain)) domain.policy.drain(domain);
  domain.govern(untrustedFunctions, untrustedEntry);
  if (!untrustedEntry.deferred) simulator.costReplies.also(['unmapOther']);
  simulator.log.add('policy', simulator.timeNs, {
    domain: domain.id,
    invalidation: untrustedEntry.kind,
    because: 'untrusted',
    device: device.id,
  });
}

/** Mappings that the device left in a domain when it was there before. */
function liveIn(simulator: Simulator, device: Device, domain: Domain): number {
  const { mappings } = simulator;
  let live = 0;
  for (let slot = 0; slot < mappings.used; slot++)
    if (mappings.live[slot] === 1 && mappings.device[slot] === device.index && mappings.domain[slot] === domain.index)
      live++;
  return live;
}

export function attach(simulator: Simulator, operation: Of<'attach'>): Outcome {
  const device = simulator.devices.find(operation.device);
  if (!device) return refuse('unknown-device', `no device "${operation.device}"`, '/device');
  const domain = simulator.domainNames.find(operation.domain);
  if (!domain) return refuse('unknown-domain', `no domain "${operation.domain}"`, '/domain');
  const previous = device.domain;
  const flying = inFlight(simulator, device);
  simulator.begin(0);
  const misuse = leave(simulator, device);
  if (device.untrusted) distrust(simulator, device, domain);
  device.domain = domain;
  device.liveMappings = liveIn(simulator, device, domain);
  join(domain, device);
  domain.space(device.maskLastPfn);
  const cost = costOf(simulator);
  simulator.end();
  simulator.log.add('attach', simulator.timeNs, { device: device.id, domain: domain.id });
  return ok({
    device: device.id,
    domain: domain.id,
    previousDomain: previous?.id ?? null,
    inFlight: flying,
    ...cost,
    timeNs: simulator.timeNs,
    ...(misuse.length > 0 && { misuse }),
    ...simulator.costReplies.among('invalidation', ...invalidationSteps(simulator.work)),
  });
}

export function detach(simulator: Simulator, operation: Of<'detach'>): Outcome {
  const device = simulator.devices.find(operation.device);
  if (!device) return refuse('unknown-device', `no device "${operation.device}"`, '/device');
  const previous = device.domain;
  if (!previous) return refuse('device-detached', `${device.id} is attached to no domain`, '/device');
  const flying = inFlight(simulator, device);
  simulator.begin(0);
  const misuse = leave(simulator, device);
  device.liveMappings = 0;
  const cost = costOf(simulator);
  simulator.end();
  simulator.log.add('detach', simulator.timeNs, { device: device.id, domain: previous.id });
  return ok({
    device: device.id,
    domain: null,
    previousDomain: previous.id,
    inFlight: flying,
    ...cost,
    timeNs: simulator.timeNs,
    ...(misuse.length > 0 && { misuse }),
    ...simulator.costReplies.among('invalidation', ...invalidationSteps(simulator.work)),
  });
}

export function removeDevice(simulator: Simulator, operation: Of<'device-remove'>): Outcome {
  const { devices, workloads } = simulator;
  const device = devices.find(operation.device);
  if (!device) return refuse('unknown-device', `no device "${operation.device}"`, '/device');
  for (const workload of workloads.all())
    if (workload.uses(device))
      return refuse('in-use', `workload ${workload.id} uses ${device.id}: remove it first`, '/device');
  const { domain } = device;
  let misuse: { check: string; detail: string }[] = [];
  simulator.begin(0);
  if (domain) misuse = leave(simulator, device);
  simulator.end();
  device.removed = true;
  devices.remove(device);
  // A domain that was made for this device alone goes with it, unless the traffic of another one left mappings there.
  if (domain && domain.name === null && domain.devices === 0 && domain.ownedBy === device.index)
    if (workloadIn(simulator, domain.index) < 0) retireDomain(simulator, domain.index);
  return ok({ id: device.id, ...(misuse.length > 0 && { misuse }) });
}
