/**
 * The driver's side of an invalidation: room in the ring, descriptors, their wait, device TLBs after the IOTLB, DMA in flight first.
 *
 * A submission writes its descriptors and one wait descriptor and rings the doorbell under the queue's lock, then polls without it, so
 * that other CPUs submit meanwhile; their commands stand in line at the hardware. Alone, it costs the profile's `invalidation` to the
 * cycle. Where CPUs meet, that splits into `invalidationSubmit` under the lock, `invalidationHardware`, one submission after the
 * other, and the rest, the poll and the return. Waiting at the lock goes to the row `lockWait`, waiting for the hardware and for room
 * to `invalidation`. The register interface holds its lock throughout.
 *
 * Source: Linux `drivers/iommu/intel/dmar.c`, `qi_submit_sync`; `drivers/iommu/intel/cache.c` for batches (6.12: up to 16 descriptors
 * before one wait) and the order of IOTLB and device TLBs. Departs: the kernel's poll takes the lock for a moment at each turn.
 */

import * as invalidationConstants from '../hardware/invalidation.ts';
import { aligned, alignRange, codeDeviceRange, type InvalidationUnit } from '../hardware/invalidation.ts';
import type { Costs } from '../meter/cost-profile.ts';
import type { Counters } from '../meter/counters.ts';
import type { Work } from '../meter/work.ts';
import * as workConstants from '../meter/work.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { Lock } from '../sim/lock.ts';
import type { Device } from './device.ts';
import type { Domain } from './domain.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { ALL_PAGES } = invalidationConstants;
const { INVALIDATION_STEP, ROW } = workConstants;

const COMMAND = { range: 0, leafRange: 1, domain: 2, global: 3, device: 4 } as const;
const LANDED = Number.NEGATIVE_INFINITY;

/** What carries invalidations out: the chip, or who stands between. */
export interface FlushTarget extends Pick<InvalidationUnit, 'global' | 'domain' | 'range' | 'deviceTlb'> {
  /** Of the last command: what it really covered. */
  readonly effective: { scope: 'global' | 'domain' | 'range' | 'none'; domain: number; first: number; pages: number };
}

export class IotlbFlush {
  declare protected readonly unit: InvalidationUnit;
  /** What the commands of maps and unmaps reach. */
  declare protected target: FlushTarget;
  declare protected readonly work: Work;
  declare protected readonly costs: Costs;
  declare protected readonly counters: Counters;
  /** `q_lock` of the invalidation queue, or the register lock; with `per-cpu` [cpu]. */
  declare readonly locks: readonly Lock[];
  /** Whether submissions go to the chip itself, and not to a hypervisor that plays it. */
  protected readonly reachesChip: boolean = true;
  /** Descriptors before one wait, at most. */
  declare private readonly batch: number;

  /** Milli-cycles of `invalidation`: under the lock, in the hardware, and what is left. */
  declare private readonly submitPart: number;
  declare private readonly hardwarePart: number;
  declare private readonly restPart: number;

  /** Whether a submission was made among other CPUs; whether one had several commands. */
  met = false;
  batched = false;

  // The submission in the making. [command]: what, of which domain and device, and its pages.
  declare private readonly command: Int32Array;
  declare private readonly domainOf: (Domain | null)[];
  declare private readonly deviceOf: (Device | null)[];
  declare private readonly first: Float64Array;
  declare private readonly pages: Float64Array;
  private pending = 0;
  private pendingDevices = 0;
  private inFlightUntil = LANDED;

  constructor(unit: InvalidationUnit, work: Work, costs: Costs, counters: Counters, batchDescriptors: number) {
    this.unit = unit;
    this.target = unit;
    this.work = work;
    this.costs = costs;
    this.counters = counters;
    this.batch = unit.register ? 1 : batchDescriptors;
    this.locks = unit.perCpu
      ? unit.queues.map((_, cpu) => new Lock(`invalidation-queue-${cpu}`))
      : [new Lock('invalidation-queue')];
    this.submitPart = Math.min(costs.invalidationSubmit, costs.invalidation);
    this.hardwarePart = Math.min(costs.invalidationHardware, costs.invalidation - this.submitPart);
    this.restPart = costs.invalidation - this.submitPart - this.hardwarePart;
    this.command = new Int32Array(this.batch);
    this.domainOf = new Array(this.batch).fill(null);
    this.deviceOf = new Array(this.batch).fill(null);
    this.first = new Float64Array(this.batch);
    this.pages = new Float64Array(this.batch);
  }

  /**
   * What one submission and the wait for it take where no other CPU submits meanwhile, whoever carries it out.
   * @param further milli-cycles of the commands after the first
   */
  protected bookSubmission(further: number): void {
    this.work.add(ROW.invalidation, this.costs.invalidation + further);
  }

