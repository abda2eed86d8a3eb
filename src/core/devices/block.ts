/**
 * block: a closed loop of I/Os against a disk. Submit: pages for the data, one `map_sg` (or one `map_page` a page); the disk serves one
 * command after the other; the device touches all pages; completion unmaps, frees and submits the next. With `completionCpus` an I/O is
 * completed there and the next is submitted where `cpus` says; each of the two pays half of the I/O's work.
 *
 * Disks: `sata` turns sequential 4 KiB reads into 7 to 8 k IOPS by its read-ahead, which is how the thread of June 2008 imitates an
 * SSD with it; 7.5 k is used. `nvme` has a latency that overlaps and two ceilings, commands and bytes a second: half of what two drives
 * on one Skylake did without IOMMU in 2026, 1,644 k reads of 4 KiB and 6.85 GB/s in reads of 16 KiB. All other figures are
 * assumptions, with ranges in the schema.
 *
 * A device with limits moves an I/O page by page, as its list of pages has it; the I/O is done when the last page has landed.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { InputSegment } from '../os/scatterlist.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import { DmaEngine, engineDefaults, engineParameters, hasEngine } from './dma-engine.ts';
import {
  beyondBuffers,
  DONE,
  numberOf,
  phaseOf,
  SUSPENDED,
  Workload,
  type WorkloadEntry,
  type WorkloadSetup,
} from './workload.ts';

const PHASE = { submit: 1, served: 2, complete: 3, landed: 4 } as const;
const PAGE_BYTES = 4096;

/** States of a tag: nothing, with the disk, done and not completed, its pages on their way. */
const IDLE = 0;
const WITH_DISK = 1;
const SERVED = 2;
const MOVING = 3;

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
const NVME = { iops: 822_000, bytesPerSecond: 3.4e9, readLatencyNs: 80_000, writeLatencyNs: 20_000 };

