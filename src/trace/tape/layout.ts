/**
 * How a tape lies in its file. All numbers are little-endian.
 *
 *   header     4 KiB: "IOMMUTAP", version, sizes, CRC-32
 *   pages      64 KiB each: 780 records of 84 bytes, then how many are used, the page's number and the CRC-32 of what is before it
 *   late pages the same with entries of 16 bytes: links that became known when the record's page was on the disk already
 *   footer     JSON: names of the devices, notes, which late pages there are, and what the importer says of the recording
 *   seal       96 bytes at the end: "TAPESEAL", version, where the footer is, how many records, SHA-256, CRC-32s
 *
 * A file without a seal is one whose writer did not come to its end. The SHA-256 is over the pages and the devices' names: two tapes
 * with the same one replay alike. Each page has a sum of its own, as a replay reads some of them and cannot wait for all.
 *
 * A record has its numbers at fixed places and no compression, so that any one is found by its index: a mapping that is ended a
 * million events later is looked up, not remembered.
 *
 * Events name the earlier ones that they belong to; who reads a map wants its unmap. So each link is written at its other end, too. The
 * last 512 pages (400,000 events) stay in memory, and a link into these is written where it belongs; others are gathered, sorted a million
 * at a time, and searched by who reads.
 */
import { crc32 } from 'node:zlib';

/** Rises when the layout changes, or what a kind's fields mean: a tape of another version is made anew from its recording. */
export const TAPE_VERSION = 1;

export const HEADER_BYTES = 4_096;
export const PAGE_BYTES = 65_536;
export const RECORD_BYTES = 84;
export const PAGE_RECORDS = 780;
export const SEAL_BYTES = 96;
export const HEADER_MAGIC = Buffer.from('IOMMUTAP');
export const SEAL_MAGIC = Buffer.from('TAPESEAL');

/** Byte offsets within a record. */
export const AT = {
  timeNs: 0,
  iovaPage: 8,
  lengthBytes: 16,
  physicalPage: 24,
  detail: 32,
  line: 40,
  partner: 48,
  /** How far away in records is the call that this is half of, or the half that tells of it; 0: none. */
  call: 56,
  cpu: 60,
  pid: 64,
  device: 68,
  domain: 72,
  timePs: 76,
  iovaOffset: 78,
  physicalOffset: 80,
  kind: 82,
  /** Direction + 1 in the low four bits, write + 1 above. */
  flags: 83,
} as const;

/** Pages that stay in memory while they are written: part of the format, as links into them lie elsewhere than others. */
export const RING_PAGES = 512;
/** Of a late page: record * 2 + which link, and where it leads; both doubles. Rising. */
export const LATE_BYTES = 16;
export const LATE_ENTRIES = 4_094;
/** Links gathered before they are sorted and written. */
export const RUN_ENTRIES = 1_048_576;
export const LINKS = { partner: 0, call: 1 } as const;

/** Late pages that rise together. */
export interface LateRun {
  firstPage: number;
  entries: number;
}

/** Behind what a page holds. */
export const PAGE_USED_AT = PAGE_BYTES - 12;
export const PAGE_NUMBER_AT = PAGE_BYTES - 8;
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
/** Of devices' names, notes and summary, which are bounded each. */
export const LARGEST_FOOTER_BYTES = 64 * 1024 * 1024;
/** Comments of our own exports. */
export const MOST_NOTES = 1_000;
export const LONGEST_NOTE = 65_536;
export const LARGEST_NOTES_BYTES = 1_048_576;

export interface Note {
  text: string;
  line: number;
}

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

/** Writes the end of a page. @param bytes all of it */
export function closePage(bytes: Buffer, used: number, number: number): void {
  bytes.writeUInt32LE(used, PAGE_USED_AT);
  bytes.writeUInt32LE(number, PAGE_NUMBER_AT);
  bytes.writeUInt32LE(sumOf(bytes.subarray(0, PAGE_SUM_AT)), PAGE_SUM_AT);
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
