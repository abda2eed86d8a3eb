/**
 * The sessions of this server and the workers they live in. The main thread keeps what is in the registry (id, name, spec, epoch);
 * all else is asked of the session's worker. Nothing computes here and no call waits for a run.
 */
import { dirname, join } from 'node:path';
import type { Operation, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import { Audience } from './audience.ts';
import { Creation, keptInstant } from './creation.ts';
import { Crew } from './crew.ts';
import { documentOf, type Entry, pauseOf, rowOf, storedEntry } from './entry.ts';
import { Expiry, refuseExpiry } from './expiry.ts';
import { historyOf, type SessionHistory } from './history.ts';
import type {
  AnsweredLines,
  FrameListener,
  HostProblem,
  HostStatus,
  OpsOptions,
  Pause,
  Reply,
  RunDocument,
  Scraped,
  SessionChange,
  SessionDocument,
  SessionFrame,
  SessionHost,
  SessionInput,
  SessionState,
  SnapshotDocument,
} from './host.ts';
import { LOCAL_OWNER, newEpoch } from './ids.ts';
import type { Journal } from './journal/journal.ts';
import { DEFAULT_LIMITS, type HostLimits } from './limits.ts';
import { type HostLogger, SILENT } from './logger.ts';
import { OpsRequests } from './ops-requests.ts';
import { currentOrigin, fieldsOf, underNoOrigin, withOrigin } from './origin.ts';
import { decodeCursor, encodeCursor, pageLimit } from './paging.ts';
import { invalidCursor, messageOf, refuse, sessionFailed, sessionNotFound, shuttingDown } from './problems.ts';
import type { CallBody, CalledBy, RestedSession, SessionStatus, Told } from './protocol.ts';
import { type OwnerQuotas, Quotas } from './quotas.ts';
import { Registry } from './registry.ts';
import { currentRetry, type KeyMark, markOf, type Retry } from './retry.ts';
import { matcherOf, type SessionFilter } from './session-filter.ts';
import { SnapshotSeal } from './snapshot-seal.ts';
import { nothingKept, Snapshots } from './snapshots.ts';
import { Store, type StorePlace } from './store.ts';
import { type Tracing, UNTRACED } from './tracing.ts';
import { Waker } from './waker.ts';
import { within } from './within.ts';
import type { WorkerEvents, WorkerHandle } from './worker-handle.ts';

export interface HostOptions {
  /** Worker threads; one less than the machine has cores, at least one. */
  workers?: number;
  logger?: HostLogger;
  /** How long one session computes before its worker serves messages and the other sessions. */
  sliceMs?: number;
  /** Where sessions are kept; without it they end with the server. */
  journal?: StorePlace;
  /** Folder of the tapes that sessions may replay (`src/trace/archive/uses.ts`); without it there are none. */
  traces?: string;
  /** URL of a module with `createSimulator`, `resolveSpec` and `coreVersion`; the core unless given. */
  simulatorModule?: string;
  limits?: Partial<HostLimits>;
  /** Who is told how long things took; nobody unless given. */
  tracing?: Tracing;
  /** Wall clock, by which sessions expire and quotas fill up again. */
  nowMs?: () => number;
}

const SWEEP_MS = 1000;
/** What is refused while nothing can be written. */
const CHANGING: ReadonlySet<CallBody['kind']> = new Set(['apply', 'run-start', 'run-delete', 'snapshot']);

/**
 * Resolves when every worker takes calls; rejects when one cannot start, and with a `JournalError` when the journal cannot be used.
 */
export async function createHost(options: HostOptions = {}): Promise<SessionHost> {
  const host = new WorkerHost(options, await Store.open(options.journal));
  await host.start();
  return host;
}

class WorkerHost implements SessionHost {
  private readonly limits: HostLimits;
  private readonly nowMs: () => number;
  private readonly store: Store;
  private readonly crew: Crew;
  private readonly audience: Audience;
  private readonly creation: Creation;
  /** Null without a journal. */
  private readonly waker: Waker | null;
  private readonly snapshots: Snapshots | null;
  private readonly expiry: Expiry;
  private readonly quotas: Quotas;
  private readonly logger: HostLogger;
  private readonly tracing: Tracing;
  private readonly registry = new Registry();
  private readonly sweep: NodeJS.Timeout;
  private readonly opsRequests: OpsRequests;
  private closing: Promise<void> | null = null;

  constructor(options: HostOptions, store: Store) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.opsRequests = new OpsRequests(this.limits);
    this.logger = withOrigin(options.logger ?? SILENT);
    this.tracing = options.tracing ?? UNTRACED;
    this.audience = new Audience(this.logger);
    this.store = store;
    const nowMs = options.nowMs ?? Date.now;
    this.nowMs = nowMs;
    this.expiry = new Expiry({ expire: (entry) => underNoOrigin(() => this.expireSession(entry)), nowMs });
    this.quotas = new Quotas({ entries: () => this.registry.values(), nowMs });
    store.listen(options.logger ?? SILENT, (sizes) => this.quotas.noteSizes(sizes), this.tracing);
    const { journal } = store;
    this.waker = journal === null ? null : this.takeUp(journal);
    this.snapshots = journal === null ? null : this.keepSnapshots(journal, options.journal!.path);
    const { limits } = this;
    const { workers, sliceMs, simulatorModule, traces } = options;
    this.crew = new Crew({ workers, sliceMs, simulatorModule, traces, limits, store, events: this.eventsOfWorkers() });
    this.creation = this.beginCreation();
    this.sweep = setInterval(() => this.expire(), SWEEP_MS);
    this.sweep.unref();
  }

  private eventsOfWorkers(): WorkerEvents {
    return {
      frames: (session, frames) => this.passFrames(session, frames),
      state: (session, state, problem, paused) => this.noteState(session, state, problem, paused),
      computed: (session, ms) => this.noteComputed(session, ms),
      told: (session, told, from) => this.noteTold(session, told, from),
      tracing: this.tracing,
      died: (handle, reason) => this.bury(handle, reason),
    };
  }

  private beginCreation(): Creation {
    const { registry, store, crew, audience, expiry, quotas, limits, waker, snapshots, nowMs } = this;
    const known = { registry, store, crew, audience, expiry, quotas, limits, waker, snapshots, nowMs };
    return new Creation({
      ...known,
      closing: () => this.closing !== null,
      document: (entry) => this.documentNow(entry),
      delete: (session) => this.delete(session),
    });
  }

  /** The sessions of the journal, resting. */
  private takeUp(journal: Journal): Waker {
    for (const warning of journal.warnings) this.logger.warn({ warning }, 'the journal is not quite as it was left');
    for (const stored of journal.sessions) {
      const entry = storedEntry(stored);
      this.registry.add(entry);
      this.expiry.note(entry);
      this.quotas.add(entry);
      if (entry.failure !== null)
        this.logger.error({ session: entry.id, reason: entry.failure.detail }, 'session lost');
    }
    const { limits, store, logger } = this;
    const { entries } = this.registry;
    return new Waker({
      journal,
      logger,
      limits,
      entries,
      place: () => this.crew.place(),
      arrived: (entry) => this.quotas.tell(entry),
      lost: (entry, problem) => this.lose(entry, problem),
      get storeTrouble() {
        return store.trouble;
      },
    });
  }

  private keepSnapshots(journal: Journal, path: string): Snapshots {
    const { entries } = this.registry;
    return new Snapshots({
      journal,
      seal: new SnapshotSeal(join(dirname(path), 'snapshot.key')),
      limits: this.limits,
      ask: (entry, body) => this.ask(entry, body),
      askAny: (body) => this.crew.ask(body),
      entryOf: (session) => entries.get(session),
    });
  }

  async start(): Promise<void> {
    const reason = await this.crew.ready();
    if (reason !== null) {
      await this.close();
      throw new Error(`A session worker did not start: ${reason}`);
    }
    if (this.waker === null) return;
    await this.expiry.sweep();
    // Those that were left as they are wait until they are touched.
    for (const entry of this.registry.values())
      if (!entry.current || entry.status.activeRun !== null) this.waker.recover(entry);
  }

  private expire(): void {
    const now = performance.now();
    this.crew.expire(now);
    if (this.closing !== null) return;
    this.waker?.sweep(now);
    this.quotas.sweep();
  }

  /** As `askBy`, with the key of the request that asks. */
  private changeBy<T>(session: string, body: (id: string, retry: KeyMark | null) => CallBody): Promise<Reply<T>> {
    const retry = currentRetry();
    const reply = this.askBy<T>(session, (id) => body(id, markOf(retry)));
    return retry === null ? reply : reply.then((told) => noteReplay(retry, told));
  }

  // Registry

  validate(input: SessionInput, owner: string = LOCAL_OWNER): Promise<Reply> {
    return this.creation.validate(input, owner);
  }

  async create(
    input: SessionInput,
    owner: string = LOCAL_OWNER,
    admit: () => HostProblem | null = () => null,
  ): Promise<Reply<SessionDocument>> {
    const retry = currentRetry();
    const reply = await this.creation.create(input, owner, admit);
    if (reply.ok && retry?.replayed !== true) {
      const { id: session, name } = reply.value;
      const worker = this.registry.entryOf(session)?.handle?.index;
      this.logger.info(
        { session, owner, ...(name !== undefined && { name }), ...(worker !== undefined && { worker }) },
        'session created',
      );
    }
    return reply;
  }

  async list(
    page: { limit?: number; cursor?: string; filter?: SessionFilter },
    shows: (session: string) => boolean = () => true,
  ): Promise<Reply<{ items: SessionDocument[]; nextCursor?: string }>> {
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const matches = matcherOf(page.filter ?? {});
    const isShown = (entry: Entry): boolean => matches(entry) && shows(entry.id);
    const { entries, more } = this.registry.page(after, pageLimit(page.limit), isShown);
    const state = page.filter?.state;
    // It may have become another one while its worker was asked.
    const items = (await this.documents(entries)).filter((document) => state === undefined || document.state === state);
    return { ok: true, value: more ? { items, nextCursor: encodeCursor(entries.at(-1)!.number) } : { items } };
  }

  /** A session that does not answer is shown as last heard of: one of them does not spoil the list. */
  private async documents(entries: Entry[]): Promise<SessionDocument[]> {
    const replies = await Promise.all(entries.map((entry) => this.documentOfAny(entry)));
    const documents: SessionDocument[] = [];
    for (const [i, entry] of entries.entries()) {
      // Deleted meanwhile.
      if (this.registry.entries.get(entry.id) !== entry) continue;
      const reply = replies[i]!;
      documents.push(reply.ok ? reply.value : { ...documentOf(entry), digest: null });
    }
    return documents;
  }

  /** For a list, which wakes nobody. */
  private async documentOfAny(entry: Entry): Promise<Reply<SessionDocument>> {
    return entry.handle === null || entry.moving !== null
      ? { ok: true, value: documentOf(entry) }
      : this.documentNow(entry);
  }

  private async documentNow(entry: Entry): Promise<Reply<SessionDocument>> {
    const resting = this.waker?.restingDocument(entry) ?? null;
    if (resting !== null) return resting;
    const reply = await this.ask<SessionStatus>(entry, { kind: 'status', session: entry.id });
    if (!reply.ok) return entry.failure === null ? reply : { ok: true, value: documentOf(entry) };
    // Replies come in batches, and this one may be heard of after that of a rest which followed it: then it is as it was left there.
    if (entry.handle !== null && entry.moving === null) entry.status = reply.value;
    return { ok: true, value: documentOf({ ...entry, status: reply.value }) };
  }

  /** Asks the session's worker, once it is in one. */
  private async ask<T>(entry: Entry, body: CallBody): Promise<Reply<T>> {
    if (entry.handle === null || entry.moving !== null) {
      const problem = (await this.waker?.wake(entry)) ?? null;
      if (problem !== null) return refuse(problem);
    }
    entry.touchedMs = performance.now();
    const refusal = CHANGING.has(body.kind) ? this.store.refusal() : null;
    return refusal === null ? entry.handle!.ask(body) : refuse(refusal);
  }

  /** In a worker, and with a journal that can be written. @returns why it is not, or null */
  private async readyToChange(entry: Entry): Promise<HostProblem | null> {
    const refusal = this.store.refusal();
    if (refusal !== null) return refusal;
    entry.touchedMs = performance.now();
    return entry.handle !== null && entry.moving === null ? null : ((await this.waker?.wake(entry)) ?? null);
  }

  private askBy<T>(session: string, body: (id: string) => CallBody): Promise<Reply<T>> {
    const entry = this.registry.find(session);
    return entry === undefined ? Promise.resolve(refuse(sessionNotFound(session))) : this.ask(entry, body(entry.id));
  }

  async get(session: string): Promise<Reply<SessionDocument>> {
    const entry = this.registry.find(session);
    return entry === undefined ? refuse(sessionNotFound(session)) : this.documentNow(entry);
  }

  async rename(session: string, change: SessionChange): Promise<Reply<SessionDocument>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const { name = entry.name, title = entry.title } = change;
    const expiresAt = change.expiresAt === undefined ? entry.expiresAt : keptInstant(change.expiresAt);
    const refusal =
      this.registry.refuseName(change.name, entry.id, entry.owner) ?? refuseExpiry(change.expiresAt, this.nowMs());
    if (refusal !== null) return refuse(refusal);
    const before = entry.name;
    // At once, so that nobody else takes it meanwhile.
    this.registry.takeName(entry.owner, name, entry.id);
    const spec = { ...entry.spec, ...(name === undefined ? {} : { name }), ...(title === undefined ? {} : { title }) };
    const renamed: Entry = { ...entry, name, title, spec, expiresAt };
    const problem = await this.store.write({ do: 'change', session: rowOf(renamed) });
    if (problem !== null) {
      if (name !== before) this.registry.releaseName(entry.owner, name);
      return refuse(problem);
    }
    if (before !== name) this.registry.releaseName(entry.owner, before);
    Object.assign(entry, { name, title, spec, expiresAt });
    if (this.registry.entries.get(entry.id) === entry) this.expiry.note(entry);
    return this.documentNow(entry);
  }

  async delete(session: string): Promise<Reply<{ id: string }>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const { id, name, number } = entry;
    // At once, so that nobody finds it meanwhile.
    this.registry.remove(id);
    const problem = await this.store.write({ do: 'remove', number });
    if (problem !== null) {
      this.registry.add(entry);
      return refuse(problem);
    }
    this.registry.releaseName(entry.owner, name);
    this.expiry.forget(entry);
    this.quotas.forget(entry);
    this.waker?.forget(entry);
    if (entry.moving !== null) await entry.moving;
    const { handle } = entry;
    handle?.sessions.delete(id);
    await handle?.ask({ kind: 'delete', session: id });
    this.logger.info({ session: id, ...(handle !== null && { worker: handle.index }) }, 'session deleted');
    this.audience.tell((listener) => listener.deleted(id));
    return { ok: true, value: { id } };
  }

  /** @returns why it is still there, or null */
  private async expireSession({ id, expiresAt }: Entry): Promise<HostProblem | null> {
    const reply = await this.delete(id);
    if (!reply.ok && reply.problem.code !== 'unknown-session') return reply.problem;
    if (reply.ok) this.logger.info({ session: id, expiresAt }, 'session expired');
    return null;
  }

  async reset(session: string): Promise<Reply<SessionDocument>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const problem = await this.readyToChange(entry);
    if (problem !== null) return refuse(problem);
    const retry = currentRetry();
    // The reply comes by itself, and belongs to no request.
    const by = fieldsOf(currentOrigin());
    return new Promise((resolve) => {
      entry.handle!.call<SessionStatus>({ kind: 'reset', session: entry.id, retry: markOf(retry) }, (reply) => {
        if (retry !== null) noteReplay(retry, reply);
        if (!reply.ok || reply.replayed === true) {
          resolve(reply.ok ? { ok: true, value: documentOf({ ...entry, status: reply.value }) } : reply);
          return;
        }
        entry.status = reply.value;
        // Before any frame of what comes after it.
        entry.epoch = newEpoch();
        this.audience.tell((listener) => listener.epoch(entry.id, entry.epoch));
        this.logger.info({ ...by, session: entry.id, worker: entry.handle!.index }, 'session reset');
        resolve({ ok: true, value: documentOf(entry) });
      });
    });
  }

  // What a session is asked

  apply(session: string, operation: Operation): Promise<Reply> {
    return this.changeBy(session, (id, retry) => ({ kind: 'apply', session: id, operation, retry }));
  }

  read(session: string, reading: Reading): Promise<Reply> {
    return this.askBy(session, (id) => ({ kind: 'read', session: id, reading }));
  }

  async scrape(session: string, wake: boolean): Promise<Reply<Scraped>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const { id, name = null, spec, handle, moving } = entry;
    const body: CallBody = { kind: 'read', session: id, reading: { read: 'meters' } };
    if (wake) return scraped(await this.ask<Record<string, unknown>>(entry, body));
    // Not `ask`: that it is watched does not keep it awake.
    if (handle === null || moving !== null) return scraped({ ok: true, value: null });
    return scraped(await handle.ask<Record<string, unknown>>(body));

    function scraped(reply: Reply<Record<string, unknown> | null>): Reply<Scraped> {
      return reply.ok ? { ok: true, value: { id, name, spec, meters: reply.value } } : reply;
    }
  }

  startRun(session: string, request: RunRequest, refusal: HostProblem | null = null): Promise<Reply<RunDocument>> {
    return this.changeBy(session, (id, retry) => ({ kind: 'run-start', session: id, request, retry, refusal }));
  }

  async listRuns(
    session: string,
    page: { limit?: number; cursor?: string; state?: RunDocument['state'] },
  ): Promise<Reply<{ items: RunDocument[]; nextCursor?: string }>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const limit = pageLimit(page.limit);
    const reply = await this.ask<{ items: RunDocument[]; last: number | null }>(entry, {
      kind: 'run-list',
      session: entry.id,
      limit,
      after,
      state: page.state ?? null,
    });
    if (!reply.ok) return reply;
    const { items, last } = reply.value;
    return { ok: true, value: last === null ? { items } : { items, nextCursor: encodeCursor(last) } };
  }

  getRun(session: string, run: string): Promise<Reply<RunDocument>> {
    return this.askBy(session, (id) => ({ kind: 'run-get', session: id, run }));
  }

  deleteRun(session: string, run: string): Promise<Reply<RunDocument>> {
    return this.askBy(session, (id) => ({ kind: 'run-delete', session: id, run }));
  }

  // Snapshots

  takeSnapshot(session: string, given: { title?: string }): Promise<Reply<SnapshotDocument>> {
    return this.ofSnapshots(session, (snapshots, entry) => snapshots.take(entry, given));
  }

  listSnapshots(
    session: string,
    page: { limit?: number; cursor?: string },
  ): Promise<Reply<{ items: SnapshotDocument[]; nextCursor?: string }>> {
    return this.ofSnapshots(session, (snapshots, entry) => snapshots.list(entry, page));
  }

  downloadSnapshot(session: string, snapshot: string, state: boolean): Promise<Reply<AsyncIterable<Uint8Array>>> {
    return this.ofSnapshots(session, (snapshots, entry) => snapshots.download(entry, snapshot, state));
  }

  deleteSnapshot(session: string, snapshot: string): Promise<Reply<SnapshotDocument>> {
    return this.ofSnapshots(session, (snapshots, entry) => snapshots.delete(entry, snapshot));
  }

  async history(session: string): Promise<Reply<SessionHistory>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    const { journal } = this.store;
    if (journal === null) return refuse(nothingKept());
    if (entry.failure !== null) return refuse(entry.failure);
    const { name: _name, title: _title, ...spec } = entry.spec;
    const { coreVersion, number } = entry;
    const gone = () => (this.registry.find(entry.id) === entry ? null : sessionNotFound(session));
    return { ok: true, value: { spec, coreVersion, records: historyOf(journal, number, gone) } };
  }

  findSnapshot(snapshot: string): Promise<SnapshotDocument | null> {
    return this.snapshots?.find(snapshot) ?? Promise.resolve(null);
  }

  private async ofSnapshots<T>(
    session: string,
    then: (snapshots: Snapshots, entry: Entry) => Promise<Reply<T>>,
  ): Promise<Reply<T>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    if (this.snapshots === null) return refuse(nothingKept());
    try {
      return await then(this.snapshots, entry);
    } catch (error) {
      // What the journal holds of it is not as it was written.
      return refuse({ code: 'session-lost', detail: messageOf(error) });
    }
  }

  // Many operations

  async ops(
    session: string,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    const entry = this.registry.find(session);
    if (entry === undefined) return refuse(sessionNotFound(session));
    if (this.closing !== null) return refuse(shuttingDown());
    return this.opsRequests.open(entry, () => this.readyToChange(entry), body, options);
  }

  answered(session: string, key: string): Promise<Reply<AnsweredLines>> {
    return this.askBy(session, (id) => ({ kind: 'ops-answered', session: id, key }));
  }

  // The stream

  resolve(session: string, owner: string = LOCAL_OWNER): string | null {
    return this.registry.find(session, owner)?.id ?? null;
  }

  idsOf(
    { filter = {}, awake, limit }: { filter?: SessionFilter; awake: boolean; limit: number },
    shows: (session: string) => boolean = () => true,
  ): string[] {
    const matches = matcherOf(filter);
    const ids: string[] = [];
    for (const entry of this.registry.values()) {
      if (ids.length === limit) break;
      if ((!awake || entry.handle !== null) && matches(entry) && shows(entry.id)) ids.push(entry.id);
    }
    return ids;
  }

  ownerOf(session: string): string | null {
    return this.registry.entries.get(session)?.owner ?? null;
  }

  countOf(owner: string): number {
    return this.registry.countOf(owner);
  }

  storedBytesOf(owner: string): number {
    return this.quotas.storedOf(owner);
  }

  govern(quotasOf: (owner: string) => Readonly<OwnerQuotas>): void {
    this.quotas.govern(quotasOf);
  }

  epochOf(session: string): string | null {
    return this.registry.find(session)?.epoch ?? null;
  }

  listen(listener: FrameListener): void {
    this.audience.add(listener);
  }

  private passFrames(session: string, frames: SessionFrame[]): void {
    const entry = this.registry.entryOf(session);
    if (entry !== undefined) this.audience.tell((listener) => listener.frames(session, entry.epoch, frames));
  }

  private noteComputed(session: string, ms: number): void {
    const entry = this.registry.entryOf(session);
    if (entry !== undefined) this.quotas.noteComputed(entry, ms);
  }

  /** Of a run: in the log, and as something by itself that came out of a request. */
  private noteTold(session: string, told: Told, from: CalledBy | null): void {
    const { what, run, timeNs } = told;
    const worker = this.registry.entryOf(session)?.handle?.index;
    const by =
      from === null
        ? {}
        : {
            requestId: from.requestId,
            ...(from.principal !== null && { principal: from.principal }),
            ...(from.traceId !== null && { traceId: from.traceId }),
          };
    const fields = { ...by, session, ...(worker !== undefined && { worker }), run, timeNs };
    if (what === 'run-started') {
      this.logger.info(fields, 'run started');
      return;
    }
    const { state, computedMs, worked, problem } = told;
    const ms = Math.round(computedMs * 1000) / 1000;
    this.logger.info({ ...fields, state, ms, ...(problem !== null && { reason: problem.detail }) }, 'run ended');
    if (worked === null) return;
    this.tracing.past({
      name: 'run',
      link: from?.context ?? null,
      attributes: {
        'iommu_lab.session': session,
        'iommu_lab.run': run,
        'iommu_lab.run.state': state,
        'iommu_lab.run.computed_ms': ms,
        ...(worker !== undefined && { 'iommu_lab.worker': worker }),
      },
      ...worked,
      code: problem?.code ?? null,
    });
  }

  private noteState(session: string, state: SessionState, problem: HostProblem | null, paused: Pause | null): void {
    const entry = this.registry.entryOf(session);
    if (entry === undefined) return;
    entry.state = state;
    entry.status = { ...entry.status, paused };
    entry.failure = problem;
    if (problem === null) return;
    const worker = entry.handle?.index;
    this.logger.error({ session, reason: problem.detail, ...(worker !== undefined && { worker }) }, 'session failed');
    this.audience.tell((listener) => listener.failed(session));
  }

  /** The session cannot be had from its journal. */
  private lose(entry: Entry, problem: HostProblem): void {
    this.logger.error({ session: entry.id, reason: problem.detail }, 'session lost');
    entry.state = 'failed';
    entry.failure = problem;
    this.audience.tell((listener) => listener.failed(entry.id));
  }

  // Life and death

  private bury(handle: WorkerHandle, reason: string): void {
    if (this.closing !== null) return;
    this.logger.error({ worker: handle.index, sessions: handle.sessions.size, reason }, 'session worker died');
    for (const entry of this.registry.values()) {
      if (entry.handle !== handle || entry.failure !== null) continue;
      if (this.waker === null)
        this.lose(entry, sessionFailed(`The worker that held this session died (${reason}), and the session with it.`));
      else this.setAside(entry, this.waker);
    }
    this.crew.replace(handle, () => this.waker?.workerUp());
  }

  /** It comes back as its journal has it, which may be a little less than its subscribers have heard of. */
  private setAside(entry: Entry, waker: Waker): void {
    entry.handle = null;
    entry.state = 'recovering';
    entry.epoch = newEpoch();
    this.audience.tell((listener) => listener.epoch(entry.id, entry.epoch));
    waker.recover(entry);
  }

  status(): HostStatus {
    let activeRuns = 0;
    let awake = 0;
    let paused = 0;
    for (const entry of this.registry.values()) {
      if (pauseOf(entry) !== null) paused++;
      if (entry.state === 'running') activeRuns++;
      if (entry.handle !== null) awake++;
    }
    const workersAlive = this.crew.alive.length;
    return {
      ready: this.closing === null && workersAlive > 0,
      sessions: this.registry.size,
      awake,
      recovering: this.waker?.pending ?? 0,
      storageTrouble: this.store.trouble,
      workers: this.crew.size,
      workersAlive,
      activeRuns,
      paused,
      storedBytes: this.quotas.storedBytes,
      expired: this.expiry.expired,
      pendingCalls: this.crew.pendingCalls,
    };
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    clearInterval(this.sweep);
    this.expiry.stop();
    const farewells = this.crew.alive.map((handle) => this.partFrom(handle));
    await within(Promise.all(farewells), this.limits.closeMs);
    await this.crew.close();
    await this.store.close();
  }

  private async partFrom(handle: WorkerHandle): Promise<void> {
    const reply = await handle.ask<RestedSession[]>({ kind: 'close' });
    if (!reply.ok || this.waker === null) return;
    const rested: Promise<void>[] = [];
    for (const { session, status } of reply.value) {
      const entry = this.registry.entryOf(session);
      if (entry !== undefined && status !== null && entry.failure === null)
        rested.push(this.waker.rested(entry, status));
    }
    await Promise.all(rested);
  }
}

/** Tells the request whether it was told what an earlier one was told. */
function noteReplay<T>(retry: Retry, reply: Reply<T>): Reply<T> {
  if (reply.replayed === true) retry.replayed = true;
  return reply;
}