class Block extends Workload {
  private readonly pages: number;
  private readonly lengthBytes: number;
  private readonly tags: number;
  private readonly asList: boolean;
  private readonly write: boolean;
  /** ps that the disk is busy with one command, and ps of latency on top that overlaps. */
  private readonly servicePs: number;
  private readonly latencyPs: number;
  /** Milli-cycles of the driver and the stack at submission, and at a completion by itself. */
  private readonly submitCost: number;
  private readonly completeCost: number;
  private readonly elsewhere: boolean;
  private readonly engine: DmaEngine | null;
  /** [tag * pages + page]; a list has its slot at page 0. */
  private readonly slot: Int32Array;
  private readonly frame: Float64Array;
  private readonly submittedAt: Float64Array;
  private readonly state: Uint8Array;
  /** [tag]: pages that are on their way or have landed; that have landed. */
  private readonly pagesIssued: Int32Array;
  private readonly pagesLanded: Int32Array;
  /** Tags whose pages wait for a slot, first in, first out. */
  private readonly held: Int32Array;
  private heldFirst = 0;
  private heldCount = 0;
  /** The list of an I/O, filled anew each time. */
  private readonly segments: InputSegment[];
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
    const { serviceNs, latencyNs } = timesOf(spec, this.lengthBytes);
    this.servicePs = Math.round(serviceNs * 1000);
    this.latencyPs = Math.round(latencyNs * 1000);
    this.engine = hasEngine(spec) ? new DmaEngine(simulator, spec) : null;
    this.elsewhere = spec.completionCpus !== undefined;
    this.completeCost = this.elsewhere ? Math.floor(simulator.costs.io / 2) : 0;
    this.submitCost = simulator.costs.io - this.completeCost;
    this.slot = new Int32Array(this.tags * this.pages).fill(-1);
    this.frame = new Float64Array(this.tags * this.pages).fill(-1);
    this.submittedAt = new Float64Array(this.tags);
    this.state = new Uint8Array(this.tags);
    const moving = this.engine === null ? 0 : this.tags;
    this.pagesIssued = new Int32Array(moving);
    this.pagesLanded = new Int32Array(moving);
    this.held = new Int32Array(moving);
    this.segments = Array.from({ length: this.asList ? this.pages : 0 }, (_, page) => ({
      frame: 0,
      offset: 0,
      lengthBytes: Math.min(PAGE_BYTES, this.lengthBytes - page * PAGE_BYTES),
    }));
  }

  private cpuOf(tag: number): number {
    return this.cpus[tag % this.cpus.length]!;
  }

  private completionCpuOf(tag: number): number {
    return this.completionCpus[tag % this.completionCpus.length]!;
  }

  protected start(now: number): void {
    const { engine } = this;
    this.diskFreeAt = now;
    for (let tag = 0; tag < this.tags; tag++) {
      if (this.state[tag] === IDLE) this.armNumbered(now, PHASE.submit, tag);
      else if (this.state[tag] === WITH_DISK) this.serve(tag, now);
      else if (this.state[tag] === SERVED) this.armNumbered(now, PHASE.complete, tag);
    }
    if (engine === null) return;
    engine.startRun(now);
    for (let slot = 0; slot < engine.outstanding; slot++)
      if (engine.onItsWay(slot)) this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
    this.issueHeld(now);
  }

  event(phase: number, queue: number, now: number): boolean {
    const tag = numberOf(phase, queue);
    const what = phaseOf(phase);
    if (what === PHASE.served) {
      if (this.engine === null) this.served(tag, now);
      else this.move(tag, now);
      return DONE;
    }
    if (what === PHASE.landed) {
      this.land(tag, now);
      return DONE;
    }
    const cpu = what === PHASE.complete ? this.completionCpuOf(tag) : this.cpuOf(tag);
    if (!this.simulator.mayRun(cpu, this.index, now)) {
      this.armNumbered(this.simulator.cpuAt[cpu]!, what, tag);
      return DONE;
    }
    this.begin(cpu, now);
    if (what === PHASE.complete) {
      this.release(tag);
      this.operations++;
      this.bytes += this.lengthBytes;
      this.state[tag] = IDLE;
      if (this.elsewhere) {
        this.simulator.work.addDriver(this.completeCost);
        this.armNumbered(this.finish(), PHASE.submit, tag);
        return DONE;
      }
    }
    this.atTag = tag;
    this.atPage = 0;
    this.simulator.work.addDriver(this.submitCost);
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
      for (let page = 0; page < this.pages; page++) this.segments[page]!.frame = this.frame[base + page]!;
      const slot = dma.mapSg(this.device, direction, this.segments);
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

  /** Without memory or address the block layer tries again later: one service time. */
  private giveUp(tag: number): boolean {
    this.release(tag);
    const end = this.finish();
    this.state[tag] = IDLE;
    this.armNumbered(end + Math.max(this.servicePs, 1_000_000), PHASE.submit, tag);
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
    this.state[tag] = WITH_DISK;
    const start = this.diskFreeAt > at ? this.diskFreeAt : at;
    this.diskFreeAt = start + this.servicePs;
    this.armNumbered(this.diskFreeAt + this.latencyPs, PHASE.served, tag);
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
    this.state[tag] = SERVED;
    this.latency.record(Math.floor((landed - this.submittedAt[tag]!) / 1000));
    this.armNumbered(landed, PHASE.complete, tag);
  }

  /** The disk has done its part: the pages go on their way through a device with limits. */
  private move(tag: number, now: number): void {
    this.state[tag] = MOVING;
    this.pagesIssued[tag] = 0;
    this.pagesLanded[tag] = 0;
    this.held[(this.heldFirst + this.heldCount++) % this.held.length] = tag;
    this.issueHeld(now);
  }

  private issueHeld(now: number): void {
    const engine = this.engine!;
    const write = !this.write;
    while (this.heldCount > 0 && !engine.full) {
      const tag = this.held[this.heldFirst]!;
      const page = this.pagesIssued[tag]!++;
      const bytes = Math.min(PAGE_BYTES, this.lengthBytes - page * PAGE_BYTES);
      this.touch(this.addressOf(tag, page), 0, bytes, write, now);
      const slot = this.issue(engine, write, tag, bytes, now);
      this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
      if (page + 1 < this.pages) continue;
      this.heldFirst = this.heldFirst + 1 === this.held.length ? 0 : this.heldFirst + 1;
      this.heldCount--;
    }
  }

  /** Where the device finds a page of an I/O: what the driver got of the map. */
  private addressOf(tag: number, page: number): number {
    const { mappings } = this.simulator;
    const base = tag * this.pages;
    if (!this.asList) return mappings.page[this.slot[base + page]!]!;
    const slot = this.slot[base]!;
    const outputs = mappings.frame[slot] === -1 ? mappings.outputs[slot] : null;
    if (!outputs) return mappings.page[slot]! + page;
    let first = 0;
    let n = 0;
    for (; n < outputs.length; n++) {
      const pages = Math.ceil(outputs[n]!.lengthBytes / PAGE_BYTES);
      if (page < first + pages) break;
      first += pages;
    }
    return outputs[n]!.page + (page - first);
  }

  private land(slot: number, now: number): void {
    const engine = this.engine!;
    if (!engine.arrive(slot)) {
      this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
      return;
    }
    const tag = engine.owner[slot]!;
    if (++this.pagesLanded[tag]! === this.pages) {
      this.state[tag] = SERVED;
      this.latency.record(Math.floor((now - this.submittedAt[tag]!) / 1000));
      this.armNumbered(now, PHASE.complete, tag);
    }
    this.issueHeld(now);
  }

  override report(now: number, elapsedPs: number): Record<string, unknown> {
    return this.engine === null ? {} : { engine: this.engine.report(now, elapsedPs) };
  }

  resume(): boolean {
    return this.submit();
  }

  tearDown(): void {
    this.simulator.begin(this.cpuOf(0));
    for (let tag = 0; tag < this.tags; tag++) {
      this.release(tag);
      this.state[tag] = IDLE;
    }
    this.simulator.end();
  }

  protected rebase(ps: number): void {
    for (let tag = 0; tag < this.tags; tag++) this.submittedAt[tag]! -= ps;
    this.diskFreeAt -= ps;
    this.engine?.rebase(ps);
  }

  protected digestState(sink: DigestSink): void {
    sink.column(this.slot, this.slot.length);
    sink.column(this.frame, this.frame.length);
    sink.column(this.state, this.tags);
    if (this.engine === null) return;
    this.engine.digest(sink);
    sink.column(this.pagesIssued, this.tags);
    sink.column(this.pagesLanded, this.tags);
    sink.number(this.heldCount);
    for (let n = 0; n < this.heldCount; n++) sink.number(this.held[(this.heldFirst + n) % this.tags]!);
  }
}

