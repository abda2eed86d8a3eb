/**
 * shadow: a mapping is a copy in a buffer of the device's own that stays mapped. A map takes a buffer off a free list and copies, an
 * unmap copies and gives it back: no page-table work, no invalidation, and no byte in reach that was not meant for the device.
 *
 * Buffers come in size classes and in the permission that their direction needs, on free lists per CPU that only their CPU takes
 * from; whoever unmaps gives a buffer back to the list that it came from. A list that is empty makes a new buffer: frames, an
 * address, page-table entries.
 *
 * Source: Markuze, Morrison, Tsafrir: True IOMMU protection from DMA attacks: when copy is faster than zero copy, ASPLOS 2016.
 * Departs: of the paper only the abstract was at hand; size classes, lists and the limit of the pool are assumptions. A list with a
 * segment beyond the largest class, and a single stretch beyond it, is mapped as it is and unmapped strictly; the paper copies head
 * and tail of a huge buffer and maps what is between, so that here a huge buffer's first and last page are exposed as under `strict`.
 * Addresses of new buffers come from the session's allocator, where the paper has its own. Coherent memory is mapped strictly.
 * Pathology: memory that is never given back, at most `poolBytes` a device (`shadow-pool-full` beyond it), and every byte is copied.
 * A device may write its own buffers at any time: what was checked in a buffer, and not in the copy, may be something else later
 * (time of check to time of use).
 */
import { NO_FRAME, STANDING } from '../../hardware/memory.ts';
import { ROW } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { growFloat64, growInt32 } from '../../sim/growable.ts';
import { Lock } from '../../sim/lock.ts';
import type { Device } from '../device.ts';
import { MAP_FAILED, MAP_NO_MEMORY, MAP_SUSPENDED, permissionOf } from '../dma-api.ts';
import type { Domain } from '../domain.ts';
import { NO_PFN, SUSPENDED } from '../iova/allocator.ts';
import { type CopiedSegment, MAP_KIND } from '../mappings.ts';
import type { InputSegment } from '../scatterlist.ts';
import { recordCopies } from './bounce.ts';
import { Copies } from './copies.ts';
import { MAP_SHADOW_FULL, type Mode, type ModeEntry, type ModeParts } from './mode.ts';

const NONE = -1;
const DIRECTIONS = 3;

/** The buffers of one device in one domain. */
interface Pool {
  domain: number;
  /** [(cpu * classes + class) * DIRECTIONS + direction]: first free buffer, NONE. */
  heads: Int32Array;
  bytes: number;
}

class Shadow implements Mode {
  private readonly parts: ModeParts;
  private readonly copies: Copies;
  private readonly classBytes: number[];
  private readonly largest: number;
  private readonly poolBytes: number;
  readonly standing = null;
  readonly ownCoherent = false;
  /** [cpu]: taken by those who give a buffer back to a list that is not of their own CPU. */
  readonly locks: Lock[] = [];
  /** [device]: its buffers in the domain where it is. */
  private readonly pools: (Pool | undefined)[] = [];

  private capacity = 256;
  /** [buffer]: first frame and IOVA page; size class, direction and CPU of its list; device and domain; next free one, NONE. */
  private frame = new Float64Array(this.capacity);
  private page = new Float64Array(this.capacity);
  private list = new Int32Array(this.capacity);
  private owner = new Int32Array(this.capacity);
  private domain = new Int32Array(this.capacity);
  private next = new Int32Array(this.capacity);
  private used = 0;
  /** First number that no buffer has any more. */
  private unused = NONE;
  private bytes = 0;
  private peakBytes = 0;
  private inUse = 0;
  /** Segments copied of a list whose search for an address yielded. */
  private done: CopiedSegment[] = [];
  /** Bytes that found no room in the pool, of the last map that failed. */
  refusedBytes = 0;

  constructor(parts: ModeParts) {
    this.parts = parts;
    this.copies = new Copies(parts);
    this.classBytes = parts.parameters.classBytes as number[];
    this.largest = this.classBytes.at(-1)!;
    this.poolBytes = parts.parameters.poolBytes as number;
    for (let cpu = 0; cpu < parts.cpus; cpu++) this.locks.push(new Lock(`shadow-cpu-${cpu}`));
  }

  domainMade(): boolean {
    return true;
  }

