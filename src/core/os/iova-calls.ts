/**
 * Calls of a domain's IOVA allocator as the DMA API makes them: which limit is tried first, what each step costs and under which lock
 * it is taken, the last chance of a failing search, work that an allocator has put off.
 *
 * Source: Linux `drivers/iommu/dma-iommu.c` (today's order, 32-bit first) and `drivers/iommu/intel-iommu.c` of 3.6.
 */
import type { Costs } from '../meter/cost-profile.ts';
import type { Counters } from '../meter/counters.ts';
import type { Work } from '../meter/work.ts';
import * as workConstants from '../meter/work.ts';
import type { Device } from './device.ts';
import type { Domain } from './domain.ts';
import * as allocatorConstants from './iova/allocator.ts';
import type { AllocatorCall } from './iova/call.ts';
import * as callConstants from './iova/call.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { ROW } = workConstants;
const { NO_PFN, SUSPENDED } = allocatorConstants;
const { NO_FRAME_HINT, NO_LOCK, NO_STEP, STEP, STEPS } = callConstants;

/** Highest page below 4 GiB. */
const LAST_32BIT = 0xfffff;

export interface IovaCallParts {
  work: Work;
  costs: Costs;
  counters: Counters;
  /** Whether the allocator gives addresses by what is mapped. */
  byFrame: boolean;
  always32BitFirst: boolean;
  /** Steps of allocators, shared with them. */
  call: AllocatorCall;
}

export class IovaCalls {
  declare private readonly parts: IovaCallParts;
  /** 1 once the 32-bit attempt of the allocation in progress has failed. */
  private attempt = 0;
  /** [STEP]: milli-cycles of a step, whatever it went over, and of each thing it went over. */
  private readonly stepFixed = new Float64Array(STEPS);
  private readonly stepEach = new Float64Array(STEPS);

  constructor(parts: IovaCallParts) {
    this.parts = parts;
    const { costs } = parts;
    const cost = (step: number, fixed: number, each: number) => {
      this.stepFixed[step] = fixed;
      this.stepEach[step] = each;
    };
    cost(STEP.treeSearch, costs.treeAllocFixed, costs.treeAllocNode);
    cost(STEP.treeFree, 0, costs.treeFree);
    cost(STEP.treeRemove, 0, costs.treeFind + costs.treeFree);
    cost(STEP.bitmapSearch, costs.bitmapAllocFixed, costs.bitmapAllocWord);
    cost(STEP.bitmapFree, 0, costs.bitmapFree);
    cost(STEP.gapSearch, costs.gapAllocFixed, costs.gapAllocLevel);
    cost(STEP.gapFree, 0, costs.gapFree);
    cost(STEP.cacheAllocate, 0, costs.cacheAlloc);
    cost(STEP.cacheFree, 0, costs.cacheFree);
    cost(STEP.depotMove, 0, costs.depotMove);
  }

  /** As a map takes an address, for modes that need one. @returns lowest page, NO_PFN or SUSPENDED */
  take(device: Device, domain: Domain, pages: number): number {
    this.parts.call.frame = NO_FRAME_HINT;
    return this.allocate(device, domain, pages);
  }

  /** What is to be mapped is in `call.frame`, where the allocator goes by it. @returns lowest page, NO_PFN or SUSPENDED */
  allocate(device: Device, domain: Domain, pages: number): number {
    const { always32BitFirst, byFrame } = this.parts;
    const limit = device.maskLastPfn < domain.lastPage ? device.maskLastPfn : domain.lastPage;
    if (this.attempt === 0 && limit > LAST_32BIT && (always32BitFirst || device.try32BitFirst) && !byFrame) {
      const pfn = this.tryAllocate(domain, pages, LAST_32BIT, device, false);
      if (pfn !== NO_PFN) return pfn;
      this.attempt = 1;
      if (!always32BitFirst) device.try32BitFirst = false;
    }
    const pfn = this.tryAllocate(domain, pages, limit, device, true);
    if (pfn !== SUSPENDED) this.attempt = 0;
    return pfn;
  }

  private tryAllocate(domain: Domain, pages: number, limit: number, device: Device, lastAttempt: boolean): number {
    const { work, counters, call } = this.parts;
    if (domain.iova === null) domain.space(device.maskLastPfn);
    call.cpu = work.cpu;
    call.lastAttempt = lastAttempt;
    call.count = 0;
    const pfn = domain.iova!.allocate(pages, limit);
    // What a suspended attempt has done so far is booked with the steps of its first part: only a cache has any by then.
    this.bookSteps(domain, ROW.iovaAlloc);
    if (pfn === SUSPENDED) return SUSPENDED;
    counters.allocationAttempts++;
    if (pfn === NO_PFN) counters.allocationFailures++;
    return pfn;
  }

  free(domain: Domain, pfn: number, pages: number): void {
    const { work, call } = this.parts;
    call.cpu = work.cpu;
    call.count = 0;
    domain.iova!.free(pfn, pages);
    this.bookSteps(domain, ROW.iovaFree);
  }

  /** In the midst of a search that has failed: the policy may have something to free. */
  exhausted(domain: Domain): void {
    const { call } = this.parts;
    this.bookSteps(domain, ROW.iovaAlloc);
    call.count = 0;
    domain.policy.exhausted?.(domain);
    call.count = 0;
  }

  /** Work that a domain's allocator put off is due. @returns false when the domain is gone */
  timer(domain: Domain, token: number): boolean {
    const { work, call } = this.parts;
    if (domain.allocator?.timer === undefined) return false;
    call.cpu = work.cpu;
    call.count = 0;
    domain.allocator.timer(token);
    this.bookSteps(domain, ROW.iovaFree);
    return true;
  }

  /** Books the steps of the allocator's last call, each under its lock. */
  private bookSteps(domain: Domain, row: number): void {
    const { work, call } = this.parts;
    const step = call.onlyUnlocked;
    if (step !== NO_STEP) work.add(row, this.stepFixed[step]! + this.stepEach[step]!);
    else this.bookSeveral(domain, row, call.count);
  }

  private bookSeveral(domain: Domain, row: number, count: number): void {
    const { work, counters, call } = this.parts;
    const { stepFixed, stepEach } = this;
    let held = NO_LOCK;
    for (let i = 0; i < count; i++) {
      const step = call.stepAt(i);
      const times = call.timesAt(i);
      const lock = call.lockAt(i);
      if (lock !== held) {
        if (held !== NO_LOCK) work.release(domain.locks[held]!);
        if (lock !== NO_LOCK) work.acquire(domain.locks[lock]!);
        held = lock;
      }
      work.add(row, stepFixed[step]! + times * stepEach[step]!);
      if (step === STEP.treeSearch) counters.nodesVisited += times;
      else if (step === STEP.bitmapSearch) counters.wordsScanned += times;
      else if (step === STEP.gapSearch) counters.gapLevels += times;
    }
    if (held !== NO_LOCK) work.release(domain.locks[held]!);
  }
}
