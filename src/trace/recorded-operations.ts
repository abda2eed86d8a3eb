/**
 * A short recording as operations: the recorded addresses, lengths and times, nothing made up. What the lines do not say and the
 * operations need is listed in `assumptions`; what is not understood, or has no operation, is counted and named in `skipped`.
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
import { ABSENT, EVENT_KINDS, type RecordedEvent, type SkippedLines } from './event.ts';
import { createImporter } from './importer.ts';

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
  lines: { total: number; understood: number; skipped: SkippedLines[] };
  /** Kind of event -> how many there were. */
  events: Record<string, number>;
  openMaps: number;
  unmatchedUnmaps: number;
  /** Times before the one above; nothing is advanced there. */
  clockSteps: number;
  /** What the operations say and the lines do not. */
  assumptions: string[];
}

const ACCESS_ASSUMED = 'map records no permission: the range is mapped for reads and writes';
const LENGTH_ASSUMED = 'io_page_fault records no length: the access has one byte';
const DIRECTION_ASSUMED = 'dma_alloc records no direction: coherent memory is mapped for reads and writes';

/** @param text of `trace` or `trace_pipe` */
export function convertRecording(text: string, options: ConversionOptions): Conversion {
  const converter = new Converter(options);
  const importer = createImporter({ format: 'ftrace', sink: converter });
  importer.write(new TextEncoder().encode(text));
  importer.end();
  converter.end();
  const { lines, events, openMaps, unmatchedUnmaps, clockSteps } = importer.summary();
  return {
    operations: converter.operations,
    lines: {
      total: lines.total - lines.comments - lines.blank,
      understood: lines.understood,
      skipped: [...lines.skipped, ...converter.skipped.values()],
    },
    events,
    openMaps,
    unmatchedUnmaps,
    clockSteps,
    assumptions: [...converter.assumptions],
  };
}

class Converter {
  private readonly options: ConversionOptions;
  readonly operations: ConvertedOperation[] = [];
  readonly skipped = new Map<string, SkippedLines>();
  readonly assumptions = new Set<string>();
  private readonly devices: string[] = [];
  /** Index of the next event. */
  private index = 0;
  /** When the operation before this one was recorded. */
  private nowNs = Number.NaN;
  private buffers = 0;
  /** `map` and `dma_free` whose other half has not come, by their index. */
  private readonly halves = new Map<number, RecordedEvent>();
  /** Index of a `dma_alloc` -> its buffer. */
  private readonly allocated = new Map<number, string>();

  constructor(options: ConversionOptions) {
    this.options = options;
  }

  device(name: string): number {
    return this.devices.push(name) - 1;
  }

  event(event: RecordedEvent): void {
    if (event.kind === EVENT_KINDS.fault) this.fault(event);
    else if (this.options.through === 'iommu') this.throughIommu(event);
    else this.throughDma(event);
    this.index++;
  }

  end(): void {
    for (const { kind, line } of this.halves.values())
      this.skip(
        kind === EVENT_KINDS.free
          ? 'dma_free without the unmap of its range after it'
          : 'map without the dma_alloc of its range after it',
        line,
      );
  }

  private fault(event: RecordedEvent): void {
    const device = this.sessionDevice(event);
    if (device === null) return;
    this.assumptions.add(LENGTH_ASSUMED);
    const access = event.write === 1 ? 'write' : 'read';
    this.add(event, { op: 'dma', device, iova: iovaOf(event), lengthBytes: 1, access });
  }

  private throughIommu(event: RecordedEvent): void {
    const { domain } = this.options;
    const { lengthBytes } = event;
    // `dma_alloc` is the same call as the `map`, and `dma_free` as the `unmap`, seen from the DMA API.
    if (event.kind === EVENT_KINDS.iommuMap) {
      this.assumptions.add(ACCESS_ASSUMED);
      const range = { iova: iovaOf(event), physicalAddress: physicalOf(event), lengthBytes };
      this.add(event, { op: 'iommu-map', domain, ...range, access: 'rw' });
    } else if (event.kind === EVENT_KINDS.iommuUnmap)
      this.add(event, { op: 'iommu-unmap', domain, iova: iovaOf(event), lengthBytes });
  }

