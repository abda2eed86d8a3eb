/**
 * emulated: a guest drives an IOMMU that its hypervisor emulates. The guest's tables are ordinary memory; what exits is every
 * submission of an invalidation, and caching mode is on, so that a new mapping needs one as well.
 *
 * Source: Amit, Ben-Yehuda, Tsafrir, Schuster: vIOMMU, USENIX ATC 2011. A map and an unmap of one page take 34,969 cycles under trap
 * and emulate, 30,645 of them interaction, against 6,909 and 2,316 on bare metal; through a sidecore, which polls the guest's queue
 * and needs no exit, 9,225 and 7,321. Half of it is booked to each submission, in place of the profile's `invalidation`.
 * Departs: the hypervisor's shadow tables are the guest's own, so a device's walk is that of one stage. The paper's numbers are those
 * of one page and one submission; a submission of many descriptors takes one exit here as well.
 * Pathology: an exit for each map and each unmap, taken while the invalidation queue's lock is held: with several CPUs everyone waits
 * for the hypervisor (the collapse at 16 cores of iommu-vm, 2025).
 */
import type { InvalidationUnit } from '../../hardware/invalidation.ts';
import type { Costs } from '../../meter/cost-profile.ts';
import type { Counters } from '../../meter/counters.ts';
import { ROW, type Work } from '../../meter/work.ts';
import { IotlbFlush } from '../iotlb-flush.ts';
import type { ModeEntry } from './mode.ts';

/** Submissions that a hypervisor carries out. */
export class EmulatedFlush extends IotlbFlush {
  protected override readonly reachesChip = false;
  private readonly sidecore: boolean;

  constructor(
    unit: InvalidationUnit,
    work: Work,
    costs: Costs,
    counters: Counters,
    batchDescriptors: number,
    sidecore: boolean,
  ) {
    super(unit, work, costs, counters, batchDescriptors);
    this.sidecore = sidecore;
  }

  protected override bookSubmission(_further: number): void {
    const { work, costs, counters } = this;
    if (this.sidecore) work.add(ROW.invalidation, costs.sidecoreCall);
    else {
      counters.vmExits++;
      work.add(ROW.vmExit, costs.vmExit);
    }
  }
}

export const emulated: ModeEntry = {
  kind: 'emulated',
  description: 'a guest drives an emulated IOMMU: every submission of an invalidation exits, and every map needs one',
  source: 'Amit, Ben-Yehuda, Tsafrir, Schuster: vIOMMU, USENIX ATC 2011',
  departs: "shadow tables are the guest's own tables; a submission takes one exit however much it submits",
  pathology: 'an exit for each map and each unmap, while the lock of the invalidation queue is held',
  schema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      handling: {
        enum: ['exit', 'sidecore'],
        description: 'how the hypervisor hears of a submission: by an exit, or by a core of its own that polls',
      },
    },
  },
  defaults: { handling: 'exit' },
  virtual: true,
  translates: true,
  direct: false,
  taxed: true,
  cachingMode: true,
  steps: ['vmExit', 'sidecoreCall'],
  stepsWith: ({ handling }) => [handling === 'sidecore' ? 'sidecoreCall' : 'vmExit'],
  spares: ['invalidation'],
  allocates: true,
  unused: [],
  create: () => null,
};
