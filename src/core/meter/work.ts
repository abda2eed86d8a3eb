/**
 * The work of one operation on one CPU: its cycles by row of the literature's breakdown, and the simulated time they take.
 *
 * Rows are those of rIOMMU's table 1 plus lock waiting, copies and VM exits. All sums are whole milli-cycles, so the rows add up to
 * the total exactly; picoseconds are rounded half up once from the running total.
 */
import type { BusyTimes } from '../sim/busy-times.ts';
import type { Lock } from '../sim/lock.ts';
import { Durations } from './durations.ts';

export const ROW = {
  iovaAlloc: 0,
  iovaFind: 1,
  iovaFree: 2,
  pageTable: 3,
  invalidation: 4,
  lockWait: 5,
  copy: 6,
  vmExit: 7,
  other: 8,
} as const;
export const rowNames = Object.keys(ROW) as (keyof typeof ROW)[];
const ROWS = rowNames.length;

/** Bits of `Work.invalidationSteps`. */
export const INVALIDATION_STEP = { invalidationDescriptor: 1, deviceTlbInvalidation: 2 } as const;

/** Cycles with three places, summing exactly: `{iovaAlloc: 379, ...}`. */
export function breakdownOf(rows: Float64Array): Record<string, number> {
  const out: Record<string, number> = {};
  for (let row = 0; row < ROWS; row++) out[rowNames[row]!] = rows[row]! / 1000;
  return out;
}

export function newRows(): Float64Array {
  return new Float64Array(ROWS);
}

/** Rows of somebody who keeps sums: those of maps, and behind them those of unmaps. */
const OF_MAPS = 0;
const OF_UNMAPS = ROWS;
export const PART = { maps: OF_MAPS, unmaps: OF_UNMAPS } as const;

export function newSums(): Float64Array {
  return new Float64Array(2 * ROWS);
}

/** @param part one of PART; @returns a view of its rows */
export function rowsOf(sums: Float64Array, part: number): Float64Array {
  return sums.subarray(part, part + ROWS);
}

export class Work {
  /** [row]: milli-cycles of the operation in progress, since `begin`. */
  private readonly own = newRows();
  /** Where rows are added up, and from which place on: `own`, or a part of a workload's sums whose map or unmap is in progress. */
  private rows = this.own;
  private part = OF_MAPS;
  /** Milli-cycles since `begin`, rows and the driver's own work. */
  total = 0;
  cpu = 0;
  private start = 0;
  /** `now()` as it was asked last, and at which total: several parts of an operation ask at the same moment, and a division is 15 cycles. */
  private askedPs = 0;
  private askedTotal = Number.NaN;
  declare private readonly milliGhz: number;
  /** What it takes to hand a lock over to a CPU that waits for it. */
  declare private readonly handoff: number;
  declare private readonly handoffPs: number;
  /** Whether CPUs can meet at a lock: in runs with more than one CPU. Interactive operations are sequential. */
  contended = false;
  /** Where the present of the session is read; CPUs at work are ahead of it. */
  declare private readonly clock: { readonly now: number };
  /** Bit set of what invalidations have taken since `begin` that no publication measures: `INVALIDATION_STEP`. */
  invalidationSteps = 0;
  /** How long calls and invalidations took, since the session began. */
  declare readonly durations: Durations;

  /**
   * @param cpuGhz a multiple of 0.001
   * @param handoff milli-cycles from the release of a lock until a CPU that waits for it has it
   */
  constructor(cpuGhz: number, handoff = 0, clock: { readonly now: number } = { now: 0 }) {
    this.clock = clock;
    this.milliGhz = Math.round(cpuGhz * 1000);
    this.durations = new Durations(this.milliGhz);
    this.handoff = handoff;
    this.handoffPs = this.toPs(handoff);
  }

  /** @param start ps after the clock's base */
  begin(cpu: number, start: number): void {
    this.cpu = cpu;
    this.start = start;
    this.total = 0;
    this.invalidationSteps = 0;
    this.askedTotal = Number.NaN;
    // A loop over nine elements: `fill` is a call out of compiled code.
    const { own } = this;
    for (let row = 0; row < ROWS; row++) own[row] = 0;
    this.rows = own;
    this.part = OF_MAPS;
  }