  private poolOf(device: Device): Pool {
    const known = this.pools[device.index];
    if (known !== undefined) return known;
    const heads = new Int32Array(this.parts.cpus * this.classBytes.length * DIRECTIONS).fill(NONE);
    const pool = { domain: device.domain!.index, heads, bytes: 0 };
    while (this.pools.length < device.index) this.pools.push(undefined);
    this.pools[device.index] = pool;
    return pool;
  }

  private classOf(lengthBytes: number): number {
    const { classBytes } = this;
    let at = 0;
    while (classBytes[at]! < lengthBytes) at++;
    return at;
  }

  private bytesOf(buffer: number): number {
    return this.classBytes[Math.floor(this.list[buffer]! / DIRECTIONS) % this.classBytes.length]!;
  }

  /** @returns a buffer, or a code below NONE: what `map` answers */
  private take(device: Device, direction: number, lengthBytes: number): number {
    const pool = this.poolOf(device);
    const { work, costs } = this.parts;
    const list = (work.cpu * this.classBytes.length + this.classOf(lengthBytes)) * DIRECTIONS + direction;
    const head = pool.heads[list]!;
    if (head === NONE) return this.make(device, pool, list, direction);
    pool.heads[list] = this.next[head]!;
    work.add(ROW.iovaAlloc, costs.shadowTake);
    this.inUse++;
    return head;
  }

  /** A new buffer: the list was empty. */
  private make(device: Device, pool: Pool, list: number, direction: number): number {
    const { dma, memory, counters } = this.parts;
    const domain = device.domain!;
    const bytes = this.classBytes[Math.floor(list / DIRECTIONS) % this.classBytes.length]!;
    const pages = bytes / 4096;
    if (pool.bytes + bytes > this.poolBytes) {
      counters.shadowFailures++;
      this.refusedBytes = bytes;
      return MAP_SHADOW_FULL;
    }
    const page = dma.iova.take(device, domain, pages);
    if (page === SUSPENDED) return MAP_SUSPENDED;
    if (page === NO_PFN) return MAP_FAILED;
    const frame = memory.allocate(pages, 0);
    if (frame === NO_FRAME) {
      dma.iova.free(domain, page, pages);
      return MAP_NO_MEMORY;
    }
    if (!dma.writeRange(domain, page, frame, pages, permissionOf(direction))) {
      memory.giveBack(frame, pages);
      return MAP_NO_MEMORY;
    }
    memory.setStanding(frame, pages, STANDING.pool);
    let buffer = this.unused;
    if (buffer === NONE) {
      buffer = this.used++;
      if (buffer === this.capacity) this.grow();
    } else this.unused = this.next[buffer]!;
    this.frame[buffer] = frame;
    this.page[buffer] = page;
    this.list[buffer] = list;
    this.owner[buffer] = device.index;
    this.domain[buffer] = domain.index;
    this.next[buffer] = NONE;
    pool.bytes += bytes;
    this.bytes += bytes;
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes;
    this.inUse++;
    counters.shadowBuffersMade++;
    return buffer;
  }

  /** Back to the list that it came from; or away with it, if its device has left the domain. */
  private give(buffer: number): void {
    const { work, costs, domains } = this.parts;
    const owner = this.owner[buffer]!;
    const pool = this.pools[owner];
    this.inUse--;
    if (pool === undefined || pool.domain !== this.domain[buffer]) {
      this.destroy(buffer, domains[this.domain[buffer]!]!);
      return;
    }
    const list = this.list[buffer]!;
    const cpu = Math.floor(list / (DIRECTIONS * this.classBytes.length));
    if (cpu !== work.cpu) work.acquire(this.locks[cpu]!);
    work.add(ROW.iovaFree, costs.shadowGive);
    if (cpu !== work.cpu) work.release(this.locks[cpu]!);
    this.next[buffer] = pool.heads[list]!;
    pool.heads[list] = buffer;
  }

  /** Takes a free buffer apart, as a strict unmap does; books it. */
  private destroy(buffer: number, domain: Domain): void {
    const { mapper, flush, tables, dma } = this.parts;
    const page = this.page[buffer]!;
    const pages = this.bytesOf(buffer) / 4096;
    mapper.clear(domain, page, pages);
    mapper.bookUnmap(mapper.clearedPtes);
    flush.range(domain, page, pages, tables.unlinkedTables === 0);
    tables.releaseUnlinked();
    dma.iova.free(domain, page, pages);
    this.forget(buffer);
  }

