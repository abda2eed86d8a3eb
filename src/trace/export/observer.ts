/**
 * A simulation watched from outside: what a kernel would trace of it, and what only a simulator knows, as recorded events.
 *
 * It stands around the parts' own methods (map, unmap, table entries, descriptors, accesses, frames), of one simulation that is there
 * to be watched: the session's own is never touched, and no line of the core is slower for it. It changes nothing: the watched
 * simulation has the digest of any other.
 *
 * Times: a call and all that is traced of it have the moment at which it *began*, where a kernel's tracepoints fire when the work is
 * done. Calls of several CPUs overlap, and addresses are handed out in the order in which driver's turns begin: only stamped so does a
 * replay at the recorded times meet timers and calls in the same order. Stamps never fall: a call that began before the one written
 * above it, on another CPU, has that one's stamp; and one that is part of a turn that began before a timer was due has a stamp before
 * that timer's.
 *
 * Order as in the kernel: page-table lines before the line of the DMA-API call that they belong to, `dma_free` before its `unmap`.
 */
import { EVENT } from '../../core/event-kinds.ts';
import { aligned, decodeDeviceRange } from '../../core/hardware/invalidation.ts';
import type { PieceVisitor } from '../../core/hardware/translate.ts';
import type { Operation } from '../../core/operations.ts';
import type { Device } from '../../core/os/device.ts';
import { MAP_KIND } from '../../core/os/mappings.ts';
import type { Tree } from '../../core/os/page-mapper.ts';
import type { InputSegment } from '../../core/os/scatterlist.ts';
import { parseAddress, parsed } from '../../core/sim/address.ts';
import type { Simulator } from '../../core/simulator.ts';
import { ABSENT, EVENT_KINDS, type EventKind, type RecordedEvent } from '../event.ts';
import { CALL_OPS } from '../payloads/lab.ts';

/** Codes of `iommu_lab:call`. */
const CALLS = Object.fromEntries(CALL_OPS.map((op, code) => [op, code])) as Record<(typeof CALL_OPS)[number], number>;

const CALL_OF_KIND = [CALLS['map-single'], CALLS['map-page'], CALLS['map-sg'], CALLS.alloc] as const;
/** Indices of the core's directions -> `enum dma_data_direction`. */
const KERNEL_DIRECTIONS = [1, 2, 0] as const;
const DIRECTION_WORDS: Readonly<Record<string, number>> = { 'to-device': 1, 'from-device': 2, bidirectional: 0 };
/** A replay has moments in whole nanoseconds, so that its timers may be due one earlier. */
const BEFORE_TIMER_PS = 2000;
/** The kernel's first domain id: 0 is reserved. */
const FIRST_DOMAIN = 1;
/** pid of what operations do; workload n has the pid n more than one higher. */
const OPERATIONS_PID = 1;

export interface ObservedSink {
  /** The same object every time, filled anew. */
  event(event: RecordedEvent): void;
}

/** A name as the kernel gives it, in segment 0. */
export function recordedName(device: Device): string {
  return `0000:${device.bdf}`;
}

/** `00:02.0` as the 16 bits of a requester id. */
function requesterOf({ bdf }: Device): number {
  const [bus, rest] = bdf.split(':');
  const [slot, fn] = rest!.split('.');
  return Number.parseInt(bus!, 16) * 256 + Number.parseInt(slot!, 16) * 8 + Number(fn);
}

/** Mapped bytes as the driver named them. */
interface Call {
  device: number;
  kind: number;
  direction: number;
  page: number;
  offset: number;
  lengthBytes: number;
}

