/**
 * Events of the DMA API: what a driver asked for.
 *
 * Source: Linux `include/trace/events/dma.h`. The device comes first, bare. Every form prints `attrs=` last, but the syncs and
 * `dma_free_sgt`, so that a line cut short shows. `dma_alloc` and `dma_free` had no `dir=` in 6.12; `dma_map_sg` had no `nents=` and
 * `ents=` at first. What `dma_map_sg_err` prints as `dma_addrs` are physical addresses. `dma_unmap_sg` has no IOVA at all.
 */
import { ABSENT, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import {
  ATTRIBUTES,
  DIRECTION,
  ENTS,
  ERROR,
  type Fields,
  IOVA,
  IOVAS,
  NENTS,
  PHYSICAL,
  PHYSICALS,
  SIZE,
  SIZES,
  TRUNCATED,
  VIRTUAL,
} from './fields.ts';

const MAP = IOVA | SIZE | PHYSICAL | DIRECTION | ATTRIBUTES;
const UNMAP = IOVA | SIZE | DIRECTION | ATTRIBUTES;

/**
 * The device, and the words after it.
 *
 * @param needed fields that there must be
 * @param missing said where there are not
 * @returns '', or why not
 */
export function readDeviceAndFields(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  needed: number,
  missing: string,
): string {
  let equals = start;
  while (equals < end && bytes[equals] !== 0x3d) equals++;
  if (equals === end) return 'cut before its first field';
  let deviceEnd = equals;
  while (deviceEnd > start && bytes[deviceEnd] !== 0x20) deviceEnd--;
  if (deviceEnd === start) return 'no device';
  const wrong = fields.read(bytes, deviceEnd + 1, end);
  if (wrong !== '') return wrong;
  return has(fields, needed) ? intake.device(bytes, start, deviceEnd) : missing;
}

function has(fields: Fields, needed: number): boolean {
  return (fields.present & needed) === needed;
}

/** IOVA, size, direction, and the physical address where there is one. */
function fill(intake: Intake, fields: Fields): void {
  const { event } = intake;
  event.iovaPage = fields.iovaPage;
  event.iovaOffset = fields.iovaOffset;
  event.lengthBytes = fields.size;
  if ((fields.present & DIRECTION) !== 0) event.direction = fields.direction;
  if ((fields.present & PHYSICAL) !== 0) {
    event.physicalPage = fields.physicalPage;
    event.physicalOffset = fields.physicalOffset;
  }
}

export function readMap(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    MAP,
    'no dir, dma_addr, size, phys_addr or attrs',
  );
  if (wrong !== '') return wrong;
  fill(intake, fields);
  intake.emit(EVENT_KINDS.map);
  return '';
}

export function readUnmap(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(intake, fields, bytes, start, end, UNMAP, 'no dir, dma_addr, size or attrs');
  if (wrong !== '') return wrong;
  fill(intake, fields);
  intake.emit(EVENT_KINDS.unmap);
  return '';
}

/** `dma_alloc`, `dma_alloc_pages`: without an address when it failed. */
export function readAlloc(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    IOVA | SIZE | ATTRIBUTES,
    'no dma_addr, size or attrs',
  );
  if (wrong !== '') return wrong;
  fill(intake, fields);
  const failed =
    has(fields, VIRTUAL) && fields.isVirtualNull && fields.iovaPage === 0 && fields.iovaOffset === 0 && fields.size > 0;
  if (failed) {
    intake.event.iovaPage = ABSENT;
    intake.event.iovaOffset = ABSENT;
  }
  intake.emit(failed ? EVENT_KINDS.failed : EVENT_KINDS.alloc);
  return '';
}

export function readFree(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    IOVA | SIZE | ATTRIBUTES,
    'no dma_addr, size or attrs',
  );
  if (wrong !== '') return wrong;
  fill(intake, fields);
  intake.emit(EVENT_KINDS.free);
  return '';
}

/** One IOVA, several physical ranges, whose sizes are not traced: the first of them is kept. */
function fillScattered(intake: Intake, fields: Fields): void {
  fill(intake, fields);
  if (!has(fields, PHYSICALS) || fields.physicalCount === 0) return;
  intake.event.physicalPage = fields.physicalPages[0]!;
  intake.event.physicalOffset = fields.physicalOffsets[0]!;
}

export function readAllocScattered(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  const needed = IOVA | SIZE | PHYSICALS | ATTRIBUTES;
  const missing = 'no dma_addr, size, phys_addrs or attrs';
  const wrong = readDeviceAndFields(intake, fields, bytes, start, end, needed, missing);
  if (wrong !== '') return wrong;
  fillScattered(intake, fields);
  intake.emit(EVENT_KINDS.alloc);
  return '';
}

/** With `phys_addrs=` and nothing after it, or as `dma_free` with a pointer and `attrs=`. */
export function readFreeScattered(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  const missing = 'no dma_addr, size, phys_addrs or attrs';
  const wrong = readDeviceAndFields(intake, fields, bytes, start, end, IOVA | SIZE, missing);
  if (wrong !== '') return wrong;
  if (!has(fields, PHYSICALS) && !has(fields, ATTRIBUTES)) return missing;
  fillScattered(intake, fields);
  intake.emit(EVENT_KINDS.free);
  return '';
}

