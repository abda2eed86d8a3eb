/**
 * block: a closed loop of I/Os against a disk. Submit: pages for the data, one `map_sg` (or one `map_page` a page); the disk serves one
 * command after the other; the device touches all pages; completion unmaps, frees and submits the next.
 *
 * Disks: `sata` turns sequential 4 KiB reads into 7 to 8 k IOPS by its read-ahead, which is how the thread of June 2008 imitates an
 * SSD with it; 7.5 k is used. All other figures are assumptions, with ranges in the schema.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { InputSegment } from '../os/scatterlist.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { Simulator } from '../simulator.ts';
import { DONE, SUSPENDED, Workload, type WorkloadEntry, type WorkloadSetup } from './workload.ts';

const PHASE = { submit: 1, served: 2, complete: 3 } as const;

/** Nanoseconds of a 4 KiB command from the read-ahead buffer, of a seek and half a turn, and bytes a second off the platter. */
interface Disk {
  sequentialIops: number;
  randomNs: number;
  bytesPerSecond: number;
}
const disks: Record<string, Disk> = {
  sata: { sequentialIops: 7_500, randomNs: 12_700_000, bytesPerSecond: 100e6 },
  sas: { sequentialIops: 12_000, randomNs: 5_500_000, bytesPerSecond: 150e6 },
  fc: { sequentialIops: 15_000, randomNs: 5_500_000, bytesPerSecond: 150e6 },
};
const CUSTOM_LATENCY_NS = 100_000;

