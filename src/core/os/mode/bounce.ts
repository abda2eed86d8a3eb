/**
 * bounce: every streaming mapping is a copy in a pool that stays mapped for all devices; the rest of memory is out of their reach.
 *
 * Source: Linux `kernel/dma/swiotlb.c` with `swiotlb=force`, and restricted DMA pools (5.15), where coherent memory comes from the
 * pool as well and a device reaches nothing else: what confidential guests do. Lists bounce segment by segment.
 * Departs: the pool lies at its physical address in every domain, mapped through the IOMMU, so that what is outside faults. Memory
 * that a device is to write is not copied in first, as kernels do since 5.18 lest old data of the pool come back.
 * Pathology: the pool fills (`bounce-pool-full`), and a request of more than 256 KiB finds no room in an empty one. A device reads
 * and writes all of the pool at all times, other devices' data included, so that what the CPU checked before an unmap may be
 * something else after it (time of check to time of use).
 */
import { READ, WRITE } from '../../hardware/page-table.ts';
import { ROW } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Device } from '../device.ts';
import type { Domain } from '../domain.ts';
import { type CopiedSegment, MAP_KIND, NO_HOLD } from '../mappings.ts';
import type { InputSegment } from '../scatterlist.ts';
import { type BouncePool, NO_SLOT } from './bounce-pool.ts';
import { Copies } from './copies.ts';
import { MAP_BOUNCE_FULL, MAP_UNREACHABLE, type Mode, type ModeEntry, type ModeParts } from './mode.ts';

class Bounce implements Mode {
  private readonly parts: ModeParts;
  private readonly pool: BouncePool;
  private readonly copies: Copies;
  readonly standing: { first: number; last: number };
  readonly ownCoherent = true;
  readonly locks: readonly Lock[];

  constructor(parts: ModeParts, pool: BouncePool) {
    this.parts = parts;
    this.pool = pool;
    this.copies = new Copies(parts);
    this.standing = { first: pool.firstFrame, last: pool.firstFrame + pool.frames - 1 };
    this.locks = pool.locks;
  }

  domainMade(domain: Domain): boolean {
    const { mapper } = this.parts;
    const { frames, firstFrame } = this.pool;
    return mapper.write(domain, firstFrame, firstFrame, frames, READ | WRITE, 3) === frames;
  }

  domainGone(): void {}
  deviceLeft(): void {}

  /** @returns the first slot, MAP_BOUNCE_FULL or MAP_UNREACHABLE */
  private take(device: Device, lengthBytes: number): number {
    const { pool } = this;
    const first = pool.take(lengthBytes, false);
    if (first === NO_SLOT) return MAP_BOUNCE_FULL;
    if (pool.pageOf(first) + Math.floor((pool.offsetOf(first) + lengthBytes - 1) / 4096) <= device.maskLastPfn)
      return first;
    pool.give(first);
    return MAP_UNREACHABLE;
  }

