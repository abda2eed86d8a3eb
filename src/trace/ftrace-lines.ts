/**
 * Captured kernel lines (`trace`, `trace_pipe`) as operations: the recorded addresses, lengths and times, nothing made up. What the
 * lines do not say and the operations need is listed in `assumptions`; what is not understood is counted and named in `skipped`.
 *
 * The tracepoints `map` and `unmap` name neither device nor domain, so the caller names the domain. They can be replayed in two ways:
 *
 * - `iommu`: each `map` and `unmap` is an `iommu-map` and an `iommu-unmap` at its recorded addresses. The invalidation policy has no
 *   part in it, as with VFIO.
 * - `dma`: a `map` followed by the `dma_alloc` of the same range is one mapping of a buffer by the DMA API, and a `dma_free` followed
 *   by its `unmap` takes it back; so it is the session's policy that decides when the translation goes. The session's allocator
 *   chooses the IOVA: `unmap` is by the recorded address, so that a replay that got another one reports it as misuse.
 *
 * Times: a tracepoint fires when its work is done. Between two operations the session advances by the recorded difference; what the
 * operations themselves cost in the simulation comes on top.
 */
import type { Operation } from '../core/operations.ts';
import { LONGEST_LINE, nsBetween, readFtraceLine, type TraceTime } from './ftrace-line.ts';
import { type AllocationEvent, type MapEvent, readEvent, type TraceEvent, type UnmapEvent } from './iommu-events.ts';

export interface ConversionOptions {
  through: 'iommu' | 'dma';
  /** Name or id of the domain of every `map` and `unmap`. */
  domain: string;
  /** Device as the kernel names it, `0000:c2:00.0` -> name or id of the device in the session. */
  devices: Readonly<Record<string, string>>;
}

export interface ConvertedOperation {
  operation: Operation;
  /** The line it comes from, from 1; of an `advance`, the line that it leads up to. */
  line: number;
}

export interface Conversion {
  operations: ConvertedOperation[];
  lines: { total: number; understood: number; skipped: Skipped[] };
  /** Event -> how many were read. */
  events: Record<string, number>;
  /** Mapped, and not unmapped in these lines. */
  openMaps: number;
  /** Unmapped, and not mapped in these lines: they begin later than the mapping. */
  unmatchedUnmaps: number;
  /** Times before the one above; nothing is advanced there. */
  clockSteps: number;
  /** What the operations say and the lines do not. */
  assumptions: string[];
}

export interface Skipped {
  reason: string;
  count: number;
  /** The first such line, from 1. */
  firstLine: number;
}

const ACCESS_ASSUMED = 'map records no permission: the range is mapped for reads and writes';
const LENGTH_ASSUMED = 'io_page_fault records no length: the access has one byte';
const DIRECTION_ASSUMED = 'dma_alloc records no direction: coherent memory is mapped for reads and writes';

export function convertFtraceLines(text: string, options: ConversionOptions): Conversion {
  return new Converter(options).convert(text);
}

/** A line that waits for its second half. */
interface Half<Event> {
  event: Event;
  line: number;
  time: TraceTime;
  cpu: number;
}

class Converter {
  private readonly options: ConversionOptions;
  private readonly operations: ConvertedOperation[] = [];
  private readonly skipped = new Map<string, Skipped>();
  private readonly events: Record<string, number> = {};
  private readonly assumptions = new Set<string>();
  private understood = 0;
  private unmatchedUnmaps = 0;
  private clockSteps = 0;
  /** When the operation before this one was recorded. */
  private now: TraceTime | null = null;
  /** Mapped ranges; `buffer` where the DMA API mapped one. */
  private open: { iova: bigint; lengthBytes: number; buffer: string }[] = [];
  private buffers = 0;
  private mapped: Half<MapEvent> | null = null;
  private freed: Half<AllocationEvent> | null = null;

  constructor(options: ConversionOptions) {
    this.options = options;
  }

  convert(text: string): Conversion {
    const lines = text.split(/\r?\n/);
    let total = 0;
    lines.forEach((line, i) => {
      // The header of `trace` is made of comments.
      if (line.trim() === '' || line.startsWith('#')) return;
      total++;
      this.line(line, i + 1);
    });
    this.dropHalves();
    return {
      operations: this.operations,
      lines: { total, understood: this.understood, skipped: [...this.skipped.values()] },
      events: this.events,
      openMaps: this.open.length,
      unmatchedUnmaps: this.unmatchedUnmaps,
      clockSteps: this.clockSteps,
      assumptions: [...this.assumptions],
    };
  }

  private line(text: string, line: number): void {
    const prefix = readFtraceLine(text);
    if (prefix === null) {
      this.skip(text.length > LONGEST_LINE ? 'longer than the kernel writes' : 'no line of an event', line);
      return;
    }
    const event = readEvent(prefix.event, prefix.payload);
    if ('unreadable' in event) {
      this.skip(event.unreadable, line);
      return;
    }
    this.understood++;
    this.events[event.event] = (this.events[event.event] ?? 0) + 1;
    const { time, cpu } = prefix;
    if (event.event === 'io_page_fault') this.fault({ event, line, time, cpu });
    else if (this.options.through === 'iommu') this.throughIommu({ event, line, time, cpu });
    else this.throughDma({ event, line, time, cpu });
  }

