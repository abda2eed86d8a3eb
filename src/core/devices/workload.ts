/** What every workload is: traffic of a device, driven by events, metered by itself. One file per kind, one line in `index.ts`. */
import * as eventKindsConstants from '../event-kinds.ts';
import { Histogram } from '../meter/histogram.ts';
import * as workConstants from '../meter/work.ts';
import { newSums, rowsOf } from '../meter/work.ts';
import type { Device } from '../os/device.ts';
import * as dmaApiConstants from '../os/dma-api.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { sorted } from '../sim/sorted.ts';
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import * as oracleConstants from '../truth/oracle.ts';
import { verdictNotice } from '../verdict-notice.ts';
import type { DmaEngine } from './dma-engine.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { EVENT } = eventKindsConstants;
const { MAP_SUSPENDED } = dmaApiConstants;
const { PART } = workConstants;
const { VERDICT } = oracleConstants;

export interface WorkloadSetup {
  index: number;
  /** The spec with the kind's defaults filled in. */
  spec: WorkloadSpec;
  device: Device;
  /** Whose mappings a hostile device aims at; its own device otherwise. */
  target: Device;
  tenant: number;
}

export interface WorkloadEntry {
  kind: string;
  schema: Record<string, unknown>;
  /** Those that do not depend on the profile. */
  defaults: Record<string, unknown>;
  source: string;
  /** Those of a workload whose other members are `given`. */
  defaultsFor(simulator: Simulator, given: Record<string, unknown>): Record<string, unknown>;
  /** What does not go together, or not on this machine; `spec` has its defaults. @returns null when all is well */
  check?(simulator: Simulator, spec: WorkloadSpec, device: Device): Misfit | null;
  /** Whether it would be too large, by members that each for itself are within their bounds; also asked of one from an image. */
  size?(spec: WorkloadSpec): Misfit | null;
  create(simulator: Simulator, setup: WorkloadSetup): Workload;
}

/** Why a workload is refused: a member and what is wrong with it. */
export interface Misfit {
  path: string;
  message: string;
}

/** Buffers that a workload may have in its rings, pools and queues: with a page each as much as one operation may touch. */
export const MOST_BUFFERS = 2 ** 20;

/** @param path of the member that is likeliest to be meant */
export function beyondBuffers(count: number, path: string): Misfit | null {
  if (count <= MOST_BUFFERS) return null;
  return { path, message: `makes ${count} buffers together with the others; ${MOST_BUFFERS} are the most` };
}

/** What an event handler answers. */
export const DONE = true;
export const SUSPENDED = false;

/** An event's argument is phase * 2^8 + queue, below 2^31. */
const PER_PHASE = 256;
export const QUEUES = PER_PHASE;

/** Numbers beyond the queues: the event's phase carries their upper ten bits. */
const NUMBER_BITS = 10;
export function phaseOf(phase: number): number {
  return phase >> NUMBER_BITS;
}
export function numberOf(phase: number, queue: number): number {
  return ((phase & ((1 << NUMBER_BITS) - 1)) << 8) | queue;
}

export abstract class Workload {
  declare protected readonly simulator: Simulator;
  declare readonly index: number;
  declare readonly spec: WorkloadSpec;
  declare readonly device: Device;
  declare readonly target: Device;
  declare readonly tenant: number;
  /** CPUs that its queues use, in turn. */
  declare readonly cpus: number[];
  /** CPUs that complete what those have begun, in turn; the same ones unless it says otherwise. */
  declare readonly completionCpus: number[];

