/**
 * Sessions on their way: out of their journals into a worker when they are touched or have a run to go on with, and back when nobody
 * has asked anything of them for a while or too many are awake.
 */
import { documentOf, type Entry } from './entry.ts';
import type { HostProblem, Reply, SessionDocument } from './host.ts';
import type { Journal } from './journal/journal.ts';
import type { HostLimits } from './limits.ts';
import type { HostLogger } from './logger.ts';
import { currentOrigin, fieldsOf } from './origin.ts';
import { sessionRecovering } from './problems.ts';
import type { RestedSession, SessionStatus } from './protocol.ts';
import { within } from './within.ts';
import type { WorkerHandle } from './worker-handle.ts';

/** What a host lends for it. */
export interface WakerParts {
  journal: Journal;
  limits: HostLimits;
  entries: ReadonlyMap<string, Entry>;
  /** A worker to live in, or null when all are dead. */
  place(): WorkerHandle | null;
  /** It has come to a worker. */
  arrived(entry: Entry): void;
  logger: HostLogger;
  /** The session cannot be had, for good. */
  lost(entry: Entry, problem: HostProblem): void;
  /** Nothing that could be written. */
  readonly storeTrouble: string | null;
}

/** A session that takes its worker down with it so often is not tried again. */
const MOST_DEATHS = 3;
/** Sessions that come back by themselves at a time. */
const RECOVERIES = 4;

export class Waker {
  private readonly parts: WakerParts;
  /** Not as they were when they were last put to rest, or in the middle of a run. */
  private readonly recovering = new Set<Entry>();
  private underWay = 0;
  /** One that may take its worker down is tried alone. */
  private alone = false;

  constructor(parts: WakerParts) {
    this.parts = parts;
  }

  /** Sessions that come back by themselves and are not there yet. */
  get pending(): number {
    return this.recovering.size;
  }

  /** Into a worker, if it is in none. @returns why that cannot be, or null */
  async wake(entry: Entry): Promise<HostProblem | null> {
    for (;;) {
      if (entry.failure !== null) return entry.failure;
      if (entry.moving !== null) {
        const there = entry.moving.then(() => true);
        if ((await within(there, this.parts.limits.callTimeoutMs)) === null) return sessionRecovering(entry.id);
        continue;
      }
      if (entry.handle !== null) return null;
      if (this.parts.entries.get(entry.id) !== entry)
        return { code: 'unknown-session', detail: `There is no session "${entry.id}".` };
      const handle = this.parts.place();
      if (handle === null) return { code: 'overloaded', detail: 'No session worker is up.', retryable: true };
      this.bring(entry, handle);
    }
  }

  private bring(entry: Entry, handle: WorkerHandle): void {
    const { id: session, number, spec, coreVersion, status, current } = entry;
    handle.sessions.add(session);
    entry.handle = handle;
    entry.state = 'recovering';
    const digest = current ? status.digest : null;
    const began = performance.now();
    const by = fieldsOf(currentOrigin());
    entry.moving = new Promise<void>((resolve) => {
      handle.callWithoutLimit<SessionStatus>({ kind: 'wake', session, number, spec, coreVersion, digest }, (reply) => {
        entry.moving = null;
        if (reply.ok) {
          entry.status = reply.value;
          entry.state = reply.value.state;
          entry.current = false;
          entry.deaths = 0;
          const message = this.recovering.delete(entry) ? 'session recovered' : 'session woken';
          const ms = Math.round(performance.now() - began);
          this.parts.logger.info({ ...by, session, worker: handle.index, ms }, message);
          this.parts.arrived(entry);
        } else if (handle.alive) {
          handle.sessions.delete(session);
          entry.handle = null;
          this.recovering.delete(entry);
          this.parts.lost(entry, reply.problem);
        } else this.tookWorkerDown(entry);
        entry.touchedMs = performance.now();
        resolve();
      });
    });
  }

  private tookWorkerDown(entry: Entry): void {
    entry.handle = null;
    entry.deaths++;
    if (entry.deaths < MOST_DEATHS) {
      this.recover(entry);
      return;
    }
    this.recovering.delete(entry);
    const detail = `Workers died ${entry.deaths} times while they had this session from its journal; it is not tried again before the next start.`;
    this.parts.lost(entry, { code: 'session-lost', detail });
  }

  /** Its worker died, or the server ended under it: it comes back by itself. */
  recover(entry: Entry): void {
    if (entry.failure !== null) return;
    entry.current = false;
    this.parts.logger.info({ session: entry.id }, 'session recovers');
    this.recovering.add(entry);
    this.next();
  }

  private next(): void {
    for (const entry of this.recovering) {
      if (this.underWay >= RECOVERIES || this.alone) return;
      if (entry.handle !== null || entry.moving !== null || (entry.deaths > 0 && this.underWay > 0)) continue;
      this.underWay++;
      this.alone = entry.deaths > 0;
      void this.wake(entry).then((problem) => {
        this.underWay--;
        this.alone = false;
        // Nowhere to live: the worker that comes next brings them back.
        if (problem?.code !== 'overloaded') this.next();
      });
    }
  }

  /** A worker has come up. */
  workerUp(): void {
    this.next();
  }

  forget(entry: Entry): void {
    this.recovering.delete(entry);
  }

  /**
   * Back into its journal, unless it is in the middle of something. However long the worker takes to say which: it may have put the
   * session to rest by then, and who thought it awake would find nobody there.
   */
  private rest(entry: Entry): void {
    const { handle, id: session } = entry;
    if (handle === null) return;
    const answered = new Promise<Reply<RestedSession>>((resolve) => {
      handle.callWithoutLimit<RestedSession>({ kind: 'rest', session }, resolve);
    });
    const resting = answered.then(async (reply) => {
      if (!reply.ok || reply.value.status === null) return;
      await this.rested(entry, reply.value.status);
      this.parts.logger.info({ session, worker: handle.index }, 'session rests');
      handle.sessions.delete(session);
      entry.handle = null;
    });
    entry.moving = resting.finally(() => {
      entry.moving = null;
      // Its worker died meanwhile.
      if (this.recovering.has(entry)) this.next();
    });
  }

  /** Writes down how a session was left. */
  async rested(entry: Entry, status: SessionStatus): Promise<void> {
    entry.status = status;
    entry.state = 'hibernated';
    const failure = await this.parts.journal.write({ do: 'rest', number: entry.number, status: { ...status } });
    entry.current = failure === null;
  }

  /** Puts to rest what has long been left alone, and of too many that are awake those left alone longest. */
  sweep(nowMs: number): void {
    if (this.parts.storeTrouble !== null) return;
    const { awakeSessions, idleMs } = this.parts.limits;
    const awake: Entry[] = [];
    for (const entry of this.parts.entries.values())
      if (entry.handle !== null && entry.moving === null) awake.push(entry);
    let surplus = awake.length - awakeSessions;
    if (surplus > 0) awake.sort((one, other) => one.touchedMs - other.touchedMs);
    for (const entry of awake) {
      const busy = entry.state === 'running' || entry.openStreams > 0 || entry.failure !== null;
      if (busy || (surplus <= 0 && nowMs - entry.touchedMs < idleMs)) continue;
      surplus--;
      this.rest(entry);
    }
  }

  /** A document, of a session that rests as it was left if that is how it is now. */
  restingDocument(entry: Entry): Reply<SessionDocument> | null {
    const resting = entry.handle === null && entry.moving === null;
    return (resting && entry.current) || entry.failure !== null ? { ok: true, value: documentOf(entry) } : null;
  }
}