  map(device: Device, kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number {
    const { parts, pool } = this;
    const { dma, work, costs, mappings, oracle } = parts;
    dma.countCall(kind);
    const first = this.take(device, lengthBytes);
    work.add(ROW.other, costs.mapOther);
    if (first < 0) {
      parts.counters.mapFailures++;
      return first;
    }
    const coherent = kind === MAP_KIND.coherent;
    if (!coherent) this.copies.in(direction, lengthBytes);
    const domain = device.domain!;
    const page = pool.pageOf(first);
    const at = pool.offsetOf(first);
    const pages = Math.ceil((at + lengthBytes) / 4096);
    const slot = dma.record(device, domain, kind, direction, page, pages, at, lengthBytes);
    mappings.frame[slot] = page;
    mappings.held[slot] = first;
    if (!coherent) mappings.setSource(slot, frame, offset, first);
    const nowNs = mappings.mappedNs[slot]!;
    const now = work.now();
    for (let i = 0; i < pages; i++) oracle.mapped(domain.pages, page + i, slot, page + i, direction, nowNs, now);
    return slot;
  }

  mapSg(device: Device, direction: number, segments: readonly InputSegment[]): number {
    const { parts, pool } = this;
    const { work, costs, counters } = parts;
    counters.mapSgCalls++;
    const copied: CopiedSegment[] = [];
    for (const { frame, offset, lengthBytes } of segments) {
      const held = this.take(device, lengthBytes);
      if (held < 0) {
        work.add(ROW.other, costs.mapOther);
        for (const segment of copied) pool.give(segment.held);
        counters.mapFailures++;
        return held;
      }
      this.copies.in(direction, lengthBytes);
      copied.push({ frame, offset, lengthBytes, page: pool.pageOf(held), iovaOffset: pool.offsetOf(held), held });
    }
    work.add(ROW.other, costs.mapOther);
    return recordCopies(parts, device, direction, copied, (segment) => segment.page);
  }

  unmap(slot: number, device: Device): void {
    const { parts, pool } = this;
    const { mappings, work, costs, dma } = parts;
    const direction = mappings.direction[slot]!;
    work.add(ROW.other, costs.unmapOther);
    const list = mappings.frame[slot] === -1 ? mappings.segments[slot] : null;
    if (list)
      for (const segment of list) {
        this.copies.out(direction, segment.lengthBytes);
        pool.give(segment.held);
      }
    else {
      if (mappings.kind[slot] !== MAP_KIND.coherent) this.copies.out(direction, mappings.lengthBytes[slot]!);
      pool.give(mappings.held[slot]!);
    }
    dma.end(slot, device, dma.domainOf(slot), false);
  }

  sync(slot: number, forDevice: boolean, offsetBytes: number, lengthBytes: number): void {
    if (this.parts.mappings.kind[slot] === MAP_KIND.coherent) return;
    this.copies.sync(slot, forDevice, offsetBytes, lengthBytes);
  }

  abandon(slot: number): void {
    const { mappings } = this.parts;
    const list = mappings.frame[slot] === -1 ? mappings.segments[slot] : null;
    if (list) for (const segment of list) this.pool.release(segment.held);
    else if (mappings.held[slot] !== NO_HOLD) this.pool.release(mappings.held[slot]!);
  }

  gauges(): Record<string, number> {
    return this.pool.gauges();
  }

  inspect(): Record<string, unknown> {
    return { bounce: this.pool.inspect() };
  }

  digest(sink: DigestSink): void {
    this.pool.digest(sink);
  }
}

/** The record of a list of which the device sees copies, none merged with another. */
export function recordCopies(
  parts: ModeParts,
  device: Device,
  direction: number,
  copied: CopiedSegment[],
  frameOf: (segment: CopiedSegment) => number,
): number {
  const { dma, mappings, oracle, work } = parts;
  const domain = device.domain!;
  const pagesOf = ({ iovaOffset, lengthBytes }: CopiedSegment) => Math.ceil((iovaOffset + lengthBytes) / 4096);
  const pages = copied.reduce((sum, segment) => sum + pagesOf(segment), 0);
  const bytes = copied.reduce((sum, segment) => sum + segment.lengthBytes, 0);
  const [first] = copied as [CopiedSegment, ...CopiedSegment[]];
  const slot = dma.record(device, domain, MAP_KIND.sg, direction, first.page, pages, first.iovaOffset, bytes);
  mappings.setSegments(slot, copied, frameOf);
  const nowNs = mappings.mappedNs[slot]!;
  const now = work.now();
  for (const run of mappings.runs[slot]!)
    for (let i = 0; i < run.pages; i++)
      oracle.mapped(domain.pages, run.page + i, slot, run.frame + i, direction, nowNs, now);
  return slot;
}

export const poolParameters = {
  poolBytes: {
    type: 'integer',
    minimum: 262_144,
    maximum: 1_073_741_824,
    multipleOf: 262_144,
    description: 'size of the pool, in whole segments of 128 slots of 2 KiB; Linux reserves 64 MiB',
  },
  areas: {
    enum: ['one', 'per-cpu'],
    description: 'parts of the pool with a lock each: one as up to 5.19, or one a CPU as since 6.0',
  },
};
export const poolDefaults = { poolBytes: 67_108_864, areas: 'per-cpu' };

export const bounce: ModeEntry = {
  kind: 'bounce',
  description: 'every mapping is a copy in a pool that stays mapped; the rest of memory is out of reach',
  source: 'Linux kernel/dma/swiotlb.c: swiotlb=force, restricted DMA pools',
  departs:
    'the pool is mapped at its physical address through the IOMMU; memory that a device is to write is not copied in first, as kernels do since 5.18; min_align_mask and pools that grow (6.6) are not modelled',
  pathology:
    'the pool fills; more than 256 KiB never fits; every device reaches the whole pool at all times, so data may change after they were checked',
  schema: { type: 'object', additionalProperties: false, properties: poolParameters },
  defaults: poolDefaults,
  virtual: false,
  translates: false,
  direct: false,
  taxed: true,
  cachingMode: false,
  steps: ['copyFixed', 'copyByte', 'slotAllocFixed', 'slotAllocStep', 'slotFree', 'mapOther', 'unmapOther'],
  spares: [],
  allocates: false,
  unused: [
    { path: '/policy/allocator', why: 'addresses are slots of the pool' },
    { path: '/policy/invalidation', why: 'the pool stays mapped: an unmap clears nothing' },
  ],
  create: (parts) => {
    const pool = parts.bouncePool(true);
    // The size was checked against the memory, and nobody has taken a frame yet.
    if (pool === null) throw new Error('no frames for the bounce pool');
    return new Bounce(parts, pool);
  },
};
