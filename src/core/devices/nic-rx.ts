/**
 * nic-rx: a receive ring, mapped in advance. A frame arrives every wire time and goes to the next descriptor by DMA; an empty ring
 * drops it. The poll on the queue's CPU unmaps, frees the buffer, allocates another, maps it, posts it.
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
import { checkReceive, needsBuffers, receiveDefaults, receiveParameters } from './receive-parameters.ts';
import type { WorkloadEntry, WorkloadSetup } from './workload.ts';
import * as workloadConstants from './workload.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_FRAME } = memoryConstants;
const { MAP_SUSPENDED } = dmaApiConstants;
const { MAP_KIND } = mappingsConstants;
const { DONE, SUSPENDED } = workloadConstants;

const PHASE = { setup: 0, arrival: 1, poll: 2 } as const;
/** Descriptors that one set-up event fills, so that a ring of 2^20 does not hold up a worker. */
const SETUP_BATCH = 64;
const FROM_DEVICE = 1;

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
  private prepared = 0;
  private nextQueue = 0;

  // The packet in progress, for a search that yields.
  private atQueue = 0;
  private atDescriptor = 0;
  private atPart = 0;
  private settingUp = false;

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
  }

  protected start(now: number): void {
    this.polling.fill(0);
    this.inPoll.fill(0);
    if (this.prepared < this.queues * this.ringSize) {
      this.arm(now, PHASE.setup, 0);
      return;
    }
    this.flow(now);
  }

  private flow(now: number): void {
    for (let queue = 0; queue < this.queues; queue++) if (this.waiting[queue]! > 0) this.wake(queue, now);
    this.arm(now + this.wirePs, PHASE.arrival, 0);
  }

  private wake(queue: number, at: number): void {
    if (this.polling[queue] === 1) return;
    this.polling[queue] = 1;
    this.inPoll[queue] = 0;
    this.arm(at, PHASE.poll, queue);
  }

  event(phase: number, queue: number, now: number): boolean {
    if (phase === PHASE.arrival) {
      this.arrive(now);
      return DONE;
    }
    if (phase === PHASE.poll) return this.poll(queue, now);
    this.setUpNow = now;
    this.setUpDone = 0;
    this.settingUp = true;
    this.simulator.work.begin(this.cpuOf(0), now);
    return this.setUp();
  }

  /** Fills the ring before traffic starts: in advance, so it takes no time of the run. */
  private setUp(): boolean {
    const { simulator, setUpNow: now } = this;
    const total = this.queues * this.ringSize * this.perPacket;
    const { work } = simulator;
    // It takes no time of the run, so it keeps nobody from a lock either.
    work.contended = false;
    simulator.exposure.workload = this.index;
    for (; this.prepared * this.perPacket + this.atPart < total && this.setUpDone < SETUP_BATCH; this.setUpDone++) {
      const descriptor = this.prepared;
      for (; this.atPart < this.perPacket; this.atPart++) {
        const mapped = this.fill(descriptor, this.atPart);
        if (mapped === MAP_SUSPENDED) {
          work.contended = simulator.cpuAt.length > 1;
          return SUSPENDED;
        }
      }
      this.atPart = 0;
      this.readyAt[descriptor] = now;
      this.prepared++;
    }
    work.contended = simulator.cpuAt.length > 1;
    this.settingUp = false;
    this.mapRows.fill(0);
    this.mapCalls = 0;
    if (this.prepared < this.queues * this.ringSize) this.arm(now, PHASE.setup, 0);
    else this.flow(now);
    return DONE;
  }
  /** When the batch in progress began, and how many of its descriptors are filled: a search that yields goes on in the midst of it. */
  private setUpNow = 0;
  private setUpDone = 0;

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
    if (this.waiting[queue] === this.ringSize || this.readyAt[descriptor]! > now || !this.posted(descriptor)) {
      this.dropped++;
      counters.packetsDropped++;
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

  private posted(descriptor: number): boolean {
    for (let part = 0; part < this.perPacket; part++)
      if (this.slot[descriptor * this.perPacket + part]! < 0) return false;
    return true;
  }

  private poll(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.cpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.arm(simulator.cpuAt[cpu]!, PHASE.poll, queue);
      return DONE;
    }
    simulator.cpuHolder[cpu] = this.index;
    this.atQueue = queue;
    this.atDescriptor = queue * this.ringSize + this.driverNext[queue]!;
    this.begin(cpu, now);
    simulator.work.addDriver(this.packetCost);
    for (let part = 0; part < this.perPacket; part++) {
      const at = this.atDescriptor * this.perPacket + part;
      const slot = this.slot[at]!;
      if (slot >= 0) {
        this.unmap(slot);
        this.slot[at] = -1;
      }
      if (this.frame[at]! >= 0) {
        simulator.memory.giveBack(this.frame[at]!, this.partFrames[part]!);
        this.frame[at] = -1;
      }
    }
    this.atPart = 0;
    return this.refill();
  }

  private refill(): boolean {
    for (; this.atPart < this.perPacket; this.atPart++)
      if (this.fill(this.atDescriptor, this.atPart) === MAP_SUSPENDED) return SUSPENDED;
    this.atPart = 0;
    const queue = this.atQueue;
    const cpu = this.cpuOf(queue);
    const end = this.finish();
    this.readyAt[this.atDescriptor] = end;
    this.latency.record(Math.floor((end - this.arrivedAt[this.atDescriptor]!) / 1000));
    this.operations++;
    this.bytes += this.frameBytes;
    const next = this.driverNext[queue]! + 1;
    this.driverNext[queue] = next === this.ringSize ? 0 : next;
    this.waiting[queue]!--;
    if (this.waiting[queue]! > 0) {
      if (++this.inPoll[queue]! >= this.napiBudget) {
        this.inPoll[queue] = 0;
        this.simulator.cpuHolder[cpu] = -1;
      }
      this.arm(end, PHASE.poll, queue);
    } else {
      this.polling[queue] = 0;
      this.simulator.cpuHolder[cpu] = -1;
    }
    return DONE;
  }

  resume(): boolean {
    return this.settingUp ? this.setUp() : this.refill();
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
    sink.number(this.prepared);
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
  create: (simulator, setup) =>
    needsBuffers(setup.spec) ? new NicRxBuffers(simulator, setup) : new NicRx(simulator, setup),
};