export class Observer {
  private readonly simulator: Simulator;
  private readonly sink: ObservedSink;
  private readonly line: RecordedEvent = {
    kind: EVENT_KINDS.map,
    timeNs: 0,
    timePs: 0,
    cpu: 0,
    pid: OPERATIONS_PID,
    device: ABSENT,
    domain: ABSENT,
    iovaPage: ABSENT,
    iovaOffset: ABSENT,
    lengthBytes: ABSENT,
    physicalPage: ABSENT,
    physicalOffset: ABSENT,
    direction: ABSENT,
    write: ABSENT,
    detail: ABSENT,
    line: 0,
    partner: ABSENT,
    call: ABSENT,
  };
  // The newest stamp.
  private timeNs = 0;
  private timePs = 0;
  /** Calls that are in each other: only the outermost is the driver's. */
  private depth = 0;
  /** A table page is made: its frame is no buffer. */
  private makesTable = false;
  private readonly tableFrames = new Set<number>();
  /** [slot]: the driver's memory of a list, which its unmap names again. */
  private readonly lists = new Map<number, { page: number; offset: number; lengthBytes: number }[]>();
  /** [first frame]: number of a block that was handed out. */
  private readonly buffers = new Map<number, number>();
  private nextBuffer = 0;
  /** What the driver names in an unmap by address, where that differs from what it mapped. */
  private asked: Call | null = null;
  private unmapped = false;
  /** Faults of the access in progress; null outside of one. */
  private faults: RecordedEvent[] | null = null;
  /** [device]: domain in which it was last seen. */
  private readonly attached = new Map<number, number>();
  /** Whether invalidations go through a queue: only those are traced by the kernel. */
  readonly queued: boolean;

  constructor(simulator: Simulator, sink: ObservedSink) {
    this.simulator = simulator;
    this.sink = sink;
    this.queued = !simulator.unit.register;
    this.watchTables();
    this.watchMemory();
    this.watchDma();
    this.watchChip();
  }

  nameOf(device: number): string {
    return recordedName(this.simulator.deviceAt(device));
  }

  /** What a driver sets up in advance takes no time of the run: its calls have the moment at which it does so. */
  private settingUp = false;
  private inTimer = false;

  /** Before an operation is applied. */
  begins(operation: Operation): void {
    this.asked = null;
    this.unmapped = false;
    this.stamp(this.simulator.clock.now);
    if (operation.op !== 'unmap' || operation.mapping !== undefined) return;
    const device = this.simulator.devices.find(operation.device ?? '');
    if (device === undefined || !parseAddress(operation.iova ?? '')) return;
    const { page, offset } = parsed;
    this.asked = {
      device: device.index,
      kind: MAP_KIND.single,
      direction: DIRECTION_WORDS[operation.direction ?? ''] ?? 0,
      page,
      offset,
      lengthBytes: operation.lengthBytes ?? 0,
    };
  }

  /** After it was, if it was not refused. */
  ended(): void {
    const { asked } = this;
    this.asked = null;
    // The kernel traces the call, whatever is there.
    if (asked !== null && !this.unmapped) this.call(EVENT_KINDS.unmap, asked);
    this.attachments();
  }

  // ------------------------------------------------------------------------------------------------ writing

  private stamp(ps: number): void {
    const ns = this.simulator.clock.toNs(ps);
    const rest = ((ps % 1000) + 1000) % 1000;
    if (ns < this.timeNs || (ns === this.timeNs && rest <= this.timePs)) return;
    this.timeNs = ns;
    this.timePs = rest;
  }

  /** The moment at which a call begins; but before a timer that is due meanwhile and fires after it, and within the run. */
  private stampCall(): void {
    const { work, queue } = this.simulator;
    if (this.settingUp) {
      this.stamp(this.simulator.clock.now);
      return;
    }
    const { run } = this.simulator;
    const end = run === null || run.ended ? Number.POSITIVE_INFINITY : run.end();
    this.stamp(Math.min(work.now(), queue.nextTimeBelow(EVENT.workload) - BEFORE_TIMER_PS, end));
  }

  private fresh(kind: EventKind): RecordedEvent {
    const { line } = this;
    const { work, exposure } = this.simulator;
    line.kind = kind;
    line.timeNs = this.timeNs;
    line.timePs = this.timePs;
    line.cpu = work.cpu;
    line.pid = OPERATIONS_PID + 1 + exposure.workload;
    line.device = ABSENT;
    line.domain = ABSENT;
    line.iovaPage = ABSENT;
    line.iovaOffset = ABSENT;
    line.lengthBytes = ABSENT;
    line.physicalPage = ABSENT;
    line.physicalOffset = ABSENT;
    line.direction = ABSENT;
    line.write = ABSENT;
    line.detail = ABSENT;
    return line;
  }

