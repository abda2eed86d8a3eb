/**
 * Reads a tape by synchronous reads of pages, a few of which stay in memory: a simulation in a worker pulls its next event when it
 * wants it, and a recording of many gigabytes takes a megabyte.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ABSENT, EVENT_KINDS, type EventKind, type RecordedEvent } from '../event.ts';
import {
  AT,
  fileError,
  HEADER_BYTES,
  HEADER_MAGIC,
  HEADER_SUM_AT,
  headerBytes,
  LARGEST_FOOTER_BYTES,
  LATE_BYTES,
  LATE_ENTRIES,
  type LateRun,
  LINKS,
  type Note,
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
  notes: readonly Note[];
  summary: unknown;
}

/** Its fields are those of the event that was loaded last, as the core wants them (`core/devices/replay/source.ts`). */
export class TapeReader implements Readonly<RecordedEvent> {
  readonly path: string;
  /** How many events; their indices are 0 to `count` - 1. */
  readonly count: number;
  /** As the seal says: SHA-256 of the pages and the names. `verify` holds it against them. */
  readonly digest: string;
  readonly devices: readonly string[];
  /** Comments that our own exports leave. */
  readonly notes: readonly Note[];
  /** What the importer said of the recording. */
  readonly summary: unknown;
  private readonly file: TapeFile;
  private readonly pages: number;
  private readonly late: readonly LateRun[];
  private readonly cache: PageCache;
  private loaded = ABSENT;
  private ownPartner = ABSENT;
  /** As it stands in the record: how far away, 0 for none. */
  private away = 0;

  kind: EventKind = 1;
  timeNs = 0;
  timePs = 0;
  cpu = ABSENT;
  pid = ABSENT;
  device = ABSENT;
  domain = ABSENT;
  iovaPage = ABSENT;
  iovaOffset = ABSENT;
  lengthBytes = ABSENT;
  physicalPage = ABSENT;
  physicalOffset = ABSENT;
  direction: number = ABSENT;
  write = ABSENT;
  detail = ABSENT;
  line = ABSENT;

  /**
   * @param cachePages kept in memory, 64 KiB each
   * @throws TapeError
   */
  constructor(path: string, cachePages = CACHE_PAGES) {
    this.path = path;
    this.file = new TapeFile(path);
    try {
      const { digest, records, devices, notes, summary, late, pages } = readFacts(this.file);
      this.digest = digest;
      this.count = records;
      this.devices = devices;
      this.notes = notes;
      this.summary = summary;
      this.late = late;
      this.pages = pages;
    } catch (error) {
      this.file.close();
      throw error;
    }
    this.cache = new PageCache(this.file, cachePages);
  }

  /**
   * Sets the fields.
   *
   * @param index 0 to `count` - 1
   * @throws TapeError
   */
  load(index: number): void {
    if (!(Number.isInteger(index) && index >= 0 && index < this.count))
      throw new RangeError(`event ${index} of ${this.count}`);
    const view = this.viewOf(index);
    const at = (index % PAGE_RECORDS) * RECORD_BYTES;
    const flags = view.getUint8(at + AT.flags);
    this.kind = view.getUint8(at + AT.kind) as EventKind;
    this.timeNs = view.getFloat64(at + AT.timeNs, true);
    this.timePs = view.getInt16(at + AT.timePs, true);
    this.cpu = view.getInt32(at + AT.cpu, true);
    this.pid = view.getInt32(at + AT.pid, true);
    this.device = view.getInt32(at + AT.device, true);
    this.domain = view.getInt32(at + AT.domain, true);
    this.iovaPage = view.getFloat64(at + AT.iovaPage, true);
    this.iovaOffset = view.getInt16(at + AT.iovaOffset, true);
    this.lengthBytes = view.getFloat64(at + AT.lengthBytes, true);
    this.physicalPage = view.getFloat64(at + AT.physicalPage, true);
    this.physicalOffset = view.getInt16(at + AT.physicalOffset, true);
    this.direction = (flags & 15) - 1;
    this.write = (flags >> 4) - 1;
    this.detail = view.getFloat64(at + AT.detail, true);
    this.line = view.getFloat64(at + AT.line, true);
    this.ownPartner = view.getFloat64(at + AT.partner, true);
    this.away = view.getInt32(at + AT.call, true);
    this.loaded = index;
  }

  /** Of the event that was loaded last: the one that ends what it began, or that began what it ends; ABSENT when there is none. @throws TapeError */
  get partner(): number {
    return this.ownPartner === ABSENT ? this.lateLink(this.loaded * 2 + LINKS.partner) : this.ownPartner;
  }

