/**
 * Reads a tape by synchronous reads of pages, a few of which stay in memory: a simulation in a worker pulls its next event when it
 * wants it, and a recording of many gigabytes takes a megabyte.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { EventKind, RecordedEvent } from '../event.ts';
import {
  AT,
  fileError,
  HEADER_BYTES,
  HEADER_MAGIC,
  HEADER_SUM_AT,
  headerBytes,
  LARGEST_FOOTER_BYTES,
  PAGE_BYTES,
  PAGE_NUMBER_AT,
  PAGE_RECORDS,
  PAGE_SUM_AT,
  PAGE_USED_AT,
  RECORD_BYTES,
  SEAL_AT,
  SEAL_BYTES,
  SEAL_MAGIC,
  sumOf,
  TAPE_VERSION,
  TapeError,
} from './layout.ts';

const CACHE_PAGES = 16;

export interface TapeFacts {
  digest: string;
  records: number;
  devices: readonly string[];
  summary: unknown;
}

export class TapeReader {
  readonly path: string;
  /** How many events; their indices are 0 to `count` - 1. */
  readonly count: number;
  /** As the seal says: SHA-256 of the pages and the names. `verify` holds it against them. */
  readonly digest: string;
  readonly devices: readonly string[];
  /** What the importer said of the recording. */
  readonly summary: unknown;
  private readonly file: number;
  private readonly cache: PageCache;
  private closed = false;

  /**
   * @param cachePages kept in memory, 64 KiB each
   * @throws TapeError
   */
  constructor(path: string, cachePages = CACHE_PAGES) {
    this.path = path;
    try {
      this.file = openSync(path, 'r');
    } catch (error) {
      throw fileError(path, error, 'opened');
    }
    try {
      const { digest, records, devices, summary } = readFacts(path, this.file);
      this.digest = digest;
      this.count = records;
      this.devices = devices;
      this.summary = summary;
    } catch (error) {
      closeSync(this.file);
      throw error;
    }
    this.cache = new PageCache(path, this.file, this.count, cachePages);
  }

  /**
   * @param index 0 to `count` - 1
   * @param into filled with it; nothing of it is kept
   * @throws TapeError
   */
  read(index: number, into: RecordedEvent): void {
    const view = this.pageOf(index);
    const at = (index % PAGE_RECORDS) * RECORD_BYTES;
    const flags = view.getUint8(at + AT.flags);
    into.kind = view.getUint8(at + AT.kind) as EventKind;
    into.timeNs = view.getFloat64(at + AT.timeNs, true);
    into.timePs = view.getInt16(at + AT.timePs, true);
    into.cpu = view.getInt32(at + AT.cpu, true);
    into.pid = view.getInt32(at + AT.pid, true);
    into.device = view.getInt32(at + AT.device, true);
    into.domain = view.getInt32(at + AT.domain, true);
    into.iovaPage = view.getFloat64(at + AT.iovaPage, true);
    into.iovaOffset = view.getInt16(at + AT.iovaOffset, true);
    into.lengthBytes = view.getFloat64(at + AT.lengthBytes, true);
    into.physicalPage = view.getFloat64(at + AT.physicalPage, true);
    into.physicalOffset = view.getInt16(at + AT.physicalOffset, true);
    into.direction = (flags & 15) - 1;
    into.write = (flags >> 4) - 1;
    into.detail = view.getFloat64(at + AT.detail, true);
    into.line = view.getFloat64(at + AT.line, true);
  }

  /** Of the event that this one ends (of an unmap: its map); ABSENT when it ends none. @throws TapeError */
  partner(index: number): number {
    return this.pageOf(index).getFloat64((index % PAGE_RECORDS) * RECORD_BYTES + AT.partner, true);
  }

  /** Reads all of it. @throws TapeError, when what is there is not what the seal says */
  verify(): void {
    const hash = createHash('sha256');
    for (let page = 0; page * PAGE_RECORDS < this.count; page++) hash.update(this.cache.bytes(page));
    const digest = hash.update(JSON.stringify(this.devices)).digest('hex');
    if (digest !== this.digest)
      throw new TapeError(
        'damaged',
        this.path,
        `its content has the digest ${digest}, and its seal says ${this.digest}.`,
      );
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.file);
  }

  private pageOf(index: number): DataView {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`event ${index} of ${this.count}`);
    return this.cache.view(Math.floor(index / PAGE_RECORDS));
  }
}

/** @throws TapeError */
export function openTape(path: string): TapeReader {
  return new TapeReader(path);
}

/** Pages in memory; the one that was wanted longest ago gives way. */
class PageCache {
  private readonly path: string;
  private readonly file: number;
  private readonly count: number;
  private readonly slots: Buffer[] = [];
  private readonly views: DataView[] = [];
  private readonly pages: number[] = [];
  private readonly wanted: number[] = [];
  private readonly slotOf = new Map<number, number>();
  private readonly width: number;
  private now = 0;
  private lastPage = -1;
  private lastSlot = -1;

  constructor(path: string, file: number, count: number, width: number) {
    this.path = path;
    this.file = file;
    this.count = count;
    this.width = Math.max(1, width);
  }

  view(page: number): DataView {
    if (page !== this.lastPage) this.lastSlot = this.have(page);
    this.lastPage = page;
    return this.views[this.lastSlot] as DataView;
  }

  bytes(page: number): Buffer {
    this.view(page);
    return this.slots[this.lastSlot] as Buffer;
  }