  /** Those since `begin`. */
  get ownRows(): Float64Array {
    return this.own;
  }

  /** As `begin`, but the rows are added to the maps of somebody who keeps sums, at once. */
  beginFor(sums: Float64Array, cpu: number, start: number): void {
    this.cpu = cpu;
    this.start = start;
    this.total = 0;
    this.askedTotal = 0;
    this.askedPs = start;
    this.bookIn(sums, OF_MAPS);
  }

  /**
   * What follows belongs to maps or to unmaps of somebody who keeps sums.
   * @param part one of PART
   */
  bookIn(sums: Float64Array, part: number): void {
    // A field that holds an object is not written for nothing: the collector is told of each that is young.
    if (this.rows !== sums) this.rows = sums;
    this.part = part;
  }

  add(row: number, milliCycles: number): void {
    this.rows[this.part + row]! += milliCycles;
    this.total += milliCycles;
  }

  /** Two steps with nothing in between. */
  addBoth(row: number, milliCycles: number, otherRow: number, otherMilliCycles: number): void {
    const { rows, part } = this;
    rows[part + row]! += milliCycles;
    rows[part + otherRow]! += otherMilliCycles;
    this.total += milliCycles + otherMilliCycles;
  }

  /** Work of the driver and the stack: takes time, belongs to no row of the IOMMU's breakdown. */
  addDriver(milliCycles: number): void {
    this.total += milliCycles;
  }

  /** The present of this CPU, ps after the clock's base. */
  now(): number {
    if (this.askedTotal !== this.total) {
      this.askedTotal = this.total;
      this.askedPs = this.start + this.toPs(this.total);
    }
    return this.askedPs;
  }

  /** Milli-cycles to ps, rounded half up: mc / 1000 cycles at milliGhz / 1000 GHz are mc * 1000 / milliGhz ps. */
  toPs(milliCycles: number): number {
    return Math.floor((milliCycles * 1000) / this.milliGhz + 0.5);
  }

  /** Takes something that serves one at a time, for so long, from the first gap on. @returns ps after the clock's base when it begins */
  serve(server: BusyTimes, lengthPs: number): number {
    const begins = server.fit(this.now(), lengthPs);
    server.take(begins, lengthPs, this.clock.now);
    return begins;
  }

  toMilliCycles(ps: number): number {
    return Math.floor((ps * this.milliGhz) / 1000 + 0.5);
  }

  /** Takes a lock, waiting for it if another CPU has it at this moment. No lock is taken twice by one operation at a time. */
  acquire(lock: Lock): void {
    lock.acquisitions++;
    if (!this.contended) return;
    const now = this.now();
    lock.since = now;
    lock.waited = false;
    if (now < lock.held.end) this.wait(lock, now);
  }

  private wait(lock: Lock, now: number): void {
    const free = lock.held.freeFrom(now);
    if (free === now) return;
    lock.since = free;
    lock.waited = true;
    lock.waits++;
    lock.waitPs += free - now + this.handoffPs;
    this.add(ROW.lockWait, this.toMilliCycles(free - now) + this.handoff);
  }

  /**
   * Lets go of it. Only now it is known for how long it was held: where another CPU, computed before, takes it earlier than that, the
   * whole stretch comes after that one, and the wait is booked here.
   */
  release(lock: Lock): void {
    if (!this.contended) return;
    const length = this.now() - lock.since;
    if (lock.since >= lock.held.end) lock.held.take(lock.since, length, this.clock.now);
    else this.releaseBefore(lock, length);
  }

  private releaseBefore(lock: Lock, held: number): void {
    let length = held;
    let since = lock.held.fit(lock.since, length);
    if (since > lock.since) {
      let handoff = 0;
      if (!lock.waited) {
        lock.waits++;
        lock.waitPs += this.handoffPs;
        handoff = this.handoff;
        length += this.handoffPs;
        since = lock.held.fit(since, length);
      }
      lock.waitPs += since - lock.since;
      this.add(ROW.lockWait, this.toMilliCycles(since - lock.since) + handoff);
    }
    lock.held.take(since, length, this.clock.now);
  }
}