export function readAllocFailed(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(intake, fields, bytes, start, end, SIZE | ATTRIBUTES, 'no size or attrs');
  if (wrong !== '') return wrong;
  intake.event.lengthBytes = fields.size;
  if (has(fields, DIRECTION)) intake.event.direction = fields.direction;
  intake.emit(EVENT_KINDS.failed);
  return '';
}

/**
 * As many IOVA ranges as physical ones and none left out: they belong together one by one. Otherwise the IOMMU has put some together,
 * and there is a range for each IOVA, then one for each physical address.
 */
export function readMapSg(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    IOVAS | SIZES | PHYSICALS | DIRECTION | ATTRIBUTES,
    'no dir, dma_addrs, sizes, phys_addrs or attrs',
  );
  if (wrong !== '') return wrong;
  const { event, ranges, account } = intake;
  const { iovaCount, physicalCount } = fields;
  if (fields.sizeCount !== iovaCount) return 'not as many sizes as dma_addrs';
  const total = has(fields, NENTS) ? fields.nents : physicalCount;
  const totalIovas = has(fields, ENTS) ? fields.ents : iovaCount;
  if (total < physicalCount || totalIovas < iovaCount) return 'more ranges than it says there are';
  // With nothing mapped, IOVAs and sizes are what the list had before.
  let length = 0;
  for (let i = 0; i < iovaCount; i++) {
    const range = ranges.add();
    ranges.iovaPage[range] = fields.iovaPages[i]!;
    ranges.iovaOffset[range] = fields.iovaOffsets[i]!;
    ranges.lengthBytes[range] = fields.sizeList[i]!;
    length += fields.sizeList[i]!;
  }
  if (!(length <= Number.MAX_SAFE_INTEGER)) return 'sizes that are no numbers below 2^53';
  addPhysical(intake, fields, total === totalIovas && iovaCount === physicalCount);
  if (has(fields, TRUNCATED) || total > physicalCount || totalIovas > iovaCount)
    account.warn('a scatter list is traced in part: the kernel traces 128 ranges at most');
  event.direction = fields.direction;
  event.lengthBytes = length;
  event.detail = total;
  if (iovaCount > 0) {
    event.iovaPage = fields.iovaPages[0]!;
    event.iovaOffset = fields.iovaOffsets[0]!;
  }
  intake.emit(EVENT_KINDS.mapSg);
  return '';
}

/** @param beside each in the range of the same place, which is there; otherwise each in a range of its own */
function addPhysical({ event, ranges }: Intake, fields: Fields, beside: boolean): void {
  const { physicalCount } = fields;
  for (let i = 0; i < physicalCount; i++) {
    if (!beside && ranges.count === ranges.iovaPage.length) break;
    const range = beside ? i : ranges.add();
    ranges.physicalPage[range] = fields.physicalPages[i]!;
    ranges.physicalOffset[range] = fields.physicalOffsets[i]!;
  }
  if (physicalCount === 0) return;
  event.physicalPage = fields.physicalPages[0]!;
  event.physicalOffset = fields.physicalOffsets[0]!;
}

export function readMapSgFailed(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    IOVAS | ERROR | DIRECTION | ATTRIBUTES,
    'no dir, dma_addrs, err or attrs',
  );
  if (wrong !== '') return wrong;
  const { event } = intake;
  event.direction = fields.direction;
  event.detail = fields.error;
  if (fields.iovaCount > 0) {
    event.physicalPage = fields.iovaPages[0]!;
    event.physicalOffset = fields.iovaOffsets[0]!;
  }
  intake.emit(EVENT_KINDS.failed);
  return '';
}

export function readUnmapSg(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    PHYSICALS | DIRECTION | ATTRIBUTES,
    'no dir, phys_addrs or attrs',
  );
  if (wrong !== '') return wrong;
  addPhysical(intake, fields, false);
  intake.event.direction = fields.direction;
  intake.event.detail = fields.physicalCount;
  intake.emit(EVENT_KINDS.unmapSg);
  return '';
}

export function readSync(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  forDevice: number,
): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    IOVA | SIZE | DIRECTION,
    'no dir, dma_addr or size',
  );
  if (wrong !== '') return wrong;
  fill(intake, fields);
  intake.event.detail = forDevice;
  intake.emit(EVENT_KINDS.sync);
  return '';
}

export function readSyncSg(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  forDevice: number,
): string {
  const wrong = readDeviceAndFields(
    intake,
    fields,
    bytes,
    start,
    end,
    IOVAS | SIZES | DIRECTION,
    'no dir, dma_addrs or sizes',
  );
  if (wrong !== '') return wrong;
  const { event, ranges } = intake;
  if (fields.sizeCount !== fields.iovaCount) return 'not as many sizes as dma_addrs';
  let length = 0;
  for (let i = 0; i < fields.iovaCount; i++) {
    const range = ranges.add();
    ranges.iovaPage[range] = fields.iovaPages[i]!;
    ranges.iovaOffset[range] = fields.iovaOffsets[i]!;
    ranges.lengthBytes[range] = fields.sizeList[i]!;
    length += fields.sizeList[i]!;
  }
  if (!(length <= Number.MAX_SAFE_INTEGER)) return 'sizes that are no numbers below 2^53';
  event.direction = fields.direction;
  event.lengthBytes = length;
  event.detail = forDevice;
  if (fields.iovaCount > 0) {
    event.iovaPage = fields.iovaPages[0]!;
    event.iovaOffset = fields.iovaOffsets[0]!;
  }
  intake.emit(EVENT_KINDS.syncSg);
  return '';
}