  private begin(call: number, device: number): void {
    if (this.depth++ > 0) return;
    this.stampCall();
    const line = this.fresh(EVENT_KINDS.call);
    line.device = device;
    line.detail = call;
    this.sink.event(line);
  }

  private call(kind: EventKind, { device, direction, page, offset, lengthBytes }: Call): void {
    const line = this.fresh(kind);
    line.device = device;
    line.direction = direction;
    line.iovaPage = page;
    line.iovaOffset = offset;
    line.lengthBytes = lengthBytes;
    this.sink.event(line);
  }

  private segments(
    kind: EventKind,
    { device, direction }: Call,
    outputs: readonly { page: number; offset: number; lengthBytes: number }[],
    memory: readonly { page: number; offset: number; lengthBytes: number }[],
  ): void {
    const head = this.fresh(kind);
    head.device = device;
    head.direction = direction;
    head.detail = memory.length;
    this.sink.event(head);
    for (let i = 0; i < Math.max(outputs.length, memory.length); i++) {
      const line = this.fresh(EVENT_KINDS.segment);
      line.device = device;
      line.direction = direction;
      const output = outputs[i];
      if (output !== undefined) {
        line.iovaPage = output.page;
        line.iovaOffset = output.offset;
        line.lengthBytes = output.lengthBytes;
      }
      const of = memory[i];
      if (of !== undefined) {
        line.physicalPage = of.page;
        line.physicalOffset = of.offset;
      }
      this.sink.event(line);
    }
  }

  // ------------------------------------------------------------------------------------------------ tables

  private watchTables(): void {
    const { tables, mapper } = this.simulator;
    const create = tables.create.bind(tables);
    tables.create = (level, domain, base) => {
      this.makesTable = true;
      const table = create(level, domain, base);
      this.makesTable = false;
      return table;
    };
    const write = mapper.write.bind(mapper);
    mapper.write = (tree, page, frame, pages, permission, largest) => {
      const done = write(tree, page, frame, pages, permission, largest);
      if (done === pages) this.mapped(page, frame, pages);
      return done;
    };
    const writeOne = mapper.writeOne.bind(mapper);
    mapper.writeOne = (domain, page, frame, permission) => {
      const done = writeOne(domain, page, frame, permission);
      if (done) this.mapped(page, frame, 1);
      return done;
    };
    const clear = mapper.clear.bind(mapper);
    mapper.clear = (tree: Tree, page, pages) => {
      const cleared = clear(tree, page, pages);
      const line = this.fresh(EVENT_KINDS.iommuUnmap);
      line.iovaPage = page;
      line.iovaOffset = 0;
      line.lengthBytes = pages * 4096;
      line.detail = cleared * 4096;
      this.sink.event(line);
      return cleared;
    };
  }

  private mapped(page: number, frame: number, pages: number): void {
    const line = this.fresh(EVENT_KINDS.iommuMap);
    line.iovaPage = page;
    line.iovaOffset = 0;
    line.lengthBytes = pages * 4096;
    line.physicalPage = frame;
    line.physicalOffset = 0;
    this.sink.event(line);
  }

  // ------------------------------------------------------------------------------------------------ memory

  private watchMemory(): void {
    const { memory } = this.simulator;
    const allocate = memory.allocate.bind(memory);
    memory.allocate = (count, tenant) => this.handedOut(allocate(count, tenant), count, tenant);
    const claim = memory.claim.bind(memory);
    memory.claim = (first, count, tenant) => {
      const done = claim(first, count, tenant);
      if (done) this.handedOut(first, count, tenant);
      return done;
    };
    const giveBack = memory.giveBack.bind(memory);
    memory.giveBack = (first, count) => {
      giveBack(first, count);
      if (this.tableFrames.delete(first)) return;
      const buffer = this.buffers.get(first);
      if (buffer === undefined) return;
      this.buffers.delete(first);
      const line = this.fresh(EVENT_KINDS.bufferFree);
      line.detail = buffer;
      this.sink.event(line);
    };
  }

