/**
 * The part of a device that moves data, and the road to memory: so many accesses on their way at a time, so many page walks at a time,
 * a latency, a bus. What one of them cannot take waits, first come, first served.
 *
 *     write   slot -> bus -> translation -> latency -> landed
 *     read    slot -> translation -> latency -> bus -> landed
 *
 * Translation: one of `parallelWalks` servers is held for `pageBaseNs` a page and `walkReferenceNs` a table read, or `missNs` a walk;
 * an access that needs neither holds none. One server and n pages in a row give T = p / (l0 + M x lm), the model of F&S (Rubin et
 * al., SOSP 2024: l0 = 65 ns, lm = 197 ns a page). n slots and a latency give Little's law: n accesses in l.
 *
 * Source: pcie-bench (Neugebauer et al., SIGCOMM 2018) for reads: 603 ns of a 64-byte read from memory, 38 of them in flight, 4.5
 * overlapping misses; F&S for writes: 100 cache lines in 400 ns; PCI Express Base Specification: 32 tags unless extended ones are on.
 * Departs: an access is translated when it is issued, also a write that waits for the bus; all its pages are walked by one server, one
 * after the other; no credits, no ordering of accesses among each other (a NIC orders what it delivers by itself). An invalidation that
 * drains waits for what an access takes by itself and not for its wait in line: what is not translated yet would be translated after it.
 */
import type { DigestSink } from '../sim/digest-sink.ts';
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';

/** Members of a workload that say how its device reaches memory. */
export const engineParameters = {
  outstanding: { type: 'integer', minimum: 1, maximum: 4096, description: 'accesses on their way at a time' },
  parallelWalks: { type: 'integer', minimum: 1, maximum: 256, description: 'page walks at a time; absent: any number' },
  walkReferenceNs: {
    type: 'number',
    minimum: 0,
    maximum: 1e6,
    description: "of one table read of a walk; absent: the profile's tableRead",
  },
  missNs: { type: 'number', minimum: 0, maximum: 1e6, description: 'of a walk, however many tables it reads' },
  pageBaseNs: { type: 'number', minimum: 0, maximum: 1e6, description: 'of a page, hit or miss' },
  readLatencyNs: { type: 'number', minimum: 0, maximum: 1e9, description: 'of a read that waits for nothing' },
  writeLatencyNs: { type: 'number', minimum: 0, maximum: 1e9, description: 'of a write that waits for nothing' },
  busGbps: { type: 'number', minimum: 0.001, maximum: 10_000, description: 'of the bus; absent: no limit' },
  busOverheadBytes: { type: 'integer', minimum: 0, maximum: 4096, description: 'that pass the bus beside each access' },
};

const engineMembers = Object.keys(engineParameters);

export const engineDefaults = {
  outstanding: 32,
  pageBaseNs: 0,
  readLatencyNs: 603,
  writeLatencyNs: 400,
  busOverheadBytes: 0,
};

/** Whether a workload asks for a device with limits. */
export function hasEngine(spec: Record<string, unknown>): boolean {
  return engineMembers.some((member) => spec[member] !== undefined);
}

/** States of a slot. */
const IDLE = 0;
const ON_ITS_WAY = 1;
const ON_THE_BUS = 2;

export class DmaEngine {
  readonly outstanding: number;
  private readonly perPagePs: number;
  private readonly perWalkPs: number;
  private readonly perReferencePs: number;
  private readonly readLatencyPs: number;
  private readonly writeLatencyPs: number;
  /** ps that a byte takes on the bus; 0 without a bus that limits, whatever its overhead. */
  private readonly perBytePs: number;
  private readonly busOverheadBytes: number;

  /** [walker]: ps at which it is free; none when any number of walks goes at a time. */
  private readonly walkerFreeAt: Float64Array;
  private busFreeAt = 0;

  /** [slot]: what becomes of the access, when that happens, when it was issued; its bytes; what it is for, in the workload's numbers. */
  private readonly state: Uint8Array;
  readonly at: Float64Array;
  readonly issuedAt: Float64Array;
  private readonly bytes: Float64Array;
  readonly owner: Int32Array;
  /** Free slots, the one used last on top. */
  private readonly free: Int32Array;
  private freeCount: number;

  /** ps that the access issued last would take if it waited for nothing. */
  alonePs = 0;

  // Of the run in progress, or the last one.
  accesses = 0;
  walks = 0;
  /** ps that walkers were held, and that translations waited for one. */
  private walkPs = 0;
  private waitPs = 0;
  /** Accesses on their way, integrated over time. */
  private area = 0;
  private areaAt = 0;
  private peak = 0;

  constructor(simulator: Simulator, spec: WorkloadSpec) {
    const of = (member: keyof typeof engineDefaults) => (spec[member] as number | undefined) ?? engineDefaults[member];
    const ps = (ns: number) => Math.round(ns * 1000);
    this.outstanding = of('outstanding');
    this.perPagePs = ps(of('pageBaseNs'));
    const { missNs, walkReferenceNs, parallelWalks, busGbps } = spec as Record<string, number | undefined>;
    this.perWalkPs = missNs === undefined ? 0 : ps(missNs);
    this.perReferencePs =
      missNs !== undefined
        ? 0
        : walkReferenceNs !== undefined
          ? ps(walkReferenceNs)
          : simulator.work.toPs(simulator.costs.tableRead);
    this.readLatencyPs = ps(of('readLatencyNs'));
    this.writeLatencyPs = ps(of('writeLatencyNs'));
    this.perBytePs = busGbps === undefined ? 0 : 8000 / busGbps;
    this.busOverheadBytes = of('busOverheadBytes');
    this.walkerFreeAt = new Float64Array(parallelWalks ?? 0);
    const slots = this.outstanding;
    this.state = new Uint8Array(slots);
    this.at = new Float64Array(slots);
    this.issuedAt = new Float64Array(slots);
    this.bytes = new Float64Array(slots);
    this.owner = new Int32Array(slots);
    this.free = Int32Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.freeCount = slots;
  }

