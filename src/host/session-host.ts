/**
 * The sessions of this server and the workers they live in. The main thread keeps what is in the registry (id, name, spec, epoch);
 * all else is asked of the session's worker. Nothing computes here and no call waits for a run.
 *
 * Here the parts are put together, and who asks is passed on to the one that answers: `creation.ts`, `session-changes.ts` and
 * `session-documents.ts` for a session as a whole, `session-calls.ts` for what its worker knows; `worker-news.ts` hears what workers
 * tell by themselves. What is left is life and death: of workers, and of the host.
 */
import { dirname, join } from 'node:path';
import type { Operation, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import { Audience } from './audience.ts';
import { Creation } from './creation.ts';
import { Crew } from './crew.ts';
import { type Entry, pauseOf, storedEntry } from './entry.ts';
import { Expiry } from './expiry.ts';
import { historyOf, type SessionHistory } from './history.ts';
import type {
  AnsweredLines,
  FrameListener,
  HostProblem,
  HostStatus,
  OpsOptions,
  Reply,
  RunDocument,
  Scraped,
  SessionChange,
  SessionDocument,
  SessionHost,
  SessionInput,
  SnapshotDocument,
} from './host.ts';
import { LOCAL_OWNER, newEpoch } from './ids.ts';
import type { Journal } from './journal/journal.ts';
import { DEFAULT_LIMITS, type HostLimits } from './limits.ts';
import { type HostLogger, SILENT } from './logger.ts';
import { OpsRequests } from './ops-requests.ts';
import { underNoOrigin, withOrigin } from './origin.ts';
import { messageOf, refuse, sessionFailed, sessionNotFound, shuttingDown } from './problems.ts';
import type { RestedSession } from './protocol.ts';
import { type OwnerQuotas, Quotas } from './quotas.ts';
import { Registry } from './registry.ts';
import { currentRetry } from './retry.ts';
import { SessionCalls } from './session-calls.ts';
import { SessionChanges } from './session-changes.ts';
import { SessionDocuments } from './session-documents.ts';
import { matcherOf, type SessionFilter } from './session-filter.ts';
import { SnapshotSeal } from './snapshot-seal.ts';
import { nothingKept, Snapshots } from './snapshots.ts';
import { Store, type StorePlace } from './store.ts';
import { type Tracing, UNTRACED } from './tracing.ts';
import { Waker } from './waker.ts';
import { within } from './within.ts';
import type { WorkerEvents, WorkerHandle } from './worker-handle.ts';
import { WorkerNews } from './worker-news.ts';

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
  private readonly store: Store;
  private readonly crew: Crew;
  private readonly audience: Audience;
  private readonly calls: SessionCalls;
  private readonly documents: SessionDocuments;
  private readonly changes: SessionChanges;
  private readonly creation: Creation;
  /** Null without a journal. */
  private readonly waker: Waker | null;
  private readonly snapshots: Snapshots | null;
  private readonly expiry: Expiry;
  private readonly quotas: Quotas;
  private readonly logger: HostLogger;
  private readonly registry = new Registry();
  private readonly sweep: NodeJS.Timeout;
  private readonly opsRequests: OpsRequests;
  private closing: Promise<void> | null = null;

  constructor(options: HostOptions, store: Store) {
    const { nowMs = Date.now, tracing = UNTRACED, workers, sliceMs, simulatorModule, traces } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const logger = withOrigin(options.logger ?? SILENT);
    const { registry } = this;
    const { journal } = store;
    this.limits = limits;
    this.logger = logger;
    this.store = store;
    this.opsRequests = new OpsRequests(limits);
    const audience = new Audience(logger);
    const expiry = new Expiry({ expire: (entry) => underNoOrigin(() => this.changes.expire(entry)), nowMs });
    const quotas = new Quotas({ entries: () => registry.values(), nowMs });
    store.listen(options.logger ?? SILENT, (sizes) => quotas.noteSizes(sizes), tracing);
    this.audience = audience;
    this.expiry = expiry;
    this.quotas = quotas;
    const waker = journal === null ? null : this.takeUp(journal);
    const calls = new SessionCalls(registry, store, waker);
    const documents = new SessionDocuments(registry, calls, waker);
    this.waker = waker;
    this.calls = calls;
    this.documents = documents;
    this.snapshots = journal === null ? null : this.keepSnapshots(journal, options.journal!.path);
    const died: WorkerEvents['died'] = (handle, reason) => this.bury(handle, reason);
    const events = new WorkerNews({ registry, audience, quotas, logger, tracing, died });
    this.crew = new Crew({ workers, sliceMs, simulatorModule, traces, limits, store, events });
    const known = { registry, store, audience, expiry, quotas, waker, nowMs };
    this.changes = new SessionChanges({ ...known, calls, documents, logger });
    this.creation = new Creation({
      ...known,
      crew: this.crew,
      limits,
      snapshots: this.snapshots,
      closing: () => this.closing !== null,
      document: (entry) => documents.of(entry),
      delete: (session) => this.delete(session),
    });
    this.sweep = setInterval(() => this.expire(), SWEEP_MS);
    this.sweep.unref();
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
      ask: (entry, body) => this.calls.ask(entry, body),
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

  list(
    page: { limit?: number; cursor?: string; filter?: SessionFilter },
    shows: (session: string) => boolean = () => true,
  ): Promise<Reply<{ items: SessionDocument[]; nextCursor?: string }>> {
    return this.documents.list(page, shows);
  }

  get(session: string): Promise<Reply<SessionDocument>> {
    return this.calls.with(session, (entry) => this.documents.of(entry));
  }

  rename(session: string, change: SessionChange): Promise<Reply<SessionDocument>> {
    return this.calls.with(session, (entry) => this.changes.rename(entry, change));
  }

  delete(session: string): Promise<Reply<{ id: string }>> {
    return this.calls.with(session, (entry) => this.changes.delete(entry));
  }

  reset(session: string): Promise<Reply<SessionDocument>> {
    return this.calls.with(session, (entry) => this.changes.reset(entry));
  }

  // What a session is asked

  apply(session: string, operation: Operation): Promise<Reply> {
    return this.calls.changeBy(session, (id, retry) => ({ kind: 'apply', session: id, operation, retry }));
  }

  read(session: string, reading: Reading): Promise<Reply> {
    return this.calls.askBy(session, (id) => ({ kind: 'read', session: id, reading }));
  }

  scrape(session: string, wake: boolean): Promise<Reply<Scraped>> {
    return this.calls.with(session, async (entry) => {
      const { id, name = null, spec } = entry;
      const meters = await this.calls.meters(entry, wake);
      return meters.ok ? { ok: true, value: { id, name, spec, meters: meters.value } } : meters;
    });
  }

  startRun(session: string, request: RunRequest, refusal: HostProblem | null = null): Promise<Reply<RunDocument>> {
    return this.calls.changeBy(session, (id, retry) => ({ kind: 'run-start', session: id, request, retry, refusal }));
  }

  listRuns(
    session: string,
    page: { limit?: number; cursor?: string; state?: RunDocument['state'] },
  ): Promise<Reply<{ items: RunDocument[]; nextCursor?: string }>> {
    return this.calls.with(session, (entry) => this.calls.runs(entry, page));
  }

  getRun(session: string, run: string): Promise<Reply<RunDocument>> {
    return this.calls.askBy(session, (id) => ({ kind: 'run-get', session: id, run }));
  }

  deleteRun(session: string, run: string): Promise<Reply<RunDocument>> {
    return this.calls.askBy(session, (id) => ({ kind: 'run-delete', session: id, run }));
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

  history(session: string): Promise<Reply<SessionHistory>> {
    return this.calls.with<SessionHistory>(session, (entry) => {
      const { journal } = this.store;
      if (journal === null) return refuse(nothingKept());
      if (entry.failure !== null) return refuse(entry.failure);
      const { name: _name, title: _title, ...spec } = entry.spec;
      const { coreVersion, number } = entry;
      const gone = () => (this.registry.find(entry.id) === entry ? null : sessionNotFound(session));
      return { ok: true, value: { spec, coreVersion, records: historyOf(journal, number, gone) } };
    });
  }

  findSnapshot(snapshot: string): Promise<SnapshotDocument | null> {
    return this.snapshots?.find(snapshot) ?? Promise.resolve(null);
  }

  private ofSnapshots<T>(
    session: string,
    then: (snapshots: Snapshots, entry: Entry) => Promise<Reply<T>>,
  ): Promise<Reply<T>> {
    return this.calls.with<T>(session, async (entry) => {
      if (this.snapshots === null) return refuse(nothingKept());
      try {
        return await then(this.snapshots, entry);
      } catch (error) {
        // What the journal holds of it is not as it was written.
        return refuse({ code: 'session-lost', detail: messageOf(error) });
      }
    });
  }

  // Many operations

  ops(
    session: string,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    return this.calls.with(session, (entry) =>
      this.closing === null
        ? this.opsRequests.open(entry, () => this.calls.readyToChange(entry), body, options)
        : refuse(shuttingDown()),
    );
  }

  answered(session: string, key: string): Promise<Reply<AnsweredLines>> {
    return this.calls.askBy(session, (id) => ({ kind: 'ops-answered', session: id, key }));
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

  /** The session cannot be had from its journal. */
  private lose(entry: Entry, problem: HostProblem): void {
    this.logger.error({ session: entry.id, reason: problem.detail }, 'session lost');
    entry.state = 'failed';
    entry.failure = problem;
    this.audience.tell((listener) => listener.failed(entry.id));
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
