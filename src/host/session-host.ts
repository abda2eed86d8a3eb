/**
 * The sessions of this server and the workers they live in. The main thread keeps what is in the registry (id, name, spec, epoch);
 * all else is asked of the session's worker. Nothing computes here and no call waits for a run.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { Operation, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import { tuneCompiler } from './compiler.ts';
import type {
  FrameListener,
  HostProblem,
  HostStatus,
  OpsOptions,
  Reply,
  RunDocument,
  SessionDocument,
  SessionFrame,
  SessionHost,
  SessionInput,
  SessionState,
} from './host.ts';
import { hasIdForm, newEpoch, newSessionId } from './ids.ts';
import { DEFAULT_LIMITS, type HostLimits } from './limits.ts';
import { type ExchangeSettings, OpsExchange } from './ops-exchange.ts';
import { decodeCursor, encodeCursor, pageLimit } from './paging.ts';
import {
  invalidCursor,
  nameHasIdForm,
  nameTaken,
  refuse,
  sessionFailed,
  sessionNotFound,
  shuttingDown,
} from './problems.ts';
import type { CreatedSession, SessionStatus, WorkerSettings } from './protocol.ts';
import { type HeapLimits, type WorkerEvents, WorkerHandle } from './worker-handle.ts';

/** The part of a pino logger that is used. */
export interface HostLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface HostOptions {
  /** Worker threads; one less than the machine has cores, at least one. */
  workers?: number;
  logger?: HostLogger;
  /** How long one session computes before its worker serves messages and the other sessions. */
  sliceMs?: number;
  /** URL of a module with `createSimulator`, `resolveSpec` and `coreVersion`; the core unless given. */
  simulatorModule?: string;
  limits?: Partial<HostLimits>;
}

const MIB = 1024 * 1024;
const DEFAULT_SLICE_MS = 5;
const SWEEP_MS = 1000;
/** A worker that dies before it ever took a call is not replaced at once: its successor would die of the same. */
const REPLACE_AFTER_MS = 1000;

const SILENT: HostLogger = { info() {}, warn() {}, error() {} };

/** A session as the main thread knows it. */
interface Entry {
  id: string;
  /** Rises with each creation; the order of the list. */
  number: number;
  handle: WorkerHandle;
  name: string | undefined;
  title: string | undefined;
  createdAt: string;
  epoch: string;
  state: SessionState;
  /** Null unless `failed`. */
  failure: HostProblem | null;
  spec: Record<string, unknown>;
  /** As last heard of; what is shown of a session whose worker is dead. */
  status: SessionStatus;
}

/** Resolves when every worker takes calls; rejects when one cannot start. */
export async function createHost(options: HostOptions = {}): Promise<SessionHost> {
  const host = new WorkerHost(options);
  await host.start();
  return host;
}

class WorkerHost implements SessionHost {
  private readonly limits: HostLimits;
  private readonly settings: WorkerSettings;
  private readonly heap: HeapLimits;
  private readonly logger: HostLogger;
  /** [index]: the worker in that place now. */
  private readonly handles: WorkerHandle[] = [];
  private readonly entries = new Map<string, Entry>();
  /** Name -> id; null while the session is under construction. */
  private readonly names = new Map<string, string | null>();
  private readonly listeners: FrameListener[] = [];
  private readonly sweep: NodeJS.Timeout;
  private lastNumber = 0;
  private lastStream = 0;
  private openStreams = 0;
  private closing: Promise<void> | null = null;
  private readonly events: WorkerEvents = {
    frames: (session, frames) => this.passFrames(session, frames),
    state: (session, state, problem) => this.noteState(session, state, problem),
    died: (handle, reason) => this.bury(handle, reason),
  };

