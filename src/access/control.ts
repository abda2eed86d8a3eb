/**
 * Who may use the server, and what of it. One of these stands between the routes and the host: it makes out who asks, gives each
 * a view of the sessions that are theirs, counts what they take, and ends what they have open when their right to it ends.
 *
 * Tokens are asked for once there is one, or by `--auth required`. Until then there is one principal, `local`, with all sessions and
 * no way to make tokens over HTTP: whoever reaches the port first would be the owner of the server.
 */
import { randomBytes } from 'node:crypto';
import { ProblemError } from '../api/problem.ts';
import type { HostProblem, SessionHost } from '../host/host.ts';
import { LOCAL_OWNER } from '../host/ids.ts';
import { QUOTA_RETRY_SECONDS, sessionNotFound } from '../host/problems.ts';
import type { OwnerQuotas } from '../host/quotas.ts';
import type { Laboratory } from '../lab/laboratory.ts';
import type { TraceArchive } from '../trace/archive/archive.ts';
import type { OwnerBounds } from '../trace/archive/room.ts';
import type { AuditEntry, AuditLog } from './audit.ts';
import { SealedCursors } from './cursor.ts';
import { ExperimentView } from './experiments.ts';
import { FailedAttempts } from './failed-attempts.ts';
import { type EndCause, type Lease, Leases } from './leases.ts';
import { type AccessLimits, BURST_SECONDS, DEFAULT_LIMITS, type LimitName, limitsOver, NO_LIMITS } from './limits.ts';
import { QuotasOfOwners } from './owner-quotas.ts';
import { type Rate, Rates } from './rates.ts';
import { RunSlots } from './run-slots.ts';
import { includes, type Scope } from './scopes.ts';
import { NO_HASH, type PresentedCredential, parseCredential, sameHash } from './secrets.ts';
import { AccessStore, type LinkRecord, type TokenRecord } from './store.ts';
import { TICKET_SECONDS, Tickets } from './tickets.ts';
import { stateOf } from './tokens.ts';
import { TraceView } from './traces.ts';
import { SessionView } from './view.ts';
import type { Who } from './who.ts';

/** The part of a pino logger that is used. */
export interface AccessLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AccessSettings {
  /** Ask for a token also while there is none. */
  required: boolean;
  /** What settings say; the rest is as in `limits.ts`. */
  limits: Partial<AccessLimits>;
  /** Of one address; 0: no limit. */
  failedAuthPerMinute: number;
}

export interface AccessParts {
  host: SessionHost;
  /** Absent: in memory, and empty. */
  store?: AccessStore;
  settings?: Partial<AccessSettings>;
  /** Absent: nothing is put on record. */
  audit?: AuditLog;
  logger?: AccessLogger;
  nowMs?: () => number;
}

/** What someone wants of a session: to know that it is there, look inside, change it, have a say over who else may, or end it. */
export type Act = 'see' | 'read' | 'write' | 'own' | 'see-shares' | 'delete';

export type Reached = { id: string; problem: null } | { id: null; problem: HostProblem };

/** Limits that a view keeps; without them there need be none. */
const VIEW_LIMITS: readonly LimitName[] = ['opsPerSecond', 'opsRequests', 'sessions', 'runs'];

/** A stream or an `ops` request outlives its right by this at most, and by what a look takes. */
const SWEEP_MS = 1_000;
/** Uses of tokens are written down this often. */
const SAVE_USES_MS = 60_000;

export class AccessControl {
  readonly host: SessionHost;
  readonly store: AccessStore;
  readonly audit: AuditLog | null;
  readonly leases = new Leases();
  readonly runs = new RunSlots();
  /** By principal: sessions that are being made and that the host does not count yet. */
  readonly making = new Map<string, number>();
  readonly cursors: SealedCursors;
  /** Of those who could not say who they are. */
  readonly failures: FailedAttempts;
  readonly nowMs: () => number;
  private readonly settings: AccessSettings;
  private readonly logger: AccessLogger | undefined;
  private readonly requestRates = new Rates(BURST_SECONDS);
  private readonly opsRates = new Rates(1);
  private readonly tickets = new Tickets();
  private readonly whoOfRecord = new WeakMap<TokenRecord | LinkRecord, Who>();
  private readonly views = new WeakMap<Who, SessionHost>();
  private readonly experimentViews = new WeakMap<Who, ExperimentView>();
  private readonly traceViews = new WeakMap<Who, TraceView>();
  private readonly local: Who;
  private readonly tending: NodeJS.Timeout;
  private savedMs: number;
  private readonly quotas: QuotasOfOwners;
  private refreshFailed = false;
  private closed = false;

