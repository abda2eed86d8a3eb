/**
 * nested: a guest has tables of its own, from IOVA to guest-physical, which the chip walks; its hypervisor has others below them, from
 * there to the machine. A map writes the guest's tables, as on bare metal; what exits is each submission of an invalidation.
 *
 * The hypervisor keeps one second stage for each guest that has a domain, as `direct` keeps its tables (`guest-memory.ts`). The
 * guest's tables are its memory: their pages are mapped there too, and when the guest loses one every walk over it faults.
 *
 * The doorbell's exit is taken while the lock of the guest's queue is held: `hostRequest` there, between what bare metal does under
 * the lock and what it does after it. When the second stage changes nobody knows which IOVAs lead there: all domains of the guest are
 * invalidated whole, and their devices' TLBs. With `propagate: false` the host does nothing for a guest's flush beyond the exit: the
 * guest believes that it is strict. Attaching and detaching are the host's own work, and reach the chip all the same.
 *
 * Source: Intel VT-d specification, nested translation; raw runs of iommu-vm (UIUC, 2025), guest strict with nested tables, Linux
 * 6.12.9: 7.0 to 9.4 us a submission, 237.8 Gb/s at 8 cores and 25.0 at 16; 344 at 16 with the exit left out. Linux
 * `drivers/iommu/intel/iommu.c`: first-stage tables need no flush when something is mapped, and have addresses of a bit less, as they
 * must be canonical. Flushes that are not passed on: linux-iommu, "[PATCH v13 07/15]", 2020-12-03 (a guest's flush of everything).
 * Departs: a guest-physical address is the physical one. One kernel serves all guests here, so a guest's global flush is everybody's.
 * Pathology: the lock is held for the exit, so that more CPUs than the exit has room for move less than a few do.
 */
import type { InvalidationUnit } from '../../hardware/invalidation.ts';
import { STANDING } from '../../hardware/memory.ts';
import { NO_TABLE } from '../../hardware/page-table.ts';
import type { SecondStage } from '../../hardware/watcher.ts';
import type { Costs } from '../../meter/cost-profile.ts';
import { Counters } from '../../meter/counters.ts';
import { ROW, type Work } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { Lock } from '../../sim/lock.ts';
import { widthOf } from '../domain.ts';
import { type FlushTarget, IotlbFlush } from '../iotlb-flush.ts';
import { PageMapper, type Tree } from '../page-mapper.ts';
import { GuestMemory, type HypervisorParts } from './guest-memory.ts';
import type { ModeEntry } from './mode.ts';

/** The host where it does nothing for a guest's flush. */
class DeafHost implements FlushTarget {
  effective = { scope: 'none' as const, domain: -1, first: 0, pages: 0 };
  private readonly counters: Counters;

  constructor(counters: Counters) {
    this.counters = counters;
  }

  global(): void {
    this.counters.flushesDropped++;
  }
  domain(): void {
    this.counters.flushesDropped++;
  }
  range(): void {
    this.counters.flushesDropped++;
  }
  deviceTlb(): void {
    this.counters.flushesDropped++;
  }
}

/** A guest's submissions: those of bare metal, and an exit at the doorbell. */
export class NestedFlush extends IotlbFlush {
  constructor(
    unit: InvalidationUnit,
    work: Work,
    costs: Costs,
    counters: Counters,
    batchDescriptors: number,
    propagate: boolean,
  ) {
    super(unit, work, costs, counters, batchDescriptors);
    if (!propagate) this.target = new DeafHost(counters);
  }

  protected override ringDoorbell(): void {
    this.counters.vmExits++;
    this.work.add(ROW.vmExit, this.costs.hostRequest);
  }

  protected override bookSubmission(further: number): void {
    super.bookSubmission(further);
    this.ringDoorbell();
  }
}

/** Owners of tables below this number are second stages; see `PageTables`. */
const FIRST_TAG = -2;

