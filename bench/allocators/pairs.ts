/** Plays a list of operations on an allocator and takes the time of a pair. */

import type { IovaAllocator } from '../../src/core/os/iova/allocator.ts';
import * as allocatorConstants from '../../src/core/os/iova/allocator.ts';
import { AllocatorCall } from '../../src/core/os/iova/call.ts';
import { allocators } from '../../src/core/os/iova/index.ts';
import { processNs } from '../processor-time.ts';
import * as operationsConstants from './operations.ts';
import { type Operations, operationsOf, type Round } from './operations.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time: the loop is to cost little. */
const { NO_PFN } = allocatorConstants;
const { SLOT_BITS, SLOT_MASK } = operationsConstants;

const PFN_BITS = 20;
/** The highest page, and the bits of one. */
const LIMIT_PFN = 0xfffff;

export interface Result {
  nsPerPair: number;
  /** Over every address handed out, in order. */
  checksum: number;
  /** Allocations that found no address. */
  failures: number;
}

/** One for all of them, as in a machine. */
const call = new AllocatorCall();

/** An allocator of 2^20 pages. No time passes for it, so what it puts off is never due. */
function create(kind: string): IovaAllocator {
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
  const { live, unmeasured } = round;
  const run = new Run();
  run.play(allocator, operations, 0, live + unmeasured);
  const begun = processNs();
  run.play(allocator, operations, live + unmeasured, operations.length);
  const nsPerPair = (processNs() - begun) / round.measured;
  run.empty(allocator);
  return { nsPerPair, checksum: run.checksum >>> 0, failures: run.failures };
}

// Constants, so that V8 knows where they are: the loop is to cost as little beside the pair as it does in C.
/** [slot]: address held, and above its 20 bits how many pages; 0 when there is none. */
const held = new Int32Array(SLOT_MASK + 1);
/** The stretch of the list that is played. */
const stretch = new Int32Array(1 << 14);

class Run {
  checksum = 0x811c9dc5 | 0;
  failures = 0;

  constructor() {
    held.fill(0);
  }

  play(allocator: IovaAllocator, operations: Operations, from: number, to: number): void {
    for (let at = from; at < to; at += stretch.length) {
      const end = Math.min(to, at + stretch.length);
      stretch.set(operations.subarray(at, end));
      this.playStretch(allocator, end - at);
    }
  }

  private playStretch(allocator: IovaAllocator, length: number): void {
    // Its own, which V8 then knows to be the one that the allocator writes to.
    const { call } = allocator;
    let checksum = this.checksum;
    let failures = 0;
    for (let i = 0, end = length | 0; i < end; i++) {
      const operation = stretch[i]!;
      const slot = operation & SLOT_MASK;
      const given = held[slot]!;
      call.count = 0;
      if (given !== 0) allocator.free(given & LIMIT_PFN, given >> PFN_BITS);
      const pages = operation >> SLOT_BITS;
      call.count = 0;
      // A whole number below 2^20, which need not become a double on its way.
      const pfn = allocator.allocate(pages, LIMIT_PFN) | 0;
      checksum = Math.imul(checksum ^ pfn, 0x01000193);
      if (pfn === NO_PFN) {
        held[slot] = 0;
        failures++;
      } else held[slot] = pfn | (pages << PFN_BITS);
    }
    this.checksum = checksum;
    this.failures += failures;
  }

  /** Gives everything back; an allocator that holds something then has lost it. */
  empty(allocator: IovaAllocator): void {
    for (const given of held) {
      allocator.call.count = 0;
      if (given !== 0) allocator.free(given & LIMIT_PFN, given >> PFN_BITS);
    }
    if (allocator.liveRanges !== 0)
      throw new Error(`${allocator.liveRanges} ranges are left after all were given back`);
  }
}
