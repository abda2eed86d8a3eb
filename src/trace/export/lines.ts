/**
 * Recorded events as ftrace text, in the kernel's own grammar; what no kernel traces as `iommu_lab:*` lines (docs/trace-format.md).
 *
 * Source: Linux `include/trace/events/{dma,iommu}.h`, `drivers/iommu/intel/trace.h`, the prefix of `kernel/trace/trace_output.c`.
 * Departs: task and driver are always `iommu-lab`, the hashed pointer is always 0, as no recorded event has them; nine digits of
 * fraction where the kernel prints six; the kernel lists 128 entries of a scatter list, here all of them are listed as long as the
 * line is not longer than the kernel's buffer.
 *
 * Lists come as events of their own: a `mapSg` is held back until the event behind its last segment comes, or the end.
 */
import { ABSENT, DIRECTIONS, EVENT_KINDS, type EventKind, type RecordedEvent } from '../event.ts';
import { CALL_OPS, VERDICT_NAMES } from '../payloads/lab.ts';
import { GRANULARITY } from '../payloads/qi-descriptor.ts';

const TASK = 'iommu-lab';
const UNIT = 'dmar0';
const POINTER = '0'.repeat(16);
const NO_ADDRESS = 'f'.repeat(16);
const ENOMEM = -12;
/** Entries of a list that a line has at most: those of the longest still fit a page. */
const MOST_ENTRIES = 64;

/** What the line says before the name of its event. */
interface Stamp {
  timeNs: number;
  cpu: number;
  pid: number;
}

export interface LineOptions {
  /** Name of a device by its number: `0000:c2:00.0`. */
  device(index: number): string;
  /** Whether `iommu_lab:*` lines are written at all. */
  labEvents: boolean;
  /** Whether invalidations went through a queue, which the kernel traces (the default), or by registers, which it does not. */
  queued?: boolean;
  /** The stamp of the moment 0 of the events; nothing where they began there. */
  origin?: { seconds: number; nanoseconds: number };
  write(text: string): void;
}

/** As `trace` begins, but for the count of entries, which nobody knows before the end. */
export const HEADER = `# tracer: nop
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||         TIMESTAMP  FUNCTION
#              | |         |   |||||            |         |
`;

/** 57-bit addresses do not fit a double whole, so page and offset are written side by side. */
export function hexAddress(page: number, offset: number): string {
  if (page === 0) return offset.toString(16);
  return page.toString(16) + offset.toString(16).padStart(3, '0');
}

function wide(page: number, offset: number): string {
  return `0x${hexAddress(page, offset).padStart(16, '0')}`;
}

function directionWord(direction: number): string {
  if (direction === DIRECTIONS.toDevice) return 'TO_DEVICE';
  if (direction === DIRECTIONS.fromDevice) return 'FROM_DEVICE';
  if (direction === DIRECTIONS.none) return 'NONE';
  return 'BIDIRECTIONAL';
}

/** The end of a range as a page and an offset, in `end`. */
const end = { page: 0, offset: 0 };
function endOf(page: number, offset: number, lengthBytes: number): void {
  const bytes = offset + lengthBytes;
  end.page = page + Math.floor(bytes / 4096);
  end.offset = bytes % 4096;
}

interface List {
  event: RecordedEvent;
  iova: string[];
  sizes: string[];
  physical: string[];
}

export class FtraceLines {
  private readonly options: LineOptions;
  private list: List | null = null;

  constructor(options: LineOptions) {
    this.options = options;
    options.write(HEADER);
  }

  /** A comment that importers hand on: of which session it is, and what was done there. */
  note(text: string): void {
    this.end();
    if (this.options.labEvents) this.options.write(`# iommu_lab: ${text}\n`);
  }

  event(event: RecordedEvent): void {
    if (event.kind === EVENT_KINDS.segment) {
      this.segment(event);
      return;
    }
    this.end();
    const { mapSg, unmapSg, syncSg } = EVENT_KINDS;
    if (event.kind === mapSg || event.kind === unmapSg || event.kind === syncSg) {
      this.list = { event: { ...event }, iova: [], sizes: [], physical: [] };
      return;
    }
    const payload = this.payload(event);
    if (payload !== null) this.line(event, payload);
  }

  /** What is held back is written. */
  end(): void {
    const { list } = this;
    if (list === null) return;
    this.list = null;
    this.line(list.event, this.listPayload(list));
  }

  private segment({ iovaPage, iovaOffset, lengthBytes, physicalPage, physicalOffset }: RecordedEvent): void {
    const { list } = this;
    if (list === null) return;
    if (iovaPage !== ABSENT) list.iova.push(`0x${hexAddress(iovaPage, iovaOffset)}`);
    if (iovaPage !== ABSENT && lengthBytes !== ABSENT) list.sizes.push(`0x${lengthBytes.toString(16)}`);
    if (physicalPage !== ABSENT) list.physical.push(`0x${hexAddress(physicalPage, physicalOffset)}`);
  }