  constructor({ host, store, settings, audit, logger, nowMs = Date.now }: AccessParts) {
    this.host = host;
    this.store = store ?? new AccessStore(':memory:');
    this.settings = { required: false, limits: {}, failedAuthPerMinute: 0, ...settings };
    this.failures = new FailedAttempts(this.settings.failedAuthPerMinute);
    this.audit = audit ?? null;
    this.logger = logger;
    this.nowMs = nowMs;
    this.savedMs = nowMs();
    this.cursors = new SealedCursors(
      this.store.key('cursors', () => randomBytes(16)),
      randomBytes,
    );
    const limits = limitsOver(NO_LIMITS, this.settings.limits);
    const unlimited = VIEW_LIMITS.every((name) => limits[name] === 0);
    this.local = {
      kind: 'local',
      principal: LOCAL_OWNER,
      subject: LOCAL_OWNER,
      scope: 'write',
      credential: null,
      name: null,
      session: null,
      expiresMs: null,
      limits,
      rateSubject: LOCAL_OWNER,
    };
    this.quotas = new QuotasOfOwners({
      store: this.store,
      base: this.limitsOfAll(),
      isGood: (token) => this.endOf(token) === null,
    });
    // As if this folder were not there.
    if (unlimited) this.views.set(this.local, host);
    host.govern((owner) => this.quotasOf(owner));
    host.listen({ frames() {}, epoch() {}, failed() {}, deleted: (session) => this.forgetSession(session) });
    this.tending = setInterval(() => this.tend(), SWEEP_MS);
    this.tending.unref();
  }

  /** Whether tokens are asked for. Once they are, they are until the server ends. */
  get required(): boolean {
    return this.settings.required || this.store.hasTokens;
  }

  // ------------------------------------------------------------------------------------------------ who asks

  /**
   * @param presentedText the credential of the request, or null; not looked at where none is asked for, so that a client that always
   *   sends its token is welcome there, too
   * @param ofUpgrade whether a ticket will do
   * @throws ProblemError, 401
   */
  identify(presentedText: () => string | null, ofUpgrade = false): Who {
    this.refresh();
    if (!this.required) return this.local;
    const text = presentedText();
    if (text === null) throw unauthenticated('The request carries no token.', null);
    const presented = parseCredential(text);
    if (presented === null)
      throw unauthenticated('What the request carries is no token of this server.', 'invalid_token');
    const who = presented.kind === 'ticket' ? this.holderOfTicket(presented, ofUpgrade) : this.holderOf(presented);
    if (who.kind === 'token') this.store.noteUse(who.credential as string, this.nowMs());
    return who;
  }

  private holderOf({ kind, id, hash }: PresentedCredential): Who {
    const record = kind === 'token' ? this.store.token(id) : this.store.link(id);
    const right = sameHash(hash, record?.hash ?? NO_HASH);
    // An id that there is not and a secret that is wrong get one answer; only who holds the secret learns what became of it.
    if (record === undefined || !right) throw unauthenticated('There is no such token.', 'invalid_token');
    const why = this.endOf(record);
    if (why !== null) throw unauthenticated(`The ${kind} ${why}.`, 'invalid_token');
    return this.whoOf(record);
  }

  private holderOfTicket(presented: PresentedCredential, ofUpgrade: boolean): Who {
    const who = this.tickets.redeem(presented, ofUpgrade, this.nowMs());
    if (who !== null && this.stillIn(who)) return who;
    const detail = `A ticket opens one WebSocket, once, within ${TICKET_SECONDS} s.`;
    throw unauthenticated(detail, 'invalid_token');
  }

  /** For one upgrade, where neither a header nor a subprotocol can carry a token. */
  issueTicket(who: Who): { text: string; expiresMs: number } {
    return this.tickets.issue(who, this.nowMs());
  }

  /** Why a record is good no more, or null. */
  private endOf(record: TokenRecord | LinkRecord): string | null {
    if ('revokedMs' in record) {
      const state = stateOf(record, this.nowMs());
      return state === 'active' ? null : state === 'revoked' ? 'was revoked' : 'has expired';
    }
    return record.expiresMs <= this.nowMs() ? 'has expired' : null;
  }

