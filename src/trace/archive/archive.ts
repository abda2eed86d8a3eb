/**
 * The recordings of one server.
 *
 *     create ──> record ──> append: socket ──> <id>.upload ──> reader thread ──> tape
 *                             ^                    │ held back when the reader is far behind
 *                             └── again, after whatever went wrong, at the offset that the file has
 *
 * What arrives goes to the disk as it is, packed, and is read from there: an upload that breaks off goes on later, a server that is killed
 * finds the bytes again, and the importer, whose state nobody could keep, begins anew. Once all is read the upload is removed: the tape
 * has what a replay needs at a size that is known, and whoever sent the recording has it still.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { HostProblem, Reply } from '../../host/host.ts';
import { hasTraceIdForm, LOCAL_OWNER, nameKey, newTraceId } from '../../host/ids.ts';
import { type HostLogger, SILENT } from '../../host/logger.ts';
import { decodeCursor, encodeCursor, pageLimit } from '../../host/paging.ts';
import {
  invalidCursor,
  messageOf,
  nameHasIdForm,
  nameTaken,
  QUOTA_RETRY_SECONDS,
  refuse,
  shuttingDown,
  storageUnavailable,
} from '../../host/problems.ts';
import type { KeyMark } from '../../host/retry.ts';
import type { FormatEntry } from '../formats/format.ts';
import { formats } from '../formats/index.ts';
import { checkOptions } from '../formats/options.ts';
import { ImportError } from '../import-error.ts';
import { type TraceFacts, type TraceOutcome, TraceStore } from '../store.ts';
import { openTape, TapeError } from '../tape.ts';
import {
  blankReading,
  NO_EVENTS,
  type TraceDocument,
  type TraceInput,
  type TraceProblem,
  type TraceReading,
  type TraceState,
  type TraceSummary,
} from '../trace.ts';
import { takeBody } from './body.ts';
import { type EventsPage, type EventsQuery, pageOfEvents } from './events.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './limits.ts';
import { type FromReader, type Reader, Readers } from './reader.ts';
import { forgetUses, marks, tapePath, unmarkUse, usesOf } from './uses.ts';

export interface ArchiveParts {
  /** Folder of the bytes; made when it is not there. */
  folder: string;
  /** Closed with the archive; absent: in memory. */
  store?: TraceStore;
  limits?: Partial<ArchiveLimits>;
  logger?: HostLogger;
  nowMs?(): number;
  /** Whether there is a session; absent: there is none. */
  hasSession?(session: string): boolean;
  /** Module in the place of the importer. */
  importer?: string;
}

/** What one owner may have; 0: no limit. */
export interface OwnerBounds {
  traces: number;
  /** On the disk. */
  traceBytes: number;
}

const NO_BOUNDS: Readonly<OwnerBounds> = { traces: 0, traceBytes: 0 };

export interface AppendRequest {
  /** Where the sender believes that it goes on. */
  offset: number;
  /** Whether the recording ends with this body. */
  complete: boolean;
  /** Of all of the recording, packed; null when this request does not say. */
  lengthBytes: number | null;
  /** Of this body; null when nobody knows. */
  bodyBytes: number | null;
  body: Readable;
}

export interface ArchiveStatus {
  traces: number;
  /** By their states. */
  uploading: number;
  reading: number;
  ready: number;
  failed: number;
  /** Bodies that arrive now. */
  uploads: number;
  /** Threads that read, and recordings that wait for one. */
  readers: number;
  queued: number;
  /** On the disk. */
  storedBytes: number;
  /** Since the start. */
  receivedBytes: number;
  readLines: number;
  readEvents: number;
  failures: number;
}

interface Entry {
  facts: TraceFacts;
  /** Of an upload that is under way. */
  active: { stop: AbortController; done: Promise<void> } | null;
  reader: Reader | null;
  /** Packed bytes that the reader has had; those of the tape that it writes. */
  read: number;
  readsTapeBytes: number;
  reading: TraceReading;
  devices: string[];
  /** Called when the reader has come further. */
  caughtUp: (() => void)[];
  problem: TraceProblem | null;
  lines: number;
  events: number;
  gone: boolean;
}

/** Of reading a recording, none of which came to an end. */
const MOST_BEGINNINGS = 5;
/** How often it is looked whether there is still room: what is over the bounds is over them by so much at most. */
const LOOK_BYTES = 1024 * 1024;

