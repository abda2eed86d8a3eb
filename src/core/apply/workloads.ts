/** Workloads: traffic attached to a device; it flows only in runs. */
import { workloads as kinds } from '../devices/index.ts';
import { HOST_TENANT } from '../hardware/memory.ts';
import { workloadDocument } from '../look/documents.ts';
import type { Outcome } from '../operations.ts';
import { ok, refuse } from '../outcome.ts';
import type { Simulator } from '../simulator.ts';
import type { Of } from './index.ts';
import { refuseName } from './names.ts';

export function makeWorkload(simulator: Simulator, operation: Of<'workload'>): Outcome {
  const { op: _op, ...body } = operation;
  const entry = kinds[body.kind];
  if (!entry)
    return refuse(
      'invalid-operation',
      `no workload of kind "${body.kind}"; known: ${Object.keys(kinds).join(', ')}`,
      '/kind',
    );
  const refused = refuseName(body.name, simulator.workloads);
  if (refused) return refused;
  const device = simulator.devices.find(body.device);
  if (!device) return refuse('unknown-device', `no device "${body.device}"`, '/device');
  // A guest's driver has the guest's memory.
  const { virtual, kind } = simulator.modeEntry;
  let tenant = virtual ? (device.domain?.tenant ?? HOST_TENANT) : HOST_TENANT;
  if (body.tenant !== undefined) {
    const found = simulator.tenants.find(body.tenant);
    if (!found) return refuse('unknown-tenant', `no tenant "${body.tenant}"`, '/tenant');
    if (virtual && found.index !== tenant)
      return refuse(
        'policy-conflict',
        `in the mode "${kind}" a driver has the memory of its guest: ${device.id} is driven by ten_${tenant}`,
        '/tenant',
      );
    tenant = found.index;
  }
  for (const member of ['cpus', 'completionCpus'])
    for (const [i, cpu] of ((body[member] as number[] | undefined) ?? []).entries())
      if (cpu >= simulator.cpuAt.length)
        return refuse('out-of-range', `the machine has CPUs 0 to ${simulator.cpuAt.length - 1}`, `/${member}/${i}`);
  let target = device;
  if (body.target !== undefined) {
    const found = simulator.devices.find(body.target as string);
    if (!found) return refuse('unknown-device', `no device "${body.target}"`, '/target');
    target = found;
  }
  const spec = { ...entry.defaultsFor(simulator, body), ...body };
  const misfit = entry.check?.(simulator, spec, device) ?? entry.size?.(spec);
  if (misfit) return refuse('invalid-operation', misfit.message, misfit.path);
  const index = simulator.workloads.next;
  const workload = entry.create(simulator, { index, spec, device, target, tenant });
  simulator.workloads.add(workload);
  simulator.workloadAt[index] = workload;
  simulator.exposure.openAccount(index);
  return ok(workloadDocument(workload));
}

export function removeWorkload(simulator: Simulator, operation: Of<'workload-remove'>): Outcome {
  const workload = simulator.workloads.find(operation.workload);
  if (!workload) return refuse('unknown-workload', `no workload "${operation.workload}"`, '/workload');
  workload.tearDown();
  simulator.workloads.remove(workload);
  simulator.workloadAt[workload.index] = undefined;
  return ok({ id: workload.id });
}
