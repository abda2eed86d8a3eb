/**
 * The recordings of one server.
 *
 *     create ──> register ──> uploads: socket ──> <id>.upload ──> reading: thread ──> tape
 *                               ^                     │ held back when the reader is far behind
 *                               └── again, after whatever went wrong, at the offset that the file has
 *
 * What arrives goes to the disk as it is, packed, and is read from there: an upload that breaks off goes on later, a server that is killed
 * finds the bytes again, and the importer, whose state nobody could keep, begins anew. Once all is read the upload is removed: the tape
 * has what a replay needs at a size that is known, and whoever sent the recording has it still.
 */
import type { HostProblem, Reply } from '../../host/host.ts';
import { hasTraceIdForm, LOCAL_OWNER, newTraceId } from '../../host/ids.ts';
import { type HostLogger, SILENT } from '../../host/logger.ts';
import { decodeCursor, encodeCursor, pageLimit } from '../../host/paging.ts';
import {
  invalidCursor,
  messageOf,
  nameHasIdForm,
  nameTaken,
  refuse,
  shuttingDown,
  storageUnavailable,
} from '../../host/problems.ts';
import type { KeyMark } from '../../host/retry.ts';
import { type TraceFacts, TraceStore } from '../store.ts';
import { openTape, TapeError } from '../tape.ts';
import type { TraceDocument, TraceInput, TraceProblem, TraceState, TraceSummary } from '../trace.ts';
import { type Entry, stateOf } from './entry.ts';
import { type EventsPage, type EventsQuery, pageOfEvents } from './events.ts';
import { TraceFolder } from './folder.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './limits.ts';
import { inUse, keyUsedOtherwise, notReady, optionsProblem, traceNotFound } from './problems.ts';
import { Reading } from './reading.ts';
import { Register } from './register.ts';
import { type OwnerBounds, Room } from './room.ts';
import { documentOf, summaryOf } from './told.ts';
import { type AppendRequest, Uploads } from './uploads.ts';
import { forgetUses, putTapeBack, removeTapeTakenAway, takeTapeAway, tapePath } from './uses.ts';

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

/** Of reading a recording, none of which came to an end. */
const MOST_BEGINNINGS = 5;

export class TraceArchive {
  readonly folder: string;
  readonly limits: Readonly<ArchiveLimits>;
  private readonly logger: HostLogger;
  private readonly nowMs: () => number;
  private readonly hasSession: (session: string) => boolean;
  private readonly importer: string | null;
  private readonly files: TraceFolder;
  private readonly register: Register;
  private readonly room: Room;
  private readonly reading: Reading;
  private readonly uploads: Uploads;
  private closing = false;

  /** @throws StoreError; what the file system says */
  constructor({ folder, store, limits, logger = SILENT, nowMs = Date.now, hasSession, importer }: ArchiveParts) {
    this.folder = folder;
    this.limits = { ...ARCHIVE_LIMITS, ...limits };
    this.logger = logger;
    this.nowMs = nowMs;
    this.hasSession = hasSession ?? (() => false);
    this.importer = importer ?? null;
    this.files = new TraceFolder(folder);
    this.register = new Register(store ?? new TraceStore(null));
    this.room = new Room(folder, this.limits, this.register);
    const parts = { folder: this.files, register: this.register, room: this.room, limits: this.limits, logger };
    this.reading = new Reading({ ...parts, nowMs, importer: this.importer });
    this.uploads = new Uploads({ ...parts, reading: this.reading });
    const entries = [...this.register.entries()];
    this.files.tidy(
      entries.map(({ facts }) => facts),
      this.hasSession,
    );
    for (const entry of entries) this.takeUp(entry);
  }

  /** From now on owners have these bounds. */
  govern(boundsOf: (owner: string) => OwnerBounds): void {
    this.room.govern(boundsOf);
  }

