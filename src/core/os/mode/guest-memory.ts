/**
 * What a hypervisor does for guests whose devices are given to them: a guest's memory stands mapped at its guest-physical address.
 *
 * A block is mapped when a tenant of kind `vm` is handed it, in the largest pages that fit, and taken out and invalidated before it is
 * anybody else's: when the buffer is freed, the tenant goes, or somebody else is handed a frame that the guest's drivers gave back and
 * that is the guest's until then. What is left of a large page is mapped again in small ones. None of it is booked to the guest's
 * operations.
 *
 * Source: VFIO: memory is mapped for the devices when the guest gets it. Departs: a guest-physical address is the physical one. A
 * tenant has what it was handed, not `memoryBytes` at once.
 */
import { ALL_PAGES, aligned, alignRange, codeDeviceRange, type InvalidationUnit } from '../../hardware/invalidation.ts';
import { type FrameWatcher, type Memory, STANDING } from '../../hardware/memory.ts';
import type { NestedWalk } from '../../hardware/nested.ts';
import { type PageTables, READ, WALK, WRITE } from '../../hardware/page-table.ts';
import type { SecondStage } from '../../hardware/watcher.ts';
import type { Costs } from '../../meter/cost-profile.ts';
import type { Work } from '../../meter/work.ts';
import type { Clock } from '../../sim/clock.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Domain } from '../domain.ts';
import type { PageMapper, Tree } from '../page-mapper.ts';

export interface HypervisorParts {
  memory: Memory;
  tables: PageTables;
  /** The one that drivers use; a hypervisor may have another. */
  mapper: PageMapper;
  unit: InvalidationUnit;
  work: Work;
  costs: Costs;
  clock: Clock;
  /** Levels of its tables. */
  levels: number;
  superpages: string[];
  coherent: boolean;
  /** The chip's walk of two stages; null where there is one. */
  nested: NestedWalk | null;
}

export abstract class GuestMemory implements FrameWatcher {
  protected readonly parts: HypervisorParts;
  private readonly mapper: PageMapper;
  /** How a guest's frames stand mapped; one of STANDING. */
  private readonly standing: number;
  /** [tenant]: 1 for a tenant of kind `vm`; its domains. */
  private readonly guests: number[] = [];
  private readonly domains: Domain[][] = [];
  /** What is left of large pages that lost a part, until it is mapped again: there may be no frame to be had for a table before that. */
  private torn: { tree: Tree; tenant: number; first: number; end: number }[] = [];

  constructor(parts: HypervisorParts, mapper: PageMapper, standing: number) {
    this.parts = parts;
    this.mapper = mapper;
    this.standing = standing;
    parts.memory.watcher = this;
  }

  /** Where a guest's memory is mapped. */
  protected abstract treesOf(tenant: number): readonly Tree[];
  /** Entries of a tree changed: what is cached of them goes. */
  protected abstract cut(tree: Tree, tenant: number, first: number, pages: number, leafOnly: boolean, at: number): void;

  /** Before a domain of a guest is made. @returns false without frames for what it needs */
  ready(_tenant: number): boolean {
    return true;
  }
  /** The domain that `ready` was for was made, or could not be, or one went. */
  settle(_tenant: number): void {}
  /** What translates the addresses in the tables of a guest's domains; null nothing. */
  secondStageOf(_tenant: number): SecondStage | null {
    return null;
  }

  protected domainsOf(tenant: number): Domain[] {
    while (this.domains.length <= tenant) this.domains.push([]);
    return this.domains[tenant]!;
  }

  /** @returns false without a frame for a table */
  domainMade(domain: Domain): boolean {
    this.domainsOf(domain.tenant).push(domain);
    return true;
  }

  domainGone(domain: Domain): void {
    const domains = this.domainsOf(domain.tenant);
    domains.splice(domains.indexOf(domain), 1);
    this.settle(domain.tenant);
  }

  tenantMade(tenant: number, virtual: boolean): void {
    this.guests[tenant] = virtual ? 1 : 0;
  }

  tenantGone(tenant: number): void {
    const held: [number, number][] = [];
    this.parts.memory.forEachOfGuest(tenant, this.standing, (first, count) => held.push([first, count]));
    for (const [first, count] of held) this.takeBack(first, count, tenant);
    this.mend();
    this.guests[tenant] = 0;
  }

  /** Frames leave their tenant for good: a buffer is freed, or coherent memory unmapped. They are not given back yet. */
  left(first: number, count: number): void {
    this.leaving(first, count, -1);
    this.mend();
  }

