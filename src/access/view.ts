/**
 * The host as one principal sees it: the sessions that are its own, and those that others have shared with it. Another session does
 * not exist: by whatever call, with the very reply of an id that nobody has, and by the same steps, so that time tells nothing either.
 *
 * Names lead to own sessions only; a shared one goes by its id, since its name is its owner's.
 */
import type { Operation, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import type { SessionHistory } from '../host/history.ts';
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
} from '../host/host.ts';
import { invalidCursor, QUOTA_RETRY_SECONDS, refuse, snapshotNotFound } from '../host/problems.ts';
import type { OwnerQuotas } from '../host/quotas.ts';
import type { AccessControl, Act } from './control.ts';
import { metered } from './metered-body.ts';
import type { Who } from './who.ts';

type SessionsPage = { items: SessionDocument[]; nextCursor?: string };

export class SessionView implements SessionHost {
  private readonly host: SessionHost;
  private readonly control: AccessControl;
  private readonly who: Who;

  constructor(host: SessionHost, control: AccessControl, who: Who) {
    this.host = host;
    this.control = control;
    this.who = who;
  }

  private with<T>(session: string, act: Act, then: (id: string) => Promise<Reply<T>>): Promise<Reply<T>> {
    const { id, problem } = this.control.reach(this.who, session, act);
    return problem === null ? then(id) : Promise.resolve(refuse(problem));
  }

  private shown(reply: Reply<SessionDocument>): Reply<SessionDocument> {
    return reply.ok ? { ok: true, value: this.documentFor(reply.value) } : reply;
  }

  /** Whoever has a link was told of the session and not of its owner. */
  private documentFor(document: SessionDocument): SessionDocument {
    if (this.who.kind !== 'link') return document;
    const { owner: _, ...rest } = document;
    return rest;
  }

  // ------------------------------------------------------------------------------------------------ sessions

  validate(input: SessionInput): Promise<Reply> {
    return this.host.validate(input, this.who.principal);
  }

  async create(input: SessionInput): Promise<Reply<SessionDocument>> {
    const { principal, limits } = this.who;
    const { making } = this.control;
    let admitted = false;
    const admit = (): HostProblem | null => {
      const begun = making.get(principal) ?? 0;
      const used = this.host.countOf(principal) + begun;
      if (limits.sessions > 0 && used >= limits.sessions) return tooMany('sessions', limits.sessions, used);
      making.set(principal, begun + 1);
      admitted = true;
      return null;
    };
    try {
      const make = 'fromSnapshot' in input ? this.createFrom(input, admit) : this.host.create(input, principal, admit);
      const reply = await make;
      if (reply.ok || reply.problem.code !== 'too-many-sessions') return reply;
      // The host's own words count the sessions of all.
      return refuse({ ...reply.problem, detail: 'The server holds as many sessions as it may.' });
    } finally {
      const left = (making.get(principal) ?? 0) - (admitted ? 1 : 0);
      if (left === 0) making.delete(principal);
      else making.set(principal, left);
    }
  }

  /** As `create`, of a session that may go on with a run. */
  private async createFrom(input: SessionInput, admit: () => HostProblem | null): Promise<Reply<SessionDocument>> {
    const { host, control } = this;
    const { principal, subject, limits } = this.who;
    const { fromSnapshot } = input;
    let { activeRun } = fromSnapshot as { activeRun?: unknown };
    if (typeof fromSnapshot === 'string') {
      const snapshot = await this.findSnapshot(fromSnapshot);
      if (snapshot === null) return refuse({ ...snapshotNotFound(fromSnapshot), path: '/fromSnapshot' });
      ({ activeRun } = snapshot);
    }
    if (limits.runs === 0 || activeRun === null) return host.create(input, principal, admit);
    const { slot, used } = await control.runs.take(host, subject, '', limits.runs);
    if (slot === null) return refuse(tooMany('runs', limits.runs, used));
    const reply = await host.create(input, principal, admit);
    if (reply.ok && reply.value.activeRun !== null)
      control.runs.started(subject, slot, reply.value.activeRun, reply.value.id);
    else control.runs.release(subject, slot);
    return reply;
  }

