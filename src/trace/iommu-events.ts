/**
 * Payloads of the kernel's tracepoints that say what was mapped, unmapped and blocked.
 *
 * Source: Linux `include/trace/events/iommu.h` and `dma.h`. Fields came and went between versions, so they are read by name and
 * never by place: before Linux 5.17 `map` and `unmap` printed no end of the range; `dma_alloc` and `dma_free` had no `dir=` at first;
 * `iova` and `paddr` have a `0x`, `dma_addr` has none.
 */

export interface MapEvent {
  event: 'map';
  iova: bigint;
  physicalAddress: bigint;
  lengthBytes: number;
}
export interface UnmapEvent {
  event: 'unmap';
  iova: bigint;
  lengthBytes: number;
  /** Less than `lengthBytes` where the range had holes. */
  unmappedBytes: number;
}
/** Coherent memory of a driver, given and taken back. */
export interface AllocationEvent {
  event: 'dma_alloc' | 'dma_free';
  /** As the kernel names it, `0000:c2:00.0`. */
  device: string;
  iova: bigint;
  lengthBytes: number;
}
export interface PageFaultEvent {
  event: 'io_page_fault';
  device: string;
  iova: bigint;
  write: boolean;
}
export type TraceEvent = MapEvent | UnmapEvent | AllocationEvent | PageFaultEvent;

/** What cannot be read, and why. */
export interface Unreadable {
  unreadable: string;
}

/** `IOMMU_FAULT_WRITE`, Linux `include/linux/iommu.h`. */
const FAULT_WRITE = 1;

type Reader = (payload: string, fields: Map<string, string>) => TraceEvent | Unreadable;

const READERS: Record<TraceEvent['event'], Reader> = {
  map(payload, fields) {
    const range = rangeOf(payload, fields);
    const physicalAddress = hex(fields.get('paddr'));
    if ('unreadable' in range) return range;
    if (physicalAddress === null) return { unreadable: 'map: no paddr' };
    return { event: 'map', physicalAddress, ...range };
  },
  unmap(payload, fields) {
    const range = rangeOf(payload, fields);
    if ('unreadable' in range) return range;
    const unmappedBytes = decimal(fields.get('unmapped_size'));
    if (unmappedBytes === null) return { unreadable: 'unmap: no unmapped_size' };
    return { event: 'unmap', unmappedBytes, ...range };
  },
  dma_alloc: (payload, fields) => allocation('dma_alloc', payload, fields),
  dma_free: (payload, fields) => allocation('dma_free', payload, fields),
  io_page_fault(payload, fields) {
    // `IOMMU:<driver> <device> iova=...`: no blank after the colon, and a driver's name has none.
    const device = /^IOMMU:\S+ (\S+) iova=/.exec(payload)?.[1];
    const iova = hex(fields.get('iova'));
    const flags = hex(fields.get('flags'));
    if (device === undefined || iova === null || flags === null)
      return { unreadable: 'io_page_fault: no device, iova or flags' };
    return { event: 'io_page_fault', device, iova, write: (Number(flags) & FAULT_WRITE) !== 0 };
  },
};

export function readEvent(event: string, payload: string): TraceEvent | Unreadable {
  if (!Object.hasOwn(READERS, event)) return { unreadable: `the event ${event} is not understood` };
  const fields = new Map<string, string>();
  for (const [, name, value] of payload.matchAll(/(\w+)=(\S*)/g)) fields.set(name!, value!);
  return READERS[event as TraceEvent['event']](payload, fields);
}

function rangeOf(payload: string, fields: Map<string, string>): { iova: bigint; lengthBytes: number } | Unreadable {
  const iova = hex(fields.get('iova'));
  const lengthBytes = decimal(fields.get('size'));
  if (iova === null || lengthBytes === null) return { unreadable: 'map or unmap: no iova or size' };
  const end = hex(/iova=\S+ - (0x[0-9a-f]+)/i.exec(payload)?.[1]);
  if (end !== null && end !== iova + BigInt(lengthBytes))
    return { unreadable: 'map or unmap: the end of the range is not iova + size' };
  return { iova, lengthBytes };
}

function allocation(
  event: AllocationEvent['event'],
  payload: string,
  fields: Map<string, string>,
): AllocationEvent | Unreadable {
  const device = /^(\S+) /.exec(payload)?.[1];
  const iova = hex(fields.get('dma_addr'));
  const lengthBytes = decimal(fields.get('size'));
  if (device === undefined || iova === null || lengthBytes === null)
    return { unreadable: `${event}: no device, dma_addr or size` };
  return { event, device, iova, lengthBytes };
}

/** With `0x` or without. */
function hex(text: string | undefined): bigint | null {
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(text ?? '')?.[1];
  return digits === undefined ? null : BigInt(`0x${digits}`);
}

function decimal(text: string | undefined): number | null {
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : null;
}
