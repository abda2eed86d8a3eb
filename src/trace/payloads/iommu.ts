/**
 * Events of the IOMMU API: what is written into the page tables, which device is in which group and domain, faults.
 *
 * Source: Linux `include/trace/events/iommu.h`. Before 5.17 `map` and `unmap` print no end of the range; a proposal of 2021 adds the
 * device, `dev=`. Otherwise neither names device or domain. The fault has no blank after its `IOMMU:`, then the driver, then the device.
 */
import { EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { DEVICE, type Fields, FLAGS, GROUP, IOVA, PHYSICAL, RANGE_END, SIZE, UNMAPPED } from './fields.ts';

/** `IOMMU_FAULT_WRITE`, Linux `include/linux/iommu.h`. */
const FAULT_WRITE = 1;
const PAGE_BYTES = 4096;
const SPACE = 0x20;

/** After `IOMMU:`; -1 where it is not. */
function afterTitle(bytes: Uint8Array, start: number, end: number): number {
  const isThere =
    end - start > 6 &&
    bytes[start] === 0x49 &&
    bytes[start + 1] === 0x4f &&
    bytes[start + 2] === 0x4d &&
    bytes[start + 3] === 0x4d &&
    bytes[start + 4] === 0x55 &&
    bytes[start + 5] === 0x3a;
  return isThere ? start + 6 : -1;
}

/** Whether the end that the line prints is where the size puts it. */
function isEndRight(fields: Fields): boolean {
  if ((fields.present & RANGE_END) === 0) return true;
  const { iovaPage, iovaOffset, size, endPage, endOffset } = fields;
  const wholePages = Math.floor(size / PAGE_BYTES);
  const offset = iovaOffset + (size - wholePages * PAGE_BYTES);
  const carry = offset >= PAGE_BYTES ? 1 : 0;
  // The end of a range that reaches the top of the address space is 0.
  return offset - carry * PAGE_BYTES === endOffset && (iovaPage + wholePages + carry) % 2 ** 52 === endPage;
}

/** Of both: the words, the end, the device where it is named. */
function readRange(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  needed: number,
  missing: string,
): string {
  const at = afterTitle(bytes, start, end);
  if (at < 0) return 'no IOMMU: before the fields';
  const wrong = fields.read(bytes, at, end);
  if (wrong !== '') return wrong;
  if ((fields.present & needed) !== needed) return missing;
  if (!isEndRight(fields)) return 'the end of the range is not iova + size';
  const { event } = intake;
  event.iovaPage = fields.iovaPage;
  event.iovaOffset = fields.iovaOffset;
  event.lengthBytes = fields.size;
  return (fields.present & DEVICE) === 0 ? '' : intake.device(bytes, fields.deviceStart, fields.deviceEnd);
}

export function readIommuMap(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const missing = 'no iova, paddr or size';
  const wrong = readRange(intake, fields, bytes, start, end, IOVA | PHYSICAL | SIZE, missing);
  if (wrong !== '') return wrong;
  intake.event.physicalPage = fields.physicalPage;
  intake.event.physicalOffset = fields.physicalOffset;
  intake.emit(EVENT_KINDS.iommuMap);
  return '';
}

export function readIommuUnmap(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const missing = 'no iova, size or unmapped_size';
  const wrong = readRange(intake, fields, bytes, start, end, IOVA | SIZE | UNMAPPED, missing);
  if (wrong !== '') return wrong;
  intake.event.detail = fields.unmapped;
  intake.emit(EVENT_KINDS.iommuUnmap);
  return '';
}

export function readFault(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const driver = afterTitle(bytes, start, end);
  if (driver < 0) return 'no IOMMU: before the driver';
  let deviceStart = driver;
  while (deviceStart < end && bytes[deviceStart] !== SPACE) deviceStart++;
  deviceStart++;
  let deviceEnd = deviceStart;
  while (deviceEnd < end && bytes[deviceEnd] !== SPACE) deviceEnd++;
  if (deviceEnd >= end) return 'no device, iova or flags';
  const wrong = fields.read(bytes, deviceEnd, end);
  if (wrong !== '') return wrong;
  if ((fields.present & (IOVA | FLAGS)) !== (IOVA | FLAGS) || fields.flags < 0) return 'no device, iova or flags';
  const { event } = intake;
  event.iovaPage = fields.iovaPage;
  event.iovaOffset = fields.iovaOffset;
  event.write = fields.flags % 2 === FAULT_WRITE ? 1 : 0;
  event.detail = fields.flags;
  const unnamed = intake.device(bytes, deviceStart, deviceEnd);
  if (unnamed !== '') return unnamed;
  intake.emit(EVENT_KINDS.fault);
  return '';
}

export function readAttach(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  isAttached: boolean,
): string {
  const at = afterTitle(bytes, start, end);
  const wrong = at < 0 ? 'no IOMMU: before the fields' : fields.read(bytes, at, end);
  if (wrong !== '') return wrong;
  if ((fields.present & DEVICE) === 0) return 'no device';
  const unnamed = intake.device(bytes, fields.deviceStart, fields.deviceEnd);
  if (unnamed !== '') return unnamed;
  intake.emit(isAttached ? EVENT_KINDS.attach : EVENT_KINDS.detach);
  return '';
}

export function readGroup(
  intake: Intake,
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  isAdded: boolean,
): string {
  const at = afterTitle(bytes, start, end);
  const wrong = at < 0 ? 'no IOMMU: before the fields' : fields.read(bytes, at, end);
  if (wrong !== '') return wrong;
  if ((fields.present & (DEVICE | GROUP)) !== (DEVICE | GROUP)) return 'no device or groupID';
  const unnamed = intake.device(bytes, fields.deviceStart, fields.deviceEnd);
  if (unnamed !== '') return unnamed;
  intake.event.detail = fields.group;
  intake.event.write = isAdded ? 1 : 0;
  intake.emit(EVENT_KINDS.group);
  return '';
}
