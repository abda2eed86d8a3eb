/**
 * What both directions of a NIC share: rings of descriptors, the time of a frame on the wire, what a packet costs the driver.
 *
 * A poll has its CPU for `napiBudget` packets and then stands behind all that wait for it, as in Linux `net_rx_action`, where a poll that
 * has used its weight goes to the end of the list. Departs: a round of the kernel's ends after 300 packets or 2 ms, and only then do
 * processes run; here they wait in the same line. A sender's completions give way to other workloads and not to the sender.
 */
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import { Workload, type WorkloadSetup } from './workload.ts';

/** Preamble, start delimiter, check sequence and gap: a frame of n bytes takes n + 38 byte times. */
const WIRE_OVERHEAD_BYTES = 38;
/** Bytes of a packet that go to its first buffer when header and data are mapped apart. */
export const HEADER_BYTES = 128;

export const nicParameters = {
  gbps: {
    oneOf: [{ type: 'number', minimum: 0.001, maximum: 1000 }, { const: 'line-rate' }],
    description: 'offered load',
  },
  frameBytes: { type: 'integer', minimum: 60, maximum: 65536 },
  ringSize: { type: 'integer', minimum: 1, maximum: 1048576, description: 'descriptors a queue' },
  queues: { type: 'integer', minimum: 1, maximum: 64 },
  mappingsPerPacket: { type: 'integer', minimum: 1, maximum: 2, description: '2: header and data apart' },
  napiBudget: { type: 'integer', minimum: 1, maximum: 1024, description: 'packets before a poll lets the CPU go' },
};

export function nicDefaults(simulator: Simulator): Record<string, unknown> {
  return { ...nicFixedDefaults, mappingsPerPacket: simulator.profile.mappingsPerPacket };
}

export const nicFixedDefaults = { gbps: 'line-rate', frameBytes: 1500, ringSize: 512, queues: 1, napiBudget: 64 };

export function lineRate(simulator: Simulator, spec: WorkloadSpec): number {
  return spec.gbps === 'line-rate' ? simulator.profile.linkGbps : (spec.gbps as number);
}

export abstract class NicWorkload extends Workload {
  declare protected readonly frameBytes: number;
  declare protected readonly ringSize: number;
  declare protected readonly queues: number;
  declare protected readonly perPacket: number;
  declare protected readonly napiBudget: number;
  /** Bytes and frames of each of a packet's buffers. */
  declare protected readonly partBytes: number[];
  declare protected readonly partFrames: number[];
  /** Milli-cycles of the driver and the stack per packet. */
  declare protected readonly packetCost: number;
  /** [queue] */
  declare private readonly queueCpu: Int32Array;
  declare private readonly queueCompletionCpu: Int32Array;
  /** [(queue * ringSize + descriptor) * perPacket + part] */
  declare protected readonly slot: Int32Array;
  declare protected readonly frame: Float64Array;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    // Whole numbers below 2^31 as such: a parsed 1 may be held as a double, and what is computed of it would be doubles too.
    this.frameBytes = (spec.frameBytes as number) | 0;
    this.ringSize = (spec.ringSize as number) | 0;
    this.queues = (spec.queues as number) | 0;
    this.perPacket = (spec.mappingsPerPacket as number) | 0;
    this.napiBudget = (spec.napiBudget as number) | 0;
    const header = Math.min(HEADER_BYTES, this.frameBytes - 1);
    this.partBytes = this.perPacket === 1 ? [this.frameBytes] : [header, this.frameBytes - header];
    this.partFrames = this.partBytes.map((bytes) => Math.ceil(bytes / 4096));
    this.packetCost = simulator.costs.packet + (simulator.modeEntry.taxed ? simulator.costs.packetTax : 0);
    this.wirePs = Math.round(((this.frameBytes + WIRE_OVERHEAD_BYTES) * 8 * 1000) / lineRate(simulator, spec));
    const descriptors = this.queues * this.ringSize;
    this.slot = new Int32Array(descriptors * this.perPacket).fill(-1);
    this.frame = new Float64Array(descriptors * this.perPacket).fill(-1);
    if (!setup.spec.cpus)
      for (let queue = 1; queue < this.queues; queue++) this.cpus.push((setup.index + queue) % simulator.cpuAt.length);
    const inTurn = (cpus: number[]) =>
      Int32Array.from({ length: this.queues }, (_, queue) => cpus[queue % cpus.length]!);
    this.queueCpu = inTurn(this.cpus);
    this.queueCompletionCpu = inTurn(this.completionCpus);
  }

  protected cpuOf(queue: number): number {
    return this.queueCpu[queue]!;
  }

  protected completionCpuOf(queue: number): number {
    return this.queueCompletionCpu[queue]!;
  }

  /** Frees what the descriptors hold. */
  tearDown(): void {
    const { simulator, slot, frame } = this;
    simulator.begin(this.cpuOf(0));
    for (let i = 0; i < slot.length; i++) {
      if (slot[i]! >= 0) simulator.dma.unmap(slot[i]!, this.device);
      if (frame[i]! >= 0) simulator.memory.giveBack(frame[i]!, this.partFrames[i % this.perPacket]!);
      slot[i] = -1;
      frame[i] = -1;
    }
    simulator.end();
  }
}
