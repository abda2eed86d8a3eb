/**
 * Where state is: what a digest covers, and which of it are times. Who adds a part with state adds it here, to both.
 */
import { actingPolicy } from '../boot/effective-policy.ts';
import { countersOf } from '../look/counters.ts';
import { Digest } from '../sim/digest.ts';
import { sorted } from '../sim/sorted.ts';
import type { Simulator } from '../simulator.ts';
import { coreVersion } from '../version.ts';

/** 64 hex digits of all that acts: two simulations with the same go on alike. */
export function digestOf(simulator: Simulator): string {
  const sink = new Digest();
  // Tenants, domains, devices and workloads are digested as they are now, by number: their names do not act. Nor does it matter how
  // the policy in force came about: by members, by a command line, or in the place of another.
  const {
    name: _name,
    title: _title,
    kernelCommandLine: _line,
    iommu: { deferredFlush: _deferredFlush, ...iommu },
    tenants: _tenants,
    domains: _domains,
    devices: _devices,
    workloads: _workloads,
    ...spec
  } = simulator.spec;
  sink.text(coreVersion);
  sink.text(JSON.stringify(sorted({ ...spec, iommu, policy: actingPolicy(simulator.effective) })));
  sink.number(simulator.clock.baseNs + Math.floor(simulator.clock.now / 1000));
  sink.number(simulator.clock.now % 1000);
  simulator.queue.digest(sink, simulator.clock.baseNs);
  simulator.random.digest(sink);
  for (const value of Object.values(countersOf(simulator))) sink.number(value);
  simulator.memory.digest(sink);
  simulator.tables.digest(sink);
  simulator.iotlb.digest(sink);
  for (const level of simulator.walkCaches) level.digest(sink);
  simulator.notPresent?.digest(sink);
  simulator.nested?.digest(sink);
  simulator.hypervisor?.digest(sink);
  simulator.faults.digest(sink);
  simulator.exposure.digest(sink);
  simulator.oracle.digest(sink);
  simulator.mappings.digest(sink);
  simulator.flush.digest(sink);
  simulator.policy.digest(sink);
  simulator.dma.mode?.digest(sink);
  simulator.dma.partial?.digest(sink);
  for (const lock of simulator.dma.mode?.locks ?? []) lock.digest(sink);
  for (const lock of simulator.dma.partial?.pool.locks ?? []) lock.digest(sink);
  for (const domain of simulator.domains) domain.digest(sink);
  for (const device of simulator.devices.all()) device.digest(sink);
  for (const tenant of simulator.tenants.all()) {
    sink.number(tenant.index);
    sink.text(tenant.kind);
    sink.number(tenant.memoryBytes ?? -1);
  }
  for (const buffer of simulator.buffers.all()) {
    sink.number(buffer.index);
    sink.number(buffer.tenant);
    sink.number(buffer.frame);
    sink.number(buffer.frames);
  }
  for (const workload of simulator.workloads.all()) workload.digest(sink);
  sink.column(simulator.cpuAt, simulator.cpuAt.length);
  sink.column(simulator.cpuBusyPs, simulator.cpuBusyPs.length);
  return sink.hex();
}

/** Moves the clock's base to now: every time that is kept falls by as much. */
export function moveBase(simulator: Simulator): void {
  const ps = simulator.clock.moveBase();
  simulator.queue.rebase(ps);
  for (let cpu = 0; cpu < simulator.cpuAt.length; cpu++) simulator.cpuAt[cpu]! -= ps;
  simulator.exposure.rebase(ps);
  simulator.policy.rebase(ps);
  simulator.oracle.residual.rebase(ps);
  for (const lock of simulator.locks()) lock.rebase(ps);
  for (const queue of simulator.unit.queues) queue.rebase(ps);
  for (const domain of simulator.domains) domain.inFlightUntil -= ps;
  for (const device of simulator.devices.all()) {
    device.lastEndPs -= ps;
    device.history?.rebase(ps);
  }
  for (const workload of simulator.workloads.all()) workload.moveBase(ps);
  simulator.run?.rebase(ps);
}