  private have(page: number): number {
    let slot = this.slotOf.get(page);
    if (slot === undefined) slot = this.fill(page);
    this.wanted[slot] = ++this.now;
    return slot;
  }

  private fill(page: number): number {
    const slot = this.freeSlot();
    const bytes = this.slots[slot] as Buffer;
    // What is in the slot is gone now, even if what is read in its place is damaged.
    this.slotOf.delete(this.pages[slot] as number);
    this.pages[slot] = -1;
    this.lastPage = -1;
    const offset = HEADER_BYTES + page * PAGE_BYTES;
    readAt(this.path, this.file, bytes, offset);
    const stated = bytes.readUInt32LE(PAGE_SUM_AT);
    const sum = sumOf(bytes.subarray(0, PAGE_SUM_AT));
    if (sum !== stated)
      throw new TapeError(
        'damaged',
        this.path,
        `the page there has the sum ${hex(sum)}, and it was ${hex(stated)}.`,
        offset,
      );
    const used = Math.min(PAGE_RECORDS, this.count - page * PAGE_RECORDS);
    if (bytes.readUInt32LE(PAGE_NUMBER_AT) !== page || bytes.readUInt32LE(PAGE_USED_AT) !== used)
      throw new TapeError('damaged', this.path, 'the page there belongs elsewhere.', offset);
    this.slotOf.set(page, slot);
    this.pages[slot] = page;
    return slot;
  }

  private freeSlot(): number {
    if (this.slots.length < this.width) {
      const bytes = Buffer.alloc(PAGE_BYTES);
      this.slots.push(bytes);
      this.views.push(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      this.pages.push(-1);
      this.wanted.push(0);
      return this.slots.length - 1;
    }
    let oldest = 0;
    for (let slot = 1; slot < this.wanted.length; slot++)
      if ((this.wanted[slot] as number) < (this.wanted[oldest] as number)) oldest = slot;
    return oldest;
  }
}

function readFacts(path: string, file: number): TapeFacts {
  const { size } = fstatSync(file);
  if (size < HEADER_BYTES) throw new TapeError('unsealed', path, 'it ends within its header.', size);
  readHeader(path, file);
  const unsealed = 'it has no seal: its writer did not come to its end.';
  if (size < HEADER_BYTES + SEAL_BYTES) throw new TapeError('unsealed', path, unsealed, size);
  const sealStart = size - SEAL_BYTES;
  const seal = readAt(path, file, Buffer.alloc(SEAL_BYTES), sealStart);
  if (!seal.subarray(0, SEAL_MAGIC.length).equals(SEAL_MAGIC))
    throw new TapeError('unsealed', path, unsealed, sealStart);
  if (sumOf(seal.subarray(0, SEAL_AT.sum)) !== seal.readUInt32LE(SEAL_AT.sum))
    throw new TapeError('damaged', path, 'the seal does not fit its sum.', sealStart);
  const footerStart = seal.readDoubleLE(SEAL_AT.footerStart);
  const footerBytes = seal.readUInt32LE(SEAL_AT.footerBytes);
  const records = seal.readDoubleLE(SEAL_AT.records);
  const pages = Math.ceil(records / PAGE_RECORDS);
  if (
    footerBytes > LARGEST_FOOTER_BYTES ||
    footerStart !== HEADER_BYTES + pages * PAGE_BYTES ||
    footerStart + footerBytes !== sealStart
  )
    throw new TapeError('damaged', path, 'the seal tells of another length than the file has.', sealStart);
  const footer = readAt(path, file, Buffer.alloc(footerBytes), footerStart);
  if (sumOf(footer) !== seal.readUInt32LE(SEAL_AT.footerSum))
    throw new TapeError('damaged', path, 'devices and summary do not fit their sum.', footerStart);
  const { devices, summary } = JSON.parse(footer.toString()) as { devices: string[]; summary: unknown };
  const digest = seal.subarray(SEAL_AT.digest, SEAL_AT.digest + 32).toString('hex');
  return { digest, records, devices, summary };
}

function readHeader(path: string, file: number): void {
  const header = readAt(path, file, Buffer.alloc(HEADER_BYTES), 0);
  if (!header.subarray(0, HEADER_MAGIC.length).equals(HEADER_MAGIC))
    throw new TapeError('damaged', path, 'this is no tape.', 0);
  if (sumOf(header.subarray(0, HEADER_SUM_AT)) !== header.readUInt32LE(HEADER_SUM_AT))
    throw new TapeError('damaged', path, 'the header does not fit its sum.', 0);
  const version = header.readUInt32LE(8);
  if (version !== TAPE_VERSION)
    throw new TapeError(
      'other-version',
      path,
      `the tape is of version ${version}, and this release reads version ${TAPE_VERSION}: it is to be made anew from its recording.`,
    );
  if (!header.equals(headerBytes())) throw new TapeError('damaged', path, 'the header has other sizes.', 0);
}

function readAt(path: string, file: number, into: Buffer, offset: number): Buffer {
  let filled = 0;
  try {
    while (filled < into.length) {
      const bytes = readSync(file, into, filled, into.length - filled, offset + filled);
      if (bytes === 0) throw new TapeError('damaged', path, 'the file ends there.', offset + filled);
      filled += bytes;
    }
  } catch (error) {
    if (error instanceof TapeError) throw error;
    throw fileError(path, error, 'read');
  }
  return into;
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}