  // Of the run in progress, or the last one.
  operations = 0;
  /** Time on the wire at line rate of one operation, ps; 0 for a kind without a wire. */
  wirePs = 0;
  bytes = 0;
  readonly latency = new Histogram();
  /** Milli-cycles by row, of maps and of unmaps. */
  readonly sums = newSums();
  mapCalls = 0;
  unmapCalls = 0;
  /** Milli-cycles of all its work, the driver's own included. */
  milliCycles = 0;
  /** [cpu]: ps that it worked there, what its last operation has still to do included. */
  declare readonly busyPs: Float64Array;
  /** [cpu]: ps after the clock's base at which its last operation there ends. */
  declare private readonly endsAt: Float64Array;
  lookups = 0;
  hits = 0;
  readonly verdicts = new Float64Array(8);
  attempts = 0;
  detected = 0;
  offered = 0;
  dropped = 0;
  /** Maps that the kernel could not make: the operation was given up. */
  mapFailures = 0;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    this.simulator = simulator;
    this.index = setup.index;
    this.spec = setup.spec;
    this.device = setup.device;
    this.target = setup.target;
    this.tenant = setup.tenant;
    this.cpus = setup.spec.cpus ?? [setup.index % simulator.cpuAt.length];
    this.completionCpus = (setup.spec.completionCpus as number[] | undefined) ?? this.cpus;
    this.busyPs = new Float64Array(simulator.cpuAt.length);
    this.endsAt = new Float64Array(simulator.cpuAt.length);
  }

  get mapRows(): Float64Array {
    return rowsOf(this.sums, PART.maps);
  }
  get unmapRows(): Float64Array {
    return rowsOf(this.sums, PART.unmaps);
  }

  get id(): string {
    return `wl_${this.index}`;
  }
  get name(): string | null {
    return this.spec.name ?? null;
  }
  get kind(): string {
    return this.spec.kind;
  }

  /** Whether a device cannot go while this is there. */
  uses(device: Device): boolean {
    return this.device === device || this.target === device;
  }

  /** A run begins: forget the last one's numbers, arm the first events. */
  startRun(now: number): void {
    this.operations = 0;
    this.bytes = 0;
    this.latency.clear();
    this.sums.fill(0);
    this.mapCalls = 0;
    this.unmapCalls = 0;
    this.milliCycles = 0;
    for (let cpu = 0; cpu < this.busyPs.length; cpu++) this.busyPs[cpu] = this.leftPs(cpu, now);
    this.lookups = 0;
    this.hits = 0;
    this.verdicts.fill(0);
    this.attempts = 0;
    this.detected = 0;
    this.offered = 0;
    this.dropped = 0;
    this.mapFailures = 0;
    // Between runs its traffic stands still: what was on its way has not aged.
    this.rebase(this.pausedAt - now);
    this.start(now);
  }

  /** ps after the clock's base at which the last run ended; what it left on its way goes on from there. */
  private pausedAt = 0;

  endRun(now: number): void {
    this.pausedAt = now;
  }

  /** What its last operation on a CPU has still to do, ps. */
  leftPs(cpu: number, now: number): number {
    return Math.max(0, this.endsAt[cpu]! - now);
  }

  /** The clock's base moved. */
  moveBase(ps: number): void {
    this.pausedAt -= ps;
    for (let cpu = 0; cpu < this.endsAt.length; cpu++) this.endsAt[cpu]! -= ps;
    this.rebase(ps);
  }

  protected abstract start(now: number): void;
  /**
   * An event of this workload is due.
   * @param phase what, in the kind's own numbers
   * @returns SUSPENDED when a search yielded in the middle: `resume` goes on
   */
  abstract event(phase: number, queue: number, now: number): boolean;
  /** Goes on where a search yielded. */
  abstract resume(): boolean;
  /** Whether its results have a throughput: it moves data at a rate. */
  get hasThroughput(): boolean {
    return this.wirePs > 0;
  }
  /** Members of its results that only this kind has. */
  report(_now: number, _elapsedPs: number): Record<string, unknown> {
    return {};
  }
  /** Beside `offered` and `dropped`, what only this kind counts. */
  reportCounts(): Record<string, number> {
    return {};
  }
  /** Unmaps and frees what it holds. */
  abstract tearDown(): void;
  /** Its times fall by `ps`, or rise by it when negative. */
  protected abstract rebase(ps: number): void;
  protected abstract digestState(sink: DigestSink): void;

  protected arm(time: number, phase: number, queue: number): void {
    this.simulator.queue.arm(time, EVENT.workload + this.index, phase * PER_PHASE + queue);
  }

  /** As `arm`, of a number up to 2^18: what `numberOf` and `phaseOf` make of the event's phase and queue. */
  protected armNumbered(time: number, phase: number, number: number): void {
    this.arm(time, (phase << NUMBER_BITS) | (number >> 8), number & (PER_PHASE - 1));
  }

  /** Starts work on a CPU at its first free moment from `now` on. */
  protected begin(cpu: number, now: number): void {
    const { work, cpuAt, exposure } = this.simulator;
    const at = cpuAt[cpu]!;
    work.beginFor(this.sums, cpu, at > now ? at : now);
    exposure.workload = this.index;
    this.startedAt = work.now();
  }

  private startedAt = 0;

  /** Ends it. @returns when */
  protected finish(): number {
    const { work, cpuAt, cpuBusyPs } = this.simulator;
    const end = work.now();
    const { cpu } = work;
    const busy = end - this.startedAt;
    cpuAt[cpu] = end;
    cpuBusyPs[cpu]! += busy;
    this.busyPs[cpu]! += busy;
    this.endsAt[cpu] = end;
    this.milliCycles += work.total;
    return end;
  }

  /** Maps one stretch and books it. @returns slot, or the codes of `DmaApi.map` */
  protected map(kind: number, direction: number, frame: number, lengthBytes: number): number {
    return this.mapAt(kind, direction, frame, 0, lengthBytes);
  }

  /** As `map`, of a stretch that does not begin with its page. */
  protected mapAt(kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number {
    const slot = this.simulator.dma.map(this.device, kind, direction, frame, offset, lengthBytes);
    if (slot === MAP_SUSPENDED) return slot;
    this.mapCalls++;
    if (slot < 0) this.mapFailures++;
    return slot;
  }

  protected unmap(slot: number): void {
    const { dma, work } = this.simulator;
    work.bookIn(this.sums, PART.unmaps);
    dma.unmap(slot, this.device);
    work.bookIn(this.sums, PART.maps);
    this.unmapCalls++;
  }

  /** Unmaps what its driver gives back together. */
  protected unmapTogether(slots: Int32Array, count: number): void {
    const { dma, work } = this.simulator;
    work.bookIn(this.sums, PART.unmaps);
    dma.unmapTogether(slots, count, this.device);
    work.bookIn(this.sums, PART.maps);
    this.unmapCalls += count;
  }

  /** One device access. @returns ps that its page walks took */
  protected access(
    device: Device,
    page: number,
    offset: number,
    lengthBytes: number,
    write: boolean,
    now: number,
  ): number {
    const { iommu, iotlb, work, costs } = this.simulator;
    const { lookups, hits } = iotlb;
    const verdict = iommu.access(device, page, offset, lengthBytes, write, now, null);
    this.lookups += iotlb.lookups - lookups;
    this.hits += iotlb.hits - hits;
    this.verdicts[verdict]!++;
    if (verdict !== VERDICT.ok) verdictNotice(this.simulator, this, page, offset, lengthBytes, write, verdict, now);
    const walked = iommu.references * costs.tableRead + iommu.requests * costs.translationRequest;
    const latency = walked === 0 ? 0 : work.toPs(walked);
    device.lastPage = page;
    device.lastOffset = offset;
    device.lastLength = lengthBytes;
    device.lastEndPs = now + latency;
    const { domain } = device;
    if (domain !== null && now + latency > domain.inFlightUntil) domain.inFlightUntil = now + latency;
    return latency;
  }

  /** An access of this device is on its way until `end`: an invalidation that drains waits for it. */
  private landsAt(end: number): void {
    const { device } = this;
    device.lastEndPs = end;
    const { domain } = device;
    if (domain !== null && end > domain.inFlightUntil) domain.inFlightUntil = end;
  }

  // What the access in the making has touched so far.
  private touchedPages = 0;
  private touchedWalks = 0;
  private touchedReferences = 0;

  /** One stretch of an access that `issue` sends on its way. */
  protected touch(page: number, offset: number, lengthBytes: number, write: boolean, now: number): void {
    const { lookups, hits } = this;
    this.access(this.device, page, offset, lengthBytes, write, now);
    this.touchedPages += Math.floor((offset + lengthBytes + 4095) / 4096);
    this.touchedWalks += this.lookups - lookups - (this.hits - hits);
    this.touchedReferences += this.simulator.iommu.references;
  }

  /** Sends what was touched on its way through a device with limits. @returns slot in the engine */
  protected issue(engine: DmaEngine, write: boolean, owner: number, lengthBytes: number, now: number): number {
    const slot = engine.issue(
      now,
      write,
      owner,
      lengthBytes,
      this.touchedPages,
      this.touchedWalks,
      this.touchedReferences,
    );
    this.touchedPages = 0;
    this.touchedWalks = 0;
    this.touchedReferences = 0;
    this.landsAt(now + engine.alonePs);
    return slot;
  }

  digest(sink: DigestSink): void {
    const { name: _name, device: _device, target: _target, tenant: _tenant, trace: _trace, ...parameters } = this.spec;
    sink.text(JSON.stringify(sorted(parameters)));
    sink.number(this.index);
    sink.number(this.device.index);
    sink.number(this.target.index);
    sink.number(this.tenant);
    sink.number(this.operations);
    sink.number(this.dropped);
    sink.number(this.milliCycles);
    sink.column(this.verdicts, 8);
    this.latency.digest(sink);
    this.digestState(sink);
  }
}
