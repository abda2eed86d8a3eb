/**
 * replay: the calls that a recording has, made again under the session's allocator and policy.
 *
 * Each recorded map, unmap, allocation and sync of the DMA API becomes that call (`dma-calls.ts`), and page-table calls without one are
 * made at their recorded addresses (`ranges.ts`). Block I/O and packets (`packets.ts`) become maps and unmaps; accesses, which no
 * kernel traces, are synthesised by the rules of `accesses.ts`; memory lies where `memory.ts` says. What is due next, and when, is in
 * `order.ts`.
 *
 * Invalidations are the policy's (`simulated`), or also those of the recording at their times (`recorded`).
 *
 * Calls of the recording's very first moment are taken for what was there before it, as a ring of buffers is: at the recorded pace they
 * take no time of the run.
 */
import type { Device } from '../../os/device.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Simulator } from '../../simulator.ts';
import { DONE, Workload, type WorkloadSetup } from '../workload.ts';
import { ReplayDmaCalls } from './dma-calls.ts';
import { LiveCalls } from './live.ts';
import { MapInProgress } from './map-in-progress.ts';
import { ReplayMemory } from './memory.ts';
import { ReplayOrder } from './order.ts';
import { ReplayPackets } from './packets.ts';
import { ReplayRanges } from './ranges.ts';
import { ABSENT, RECORDED, type RecordedEvents } from './source.ts';
import { ReplayTally } from './tally.ts';
import { ReplayTouches } from './touches.ts';

/** What an event of the queue is for: below PER_SLOT one of these, else (slot + 1) * PER_SLOT + rule, or + TRANSMITTED. */
const MAIN = 0;
const REFILL = 1;
const PER_SLOT = 8;
const TRANSMITTED = 4;

