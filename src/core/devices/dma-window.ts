/**
 * dma-window: a device reads, writes or copies inside a window that was mapped in advance, so many accesses at a time. Nothing is
 * mapped or unmapped meanwhile and no CPU works: what is left is the IOTLB, the walks and the device.
 *
 * Source: pcie-bench (Neugebauer et al., SIGCOMM 2018): units of 64 to 512 bytes at random in windows of 4 KiB to 64 MiB, reads one at
 * a time (latency) and pipelined (rate). I/OAT copies (Amit, Ben-Yehuda, Yassour, WIOSCA 2010): N source pages in turn, a copy engine
 * of 16 Gb/s: `access: "copy"`, `pattern: "sequential"`, `strideBytes: 4096`, `busGbps: 16`, no latency.
 * Departs: the window is one stretch of memory, mapped by `iommu-map` (in passthrough by the DMA API, so that the truth knows of it);
 * making it takes no time of the run. A copy writes to one page behind the window and passes the bus once.
 * Pathology: with E entries and N pages at random, 1 - E/N of the accesses miss whatever is replaced; in turn under LRU all of them do
 * as soon as N is above E.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { READ, WRITE } from '../hardware/page-table.ts';
import type { Domain } from '../os/domain.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { RandomStream } from '../sim/random.ts';
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import { DmaEngine, engineDefaults, engineParameters } from './dma-engine.ts';
import { DONE, type Misfit, numberOf, Workload, type WorkloadEntry, type WorkloadSetup } from './workload.ts';

const ARRIVE = 0;
const PAGE_BYTES = 4096;
/** Pages of a superpage, to whose boundary a window is aligned. */
const ALIGNED = 512;
/** Pages between the places where a window is tried, where there is room for that: 1 GiB. */
const STEP = 262_144;
const BIDIRECTIONAL = 2;

class DmaWindow extends Workload {
  private readonly engine: DmaEngine;
  private readonly accessBytes: number;
  private readonly write: boolean;
  private readonly copies: boolean;
  private readonly atRandom: boolean;
  /** Places in the window where an access may begin, and bytes from one to the next. */
  private readonly places: number;
  private readonly stepBytes: number;
  private readonly windowPages: number;
  /** Pages that are mapped: the window, and the page that copies go to. */
  private readonly pages: number;
  private readonly random: RandomStream;