/** ns that the disk is busy with one command and nothing else, and the latency that commands have beside each other. */
function timesOf(spec: WorkloadSpec, lengthBytes: number): { serviceNs: number; latencyNs: number } {
  const given = spec as Record<string, number | undefined>;
  const ofNvme = spec.disk === 'nvme';
  const iops = given.iops ?? (ofNvme ? NVME.iops : undefined);
  const bytesPerSecond = given.bytesPerSecond ?? (ofNvme ? NVME.bytesPerSecond : undefined);
  const disk = disks[spec.disk as string];
  let serviceNs = 0;
  let { latencyNs } = given;
  if (latencyNs === undefined) {
    if (ofNvme) latencyNs = spec.access === 'write' ? NVME.writeLatencyNs : NVME.readLatencyNs;
    else latencyNs = disk === undefined ? CUSTOM_LATENCY_NS : 0;
    if (disk !== undefined) {
      const transfer = (lengthBytes * 1e9) / disk.bytesPerSecond;
      const command = 1e9 / disk.sequentialIops - (4096 * 1e9) / disk.bytesPerSecond;
      serviceNs = spec.pattern === 'random' ? disk.randomNs + transfer : Math.max(0, command) + transfer;
    }
  }
  if (iops !== undefined) serviceNs = Math.max(serviceNs, 1e9 / iops);
  if (bytesPerSecond !== undefined) serviceNs = Math.max(serviceNs, (lengthBytes * 1e9) / bytesPerSecond);
  return { serviceNs, latencyNs };
}

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
        enum: ['sata', 'sas', 'fc', 'nvme', 'custom'],
        description:
          'sata: 7,500 sequential 4 KiB IOPS (the thread says 7 to 8 k). Assumptions: sas 12,000 (8 to 20 k), fc 15,000 (8 to 25 k), ' +
          'random 12.7 ms sata (8 to 16), 5.5 ms sas and fc (4 to 8), 100 and 150 MB/s (50 to 200). nvme: 822,000 IOPS, 3.4 GB/s; ' +
          'assumptions: 80 us a read (60 to 120), 20 us a write (10 to 40). custom: 100 us, any depth at once',
      },
      lengthBytes: { type: 'integer', minimum: 512, maximum: 4194304 },
      pattern: { enum: ['sequential', 'random'] },
      access: { enum: ['read', 'write'] },
      depth: { type: 'integer', minimum: 1, maximum: 4096 },
      jobs: { type: 'integer', minimum: 1, maximum: 64 },
      iops: { type: 'number', minimum: 1, maximum: 1e8, description: 'ceiling of the device' },
      bytesPerSecond: { type: 'number', minimum: 1e3, maximum: 1e12, description: 'ceiling of the device' },
      latencyNs: {
        type: 'integer',
        minimum: 0,
        maximum: 1e12,
        description: 'of a command, instead of the disk (of nvme: instead of its latency); commands overlap',
      },
      mapping: { enum: ['sg', 'page'], description: 'one map_sg an I/O, or one map_page a page' },
      completionCpus: {
        type: 'array',
        items: { type: 'integer', minimum: 0, maximum: 63 },
        description: 'CPUs that complete, unmap and free; `cpus` submit',
      },
      ...engineParameters,
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
  defaultsFor: (_simulator, given) => ({ ...block.defaults, ...(hasEngine(given) && engineDefaults) }),
  size: ({ depth, jobs, lengthBytes }) =>
    beyondBuffers((depth as number) * (jobs as number) * Math.ceil((lengthBytes as number) / PAGE_BYTES), '/depth'),
  create: (simulator, setup) => new Block(simulator, setup),
};
