/**
 * How a tape lies in its file. All numbers are little-endian.
 *
 *   header     4 KiB: "IOMMUTAP", version, sizes, CRC-32
 *   pages      64 KiB each: 819 records of 80 bytes, then how many are used, the page's number and the CRC-32 of what is before it
 *   footer     JSON: names of the devices, and what the importer says of the recording
 *   seal       96 bytes at the end: "TAPESEAL", version, where the footer is, how many records, SHA-256, CRC-32s
 *
 * A file without a seal is one whose writer did not come to its end. The SHA-256 is over the pages and the devices' names: two tapes
 * with the same one replay alike. Each page has a sum of its own, as a replay reads some of them and cannot wait for all.
 *
 * A record has its numbers at fixed places and no compression, so that any one is found by its index: a mapping that is ended a
 * million events later is looked up, not remembered.
 */
import { crc32 } from 'node:zlib';

/** Rises when the layout changes, or what a kind's fields mean: a tape of another version is made anew from its recording. */
export const TAPE_VERSION = 1;

export const HEADER_BYTES = 4_096;
export const PAGE_BYTES = 65_536;
export const RECORD_BYTES = 80;
export const PAGE_RECORDS = 819;
export const SEAL_BYTES = 96;
export const HEADER_MAGIC = Buffer.from('IOMMUTAP');
export const SEAL_MAGIC = Buffer.from('TAPESEAL');

/** Byte offsets within a record. Doubles first, so that all are aligned. */
export const AT = {
  timeNs: 0,
  iovaPage: 8,
  lengthBytes: 16,
  physicalPage: 24,
  detail: 32,
  line: 40,
  partner: 48,
  cpu: 56,
  pid: 60,
  device: 64,
  domain: 68,
  timePs: 72,
  iovaOffset: 74,
  physicalOffset: 76,
  kind: 78,
  /** Direction + 1 in the low four bits, write + 1 above. */
  flags: 79,
} as const;

/** Behind the records of a page. */
export const PAGE_USED_AT = PAGE_RECORDS * RECORD_BYTES;
export const PAGE_NUMBER_AT = PAGE_USED_AT + 4;
export const PAGE_SUM_AT = PAGE_BYTES - 4;

export const HEADER_SUM_AT = HEADER_BYTES - 4;

export const SEAL_AT = {
  version: 8,
  footerBytes: 12,
  footerStart: 16,
  records: 24,
  digest: 32,
  footerSum: 88,
  sum: 92,
} as const;

/** More than any machine has; a recording that names more is none. */
export const MOST_DEVICES = 65_536;
export const LONGEST_DEVICE_NAME = 256;
/** Of devices' names and summary, which are bounded each. */
export const LARGEST_FOOTER_BYTES = 64 * 1024 * 1024;

export type TapeErrorCode =
  /** What was read is not what was written. */
  | 'damaged'
  /** Its writer did not come to its end. */
  | 'unsealed'
  /** Of another version. */
  | 'other-version'
  /** The disk has no room. */
  | 'disk-full'
  /** More bytes or devices than it may have. */
  | 'too-large'
  /** It cannot be opened, read or written. */
  | 'unusable';

export class TapeError extends Error {
  override name = 'TapeError';
  readonly code: TapeErrorCode;
  readonly path: string;
  /** Where in the file; null when it is about all of it. */
  readonly offset: number | null;

  constructor(code: TapeErrorCode, path: string, message: string, offset: number | null = null) {
    super(`${path}${offset === null ? '' : `, byte ${offset}`}: ${message}`);
    this.code = code;
    this.path = path;
    this.offset = offset;
  }
}

export function sumOf(bytes: Uint8Array): number {
  return crc32(bytes);
}

/** What stands before the first page; the same in every tape of this version. */
export function headerBytes(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  HEADER_MAGIC.copy(header);
  header.writeUInt32LE(TAPE_VERSION, 8);
  header.writeUInt32LE(HEADER_BYTES, 12);
  header.writeUInt32LE(PAGE_BYTES, 16);
  header.writeUInt32LE(RECORD_BYTES, 20);
  header.writeUInt32LE(PAGE_RECORDS, 24);
  header.writeUInt32LE(sumOf(header.subarray(0, HEADER_SUM_AT)), HEADER_SUM_AT);
  return header;
}

/** An error of the file system as one of the tape. */
export function fileError(path: string, error: unknown, doing: string): TapeError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new TapeError('disk-full', path, 'there is no room on the disk.');
  return new TapeError('unusable', path, `cannot be ${doing}: ${message}`);
}