  /** First page of the window as the device sees it; -1 while there is none. */
  private page = -1;
  /** Block of frames behind it, of which the window begins at `frame`. */
  private block = NO_FRAME;
  private frame = NO_FRAME;
  private mappedIn: Domain | null = null;
  /** Mapping of the DMA API in passthrough, -1 otherwise. */
  private slot = -1;
  private nextPlace = 0;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    this.engine = new DmaEngine(simulator, spec);
    this.accessBytes = spec.accessBytes as number;
    this.write = spec.access === 'write';
    this.copies = spec.access === 'copy';
    this.atRandom = spec.pattern === 'random';
    this.stepBytes = (spec.strideBytes as number | undefined) ?? this.accessBytes;
    const windowBytes = spec.windowBytes as number;
    this.places = Math.floor((windowBytes - this.accessBytes) / this.stepBytes) + 1;
    this.windowPages = Math.ceil(windowBytes / PAGE_BYTES);
    const behind = this.copies ? Math.ceil(this.accessBytes / PAGE_BYTES) : 0;
    const wholeBlocks = spec.pageSize === '2MiB' ? ALIGNED : 1;
    this.pages = Math.ceil((this.windowPages + behind) / wholeBlocks) * wholeBlocks;
    this.random = simulator.random.stream(`dma-window-${setup.index}`);
  }

  override get hasThroughput(): boolean {
    return true;
  }

  protected start(now: number): void {
    const { engine } = this;
    engine.startRun(now);
    if (this.mappedIn !== this.device.domain) {
      // The device was moved: what it had on its way went nowhere.
      if (this.page >= 0) this.unmapWindow(now);
      engine.clear();
      if (!this.mapWindow(now)) {
        this.mapFailures++;
        return;
      }
    }
    for (let slot = 0; slot < engine.outstanding; slot++)
      if (engine.onItsWay(slot)) this.armNumbered(engine.at[slot]!, ARRIVE, slot);
    while (!engine.full) this.next(now);
  }

  /** In advance: it takes no time of the run. @returns whether there was memory, and room in the address space */
  private mapWindow(now: number): boolean {
    const { simulator } = this;
    const { memory, work, modeEntry } = simulator;
    const domain = this.device.domain!;
    if (this.block === NO_FRAME) {
      this.block = memory.allocate(this.pages + ALIGNED - 1, this.tenant);
      if (this.block === NO_FRAME) return false;
      this.frame = Math.ceil(this.block / ALIGNED) * ALIGNED;
    }
    work.begin(this.cpus[0]!, now);
    work.contended = false;
    simulator.exposure.workload = this.index;
    let mapped: boolean;
    if (modeEntry.direct) {
      this.slot = this.mapAt(MAP_KIND.single, BIDIRECTIONAL, this.frame, 0, this.pages * PAGE_BYTES);
      mapped = this.slot >= 0;
      if (mapped) this.page = simulator.mappings.page[this.slot]!;
    } else {
      const page = this.findRoom(domain);
      const largest = this.spec.pageSize === '2MiB' ? 2 : 1;
      mapped = page >= 0 && simulator.iommuApi.map(domain, page, this.frame, this.pages, READ | WRITE, largest);
      if (mapped) this.page = page;
    }
    this.mapRows.fill(0);
    this.mapCalls = 0;
    work.contended = simulator.cpuAt.length > 1;
    if (mapped) this.mappedIn = domain;
    return mapped;
  }

  /** The first place in the upper half of the addresses that the device has where nothing stands in the way, -1 none. */
  private findRoom(domain: Domain): number {
    const { reserved } = this.simulator;
    const allocator = domain.space(domain.lastPage);
    const end = Math.min(domain.lastPage, this.device.maskLastPfn) + 1;
    const step = end < 16 * STEP ? ALIGNED : STEP;
    for (let first = end / 2; first + this.pages <= end; first += step) {
      const last = first + this.pages - 1;
      const range = domain.pages.ranges[domain.pages.rangeIndex(first)];
      const taken =
        (range !== undefined && range.first <= last) ||
        allocator.overlaps(first, last) ||
        domain.policy.holds(domain, first, last) ||
        reserved.some((region) => first <= region.last && last >= region.first);
      if (!taken) return first;
    }
    return -1;
  }

  private unmapWindow(now: number): void {
    const { simulator, mappedIn } = this;
    const { work } = simulator;
    work.begin(this.cpus[0]!, now);
    work.contended = false;
    if (this.slot >= 0) simulator.dma.unmap(this.slot, this.device);
    else if (!mappedIn!.removed) simulator.iommuApi.unmap(mappedIn!, this.page, this.pages, true);
    work.contended = simulator.cpuAt.length > 1;
    this.slot = -1;
    this.page = -1;
    this.mappedIn = null;
  }

  /** Issues the next access; there is a free slot. */
  private next(now: number): void {
    const { engine, accessBytes } = this;
    let place: number;
    if (this.atRandom) place = this.random.below(this.places);
    else {
      place = this.nextPlace;
      this.nextPlace = place + 1 === this.places ? 0 : place + 1;
    }
    const at = place * this.stepBytes;
    const page = Math.floor(at / PAGE_BYTES);
    this.offered++;
    this.touch(this.page + page, at - page * PAGE_BYTES, accessBytes, this.write, now);
    if (this.copies) this.touch(this.page + this.windowPages, 0, accessBytes, true, now);
    const slot = this.issue(engine, this.write, 0, accessBytes, now);
    this.armNumbered(engine.at[slot]!, ARRIVE, slot);
  }

  event(phase: number, queue: number, now: number): boolean {
    const { engine } = this;
    const slot = numberOf(phase, queue);
    if (!engine.arrive(slot)) {
      this.armNumbered(engine.at[slot]!, ARRIVE, slot);
      return DONE;
    }
    this.operations++;
    this.bytes += this.accessBytes;
    this.latency.record(Math.floor((now - engine.issuedAt[slot]!) / 1000));
    this.next(now);
    return DONE;
  }

  resume(): boolean {
    return DONE;
  }

  override report(now: number, elapsedPs: number): Record<string, unknown> {
    return { engine: this.engine.report(now, elapsedPs) };
  }

  tearDown(): void {
    const { simulator } = this;
    simulator.begin(this.cpus[0]!);
    if (this.page >= 0) {
      if (this.slot >= 0) simulator.dma.unmap(this.slot, this.device);
      else if (!this.mappedIn!.removed) simulator.iommuApi.unmap(this.mappedIn!, this.page, this.pages, true);
    }
    if (this.block !== NO_FRAME) simulator.memory.giveBack(this.block, this.pages + ALIGNED - 1);
    this.page = -1;
    this.block = NO_FRAME;
    this.engine.clear();
    simulator.end();
  }

  protected rebase(ps: number): void {
    this.engine.rebase(ps);
  }

  protected digestState(sink: DigestSink): void {
    this.engine.digest(sink);
    sink.number(this.page);
    sink.number(this.block);
    sink.number(this.slot);
    sink.number(this.mappedIn?.index ?? -1);
    sink.number(this.nextPlace);
  }
}