export class Replay extends Workload {
  /** Its parts have it from here. */
  declare readonly simulator: Simulator;
  /** No part of the state: found again by its digest. */
  readonly #source: RecordedEvents;
  /** [device of the recording]: index of the session's, ABSENT until a run begins. */
  private readonly deviceOf: Int32Array;
  readonly calls = new LiveCalls();
  readonly tally = new ReplayTally();
  readonly memory: ReplayMemory;
  readonly order: ReplayOrder;
  readonly touches: ReplayTouches;
  readonly dmaCalls: ReplayDmaCalls;
  readonly packets: ReplayPackets;
  private readonly inProgress: MapInProgress;
  private readonly ranges: ReplayRanges;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    const source = simulator.recordings.open(spec.recording as string);
    if (source === null) throw new Error(`the recording ${spec.recording} is not here`);
    this.#source = source;
    this.deviceOf = new Int32Array(source.devices.length).fill(ABSENT);
    this.memory = new ReplayMemory(simulator.memory, setup.tenant);
    this.order = new ReplayOrder(this, source);
    this.touches = new ReplayTouches(this, source);
    this.inProgress = new MapInProgress(this, source);
    this.dmaCalls = new ReplayDmaCalls(this, source, this.inProgress);
    this.packets = new ReplayPackets(this, source, this.inProgress);
    this.ranges = new ReplayRanges(this, source);
    if (!spec.cpus) {
      this.cpus.length = 0;
      for (let cpu = 0; cpu < simulator.cpuAt.length; cpu++) this.cpus.push(cpu);
    }
  }

  override get hasThroughput(): boolean {
    return true;
  }

  override uses(device: Device): boolean {
    return super.uses(device) || this.deviceOf.includes(device.index);
  }

  protected start(now: number): void {
    const { order, tally, touches, packets } = this;
    tally.clear();
    touches.clear();
    if (order.begin(now)) this.bindDevices();
    touches.rearm(now);
    packets.rearm(now);
    if (!order.over) order.next(now);
  }

  /** Recorded names -> devices of the session; all that are not named are the workload's own device. */
  private bindDevices(): void {
    const { devices } = this.simulator;
    const given = (this.spec.devices ?? {}) as Record<string, string>;
    for (const [i, name] of this.#source.devices.entries()) {
      const found = Object.hasOwn(given, name) ? devices.find(given[name]!) : undefined;
      this.deviceOf[i] = (found ?? this.device).index;
    }
  }

  /** @param recorded number of a device in the recording, ABSENT where a line names none */
  deviceFor(recorded: number): Device {
    if (recorded < 0) return this.device;
    return this.simulator.deviceAt(this.deviceOf[recorded]!);
  }

  cpuFor(recorded: number): number {
    return this.cpus[recorded < 0 ? 0 : recorded % this.cpus.length]!;
  }

  // ------------------------------------------------------------------------------------------------ events of the queue

  private armCode(time: number, code: number): void {
    this.arm(time, code >>> 8, code & 255);
  }

  private armSlot(time: number, slot: number, what: number): void {
    this.calls.armed[slot]!++;
    this.armCode(time, (slot + 1) * PER_SLOT + what);
  }

  /** The event of the recording that is due next. */
  armMain(time: number): void {
    this.armCode(time, MAIN);
  }

  /** A buffer more for the ring. */
  armRefill(time: number): void {
    this.armCode(time, REFILL);
  }

  /** An access of a mapping by a rule. */
  armAccess(time: number, slot: number, rule: number): void {
    this.armSlot(time, slot, rule);
  }

  /** A packet that is sent is out. */
  armTransmitted(time: number, slot: number): void {
    this.armSlot(time, slot, TRANSMITTED);
  }

  event(phase: number, queue: number, now: number): boolean {
    const code = phase * 256 + queue;
    if (code === MAIN) return this.main(now);
    if (code === REFILL) return this.packets.refill(now);
    const slot = Math.floor(code / PER_SLOT) - 1;
    const what = code % PER_SLOT;
    this.calls.armed[slot]!--;
    if (what === TRANSMITTED) return this.packets.transmitted(slot, now);
    this.touches.due(slot, what, now);
    return DONE;
  }

  private main(now: number): boolean {
    const { order, simulator } = this;
    const source = this.#source;
    if (order.looking) {
      order.next(now);
      return DONE;
    }
    source.load(order.position);
    if (source.kind === RECORDED.fault || source.kind === RECORDED.access) {
      this.touches.asRecorded(now);
      return order.goOn(now);
    }
    const cpu = this.cpuFor(source.cpu);
    if (!order.goesOn(cpu, now) && !simulator.mayRun(cpu, this.index, now)) {
      this.armMain(simulator.cpuAt[cpu]!);
      return DONE;
    }
    order.noteLag(now);
    return this.make(cpu, now);
  }

  resume(): boolean {
    return this.inProgress.attempt();
  }

  /** Whether the loaded event is one that the replay does something about. */
  acts(): boolean {
    const source = this.#source;
    switch (source.kind) {
      case RECORDED.map:
      case RECORDED.unmap:
      case RECORDED.mapSg:
      case RECORDED.unmapSg:
      case RECORDED.alloc:
      case RECORDED.free:
      case RECORDED.sync:
      case RECORDED.syncSg:
      case RECORDED.fault:
      case RECORDED.access:
      case RECORDED.ioStart:
      case RECORDED.ioEnd:
      case RECORDED.packet:
        return true;
      case RECORDED.iommuMap:
      case RECORDED.iommuUnmap:
        return source.joined === ABSENT;
      case RECORDED.invalidate:
        return this.ranges.recordedInvalidations;
      default:
        return false;
    }
  }

  /** The loaded call. */
  private make(cpu: number, now: number): boolean {
    const { dmaCalls, ranges } = this;
    switch (this.#source.kind) {
      case RECORDED.map:
      case RECORDED.alloc:
        return dmaCalls.mapOne(cpu, now);
      case RECORDED.mapSg:
        return dmaCalls.mapList(cpu, now);
      case RECORDED.ioStart:
        return dmaCalls.mapTransfer(cpu, now);
      case RECORDED.packet:
        return this.packets.packet(cpu, now);
      case RECORDED.iommuMap:
        return ranges.write(cpu, now);
      case RECORDED.iommuUnmap:
        return ranges.clear(cpu, now);
      case RECORDED.invalidate:
        return ranges.invalidate(cpu, now);
      case RECORDED.sync:
      case RECORDED.syncSg:
        return dmaCalls.sync(cpu, now);
      default:
        return dmaCalls.unmapOne(cpu, now);
    }
  }

  // ------------------------------------------------------------------------------------------------ for its parts

  override begin(cpu: number, now: number): void {
    super.begin(cpu, now);
  }

  override finish(): number {
    const { work } = this.simulator;
    if (this.order.beforeRun && this.inProgress.ofEvent) {
      this.milliCycles += work.total;
      return work.now();
    }
    const end = super.finish();
    this.order.returned(work.cpu, end);
    return end;
  }

  override access(device: Device, page: number, offset: number, bytes: number, write: boolean, now: number): number {
    return super.access(device, page, offset, bytes, write, now);
  }

  // ------------------------------------------------------------------------------------------------ the rest

  override report(): Record<string, unknown> {
    const { order, tally, memory } = this;
    const { digest, count } = this.#source;
    return {
      replay: {
        recording: digest,
        event: order.position,
        events: count,
        finished: order.over,
        maps: tally.maps,
        unmaps: tally.unmaps,
        sameAddress: tally.sameAddress,
        live: this.calls.count,
        accesses: this.touches.report(),
        invalidations: tally.invalidations,
        lagNs: order.lagNs(),
        memory: { folded: memory.folded, moved: memory.moved },
        skipped: tally.skips(),
      },
    };
  }

  tearDown(): void {
    const { simulator } = this;
    simulator.begin(this.cpus[0]!);
    this.dmaCalls.tearDown();
    this.ranges.tearDown();
    this.packets.tearDown();
    this.memory.tearDown();
    simulator.end();
  }

  protected rebase(ps: number): void {
    this.order.rebase(ps);
    this.calls.rebase(ps);
    this.packets.rebase(ps);
  }

  protected digestState(sink: DigestSink): void {
    sink.text(this.#source.digest);
    this.order.digest(sink);
    this.packets.digest(sink);
    this.ranges.digest(sink);
    sink.column(this.deviceOf, this.deviceOf.length);
    this.calls.digest(sink);
    this.memory.digest(sink);
  }
}