  /** As the importer had it: the first earlier event that tells of the same call, ABSENT when there is none. */
  get call(): number {
    return this.away < 0 ? this.loaded + this.away : ABSENT;
  }

  /** Of an `iommuMap` or `iommuUnmap`: the call of the DMA API that it is half of, before or behind it; else ABSENT. @throws TapeError */
  get joined(): number {
    if (!isHalf(this.kind)) return ABSENT;
    let half = this.loaded;
    let { away } = this;
    if (away < 0) {
      // Either the call itself, or the first half of the same call.
      const first = half + away;
      const view = this.viewOf(first);
      const at = (first % PAGE_RECORDS) * RECORD_BYTES;
      if (!isHalf(view.getUint8(at + AT.kind))) return first;
      half = first;
      away = view.getInt32(at + AT.call, true);
      if (away < 0) return ABSENT;
    }
    return away > 0 ? half + away : this.lateLink(half * 2 + LINKS.call);
  }

  /** As `load`, into an object of the caller's. @throws TapeError */
  read(index: number, into: RecordedEvent): void {
    this.load(index);
    into.kind = this.kind;
    into.timeNs = this.timeNs;
    into.timePs = this.timePs;
    into.cpu = this.cpu;
    into.pid = this.pid;
    into.device = this.device;
    into.domain = this.domain;
    into.iovaPage = this.iovaPage;
    into.iovaOffset = this.iovaOffset;
    into.lengthBytes = this.lengthBytes;
    into.physicalPage = this.physicalPage;
    into.physicalOffset = this.physicalOffset;
    into.direction = this.direction;
    into.write = this.write;
    into.detail = this.detail;
    into.line = this.line;
    into.partner = this.ownPartner < index ? this.ownPartner : ABSENT;
    into.call = this.call;
  }

  private viewOf(index: number): DataView {
    const page = Math.floor(index / PAGE_RECORDS);
    return this.cache.view(page, Math.min(PAGE_RECORDS, this.count - page * PAGE_RECORDS));
  }

  private lateLink(key: number): number {
    for (const { firstPage, entries } of this.late) {
      let low = 0;
      let high = entries - 1;
      while (low <= high) {
        const middle = (low + high) >>> 1;
        const page = Math.floor(middle / LATE_ENTRIES);
        const view = this.cache.view(firstPage + page, Math.min(LATE_ENTRIES, entries - page * LATE_ENTRIES));
        const at = (middle - page * LATE_ENTRIES) * LATE_BYTES;
        const found = view.getFloat64(at, true);
        if (found === key) return view.getFloat64(at + 8, true);
        if (found < key) low = middle + 1;
        else high = middle - 1;
      }
    }
    return ABSENT;
  }

  /** Reads all of it. @throws TapeError, when what is there is not what the seal says */
  verify(): void {
    const hash = createHash('sha256');
    for (let page = 0; page < this.pages; page++) hash.update(this.cache.bytes(page));
    const digest = hash.update(JSON.stringify(this.devices)).digest('hex');
    if (digest !== this.digest)
      throw new TapeError(
        'damaged',
        this.path,
        `its content has the digest ${digest}, and its seal says ${this.digest}.`,
      );
  }

  /** Keeps no file open from now on: who still reads opens it for each page that is not in memory. */
  park(): void {
    this.file.park();
  }

  /** Nothing is read any more. */
  close(): void {
    this.file.close();
  }
}

/** The file of a tape, which never changes: it may be closed and opened again between two reads. */
class TapeFile {
  readonly path: string;
  private descriptor: number | null;
  private closed = false;

  constructor(path: string) {
    this.path = path;
    this.descriptor = this.open();
  }

  private open(): number {
    try {
      return openSync(this.path, 'r');
    } catch (error) {
      throw fileError(this.path, error, 'opened');
    }
  }

  get size(): number {
    return this.with((descriptor) => fstatSync(descriptor).size);
  }

  /** Fills it. @throws TapeError */
  read(into: Buffer, offset: number): Buffer {
    return this.with((descriptor) => readAt(this.path, descriptor, into, offset));
  }

