/**
 * Reads a tape by synchronous reads of pages, a few of which stay in memory: a simulation in a worker pulls its next event when it
 * wants it, and a recording of many gigabytes takes a megabyte.
 */
import { createHash } from 'node:crypto';
import { ABSENT, EVENT_KINDS, type EventKind, type RecordedEvent } from '../event.ts';
import { readFacts } from './facts.ts';
import { TapeFile } from './file.ts';
import {
  AT,
  LATE_BYTES,
  LATE_ENTRIES,
  type LateRun,
  LINKS,
  type Note,
  PAGE_RECORDS,
  RECORD_BYTES,
  TapeError,
} from './layout.ts';
import { PageCache } from './page-cache.ts';

const CACHE_PAGES = 16;

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

/** @throws TapeError */
export function openTape(path: string): TapeReader {
  return new TapeReader(path);
}

function isHalf(kind: number): boolean {
  return kind === EVENT_KINDS.iommuMap || kind === EVENT_KINDS.iommuUnmap;
}
