/**
 * direct: all of a guest's memory is mapped for its devices, at its guest-physical address; the guest has no IOMMU and does nothing
 * for a DMA. Guests are kept apart from each other, a guest from its devices not at all.
 *
 * The hypervisor maps a block when a tenant of kind `vm` is handed it, in the largest pages that fit, and takes it out of the tables
 * and invalidates before it is anybody else's: when the buffer is freed, the tenant goes, or somebody else is handed a frame that the
 * guest's drivers gave back and that is the guest's until then. None of it is booked to the guest's operations.
 *
 * Source: Willmann, Rixner, Cox: Protection strategies for direct access to virtualized I/O devices, USENIX ATC 2008 (direct map);
 * VFIO of today without a vIOMMU.
 * Departs: a guest-physical address is the physical one. A tenant has what it was handed, not `memoryBytes` at once.
 * Pathology: a device reaches every byte of its guest, mapped or not.
 */
import { type FrameWatcher, STANDING } from '../../hardware/memory.ts';
import { READ, WRITE } from '../../hardware/page-table.ts';
import type { Domain } from '../domain.ts';
import { type Mode, type ModeEntry, type ModeParts, noParameters } from './mode.ts';
import { Passthrough } from './passthrough.ts';

class Direct extends Passthrough implements Mode, FrameWatcher {
  /** [tenant]: domains of that guest. */
  private readonly domainsOf: Domain[][] = [];

  constructor(parts: ModeParts) {
    super(parts);
    parts.memory.watcher = this;
  }

  override domainMade(domain: Domain): boolean {
    const { memory, mapper } = this.parts;
    let done = true;
    memory.forEachOfGuest(domain.tenant, (first, count) => {
      if (done) done = this.within(domain, first, count) === mapper.write(domain, first, first, count, READ | WRITE, 3);
    });
    if (done) this.of(domain.tenant).push(domain);
    return done;
  }

  private of(tenant: number): Domain[] {
    while (this.domainsOf.length <= tenant) this.domainsOf.push([]);
    return this.domainsOf[tenant]!;
  }

  /** How much of a block its tables can address: the guest has no more memory than its devices can reach. */
  private within(domain: Domain, first: number, count: number): number {
    return Math.max(0, Math.min(count, domain.lastPage + 1 - first));
  }

  override domainGone(domain: Domain): void {
    const domains = this.of(domain.tenant);
    domains.splice(domains.indexOf(domain), 1);
  }

  leaving(first: number, count: number, tenant: number): void {
    const { memory } = this.parts;
    for (let frame = first; frame < first + count; ) {
      const owner = memory.ownerOf(frame);
      if (memory.standingOf(frame) !== STANDING.guest || owner === tenant) {
        frame++;
        continue;
      }
      let end = frame + 1;
      while (end < first + count && memory.standingOf(end) === STANDING.guest && memory.ownerOf(end) === owner) end++;
      this.takeBack(frame, end - frame, owner);
      frame = end;
    }
  }

  /** Frames that stand mapped for a guest are its own no longer. */
  takeBack(first: number, count: number, tenant: number): void {
    const { memory, mapper, unit, tables, work, clock } = this.parts;
    memory.setStanding(first, count, STANDING.none);
    const at = Math.max(clock.now, work.now());
    for (const domain of this.of(tenant)) {
      const pages = this.within(domain, first, count);
      if (pages === 0) continue;
      mapper.clear(domain, first, pages);
      unit.range(domain.index, first, pages, tables.unlinkedTables === 0, at);
      tables.releaseUnlinked();
    }
  }

  handedOut(first: number, count: number, tenant: number): boolean {
    const { memory, mapper, unit, tables, work, clock } = this.parts;
    const domains = this.domainsOf[tenant];
    if (!this.isGuest(tenant)) return true;
    // What the guest's drivers gave back and take again was never out of its tables.
    if (memory.standingOf(first) === STANDING.guest && memory.standingOf(first + count - 1) === STANDING.guest) {
      let all = true;
      for (let frame = first; frame < first + count && all; frame++) all = memory.standingOf(frame) === STANDING.guest;
      if (all) return true;
    }
    for (const domain of domains ?? []) {
      const pages = this.within(domain, first, count);
      if (mapper.write(domain, first, first, pages, READ | WRITE, 3) < pages) {
        memory.setStanding(first, count, STANDING.guest);
        this.takeBack(first, count, tenant);
        return false;
      }
      if (mapper.takeReplaced() > 0) {
        unit.range(domain.index, first, pages, false, Math.max(clock.now, work.now()));
        tables.releaseUnlinked();
      }
    }
    memory.setStanding(first, count, STANDING.guest);
    return true;
  }

  /** [tenant]: 1 for a tenant of kind `vm`. */
  private readonly guests: number[] = [];

  private isGuest(tenant: number): boolean {
    return this.guests[tenant] === 1;
  }

  override tenantMade(tenant: number, virtual: boolean): void {
    this.guests[tenant] = virtual ? 1 : 0;
  }

  override tenantGone(tenant: number): void {
    const { memory } = this.parts;
    const held: [number, number][] = [];
    memory.forEachOfGuest(tenant, (first, count) => held.push([first, count]));
    for (const [first, count] of held) this.takeBack(first, count, tenant);
    this.guests[tenant] = 0;
  }

  override left(first: number, count: number): void {
    this.leaving(first, count, -1);
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
  create: (parts) => new Direct(parts),
};