  private whoOf(record: TokenRecord | LinkRecord): Who {
    let who = this.whoOfRecord.get(record);
    if (who === undefined) {
      who = 'principal' in record ? this.whoOfToken(record) : this.whoOfLink(record);
      this.whoOfRecord.set(record, who);
    }
    return who;
  }

  private whoOfToken({ id, name, principal, scope, expiresMs, limits }: TokenRecord): Who {
    return {
      kind: 'token',
      principal,
      subject: principal,
      scope,
      credential: id,
      name,
      session: null,
      expiresMs,
      limits: limitsOver(this.limitsOfAll(), limits),
      rateSubject: limits.requestsPerSecond === undefined ? principal : `token:${id}`,
    };
  }

  private whoOfLink({ id, session, expiresMs }: LinkRecord): Who {
    const subject = `link:${id}`;
    return {
      kind: 'link',
      principal: '',
      subject,
      scope: 'read',
      credential: id,
      name: null,
      session,
      expiresMs,
      limits: this.limitsOfAll(),
      rateSubject: subject,
    };
  }

  private limitsOfAll(): AccessLimits {
    return limitsOver(DEFAULT_LIMITS, this.settings.limits);
  }

  /** What the sessions and traces of an owner may take. */
  quotasOf(owner: string): OwnerQuotas & OwnerBounds {
    return this.required ? this.quotas.of(owner) : this.local.limits;
  }

  /** Whether what let someone in still would. */
  stillIn({ kind, credential }: Who): boolean {
    if (kind === 'local') return !this.required;
    const record = kind === 'token' ? this.store.token(credential as string) : this.store.link(credential as string);
    return record !== undefined && this.endOf(record) === null;
  }

  // ------------------------------------------------------------------------------------------------ what they may

  /** @throws ProblemError, 403 */
  demand(who: Who, scope: Scope): void {
    if (includes(who.scope, scope)) return;
    const remedy =
      who.kind === 'local'
        ? ' Without tokens nobody is admin: make the first token on the command line of the server, `npm start -- token create --help`.'
        : '';
    throw new ProblemError(
      { code: 'insufficient-scope', detail: `This needs the scope ${scope}, and there is only ${who.scope}.${remedy}` },
      { 'www-authenticate': `Bearer realm="iommu-lab", error="insufficient_scope", scope="${scope}"` },
    );
  }

  /**
   * Whether someone may do that with a session. Takes the same way for one that there is not.
   *
   * @param session id
   */
  may(who: Who, session: string, act: Act): boolean {
    const owner = this.host.ownerOf(session);
    const grant = this.store.grant(session, who.principal);
    if (owner === null) return false;
    if (who.kind === 'link') return who.session === session && (act === 'see' || act === 'read');
    if (CHANGES.has(act) && !includes(who.scope, 'write')) return false;
    if (who.kind === 'local' || owner === who.principal) return true;
    if (who.scope === 'admin' && (act === 'see' || act === 'delete')) return true;
    if (grant === undefined) return false;
    return act === 'see' || act === 'read' || (act === 'write' && grant.scope === 'write');
  }

  /** The id of a session, by id or name, if it exists for whoever asks. */
  resolve(who: Who, session: string): string | null {
    const owner = who.session === null ? who.principal : (this.host.ownerOf(who.session) ?? '');
    const id = this.host.resolve(session, owner);
    if (who.kind === 'local') return id;
    // One that there is not takes the same steps.
    const seen = this.may(who, id ?? session, 'see');
    return id !== null && seen ? id : null;
  }

  /** The same, if it may be used like that as well. */
  reach(who: Who, session: string, act: Act): Reached {
    const id = this.resolve(who, session);
    if (id === null) return { id, problem: sessionNotFound(session) };
    return this.may(who, id, act) ? { id, problem: null } : { id: null, problem: forbidden(who, act) };
  }

  /** The sessions as they are for someone. */
  viewOf(who: Who): SessionHost {
    let view = this.views.get(who);
    if (view === undefined) this.views.set(who, (view = new SessionView(this.host, this, who)));
    return view;
  }

  /** The experiments as they are for someone. */
  experimentsOf(who: Who, laboratory: Laboratory): ExperimentView {
    let view = this.experimentViews.get(who);
    if (view === undefined) this.experimentViews.set(who, (view = new ExperimentView(laboratory, this, who)));
    return view;
  }

