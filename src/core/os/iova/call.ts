/**
 * What an allocator is told beside its arguments, and what the call took, step by step. One object serves all allocators of a machine:
 * whoever books costs reads one shape, however many kinds there are.
 */

import { Counters } from '../../meter/counters.ts';

/** Kinds of steps. Of a search, `times` counts what it went over; of the others, how often. */
export const STEP = {
  treeSearch: 0,
  treeFree: 1,
  /** As `treeFree`, the node looked up first: freeing by address into a tree that a cache stands in front of. */
  treeRemove: 2,
  bitmapSearch: 3,
  bitmapFree: 4,
  gapSearch: 5,
  gapFree: 6,
  cacheAllocate: 7,
  cacheFree: 8,
  depotMove: 9,
} as const;
export const STEPS = Object.keys(STEP).length;

/** A step that takes no lock, or one that nobody else ever waits for. */
export const NO_LOCK = -1;
/** No step. V8 folds a constant of its own module: hence the two names. */
const NONE = -1;
export const NO_STEP = NONE;
/** The memory of the request is no single run of frames. */
export const NO_FRAME_HINT = -1;
/** Steps of one call; whoever has more of a kind adds them up in one. */
const CAPACITY = 64;

export class AllocatorCall {
  /** CPU on which the call is made. */
  cpu = 0;
  /** First frame that is to be mapped, for allocators that give addresses by it; NO_FRAME_HINT otherwise. */
  frame = NO_FRAME_HINT;
  /** Whether the caller has no further limit to try: what an allocator keeps back it gives up before it fails. */
  lastAttempt = true;

  /** Steps of the last finished call. */
  count = 0;
  /** The first of them, if it takes no lock and is done once: one of STEP, NONE when it is not so. */
  private unlocked = NONE;
  /** Else what it is; nearly always there is no other, and fields cost less than columns. One of STEP; see `lockAt`. */
  private firstStep = 0;
  private firstLock = 0;
  private firstTimes = 0;
  /** [i], from 1 up. */
  private readonly step = new Uint8Array(CAPACITY);
  private readonly lock = new Int32Array(CAPACITY);
  private readonly times = new Float64Array(CAPACITY);

  /** Where caches count hits, misses and magazines moved. */
  declare readonly counters: Counters;

  constructor(counters = new Counters()) {
    this.counters = counters;
  }

  add(step: number, lock: number, times: number): void {
    if (this.count === 0) {
      this.count = 1;
      this.unlocked = NONE;
      this.firstStep = step;
      this.firstLock = lock;
      this.firstTimes = times;
    } else this.addFurther(step, lock, times);
  }

  /** As `add`, of a step that takes no lock and is done once: what a cache does that has what is asked for. */
  addUnlocked(step: number): void {
    if (this.count === 0) {
      this.count = 1;
      this.unlocked = step;
    } else this.addFurther(step, NO_LOCK, 1);
  }

  /** The step of a call that took one without a lock, once, and no other; NONE of any other call. */
  get onlyUnlocked(): number {
    return this.count === 1 ? this.unlocked : NONE;
  }

  /** By itself, so that the usual case is short where it is compiled into its callers. */
  private addFurther(step: number, lock: number, times: number): void {
    const { count } = this;
    this.count = count + 1;
    this.step[count] = step;
    this.lock[count] = lock;
    this.times[count] = times;
  }

  /** A step turns out to be another one than was added. */
  change(i: number, step: number): void {
    if (i > 0) this.step[i] = step;
    else if (this.unlocked !== NONE) this.unlocked = step;
    else this.firstStep = step;
  }

  /** One of STEP. */
  stepAt(i: number): number {
    if (i > 0) return this.step[i]!;
    return this.unlocked === NONE ? this.firstStep : this.unlocked;
  }
  /** Lock of the allocator under which it was done, NO_LOCK. Neighbours with the same lock are done under one hold of it. */
  lockAt(i: number): number {
    if (i > 0) return this.lock[i]!;
    return this.unlocked === NONE ? this.firstLock : NO_LOCK;
  }
  timesAt(i: number): number {
    if (i > 0) return this.times[i]!;
    return this.unlocked === NONE ? this.firstTimes : 1;
  }

  /** Lets go of the lock: what is added next is done under a hold of its own, the same lock or another. */
  letGo(): void {
    this.add(STEP.cacheFree, NO_LOCK, 0);
  }
}