  get full(): boolean {
    return this.freeCount === 0;
  }

  get inFlight(): number {
    return this.outstanding - this.freeCount;
  }

  onItsWay(slot: number): boolean {
    return this.state[slot] !== IDLE;
  }

  /** A run begins. */
  startRun(now: number): void {
    this.accesses = 0;
    this.walks = 0;
    this.walkPs = 0;
    this.waitPs = 0;
    this.area = 0;
    this.areaAt = now;
    this.peak = this.inFlight;
  }

  /**
   * Issues an access; there must be a free slot.
   *
   * @param walks of its pages, `references` tables read in all of them
   * @returns its slot; `at[slot]` is when `arrive` is due
   */
  issue(
    now: number,
    write: boolean,
    owner: number,
    bytes: number,
    pages: number,
    walks: number,
    references: number,
  ): number {
    this.integrate(now);
    const slot = this.free[--this.freeCount]!;
    if (this.inFlight > this.peak) this.peak = this.inFlight;
    this.owner[slot] = owner;
    this.bytes[slot] = bytes;
    this.issuedAt[slot] = now;
    this.accesses++;
    this.walks += walks;
    const heldPs = pages * this.perPagePs + walks * this.perWalkPs + references * this.perReferencePs;
    this.alonePs = heldPs + this.busPs(bytes) + (write ? this.writeLatencyPs : this.readLatencyPs);
    if (write) {
      // Its data passes the bus first; nothing but the latency follows the translation.
      this.state[slot] = ON_THE_BUS;
      this.at[slot] = this.translate(this.overBus(now, bytes), heldPs) + this.writeLatencyPs;
    } else {
      this.state[slot] = this.perBytePs === 0 ? ON_THE_BUS : ON_ITS_WAY;
      this.at[slot] = this.translate(now, heldPs) + this.readLatencyPs;
    }
    return slot;
  }

  /**
   * `at[slot]` has come.
   * @returns whether the access has landed and its slot is free; if not, its data has the bus now and `at[slot]` is later
   */
  arrive(slot: number): boolean {
    const now = this.at[slot]!;
    if (this.state[slot] === ON_ITS_WAY) {
      this.state[slot] = ON_THE_BUS;
      this.at[slot] = this.overBus(now, this.bytes[slot]!);
      return false;
    }
    this.integrate(now);
    this.state[slot] = IDLE;
    this.free[this.freeCount++] = slot;
    return true;
  }

  /** @returns ps at which a translation that takes `heldPs` and is asked for at `at` is there */
  private translate(at: number, heldPs: number): number {
    if (heldPs === 0) return at;
    this.walkPs += heldPs;
    const { walkerFreeAt } = this;
    if (walkerFreeAt.length === 0) return at + heldPs;
    let walker = 0;
    for (let i = 1; i < walkerFreeAt.length; i++) if (walkerFreeAt[i]! < walkerFreeAt[walker]!) walker = i;
    const freeAt = walkerFreeAt[walker]!;
    const start = freeAt > at ? freeAt : at;
    this.waitPs += start - at;
    return (walkerFreeAt[walker] = start + heldPs);
  }

  /** @returns ps at which the last byte has passed */
  private overBus(at: number, bytes: number): number {
    if (this.perBytePs === 0) return at;
    const start = this.busFreeAt > at ? this.busFreeAt : at;
    return (this.busFreeAt = start + this.busPs(bytes));
  }

  private busPs(bytes: number): number {
    return Math.round((bytes + this.busOverheadBytes) * this.perBytePs);
  }

  private integrate(now: number): void {
    this.area += (now - this.areaAt) * this.inFlight;
    this.areaAt = now;
  }

  /** Mean and most accesses on their way, walks and their waits, up to `now` of a run that began `elapsedPs` ago. */
  report(now: number, elapsedPs: number): Record<string, unknown> {
    const area = this.area + (now - this.areaAt) * this.inFlight;
    return {
      accesses: this.accesses,
      walks: this.walks,
      outstandingMean: elapsedPs > 0 ? area / elapsedPs : 0,
      outstandingPeak: this.peak,
      walkersBusyMean: elapsedPs > 0 ? this.walkPs / elapsedPs : 0,
      walkWaitNs: this.accesses === 0 ? 0 : this.waitPs / 1000 / this.accesses,
    };
  }

  /** Times fall by `ps`, or rise when negative. */
  rebase(ps: number): void {
    for (let walker = 0; walker < this.walkerFreeAt.length; walker++) this.walkerFreeAt[walker]! -= ps;
    for (let slot = 0; slot < this.outstanding; slot++) {
      this.at[slot]! -= ps;
      this.issuedAt[slot]! -= ps;
    }
    this.busFreeAt -= ps;
    this.areaAt -= ps;
  }

  /** Nothing is on its way any more. */
  clear(): void {
    this.state.fill(IDLE);
    for (let i = 0; i < this.outstanding; i++) this.free[i] = this.outstanding - 1 - i;
    this.freeCount = this.outstanding;
  }

  digest(sink: DigestSink): void {
    sink.column(this.state, this.outstanding);
    sink.column(this.owner, this.outstanding);
    sink.number(this.freeCount);
    sink.column(this.free, this.freeCount);
    for (let slot = 0; slot < this.outstanding; slot++) if (this.state[slot] !== IDLE) sink.number(this.at[slot]!);
    sink.number(this.busFreeAt);
    sink.column(this.walkerFreeAt, this.walkerFreeAt.length);
  }
}