  private throughDma(event: RecordedEvent): void {
    switch (event.kind) {
      case EVENT_KINDS.iommuMap:
      case EVENT_KINDS.free:
        this.halves.set(this.index, { ...event });
        return;
      case EVENT_KINDS.alloc:
        this.allocate(event);
        return;
      case EVENT_KINDS.iommuUnmap: {
        const freed = this.halves.get(event.call);
        this.halves.delete(event.call);
        if (freed === undefined) this.skip('unmap without the dma_free of its range before it', event.line);
        else this.takeBack(freed, event);
      }
    }
  }

  private allocate(event: RecordedEvent): void {
    const mapped = this.halves.get(event.call);
    const pages = event.lengthBytes / 4096;
    // All `map` lines of the allocation are told with it.
    for (const [index, { kind, iovaPage }] of this.halves)
      if (kind === EVENT_KINDS.iommuMap && iovaPage >= event.iovaPage && iovaPage < event.iovaPage + pages)
        this.halves.delete(index);
    if (mapped?.iovaPage !== event.iovaPage || mapped.lengthBytes !== wholePages(event.lengthBytes)) {
      // Among them an allocation in several physical stretches: it has a `map` for each.
      this.skip('dma_alloc without one map of its whole range before it', event.line);
      return;
    }
    const device = this.sessionDevice(event);
    if (device === null) return;
    const buffer = `recorded-${++this.buffers}`;
    this.allocated.set(this.index, buffer);
    this.assumptions.add(DIRECTION_ASSUMED);
    const { lengthBytes, cpu } = event;
    this.add(mapped, { op: 'buffer', name: buffer, lengthBytes, physicalAddress: physicalOf(mapped) });
    // The moment of the `map`: the buffer and its mapping are one call.
    const map: Operation = { op: 'map', device, kind: 'single', direction: 'bidirectional', cpu, buffer };
    this.operations.push({ operation: map, line: event.line });
  }

  private takeBack(freed: RecordedEvent, unmap: RecordedEvent): void {
    const device = this.sessionDevice(freed);
    if (device === null) return;
    const buffer = this.allocated.get(freed.partner);
    if (buffer === undefined) {
      this.skip('dma_free of an allocation that these lines do not show', freed.line);
      return;
    }
    const { lengthBytes } = freed;
    const { cpu } = unmap;
    this.add(unmap, { op: 'unmap', device, iova: iovaOf(freed), lengthBytes, direction: 'bidirectional', cpu });
    // `dma_free_attrs` gives the pages back as soon as they are unmapped, whatever may still be cached.
    this.operations.push({ operation: { op: 'free', buffer }, line: freed.line });
  }

  private sessionDevice({ device, line }: RecordedEvent): string | null {
    const recorded = this.devices[device]!;
    if (Object.hasOwn(this.options.devices, recorded)) return this.options.devices[recorded]!;
    this.skip(`the device ${recorded} has no counterpart in the session`, line);
    return null;
  }

  /** Lets time pass up to the event, then the operation. */
  private add({ timeNs, line }: RecordedEvent, operation: Operation): void {
    const ns = timeNs - this.nowNs;
    if (ns > 0) this.operations.push({ operation: { op: 'advance', ns }, line });
    this.nowNs = timeNs;
    this.operations.push({ operation, line });
  }

  private skip(reason: string, line: number): void {
    const known = this.skipped.get(reason);
    if (known === undefined) this.skipped.set(reason, { reason, count: 1, firstLine: line });
    else known.count++;
  }
}

function iovaOf({ iovaPage, iovaOffset }: RecordedEvent): string {
  return address(iovaPage, iovaOffset);
}

function physicalOf({ physicalPage, physicalOffset }: RecordedEvent): string {
  return address(physicalPage, physicalOffset);
}

function address(page: number, offset: number): string {
  if (page === ABSENT) throw new Error('the event has no address');
  return `0x${(BigInt(page) * 4096n + BigInt(offset)).toString(16)}`;
}

/** The IOMMU maps whole 4 KiB pages. */
function wholePages(lengthBytes: number): number {
  return Math.ceil(lengthBytes / 4096) * 4096;
}
