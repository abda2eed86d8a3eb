/** One handler per operation; a new operation is a file here and a line in `dispatch`. */
import type { Operation, Outcome } from '../operations.ts';
import type { Simulator } from '../simulator.ts';
import { allocateBuffer, freeBuffer } from './buffers.ts';
import { attach, detach, makeDevice, removeDevice } from './devices.ts';
import { access } from './dma.ts';
import { makeDomain, removeDomain } from './domains.ts';
import { invalidate, mapRange, unmapRange } from './iommu.ts';
import { map, sync, unmap } from './mappings.ts';
import { makeTenant, removeTenant } from './tenants.ts';
import { advance } from './time.ts';
import { makeWorkload, removeWorkload } from './workloads.ts';

/** null: a linear search yielded; the same operation is dispatched again to go on. */
export type Applied = Outcome | null;

export function dispatch(simulator: Simulator, operation: Operation): Applied {
  switch (operation.op) {
    case 'map':
      return map(simulator, operation);
    case 'unmap':
      return unmap(simulator, operation);
    case 'dma':
      return access(simulator, operation);
    case 'advance':
      return advance(simulator, operation);
    case 'sync':
      return sync(simulator, operation);
    case 'iommu-map':
      return mapRange(simulator, operation);
    case 'iommu-unmap':
      return unmapRange(simulator, operation);
    case 'invalidate':
      return invalidate(simulator, operation);
    case 'buffer':
      return allocateBuffer(simulator, operation);
    case 'free':
      return freeBuffer(simulator, operation);
    case 'tenant':
      return makeTenant(simulator, operation);
    case 'tenant-remove':
      return removeTenant(simulator, operation);
    case 'domain':
      return makeDomain(simulator, operation);
    case 'domain-remove':
      return removeDomain(simulator, operation);
    case 'device':
      return makeDevice(simulator, operation);
    case 'device-remove':
      return removeDevice(simulator, operation);
    case 'attach':
      return attach(simulator, operation);
    case 'detach':
      return detach(simulator, operation);
    case 'workload':
      return makeWorkload(simulator, operation);
    case 'workload-remove':
      return removeWorkload(simulator, operation);
  }
}

/** The operation of one kind. */
export type Of<Kind extends Operation['op']> = Extract<Operation, { op: Kind }>;
