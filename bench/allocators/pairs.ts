/** Plays a list of operations on an allocator and takes the time of a pair. */

import * as results from '../../src/core/os/iova/allocator.ts';
import { AllocatorCall } from '../../src/core/os/iova/call.ts';
import { allocators } from '../../src/core/os/iova/index.ts';
import { processorNs } from '../processor-time.ts';
import { type Operations, operationsOf, type Round, SPACE_PAGES } from './operations.ts';

/** V8 folds a constant of this module. */
const { NO_PFN } = results;
const LIMIT_PFN = SPACE_PAGES - 1;

export interface Result {
  nsPerPair: number;
  /** Over every address handed out, in order. */
  checksum: number;
  /** Allocations that found no address. */
  failures: number;
}

/** One for all of them, as in a machine. */
const call = new AllocatorCall();

/** An allocator of `SPACE_PAGES` pages. No time passes for it, so what it puts off is never due. */
function create(kind: string): results.IovaAllocator {
  const entry = allocators[kind]!;
  return entry.create({
    lastPfn: LIMIT_PFN,
    maskLastPfn: LIMIT_PFN,
    parameters: entry.defaults,
    call,
    cpus: 1,
    arm: () => {},
    onWrap: null,
  });
}

export function measure(kind: string, round: Round): Result {
  const allocator = create(kind);
  const operations = operationsOf(round);
  const run = new Run(round.live);
  run.fill(allocator, operations);
  run.play(allocator, operations, 0, round.unmeasured);
  const begun = processorNs();
  run.play(allocator, operations, round.unmeasured, round.unmeasured + round.measured);
  const nsPerPair = (processorNs() - begun) / round.measured;
  run.empty(allocator);
  return { nsPerPair, checksum: run.checksum >>> 0, failures: run.failures };
}

class Run {
  /** [slot]: address held, NO_PFN when its allocation failed, and how many pages. */
  private readonly held: Int32Array;
  private readonly heldPages: Uint8Array;
  checksum = 0x811c9dc5 | 0;
  failures = 0;

  constructor(live: number) {
    this.held = new Int32Array(live);
    this.heldPages = new Uint8Array(live);
  }

  fill(allocator: results.IovaAllocator, { pages }: Operations): void {
    const { held, heldPages } = this;
    for (let slot = 0; slot < held.length; slot++) {
      call.count = 0;
      const pfn = allocator.allocate(pages[slot]!, LIMIT_PFN);
      held[slot] = pfn;
      heldPages[slot] = pages[slot]!;
      this.checksum = Math.imul(this.checksum ^ pfn, 0x01000193);
      if (pfn === NO_PFN) this.failures++;
    }
  }

  play(allocator: results.IovaAllocator, { pages, slots }: Operations, from: number, to: number): void {
    const { held, heldPages } = this;
    const filled = held.length;
    let checksum = this.checksum;
    let failures = 0;
    for (let pair = from; pair < to; pair++) {
      const slot = slots[pair]!;
      const given = held[slot]!;
      call.count = 0;
      if (given !== NO_PFN) allocator.free(given, heldPages[slot]!);
      const asked = pages[filled + pair]!;
      call.count = 0;
      // A whole number below 2^20, which need not become a double on its way.
      const pfn = allocator.allocate(asked, LIMIT_PFN) | 0;
      held[slot] = pfn;
      heldPages[slot] = asked;
      checksum = Math.imul(checksum ^ pfn, 0x01000193);
      if (pfn === NO_PFN) failures++;
    }
    this.checksum = checksum;
    this.failures += failures;
  }

  /** Gives everything back; an allocator that holds something then has lost it. */
  empty(allocator: results.IovaAllocator): void {
    const { held, heldPages } = this;
    for (let slot = 0; slot < held.length; slot++) {
      call.count = 0;
      if (held[slot] !== NO_PFN) allocator.free(held[slot]!, heldPages[slot]!);
    }
    if (allocator.liveRanges !== 0)
      throw new Error(`${allocator.liveRanges} ranges are left after all were given back`);
  }
}