  private handedOut(first: number, count: number, tenant: number): number {
    if (first < 0) return first;
    if (this.makesTable) {
      this.tableFrames.add(first);
      return first;
    }
    const buffer = this.nextBuffer;
    // Numbers fit 31 bits; one that far back is long free again.
    this.nextBuffer = buffer === 2 ** 31 - 1 ? 0 : buffer + 1;
    this.buffers.set(first, buffer);
    const line = this.fresh(EVENT_KINDS.buffer);
    line.detail = buffer;
    line.domain = tenant;
    line.physicalPage = first;
    line.physicalOffset = 0;
    line.lengthBytes = count * 4096;
    this.sink.event(line);
    return first;
  }

  // ------------------------------------------------------------------------------------------------ calls

  private watchDma(): void {
    const { dma, iommuApi } = this.simulator;
    const map = dma.map.bind(dma);
    dma.map = (device, kind, direction, frame, offset, lengthBytes) => {
      this.begin(CALL_OF_KIND[kind as 0 | 1 | 2 | 3], device.index);
      const slot = map(device, kind, direction, frame, offset, lengthBytes);
      if (--this.depth === 0) this.mappedOne(slot, device, kind, direction, frame, offset, lengthBytes);
      return slot;
    };
    const mapSg = dma.mapSg.bind(dma);
    dma.mapSg = (device, direction, segments) => {
      this.begin(CALLS['map-sg'], device.index);
      const slot = mapSg(device, direction, segments);
      if (--this.depth === 0) this.mappedList(slot, device, direction, segments);
      return slot;
    };
    const unmap = dma.unmap.bind(dma);
    dma.unmap = (slot, device) => {
      const call = this.before(slot, device);
      unmap(slot, device);
      this.after(slot, call);
    };
    const unmapTogether = dma.unmapTogether.bind(dma);
    dma.unmapTogether = (slots, count, device) => {
      const list = Array.from({ length: count }, (_, i) => slots[i]!);
      this.gathered = new Map(list.map((slot) => [slot, this.callOf(slot)]));
      this.stampCall();
      unmapTogether(slots, count, device);
      const left = this.gathered;
      this.gathered = null;
      for (const [slot, call] of left) this.traced(slot, call);
    };
    const sync = dma.sync.bind(dma);
    dma.sync = (slot, forDevice, offsetBytes, lengthBytes) => {
      const call = this.callOf(slot);
      this.begin(CALLS.sync, call.device);
      sync(slot, forDevice, offsetBytes, lengthBytes);
      this.depth--;
      this.synced(slot, call, forDevice, offsetBytes, lengthBytes);
    };
    const iommuMap = iommuApi.map.bind(iommuApi);
    iommuApi.map = (domain, page, frame, pages, permission, largest) => {
      this.begin(CALLS['iommu-map'], ABSENT);
      const done = iommuMap(domain, page, frame, pages, permission, largest);
      this.depth--;
      return done;
    };
    const iommuUnmap = iommuApi.unmap.bind(iommuApi);
    iommuApi.unmap = (domain, first, pages, invalidate) => {
      this.begin(CALLS['iommu-unmap'], ABSENT);
      const unmapped = iommuUnmap(domain, first, pages, invalidate);
      this.depth--;
      return unmapped;
    };
  }

  /** Those of an unmap of several that were not traced yet; null outside of one. */
  private gathered: Map<number, Call> | null = null;

  private callOf(slot: number): Call {
    const { mappings } = this.simulator;
    return {
      device: mappings.device[slot]!,
      kind: mappings.kind[slot]!,
      direction: KERNEL_DIRECTIONS[mappings.direction[slot] as 0 | 1 | 2],
      page: mappings.page[slot]!,
      offset: mappings.offset[slot]!,
      lengthBytes: mappings.lengthBytes[slot]!,
    };
  }

  private before(slot: number, device: Device): Call {
    const call = this.callOf(slot);
    this.begin(CALLS.unmap, device.index);
    if (call.kind === MAP_KIND.coherent) this.call(EVENT_KINDS.free, call);
    return call;
  }