  /** The tail is written: the chip goes to work. Under the queue's lock. */
  protected ringDoorbell(): void {}

  /** Of the last command: what it really covered. */
  get effective(): FlushTarget['effective'] {
    return this.target.effective;
  }

  /** A domain is taken apart: nothing of it may be carried out any more. */
  domainGone(_domain: Domain): void {}

  /**
   * Books one submission and its wait.
   * @param deviceTlbs how many of the commands go to devices
   * @param inFlightUntil ps at which the last DMA in scope lands: the invalidation completes no earlier
   * @returns ps after the clock's base at which it is complete
   */
  private complete(commands: number, deviceTlbs: number, inFlightUntil: number): number {
    const { work, unit, costs } = this;
    const begun = work.total;
    const further =
      commands === 1 && deviceTlbs === 0
        ? 0
        : (commands - 1) * costs.invalidationDescriptor + deviceTlbs * costs.deviceTlbInvalidation;
    const queue = unit.perCpu ? work.cpu : 0;
    const lock = this.locks[queue]!;
    unit.submit(work.cpu, commands);
    if (commands > 1) {
      this.batched = true;
      work.invalidationSteps |= INVALIDATION_STEP.invalidationDescriptor;
    }
    if (deviceTlbs > 0) work.invalidationSteps |= INVALIDATION_STEP.deviceTlbInvalidation;
    work.acquire(lock);
    const shared = work.contended && !unit.register && this.reachesChip;
    if (shared) this.submitShared(queue, lock, commands, further);
    else this.bookSubmission(further);
    let now = work.now();
    if (inFlightUntil > now) {
      this.counters.drainWaits++;
      work.add(ROW.invalidation, work.toMilliCycles(inFlightUntil - now));
      now = work.now();
    }
    if (!shared) {
      work.release(lock);
      now = work.now();
    }
    work.durations.invalidation.record(work.total - begun);
    return now;
  }

  /** Among other CPUs: the lock is held, and let go of after the doorbell. */
  private submitShared(index: number, lock: Lock, commands: number, further: number): void {
    const { work, counters } = this;
    const queue = this.unit.queues[index]!;
    this.met = true;
    const asked = work.now();
    const room = queue.roomFrom(asked, commands);
    if (room > asked) {
      counters.invalidationRoomWaits++;
      this.waitFor(room - asked);
    }
    work.add(ROW.invalidation, this.submitPart);
    this.ringDoorbell();
    work.release(lock);
    const posted = work.now();
    const service = this.hardwarePart + further;
    const begins = work.serve(queue.hardware, work.toPs(service));
    if (begins > posted) {
      counters.invalidationBacklogWaits++;
      this.waitFor(begins - posted);
    }
    work.add(ROW.invalidation, service + this.restPart);
    queue.occupy(posted, work.now(), commands);
  }

  private waitFor(ps: number): void {
    this.counters.invalidationBacklogPs += ps;
    this.work.add(ROW.invalidation, this.work.toMilliCycles(ps));
  }

  private add(command: number, domain: Domain | null, device: Device | null, first: number, pages: number): void {
    const at = this.pending++;
    this.command[at] = command;
    this.domainOf[at] = domain;
    this.deviceOf[at] = device;
    this.first[at] = first;
    this.pages[at] = pages;
    if (command === COMMAND.device) this.pendingDevices++;
    if (domain !== null && domain.inFlightUntil > this.inFlightUntil) this.inFlightUntil = domain.inFlightUntil;
    if (this.pending === this.batch) this.send();
  }

  /** Device-TLB commands for every device of a domain that has one. */
  private addDevices(domain: Domain, first: number, pages: number): void {
    const { deviceTlbs } = domain;
    for (let i = 0; i < deviceTlbs.length; i++) this.add(COMMAND.device, domain, deviceTlbs[i]!, first, pages);
  }

  /** Submits what is pending, waits, and lets it take effect, in the order in which it was written. */
  private send(): void {
    const { pending, target } = this;
    if (pending === 0) return;
    const at = this.complete(pending, this.pendingDevices, this.inFlightUntil);
    for (let i = 0; i < pending; i++) {
      const domain = this.domainOf[i]!;
      const command = this.command[i]!;
      if (command === COMMAND.device)
        this.dropFromDevice(target, this.deviceOf[i]!, domain, this.first[i]!, this.pages[i]!, at);
      else if (command === COMMAND.domain) target.domain(domain.index, at);
      else if (command === COMMAND.global) target.global(at);
      else target.range(domain.index, this.first[i]!, this.pages[i]!, command === COMMAND.leafRange, at);
      this.domainOf[i] = null;
      this.deviceOf[i] = null;
    }
    this.pending = 0;
    this.pendingDevices = 0;
    this.inFlightUntil = LANDED;
  }

