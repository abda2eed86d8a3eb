/**
 * `block_rq_issue` and `block_rq_complete`: a request is handed to the disk, and comes back.
 *
 * Source: Linux `include/trace/events/block.h`; `254,16 R 0 () 7322849 + 16 [randread.pl]` of issue, without the bytes of complete, and
 * since 6.11 with the priority before the bracket: `259,1 RA 131072 () 2209576568 + 256 0x2,0,4 [graph_traverse_]`. Sectors have 512
 * bytes.
 */
import { DIRECTIONS, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { decimal } from './digits.ts';
import type { Fields } from './fields.ts';

export const SECTOR_BYTES = 512;

/**
 * What the letters of a request say: R, W, D discard, F flush, N none, and more. A flush before or after a write is an `F` too, so the
 * letter of the data counts wherever it stands.
 *
 * @returns 1 when memory is written, 0 when it is read, -1 when no data is moved
 */
export function memoryIsWritten(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    if (bytes[i] === 0x52) return 1;
    if (bytes[i] === 0x57) return 0;
    if (bytes[i] === 0x44) return -1;
  }
  return -1;
}

/** Direction, length and sector of an I/O, in the event. */
export function fillIo(intake: Intake, written: number, sector: number, lengthBytes: number): void {
  const { event } = intake;
  event.write = written;
  event.direction = written === 1 ? DIRECTIONS.fromDevice : DIRECTIONS.toDevice;
  event.detail = sector;
  event.lengthBytes = lengthBytes;
}

/** Understood, and maps nothing. */
export function passNoData(intake: Intake): string {
  intake.account.warn('flushes, discards and the like move no data and become no event');
  return '';
}

export function readRequest(
  intake: Intake,
  { words }: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  isIssued: boolean,
): string {
  words.open(bytes, start, end);
  if (!words.next() || words.find(0x2c) < 0) return 'no device';
  const deviceStart = words.start;
  const deviceEnd = words.end;
  if (!words.next()) return 'no letters of the request';
  const lettersStart = words.start;
  const lettersEnd = words.end;
  // The command, in parentheses and hexadecimal bytes, is empty but for SCSI commands of old.
  do if (!words.next()) return 'no command';
  while (bytes[words.start] !== 0x28);
  while (bytes[words.end - 1] !== 0x29) if (!words.next()) return 'no command';
  if (!words.next()) return 'no sector';
  const sector = decimal(bytes, words.start, words.end);
  if (!words.next() || words.end - words.start !== 1 || bytes[words.start] !== 0x2b) return 'no sector and length';
  if (!words.next()) return 'no sector and length';
  const sectors = decimal(bytes, words.start, words.end);
  const written = memoryIsWritten(bytes, lettersStart, lettersEnd);
  let hasBracket = false;
  while (words.next()) hasBracket ||= bytes[words.start] === 0x5b;
  if (!hasBracket || bytes[end - 1] !== 0x5d) return 'cut before its end';
  if (written < 0 || sectors === 0) return passNoData(intake);
  if (sector < 0 || sectors < 0 || sectors >= 2 ** 32) return 'no sector and length';
  const unnamed = intake.device(bytes, deviceStart, deviceEnd);
  if (unnamed !== '') return unnamed;
  fillIo(intake, written, sector, sectors * SECTOR_BYTES);
  intake.emit(isIssued ? EVENT_KINDS.ioStart : EVENT_KINDS.ioEnd);
  return '';
}
