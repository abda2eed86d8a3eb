/**
 * nic-tx: allocate, map, device read, unmap and free at completion. Packets are offered at a rate; a full ring makes the sender wait.
 *
 * A device with limits fetches packets as soon as they are posted, as many at a time as it can, and sends them in the order of their
 * queue; without limits it reads each when its turn on the link comes.
 *
 * Source: rIOMMU (ASPLOS 2015) for sizes and mappings per packet.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { Simulator } from '../simulator.ts';
import { DmaEngine, engineDefaults, engineParameters, hasEngine } from './dma-engine.ts';
import { NicWorkload, nicDefaults, nicFixedDefaults, nicParameters } from './nic.ts';
import {
  beyondBuffers,
  DONE,
  numberOf,
  phaseOf,
  SUSPENDED,
  type WorkloadEntry,
  type WorkloadSetup,
} from './workload.ts';

const PHASE = { turn: 0, send: 1, read: 2, clean: 3, sent: 4 } as const;
/** Of events that are numbered by the engine's slot. */
const FETCHED = 1;
const TO_DEVICE = 0;

class NicTx extends NicWorkload {
  private readonly sentAt: Float64Array;
  /** [queue]: next descriptor to send, to be read by the device, to be cleaned; packets mapped and not yet cleaned, read and not cleaned. */
  private readonly sendNext: Int32Array;
  private readonly readNext: Int32Array;
  private readonly cleanNext: Int32Array;
  private readonly outstanding: Int32Array;
  private readonly completed: Int32Array;
  private readonly sending: Uint8Array;
  private readonly cleaning: Uint8Array;
  private readonly inPoll: Int32Array;
  /** [queue]: when the next packet is due at the offered rate. */
  private readonly dueAt: Float64Array;
  /** ps at which the link has sent all that it was given. */
  private linkFreeAt = 0;
  private atQueue = 0;
  private atPart = 0;

