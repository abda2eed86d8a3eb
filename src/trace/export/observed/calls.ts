/**
 * Calls of a watched simulation's drivers: the DMA API and the IOMMU API, as the kernel traces them, and when each began.
 *
 * Order as in the kernel: page-table lines before the line of the DMA-API call that they belong to, `dma_free` before its `unmap`.
 */
import type { Operation } from '../../../core/operations.ts';
import type { Device } from '../../../core/os/device.ts';
import { MAP_KIND } from '../../../core/os/mappings.ts';
import type { InputSegment } from '../../../core/os/scatterlist.ts';
import { parseAddress, parsed } from '../../../core/sim/address.ts';
import type { Simulator } from '../../../core/simulator.ts';
import { ABSENT, EVENT_KINDS, type EventKind } from '../../event.ts';
import { CALL_OPS } from '../../payloads/lab.ts';
import type { ObservedLines, Stretch } from './lines.ts';

/** Codes of `iommu_lab:call`. */
const CALLS = Object.fromEntries(CALL_OPS.map((op, code) => [op, code])) as Record<(typeof CALL_OPS)[number], number>;

const CALL_OF_KIND = [CALLS['map-single'], CALLS['map-page'], CALLS['map-sg'], CALLS.alloc] as const;
/** Indices of the core's directions -> `enum dma_data_direction`. */
const KERNEL_DIRECTIONS = [1, 2, 0] as const;
const DIRECTION_WORDS: Readonly<Record<string, number>> = { 'to-device': 1, 'from-device': 2, bidirectional: 0 };

/** Mapped bytes as the driver named them. */
interface Call extends Stretch {
  device: number;
  kind: number;
  direction: number;
}

export class ObservedCalls {
  private readonly simulator: Simulator;
  private readonly lines: ObservedLines;
  /** Calls that are in each other: only the outermost is the driver's. */
  private depth = 0;
  /** [slot]: the driver's memory of a list, which its unmap names again. */
  private readonly lists = new Map<number, Stretch[]>();
  /** What the driver names in an unmap by address, where that differs from what it mapped. */
  private asked: Call | null = null;
  private unmapped = false;
  /** Those of an unmap of several that were not traced yet; null outside of one. */
  private gathered: Map<number, Call> | null = null;

  constructor(simulator: Simulator, lines: ObservedLines) {
    this.simulator = simulator;
    this.lines = lines;
    this.watch();
  }

  /** Before an operation is applied. */
  begins(operation: Operation): void {
    this.asked = null;
    this.unmapped = false;
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
  }

  private begin(call: number, device: number): void {
    if (this.depth++ > 0) return;
    this.lines.stampCall();
    const line = this.lines.fresh(EVENT_KINDS.call);
    line.device = device;
    line.detail = call;
    this.lines.tell(line);
  }

  private call(kind: EventKind, { device, direction, page, offset, lengthBytes }: Call): void {
    const line = this.lines.fresh(kind);
    line.device = device;
    line.direction = direction;
    line.iovaPage = page;
    line.iovaOffset = offset;
    line.lengthBytes = lengthBytes;
    this.lines.tell(line);
  }

  private segments(
    kind: EventKind,
    { device, direction }: Call,
    outputs: readonly Stretch[],
    memory: readonly Stretch[],
  ): void {
    const head = this.lines.fresh(kind);
    head.device = device;
    head.direction = direction;
    head.detail = memory.length;
    this.lines.tell(head);
    for (let i = 0; i < Math.max(outputs.length, memory.length); i++) {
      const line = this.lines.fresh(EVENT_KINDS.segment);
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
      this.lines.tell(line);
    }
  }

  private watch(): void {
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
      this.lines.stampCall();
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
    const line = this.lines.fresh(kind === MAP_KIND.coherent ? EVENT_KINDS.alloc : EVENT_KINDS.map);
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
    this.lines.tell(line);
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
      const line = this.lines.fresh(EVENT_KINDS.failed);
      line.device = call.device;
      line.direction = call.direction;
      this.lines.tell(line);
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
      const head = this.lines.fresh(EVENT_KINDS.syncSg);
      head.device = call.device;
      head.direction = call.direction;
      head.detail = detail;
      this.lines.tell(head);
      for (const { page, offset, lengthBytes: bytes } of outputs) {
        const line = this.lines.fresh(EVENT_KINDS.segment);
        line.device = call.device;
        line.direction = call.direction;
        line.iovaPage = page;
        line.iovaOffset = offset;
        line.lengthBytes = bytes;
        this.lines.tell(line);
      }
      return;
    }
    const at = call.offset + offsetBytes;
    const line = this.lines.fresh(EVENT_KINDS.sync);
    line.device = call.device;
    line.direction = call.direction;
    line.iovaPage = call.page + Math.floor(at / 4096);
    line.iovaOffset = at % 4096;
    line.lengthBytes = lengthBytes;
    line.detail = detail;
    this.lines.tell(line);
  }
}