/** The tables of one guest's memory. */
export class GuestStage implements SecondStage, Tree {
  readonly index: number;
  readonly tag: number;
  readonly levels: number;
  readonly lastPage: number;
  /** Nobody waits for it: what a hypervisor does is not booked. */
  readonly tableLock = new Lock('second-stage');
  root = NO_TABLE;

  constructor(tenant: number, levels: number) {
    this.index = FIRST_TAG - tenant;
    this.tag = tenant;
    this.levels = levels;
    this.lastPage = 2 ** (widthOf(levels) - 12) - 1;
  }
}

class TwoStages extends GuestMemory {
  /** [tenant]: its second stage, while it has a domain. */
  private readonly stages: (GuestStage | undefined)[] = [];
  /** Entries of second stages; those of the guests' own tables are the session's. */
  private readonly counters: Counters;

  constructor(parts: HypervisorParts) {
    const { tables, work, costs, superpages, coherent } = parts;
    const counters = new Counters();
    super(
      parts,
      // Counted apart: what a guest is booked for goes by the entries that it wrote.
      new PageMapper(tables, work, costs, counters, superpages, coherent, false),
      STANDING.secondStage,
    );
    this.counters = counters;
  }

  protected override treesOf(tenant: number): readonly GuestStage[] {
    const stage = this.stages[tenant];
    return stage === undefined ? [] : [stage];
  }

  override secondStageOf(tenant: number): SecondStage | null {
    return this.stages[tenant] ?? null;
  }

  override ready(tenant: number): boolean {
    if (this.stages[tenant] !== undefined) return true;
    const { tables, levels } = this.parts;
    const stage = new GuestStage(tenant, levels);
    stage.root = tables.create(levels, stage.index, 0);
    if (stage.root === NO_TABLE) return false;
    this.stages[tenant] = stage;
    if (this.mapAll(stage, tenant)) return true;
    this.settle(tenant);
    return false;
  }

  override settle(tenant: number): void {
    const stage = this.stages[tenant];
    if (stage === undefined || this.domainsOf(tenant).length > 0) return;
    this.stages[tenant] = undefined;
    this.parts.nested!.invalidateSecond(stage.tag);
    this.parts.tables.destroy(stage.root, stage.levels);
  }

  protected override cut(
    _tree: Tree,
    tenant: number,
    _first: number,
    _pages: number,
    _leafOnly: boolean,
    at: number,
  ): void {
    const { unit, nested } = this.parts;
    for (const domain of this.domainsOf(tenant)) {
      unit.domain(domain.index, at);
      this.dropFromDevices(domain, 0, Number.POSITIVE_INFINITY, at);
    }
    nested!.invalidateSecond(tenant);
  }

  override gauges(): Record<string, number> {
    const { ptesWritten, ptesCleared } = this.counters;
    return { secondStagePtesWritten: ptesWritten, secondStagePtesCleared: ptesCleared };
  }

  override digest(sink: DigestSink): void {
    for (const stage of this.stages) sink.number(stage === undefined ? NO_TABLE : stage.root);
    for (const value of Object.values(this.counters)) sink.number(value as number);
  }
}

export const nested: ModeEntry = {
  kind: 'nested',
  description: "a guest's own tables over those of its hypervisor, walked by the chip; its invalidations exit",
  source: 'Intel VT-d specification, nested translation; iommu-vm, UIUC 2025, raw runs',
  departs:
    'a guest-physical address is the physical one; no cache of second-stage translations; first-stage entries have a read bit',
  pathology: 'each submission of an invalidation exits while the lock of the queue is held: 16 CPUs move less than 8',
  schema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      propagate: {
        type: 'boolean',
        description:
          "whether the host carries a guest's invalidations out; false: it drops them, and the guest does not know",
      },
    },
  },
  defaults: { propagate: true },
  virtual: true,
  translates: true,
  direct: false,
  taxed: true,
  cachingMode: false,
  steps: ['hostRequest'],
  spares: [],
  allocates: true,
  unused: [],
  create: () => null,
  hypervisor: (parts) => new TwoStages(parts),
};