  private fault({ event, line, time }: Half<Extract<TraceEvent, { event: 'io_page_fault' }>>): void {
    const device = this.device(event.device, line);
    if (device === null) return;
    this.assumptions.add(LENGTH_ASSUMED);
    const access = event.write ? 'write' : 'read';
    this.add(line, time, { op: 'dma', device, iova: address(event.iova), lengthBytes: 1, access });
  }

  private throughIommu({ event, line, time }: Half<Exclude<TraceEvent, { event: 'io_page_fault' }>>): void {
    const { domain } = this.options;
    // The allocation is the same event as the `map`, and the free as the `unmap`, seen from the DMA API.
    if ('device' in event) return;
    const { iova, lengthBytes } = event;
    if (event.event === 'map') {
      this.open.push({ iova, lengthBytes, buffer: '' });
      this.assumptions.add(ACCESS_ASSUMED);
      const physicalAddress = address(event.physicalAddress);
      const range = { iova: address(iova), physicalAddress, lengthBytes };
      this.add(line, time, { op: 'iommu-map', domain, ...range, access: 'rw' });
      return;
    }
    this.close(event);
    this.add(line, time, { op: 'iommu-unmap', domain, iova: address(iova), lengthBytes });
  }

  private throughDma(half: Half<Exclude<TraceEvent, { event: 'io_page_fault' }>>): void {
    const { event, line } = half;
    switch (event.event) {
      case 'map':
        this.dropHalves();
        this.mapped = { ...half, event };
        return;
      case 'dma_alloc':
        this.allocate({ ...half, event });
        return;
      case 'dma_free':
        this.dropHalves();
        this.freed = { ...half, event };
        return;
      case 'unmap':
        if (this.freed?.event.iova === event.iova) this.takeBack(this.freed, { ...half, event });
        else this.skip('unmap without the dma_free of its range before it', line);
        this.freed = null;
    }
  }

  private allocate({ event, line, cpu }: Half<AllocationEvent>): void {
    const { mapped } = this;
    this.mapped = null;
    const { iova, lengthBytes } = event;
    if (mapped?.event.iova !== iova || mapped.event.lengthBytes !== wholePages(lengthBytes)) {
      // Among them an allocation in several physical stretches: it has a `map` for each.
      this.skip('dma_alloc without one map of its whole range before it', line);
      return;
    }
    const device = this.device(event.device, line);
    if (device === null) return;
    const buffer = `recorded-${++this.buffers}`;
    this.open.push({ iova, lengthBytes: mapped.event.lengthBytes, buffer });
    this.assumptions.add(DIRECTION_ASSUMED);
    const physicalAddress = address(mapped.event.physicalAddress);
    const { time } = mapped;
    this.add(mapped.line, time, { op: 'buffer', name: buffer, lengthBytes, physicalAddress });
    this.add(line, time, { op: 'map', device, kind: 'single', direction: 'bidirectional', cpu, buffer });
  }

  private takeBack({ event: freed, line }: Half<AllocationEvent>, unmap: Half<UnmapEvent>): void {
    const device = this.device(freed.device, line);
    if (device === null) return;
    const closed = this.close(unmap.event)[0];
    if (closed === undefined) {
      this.skip('dma_free of an allocation that these lines do not show', line);
      return;
    }
    const { iova, lengthBytes } = freed;
    const range = { iova: address(iova), lengthBytes };
    const { cpu, time } = unmap;
    this.add(unmap.line, time, { op: 'unmap', device, ...range, direction: 'bidirectional', cpu });
    // `dma_free_attrs` gives the pages back as soon as they are unmapped, whatever may still be cached.
    this.add(line, time, { op: 'free', buffer: closed.buffer });
  }

  private dropHalves(): void {
    if (this.mapped !== null) this.skip('map without the dma_alloc of its range after it', this.mapped.line);
    if (this.freed !== null) this.skip('dma_free without the unmap of its range after it', this.freed.line);
    this.mapped = null;
    this.freed = null;
  }

  /** Takes out the open ranges that an unmap covers. */
  private close({ iova, lengthBytes }: UnmapEvent): { buffer: string }[] {
    const end = iova + BigInt(lengthBytes);
    const covered = this.open.filter((range) => range.iova >= iova && range.iova + BigInt(range.lengthBytes) <= end);
    if (covered.length === 0) this.unmatchedUnmaps++;
    else this.open = this.open.filter((range) => !covered.includes(range));
    return covered;
  }

  private device(recorded: string, line: number): string | null {
    if (Object.hasOwn(this.options.devices, recorded)) return this.options.devices[recorded]!;
    this.skip(`the device ${recorded} has no counterpart in the session`, line);
    return null;
  }

  /** Lets time pass up to the line, then the operation. */
  private add(line: number, time: TraceTime, operation: Operation): void {
    const ns = this.now === null ? 0 : nsBetween(this.now, time);
    if (ns < 0) this.clockSteps++;
    if (ns > 0) this.operations.push({ operation: { op: 'advance', ns }, line });
    this.now = time;
    this.operations.push({ operation, line });
  }

  private skip(reason: string, line: number): void {
    const known = this.skipped.get(reason);
    if (known === undefined) this.skipped.set(reason, { reason, count: 1, firstLine: line });
    else known.count++;
  }
}

function address(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** The IOMMU maps whole 4 KiB pages. */
function wholePages(lengthBytes: number): number {
  return Math.ceil(lengthBytes / 4096) * 4096;
}