  /** The traces as they are for someone. */
  tracesOf(who: Who, archive: TraceArchive): TraceView {
    let view = this.traceViews.get(who);
    if (view === undefined) this.traceViews.set(who, (view = new TraceView(archive, this, who)));
    return view;
  }

  // ------------------------------------------------------------------------------------------------ how much

  /** The bucket of requests; null without a limit. */
  requestRate({ limits, rateSubject }: Who): Rate | null {
    const { requestsPerSecond } = limits;
    return requestsPerSecond === 0 ? null : this.requestRates.of(rateSubject, requestsPerSecond, this.nowMs());
  }

  opsRate({ limits, subject }: Who): Rate | null {
    return limits.opsPerSecond === 0 ? null : this.opsRates.of(subject, limits.opsPerSecond, this.nowMs());
  }

  /** @throws ProblemError, 429 */
  admitStream({ limits, subject }: Who): void {
    const used = this.leases.countOf('stream', subject);
    if (limits.streams === 0 || used < limits.streams) return;
    const quota = { name: 'streams', limit: limits.streams, used, retryAfterSeconds: QUOTA_RETRY_SECONDS };
    const detail = `${used} streams are open, and ${limits.streams} is the limit.`;
    throw new ProblemError({ code: 'too-many-streams', detail, quota });
  }

  // ------------------------------------------------------------------------------------------------ in the course of time

  /** Ends what has lost its right. Called now and then, and at once when a right is taken away here. */
  sweep(): void {
    this.refresh();
    this.leases.sweep((lease) => this.causeToEnd(lease));
  }

  private causeToEnd({ kind, who, session }: Lease): EndCause | null {
    if (!this.stillIn(who)) return 'credential-ended';
    // A session that was deleted says so itself.
    if (this.host.ownerOf(session) === null) return null;
    return this.may(who, session, kind === 'ops' ? 'write' : 'read') ? null : 'share-ended';
  }

  private tend(): void {
    const now = this.nowMs();
    this.sweep();
    this.tickets.dropExpired(now);
    this.requestRates.dropFull(now);
    this.opsRates.dropFull(now);
    this.failures.dropFull(now);
    if (now - this.savedMs >= SAVE_USES_MS) this.saveUses(now);
  }

  private saveUses(now: number): void {
    this.savedMs = now;
    try {
      this.store.saveUses();
    } catch (error) {
      this.logger?.warn({ err: error }, 'when tokens were last used could not be written down');
    }
  }

  /** What cannot be read leaves all as it was last read: nobody gets in by breaking the file. */
  private refresh(): void {
    try {
      this.store.refresh(this.nowMs());
      this.refreshFailed = false;
    } catch (error) {
      if (!this.refreshFailed) this.logger?.error({ err: error }, 'changes of tokens cannot be read');
      this.refreshFailed = true;
    }
  }

  private forgetSession(session: string): void {
    if (this.closed) return;
    try {
      this.store.forgetSession(session);
    } catch (error) {
      // Ids are given once: what stays behind opens nothing.
      this.logger?.warn({ err: error, session }, 'the shares of a deleted session could not be removed');
    }
  }

  record(entry: AuditEntry): void {
    if (this.required) this.audit?.append(entry);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.tending);
    this.saveUses(this.nowMs());
    this.store.close();
    this.audit?.close();
  }
}

const CHANGES: ReadonlySet<Act> = new Set(['write', 'own', 'delete']);

/** Of a session that whoever asks knows of. */
function forbidden({ scope }: Who, act: Act): HostProblem {
  if (CHANGES.has(act) && !includes(scope, 'write'))
    return { code: 'insufficient-scope', detail: `This needs the scope write, and there is only ${scope}.` };
  return { code: 'not-permitted', detail: FORBIDDEN[act] };
}

const FORBIDDEN: Readonly<Record<Act, string>> = {
  see: 'The session is not shared with you.',
  read: 'An admin may list the session, read its document and delete it, and no more unless it is shared.',
  write: 'The session is not shared with you for writing.',
  own: 'Only the owner of the session may do this.',
  'see-shares': 'Only the owner of the session may do this.',
  delete: 'Only the owner of the session or an admin may delete it.',
};

const REALM = 'Bearer realm="iommu-lab"';

/** @param error of RFC 6750 section 3.1; null when there was no attempt */
function unauthenticated(detail: string, error: string | null): ProblemError {
  const challenge = error === null ? REALM : `${REALM}, error="${error}"`;
  return new ProblemError({ code: 'unauthenticated', detail }, { 'www-authenticate': challenge });
}
