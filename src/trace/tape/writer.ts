/**
 * Writes a tape, one event after another, in the memory of its last 512 pages.
 *
 * Until it is sealed its file has the ending `.part`; sealing makes it durable before it has its name. So a tape by its name is whole.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ABSENT, EVENT_KINDS, type EventSink, type RecordedEvent } from '../event.ts';
import { LateLinks } from './late-links.ts';
import {
  AT,
  closePage,
  fileError,
  HEADER_BYTES,
  headerBytes,
  LARGEST_FOOTER_BYTES,
  LARGEST_NOTES_BYTES,
  LINKS,
  LONGEST_DEVICE_NAME,
  LONGEST_NOTE,
  MOST_DEVICES,
  MOST_NOTES,
  type Note,
  PAGE_BYTES,
  PAGE_RECORDS,
  PAGE_USED_AT,
  RECORD_BYTES,
  RING_PAGES,
  SEAL_AT,
  SEAL_BYTES,
  SEAL_MAGIC,
  sumOf,
  TAPE_VERSION,
  TapeError,
} from './layout.ts';

/** Pages written at a time; a part of the ring. */
const BATCH_PAGES = 16;
/** Records between a call and its half, as far as the place for it reaches. */
const LONGEST_AWAY = 2 ** 31 - 1;

export interface TapeSeal {
  /** SHA-256 of the pages and the names of devices, 64 hex digits. */
  digest: string;
  records: number;
  /** Of the file. */
  bytes: number;
}

export class TapeWriter implements EventSink {
  private readonly path: string;
  private readonly file: number;
  private readonly largestBytes: number;
  private readonly hash: Hash = createHash('sha256');
  /** Page p of the tape is in slot p mod RING_PAGES, from `firstPage` to `page`. */
  private readonly ring = Buffer.alloc(RING_PAGES * PAGE_BYTES);
  private readonly view = new DataView(this.ring.buffer, this.ring.byteOffset, this.ring.byteLength);
  private readonly late: LateLinks;
  private readonly names: string[] = [];
  private readonly indexByName = new Map<string, number>();
  private firstPage = 0;
  /** The one being filled, and how many records it has. */
  private page = 0;
  private used = 0;
  private readonly notes: Note[] = [];
  private noteBytes = 0;
  private ended = false;
  /** Events so far: the index that the next one will have. */
  count = 0;

  /**
   * @param path of the finished tape
   * @param largestBytes of its pages; more ends the writing
   * @throws TapeError
   */
  constructor(path: string, largestBytes = Number.POSITIVE_INFINITY) {
    this.path = path;
    this.largestBytes = largestBytes;
    try {
      this.file = openSync(`${path}.part`, 'w', 0o600);
    } catch (error) {
      throw fileError(path, error, 'made');
    }
    this.late = new LateLinks(`${path}.late`);
    this.write(headerBytes());
  }

  /** @throws TapeError; RangeError when a field is not what `event.ts` allows, which is a bug of the importer */
  event(event: RecordedEvent): void {
    const { view } = this;
    const at = (this.page % RING_PAGES) * PAGE_BYTES + this.used * RECORD_BYTES;
    this.check(event);
    view.setFloat64(at + AT.timeNs, event.timeNs, true);
    view.setFloat64(at + AT.iovaPage, event.iovaPage, true);
    view.setFloat64(at + AT.lengthBytes, event.lengthBytes, true);
    view.setFloat64(at + AT.physicalPage, event.physicalPage, true);
    view.setFloat64(at + AT.detail, event.detail, true);
    view.setFloat64(at + AT.line, event.line, true);
    view.setFloat64(at + AT.partner, event.partner, true);
    view.setInt32(at + AT.call, event.call === ABSENT ? 0 : event.call - this.count, true);
    view.setInt32(at + AT.cpu, event.cpu, true);
    view.setInt32(at + AT.pid, event.pid, true);
    view.setInt32(at + AT.device, event.device, true);
    view.setInt32(at + AT.domain, event.domain, true);
    view.setInt16(at + AT.timePs, event.timePs, true);
    view.setInt16(at + AT.iovaOffset, event.iovaOffset, true);
    view.setInt16(at + AT.physicalOffset, event.physicalOffset, true);
    view.setUint8(at + AT.kind, event.kind);
    view.setUint8(at + AT.flags, (event.direction + 1) | ((event.write + 1) << 4));
    if (event.partner !== ABSENT) this.linkBack(event.partner);
    if (event.call !== ABSENT && !isHalf(event.kind)) this.callBack(event.call);
    this.count++;
    if (++this.used === PAGE_RECORDS) this.endPage();
  }