  async list({ cursor, ...asked }: Parameters<SessionHost['list']>[0]): Promise<Reply<SessionsPage>> {
    const { control, who } = this;
    const after = cursor === undefined ? undefined : control.cursors.open(cursor);
    if (after === null) return refuse(invalidCursor(cursor!));
    const page = { ...asked, ...(after === undefined ? {} : { cursor: after }) };
    const reply = await this.host.list(page, (session) => control.may(who, session, 'see'));
    if (!reply.ok) return reply;
    const { items, nextCursor } = reply.value;
    const documents = items.map((document) => this.documentFor(document));
    if (nextCursor === undefined) return { ok: true, value: { items: documents } };
    return { ok: true, value: { items: documents, nextCursor: control.cursors.seal(nextCursor) } };
  }

  async get(session: string): Promise<Reply<SessionDocument>> {
    return this.shown(await this.with(session, 'see', (id) => this.host.get(id)));
  }
  rename(session: string, change: SessionChange): Promise<Reply<SessionDocument>> {
    return this.with(session, 'own', (id) => this.host.rename(id, change));
  }
  delete(session: string): Promise<Reply<{ id: string }>> {
    return this.with(session, 'delete', (id) => this.host.delete(id));
  }
  reset(session: string): Promise<Reply<SessionDocument>> {
    return this.with(session, 'write', (id) => this.host.reset(id));
  }

  // ------------------------------------------------------------------------------------------------ one session

  apply(session: string, operation: Operation): Promise<Reply> {
    return this.with(session, 'write', (id) => this.host.apply(id, operation));
  }
  read(session: string, reading: Reading): Promise<Reply> {
    return this.with(session, 'read', (id) => this.host.read(id, reading));
  }
  scrape(session: string, wake: boolean): Promise<Reply<Scraped>> {
    return this.with(session, 'read', (id) => this.host.scrape(id, wake));
  }

  startRun(session: string, request: RunRequest): Promise<Reply<RunDocument>> {
    return this.with(session, 'write', (id) => this.startCounted(id, request));
  }

  private async startCounted(id: string, request: RunRequest): Promise<Reply<RunDocument>> {
    const { host, control } = this;
    const { subject, limits } = this.who;
    if (limits.runs === 0) return host.startRun(id, request);
    const { slot, used } = await control.runs.take(host, subject, id, limits.runs);
    // What an earlier request with the same key has started is told all the same.
    if (slot === null) return host.startRun(id, request, tooMany('runs', limits.runs, used));
    let begun = false;
    try {
      const reply = await host.startRun(id, request);
      begun = reply.ok;
      if (reply.ok) control.runs.started(subject, slot, reply.value.id);
      return reply;
    } finally {
      if (!begun) control.runs.release(subject, slot);
    }
  }

  listRuns(session: string, page: Parameters<SessionHost['listRuns']>[1]): ReturnType<SessionHost['listRuns']> {
    return this.with(session, 'read', (id) => this.host.listRuns(id, page));
  }
  getRun(session: string, run: string): Promise<Reply<RunDocument>> {
    return this.with(session, 'read', (id) => this.host.getRun(id, run));
  }
  deleteRun(session: string, run: string): Promise<Reply<RunDocument>> {
    return this.with(session, 'write', (id) => this.host.deleteRun(id, run));
  }

  takeSnapshot(session: string, given: { title?: string }): Promise<Reply<SnapshotDocument>> {
    return this.with(session, 'write', (id) => this.host.takeSnapshot(id, given));
  }
  listSnapshots(session: string, page: { limit?: number; cursor?: string }): ReturnType<SessionHost['listSnapshots']> {
    return this.with(session, 'read', (id) => this.host.listSnapshots(id, page));
  }
  downloadSnapshot(session: string, snapshot: string, state: boolean): Promise<Reply<AsyncIterable<Uint8Array>>> {
    return this.with(session, 'read', (id) => this.host.downloadSnapshot(id, snapshot, state));
  }
  deleteSnapshot(session: string, snapshot: string): Promise<Reply<SnapshotDocument>> {
    return this.with(session, 'write', (id) => this.host.deleteSnapshot(id, snapshot));
  }
  history(session: string): Promise<Reply<SessionHistory>> {
    return this.with(session, 'read', (id) => this.host.history(id));
  }
  async findSnapshot(snapshot: string): Promise<SnapshotDocument | null> {
    const found = await this.host.findSnapshot(snapshot);
    return found !== null && this.control.may(this.who, found.session, 'read') ? found : null;
  }