class Block extends Workload {
  private readonly pages: number;
  private readonly lengthBytes: number;
  private readonly tags: number;
  private readonly asList: boolean;
  private readonly write: boolean;
  /** ps that the disk is busy with one command, and ps of latency on top that overlaps. */
  private readonly servicePs: number;
  private readonly latencyPs: number;
  /** [tag * pages + page]; a list has its slot at page 0. */
  private readonly slot: Int32Array;
  private readonly frame: Float64Array;
  private readonly submittedAt: Float64Array;
  /** [tag]: 0 idle, 1 with the disk, 2 served and not completed. */
  private readonly state: Uint8Array;
  private diskFreeAt = 0;
  private atTag = 0;
  private atPage = 0;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    this.lengthBytes = spec.lengthBytes as number;
    this.pages = Math.ceil(this.lengthBytes / 4096);
    this.tags = (spec.depth as number) * (spec.jobs as number);
    this.asList = spec.mapping === 'sg';
    this.write = spec.access === 'write';
    const disk = disks[spec.disk as string];
    let serviceNs = 0;
    let latencyNs = 0;
    if (disk === undefined) latencyNs = CUSTOM_LATENCY_NS;
    else {
      const transfer = (this.lengthBytes * 1e9) / disk.bytesPerSecond;
      const command = 1e9 / disk.sequentialIops - (4096 * 1e9) / disk.bytesPerSecond;
      serviceNs = spec.pattern === 'random' ? disk.randomNs + transfer : Math.max(0, command) + transfer;
    }
    if (spec.latencyNs !== undefined) {
      latencyNs = spec.latencyNs as number;
      serviceNs = 0;
    }
    if (spec.iops !== undefined) serviceNs = Math.max(serviceNs, 1e9 / (spec.iops as number));
    this.servicePs = Math.round(serviceNs * 1000);
    this.latencyPs = Math.round(latencyNs * 1000);
    this.slot = new Int32Array(this.tags * this.pages).fill(-1);
    this.frame = new Float64Array(this.tags * this.pages).fill(-1);
    this.submittedAt = new Float64Array(this.tags);
    this.state = new Uint8Array(this.tags);
  }

  private cpuOf(tag: number): number {
    return this.cpus[tag % this.cpus.length]!;
  }

  // Tags are numbered beyond the 256 queues of an event's argument: the argument's phase carries the rest.
  private armTag(time: number, phase: number, tag: number): void {
    this.arm(time, phase * 1024 + (tag >> 8), tag & 255);
  }

  protected start(now: number): void {
    this.diskFreeAt = now;
    for (let tag = 0; tag < this.tags; tag++) {
      if (this.state[tag] === 0) this.armTag(now, PHASE.submit, tag);
      else if (this.state[tag] === 1) this.serve(tag, now);
      else this.armTag(now, PHASE.complete, tag);
    }
  }

  event(phase: number, queue: number, now: number): boolean {
    const tag = ((phase & 1023) << 8) | queue;
    const what = phase >> 10;
    if (what === PHASE.served) {
      this.served(tag, now);
      return DONE;
    }
    const cpu = this.cpuOf(tag);
    if (!this.simulator.mayRun(cpu, this.index, now)) {
      this.armTag(this.simulator.cpuAt[cpu]!, what, tag);
      return DONE;
    }
    this.begin(cpu, now);
    if (what === PHASE.complete) {
      this.release(tag);
      this.operations++;
      this.bytes += this.lengthBytes;
      this.state[tag] = 0;
    }
    this.atTag = tag;
    this.atPage = 0;
    this.simulator.work.addDriver(this.simulator.costs.io);
    return this.submit();
  }

  private submit(): boolean {
    const tag = this.atTag;
    const { memory, dma } = this.simulator;
    const base = tag * this.pages;
    for (let page = 0; page < this.pages; page++) {
      if (this.frame[base + page] !== -1) continue;
      const frame = memory.allocate(1, this.tenant);
      if (frame === NO_FRAME) return this.giveUp(tag);
      this.frame[base + page] = frame;
    }
    const direction = this.write ? 0 : 1;
    if (this.asList) {
      const slot =
        this.pages === 1 ? this.listOfOne(tag, direction) : dma.mapSg(this.device, direction, this.list(tag));
      if (slot === MAP_SUSPENDED) return SUSPENDED;
      this.mapCalls++;
      if (slot < 0) {
        this.mapFailures++;
        return this.giveUp(tag);
      }
      this.slot[base] = slot;
    } else {
      for (; this.atPage < this.pages; this.atPage++) {
        const bytes = Math.min(4096, this.lengthBytes - this.atPage * 4096);
        const slot = this.map(MAP_KIND.page, direction, this.frame[base + this.atPage]!, bytes);
        if (slot === MAP_SUSPENDED) return SUSPENDED;
        if (slot < 0) return this.giveUp(tag);
        this.slot[base + this.atPage] = slot;
      }
    }
    const end = this.finish();
    this.submittedAt[tag] = end;
    this.serve(tag, end);
    return DONE;
  }

  private listOfOne(tag: number, direction: number): number {
    one[0]!.frame = this.frame[tag * this.pages]!;
    one[0]!.lengthBytes = this.lengthBytes;
    return this.simulator.dma.mapSg(this.device, direction, one);
  }

  private list(tag: number): InputSegment[] {
    const segments: InputSegment[] = [];
    for (let page = 0; page < this.pages; page++)
      segments.push({
        frame: this.frame[tag * this.pages + page]!,
        offset: 0,
        lengthBytes: Math.min(4096, this.lengthBytes - page * 4096),
      });
    return segments;
  }

  /** Without memory or address the block layer tries again later: one service time. */
  private giveUp(tag: number): boolean {
    this.release(tag);
    const end = this.finish();
    this.state[tag] = 0;
    this.armTag(end + Math.max(this.servicePs, 1_000_000), PHASE.submit, tag);
    return DONE;
  }

  private release(tag: number): void {
    const base = tag * this.pages;
    for (let page = 0; page < this.pages; page++) {
      const slot = this.slot[base + page]!;
      if (slot >= 0) this.unmap(slot);
      this.slot[base + page] = -1;
    }
    for (let page = 0; page < this.pages; page++) {
      const frame = this.frame[base + page]!;
      if (frame >= 0) this.simulator.memory.giveBack(frame, 1);
      this.frame[base + page] = -1;
    }
  }

  private serve(tag: number, at: number): void {
    this.state[tag] = 1;
    const start = this.diskFreeAt > at ? this.diskFreeAt : at;
    this.diskFreeAt = start + this.servicePs;
    this.armTag(this.diskFreeAt + this.latencyPs, PHASE.served, tag);
  }

  private served(tag: number, now: number): void {
    const { mappings } = this.simulator;
    const base = tag * this.pages;
    let landed = now;
    const list = this.asList ? mappings.outputs[this.slot[base]!] : null;
    if (list && mappings.frame[this.slot[base]!] === -1)
      for (const { page, offset, lengthBytes } of list)
        landed += this.access(this.device, page, offset, lengthBytes, !this.write, now);
    else if (this.asList) {
      const slot = this.slot[base]!;
      landed += this.access(
        this.device,
        mappings.page[slot]!,
        mappings.offset[slot]!,
        this.lengthBytes,
        !this.write,
        now,
      );
    } else
      for (let page = 0; page < this.pages; page++) {
        const slot = this.slot[base + page]!;
        landed += this.access(
          this.device,
          mappings.page[slot]!,
          mappings.offset[slot]!,
          mappings.lengthBytes[slot]!,
          !this.write,
          now,
        );
      }
    this.state[tag] = 2;
    this.latency.record(Math.floor((landed - this.submittedAt[tag]!) / 1000));
    this.armTag(landed, PHASE.complete, tag);
  }

  resume(): boolean {
    return this.submit();
  }

  tearDown(): void {
    this.simulator.begin(this.cpuOf(0));
    for (let tag = 0; tag < this.tags; tag++) {
      this.release(tag);
      this.state[tag] = 0;
    }
    this.simulator.end();
  }

  protected rebase(ps: number): void {
    for (let tag = 0; tag < this.tags; tag++) this.submittedAt[tag]! -= ps;
    this.diskFreeAt -= ps;
  }

  protected digestState(sink: DigestSink): void {
    sink.column(this.slot, this.slot.length);
    sink.column(this.frame, this.frame.length);
    sink.column(this.state, this.tags);
  }
}