  /** The event that is being written ends an earlier one. Who has an end already keeps it. */
  private linkBack(begun: number): void {
    const at = this.placeOf(begun);
    if (at === null) this.late.add(begun * 2 + LINKS.partner, this.count);
    else if (this.view.getFloat64(at + AT.partner, true) === ABSENT)
      this.view.setFloat64(at + AT.partner, this.count, true);
  }

  /** An earlier half belongs to the call that is being written. */
  private callBack(half: number): void {
    const at = this.placeOf(half);
    if (at === null) this.late.add(half * 2 + LINKS.call, this.count);
    else if (this.view.getInt32(at + AT.call, true) === 0) this.view.setInt32(at + AT.call, this.count - half, true);
  }

  /** In the ring; null when it is on the disk. */
  private placeOf(index: number): number | null {
    const page = Math.floor(index / PAGE_RECORDS);
    return page < this.firstPage ? null : (page % RING_PAGES) * PAGE_BYTES + (index % PAGE_RECORDS) * RECORD_BYTES;
  }

  /** What is beyond the bounds is left out: a note changes nothing. */
  note(text: string, line: number): void {
    const bytes = Buffer.byteLength(text);
    if (this.notes.length === MOST_NOTES || text.length > LONGEST_NOTE || this.noteBytes + bytes > LARGEST_NOTES_BYTES)
      return;
    this.noteBytes += bytes;
    this.notes.push({ text, line });
  }

  device(name: string): number {
    const known = this.indexByName.get(name);
    if (known !== undefined) return known;
    if (this.names.length === MOST_DEVICES)
      throw new TapeError('too-large', this.path, `the recording names more than ${MOST_DEVICES} devices.`);
    if (name.length > LONGEST_DEVICE_NAME)
      throw new TapeError('too-large', this.path, `a device's name has more than ${LONGEST_DEVICE_NAME} characters.`);
    this.names.push(name);
    this.indexByName.set(name, this.names.length - 1);
    return this.names.length - 1;
  }

  get devices(): readonly string[] {
    return this.names;
  }

  /** What is written and what waits to be. */
  get bytes(): number {
    return HEADER_BYTES + this.page * PAGE_BYTES + this.used * RECORD_BYTES;
  }

  /**
   * Ends it: from now on it can be read, by its name.
   *
   * @param summary what the importer says of the recording; kept beside it
   * @throws TapeError
   */
  seal(summary: unknown): TapeSeal {
    if (this.used > 0) this.endPage();
    while (this.firstPage < this.page) this.flush();
    let pages = this.page;
    const late = this.late.end(pages, (page) => {
      this.refuseBeyond(++pages);
      this.hash.update(page);
      this.write(page);
    });
    const footer = Buffer.from(JSON.stringify({ devices: this.names, notes: this.notes, late, summary }));
    if (footer.length > LARGEST_FOOTER_BYTES)
      throw new TapeError('too-large', this.path, `devices and summary have more than ${LARGEST_FOOTER_BYTES} bytes.`);
    const digest = this.hash.update(JSON.stringify(this.names)).digest();
    const footerStart = HEADER_BYTES + pages * PAGE_BYTES;
    this.write(footer);
    this.write(this.sealBytes(footer, footerStart, digest));
    try {
      fsyncSync(this.file);
      closeSync(this.file);
      this.ended = true;
      renameSync(`${this.path}.part`, this.path);
      syncFolder(dirname(this.path));
    } catch (error) {
      throw fileError(this.path, error, 'ended');
    }
    return { digest: digest.toString('hex'), records: this.count, bytes: footerStart + footer.length + SEAL_BYTES };
  }

  /** Ends it without a tape; nothing when it has ended. */
  abandon(): void {
    if (this.ended) return;
    this.ended = true;
    closeSync(this.file);
    this.late.close();
    rmSync(`${this.path}.part`, { force: true });
  }