  /** Its frames go back; address and entries are the caller's. */
  private forget(buffer: number): void {
    const { memory } = this.parts;
    const bytes = this.bytesOf(buffer);
    memory.setStanding(this.frame[buffer]!, bytes / 4096, STANDING.none);
    memory.giveBack(this.frame[buffer]!, bytes / 4096);
    this.bytes -= bytes;
    this.owner[buffer] = NONE;
    this.next[buffer] = this.unused;
    this.unused = buffer;
  }

  map(device: Device, kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number {
    const { dma, work, costs, mappings, oracle, counters } = this.parts;
    if (kind === MAP_KIND.coherent || lengthBytes > this.largest) {
      const slot = dma.mapPages(device, kind, direction, frame, offset, lengthBytes);
      if (slot !== MAP_SUSPENDED && kind !== MAP_KIND.coherent) counters.shadowFallbacks++;
      return slot;
    }
    const failures = counters.mapFailures;
    const buffer = this.take(device, direction, lengthBytes);
    if (buffer === MAP_SUSPENDED) return buffer;
    dma.countCall(kind);
    work.add(ROW.other, costs.mapOther);
    if (buffer < 0) {
      counters.mapFailures = failures + 1;
      return buffer;
    }
    this.copies.in(direction, lengthBytes);
    const domain = device.domain!;
    const page = this.page[buffer]!;
    const reached = this.frame[buffer]!;
    const pages = Math.ceil(lengthBytes / 4096);
    const slot = dma.record(device, domain, kind, direction, page, pages, 0, lengthBytes);
    mappings.frame[slot] = reached;
    mappings.setSource(slot, frame, offset, buffer);
    const nowNs = mappings.mappedNs[slot]!;
    const now = work.now();
    for (let i = 0; i < pages; i++) oracle.mapped(domain.pages, page + i, slot, reached + i, direction, nowNs, now);
    return slot;
  }

  mapSg(device: Device, direction: number, segments: readonly InputSegment[]): number {
    const { parts, done } = this;
    const { dma, work, costs, counters } = parts;
    if (segments.some(({ lengthBytes }) => lengthBytes > this.largest)) {
      const slot = dma.mapList(device, direction, segments);
      if (slot !== MAP_SUSPENDED) counters.shadowFallbacks++;
      return slot;
    }
    const failures = counters.mapFailures;
    for (let i = done.length; i < segments.length; i++) {
      const { frame, offset, lengthBytes } = segments[i]!;
      const held = this.take(device, direction, lengthBytes);
      if (held === MAP_SUSPENDED) return held;
      if (held < 0) {
        counters.mapSgCalls++;
        work.add(ROW.other, costs.mapOther);
        for (const segment of done) this.give(segment.held);
        this.done = [];
        counters.mapFailures = failures + 1;
        return held;
      }
      this.copies.in(direction, lengthBytes);
      done.push({ frame, offset, lengthBytes, page: this.page[held]!, iovaOffset: 0, held });
    }
    counters.mapSgCalls++;
    work.add(ROW.other, costs.mapOther);
    this.done = [];
    return recordCopies(parts, device, direction, done, (segment) => this.frame[segment.held]!);
  }

  unmap(slot: number, device: Device): void {
    const { dma, mappings, work, costs, strict } = this.parts;
    const list = mappings.frame[slot] === -1 ? (mappings.segments[slot] ?? null) : null;
    const direction = mappings.direction[slot]!;
    if (list === null && !this.isCopied(slot)) {
      dma.unmapPages(slot, device, dma.domainOf(slot), strict, false);
      return;
    }
    work.add(ROW.other, costs.unmapOther);
    if (list !== null)
      for (const segment of list) {
        this.copies.out(direction, segment.lengthBytes);
        this.give(segment.held);
      }
    else {
      this.copies.out(direction, mappings.lengthBytes[slot]!);
      this.give(mappings.held[slot]!);
    }
    dma.end(slot, device, dma.domainOf(slot), false);
  }

  private isCopied(slot: number): boolean {
    const { mappings } = this.parts;
    return mappings.frame[slot] !== -1 && mappings.source[slot]! >= 0;
  }

  sync(slot: number, forDevice: boolean, offsetBytes: number, lengthBytes: number): void {
    const { mappings } = this.parts;
    if ((mappings.frame[slot] === -1 && mappings.segments[slot]) || this.isCopied(slot))
      this.copies.sync(slot, forDevice, offsetBytes, lengthBytes);
  }

  abandon(slot: number): void {
    const { mappings } = this.parts;
    const list = mappings.frame[slot] === -1 ? (mappings.segments[slot] ?? null) : null;
    const held =
      list !== null ? list.map((segment) => segment.held) : this.isCopied(slot) ? [mappings.held[slot]!] : [];
    for (const buffer of held) {
      this.inUse--;
      this.forget(buffer);
    }
  }

  /** What is left of its buffers are those that nobody has: their addresses and entries go with the domain. */
  domainGone(domain: Domain): void {
    for (let buffer = 0; buffer < this.used; buffer++)
      if (this.owner[buffer] !== NONE && this.domain[buffer] === domain.index) this.forget(buffer);
  }

  /** Free buffers are taken apart; those in use follow at their unmap. */
  deviceLeft(device: Device, domain: Domain): void {
    const pool = this.pools[device.index];
    if (pool === undefined) return;
    this.pools[device.index] = undefined;
    for (let list = 0; list < pool.heads.length; list++)
      for (let buffer = pool.heads[list]!; buffer !== NONE; ) {
        const next = this.next[buffer]!;
        this.destroy(buffer, domain);
        buffer = next;
      }
  }

  gauges(): Record<string, number> {
    return { shadowBytes: this.bytes, shadowBytesPeak: this.peakBytes, shadowBuffersInUse: this.inUse };
  }

  inspect(domain: Domain): Record<string, unknown> {
    const classes = this.classBytes.map((bytes) => ({ lengthBytes: bytes, buffers: 0 }));
    for (let buffer = 0; buffer < this.used; buffer++)
      if (this.owner[buffer] !== NONE && this.domain[buffer] === domain.index)
        classes[Math.floor(this.list[buffer]! / DIRECTIONS) % classes.length]!.buffers++;
    return { shadow: { classes } };
  }

  private grow(): void {
    const length = (this.capacity *= 2);
    this.frame = growFloat64(this.frame, length);
    this.page = growFloat64(this.page, length);
    this.list = growInt32(this.list, length);
    this.owner = growInt32(this.owner, length);
    this.domain = growInt32(this.domain, length);
    this.next = growInt32(this.next, length);
  }

  digest(sink: DigestSink): void {
    sink.number(this.used);
    sink.number(this.unused);
    sink.column(this.frame, this.used);
    sink.column(this.page, this.used);
    sink.column(this.list, this.used);
    sink.column(this.owner, this.used);
    sink.column(this.domain, this.used);
    sink.column(this.next, this.used);
    sink.number(this.peakBytes);
    this.pools.forEach((pool, device) => {
      if (pool === undefined) return;
      sink.number(device);
      sink.column(pool.heads, pool.heads.length);
      sink.number(pool.bytes);
    });
  }
}

export const shadow: ModeEntry = {
  kind: 'shadow',
  description: "a mapping is a copy in a buffer of the device's own that stays mapped",
  source: 'Markuze, Morrison, Tsafrir: True IOMMU protection from DMA attacks, ASPLOS 2016 (abstract)',
  departs:
    'size classes, lists and the limit of the pool are assumptions; beyond the largest class a strict mapping of whole pages, where the paper copies head and tail; addresses of buffers come from the allocator',
  pathology:
    'every byte is copied and the memory of buffers never comes back; a device may change its buffer after it was checked, until the copy is made',
  schema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      classBytes: {
        type: 'array',
        minItems: 1,
        maxItems: 8,
        items: { type: 'integer', minimum: 4096, maximum: 4_194_304, multipleOf: 4096 },
        description: 'size classes, rising. Assumption: 4 KiB and 64 KiB',
      },
      poolBytes: {
        type: 'integer',
        minimum: 4096,
        maximum: 17_179_869_184,
        description: 'the most that the buffers of one device may take. Assumption: 256 MiB',
      },
    },
  },
  defaults: { classBytes: [4096, 65_536], poolBytes: 268_435_456 },
  virtual: false,
  translates: false,
  direct: false,
  taxed: true,
  cachingMode: false,
  steps: ['copyFixed', 'copyByte', 'shadowTake', 'shadowGive', 'unmapOther'],
  spares: ['unmapOtherDeferred', 'unmapQueue'],
  allocates: true,
  unused: [
    { path: '/policy/invalidation', why: 'buffers stay mapped, and what is too long for one is unmapped strictly' },
  ],
  create: (parts) => new Shadow(parts),
};
