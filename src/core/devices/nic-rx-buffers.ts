/**
 * nic-rx beyond the plain ring: buffers of a size of their own, pools, descriptors of many pages (`receive-memory.ts`), a device with
 * limits, completion on other CPUs, acknowledgements. One class for all, beside the plain one, which stays as fast as it is.
 *
 *     arrival -> [the NIC's buffer -> engine] -> buffers of the ring -> poll: driver, give back -> refill -> posted
 *
 * - A packet takes as many buffers as it needs, all of one descriptor where a descriptor has several; a descriptor is complete when the
 *   next packet does not fit any more.
 * - A device with limits holds frames in `nicBufferBytes` until they have landed, and drops what does not fit.
 * - With `completionCpus` these poll and give back, and `cpus` refill when they hear of it.
 *
 * Source: Farshin et al., PeerJ CS 2023 (two buffers a page at MTU 1500, drops that shuffle buffers); Rubin et al., F&S, SOSP 2024
 * (descriptors of 64 pages, 0.045 to 0.12 acknowledgements a page, drops at the NIC's buffer).
 * Departs: an acknowledgement is read by the device beside its other accesses, through the IOMMU but not through the limits; one a queue
 * is on its way at a time; packets of one queue land in order.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { Simulator } from '../simulator.ts';
import { DmaEngine, hasEngine } from './dma-engine.ts';
import { FILLED, NOT_FILLED, POSTED, ReceiveMemory, USED } from './receive-memory.ts';
import { DONE, numberOf, phaseOf, SUSPENDED, type WorkloadSetup } from './workload.ts';

const PHASE = { setup: 0, arrival: 1, poll: 2, landed: 3, refill: 4, acknowledge: 5, turn: 6 } as const;
const SETUP_BATCH = 64;
const TO_DEVICE = 0;
const PAGE_BYTES = 4096;
/** A segment without data: Ethernet, IP and TCP headers, time stamps. */
const ACK_BYTES = 66;
const NONE = -1;

/** States of a queue's acknowledgement. */
const NO_ACK = 0;
const ACK_MADE = 1;
const ACK_GIVEN = 2;
const ACK_READ = 3;

/** Where an operation goes on whose search yielded. */
const STAGE = { setup: 0, refill: 1, acknowledge: 2, refillOnly: 3 } as const;

export class NicRxBuffers extends ReceiveMemory {
  private readonly engine: DmaEngine | null;
  private readonly elsewhere: boolean;
  private readonly acksPerPage: number;

  /** [queue * ringSize + descriptor]: ps from which the device may use it. */
  private readonly readyAt: Float64Array;
  // [queue]: buffer that the device fills next, that the driver looks at next; packets that have landed and wait.
  private readonly deviceNext: Int32Array;
  private readonly driverNext: Int32Array;
  private readonly waiting: Int32Array;
  private readonly polling: Uint8Array;
  private readonly refilling: Uint8Array;
  private readonly inPoll: Int32Array;
  /** [queue]: ps at which its last packet lands. */
  private readonly lastLanding: Float64Array;
  /** [queue * inRing + n]: when the packets arrived that the ring holds, first in, first out. */
  private readonly arrivedAt: Float64Array;
  private readonly arrivedFirst: Int32Array;
  private readonly arrivedCount: Int32Array;

  /** Frames in the NIC, first in, first out: queue, arrival. Those on their way through the engine count as well. */
  private readonly heldQueue: Int32Array;
  private readonly heldAt: Float64Array;
  private heldFirst = 0;
  private heldCount = 0;

  // [queue]: acknowledgements due, state of the one in the making, its frame and mapping.
  private readonly ackCredit: Float64Array;
  private readonly ackState: Uint8Array;
  private readonly ackFrame: Float64Array;
  private readonly ackSlot: Int32Array;

  private prepared = 0;
  private nextQueue = 0;
  private droppedNoBuffer = 0;
  private droppedInDevice = 0;
  private acks = 0;