  private after(slot: number, call: Call): void {
    this.depth--;
    this.gathered?.delete(slot);
    this.traced(slot, call);
  }

  private traced(slot: number, call: Call): void {
    this.unmapped = true;
    const { asked } = this;
    const list = this.lists.get(slot);
    this.lists.delete(slot);
    if (call.kind === MAP_KIND.coherent) return;
    if (asked !== null) this.call(EVENT_KINDS.unmap, asked);
    else if (call.kind === MAP_KIND.sg) this.segments(EVENT_KINDS.unmapSg, call, [], list ?? []);
    else this.call(EVENT_KINDS.unmap, call);
  }

  private mappedOne(
    slot: number,
    device: Device,
    kind: number,
    direction: number,
    frame: number,
    offset: number,
    lengthBytes: number,
  ): void {
    const { mappings } = this.simulator;
    const of = KERNEL_DIRECTIONS[direction as 0 | 1 | 2];
    const line = this.fresh(kind === MAP_KIND.coherent ? EVENT_KINDS.alloc : EVENT_KINDS.map);
    line.device = device.index;
    line.direction = of;
    line.lengthBytes = lengthBytes;
    if (kind !== MAP_KIND.coherent) {
      line.physicalPage = frame;
      line.physicalOffset = offset;
    }
    if (slot >= 0) {
      line.iovaPage = mappings.page[slot]!;
      line.iovaOffset = mappings.offset[slot]!;
    }
    this.sink.event(line);
  }

  private mappedList(slot: number, device: Device, direction: number, segments: readonly InputSegment[]): void {
    const { mappings } = this.simulator;
    const memory = segments.map(({ frame, offset, lengthBytes }) => ({ page: frame, offset, lengthBytes }));
    const call: Call = {
      device: device.index,
      kind: MAP_KIND.sg,
      direction: KERNEL_DIRECTIONS[direction as 0 | 1 | 2],
      page: ABSENT,
      offset: ABSENT,
      lengthBytes: ABSENT,
    };
    if (slot < 0) {
      const line = this.fresh(EVENT_KINDS.failed);
      line.device = call.device;
      line.direction = call.direction;
      this.sink.event(line);
      return;
    }
    this.lists.set(slot, memory);
    const outputs =
      mappings.frame[slot] === -1
        ? mappings.outputs[slot]!
        : [{ page: mappings.page[slot]!, offset: mappings.offset[slot]!, lengthBytes: mappings.lengthBytes[slot]! }];
    this.segments(EVENT_KINDS.mapSg, call, outputs, memory);
  }

  private synced(slot: number, call: Call, forDevice: boolean, offsetBytes: number, lengthBytes: number): void {
    const detail = forDevice ? 1 : 0;
    if (this.lists.has(slot)) {
      const { mappings } = this.simulator;
      const outputs = mappings.frame[slot] === -1 ? mappings.outputs[slot]! : [call];
      const head = this.fresh(EVENT_KINDS.syncSg);
      head.device = call.device;
      head.direction = call.direction;
      head.detail = detail;
      this.sink.event(head);
      for (const { page, offset, lengthBytes: bytes } of outputs) {
        const line = this.fresh(EVENT_KINDS.segment);
        line.device = call.device;
        line.direction = call.direction;
        line.iovaPage = page;
        line.iovaOffset = offset;
        line.lengthBytes = bytes;
        this.sink.event(line);
      }
      return;
    }
    const at = call.offset + offsetBytes;
    const line = this.fresh(EVENT_KINDS.sync);
    line.device = call.device;
    line.direction = call.direction;
    line.iovaPage = call.page + Math.floor(at / 4096);
    line.iovaOffset = at % 4096;
    line.lengthBytes = lengthBytes;
    line.detail = detail;
    this.sink.event(line);
  }

  // ------------------------------------------------------------------------------------------------ the chip