  private with<T>(use: (descriptor: number) => T): T {
    if (this.descriptor !== null) return use(this.descriptor);
    if (this.closed) throw new TypeError(`the tape ${this.path} was closed`);
    const descriptor = this.open();
    try {
      return use(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  park(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }

  close(): void {
    this.park();
    this.closed = true;
  }
}

/** @throws TapeError */
export function openTape(path: string): TapeReader {
  return new TapeReader(path);
}

const ELSEWHERE = 'the page there belongs elsewhere.';

/** Pages in memory; the one that was wanted longest ago gives way. */
class PageCache {
  private readonly file: TapeFile;
  private readonly slots: Buffer[] = [];
  private readonly views: DataView[] = [];
  private readonly pages: number[] = [];
  private readonly wanted: number[] = [];
  private readonly slotOf = new Map<number, number>();
  private readonly width: number;
  private now = 0;
  private lastPage = -1;
  private lastSlot = -1;

  constructor(file: TapeFile, width: number) {
    this.file = file;
    this.width = Math.max(1, width);
  }

  /** @param used how many entries it should have. @throws TapeError */
  view(page: number, used: number): DataView {
    if (page !== this.lastPage) {
      this.lastSlot = this.have(page);
      this.lastPage = page;
      if ((this.slots[this.lastSlot] as Buffer).readUInt32LE(PAGE_USED_AT) !== used) this.refuse(page, ELSEWHERE);
    }
    return this.views[this.lastSlot] as DataView;
  }

  /** @throws TapeError */
  bytes(page: number): Buffer {
    return this.slots[this.have(page)] as Buffer;
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
    this.file.read(bytes, HEADER_BYTES + page * PAGE_BYTES);
    const stated = bytes.readUInt32LE(PAGE_SUM_AT);
    const sum = sumOf(bytes.subarray(0, PAGE_SUM_AT));
    if (sum !== stated) this.refuse(page, `the page there has the sum ${hex(sum)}, and it was ${hex(stated)}.`);
    if (bytes.readUInt32LE(PAGE_NUMBER_AT) !== page) this.refuse(page, ELSEWHERE);
    this.slotOf.set(page, slot);
    this.pages[slot] = page;
    return slot;
  }

  private refuse(page: number, message: string): never {
    throw new TapeError('damaged', this.file.path, message, HEADER_BYTES + page * PAGE_BYTES);
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

interface Facts extends TapeFacts {
  late: LateRun[];
  pages: number;
}

function readFacts(file: TapeFile): Facts {
  const { path, size } = file;
  if (size < HEADER_BYTES) throw new TapeError('unsealed', path, 'it ends within its header.', size);
  readHeader(file);
  const unsealed = 'it has no seal: its writer did not come to its end.';
  if (size < HEADER_BYTES + SEAL_BYTES) throw new TapeError('unsealed', path, unsealed, size);
  const sealStart = size - SEAL_BYTES;
  const seal = file.read(Buffer.alloc(SEAL_BYTES), sealStart);
  if (!seal.subarray(0, SEAL_MAGIC.length).equals(SEAL_MAGIC))
    throw new TapeError('unsealed', path, unsealed, sealStart);
  if (sumOf(seal.subarray(0, SEAL_AT.sum)) !== seal.readUInt32LE(SEAL_AT.sum))
    throw new TapeError('damaged', path, 'the seal does not fit its sum.', sealStart);
  const footerStart = seal.readDoubleLE(SEAL_AT.footerStart);
  const footerBytes = seal.readUInt32LE(SEAL_AT.footerBytes);
  const records = seal.readDoubleLE(SEAL_AT.records);
  const otherLength = new TapeError('damaged', path, 'the seal tells of another length than the file has.', sealStart);
  if (footerBytes > LARGEST_FOOTER_BYTES || footerStart + footerBytes !== sealStart) throw otherLength;
  const footer = file.read(Buffer.alloc(footerBytes), footerStart);
  if (sumOf(footer) !== seal.readUInt32LE(SEAL_AT.footerSum))
    throw new TapeError('damaged', path, 'devices and summary do not fit their sum.', footerStart);
  const { devices, notes, late, summary } = JSON.parse(footer.toString()) as Pick<
    Facts,
    'devices' | 'notes' | 'late' | 'summary'
  >;
  let pages = Math.ceil(records / PAGE_RECORDS);
  for (const { entries } of late) pages += Math.ceil(entries / LATE_ENTRIES);
  if (footerStart !== HEADER_BYTES + pages * PAGE_BYTES) throw otherLength;
  const digest = seal.subarray(SEAL_AT.digest, SEAL_AT.digest + 32).toString('hex');
  return { digest, records, devices, notes, summary, late, pages };
}

function readHeader(file: TapeFile): void {
  const { path } = file;
  const header = file.read(Buffer.alloc(HEADER_BYTES), 0);
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

function isHalf(kind: number): boolean {
  return kind === EVENT_KINDS.iommuMap || kind === EVENT_KINDS.iommuUnmap;
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}