  ops(
    session: string,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    return this.with(session, 'write', (id) => this.leasedOps(id, body, options));
  }

  /** `ops` that end, after the line in progress, when the right to them does. */
  private async leasedOps(
    id: string,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    const { control, who } = this;
    const { opsRequests } = who.limits;
    const used = control.leases.countOf('ops', who.subject);
    if (opsRequests > 0 && used >= opsRequests) return refuse(tooMany('ops-requests', opsRequests, used));
    const ended = new AbortController();
    const release = control.leases.take({ kind: 'ops', who, session: id, end: () => ended.abort() });
    options.signal?.addEventListener('abort', release, { once: true });
    const signal = options.signal === undefined ? ended.signal : AbortSignal.any([options.signal, ended.signal]);
    const rate = control.opsRate(who);
    const input = rate === null ? body : metered(body, options.format, rate, control.nowMs);
    try {
      const reply = await this.host.ops(id, input, { ...options, signal });
      if (!reply.ok) {
        release();
        return reply;
      }
      return { ok: true, value: whenOver(reply.value, release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  answered(session: string, key: string): Promise<Reply<AnsweredLines>> {
    return this.with(session, 'write', (id) => this.host.answered(id, key));
  }

  // ------------------------------------------------------------------------------------------------ synchronous

  resolve(session: string): string | null {
    return this.control.resolve(this.who, session);
  }
  idsOf(asked: Parameters<SessionHost['idsOf']>[0]): string[] {
    return this.host.idsOf(asked, (session) => this.control.may(this.who, session, 'read'));
  }
  ownerOf(session: string): string | null {
    return this.control.may(this.who, session, 'see') ? this.host.ownerOf(session) : null;
  }
  countOf(owner: string): number {
    return owner === this.who.principal ? this.host.countOf(owner) : 0;
  }
  storedBytesOf(owner: string): number {
    return owner === this.who.principal ? this.host.storedBytesOf(owner) : 0;
  }
  epochOf(session: string): string | null {
    return this.control.may(this.who, session, 'read') ? this.host.epochOf(session) : null;
  }

  // ------------------------------------------------------------------------------------------------ of the whole

  listen(_listener: FrameListener): void {
    throw new Error('the view of one principal has no frames of all sessions');
  }
  govern(_quotasOf: (owner: string) => Readonly<OwnerQuotas>): void {
    throw new Error('the view of one principal sets no quotas');
  }
  status(): HostStatus {
    throw new Error('the view of one principal has no figures of all sessions');
  }
  close(): Promise<void> {
    throw new Error('the host is not closed by one principal');
  }
}

/** What is counted, the code of too many, and how that is said. */
const COUNTED = {
  sessions: ['too-many-sessions', 'You have % sessions'],
  runs: ['too-many-runs', 'You have started % runs that have not ended'],
  'ops-requests': ['too-many-requests', '% of your requests of operations are open'],
} as const;

function tooMany(name: keyof typeof COUNTED, limit: number, used: number): HostProblem {
  const [code, said] = COUNTED[name];
  return {
    code,
    detail: `${said.replace('%', String(used))}, and ${limit} is the limit.`,
    retryable: true,
    quota: { name, limit, used, retryAfterSeconds: QUOTA_RETRY_SECONDS },
  };
}

/** The same bytes; `over` is called when they end, are cut short, or nobody wants more of them. */
function whenOver(bytes: AsyncIterable<Uint8Array>, over: () => void): AsyncIterableIterator<Uint8Array> {
  const from = bytes[Symbol.asyncIterator]();
  const iterator: AsyncIterableIterator<Uint8Array> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      try {
        const result = await from.next();
        if (result.done) over();
        return result;
      } catch (error) {
        over();
        throw error;
      }
    },
    async return() {
      over();
      await from.return?.();
      return { done: true, value: undefined };
    },
  };
  return iterator;
}