  // Of a device with limits.
  private readonly engine: DmaEngine | null;
  /** [queue]: packets posted and not yet on their way, on the wire; next descriptor to be sent. */
  private readonly unfetched: Int32Array;
  private readonly onWire: Int32Array;
  private readonly wireNext: Int32Array;
  /** [queue * ringSize + descriptor]: 1 once its data is in the device. */
  private readonly fetched: Uint8Array;
  /** Queues whose packets wait for a slot, first in, first out. */
  private readonly held: Int32Array;
  private heldFirst = 0;
  private heldCount = 0;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    this.sentAt = new Float64Array(this.queues * this.ringSize);
    this.sendNext = new Int32Array(this.queues);
    this.readNext = new Int32Array(this.queues);
    this.cleanNext = new Int32Array(this.queues);
    this.outstanding = new Int32Array(this.queues);
    this.completed = new Int32Array(this.queues);
    this.sending = new Uint8Array(this.queues);
    this.cleaning = new Uint8Array(this.queues);
    this.inPoll = new Int32Array(this.queues);
    this.dueAt = new Float64Array(this.queues);
    this.engine = hasEngine(setup.spec) ? new DmaEngine(simulator, setup.spec) : null;
    const fetches = this.engine === null ? 0 : this.queues * this.ringSize;
    this.unfetched = new Int32Array(this.queues);
    this.onWire = new Int32Array(this.queues);
    this.wireNext = new Int32Array(this.queues);
    this.fetched = new Uint8Array(fetches);
    this.held = new Int32Array(fetches);
  }

  protected start(now: number): void {
    this.linkFreeAt = now;
    this.heldCount = 0;
    const { engine } = this;
    if (engine !== null) {
      engine.startRun(now);
      for (let slot = 0; slot < engine.outstanding; slot++)
        if (engine.onItsWay(slot)) this.armNumbered(engine.at[slot]!, FETCHED, slot);
    }
    for (let queue = 0; queue < this.queues; queue++) {
      this.sending[queue] = 0;
      this.cleaning[queue] = 0;
      this.inPoll[queue] = 0;
      this.dueAt[queue] = now + queue * this.wirePs;
      // What the last run left on its way goes on.
      if (this.engine !== null) this.takeUp(queue, now);
      else {
        const onItsWay = this.outstanding[queue]! - this.completed[queue]!;
        for (let i = 0; i < onItsWay; i++) this.give(queue, now);
      }
      if (this.completed[queue]! > 0) this.wakeCleaner(queue, now);
      this.wakeSender(queue);
    }
  }

  private takeUp(queue: number, now: number): void {
    for (let i = 0; i < this.onWire[queue]!; i++) {
      this.linkFreeAt += this.wirePs;
      this.arm(this.linkFreeAt, PHASE.sent, queue);
    }
    for (let i = 0; i < this.unfetched[queue]!; i++) this.arm(now, PHASE.read, queue);
  }

  private wakeSender(queue: number): void {
    if (this.sending[queue] === 1 || this.outstanding[queue] === this.ringSize) return;
    this.sending[queue] = 1;
    this.arm(this.dueAt[queue]!, PHASE.send, queue);
  }

  private wakeCleaner(queue: number, at: number): void {
    if (this.cleaning[queue] === 1) return;
    this.cleaning[queue] = 1;
    this.arm(at, PHASE.clean, queue);
  }

  event(phase: number, queue: number, now: number): boolean {
    if (phase === PHASE.read) {
      if (this.engine === null) this.read(queue, now);
      else this.wantFetch(queue, now);
      return DONE;
    }
    if (phase === PHASE.turn) {
      this.arm(now, PHASE.clean, queue);
      return DONE;
    }
    if (phase > PHASE.clean) {
      if (phase === PHASE.sent) this.sent(queue, now);
      else if (phaseOf(phase) === FETCHED) this.fetch(numberOf(phase, queue), now);
      return DONE;
    }
    const cpu = phase === PHASE.clean ? this.completionCpuOf(queue) : this.cpuOf(queue);
    if (!this.simulator.mayRun(cpu, this.index, now)) {
      this.arm(this.simulator.cpuAt[cpu]!, phase, queue);
      return DONE;
    }
    if (phase === PHASE.clean) {
      this.clean(queue, now);
      return DONE;
    }
    this.begin(cpu, now);
    this.simulator.work.addDriver(this.packetCost);
    this.atQueue = queue;
    this.atPart = 0;
    this.offered++;
    this.simulator.counters.packetsOffered++;
    return this.send();
  }

  private send(): boolean {
    const { memory } = this.simulator;
    const queue = this.atQueue;
    const descriptor = queue * this.ringSize + this.sendNext[queue]!;
    for (; this.atPart < this.perPacket; this.atPart++) {
      const at = descriptor * this.perPacket + this.atPart;
      if (this.frame[at] === -1) {
        const frame = memory.allocate(this.partFrames[this.atPart]!, this.tenant);
        if (frame === NO_FRAME) return this.giveUp(descriptor);
        this.frame[at] = frame;
      }
      const slot = this.map(MAP_KIND.page, TO_DEVICE, this.frame[at]!, this.partBytes[this.atPart]!);
      if (slot === MAP_SUSPENDED) return SUSPENDED;
      if (slot < 0) return this.giveUp(descriptor);
      this.slot[at] = slot;
    }
    const end = this.finish();
    this.sentAt[descriptor] = end;
    this.sendNext[queue] = (this.sendNext[queue]! + 1) % this.ringSize;
    this.outstanding[queue]!++;
    this.give(queue, end);
    this.again(queue, end);
    return DONE;
  }

  /** No frame or no address: the driver drops the packet. */
  private giveUp(descriptor: number): boolean {
    for (let part = 0; part < this.perPacket; part++) {
      const at = descriptor * this.perPacket + part;
      if (this.slot[at]! >= 0) this.unmap(this.slot[at]!);
      if (this.frame[at]! >= 0) this.simulator.memory.giveBack(this.frame[at]!, this.partFrames[part]!);
      this.slot[at] = -1;
      this.frame[at] = -1;
    }
    this.dropped++;
    this.simulator.counters.packetsDropped++;
    this.again(this.atQueue, this.finish());
    return DONE;
  }

  private again(queue: number, end: number): void {
    const due = this.dueAt[queue]! + this.wirePs * this.queues;
    this.dueAt[queue] = due > end ? due : end;
    this.sending[queue] = 0;
    this.wakeSender(queue);
  }

  /** The link sends one packet after the other; a packet is read when its turn comes. */
  private give(queue: number, at: number): void {
    if (this.engine !== null) {
      this.unfetched[queue]!++;
      this.arm(at, PHASE.read, queue);
      return;
    }
    const start = this.linkFreeAt > at ? this.linkFreeAt : at;
    this.linkFreeAt = start + this.wirePs;
    this.arm(start, PHASE.read, queue);
  }

  private read(queue: number, now: number): void {
    const { mappings } = this.simulator;
    const descriptor = queue * this.ringSize + this.readNext[queue]!;
    let landed = now;
    for (let part = 0; part < this.perPacket; part++) {
      const slot = this.slot[descriptor * this.perPacket + part]!;
      landed += this.access(
        this.device,
        mappings.page[slot]!,
        mappings.offset[slot]!,
        this.partBytes[part]!,
        false,
        now,
      );
    }
    this.readNext[queue] = (this.readNext[queue]! + 1) % this.ringSize;
    this.completed[queue]!++;
    this.wakeCleaner(queue, landed + this.wirePs);
  }

  private wantFetch(queue: number, now: number): void {
    this.held[(this.heldFirst + this.heldCount++) % this.held.length] = queue;
    this.issueHeld(now);
  }

  /** Packets that wait in the ring go on their way while there are slots. */
  private issueHeld(now: number): void {
    const engine = this.engine!;
    const { mappings } = this.simulator;
    while (this.heldCount > 0 && !engine.full) {
      const queue = this.held[this.heldFirst]!;
      this.heldFirst = this.heldFirst + 1 === this.held.length ? 0 : this.heldFirst + 1;
      this.heldCount--;
      const descriptor = queue * this.ringSize + this.readNext[queue]!;
      for (let part = 0; part < this.perPacket; part++) {
        const slot = this.slot[descriptor * this.perPacket + part]!;
        this.touch(mappings.page[slot]!, mappings.offset[slot]!, this.partBytes[part]!, false, now);
      }
      this.readNext[queue] = (this.readNext[queue]! + 1) % this.ringSize;
      this.unfetched[queue]!--;
      const at = this.issue(engine, false, descriptor, this.frameBytes, now);
      this.armNumbered(engine.at[at]!, FETCHED, at);
    }
  }

  /** A packet's data comes in; packets of a queue are sent in order. */
  private fetch(at: number, now: number): void {
    const engine = this.engine!;
    if (!engine.arrive(at)) {
      this.armNumbered(engine.at[at]!, FETCHED, at);
      return;
    }
    const { ringSize, fetched, wireNext } = this;
    const descriptor = engine.owner[at]!;
    const queue = Math.floor(descriptor / ringSize);
    fetched[descriptor] = 1;
    for (
      let next = queue * ringSize + wireNext[queue]!;
      fetched[next] === 1;
      next = queue * ringSize + wireNext[queue]!
    ) {
      fetched[next] = 0;
      wireNext[queue] = (wireNext[queue]! + 1) % ringSize;
      this.linkFreeAt = (this.linkFreeAt > now ? this.linkFreeAt : now) + this.wirePs;
      this.onWire[queue]!++;
      this.arm(this.linkFreeAt, PHASE.sent, queue);
    }
    this.issueHeld(now);
  }

  private sent(queue: number, now: number): void {
    this.onWire[queue]!--;
    this.completed[queue]!++;
    this.wakeCleaner(queue, now);
  }

  private clean(queue: number, now: number): void {
    const { simulator } = this;
    const cpu = this.completionCpuOf(queue);
    simulator.cpuHolder[cpu] = this.index;
    const descriptor = queue * this.ringSize + this.cleanNext[queue]!;
    this.begin(cpu, now);
    for (let part = 0; part < this.perPacket; part++) {
      const at = descriptor * this.perPacket + part;
      this.unmap(this.slot[at]!);
      simulator.memory.giveBack(this.frame[at]!, this.partFrames[part]!);
      this.slot[at] = -1;
      this.frame[at] = -1;
    }
    const end = this.finish();
    this.latency.record(Math.max(0, Math.floor((end - this.sentAt[descriptor]!) / 1000)));
    this.operations++;
    this.bytes += this.frameBytes;
    this.cleanNext[queue] = (this.cleanNext[queue]! + 1) % this.ringSize;
    this.completed[queue]!--;
    this.outstanding[queue]!--;
    const more = this.completed[queue]! > 0;
    let givesWay = false;
    if (!more || ++this.inPoll[queue]! >= this.napiBudget) {
      this.inPoll[queue] = 0;
      givesWay = simulator.letGo(cpu);
    }
    if (more) this.arm(end, givesWay ? PHASE.turn : PHASE.clean, queue);
    else this.cleaning[queue] = 0;
    if (this.dueAt[queue]! < end) this.dueAt[queue] = end;
    this.wakeSender(queue);
  }

  resume(): boolean {
    return this.send();
  }

  override report(now: number, elapsedPs: number): Record<string, unknown> {
    return this.engine === null ? {} : { engine: this.engine.report(now, elapsedPs) };
  }

  protected rebase(ps: number): void {
    this.engine?.rebase(ps);
    for (let i = 0; i < this.sentAt.length; i++) this.sentAt[i]! -= ps;
    for (let queue = 0; queue < this.queues; queue++) this.dueAt[queue]! -= ps;
    this.linkFreeAt -= ps;
  }

  protected digestState(sink: DigestSink): void {
    sink.column(this.slot, this.slot.length);
    sink.column(this.frame, this.frame.length);
    sink.column(this.sendNext, this.queues);
    sink.column(this.readNext, this.queues);
    sink.column(this.cleanNext, this.queues);
    sink.column(this.outstanding, this.queues);
    if (this.engine === null) return;
    this.engine.digest(sink);
    sink.column(this.completed, this.queues);
    sink.column(this.unfetched, this.queues);
    sink.column(this.onWire, this.queues);
    sink.column(this.wireNext, this.queues);
    sink.column(this.fetched, this.fetched.length);
  }
}

export const nicTx: WorkloadEntry = {
  kind: 'nic-tx',
  schema: {
    type: 'object',
    required: ['kind', 'device'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'nic-tx' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 63 } },
      ...nicParameters,
      completionCpus: {
        type: 'array',
        items: { type: 'integer', minimum: 0, maximum: 63 },
        description: 'CPUs that unmap and free; `cpus` allocate and map',
      },
      ...engineParameters,
    },
  },
  defaults: nicFixedDefaults,
  source: 'rIOMMU (ASPLOS 2015) for the shape of the traffic',
  defaultsFor: (simulator, given) => ({ ...nicDefaults(simulator), ...(hasEngine(given) && engineDefaults) }),
  size: ({ queues, ringSize }) => beyondBuffers((queues as number) * (ringSize as number), '/ringSize'),
  create: (simulator, setup) => new NicTx(simulator, setup),
};
