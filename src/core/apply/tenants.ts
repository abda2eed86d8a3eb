/** Tenants: owners of memory. Deleting one frees all its frames, as tearing down a VM does. */

import { tenantDocument } from '../look/documents.ts';
import type { Outcome } from '../operations.ts';
import { ok, refuse } from '../outcome.ts';
import type { Simulator } from '../simulator.ts';
import { endMappingsOf, giveBack } from './buffers.ts';
import type { Of } from './index.ts';
import { refuseName } from './names.ts';

export function makeTenant(simulator: Simulator, operation: Of<'tenant'>): Outcome {
  const { tenants } = simulator;
  const refused = refuseName(operation.name, tenants);
  if (refused) return refused;
  const tenant = {
    index: tenants.next,
    name: operation.name ?? null,
    kind: operation.kind,
    memoryBytes: operation.memoryBytes ?? null,
  };
  tenants.add(tenant);
  simulator.hypervisor?.tenantMade(tenant.index, tenant.kind === 'vm');
  return ok(tenantDocument(simulator, tenant));
}

export function removeTenant(simulator: Simulator, operation: Of<'tenant-remove'>): Outcome {
  const { tenants, buffers, workloads, log } = simulator;
  const tenant = tenants.find(operation.tenant);
  if (!tenant) return refuse('unknown-tenant', `no tenant "${operation.tenant}"`, '/tenant');
  for (const workload of workloads.all())
    if (workload.tenant === tenant.index)
      return refuse('in-use', `workload ${workload.id} takes its memory from ${tenants.idOf(tenant)}`, '/tenant');
  const misuse: { check: string; detail: string }[] = [];
  for (const buffer of [...buffers.all()]) {
    if (buffer.tenant !== tenant.index) continue;
    const ended = endMappingsOf(simulator, buffer);
    if (ended > 0)
      misuse.push({
        check: 'freed-while-mapped',
        detail: `buf_${buffer.index} was freed under ${ended} live mapping(s)`,
      });
    giveBack(simulator, buffer);
  }
  simulator.hypervisor?.tenantGone(tenant.index);
  for (const { check, detail } of misuse) log.add('misuse', simulator.timeNs, { check, detail });
  simulator.counters.misuse += misuse.length;
  tenants.remove(tenant);
  return ok({ id: tenants.idOf(tenant), ...(misuse.length > 0 && { misuse }) });
}
