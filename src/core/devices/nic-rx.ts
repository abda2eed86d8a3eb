/**
 * nic-rx: a receive ring, mapped in advance. A frame arrives every wire time and goes to the next descriptor by DMA; an empty ring
 * drops it. The poll on the queue's CPU unmaps, frees the buffer, allocates another, maps it, posts it.
 *
 * Without memory or an address a descriptor stays empty. It is tried again, the longest empty one first, by the next poll, and when none
 * is due because the ring has run dry, by each frame that finds no descriptor. Linux does the first in every driver (what is empty is
 * filled by the next poll); for the second some stay in the poll until they have memory, others have a timer of half a second (virtio)
 * or of two (the watchdog that rings for an empty ring). Departs: a frame stands for those, which costs no CPU while none comes.
 *
 * Source: the Netperf set-ups of rIOMMU (ASPLOS 2015): 1,500-byte packets, one or two mappings each; NAPI as in Linux.
 */
import * as memoryConstants from '../hardware/memory.ts';
import * as dmaApiConstants from '../os/dma-api.ts';
import * as mappingsConstants from '../os/mappings.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { Simulator } from '../simulator.ts';
import { NicWorkload, nicFixedDefaults, nicParameters } from './nic.ts';
import { NicRxBuffers } from './nic-rx-buffers.ts';
import { checkReceive, needsBuffers, receiveDefaults, receiveParameters, sizeOfReceive } from './receive-parameters.ts';
import type { WorkloadEntry, WorkloadSetup } from './workload.ts';
import * as workloadConstants from './workload.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_FRAME } = memoryConstants;
const { MAP_SUSPENDED } = dmaApiConstants;
const { MAP_KIND } = mappingsConstants;
const { DONE, SUSPENDED } = workloadConstants;

const PHASE = { setup: 0, arrival: 1, poll: 2, refill: 3, turn: 4 } as const;
/** Descriptors that one set-up event fills, so that a ring of 2^20 does not hold up a worker. */
const SETUP_BATCH = 64;
const FROM_DEVICE = 1;
const FILLED = 0;
/** Where an operation goes on whose search yielded. */
const STAGE = { setup: 0, poll: 1, refill: 2 } as const;

class NicRx extends NicWorkload {
  /** [queue * ringSize + descriptor]: ps from which the device may use it; ps at which its frame arrived. */
  declare private readonly readyAt: Float64Array;
  declare private readonly arrivedAt: Float64Array;
  /** [queue]: descriptor that the device fills next, that the driver looks at next; frames waiting between them. */
  declare private readonly deviceNext: Int32Array;
  declare private readonly driverNext: Int32Array;
  declare private readonly waiting: Int32Array;
  declare private readonly polling: Uint8Array;
  declare private readonly inPoll: Int32Array;
  /** [queue]: descriptor that is filled next, how many are empty from there on, whether an event is on its way to fill them. */
  declare private readonly refillNext: Int32Array;
  declare private readonly empty: Int32Array;
  declare private readonly refilling: Uint8Array;
  private prepared = 0;
  private nextQueue = 0;