/** The list of a one-page I/O, filled anew each time. */
const one: InputSegment[] = [{ frame: 0, offset: 0, lengthBytes: 0 }];

export const block: WorkloadEntry = {
  kind: 'block',
  schema: {
    type: 'object',
    required: ['kind', 'device'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'block' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 63 } },
      disk: {
        enum: ['sata', 'sas', 'fc', 'custom'],
        description:
          'sata: 7,500 sequential 4 KiB IOPS (the thread says 7 to 8 k). Assumptions: sas 12,000 (8 to 20 k), fc 15,000 (8 to 25 k), ' +
          'random 12.7 ms sata (8 to 16), 5.5 ms sas and fc (4 to 8), 100 and 150 MB/s (50 to 200). custom: 100 us, any depth at once',
      },
      lengthBytes: { type: 'integer', minimum: 512, maximum: 4194304 },
      pattern: { enum: ['sequential', 'random'] },
      access: { enum: ['read', 'write'] },
      depth: { type: 'integer', minimum: 1, maximum: 4096 },
      jobs: { type: 'integer', minimum: 1, maximum: 64 },
      iops: { type: 'number', minimum: 1, maximum: 1e8, description: 'ceiling of the device' },
      latencyNs: {
        type: 'integer',
        minimum: 0,
        maximum: 1e12,
        description: 'of a command, instead of the disk; commands overlap',
      },
      mapping: { enum: ['sg', 'page'], description: 'one map_sg an I/O, or one map_page a page' },
    },
  },
  defaults: {
    disk: 'sata',
    lengthBytes: 4096,
    pattern: 'sequential',
    access: 'read',
    depth: 32,
    jobs: 1,
    mapping: 'sg',
  },
  source: 'Linux kernel mailing list, June 2008 (Grundler): sequential 4 KiB reads of a SATA disk at 7 to 8 k IOPS',
  defaultsFor: () => block.defaults,
  create: (simulator, setup) => new Block(simulator, setup),
};