  private listPayload({ event, iova, sizes, physical }: List): string {
    const device = this.options.device(event.device);
    const direction = `dir=${directionWord(event.direction)}`;
    const array = (values: string[]) => `{${values.slice(0, MOST_ENTRIES).join(',')}}`;
    if (event.kind === EVENT_KINDS.syncSg)
      return `dma_sync_sg_for_${event.detail === 1 ? 'device' : 'cpu'}: ${device} ${direction} dma_addrs=${array(iova)} sizes=${array(sizes)}`;
    if (event.kind === EVENT_KINDS.unmapSg)
      return `dma_unmap_sg: ${device} ${direction} phys_addrs=${array(physical)} attrs=`;
    const nents = `nents=${Math.min(physical.length, MOST_ENTRIES)}/${Math.max(event.detail, physical.length)}`;
    const ents = `ents=${Math.min(iova.length, MOST_ENTRIES)}/${iova.length}`;
    const cut = iova.length > MOST_ENTRIES || physical.length > MOST_ENTRIES ? ' [TRUNCATED]' : '';
    return `dma_map_sg: ${device} ${direction} ${nents} ${ents}${cut} dma_addrs=${array(iova)} sizes=${array(sizes)} phys_addrs=${array(physical)} attrs=`;
  }

  private line({ timeNs, cpu, pid }: Stamp, payload: string): void {
    const { origin, write } = this.options;
    let seconds = Math.floor(timeNs / 1e9);
    let rest = timeNs - seconds * 1e9;
    if (origin !== undefined) {
      seconds += origin.seconds;
      rest += origin.nanoseconds;
      if (rest >= 1e9) {
        rest -= 1e9;
        seconds++;
      }
    }
    const time = `${String(seconds).padStart(5)}.${String(rest).padStart(9, '0')}`;
    const task = `${TASK.padStart(16)}-${String(Math.max(0, pid)).padEnd(7)}`;
    write(`${task} [${String(Math.max(0, cpu)).padStart(3, '0')}] ..... ${time}: ${payload}\n`);
  }

  /** @returns what follows the time; null for what is not written */
  private payload(event: RecordedEvent): string | null {
    const { kind } = event;
    const traced =
      (kind !== EVENT_KINDS.invalidate && kind !== EVENT_KINDS.invalidateDevice) || this.options.queued !== false;
    const kernel = traced ? kernelPayloads[kind] : undefined;
    if (kernel !== undefined) return kernel(event, event.device === ABSENT ? '' : this.options.device(event.device));
    const lab = this.options.labEvents ? labPayloads[kind] : undefined;
    return lab === undefined ? null : lab(event, event.device === ABSENT ? '' : this.options.device(event.device));
  }
}

type Payload = (event: RecordedEvent, device: string) => string | null;

function dmaAddress({ iovaPage, iovaOffset }: RecordedEvent): string {
  return iovaPage === ABSENT ? NO_ADDRESS : hexAddress(iovaPage, iovaOffset);
}

function range({ iovaPage, iovaOffset, lengthBytes }: RecordedEvent): string {
  endOf(iovaPage, iovaOffset, lengthBytes);
  return `iova=${wide(iovaPage, iovaOffset)} - ${wide(end.page, end.offset)}`;
}

