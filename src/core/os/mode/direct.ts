/**
 * direct: all of a guest's memory is mapped for its devices, at its guest-physical address; the guest has no IOMMU and does nothing
 * for a DMA. Guests are kept apart from each other, a guest from its devices not at all.
 *
 * The hypervisor keeps the tables of every domain of the guest (`guest-memory.ts`).
 *
 * Source: Willmann, Rixner, Cox: Protection strategies for direct access to virtualized I/O devices, USENIX ATC 2008 (direct map);
 * VFIO of today without a vIOMMU.
 * Departs: a guest-physical address is the physical one. A tenant has what it was handed, not `memoryBytes` at once.
 * Pathology: a device reaches every byte of its guest, mapped or not.
 */
import { STANDING } from '../../hardware/memory.ts';
import type { Domain } from '../domain.ts';
import type { Tree } from '../page-mapper.ts';
import { GuestMemory, type HypervisorParts } from './guest-memory.ts';
import { type ModeEntry, noParameters } from './mode.ts';
import { Passthrough } from './passthrough.ts';

class DirectMap extends GuestMemory {
  constructor(parts: HypervisorParts) {
    super(parts, parts.mapper, STANDING.guest);
  }

  protected override treesOf(tenant: number): readonly Domain[] {
    return this.domainsOf(tenant);
  }

  override domainMade(domain: Domain): boolean {
    return this.mapAll(domain, domain.tenant) && super.domainMade(domain);
  }

  protected override cut(
    tree: Tree,
    tenant: number,
    first: number,
    pages: number,
    leafOnly: boolean,
    at: number,
  ): void {
    this.parts.unit.range(tree.index, first, pages, leafOnly, at);
    for (const domain of this.domainsOf(tenant)) if (domain === tree) this.dropFromDevices(domain, first, pages, at);
  }
}

export const direct: ModeEntry = {
  kind: 'direct',
  description: "all of a guest's memory is mapped for its devices; the guest does nothing for a DMA",
  source:
    'Willmann, Rixner, Cox: Protection strategies for direct access to virtualized I/O devices, USENIX ATC 2008; VFIO',
  departs: 'a guest-physical address is the physical one; a guest has what it was handed, not its quota at once',
  pathology: 'a device reaches every byte of its guest, whether it was mapped or not',
  schema: noParameters,
  defaults: {},
  virtual: true,
  translates: false,
  direct: true,
  taxed: false,
  cachingMode: false,
  steps: [],
  spares: [],
  allocates: false,
  unused: [
    { path: '/policy/allocator', why: 'addresses are guest-physical' },
    { path: '/policy/invalidation', why: "the guest's memory stays mapped: an unmap clears nothing" },
  ],
  create: (parts) => new Passthrough(parts),
  hypervisor: (parts) => new DirectMap(parts),
};