  private check(event: RecordedEvent): void {
    const { timeNs, iovaPage, lengthBytes, physicalPage, detail, line } = event;
    const { cpu, pid, device, domain, timePs, iovaOffset, physicalOffset, kind, direction, write } = event;
    // A sum is finite only where all its parts are; parts of this size cannot cancel each other into something infinite.
    if (!Number.isFinite(timeNs + iovaPage + lengthBytes + physicalPage + detail + line)) refuseField(event);
    if ((cpu | 0) !== cpu || (pid | 0) !== pid || (domain | 0) !== domain) refuseField(event);
    if ((device | 0) !== device || device < ABSENT || device >= this.names.length) refuseField(event);
    if (!(timePs >= 0 && timePs <= 999) || (kind & 0xff) !== kind) refuseField(event);
    if (!isOffset(iovaOffset) || !isOffset(physicalOffset)) refuseField(event);
    if (!isEarlier(event.partner, this.count) || !isEarlier(event.call, this.count)) refuseField(event);
    if (this.count - event.call > LONGEST_AWAY && event.call !== ABSENT) refuseField(event);
    if (!(direction >= -1 && direction <= 3) || !(write >= -1 && write <= 1)) refuseField(event);
  }

  private endPage(): void {
    const { bytes } = this.slot(this.page);
    bytes.fill(0, this.used * RECORD_BYTES, PAGE_BYTES);
    bytes.writeUInt32LE(this.used, PAGE_USED_AT);
    this.used = 0;
    this.page++;
    // What comes next takes the place of the oldest.
    if (this.page - this.firstPage === RING_PAGES) this.flush();
    this.refuseBeyond(this.page);
  }

  private slot(page: number): { start: number; bytes: Buffer } {
    const start = (page % RING_PAGES) * PAGE_BYTES;
    return { start, bytes: this.ring.subarray(start, start + PAGE_BYTES) };
  }

  /** Writes the oldest pages of the ring, as many as lie in one stretch. */
  private flush(): void {
    const start = this.firstPage;
    const end = Math.min(this.page, start + BATCH_PAGES - (start % BATCH_PAGES));
    this.refuseBeyond(end);
    for (let page = start; page < end; page++) {
      const { bytes } = this.slot(page);
      closePage(bytes, bytes.readUInt32LE(PAGE_USED_AT), page);
    }
    const from = this.slot(start).start;
    const bytes = this.ring.subarray(from, from + (end - start) * PAGE_BYTES);
    this.hash.update(bytes);
    this.write(bytes);
    this.firstPage = end;
  }

  private refuseBeyond(pages: number): void {
    if (pages * PAGE_BYTES > this.largestBytes)
      throw new TapeError('too-large', this.path, `its events take more than ${this.largestBytes} bytes.`);
  }

  private sealBytes(footer: Buffer, footerStart: number, digest: Buffer): Buffer {
    const seal = Buffer.alloc(SEAL_BYTES);
    SEAL_MAGIC.copy(seal);
    seal.writeUInt32LE(TAPE_VERSION, SEAL_AT.version);
    seal.writeUInt32LE(footer.length, SEAL_AT.footerBytes);
    seal.writeDoubleLE(footerStart, SEAL_AT.footerStart);
    seal.writeDoubleLE(this.count, SEAL_AT.records);
    digest.copy(seal, SEAL_AT.digest);
    seal.writeUInt32LE(sumOf(footer), SEAL_AT.footerSum);
    seal.writeUInt32LE(sumOf(seal.subarray(0, SEAL_AT.sum)), SEAL_AT.sum);
    return seal;
  }

  private write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at, bytes.length - at);
    } catch (error) {
      throw fileError(this.path, error, 'written');
    }
  }
}

/** A name is durable once its folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** `iommuMap` and `iommuUnmap`: what is done to the page table in the course of a call of the DMA API. */
function isHalf(kind: number): boolean {
  return kind === EVENT_KINDS.iommuMap || kind === EVENT_KINDS.iommuUnmap;
}

function isEarlier(index: number, count: number): boolean {
  return index === ABSENT || (Number.isInteger(index) && index >= 0 && index < count);
}

function isOffset(value: number): boolean {
  return value >= ABSENT && value <= 4_095;
}

function refuseField(event: RecordedEvent): never {
  throw new RangeError(`the importer made an event that cannot be: ${JSON.stringify(event)}`);
}