function check(simulator: Simulator, spec: WorkloadSpec): Misfit | null {
  const { accessBytes, windowBytes, strideBytes, pageSize, access } = spec as unknown as {
    accessBytes: number;
    windowBytes: number;
    strideBytes?: number;
    pageSize: string;
    access: string;
  };
  if (accessBytes > windowBytes)
    return {
      path: '/accessBytes',
      message: `an access of ${accessBytes} bytes does not fit a window of ${windowBytes}`,
    };
  if (strideBytes !== undefined && strideBytes > windowBytes)
    return { path: '/strideBytes', message: `steps over the whole window of ${windowBytes} bytes` };
  if (pageSize === '2MiB' && !simulator.spec.iommu.superpages.includes('2MiB'))
    return { path: '/pageSize', message: 'the IOMMU has no 2MiB pages' };
  const pages = Math.ceil(windowBytes / PAGE_BYTES) + (access === 'copy' ? Math.ceil(accessBytes / PAGE_BYTES) : 0);
  if (pages + ALIGNED > simulator.memory.frames)
    return { path: '/windowBytes', message: `the machine has ${simulator.memory.frames * PAGE_BYTES} bytes of memory` };
  return null;
}

export const dmaWindow: WorkloadEntry = {
  kind: 'dma-window',
  schema: {
    type: 'object',
    required: ['kind', 'device'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'dma-window' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 63 } },
      windowBytes: { type: 'integer', minimum: 64, maximum: 2 ** 32 },
      pageSize: { enum: ['4KiB', '2MiB'], description: 'of the leaves' },
      accessBytes: { type: 'integer', minimum: 1, maximum: 1_048_576 },
      strideBytes: {
        type: 'integer',
        minimum: 1,
        maximum: 2 ** 30,
        description: 'from one place to the next; absent: accessBytes',
      },
      pattern: { enum: ['random', 'sequential'] },
      access: { enum: ['read', 'write', 'copy'] },
      ...engineParameters,
    },
  },
  defaults: {
    windowBytes: 1_048_576,
    pageSize: '4KiB',
    accessBytes: 64,
    pattern: 'random',
    access: 'read',
    ...engineDefaults,
    outstanding: 1,
  },
  source:
    'pcie-bench (SIGCOMM 2018): 64-byte reads at random, one at a time, 603 ns from memory; I/OAT copies of WIOSCA 2010; ' +
    'writes: 400 ns, Fast and Safe (SOSP 2024)',
  defaultsFor: () => dmaWindow.defaults,
  check,
  create: (simulator, setup) => new DmaWindow(simulator, setup),
};
