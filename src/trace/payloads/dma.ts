/**
 * Events of the DMA API: what a driver asked for.
 *
 * Source: Linux `include/trace/events/dma.h`. The device comes first, bare. Every form prints `attrs=` last, but the syncs and
 * `dma_free_sgt`, so that a line cut short shows. `dma_alloc` and `dma_free` had no `dir=` in 6.12; `dma_map_sg` had no `nents=` and
 * `ents=` at first. What `dma_map_sg_err` prints as `dma_addrs` are physical addresses. `dma_unmap_sg` has no IOVA at all.
 */
import { ABSENT, EVENT_KINDS, type EventKind } from '../event.ts';
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

/** What one range of addresses was done with: fields that the line must have, what is said where it has not, and what it becomes. */
export interface RangeForm {
  needed: number;
  /** Of these fields it must have one; 0 when that does not matter. */
  oneOf: number;
  missing: string;
  kind: EventKind;
  /** Of a sync; ABSENT otherwise. */
  detail: number;
}

const RANGE = IOVA | SIZE;
const PLAIN = { oneOf: 0, detail: ABSENT } as const;
const COHERENT = { ...PLAIN, needed: RANGE | ATTRIBUTES, missing: 'no dma_addr, size or attrs' } as const;
const SCATTERED = 'no dma_addr, size, phys_addrs or attrs';
const SYNC = {
  ...PLAIN,
  needed: RANGE | DIRECTION,
  missing: 'no dir, dma_addr or size',
  kind: EVENT_KINDS.sync,
} as const;

/** The same members in the same order, so that all have one hidden class. */
function form({ needed, oneOf, missing, kind, detail }: RangeForm): RangeForm {
  return { needed, oneOf, missing, kind, detail };
}

export const MAP = form({
  ...PLAIN,
  needed: RANGE | PHYSICAL | DIRECTION | ATTRIBUTES,
  missing: 'no dir, dma_addr, size, phys_addr or attrs',
  kind: EVENT_KINDS.map,
});
export const UNMAP = form({
  ...PLAIN,
  needed: RANGE | DIRECTION | ATTRIBUTES,
  missing: 'no dir, dma_addr, size or attrs',
  kind: EVENT_KINDS.unmap,
});
/** `dma_alloc`, `dma_alloc_pages`. */
export const ALLOC = form({ ...COHERENT, kind: EVENT_KINDS.alloc });
export const FREE = form({ ...COHERENT, kind: EVENT_KINDS.free });
/** One IOVA, several physical ranges, whose sizes are not traced. */
export const ALLOC_SCATTERED = form({
  ...PLAIN,
  needed: RANGE | PHYSICALS | ATTRIBUTES,
  missing: SCATTERED,
  kind: EVENT_KINDS.alloc,
});
/** With `phys_addrs=` and nothing after it, or as `dma_free` with a pointer and `attrs=`. */
export const FREE_SCATTERED = form({
  ...PLAIN,
  needed: RANGE,
  oneOf: PHYSICALS | ATTRIBUTES,
  missing: SCATTERED,
  kind: EVENT_KINDS.free,
});
export const SYNC_FOR_CPU = form({ ...SYNC, detail: 0 });
export const SYNC_FOR_DEVICE = form({ ...SYNC, detail: 1 });

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

/** The event of a line that has what its form needs: of several physical ranges the first is kept. */
export function readRange(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: RangeForm,
): string {
  const wrong = readDeviceAndFields(intake, fields, bytes, start, end, form.needed, form.missing);
  if (wrong !== '') return wrong;
  if (form.oneOf !== 0 && (fields.present & form.oneOf) === 0) return form.missing;
  const { event } = intake;
  event.iovaPage = fields.iovaPage;
  event.iovaOffset = fields.iovaOffset;
  event.lengthBytes = fields.size;
  event.detail = form.detail;
  if (has(fields, DIRECTION)) event.direction = fields.direction;
  if (has(fields, PHYSICAL)) {
    event.physicalPage = fields.physicalPage;
    event.physicalOffset = fields.physicalOffset;
  } else if (has(fields, PHYSICALS) && fields.physicalCount > 0) {
    event.physicalPage = fields.physicalPages[0]!;
    event.physicalOffset = fields.physicalOffsets[0]!;
  }
  const { kind } = form;
  if (kind === EVENT_KINDS.alloc && isFailed(fields)) {
    event.iovaPage = ABSENT;
    event.iovaOffset = ABSENT;
    intake.emit(EVENT_KINDS.failed);
  } else intake.emit(kind);
  return '';
}

/** An allocation that failed has a null pointer and no address. */
function isFailed(fields: Fields): boolean {
  return (
    has(fields, VIRTUAL) && fields.isVirtualNull && fields.iovaPage === 0 && fields.iovaOffset === 0 && fields.size > 0
  );
}

/** `dma_alloc_sgt_err`. */
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
  const { event, account } = intake;
  const { iovaCount, physicalCount } = fields;
  const total = has(fields, NENTS) ? fields.nents : physicalCount;
  const totalIovas = has(fields, ENTS) ? fields.ents : iovaCount;
  if (total < physicalCount || totalIovas < iovaCount) return 'more ranges than it says there are';
  // With nothing mapped, IOVAs and sizes are what the list had before.
  const unreadable = addIovas(intake, fields);
  if (unreadable !== '') return unreadable;
  addPhysical(intake, fields, total === totalIovas && iovaCount === physicalCount);
  if (has(fields, TRUNCATED) || total > physicalCount || totalIovas > iovaCount)
    account.warn('a scatter list is traced in part: the kernel traces 128 ranges at most');
  event.direction = fields.direction;
  event.detail = total;
  intake.emit(EVENT_KINDS.mapSg);
  return '';
}

/** A range for each IOVA; the event has the first of them and the length of all. @returns '', or why the line is skipped */
function addIovas({ event, ranges }: Intake, fields: Fields): string {
  const { iovaCount } = fields;
  if (fields.sizeCount !== iovaCount) return 'not as many sizes as dma_addrs';
  let length = 0;
  for (let i = 0; i < iovaCount; i++) {
    const range = ranges.add();
    ranges.iovaPage[range] = fields.iovaPages[i]!;
    ranges.iovaOffset[range] = fields.iovaOffsets[i]!;
    ranges.lengthBytes[range] = fields.sizeList[i]!;
    length += fields.sizeList[i]!;
  }
  if (!(length <= Number.MAX_SAFE_INTEGER)) return 'sizes that are no numbers below 2^53';
  event.lengthBytes = length;
  if (iovaCount > 0) {
    event.iovaPage = fields.iovaPages[0]!;
    event.iovaOffset = fields.iovaOffsets[0]!;
  }
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
  const unreadable = addIovas(intake, fields);
  if (unreadable !== '') return unreadable;
  const { event } = intake;
  event.direction = fields.direction;
  event.detail = forDevice;
  intake.emit(EVENT_KINDS.syncSg);
  return '';
}