export class TraceArchive {
  readonly folder: string;
  readonly limits: Readonly<ArchiveLimits>;
  private readonly store: TraceStore;
  private readonly logger: HostLogger;
  private readonly nowMs: () => number;
  private readonly hasSession: (session: string) => boolean;
  private readonly importer: string | null;
  private readonly readers: Readers;
  /** By id, in the order of their numbers. */
  private readonly known = new Map<string, Entry>();
  private readonly names = new Map<string, string>();
  private readonly madeUnder = new Map<string, string>();
  private readonly counted = { receivedBytes: 0, readLines: 0, readEvents: 0, failures: 0 };
  private boundsOf: (owner: string) => OwnerBounds = () => NO_BOUNDS;
  private lastNumber = 0;
  private closing = false;

  /** @throws StoreError; what the file system says */
  constructor({ folder, store, limits, logger = SILENT, nowMs = Date.now, hasSession, importer }: ArchiveParts) {
    this.folder = folder;
    this.limits = { ...ARCHIVE_LIMITS, ...limits };
    this.store = store ?? new TraceStore(null);
    this.logger = logger;
    this.nowMs = nowMs;
    this.hasSession = hasSession ?? (() => false);
    this.importer = importer ?? null;
    this.readers = new Readers(this.limits, () => performance.now());
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const facts of this.store.facts()) {
      this.lastNumber = facts.number;
      this.remember(facts);
    }
    this.tidy();
    for (const entry of this.known.values()) this.takeUp(entry);
  }

  /** From now on owners have these bounds. */
  govern(boundsOf: (owner: string) => OwnerBounds): void {
    this.boundsOf = boundsOf;
  }

  private remember(facts: TraceFacts): Entry {
    const entry: Entry = {
      facts,
      active: null,
      reader: null,
      read: 0,
      readsTapeBytes: 0,
      reading: blankReading(facts.input.format),
      devices: [],
      caughtUp: [],
      problem: null,
      lines: 0,
      events: 0,
      gone: false,
    };
    this.known.set(facts.id, entry);
    const { name } = facts.input;
    if (name !== undefined) this.names.set(nameKey(facts.owner, name), facts.id);
    if (facts.made !== null) this.madeUnder.set(facts.made.key, facts.id);
    return entry;
  }

  /** Removes what belongs to no trace: of one that was deleted, or a tape under way when the server ended. */
  private tidy(): void {
    const kept = new Set<string>();
    for (const { facts } of this.known.values()) {
      if (facts.state === 'uploading' || facts.state === 'reading')
        kept.add(`${facts.id}.upload`).add(`${facts.id}.reading`);
      if (facts.digest !== null) kept.add(`${facts.digest}.tape`);
    }
    for (const { digest, session } of marks(this.folder)) {
      if (this.hasSession(session)) kept.add(`${digest}.tape`);
      else unmarkUse(this.folder, digest, session);
    }
    for (const name of readdirSync(this.folder)) {
      if (!/\.(upload|reading|tape|part|late|going)$/.test(name) || kept.has(name)) continue;
      const back = name.replace(/\.going$/, '');
      // A deletion that was under way and had not been decided.
      if (back !== name && kept.has(back)) renameSync(join(this.folder, name), join(this.folder, back));
      else rmSync(join(this.folder, name), { force: true });
    }
  }

  /** As the server left it when it ended. */
  private takeUp(entry: Entry): void {
    const { facts } = entry;
    if (facts.state === 'ready') {
      entry.problem = this.problemOfTape(facts);
      return;
    }
    if (facts.state === 'failed') return;
    const { size = 0 } = statSync(this.uploadPath(facts.id), { throwIfNoEntry: false }) ?? {};
    if (facts.state === 'reading' && size < facts.bytes) {
      const detail = `Of its ${facts.bytes} bytes the server has only ${size} left.`;
      this.fail(entry, { code: 'upload-lost', detail });
      return;
    }
    if (this.timesBegun(facts.id) >= MOST_BEGINNINGS) {
      const detail = `The server ended ${MOST_BEGINNINGS} times while it read the recording, and does not try it again.`;
      this.fail(entry, { code: 'reader-failed', detail });
      return;
    }
    facts.bytes = size;
    this.startReading(entry);
  }

  /** Without coming to an end in order: a recording that the server ends over must not end it for ever. */
  private timesBegun(id: string): number {
    try {
      return Number(readFileSync(this.markPath(id), 'utf8'));
    } catch {
      return 0;
    }
  }

  private markPath(id: string): string {
    return join(this.folder, `${id}.reading`);
  }

  /** A tape that cannot be used any more makes the trace fail, as long as it cannot. */
  private problemOfTape({ digest }: TraceFacts): TraceProblem | null {
    try {
      openTape(tapePath(this.folder, digest as string)).close();
      return null;
    } catch (error) {
      const code = error instanceof TapeError ? `tape-${error.code}` : 'tape-unusable';
      this.logger.error({ err: error }, 'a tape cannot be used');
      return {
        code,
        detail: `Its tape cannot be used: upload the recording again. ${withoutPath(error, this.folder)}`,
      };
    }
  }

  private uploadPath(id: string): string {
    return join(this.folder, `${id}.upload`);
  }

  // ------------------------------------------------------------------------------------------------ what is asked of it

  /**
   * @param made the request's key, and what stands for the request
   * @returns the trace, and whether an earlier request with this key had made it
   */
  create(
    input: TraceInput,
    owner: string,
    made: KeyMark | null = null,
  ): Reply<{ trace: TraceDocument; replayed: boolean }> {
    const earlier = made === null ? undefined : this.known.get(this.madeUnder.get(made.key) ?? '');
    if (earlier !== undefined) {
      if (earlier.facts.made?.print === made?.print)
        return { ok: true, value: { trace: this.documentOf(earlier), replayed: true } };
      const detail = 'This Idempotency-Key was first used with another request. Use a new key for a new one.';
      return refuse({ code: 'idempotency-mismatch', detail });
    }
    const problem = this.refusal(input, owner);
    if (problem !== null) return refuse(problem);
    const nowMs = this.nowMs();
    const facts: TraceFacts = {
      number: this.lastNumber + 1,
      id: newTraceId(nowMs),
      owner,
      state: 'uploading',
      created: new Date(nowMs).toISOString(),
      ended: null,
      made,
      input,
      bytes: 0,
      digest: null,
      records: 0,
      tapeBytes: 0,
    };
    try {
      this.store.add(facts);
    } catch (error) {
      this.logger.error({ err: error }, 'a trace cannot be written down');
      return refuse(storageUnavailable(messageOf(error)));
    }
    this.lastNumber = facts.number;
    const entry = this.remember(facts);
    return { ok: true, value: { trace: this.documentOf(entry), replayed: false } };
  }

  private refusal({ name, format, options, lengthBytes }: TraceInput, owner: string): HostProblem | null {
    const bounds = this.boundsOf(owner);
    if (this.closing) return shuttingDown();
    if (this.importer === null) {
      const problem = optionsProblem(format, options);
      if (problem !== null) return problem;
    }
    if (name !== undefined) {
      if (hasTraceIdForm(name)) return nameHasIdForm(name, 'trace');
      if (this.names.has(nameKey(owner, name))) return nameTaken(name, 'trace');
    }
    const used = this.countOf(owner);
    if (bounds.traces > 0 && used >= bounds.traces) {
      const quota = { name: 'traces', limit: bounds.traces, used, retryAfterSeconds: QUOTA_RETRY_SECONDS };
      const detail = `You have ${used} traces, and ${bounds.traces} is the limit. Delete one.`;
      return { code: 'too-many-traces', detail, retryable: true, quota };
    }
    if (this.known.size >= this.limits.traces) {
      const detail = 'The server has as many traces on record as it may.';
      return { code: 'too-many-traces', detail, retryable: true };
    }
    return this.noRoomFor(lengthBytes ?? 0, owner);
  }

  /** Why there may not be so many bytes more, or null. */
  private noRoomFor(bytes: number, owner: string): HostProblem | null {
    const bounds = this.boundsOf(owner);
    const { uploadBytes, storedBytes } = this.limits;
    if (bytes > uploadBytes) return tooLarge(uploadBytes);
    const used = this.storedOf(owner);
    if (bounds.traceBytes > 0 && used + bytes > bounds.traceBytes) {
      const quota = { name: 'trace-bytes', limit: bounds.traceBytes, used, retryAfterSeconds: QUOTA_RETRY_SECONDS };
      const detail = `Your traces take ${used} bytes of the server's disk, and ${bounds.traceBytes} is the limit. Delete one.`;
      return { code: 'too-much-stored', detail, retryable: true, quota };
    }
    if (this.storedBytes + bytes <= storedBytes) return null;
    const detail = `Traces of all take as much of the server's disk as they may, ${storedBytes} bytes together.`;
    return { code: 'storage-full', detail, retryable: true };
  }

  /**
   * Takes the bytes of a body behind those that are there. Whatever happens, those that came are kept, and the next request goes on
   * behind them. A request that comes while another one's body arrives takes its place: the other's connection may be long dead.
   *
   * @returns the trace once the body is at its end and on the disk
   */
  async append(id: string, request: AppendRequest): Promise<Reply<TraceDocument>> {
    const entry = this.known.get(id);
    if (entry === undefined) return refuse(traceNotFound(id));
    while (entry.active !== null) {
      entry.active.stop.abort();
      await entry.active.done;
    }
    const problem = this.cannotAppend(entry, request);
    if (problem !== null) return refuse(problem);
    const stop = new AbortController();
    let settle = (): void => {};
    entry.active = {
      stop,
      done: new Promise((resolve) => {
        settle = resolve;
      }),
    };
    let refused: HostProblem | null;
    try {
      refused = await this.take(entry, request, stop.signal);
    } finally {
      entry.active = null;
      settle();
    }
    return refused === null ? { ok: true, value: this.documentOf(entry) } : refuse(refused);
  }

  private cannotAppend(entry: Entry, request: AppendRequest): HostProblem | null {
    const { facts, gone } = entry;
    if (this.closing) return shuttingDown();
    if (gone) return traceNotFound(facts.id);
    if (facts.state === 'failed') return uploadEnded(entry.problem ?? this.outcomeOf(entry).problem);
    if (facts.state !== 'uploading')
      return { code: 'upload-complete', detail: `All ${facts.bytes} bytes of the recording are there.` };
    if (request.offset !== facts.bytes) {
      const detail = `${facts.bytes} bytes are there, so that the next one goes to offset ${facts.bytes}, not ${request.offset}.`;
      return { code: 'mismatching-upload-offset', detail, retryable: true };
    }
    const { lengthBytes } = facts.input;
    const end = request.bodyBytes === null ? null : request.offset + request.bodyBytes;
    const said = request.lengthBytes ?? (request.complete ? end : null);
    if (said !== null && lengthBytes !== null && said !== lengthBytes)
      return inconsistent(`It was to have ${lengthBytes} bytes, and is now to have ${said}.`);
    const length = said ?? lengthBytes;
    if (length !== null && end !== null && (request.complete ? end !== length : end > length))
      return inconsistent(`It is to have ${length} bytes, and with this body it would have ${end}.`);
    if ((length ?? end ?? 0) > this.limits.uploadBytes) return tooLarge(this.limits.uploadBytes);
    if (length !== lengthBytes) {
      facts.input = { ...facts.input, lengthBytes: length };
      this.store.update(facts);
    }
    return this.noRoomFor(Math.max(0, (end ?? 0) - facts.bytes), facts.owner);
  }

  private async take(
    entry: Entry,
    { body, complete }: AppendRequest,
    signal: AbortSignal,
  ): Promise<HostProblem | null> {
    const { facts } = entry;
    let problem: HostProblem | null = null;
    let untilLook = 0;
    let file: FileHandle | null = null;
    try {
      file = await open(this.uploadPath(facts.id), 'a', 0o600);
      const handle = file;
      const how = await takeBody(body, { idleMs: this.limits.idleMs, signal }, async (bytes) => {
        if (facts.state !== 'uploading') throw new Refused(uploadEnded(entry.problem));
        const { lengthBytes } = facts.input;
        if (lengthBytes !== null && facts.bytes + bytes.length > lengthBytes)
          throw new Refused(inconsistent(`More than the ${lengthBytes} bytes come that it is to have.`));
        if (facts.bytes + bytes.length > this.limits.uploadBytes) throw new Refused(tooLarge(this.limits.uploadBytes));
        if (untilLook <= 0) {
          const noRoom = this.noRoomFor(bytes.length, facts.owner);
          if (noRoom !== null) throw new Refused(noRoom);
          await this.lookAtDisk();
          untilLook = LOOK_BYTES;
        }
        untilLook -= bytes.length;
        await writeAll(handle, bytes);
        facts.bytes += bytes.length;
        this.counted.receivedBytes += bytes.length;
        if (entry.reader === null) this.startReading(entry);
        else entry.reader.more(facts.bytes, false);
        await this.holdBack(entry, signal);
      });
      problem = facts.state === 'failed' ? uploadEnded(entry.problem) : problemOf(how, this.limits.idleMs);
    } catch (error) {
      problem = this.problemOfError(error);
    }
    if (problem?.code === 'recording-too-large') this.fail(entry, { code: problem.code, detail: problem.detail });
    try {
      await file?.datasync();
      await file?.close();
    } catch (error) {
      problem ??= this.problemOfError(error);
    }
    if (problem === null && complete) problem = this.complete(entry);
    return problem;
  }

  /** All bytes are there and on the disk. */
  private complete(entry: Entry): HostProblem | null {
    const { facts } = entry;
    if (facts.state !== 'uploading') return uploadEnded(entry.problem);
    const { lengthBytes } = facts.input;
    if (lengthBytes !== null && facts.bytes !== lengthBytes)
      return inconsistent(`It was to have ${lengthBytes} bytes, and ends with ${facts.bytes}.`);
    try {
      this.store.update({ ...facts, state: 'reading', input: { ...facts.input, lengthBytes: facts.bytes } });
    } catch (error) {
      return storageUnavailable(messageOf(error));
    }
    facts.state = 'reading';
    facts.input = { ...facts.input, lengthBytes: facts.bytes };
    if (entry.reader === null) this.startReading(entry);
    else entry.reader.more(facts.bytes, true);
    return null;
  }

  /** Waits until the reader is not too far behind. One that waits for its turn does not hold up anybody: the disk has room. */
  private async holdBack(entry: Entry, signal: AbortSignal): Promise<void> {
    while (entry.readsTapeBytes > 0 && entry.facts.bytes - entry.read > this.limits.leadBytes && !signal.aborted) {
      await new Promise<void>((resolve) => {
        entry.caughtUp.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  private async lookAtDisk(): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    if (bavail * bsize >= this.limits.reserveBytes) return;
    throw new Refused({ code: 'storage-full', detail: 'The disk of the server is nearly full.', retryable: true });
  }

  private problemOfError(error: unknown): HostProblem {
    if (error instanceof Refused) return error.problem;
    const { code } = error as NodeJS.ErrnoException;
    this.logger.error({ err: error }, 'an upload cannot be written');
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return { code: 'storage-full', detail: 'The disk of the server is full.', retryable: true };
    return storageUnavailable(code ?? messageOf(error));
  }

  // ------------------------------------------------------------------------------------------------ reading

  private startReading(entry: Entry): void {
    const { facts } = entry;
    const task = () => ({
      upload: this.uploadPath(facts.id),
      tape: join(this.folder, `${facts.id}.tape`),
      encoding: facts.input.encoding,
      format: facts.input.format,
      strict: facts.input.strict,
      options: facts.input.options,
      largestTapeBytes: this.roomOf(facts.owner),
      unpackedBytes: this.limits.unpackedBytes,
      ratio: this.limits.ratio,
      freeUnpackedBytes: this.limits.freeUnpackedBytes,
      importer: this.importer,
    });
    entry.reader = this.readers.read(
      task,
      (message) => {
        // Its turn has come, perhaps not for the first time; or it has given its place away.
        if (message.kind === 'begun' || message.kind === 'left') this.begin(entry, message.kind === 'begun');
        else this.hear(entry, message);
        for (const go of entry.caughtUp.splice(0)) go();
      },
      facts.bytes,
      facts.state === 'reading',
    );
  }

  /** For a tape, beside all that is there. */
  private roomOf(owner: string): number {
    const { traceBytes } = this.boundsOf(owner);
    const own = traceBytes === 0 ? Number.POSITIVE_INFINITY : traceBytes - this.storedOf(owner);
    return Math.max(0, Math.min(own, this.limits.storedBytes - this.storedBytes));
  }

  private begin(entry: Entry, isRead: boolean): void {
    const mark = this.markPath(entry.facts.id);
    if (isRead) writeFileSync(mark, String(this.timesBegun(entry.facts.id) + 1));
    else rmSync(mark, { force: true });
    entry.read = 0;
    entry.readsTapeBytes = 0;
    entry.reading = blankReading(entry.facts.input.format);
    entry.devices = [];
    entry.lines = 0;
    entry.events = 0;
  }

  private hear(entry: Entry, message: FromReader): void {
    entry.read = message.read;
    entry.devices.push(...message.devices);
    if (message.reading !== null) this.count(entry, message.reading);
    if (message.kind === 'progress') {
      entry.readsTapeBytes = message.tapeBytes;
      entry.facts.records = message.records;
    } else if (message.kind === 'ended') this.ready(entry, message.seal);
    else this.fail(entry, message.problem);
  }

  private count(entry: Entry, reading: TraceReading): void {
    const events = Object.values(reading.events).reduce((sum, count) => sum + count, 0);
    this.counted.readLines += Math.max(0, reading.lines.total - entry.lines);
    this.counted.readEvents += Math.max(0, events - entry.events);
    entry.lines = reading.lines.total;
    entry.events = events;
    entry.reading = reading;
  }

  private ready(entry: Entry, { digest, records, bytes }: { digest: string; records: number; bytes: number }): void {
    const { facts } = entry;
    const made = join(this.folder, `${facts.id}.tape`);
    const path = tapePath(this.folder, digest);
    try {
      // The same content is the same tape.
      if (existsSync(path)) rmSync(made, { force: true });
      else renameSync(made, path);
      const ended = new Date(this.nowMs()).toISOString();
      this.end(entry, { ...facts, state: 'ready', ended, digest, records, tapeBytes: bytes }, null);
    } catch (error) {
      this.logger.error({ err: error }, 'a trace that was read cannot be written down');
      this.fail(entry, { code: 'storage-unavailable', detail: `What was read cannot be kept: ${messageOf(error)}.` });
    }
  }

  private fail(entry: Entry, problem: TraceProblem): void {
    const { facts } = entry;
    this.counted.failures++;
    const ended = new Date(this.nowMs()).toISOString();
    entry.problem = problem;
    try {
      this.end(entry, { ...facts, state: 'failed', ended, digest: null, records: 0, tapeBytes: 0 }, problem);
    } catch (error) {
      // At the next start it is read again.
      this.logger.error({ err: error }, 'that a trace failed cannot be written down');
      facts.state = 'failed';
      facts.ended = ended;
    }
  }

  private end(entry: Entry, facts: TraceFacts, problem: TraceProblem | null): void {
    const { reading, devices } = entry;
    this.store.end(facts, { reading, devices, problem });
    Object.assign(entry.facts, facts);
    entry.reader = null;
    entry.readsTapeBytes = 0;
    entry.reading = blankReading(facts.input.format);
    entry.devices = [];
    entry.active?.stop.abort();
    for (const rest of [this.uploadPath(facts.id), this.markPath(facts.id)]) rmSync(rest, { force: true });
  }

  // ------------------------------------------------------------------------------------------------ what there is

  resolve(trace: string, owner: string = LOCAL_OWNER): string | null {
    if (this.known.has(trace)) return trace;
    return this.names.get(nameKey(owner, trace)) ?? null;
  }

  ownerOf(id: string): string | null {
    return this.known.get(id)?.facts.owner ?? null;
  }

  countOf(owner: string): number {
    let count = 0;
    for (const { facts } of this.known.values()) if (facts.owner === owner) count++;
    return count;
  }

  /** On the disk. A tape that two share counts for each: each would have it alone. */
  storedOf(owner: string): number {
    let bytes = 0;
    for (const entry of this.known.values()) if (entry.facts.owner === owner) bytes += storedBytesOf(entry);
    return bytes;
  }

  get storedBytes(): number {
    let bytes = 0;
    for (const entry of this.known.values()) bytes += storedBytesOf(entry);
    return bytes;
  }

  get(trace: string): Reply<TraceDocument> {
    const entry = this.find(trace);
    return entry === null ? refuse(traceNotFound(trace)) : { ok: true, value: this.documentOf(entry) };
  }

  private find(trace: string): Entry | null {
    return this.known.get(this.resolve(trace) ?? '') ?? null;
  }

  list(
    { limit, cursor, state }: { limit: number; cursor?: string; state?: TraceState },
    sees: (owner: string) => boolean = () => true,
  ): Reply<{ items: TraceSummary[]; nextCursor?: string }> {
    const after = decodeCursor(cursor);
    if (after === null) return refuse(invalidCursor(cursor!));
    const most = pageLimit(limit);
    const found: Entry[] = [];
    for (const entry of this.known.values()) {
      const { number, owner } = entry.facts;
      if (number <= after || !sees(owner) || (state !== undefined && stateOf(entry) !== state)) continue;
      found.push(entry);
      if (found.length > most) break;
    }
    const items = found.slice(0, most).map((entry) => this.summaryOf(entry));
    if (found.length <= most) return { ok: true, value: { items } };
    return { ok: true, value: { items, nextCursor: encodeCursor(found[most - 1]!.facts.number) } };
  }

  private summaryOf(entry: Entry): TraceSummary {
    const { facts } = entry;
    const { input, bytes } = facts;
    const complete = facts.state !== 'uploading' && (facts.state !== 'failed' || bytes === input.lengthBytes);
    return {
      id: facts.id,
      ...(input.name === undefined ? {} : { name: input.name }),
      owner: facts.owner,
      state: stateOf(entry),
      createdAt: facts.created,
      endedAt: facts.ended,
      format: entry.reading.format ?? input.format,
      strict: input.strict,
      encoding: input.encoding,
      bytes,
      upload: { offset: bytes, length: input.lengthBytes, complete, active: entry.active !== null },
      progress: facts.state === 'ready' ? 1 : bytes === 0 ? 0 : Math.min(1, entry.read / bytes),
      storedBytes: storedBytesOf(entry),
      digest: facts.digest,
      records: facts.records,
      problem: entry.problem ?? (facts.state === 'failed' ? this.outcomeOf(entry).problem : null),
    };
  }

  private outcomeOf(entry: Entry): TraceOutcome {
    const { facts, reading, devices } = entry;
    const ended = facts.state === 'ready' || facts.state === 'failed';
    return (ended ? this.store.outcome(facts.number) : null) ?? { reading, devices, problem: entry.problem };
  }

  private documentOf(entry: Entry): TraceDocument {
    const { reading, devices } = this.outcomeOf(entry);
    return {
      ...this.summaryOf(entry),
      format: reading.format ?? entry.facts.input.format,
      options: entry.facts.input.options,
      recognisedBy: reading.recognisedBy,
      unpackedBytes: reading.bytes,
      lines: reading.lines,
      events: { ...NO_EVENTS, ...reading.events },
      devices,
      openMaps: reading.openMaps,
      unmatchedUnmaps: reading.unmatchedUnmaps,
      lostEvents: reading.lostEvents,
      clockSteps: reading.clockSteps,
      clockStepsOnCpu: reading.clockStepsOnCpu,
      origin: reading.origin,
      warnings: reading.warnings,
    };
  }

  /** The tape of one that is ready: what a session names and opens. */
  tapeOf(trace: string): Reply<{ digest: string; path: string }> {
    const entry = this.find(trace);
    if (entry === null) return refuse(traceNotFound(trace));
    const { digest } = entry.facts;
    if (stateOf(entry) !== 'ready' || digest === null) return refuse(notReady(entry.facts.id, stateOf(entry)));
    return { ok: true, value: { digest, path: tapePath(this.folder, digest) } };
  }

  async events(trace: string, query: EventsQuery): Promise<Reply<EventsPage>> {
    const found = this.tapeOf(trace);
    if (!found.ok) return found;
    try {
      const tape = openTape(found.value.path);
      try {
        return { ok: true, value: await pageOfEvents(tape, query) };
      } finally {
        tape.close();
      }
    } catch (error) {
      this.logger.error({ err: error, trace }, 'a tape cannot be read');
      const detail = `What was kept of it cannot be read: ${withoutPath(error, this.folder)}`;
      return refuse({ code: 'trace-damaged', detail });
    }
  }

  /** Ends it whatever it is doing, and removes all of it; refused while a session replays it. */
  async delete(trace: string): Promise<Reply<TraceDocument>> {
    const entry = this.find(trace);
    if (entry === null || entry.gone) return refuse(traceNotFound(trace));
    const { facts } = entry;
    const inUse = facts.digest === null ? null : this.takeTapeAway(facts.digest, facts.id);
    if (inUse !== null) return refuse(inUse);
    const document = this.documentOf(entry);
    try {
      this.store.remove(facts.number);
    } catch (error) {
      return refuse(storageUnavailable(messageOf(error)));
    }
    entry.gone = true;
    this.known.delete(facts.id);
    if (facts.input.name !== undefined) this.names.delete(nameKey(facts.owner, facts.input.name));
    if (facts.made !== null) this.madeUnder.delete(facts.made.key);
    entry.active?.stop.abort();
    await Promise.all([entry.reader?.stop(), entry.active?.done]);
    for (const rest of [
      this.uploadPath(facts.id),
      this.markPath(facts.id),
      ...tapeRests(join(this.folder, `${facts.id}.tape`)),
    ])
      rmSync(rest, { force: true });
    if (facts.digest !== null) rmSync(`${tapePath(this.folder, facts.digest)}.going`, { force: true });
    const wasActive = document.state === 'uploading' || document.state === 'reading';
    return { ok: true, value: wasActive ? { ...document, state: 'cancelled' } : document };
  }

  /** Who else may want it is found only once nobody can open it any more: see `uses.ts`. */
  private takeTapeAway(digest: string, id: string): HostProblem | null {
    for (const { facts } of this.known.values()) if (facts.digest === digest && facts.id !== id) return null;
    const path = tapePath(this.folder, digest);
    if (!existsSync(path)) return null;
    renameSync(path, `${path}.going`);
    const users = usesOf(this.folder, digest).filter((session) => {
      if (this.hasSession(session)) return true;
      unmarkUse(this.folder, digest, session);
      return false;
    });
    if (users.length === 0) return null;
    renameSync(`${path}.going`, path);
    const some = users.slice(0, 10).join(', ');
    const detail = `${users.length === 1 ? 'A session replays' : `${users.length} sessions replay`} the trace: ${some}${users.length > 10 ? ', ...' : ''}. Delete ${users.length === 1 ? 'it' : 'them'} first.`;
    return { code: 'trace-in-use', detail };
  }

  /** A session is gone: what it replayed may be deleted. */
  sessionDeleted(session: string): void {
    if (this.closing) return;
    try {
      forgetUses(this.folder, session);
    } catch (error) {
      this.logger.warn({ err: error, session }, 'what a deleted session replayed could not be released');
    }
  }

  status(): ArchiveStatus {
    const states = { uploading: 0, reading: 0, ready: 0, failed: 0, cancelled: 0 };
    let uploads = 0;
    for (const entry of this.known.values()) {
      states[stateOf(entry)]++;
      if (entry.active !== null) uploads++;
    }
    const { uploading, reading, ready, failed } = states;
    return {
      traces: this.known.size,
      uploading,
      reading,
      ready,
      failed,
      uploads,
      readers: this.readers.busy,
      queued: this.readers.queued,
      storedBytes: this.storedBytes,
      ...this.counted,
    };
  }

  /** Uploads end and keep what they have; what is read is read again at the next start. */
  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    for (const { active } of this.known.values()) active?.stop.abort();
    await Promise.all([...this.known.values()].map((entry) => entry.active?.done));
    await this.readers.close();
    for (const { facts } of this.known.values()) rmSync(this.markPath(facts.id), { force: true });
    this.store.close();
  }
}

/** Ends the taking of a body. */
class Refused extends Error {
  readonly problem: HostProblem;

  constructor(problem: HostProblem) {
    super(problem.detail);
    this.problem = problem;
  }
}

function stateOf({ facts, problem }: Entry): TraceState {
  return problem === null ? facts.state : 'failed';
}

function storedBytesOf({ facts, readsTapeBytes }: Entry): number {
  if (facts.state === 'ready') return facts.tapeBytes;
  return facts.state === 'failed' ? 0 : facts.bytes + readsTapeBytes;
}

function tapeRests(path: string): string[] {
  return [path, `${path}.part`, `${path}.late`];
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    const { bytesWritten } = await file.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}

function problemOf(how: Awaited<ReturnType<typeof takeBody>>, idleMs: number): HostProblem | null {
  switch (how) {
    case 'whole':
      return null;
    case 'broken':
      return { code: 'aborted', detail: 'The connection broke before the body was at its end. What came is kept.' };
    case 'idle':
      return {
        code: 'idle-timeout',
        detail: `Nothing came for ${idleMs / 1000} s. What came is kept: ask for the offset, and go on there.`,
      };
    case 'stopped':
      return {
        code: 'upload-superseded',
        detail:
          'The upload ended here: another request goes on with it, or the trace is gone, has failed, or the server ends.',
        retryable: true,
      };
  }
}

/** Of what is asked for, before a byte of it is taken. */
function optionsProblem(format: string, options: TraceInput['options']): HostProblem | null {
  const kinds = Object.keys(formats);
  if (format !== 'auto' && !kinds.includes(format))
    return {
      code: 'invalid-query',
      detail: `There is no format "${format}"; there are auto, ${kinds.join(', ')}.`,
      path: '/format',
    };
  try {
    checkOptions(format === 'auto' ? null : (formats[format] as FormatEntry), options);
    return null;
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    return { code: 'invalid-query', detail: error.message, path: '/options' };
  }
}

export function traceNotFound(trace: string): HostProblem {
  return { code: 'unknown-trace', detail: `There is no trace "${trace}".` };
}

function notReady(trace: string, state: TraceState): HostProblem {
  const detail = `Trace ${trace} is ${state}: its events are there once it is ready.`;
  return { code: 'trace-not-ready', detail, retryable: state !== 'failed' };
}

function uploadEnded(problem: TraceProblem | null): HostProblem {
  const why = problem === null ? 'it has failed' : problem.detail;
  return { code: 'trace-failed', detail: `No more of the recording is taken, since it cannot be read: ${why}` };
}

function tooLarge(uploadBytes: number): HostProblem {
  return {
    code: 'recording-too-large',
    detail: `The recording has more than ${uploadBytes} bytes, the most that one may have.`,
  };
}

function inconsistent(detail: string): HostProblem {
  return { code: 'inconsistent-upload-length', detail };
}

function withoutPath(error: unknown, folder: string): string {
  return messageOf(error).replaceAll(`${folder}/`, '');
}