  /** All that a guest holds, into a tree that is new. @returns false without a frame for a table */
  protected mapAll(tree: Tree, tenant: number): boolean {
    let done = true;
    this.parts.memory.forEachOfGuest(tenant, this.standing, (first, count) => {
      const pages = within(tree, first, count);
      if (done) done = this.mapper.write(tree, first, first, pages, READ | WRITE, 3) === pages;
    });
    return done;
  }

  leaving(first: number, count: number, tenant: number): void {
    const { standing } = this;
    const { memory } = this.parts;
    for (let frame = first; frame < first + count; ) {
      const owner = memory.ownerOf(frame);
      if (memory.standingOf(frame) !== standing || owner === tenant) {
        frame++;
        continue;
      }
      let end = frame + 1;
      while (end < first + count && memory.standingOf(end) === standing && memory.ownerOf(end) === owner) end++;
      this.takeBack(frame, end - frame, owner);
      frame = end;
    }
  }

  /** Frames that stand mapped for a guest are its own no longer. */
  private takeBack(first: number, count: number, tenant: number): void {
    const { mapper } = this;
    const { memory, tables } = this.parts;
    memory.setStanding(first, count, STANDING.none);
    const at = this.now();
    for (const tree of this.treesOf(tenant)) {
      const pages = within(tree, first, count);
      if (pages === 0) continue;
      this.tear(tree, tenant, first);
      this.tear(tree, tenant, first + pages - 1);
      mapper.clear(tree, first, pages);
      this.cut(tree, tenant, first, pages, tables.unlinkedTables === 0, at);
      tables.releaseUnlinked(tree.index);
    }
  }

  /** A page is about to be cleared: if it is part of a large one, so are the others of that. */
  private tear(tree: Tree, tenant: number, page: number): void {
    const { tables } = this.parts;
    if (tables.walk(tree.root, tree.levels, page) !== WALK.leaf || tables.foundPages === 1) return;
    const first = page - (page % tables.foundPages);
    this.torn.push({ tree, tenant, first, end: first + tables.foundPages });
  }

  /** Maps again what large pages lost though it is still their guest's; without a frame for a table the guest has lost it too. */
  private mend(): void {
    const { mapper, standing } = this;
    const { memory } = this.parts;
    for (let piece = this.torn.shift(); piece !== undefined; piece = this.torn.shift()) {
      const { tree, tenant, end } = piece;
      for (let { first } = piece; first < end; first++) {
        if (memory.standingOf(first) !== standing || memory.ownerOf(first) !== tenant) continue;
        if (mapper.write(tree, first, first, 1, READ | WRITE, 1) < 1) this.takeBack(first, 1, tenant);
      }
    }
  }

  handedOut(first: number, count: number, tenant: number): boolean {
    const { mapper, standing } = this;
    const { memory, tables } = this.parts;
    this.mend();
    if (this.guests[tenant] !== 1) return true;
    // What the guest's drivers gave back and take again was never out of its tables.
    if (memory.standingOf(first) === standing && memory.standingOf(first + count - 1) === standing) {
      let all = true;
      for (let frame = first; frame < first + count && all; frame++) all = memory.standingOf(frame) === standing;
      if (all) return true;
    }
    for (const tree of this.treesOf(tenant)) {
      const pages = within(tree, first, count);
      if (mapper.write(tree, first, first, pages, READ | WRITE, 3) < pages) {
        memory.setStanding(first, count, standing);
        this.takeBack(first, count, tenant);
        return false;
      }
      if (mapper.takeReplaced() > 0) {
        this.cut(tree, tenant, first, pages, false, this.now());
        tables.releaseUnlinked(tree.index);
      }
    }
    memory.setStanding(first, count, standing);
    return true;
  }

  private now(): number {
    const { clock, work } = this.parts;
    return Math.max(clock.now, work.now());
  }

  /** What the devices of a domain have of a range, or of everything. */
  protected dropFromDevices(domain: Domain, first: number, pages: number, at: number): void {
    if (domain.deviceTlbs.length === 0) return;
    let base = 0;
    let mask = ALL_PAGES;
    if (pages !== Number.POSITIVE_INFINITY) {
      alignRange(first, pages);
      ({ base, mask } = aligned);
    }
    for (const { index, deviceTlb } of domain.deviceTlbs)
      this.parts.unit.deviceTlb(index, domain.index, deviceTlb!, codeDeviceRange(base, mask), mask > 0, at);
  }

  gauges(): Record<string, number> {
    return {};
  }
  digest(_sink: DigestSink): void {}
}

/** How much of a block a tree can address: the guest has no more memory than its devices can reach. */
function within(tree: Tree, first: number, count: number): number {
  return Math.max(0, Math.min(count, tree.lastPage + 1 - first));
}
