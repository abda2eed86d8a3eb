/** What invalidations and table entries go through: the chip itself, or the hypervisor of a mode for guests. */
import type { Machine } from './machine.ts';
import { IotlbFlush } from './os/iotlb-flush.ts';
import { EmulatedFlush } from './os/mode/emulated.ts';
import { parametersOf } from './os/mode/index.ts';
import { NestedFlush } from './os/mode/nested.ts';
import { HostMapper, HostQueue } from './os/mode/paravirtual.ts';
import { PageMapper } from './os/page-mapper.ts';

/** @param machine as far as it is built: flush and mapper are what is built next */
export function wayToTheChip(machine: Machine): [IotlbFlush, PageMapper] {
  const { tables, work, costs, counters, unit, spec, modeEntry, domains, exposure } = machine;
  const { superpages, coherent, pageTableLock, invalidation } = spec.iommu;
  if (modeEntry.kind === 'paravirtual') {
    const queue = new HostQueue(unit, work, costs, counters, tables, domains);
    queue.cleared = (domain, first, pages, at) => exposure.cleared(domain.index, first, first + pages - 1, at);
    return [queue, new HostMapper(tables, work, costs, counters, superpages, coherent, queue)];
  }
  const mapper = new PageMapper(tables, work, costs, counters, superpages, coherent, pageTableLock);
  const { batchDescriptors } = invalidation;
  if (modeEntry.kind === 'nested')
    return [
      new NestedFlush(unit, work, costs, counters, batchDescriptors, parametersOf(spec).propagate !== false),
      mapper,
    ];
  if (modeEntry.kind !== 'emulated') return [new IotlbFlush(unit, work, costs, counters, batchDescriptors), mapper];
  const sidecore = parametersOf(spec).handling === 'sidecore';
  return [new EmulatedFlush(unit, work, costs, counters, batchDescriptors, sidecore), mapper];
}
