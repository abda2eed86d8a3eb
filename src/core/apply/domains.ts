/** Protection domains. */
import { HOST_TENANT } from '../hardware/memory.ts';
import { domainDocument } from '../look/documents.ts';
import type { Outcome } from '../operations.ts';
import { FEW_LEVELS } from '../os/mode/index.ts';
import { fail, ok, refuse } from '../outcome.ts';
import type { Simulator } from '../simulator.ts';
import type { Of } from './index.ts';
import { refuseName } from './names.ts';
import { newDomain } from './new-domain.ts';

export function makeDomain(simulator: Simulator, operation: Of<'domain'>): Outcome {
  const refused = refuseName(operation.name, simulator.domainNames);
  if (refused) return refused;
  let tenant = HOST_TENANT;
  if (operation.tenant !== undefined) {
    const found = simulator.tenants.find(operation.tenant);
    if (!found) return refuse('unknown-tenant', `no tenant "${operation.tenant}"`, '/tenant');
    tenant = found.index;
  }
  const refusedTenant = refuseHost(simulator, tenant);
  if (refusedTenant) return refusedTenant;
  if (simulator.modeEntry.kind === 'nested' && operation.levels === 3)
    return refuse('policy-conflict', FEW_LEVELS, '/levels');
  const domain = newDomain(simulator, operation.name ?? null, tenant, operation.levels ?? simulator.spec.iommu.levels);
  if (!domain) return fail('no-frame', 'no page frame is left for the root table of the domain');
  return ok(domainDocument(simulator, domain));
}

/** A domain of a guest belongs to its tenant. */
function refuseHost({ modeEntry, tenants }: Simulator, tenant: number): Outcome | null {
  if (!modeEntry.virtual || tenants.at(tenant)?.kind === 'vm') return null;
  return refuse(
    'policy-conflict',
    `in the mode "${modeEntry.kind}" a domain is a guest's: name a tenant of kind "vm"`,
    '/tenant',
  );
}

/**
 * Whose the domain is that a device gets for itself: the host's; where devices are driven by guests, that of the only guest.
 * @returns a refusal when there is none, or more than one
 */
export function tenantOfOwnDomain({ modeEntry, tenants }: Simulator): number | Outcome {
  if (!modeEntry.virtual) return HOST_TENANT;
  const guests = [...tenants.all()].filter(({ kind }) => kind === 'vm');
  if (guests.length === 1) return guests[0]!.index;
  return refuse(
    'policy-conflict',
    `in the mode "${modeEntry.kind}" a device is a guest's, and there are ${guests.length} tenants of kind "vm": ` +
      'name a domain of the one that is meant',
    '/domain',
  );
}

export function removeDomain(simulator: Simulator, operation: Of<'domain-remove'>): Outcome {
  const domain = simulator.domainNames.find(operation.domain);
  if (!domain) return refuse('unknown-domain', `no domain "${operation.domain}"`, '/domain');
  if (domain.devices > 0)
    return refuse(
      'in-use',
      `${domain.devices} device(s) are attached to ${domain.id}: move or remove them first`,
      '/domain',
    );
  const workload = workloadIn(simulator, domain.index);
  if (workload >= 0)
    return refuse('in-use', `workload wl_${workload} has live mappings in ${domain.id}: remove it first`, '/domain');
  retireDomain(simulator, domain.index);
  return ok({ id: domain.id });
}

/** A workload whose device was moved away and whose mappings stayed in a domain, -1 none. */
export function workloadIn({ mappings }: Simulator, domain: number): number {
  for (let slot = 0; slot < mappings.used; slot++)
    if (mappings.live[slot] === 1 && mappings.domain[slot] === domain && mappings.workload[slot]! >= 0)
      return mappings.workload[slot]!;
  return -1;
}

/** Takes a domain without devices apart: what it held back is flushed, its mappings and ranges end, its tables go back. */
export function retireDomain(simulator: Simulator, index: number): void {
  const domain = simulator.domains[index]!;
  const { mappings, tables, unit, work, oracle, clock, dma } = simulator;
  simulator.begin(0);
  dma.drain(domain);
  for (let slot = 0; slot < mappings.used; slot++) {
    if (mappings.live[slot] !== 1 || mappings.domain[slot] !== index) continue;
    const endPage = (page: number, frame: number) => {
      if (mappings.freed[slot] === 0)
        oracle.ended(
          domain.pages,
          domain.pages.chunk(page),
          page,
          slot,
          frame,
          mappings.startIn(slot, page),
          mappings.endIn(slot, page),
          clock.now,
        );
    };
    if (mappings.frame[slot] !== -1)
      for (let i = 0; i < mappings.pages[slot]!; i++) endPage(mappings.page[slot]! + i, mappings.frame[slot]! + i);
    else
      for (const run of mappings.runs[slot]!) for (let i = 0; i < run.pages; i++) endPage(run.page + i, run.frame + i);
    // Coherent memory came with its mapping and has no other handle.
    if (mappings.ownsFrames[slot] === 1) {
      simulator.hypervisor?.left(mappings.frame[slot]!, mappings.pages[slot]!);
      simulator.memory.giveBack(mappings.frame[slot]!, mappings.pages[slot]!);
    }
    simulator.dma.abandon(slot);
    mappings.bytes -= mappings.lengthBytes[slot]!;
    mappings.remove(slot);
  }
  simulator.dma.mode?.domainGone(domain);
  simulator.hypervisor?.domainGone(domain);
  simulator.flush.domainGone(domain);
  unit.submit(work.cpu, 1);
  unit.domain(index, work.now());
  tables.destroy(domain.root, domain.levels);
  simulator.domainNames.remove(domain);
  domain.retire();
  simulator.end();
}