  protected dropFromDevice(
    target: FlushTarget,
    device: Device,
    domain: Domain,
    first: number,
    pages: number,
    at: number,
  ): void {
    let base = 0;
    let mask = ALL_PAGES;
    if (pages !== Number.POSITIVE_INFINITY) {
      alignRange(first, pages);
      ({ base, mask } = aligned);
    }
    target.deviceTlb(device.index, domain.index, device.deviceTlb!, codeDeviceRange(base, mask), mask > 0, at);
  }

  /** Everything, of all domains. */
  global(domains: readonly Domain[]): void {
    this.addGlobal(domains);
    for (let i = 0; i < domains.length; i++) this.addDevices(domains[i]!, 0, Number.POSITIVE_INFINITY);
    this.send();
  }

  /** The IOTLB alone: whoever calls it owes the device TLBs theirs, by `deviceRange`. */
  globalIotlb(domains: readonly Domain[]): void {
    this.addGlobal(domains);
    this.send();
  }

  private addGlobal(domains: readonly Domain[]): void {
    for (let i = 0; i < domains.length; i++)
      if (domains[i]!.inFlightUntil > this.inFlightUntil) this.inFlightUntil = domains[i]!.inFlightUntil;
    this.add(COMMAND.global, null, null, 0, 0);
  }

  domain(domain: Domain): void {
    this.add(COMMAND.domain, domain, null, 0, 0);
    this.addDevices(domain, 0, Number.POSITIVE_INFINITY);
    this.send();
  }

  /** @param leafOnly keeps the walk caches: right when no table page was freed */
  range(domain: Domain, first: number, pages: number, leafOnly: boolean): void {
    if (domain.deviceTlbs.length > 0) {
      this.addRange(domain, first, pages, leafOnly);
      this.send();
      return;
    }
    this.target.range(domain.index, first, pages, leafOnly, this.complete(1, 0, domain.inFlightUntil));
  }

  /** Several ranges of one domain, in as few submissions as the batch size allows. */
  ranges(domain: Domain, firsts: Float64Array, pages: Int32Array, count: number, leafOnly: boolean): void {
    for (let i = 0; i < count; i++) this.addRange(domain, firsts[i]!, pages[i]!, leafOnly);
    this.send();
  }

  private addRange(domain: Domain, first: number, pages: number, leafOnly: boolean): void {
    this.add(leafOnly ? COMMAND.leafRange : COMMAND.range, domain, null, first, pages);
    this.addDevices(domain, first, pages);
  }

  /** Caching mode: pages that were not present are now. No device keeps what was not there, so device TLBs need nothing. */
  mapped(domain: Domain, first: number, pages: number): void {
    this.target.range(domain.index, first, pages, true, this.complete(1, 0, domain.inFlightUntil));
  }

  /** Device TLBs alone, of a range whose IOTLB invalidation is complete. */
  deviceRange(domain: Domain, first: number, pages: number): void {
    this.addDevices(domain, first, pages);
    this.send();
  }

  /** The context entry of a device, and what its device TLB has of the domain that it is in. DMA in flight is not waited for. */
  context(device: Device): void {
    this.counters.contextInvalidations++;
    this.complete(1, 0, LANDED);
    const { domain } = device;
    if (domain === null || device.deviceTlb === null) return;
    this.dropFromDevice(this.unit, device, domain, 0, Number.POSITIVE_INFINITY, this.complete(1, 1, LANDED));
  }

  /** A hypervisor takes a range out of the caches of chip and devices: for nothing, and complete when it is asked for. */
  atOnce(domain: Domain, first: number, pages: number, leafOnly: boolean, at: number): void {
    this.unit.range(domain.index, first, pages, leafOnly, at);
    const { deviceTlbs } = domain;
    for (let i = 0; i < deviceTlbs.length; i++)
      this.dropFromDevice(this.unit, deviceTlbs[i]!, domain, first, pages, at);
  }

  /** The last device leaves a domain: nobody reaches it any more, so DMA in flight is not waited for. */
  left(domain: Domain): void {
    this.unit.domain(domain.index, this.complete(1, 0, LANDED));
  }

  digest(sink: DigestSink): void {
    for (const lock of this.locks) lock.digest(sink);
    for (const queue of this.unit.queues) queue.digest(sink);
  }

  /** For `GET .../queues`: what is between the kernel and the chip. */
  inspect(): Record<string, unknown> {
    return {};
  }
}