  private watchChip(): void {
    const { simulator } = this;
    const { unit, iommu } = simulator;
    const global = unit.global.bind(unit);
    unit.global = (at) => {
      this.invalidated(1, ABSENT, ABSENT, ABSENT);
      global(at);
    };
    const domain = unit.domain.bind(unit);
    unit.domain = (index, at) => {
      this.invalidated(2, index, ABSENT, ABSENT);
      domain(index, at);
    };
    const pages = unit.pages.bind(unit);
    unit.pages = (index, page, mask, leafOnly, at) => {
      const count = 2 ** mask;
      this.invalidated(3, index, page - (page % count), count);
      pages(index, page, mask, leafOnly, at);
    };
    const deviceTlb = unit.deviceTlb.bind(unit);
    unit.deviceTlb = (device, domain_, tlb, page, size, at) => {
      decodeDeviceRange(page, size);
      const line = this.fresh(EVENT_KINDS.invalidateDevice);
      line.domain = requesterOf(simulator.deviceAt(device));
      const all = aligned.pages >= 2 ** 51;
      line.detail = all ? 1 : 3;
      if (!all) {
        line.iovaPage = aligned.base;
        line.iovaOffset = 0;
        line.lengthBytes = aligned.pages * 4096;
      }
      this.sink.event(line);
      deviceTlb(device, domain_, tlb, page, size, at);
    };
    const fire = simulator.fire.bind(simulator);
    simulator.fire = (time, kind, argument) => {
      this.stamp(time);
      this.inTimer = true;
      fire(time, kind, argument);
      this.inTimer = false;
    };
    // Whose work is to take time of a run begins it with rows to book it to.
    const { work } = simulator;
    const begin = work.begin.bind(work);
    work.begin = (cpu, start) => {
      this.settingUp = simulator.run !== null && !simulator.run.ended && !this.inTimer;
      begin(cpu, start);
    };
    const beginFor = work.beginFor.bind(work);
    work.beginFor = (rows, cpu, start) => {
      this.settingUp = false;
      beginFor(rows, cpu, start);
    };
    const access = iommu.access.bind(iommu);
    iommu.access = (device, page, offset, lengthBytes, write, now, visitor: PieceVisitor | null) => {
      this.stamp(this.simulator.clock.now);
      const faults: RecordedEvent[] = [];
      this.faults = faults;
      const verdict = access(device, page, offset, lengthBytes, write, now, visitor);
      this.faults = null;
      const line = this.fresh(EVENT_KINDS.access);
      line.device = device.index;
      line.iovaPage = page;
      line.iovaOffset = offset;
      line.lengthBytes = lengthBytes;
      line.write = write ? 1 : 0;
      line.detail = verdict;
      this.sink.event(line);
      for (const fault of faults) this.sink.event(fault);
      return verdict;
    };
    const { onFault } = iommu;
    iommu.onFault = (device) => {
      onFault(device);
      const { last } = simulator.faults;
      if (last === null) return;
      const line = this.fresh(EVENT_KINDS.fault);
      line.device = last.device;
      line.iovaPage = last.page;
      line.iovaOffset = last.offset;
      line.write = last.write ? 1 : 0;
      line.detail = line.write;
      if (this.faults === null) this.sink.event(line);
      else this.faults.push({ ...line });
    };
  }

  private invalidated(granularity: number, domain: number, page: number, pages: number): void {
    const line = this.fresh(EVENT_KINDS.invalidate);
    line.detail = granularity;
    if (granularity !== 1) line.domain = domain + FIRST_DOMAIN;
    if (granularity === 3) {
      line.iovaPage = page;
      line.iovaOffset = 0;
      line.lengthBytes = pages * 4096;
    }
    this.sink.event(line);
  }

  /** Tells of devices that have come, moved or gone since it was asked last. */
  attachments(): void {
    for (const device of this.simulator.everyDevice) {
      const now = device.removed ? -1 : (device.domain?.index ?? -1);
      const before = this.attached.get(device.index) ?? -1;
      if (now === before) continue;
      this.attached.set(device.index, now);
      const line = this.fresh(now < 0 ? EVENT_KINDS.detach : EVENT_KINDS.attach);
      line.device = device.index;
      this.sink.event(line);
    }
  }
}