  // The operation in progress, for a search that yields.
  private stage: number = STAGE.setup;
  private atQueue = 0;
  private filledFirst = 0;
  private filledCount = 0;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const descriptors = this.queues * this.ringSize;
    this.readyAt = new Float64Array(descriptors);
    this.arrivedAt = new Float64Array(descriptors);
    this.deviceNext = new Int32Array(this.queues);
    this.driverNext = new Int32Array(this.queues);
    this.waiting = new Int32Array(this.queues);
    this.polling = new Uint8Array(this.queues);
    this.inPoll = new Int32Array(this.queues);
    this.refillNext = new Int32Array(this.queues);
    this.empty = new Int32Array(this.queues).fill(this.ringSize);
    this.refilling = new Uint8Array(this.queues);
  }

  protected start(now: number): void {
    this.polling.fill(0);
    this.inPoll.fill(0);
    this.refilling.fill(0);
    if (this.prepared < this.queues * this.ringSize) {
      this.arm(now, PHASE.setup, 0);
      return;
    }
    this.flow(now);
  }

  private flow(now: number): void {
    for (let queue = 0; queue < this.queues; queue++) {
      if (this.waiting[queue]! > 0) this.wake(queue, now);
      if (this.empty[queue]! > 0) this.wakeRefill(queue, now);
    }
    this.arm(now + this.wirePs, PHASE.arrival, 0);
  }

  private wake(queue: number, at: number): void {
    if (this.polling[queue] === 1) return;
    this.polling[queue] = 1;
    this.inPoll[queue] = 0;
    this.arm(at, PHASE.poll, queue);
  }

  private wakeRefill(queue: number, at: number): void {
    if (this.refilling[queue] === 1) return;
    this.refilling[queue] = 1;
    this.arm(at, PHASE.refill, queue);
  }

  event(phase: number, queue: number, now: number): boolean {
    if (phase === PHASE.arrival) {
      this.arrive(now);
      return DONE;
    }
    if (phase === PHASE.poll) return this.poll(queue, now);
    if (phase === PHASE.refill) return this.refillLater(queue, now);
    if (phase === PHASE.turn) {
      this.arm(now, PHASE.poll, queue);
      return DONE;
    }
    this.setUpNow = now;
    this.setUpDone = 0;
    this.stage = STAGE.setup;
    this.simulator.work.begin(this.cpuOf(0), now);
    return this.setUp();
  }

  /** Fills the ring before traffic starts: in advance, so it takes no time of the run. */
  private setUp(): boolean {
    const { simulator, ringSize, setUpNow: now } = this;
    const total = this.queues * ringSize;
    const { work } = simulator;
    // It takes no time of the run, so it keeps nobody from a lock either.
    work.contended = false;
    simulator.exposure.workload = this.index;
    for (; this.prepared < total && this.setUpDone < SETUP_BATCH; this.setUpDone++) {
      const queue = Math.floor(this.prepared / ringSize);
      const descriptor = queue * ringSize + this.refillNext[queue]!;
      const filled = this.fillNext(queue);
      if (filled === MAP_SUSPENDED) {
        work.contended = simulator.cpuAt.length > 1;
        return SUSPENDED;
      }
      if (filled === FILLED) this.readyAt[descriptor] = now;
      this.prepared++;
    }
    work.contended = simulator.cpuAt.length > 1;
    this.mapRows.fill(0);
    this.mapCalls = 0;
    if (this.prepared < total) this.arm(now, PHASE.setup, 0);
    else this.flow(now);
    return DONE;
  }
  /** When the batch in progress began, and how many of its descriptors are filled: a search that yields goes on in the midst of it. */
  private setUpNow = 0;
  private setUpDone = 0;

  /**
   * Fills the descriptor whose turn it is.
   * @returns FILLED; MAP_SUSPENDED; or another code below 0: it keeps the buffers it has and is tried again later
   */
  private fillNext(queue: number): number {
    const index = this.refillNext[queue]!;
    const descriptor = queue * this.ringSize + index;
    for (let part = 0; part < this.perPacket; part++) {
      if (this.slot[descriptor * this.perPacket + part]! >= 0) continue;
      const filled = this.fill(descriptor, part);
      if (filled < 0) return filled;
    }
    this.refillNext[queue] = index + 1 === this.ringSize ? 0 : index + 1;
    this.empty[queue]!--;
    return FILLED;
  }

  /** Allocates and maps one buffer of a descriptor. @returns slot, or a code below 0 */
  private fill(descriptor: number, part: number): number {
    const { memory } = this.simulator;
    const at = descriptor * this.perPacket + part;
    if (this.frame[at] === -1) {
      const frame = memory.allocate(this.partFrames[part]!, this.tenant);
      if (frame === NO_FRAME) {
        this.mapFailures++;
        return -1;
      }
      this.frame[at] = frame;
    }
    const slot = this.map(MAP_KIND.page, FROM_DEVICE, this.frame[at]!, this.partBytes[part]!);
    if (slot === MAP_SUSPENDED) return slot;
    if (slot < 0) {
      memory.giveBack(this.frame[at]!, this.partFrames[part]!);
      this.frame[at] = -1;
      return slot;
    }
    this.slot[at] = slot;
    return slot;
  }

  private arrive(now: number): void {
    const { counters, mappings } = this.simulator;
    const queue = this.nextQueue;
    this.nextQueue = queue + 1 === this.queues ? 0 : queue + 1;
    this.arm(now + this.wirePs, PHASE.arrival, 0);
    this.offered++;
    counters.packetsOffered++;
    const index = this.deviceNext[queue]!;
    const descriptor = queue * this.ringSize + index;
    if (this.waiting[queue]! + this.empty[queue]! === this.ringSize || this.readyAt[descriptor]! > now) {
      this.dropped++;
      counters.packetsDropped++;
      if (this.empty[queue]! > 0) this.wakeRefill(queue, now);
      return;
    }
    let landed = now;
    for (let part = 0; part < this.perPacket; part++) {
      const slot = this.slot[descriptor * this.perPacket + part]!;
      landed += this.access(
        this.device,
        mappings.page[slot]!,
        mappings.offset[slot]!,
        this.partBytes[part]!,
        true,
        now,
      );
    }
    this.arrivedAt[descriptor] = now;
    this.deviceNext[queue] = index + 1 === this.ringSize ? 0 : index + 1;
    this.waiting[queue]!++;
    this.wake(queue, landed);
  }

  private poll(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.cpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.arm(simulator.cpuAt[cpu]!, PHASE.poll, queue);
      return DONE;
    }
    simulator.cpuHolder[cpu] = this.index;
    this.begin(cpu, now);
    simulator.work.addDriver(this.packetCost);
    const descriptor = queue * this.ringSize + this.driverNext[queue]!;
    for (let part = 0; part < this.perPacket; part++) {
      const at = descriptor * this.perPacket + part;
      this.unmap(this.slot[at]!);
      this.slot[at] = -1;
      simulator.memory.giveBack(this.frame[at]!, this.partFrames[part]!);
      this.frame[at] = -1;
    }
    this.empty[queue]!++;
    return this.refill(queue, STAGE.poll);
  }

  /** A refill by itself, where one has failed before. */
  private refillLater(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.cpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.arm(simulator.cpuAt[cpu]!, PHASE.refill, queue);
      return DONE;
    }
    this.begin(cpu, now);
    return this.refill(queue, STAGE.refill);
  }

  private refill(queue: number, stage: number): boolean {
    this.atQueue = queue;
    this.stage = stage;
    this.filledFirst = this.refillNext[queue]!;
    this.filledCount = 0;
    return this.goOn();
  }

  /** The part of a poll or refill that may be suspended. */
  private goOn(): boolean {
    const queue = this.atQueue;
    while (this.empty[queue]! > 0 && this.filledCount < this.napiBudget) {
      const filled = this.fillNext(queue);
      if (filled === MAP_SUSPENDED) return SUSPENDED;
      if (filled !== FILLED) break;
      this.filledCount++;
    }
    const end = this.finish();
    // What was filled belongs to the device from the end of the work on.
    for (let n = 0, index = this.filledFirst; n < this.filledCount; n++) {
      this.readyAt[queue * this.ringSize + index] = end;
      index = index + 1 === this.ringSize ? 0 : index + 1;
    }
    if (this.stage === STAGE.poll) this.endPoll(queue, end);
    else {
      this.refilling[queue] = 0;
      if (this.empty[queue]! > 0 && this.filledCount === this.napiBudget) this.wakeRefill(queue, end);
    }
    return DONE;
  }

  private endPoll(queue: number, end: number): void {
    const cpu = this.cpuOf(queue);
    const index = this.driverNext[queue]!;
    this.latency.record(Math.floor((end - this.arrivedAt[queue * this.ringSize + index]!) / 1000));
    this.operations++;
    this.bytes += this.frameBytes;
    this.driverNext[queue] = index + 1 === this.ringSize ? 0 : index + 1;
    this.waiting[queue]!--;
    if (this.waiting[queue]! > 0) {
      const turnEnds = ++this.inPoll[queue]! >= this.napiBudget;
      if (turnEnds) {
        this.inPoll[queue] = 0;
        this.simulator.letGo(cpu);
      }
      // Its other queues may wait for the CPU as well: after its turn a poll goes behind them all in any case.
      this.arm(end, turnEnds ? PHASE.turn : PHASE.poll, queue);
    } else {
      this.polling[queue] = 0;
      this.simulator.cpuHolder[cpu] = -1;
    }
  }

  resume(): boolean {
    return this.stage === STAGE.setup ? this.setUp() : this.goOn();
  }

  protected rebase(ps: number): void {
    for (let i = 0; i < this.readyAt.length; i++) {
      this.readyAt[i]! -= ps;
      this.arrivedAt[i]! -= ps;
    }
  }

  protected digestState(sink: DigestSink): void {
    sink.column(this.slot, this.slot.length);
    sink.column(this.frame, this.frame.length);
    sink.column(this.deviceNext, this.queues);
    sink.column(this.driverNext, this.queues);
    sink.column(this.waiting, this.queues);
    sink.column(this.refillNext, this.queues);
    sink.column(this.empty, this.queues);
    sink.column(this.readyAt, this.readyAt.length);
    sink.number(this.prepared);
    sink.number(this.nextQueue);
  }
}

export const nicRx: WorkloadEntry = {
  kind: 'nic-rx',
  schema: {
    type: 'object',
    required: ['kind', 'device'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'nic-rx' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 63 } },
      ...nicParameters,
      ...receiveParameters,
    },
  },
  defaults: nicFixedDefaults,
  source:
    'rIOMMU (ASPLOS 2015) for the shape of the traffic; Linux NAPI; buffers and pools: Farshin 2023, Fast and Safe 2024',
  defaultsFor: receiveDefaults,
  check: checkReceive,
  size: sizeOfReceive,
  create: (simulator, setup) =>
    needsBuffers(setup.spec) ? new NicRxBuffers(simulator, setup) : new NicRx(simulator, setup),
};