  // The operation in progress, for a search that yields.
  private stage: number = STAGE.setup;
  private atQueue = 0;
  private filledFirst = 0;
  private filledCount = 0;
  /** When the batch in progress began, and how many of its buffers are filled: a search that yields goes on in the midst of it. */
  private setUpNow = 0;
  private setUpDone = 0;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    const { queues, ringSize } = this;
    this.engine = hasEngine(spec) ? new DmaEngine(simulator, spec) : null;
    this.elsewhere = spec.completionCpus !== undefined;
    this.acksPerPage = (spec.acksPerPage as number | undefined) ?? 0;
    this.readyAt = new Float64Array(queues * ringSize);
    this.deviceNext = new Int32Array(queues);
    this.driverNext = new Int32Array(queues);
    this.waiting = new Int32Array(queues);
    this.polling = new Uint8Array(queues);
    this.refilling = new Uint8Array(queues);
    this.inPoll = new Int32Array(queues);
    this.lastLanding = new Float64Array(queues);
    this.arrivedAt = new Float64Array(queues * this.inRing);
    this.arrivedFirst = new Int32Array(queues);
    this.arrivedCount = new Int32Array(queues);
    const held = this.engine === null ? 0 : Math.max(1, Math.floor((spec.nicBufferBytes as number) / this.frameBytes));
    this.heldQueue = new Int32Array(held);
    this.heldAt = new Float64Array(held);
    this.ackCredit = new Float64Array(queues);
    this.ackState = new Uint8Array(queues);
    this.ackFrame = new Float64Array(queues).fill(NO_FRAME);
    this.ackSlot = new Int32Array(queues).fill(NONE);
  }

  protected start(now: number): void {
    this.polling.fill(0);
    this.refilling.fill(0);
    this.inPoll.fill(0);
    this.droppedNoBuffer = 0;
    this.droppedInDevice = 0;
    this.acks = 0;
    this.engine?.startRun(now);
    if (this.prepared < this.queues * (this.ringSize + this.poolPages)) {
      this.armNumbered(now, PHASE.setup, 0);
      return;
    }
    this.flow(now);
  }

  private flow(now: number): void {
    const { engine } = this;
    for (let queue = 0; queue < this.queues; queue++) {
      if (this.waiting[queue]! > 0) this.wake(queue, now);
      if (this.toRefill[queue]! > 0) this.wakeRefill(queue, now);
      if (this.ackState[queue] === ACK_GIVEN) this.armNumbered(now, PHASE.acknowledge, queue);
    }
    if (engine !== null) {
      for (let slot = 0; slot < engine.outstanding; slot++)
        if (engine.onItsWay(slot)) this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
      this.issueHeld(now);
    }
    this.armNumbered(now + this.wirePs, PHASE.arrival, 0);
  }

  private wake(queue: number, at: number): void {
    if (this.polling[queue] === 1) return;
    this.polling[queue] = 1;
    this.inPoll[queue] = 0;
    this.armNumbered(at, PHASE.poll, queue);
  }

  private wakeRefill(queue: number, at: number): void {
    if (this.refilling[queue] === 1) return;
    this.refilling[queue] = 1;
    this.armNumbered(at, PHASE.refill, queue);
  }

  event(phase: number, low: number, now: number): boolean {
    const number = numberOf(phase, low);
    switch (phaseOf(phase)) {
      case PHASE.arrival:
        this.arrive(now);
        return DONE;
      case PHASE.poll:
        return this.poll(number, now);
      case PHASE.landed:
        this.land(number, now);
        return DONE;
      case PHASE.refill:
        return this.refillLater(number, now);
      case PHASE.acknowledge:
        this.readAck(number, now);
        return DONE;
      case PHASE.turn:
        this.armNumbered(now, PHASE.poll, number);
        return DONE;
      default:
        this.setUpNow = now;
        this.setUpDone = 0;
        this.stage = STAGE.setup;
        this.simulator.work.begin(this.cpuOf(0), now);
        return this.setUp();
    }
  }

  /** Fills the rings and the pools before traffic starts: in advance, so it takes no time of the run. */
  private setUp(): boolean {
    const { simulator, ringSize, queues, poolPages, setUpNow: now } = this;
    const { work } = simulator;
    const inRings = queues * ringSize;
    const total = inRings + queues * poolPages;
    // It takes no time of the run, so it keeps nobody from a lock either.
    work.contended = false;
    simulator.exposure.workload = this.index;
    for (; this.prepared < total && this.setUpDone < SETUP_BATCH; this.setUpDone += this.perDescriptor) {
      let filled: number;
      if (this.prepared < inRings) {
        const queue = Math.floor(this.prepared / ringSize);
        const descriptor = queue * ringSize + this.refillNext[queue]!;
        filled = this.fillNext(queue);
        if (filled === FILLED) this.readyAt[descriptor] = now;
      } else filled = this.growPool(Math.floor((this.prepared - inRings) / poolPages));
      if (filled === MAP_SUSPENDED) {
        work.contended = simulator.cpuAt.length > 1;
        return SUSPENDED;
      }
      this.prepared++;
    }
    work.contended = simulator.cpuAt.length > 1;
    this.mapRows.fill(0);
    this.mapCalls = 0;
    if (this.prepared < total) this.armNumbered(now, PHASE.setup, 0);
    else this.flow(now);
    return DONE;
  }

  // ------------------------------------------------------------------------------------------------ the device

  /** The buffer after a packet's: packets lie within a descriptor of several buffers. */
  private after(at: number): number {
    const { perDescriptor, taken } = this;
    const end = at + taken;
    if (perDescriptor === 1) return end % this.ringSize;
    const used = end % perDescriptor;
    const start = used === 0 ? end : used + taken > perDescriptor ? end - used + perDescriptor : end;
    return start === this.inRing ? 0 : start;
  }

  /** Descriptors that a packet at a buffer of a queue's ring uses up: `leftCount` from `leftFirst` on. */
  private leftFirst = 0;
  private leftCount = 0;
  private leave(at: number, next: number): void {
    if (this.perDescriptor === 1) {
      this.leftFirst = at;
      this.leftCount = this.taken;
      return;
    }
    this.leftFirst = Math.floor(at / this.perDescriptor);
    this.leftCount = next % this.perDescriptor === 0 ? 1 : 0;
  }

  private canReceive(queue: number, now: number): boolean {
    const at = this.deviceNext[queue]!;
    const several = this.perDescriptor === 1 ? this.taken : 1;
    const first = this.perDescriptor === 1 ? at : Math.floor(at / this.perDescriptor);
    for (let n = 0; n < several; n++) {
      const descriptor = queue * this.ringSize + ((first + n) % this.ringSize);
      if (this.state[descriptor] !== POSTED || this.readyAt[descriptor]! > now) return false;
    }
    return true;
  }

  private arrive(now: number): void {
    const { engine } = this;
    const { counters } = this.simulator;
    const queue = this.nextQueue;
    this.nextQueue = queue + 1 === this.queues ? 0 : queue + 1;
    this.armNumbered(now + this.wirePs, PHASE.arrival, 0);
    this.offered++;
    counters.packetsOffered++;
    if (engine === null) {
      if (this.canReceive(queue, now)) this.receive(queue, now);
      else this.dropWithoutBuffer(queue, now);
      return;
    }
    const room = this.heldQueue.length;
    if (this.heldCount + engine.inFlight >= room) {
      this.drop();
      this.droppedInDevice++;
      return;
    }
    const end = (this.heldFirst + this.heldCount++) % room;
    this.heldQueue[end] = queue;
    this.heldAt[end] = now;
    this.issueHeld(now);
  }

  private drop(): void {
    this.dropped++;
    this.simulator.counters.packetsDropped++;
  }

  private dropWithoutBuffer(queue: number, now: number): void {
    this.drop();
    this.droppedNoBuffer++;
    // A driver that got no memory tries again.
    if (this.toRefill[queue]! > 0) this.wakeRefill(queue, now);
  }

  /** A packet without limits of the device: it lands when its walks are over. */
  private receive(queue: number, now: number): void {
    let landed = now;
    let left = this.frameBytes;
    const at = this.deviceNext[queue]!;
    for (let n = 0; n < this.taken; n++) {
      const bytes = this.locate(queue, at, n, left);
      landed += this.access(this.device, this.partPage, this.partOffset, bytes, true, now);
      left -= bytes;
    }
    this.taking(queue, now);
    this.waiting[queue]!++;
    this.wake(queue, landed);
  }

  /** Frames that wait in the NIC go on their way while there are slots. */
  private issueHeld(now: number): void {
    const engine = this.engine!;
    while (this.heldCount > 0 && !engine.full) {
      const queue = this.heldQueue[this.heldFirst]!;
      const arrived = this.heldAt[this.heldFirst]!;
      this.heldFirst = this.heldFirst + 1 === this.heldQueue.length ? 0 : this.heldFirst + 1;
      this.heldCount--;
      if (!this.canReceive(queue, now)) {
        this.dropWithoutBuffer(queue, now);
        continue;
      }
      let left = this.frameBytes;
      const at = this.deviceNext[queue]!;
      for (let n = 0; n < this.taken; n++) {
        const bytes = this.locate(queue, at, n, left);
        this.touch(this.partPage, this.partOffset, bytes, true, now);
        left -= bytes;
      }
      const slot = this.issue(engine, true, queue, this.frameBytes, now);
      // A queue's packets are delivered in order.
      if (engine.at[slot]! < this.lastLanding[queue]!) engine.at[slot] = this.lastLanding[queue]!;
      this.lastLanding[queue] = engine.at[slot]!;
      this.taking(queue, arrived);
      this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
    }
  }

  private land(slot: number, now: number): void {
    const engine = this.engine!;
    engine.arrive(slot);
    const queue = engine.owner[slot]!;
    this.waiting[queue]!++;
    this.wake(queue, now);
    this.issueHeld(now);
  }

  /** The device has used a packet's buffers. */
  private taking(queue: number, arrived: number): void {
    const at = this.deviceNext[queue]!;
    const next = this.after(at);
    this.leave(at, next);
    for (let n = 0; n < this.leftCount; n++)
      this.state[queue * this.ringSize + ((this.leftFirst + n) % this.ringSize)] = USED;
    this.deviceNext[queue] = next;
    const end = (this.arrivedFirst[queue]! + this.arrivedCount[queue]!++) % this.inRing;
    this.arrivedAt[queue * this.inRing + end] = arrived;
  }

  // ------------------------------------------------------------------------------------------------ the driver

  private poll(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.completionCpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.armNumbered(simulator.cpuAt[cpu]!, PHASE.poll, queue);
      return DONE;
    }
    simulator.cpuHolder[cpu] = this.index;
    this.atQueue = queue;
    this.begin(cpu, now);
    simulator.work.addDriver(this.packetCost);
    const at = this.driverNext[queue]!;
    const next = this.after(at);
    this.leave(at, next);
    const { leftFirst, leftCount, ringSize } = this;
    for (let n = 0; n < leftCount; n++) this.giveBack(queue, queue * ringSize + ((leftFirst + n) % ringSize));
    this.driverNext[queue] = next;
    this.ackCredit[queue]! += (this.frameBytes / PAGE_BYTES) * this.acksPerPage;
    this.filledFirst = this.refillNext[queue]!;
    this.filledCount = 0;
    this.stage = this.elsewhere ? STAGE.acknowledge : STAGE.refill;
    return this.goOn();
  }

  /** Refills on the CPU that maps, when packets are completed on another one, or when there was no memory before. */
  private refillLater(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.cpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.armNumbered(simulator.cpuAt[cpu]!, PHASE.refill, queue);
      return DONE;
    }
    this.atQueue = queue;
    this.begin(cpu, now);
    this.filledFirst = this.refillNext[queue]!;
    this.filledCount = 0;
    this.stage = STAGE.refillOnly;
    return this.goOn();
  }

  /** The part of a poll or refill that may be suspended. */
  private goOn(): boolean {
    const queue = this.atQueue;
    if (this.stage === STAGE.refill || this.stage === STAGE.refillOnly) {
      while (this.toRefill[queue]! > 0 && this.filledCount < this.napiBudget) {
        const filled = this.fillNext(queue);
        if (filled === MAP_SUSPENDED) return SUSPENDED;
        if (filled === NOT_FILLED) break;
        this.filledCount++;
      }
      if (this.stage === STAGE.refillOnly) {
        this.endRefill(queue);
        return DONE;
      }
      this.stage = STAGE.acknowledge;
    }
    if (this.acknowledge(queue) === MAP_SUSPENDED) return SUSPENDED;
    this.endPoll(queue);
    return DONE;
  }

  /** What was filled belongs to the device from the end of the work on. */
  private post(queue: number, end: number): void {
    for (let n = 0; n < this.filledCount; n++)
      this.readyAt[queue * this.ringSize + ((this.filledFirst + n) % this.ringSize)] = end;
  }

  private endRefill(queue: number): void {
    const end = this.finish();
    this.post(queue, end);
    this.refilling[queue] = 0;
    if (this.toRefill[queue]! > 0 && this.filledCount === this.napiBudget) this.wakeRefill(queue, end);
  }

  private endPoll(queue: number): void {
    const cpu = this.completionCpuOf(queue);
    const end = this.finish();
    this.post(queue, end);
    if (this.elsewhere && this.toRefill[queue]! > 0) this.wakeRefill(queue, end);
    if (this.ackState[queue] === ACK_MADE) {
      this.ackState[queue] = ACK_GIVEN;
      this.armNumbered(end, PHASE.acknowledge, queue);
    }
    const first = this.arrivedFirst[queue]!;
    this.latency.record(Math.floor((end - this.arrivedAt[queue * this.inRing + first]!) / 1000));
    this.arrivedFirst[queue] = first + 1 === this.inRing ? 0 : first + 1;
    this.arrivedCount[queue]!--;
    this.operations++;
    this.bytes += this.frameBytes;
    this.waiting[queue]!--;
    if (this.waiting[queue]! > 0) {
      const turnEnds = ++this.inPoll[queue]! >= this.napiBudget;
      if (turnEnds) {
        this.inPoll[queue] = 0;
        this.simulator.letGo(cpu);
      }
      this.armNumbered(end, turnEnds ? PHASE.turn : PHASE.poll, queue);
    } else {
      this.polling[queue] = 0;
      this.simulator.cpuHolder[cpu] = -1;
    }
  }

  /** Sends an acknowledgement when one is due and the last one has been read. @returns FILLED, NOT_FILLED or MAP_SUSPENDED */
  private acknowledge(queue: number): number {
    if (this.ackCredit[queue]! < 1 || this.ackState[queue] === ACK_GIVEN) return FILLED;
    const { memory } = this.simulator;
    if (this.ackState[queue] === ACK_READ) this.cleanAck(queue);
    if (this.ackFrame[queue] === NO_FRAME) {
      const frame = memory.allocate(1, this.tenant);
      if (frame === NO_FRAME) {
        this.mapFailures++;
        return NOT_FILLED;
      }
      this.ackFrame[queue] = frame;
    }
    const slot = this.map(MAP_KIND.single, TO_DEVICE, this.ackFrame[queue]!, ACK_BYTES);
    if (slot < 0) return slot === MAP_SUSPENDED ? slot : NOT_FILLED;
    this.ackSlot[queue] = slot;
    this.ackState[queue] = ACK_MADE;
    this.ackCredit[queue]! -= 1;
    this.acks++;
    return FILLED;
  }

  private cleanAck(queue: number): void {
    this.unmap(this.ackSlot[queue]!);
    this.simulator.memory.giveBack(this.ackFrame[queue]!, 1);
    this.ackSlot[queue] = NONE;
    this.ackFrame[queue] = NO_FRAME;
    this.ackState[queue] = NO_ACK;
  }

  private readAck(queue: number, now: number): void {
    const { mappings } = this.simulator;
    const slot = this.ackSlot[queue]!;
    this.access(this.device, mappings.page[slot]!, mappings.offset[slot]!, ACK_BYTES, false, now);
    this.ackState[queue] = ACK_READ;
  }

  resume(): boolean {
    return this.stage === STAGE.setup ? this.setUp() : this.goOn();
  }

  override report(now: number, elapsedPs: number): Record<string, unknown> {
    return this.engine === null ? {} : { engine: this.engine.report(now, elapsedPs) };
  }

  override reportCounts(): Record<string, number> {
    return {
      droppedNoBuffer: this.droppedNoBuffer,
      ...(this.engine !== null && { droppedInDevice: this.droppedInDevice }),
      ...(this.acksPerPage > 0 && { acks: this.acks }),
    };
  }

  override tearDown(): void {
    const { simulator } = this;
    simulator.begin(this.cpuOf(0));
    this.dropAll();
    for (let queue = 0; queue < this.queues; queue++) {
      if (this.ackSlot[queue]! >= 0) simulator.dma.unmap(this.ackSlot[queue]!, this.device);
      if (this.ackFrame[queue]! >= 0) simulator.memory.giveBack(this.ackFrame[queue]!, 1);
    }
    simulator.end();
  }

  protected rebase(ps: number): void {
    for (let i = 0; i < this.readyAt.length; i++) this.readyAt[i]! -= ps;
    for (let i = 0; i < this.arrivedAt.length; i++) this.arrivedAt[i]! -= ps;
    for (let i = 0; i < this.heldAt.length; i++) this.heldAt[i]! -= ps;
    for (let queue = 0; queue < this.queues; queue++) this.lastLanding[queue]! -= ps;
    this.engine?.rebase(ps);
  }

  protected digestState(sink: DigestSink): void {
    const { queues } = this;
    this.digestMemory(sink);
    sink.column(this.readyAt, this.readyAt.length);
    sink.column(this.lastLanding, queues);
    sink.column(this.deviceNext, queues);
    sink.column(this.driverNext, queues);
    sink.column(this.waiting, queues);
    sink.column(this.arrivedCount, queues);
    sink.number(this.heldCount);
    for (let n = 0; n < this.heldCount; n++) sink.number(this.heldQueue[(this.heldFirst + n) % this.heldQueue.length]!);
    sink.column(this.ackCredit, queues);
    sink.column(this.ackState, queues);
    sink.column(this.ackFrame, queues);
    sink.column(this.ackSlot, queues);
    sink.number(this.prepared);
    sink.number(this.nextQueue);
    this.engine?.digest(sink);
  }
}
