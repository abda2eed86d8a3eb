/** A domain with all that belongs to it: its root table, its allocator with its timers, what a mode or a hypervisor keeps in it. */
import { EVENT } from '../event-kinds.ts';
import type { SecondStage } from '../hardware/watcher.ts';
import { Domain } from '../os/domain.ts';
import { TIMERS } from '../os/iova/allocator.ts';
import type { Simulator } from '../simulator.ts';

/** A domain, made for a device or by itself; null when there is no frame for its root table. */
export function newDomain(simulator: Simulator, name: string | null, tenant: number, levels: number): Domain | null {
  const { hypervisor, dma, domains, tables } = simulator;
  if (hypervisor !== null && !hypervisor.ready(tenant)) return null;
  const domain = domainOf(simulator, name, tenant, levels, hypervisor?.secondStageOf(tenant) ?? null);
  if (domain.root < 0) {
    hypervisor?.settle(tenant);
    return null;
  }
  if (hypervisor?.domainMade(domain) === false || dma.mode?.domainMade(domain) === false) {
    tables.destroy(domain.root, domain.levels);
    hypervisor?.settle(tenant);
    return null;
  }
  domains.push(domain);
  simulator.domainNames.add(domain);
  return domain;
}

/** One more domain, of which nobody else knows yet. */
export function domainOf(
  simulator: Simulator,
  name: string | null,
  tenant: number,
  levels: number,
  secondStage: SecondStage | null,
): Domain {
  const { dma, domains, memory, policyEntry, policyFunctions, queue, reserved, spec, tables, work } = simulator;
  return new Domain(
    domains.length,
    name,
    tenant,
    levels,
    tables,
    simulator.allocatorEntry,
    {
      parameters: spec.policy.allocator,
      call: simulator.call,
      cpus: spec.machine.cpus,
      frames: memory.frames,
      arm: (domain, delayPs, token) =>
        queue.arm(work.now() + delayPs, EVENT.allocatorOnCpu + work.cpu, domain.index * TIMERS + token),
      flushes: policyEntry.needsCircular,
      exhausted: (domain) => dma.iova.exhausted(domain),
    },
    dma.mode?.standing ? [...reserved, dma.mode.standing] : reserved,
    policyFunctions,
    policyEntry,
    secondStage,
  );
}