  constructor(options: HostOptions) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.logger = options.logger ?? SILENT;
    const workers = Math.max(1, options.workers ?? availableParallelism() - 1);
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const { opsOutputBytes, opsLabelBytes, runRecords, queuedWrites, frameEveryMs } = this.limits;
    this.settings = {
      simulatorModule: options.simulatorModule ?? new URL(`../core/index.${extension}`, import.meta.url).href,
      sliceMs: options.sliceMs ?? DEFAULT_SLICE_MS,
      opsOutputBytes,
      opsLabelBytes,
      runRecords,
      queuedWrites,
      frameEveryMs,
    };
    // Half of the memory for all heaps together; typed arrays lie outside them.
    const heapMb = Math.floor(memoryBytes() / 2 / workers / MIB);
    this.heap = { maxOldGenerationSizeMb: Math.min(Math.max(heapMb, 256), 4096), maxYoungGenerationSizeMb: 64 };
    tuneCompiler();
    for (let index = 0; index < workers; index++) this.handles.push(this.startWorker(index));
    this.sweep = setInterval(() => this.expire(), SWEEP_MS);
    this.sweep.unref();
  }

  async start(): Promise<void> {
    for (const handle of [...this.handles]) {
      const reason = await handle.ready;
      if (reason === null) continue;
      await this.close();
      throw new Error(`A session worker did not start: ${reason}`);
    }
  }

  private startWorker(index: number): WorkerHandle {
    return new WorkerHandle(index, this.settings, this.heap, this.limits.callTimeoutMs, this.events);
  }

  private expire(): void {
    const now = performance.now();
    for (const handle of this.handles) handle.expire(now);
  }

  // Registry

  /** The worker with the fewest sessions, the first of equals; null when all are dead. */
  private place(): WorkerHandle | null {
    let best: WorkerHandle | null = null;
    for (const handle of this.handles) {
      if (handle.alive && (best === null || handle.sessions.size < best.sessions.size)) best = handle;
    }
    return best;
  }

  private find(session: string): Entry | undefined {
    return this.entries.get(session) ?? this.entries.get(this.names.get(session) ?? '');
  }

  /** Why `name` cannot be the name of `own`, or null. */
  private refuseName(name: string | undefined, own: string | null): HostProblem | null {
    if (name === undefined) return null;
    if (hasIdForm(name)) return nameHasIdForm(name);
    const holder = this.names.get(name);
    return holder === undefined || (own !== null && holder === own) ? null : nameTaken(name);
  }

  private document(entry: Entry): SessionDocument {
    const { id, name, title, createdAt, status, spec, failure } = entry;
    const { timeNs, timePs, operations, policy } = status;
    return {
      id,
      ...(name === undefined ? {} : { name }),
      ...(title === undefined ? {} : { title }),
      state: failure === null ? status.state : 'failed',
      createdAt,
      timeNs,
      timePs,
      digest: failure === null ? status.digest : null,
      operations,
      spec,
      policy,
      activeRun: failure === null ? status.activeRun : null,
    };
  }

  async validate(input: SessionInput): Promise<Reply> {
    const handle = this.place();
    const refusal = this.refuseNew(handle) ?? this.refuseName(textOf(input.name), null);
    return refusal === null ? handle!.ask({ kind: 'validate', input }) : refuse(refusal);
  }

  private refuseNew(handle: WorkerHandle | null): HostProblem | null {
    if (this.closing !== null) return shuttingDown();
    return handle === null ? { code: 'overloaded', detail: 'No session worker is up.', retryable: true } : null;
  }

  private refuseAnother(): HostProblem | null {
    let sessions = 0;
    for (const handle of this.handles) sessions += handle.sessions.size;
    if (sessions < this.limits.sessions) return null;
    const detail = `There are ${sessions} sessions, and ${this.limits.sessions} is the limit; delete one first.`;
    return { code: 'too-many-sessions', detail };
  }

  create(input: SessionInput): Promise<Reply<SessionDocument>> {
    const handle = this.place();
    const name = textOf(input.name);
    const refusal = this.refuseNew(handle) ?? this.refuseName(name, null) ?? this.refuseAnother();
    if (refusal !== null || handle === null) return Promise.resolve(refuse(refusal!));
    const id = newSessionId();
    if (name !== undefined) this.names.set(name, null);
    handle.sessions.add(id);
    return new Promise((resolve) => {
      handle.call<CreatedSession>({ kind: 'create', session: id, input }, (reply) => {
        if (reply.ok && this.closing === null) {
          resolve({ ok: true, value: this.register(id, handle, name, reply.value) });
          return;
        }
        handle.sessions.delete(id);
        if (name !== undefined) this.names.delete(name);
        // Given up on, it may still be built.
        handle.call({ kind: 'delete', session: id }, () => {});
        resolve(reply.ok ? refuse(shuttingDown()) : reply);
      });
    });
  }

  private register(
    id: string,
    handle: WorkerHandle,
    name: string | undefined,
    created: CreatedSession,
  ): SessionDocument {
    const { spec, ...status } = created;
    const entry: Entry = {
      id,
      number: ++this.lastNumber,
      handle,
      name,
      title: textOf(spec.title),
      createdAt: new Date().toISOString(),
      epoch: newEpoch(),
      state: status.state,
      failure: null,
      spec,
      status,
    };
    this.entries.set(id, entry);
    if (name !== undefined) this.names.set(name, id);
    this.tell((listener) => listener.epoch(id, entry.epoch));
    return this.document(entry);
  }

  async list(page: {
    limit?: number;
    cursor?: string;
  }): Promise<Reply<{ items: SessionDocument[]; nextCursor?: string }>> {
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const limit = pageLimit(page.limit);
    const found: Entry[] = [];
    for (const entry of this.entries.values()) {
      if (entry.number <= after) continue;
      if (found.length === limit) {
        const nextCursor = encodeCursor(found[limit - 1]!.number);
        return { ok: true, value: { items: await this.documents(found), nextCursor } };
      }
      found.push(entry);
    }
    return { ok: true, value: { items: await this.documents(found) } };
  }

  /** A session that does not answer is shown as last heard of: one of them does not spoil the list. */
  private async documents(entries: Entry[]): Promise<SessionDocument[]> {
    const replies = await Promise.all(entries.map((entry) => this.documentNow(entry)));
    const documents: SessionDocument[] = [];
    for (const [i, entry] of entries.entries()) {
      // Deleted meanwhile.
      if (this.entries.get(entry.id) !== entry) continue;
      const reply = replies[i]!;
      documents.push(reply.ok ? reply.value : { ...this.document(entry), digest: null });
    }
    return documents;
  }

  private async documentNow(entry: Entry): Promise<Reply<SessionDocument>> {
    const reply = await entry.handle.ask<SessionStatus>({ kind: 'status', session: entry.id });
    if (reply.ok) entry.status = reply.value;
    else if (entry.failure === null) return reply;
    return { ok: true, value: this.document(entry) };
  }

  async get(session: string): Promise<Reply<SessionDocument>> {
    const entry = this.find(session);
    return entry === undefined ? refuse(sessionNotFound(session)) : this.documentNow(entry);
  }

  async rename(session: string, change: { name?: string; title?: string }): Promise<Reply<SessionDocument>> {
    const entry = this.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const { name, title } = change;
    const refusal = this.refuseName(name, entry.id);
    if (refusal !== null) return refuse(refusal);
    if (name !== undefined) {
      if (entry.name !== undefined) this.names.delete(entry.name);
      this.names.set(name, entry.id);
      entry.name = name;
      entry.spec = { ...entry.spec, name };
    }
    if (title !== undefined) {
      entry.title = title;
      entry.spec = { ...entry.spec, title };
    }
    return this.documentNow(entry);
  }

  async delete(session: string): Promise<Reply<{ id: string }>> {
    const entry = this.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const { id, name, handle } = entry;
    this.entries.delete(id);
    if (name !== undefined) this.names.delete(name);
    handle.sessions.delete(id);
    await handle.ask({ kind: 'delete', session: id });
    this.tell((listener) => listener.deleted(id));
    return { ok: true, value: { id } };
  }

  reset(session: string): Promise<Reply<SessionDocument>> {
    const entry = this.find(session);
    if (entry === undefined) return Promise.resolve(refuse(sessionNotFound(session)));
    return new Promise((resolve) => {
      entry.handle.call<SessionStatus>({ kind: 'reset', session: entry.id }, (reply) => {
        if (!reply.ok) {
          resolve(reply);
          return;
        }
        entry.status = reply.value;
        entry.epoch = newEpoch();
        this.tell((listener) => listener.epoch(entry.id, entry.epoch));
        resolve({ ok: true, value: this.document(entry) });
      });
    });
  }

  // What a session is asked

  apply(session: string, operation: Operation): Promise<Reply> {
    const entry = this.find(session);
    if (entry === undefined) return Promise.resolve(refuse(sessionNotFound(session)));
    return entry.handle.ask({ kind: 'apply', session: entry.id, operation });
  }

  read(session: string, reading: Reading): Promise<Reply> {
    const entry = this.find(session);
    if (entry === undefined) return Promise.resolve(refuse(sessionNotFound(session)));
    return entry.handle.ask({ kind: 'read', session: entry.id, reading });
  }

  startRun(session: string, request: RunRequest): Promise<Reply<RunDocument>> {
    const entry = this.find(session);
    if (entry === undefined) return Promise.resolve(refuse(sessionNotFound(session)));
    return entry.handle.ask({ kind: 'run-start', session: entry.id, request });
  }

  async listRuns(
    session: string,
    page: { limit?: number; cursor?: string },
  ): Promise<Reply<{ items: RunDocument[]; nextCursor?: string }>> {
    const entry = this.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const limit = pageLimit(page.limit);
    const reply = await entry.handle.ask<{ items: RunDocument[]; last: number | null }>({
      kind: 'run-list',
      session: entry.id,
      limit,
      after,
    });
    if (!reply.ok) return reply;
    const { items, last } = reply.value;
    return { ok: true, value: last === null ? { items } : { items, nextCursor: encodeCursor(last) } };
  }

  getRun(session: string, run: string): Promise<Reply<RunDocument>> {
    const entry = this.find(session);
    if (entry === undefined) return Promise.resolve(refuse(sessionNotFound(session)));
    return entry.handle.ask({ kind: 'run-get', session: entry.id, run });
  }

  deleteRun(session: string, run: string): Promise<Reply<RunDocument>> {
    const entry = this.find(session);
    if (entry === undefined) return Promise.resolve(refuse(sessionNotFound(session)));
    return entry.handle.ask({ kind: 'run-delete', session: entry.id, run });
  }

  // Many operations

  async ops(
    session: string,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    const entry = this.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    if (this.closing !== null) return refuse(shuttingDown());
    if (this.openStreams >= this.limits.opsRequests) {
      const detail = `${this.openStreams} requests of operations are open, and ${this.limits.opsRequests} is the limit.`;
      return refuse({ code: 'too-many-requests', detail, retryable: true });
    }
    this.openStreams++;
    let open = true;
    const closed = (): void => {
      if (!open) return;
      open = false;
      this.openStreams--;
      entry.handle.exchanges.delete(stream);
    };
    const stream = ++this.lastStream;
    try {
      const array = options.format === 'array' ? await this.collect(body) : null;
      if (array !== null && !(array instanceof ArrayBuffer)) {
        closed();
        return refuse(array);
      }
      return await this.openExchange(entry, stream, array, body, options, closed);
    } catch (error) {
      // Only the body throws here: the client broke off.
      closed();
      return refuse({ code: 'aborted', detail: `The request body broke off: ${String(error)}` });
    }
  }

  private openExchange(
    entry: Entry,
    stream: number,
    array: ArrayBuffer | null,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
    closed: () => void,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    const { handle, id } = entry;
    const { opsInputBytes: inputBytes, opsIdleMs: idleMs } = this.limits;
    const { onError, signal, resume = null } = options;
    const aborted = new SharedArrayBuffer(4);
    const settings: ExchangeSettings = { stream, inputBytes, idleMs, aborted, signal, closed };
    return new Promise((resolve) => {
      handle.call(
        { kind: 'ops-open', session: id, stream, onError, array, resume, aborted },
        (reply) => {
          if (!reply.ok) {
            closed();
            // Opened after all, it would wait for lines that never come.
            handle.note({ kind: 'ops-abort', stream });
            resolve(reply);
            return;
          }
          const exchange = new OpsExchange(handle, settings);
          handle.exchanges.set(stream, exchange);
          if (array === null) void exchange.feed(body);
          resolve({ ok: true, value: exchange });
        },
        array ?? undefined,
      );
    });
  }

  /** The whole body, in a buffer of its own. */
  private async collect(body: AsyncIterable<Uint8Array>): Promise<ArrayBuffer | HostProblem> {
    const { opsArrayBytes, opsIdleMs } = this.limits;
    const chunks: Uint8Array[] = [];
    let byteCount = 0;
    const iterator = body[Symbol.asyncIterator]();
    for (;;) {
      const next = await within(iterator.next(), opsIdleMs);
      if (next === null) return { code: 'idle-timeout', detail: 'Nothing of the body arrived for too long.' };
      if (next.done) break;
      byteCount += next.value.byteLength;
      if (byteCount > opsArrayBytes) {
        const detail = `An array may have ${opsArrayBytes} bytes; send lines instead, which may be of any total length.`;
        return { code: 'body-too-large', detail };
      }
      chunks.push(next.value);
    }
    const whole = new Uint8Array(byteCount);
    let offset = 0;
    for (const chunk of chunks) {
      whole.set(chunk, offset);
      offset += chunk.byteLength;
    }
    return whole.buffer;
  }

  // The stream

  resolve(session: string): string | null {
    return this.find(session)?.id ?? null;
  }

  epochOf(session: string): string | null {
    return this.find(session)?.epoch ?? null;
  }

  listen(listener: FrameListener): void {
    this.listeners.push(listener);
  }

  private tell(say: (listener: FrameListener) => void): void {
    for (const listener of this.listeners) {
      try {
        say(listener);
      } catch (error) {
        this.logger.error({ err: error }, 'a frame listener failed');
      }
    }
  }

  private passFrames(session: string, frames: SessionFrame[]): void {
    const entry = this.entries.get(session);
    if (entry !== undefined) this.tell((listener) => listener.frames(session, entry.epoch, frames));
  }

  private noteState(session: string, state: SessionState, problem: HostProblem | null): void {
    const entry = this.entries.get(session);
    if (entry === undefined) return;
    entry.state = state;
    entry.failure = problem;
    if (problem === null) return;
    this.logger.error({ session, reason: problem.detail }, 'session failed');
    this.tell((listener) => listener.failed(session));
  }

  // Life and death

  private bury(handle: WorkerHandle, reason: string): void {
    if (this.closing !== null) return;
    this.logger.error({ worker: handle.index, sessions: handle.sessions.size, reason }, 'session worker died');
    for (const [session, entry] of this.entries) {
      if (entry.handle !== handle || entry.failure !== null) continue;
      entry.state = 'failed';
      entry.failure = sessionFailed(`The worker that held this session died (${reason}), and the session with it.`);
      this.tell((listener) => listener.failed(session));
    }
    const replace = (): void => {
      if (this.closing === null) this.handles[handle.index] = this.startWorker(handle.index);
    };
    if (handle.started) replace();
    else setTimeout(replace, REPLACE_AFTER_MS).unref();
  }

  status(): HostStatus {
    let activeRuns = 0;
    for (const entry of this.entries.values()) if (entry.state === 'running') activeRuns++;
    let pendingCalls = 0;
    let workersAlive = 0;
    for (const handle of this.handles) {
      pendingCalls += handle.pendingCalls;
      if (handle.alive) workersAlive++;
    }
    return {
      ready: this.closing === null && workersAlive > 0,
      sessions: this.entries.size,
      workers: this.handles.length,
      workersAlive,
      activeRuns,
      pendingCalls,
    };
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    clearInterval(this.sweep);
    const farewells = this.handles.filter((handle) => handle.alive).map((handle) => handle.ask({ kind: 'close' }));
    await within(Promise.all(farewells), this.limits.closeMs);
    await Promise.all(this.handles.map((handle) => handle.terminate(shuttingDown())));
  }
}

/** What this process may have: the limit of its control group, as containers set one, else all that the machine has. */
function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What `promise` gives, or null after `ms`. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