/** Of events that kernels trace. */
const kernelPayloads: Partial<Record<EventKind, Payload>> = {
  [EVENT_KINDS.map]: (event, device) =>
    `dma_map_phys: ${device} dir=${directionWord(event.direction)} dma_addr=${dmaAddress(event)} size=${event.lengthBytes} phys_addr=${hexAddress(event.physicalPage, event.physicalOffset)} attrs=`,
  [EVENT_KINDS.unmap]: (event, device) =>
    `dma_unmap_phys: ${device} dir=${directionWord(event.direction)} dma_addr=${dmaAddress(event)} size=${event.lengthBytes} attrs=`,
  [EVENT_KINDS.alloc]: (event, device) =>
    `dma_alloc: ${device} dir=${directionWord(event.direction)} dma_addr=${dmaAddress(event)} size=${event.lengthBytes} virt_addr=${POINTER} flags=GFP_KERNEL attrs=`,
  [EVENT_KINDS.free]: (event, device) =>
    `dma_free: ${device} dir=${directionWord(event.direction)} dma_addr=${dmaAddress(event)} size=${event.lengthBytes} virt_addr=${POINTER} attrs=`,
  [EVENT_KINDS.sync]: (event, device) =>
    `dma_sync_single_for_${event.detail === 1 ? 'device' : 'cpu'}: ${device} dir=${directionWord(event.direction)} dma_addr=${dmaAddress(event)} size=${event.lengthBytes}`,
  [EVENT_KINDS.failed]: (event, device) =>
    `dma_map_sg_err: ${device} dir=${directionWord(event.direction)} dma_addrs={} err=${event.detail === ABSENT ? ENOMEM : -Math.abs(event.detail)} attrs=`,
  [EVENT_KINDS.iommuMap]: (event) =>
    `map: IOMMU: ${range(event)} paddr=${wide(event.physicalPage, event.physicalOffset)} size=${event.lengthBytes}`,
  [EVENT_KINDS.iommuUnmap]: (event) =>
    `unmap: IOMMU: ${range(event)} size=${event.lengthBytes} unmapped_size=${event.detail === ABSENT ? event.lengthBytes : event.detail}`,
  [EVENT_KINDS.fault]: (event, device) =>
    `io_page_fault: IOMMU:${TASK} ${device} iova=${wide(event.iovaPage, event.iovaOffset)} flags=0x${Math.max(0, event.detail).toString(16).padStart(4, '0')}`,
  [EVENT_KINDS.attach]: (_event, device) => `attach_device_to_domain: IOMMU: device=${device}`,
  [EVENT_KINDS.detach]: (_event, device) => `detach_device_from_domain: IOMMU: device=${device}`,
  [EVENT_KINDS.invalidate]: (event) => `qi_submit: ${descriptor(event)}`,
  [EVENT_KINDS.invalidateDevice]: (event) => `qi_submit: ${deviceDescriptor(event)}`,
};

/** The IOTLB descriptor: type, granularity, both drains, domain; base and mask. */
function descriptor({ detail, domain, iovaPage, lengthBytes }: RecordedEvent): string {
  const tag = detail === GRANULARITY.all ? 0 : Math.max(0, domain);
  const low = 0x2 + (detail << 4) + 0xc0 + tag * 0x10000;
  let high = '0';
  if (detail === GRANULARITY.pages) {
    let mask = 0;
    for (let pages = 1; pages * 4096 < lengthBytes; pages *= 2) mask++;
    high = hexAddress(iovaPage, mask);
  }
  return `iotlb_inv ${UNIT}: 0x${low.toString(16)} 0x${high} 0x0 0x0`;
}

/** Of a device's TLB: the requester id above the type; with the size bit, the page's lowest bits say how many pages. */
function deviceDescriptor({ detail, domain, iovaPage, lengthBytes }: RecordedEvent): string {
  const source = Math.max(0, domain).toString(16);
  const low = `0x${source === '0' ? '' : source}${source === '0' ? '3' : '00000003'}`;
  if (detail === GRANULARITY.all) return `dev_tlb_inv ${UNIT}: ${low} 0x7ffffffffffff001 0x0 0x0`;
  const pages = lengthBytes / 4096;
  const coded = pages === 1 ? hexAddress(iovaPage, 0) : hexAddress(iovaPage + pages / 2 - 1, 1);
  return `dev_tlb_inv ${UNIT}: ${low} 0x${coded} 0x0 0x0`;
}

function scope({ detail, domain, iovaPage, iovaOffset, lengthBytes }: RecordedEvent): string {
  if (detail === GRANULARITY.all) return 'scope=global';
  if (detail === GRANULARITY.domain) return `scope=domain domain=${domain}`;
  return `scope=range domain=${domain} iova=0x${hexAddress(iovaPage, iovaOffset)} size=${lengthBytes}`;
}

/** Of what none traces. */
const labPayloads: Partial<Record<EventKind, Payload>> = {
  [EVENT_KINDS.access]: (event, device) => {
    const verdict = VERDICT_NAMES[event.detail];
    return `iommu_lab:access: ${device} op=${event.write === 1 ? 'write' : 'read'} iova=0x${hexAddress(event.iovaPage, event.iovaOffset)} size=${event.lengthBytes} ps=${event.timePs}${verdict === undefined ? '' : ` verdict=${verdict}`}`;
  },
  [EVENT_KINDS.buffer]: (event) =>
    `iommu_lab:buffer: buffer=${event.detail} owner=${Math.max(0, event.domain)} paddr=0x${hexAddress(event.physicalPage, event.physicalOffset)} size=${event.lengthBytes} ps=${event.timePs}`,
  [EVENT_KINDS.bufferFree]: (event) => `iommu_lab:free: buffer=${event.detail} ps=${event.timePs}`,
  [EVENT_KINDS.invalidate]: (event) => `iommu_lab:invalidate: ${scope(event)} ps=${event.timePs}`,
  [EVENT_KINDS.call]: (event, device) =>
    `iommu_lab:call: ${device === '' ? '' : `${device} `}op=${CALL_OPS[event.detail]} ps=${event.timePs}`,
};