  /** As the server left it when it ended. */
  private takeUp(entry: Entry): void {
    const { facts } = entry;
    if (facts.state === 'ready') {
      entry.problem = this.problemOfTape(facts);
      return;
    }
    if (facts.state === 'failed') return;
    const there = this.files.uploadedBytes(facts.id);
    if (facts.state === 'reading' && there < facts.bytes) {
      const detail = `Of its ${facts.bytes} bytes the server has only ${there} left.`;
      this.reading.fail(entry, { code: 'upload-lost', detail });
      return;
    }
    if (this.files.timesBegun(facts.id) >= MOST_BEGINNINGS) {
      const detail = `The server ended ${MOST_BEGINNINGS} times while it read the recording, and does not try it again.`;
      this.reading.fail(entry, { code: 'reader-failed', detail });
      return;
    }
    facts.bytes = there;
    this.reading.start(entry);
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
        detail: `Its tape cannot be used: upload the recording again. ${this.withoutPath(error)}`,
      };
    }
  }

  private withoutPath(error: unknown): string {
    return messageOf(error).replaceAll(`${this.folder}/`, '');
  }

  /**
   * @param made the request's key, and what stands for the request
   * @returns the trace, and whether an earlier request with this key had made it
   */
  create(
    input: TraceInput,
    owner: string,
    made: KeyMark | null = null,
  ): Reply<{ trace: TraceDocument; replayed: boolean }> {
    const earlier = made === null ? undefined : this.register.madeBy(made);
    if (earlier !== undefined) {
      if (earlier.facts.made?.print !== made?.print) return refuse(keyUsedOtherwise());
      return { ok: true, value: { trace: documentOf(earlier, this.register), replayed: true } };
    }
    const problem = this.refusal(input, owner);
    if (problem !== null) return refuse(problem);
    const nowMs = this.nowMs();
    try {
      const entry = this.register.add({
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
      });
      return { ok: true, value: { trace: documentOf(entry, this.register), replayed: false } };
    } catch (error) {
      this.logger.error({ err: error }, 'a trace cannot be written down');
      return refuse(storageUnavailable(messageOf(error)));
    }
  }

  private refusal({ name, format, options, lengthBytes }: TraceInput, owner: string): HostProblem | null {
    if (this.closing) return shuttingDown();
    if (this.importer === null) {
      const problem = optionsProblem(format, options);
      if (problem !== null) return problem;
    }
    if (name !== undefined) {
      if (hasTraceIdForm(name)) return nameHasIdForm(name, 'trace');
      if (this.register.isNameTaken(owner, name)) return nameTaken(name, 'trace');
    }
    return this.room.refuseTrace(lengthBytes ?? 0, owner);
  }

  /** @returns the trace once the body is at its end and on the disk */
  async append(id: string, request: AppendRequest): Promise<Reply<TraceDocument>> {
    const entry = this.register.byId(id);
    if (entry === undefined) return refuse(traceNotFound(id));
    const problem = await this.uploads.append(entry, request);
    return problem === null ? { ok: true, value: documentOf(entry, this.register) } : refuse(problem);
  }

  resolve(trace: string, owner: string = LOCAL_OWNER): string | null {
    return this.register.resolve(trace, owner);
  }

  ownerOf(id: string): string | null {
    return this.register.byId(id)?.facts.owner ?? null;
  }

  countOf(owner: string): number {
    return this.register.countOf(owner);
  }

  storedOf(owner: string): number {
    return this.register.storedOf(owner);
  }

  private find(trace: string): Entry | null {
    return this.register.byId(this.resolve(trace) ?? '') ?? null;
  }

  get(trace: string): Reply<TraceDocument> {
    const entry = this.find(trace);
    return entry === null ? refuse(traceNotFound(trace)) : { ok: true, value: documentOf(entry, this.register) };
  }

  list(
    { limit, cursor, state }: { limit: number; cursor?: string; state?: TraceState },
    sees: (owner: string) => boolean = () => true,
  ): Reply<{ items: TraceSummary[]; nextCursor?: string }> {
    const after = decodeCursor(cursor);
    if (after === null) return refuse(invalidCursor(cursor!));
    const most = pageLimit(limit);
    const found: Entry[] = [];
    for (const entry of this.register.entries()) {
      const { number, owner } = entry.facts;
      if (number <= after || !sees(owner) || (state !== undefined && stateOf(entry) !== state)) continue;
      found.push(entry);
      if (found.length > most) break;
    }
    const items = found.slice(0, most).map((entry) => summaryOf(entry, this.register));
    if (found.length <= most) return { ok: true, value: { items } };
    return { ok: true, value: { items, nextCursor: encodeCursor(found[most - 1]!.facts.number) } };
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
      const detail = `What was kept of it cannot be read: ${this.withoutPath(error)}`;
      return refuse({ code: 'trace-damaged', detail });
    }
  }

  /** Ends it whatever it is doing, and removes all of it; refused while a session replays it. */
  async delete(trace: string): Promise<Reply<TraceDocument>> {
    const entry = this.find(trace);
    if (entry === null || entry.gone) return refuse(traceNotFound(trace));
    const { id, digest } = entry.facts;
    if (digest !== null && !this.isShared(digest, id)) {
      const users = takeTapeAway(this.folder, digest, this.hasSession);
      if (users.length > 0) return refuse(inUse(users));
    }
    const document = documentOf(entry, this.register);
    try {
      this.register.remove(entry);
    } catch (error) {
      if (digest !== null) putTapeBack(this.folder, digest);
      return refuse(storageUnavailable(messageOf(error)));
    }
    entry.active?.stop.abort();
    await Promise.all([entry.reader?.stop(), entry.active?.done]);
    this.files.remove(id);
    if (digest !== null) removeTapeTakenAway(this.folder, digest);
    const wasActive = document.state === 'uploading' || document.state === 'reading';
    return { ok: true, value: wasActive ? { ...document, state: 'cancelled' } : document };
  }

  /** Whether another trace has this tape, too. */
  private isShared(digest: string, id: string): boolean {
    for (const { facts } of this.register.entries()) if (facts.digest === digest && facts.id !== id) return true;
    return false;
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
    for (const entry of this.register.entries()) {
      states[stateOf(entry)]++;
      if (entry.active !== null) uploads++;
    }
    const { uploading, reading, ready, failed } = states;
    return {
      traces: this.register.size,
      uploading,
      reading,
      ready,
      failed,
      uploads,
      readers: this.reading.busy,
      queued: this.reading.queued,
      storedBytes: this.register.storedBytes,
      receivedBytes: this.uploads.receivedBytes,
      ...this.reading.counted,
    };
  }

  /** Uploads end and keep what they have; what is read is read again at the next start. */
  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    await this.uploads.close();
    await this.reading.close();
    for (const { facts } of this.register.entries()) this.files.forgetBeginnings(facts.id);
    this.register.close();
  }
}
