/**
 * The streams of all sessions: keeps the history of each, whoever listens, and brings every frame to those who want it. Nothing
 * here makes a session wait: frames are taken as they come, and handed out in turns short enough for other requests to get theirs.
 */
import type { Reason } from '../api/problem.ts';
import type { FrameListener, SessionFrame, SessionHost } from '../host/host.ts';
import { CLOSE, type CloseCause } from './close-codes.ts';
import { History, type Kept } from './history.ts';
import { STREAM_LIMITS, type StreamLimits } from './limits.ts';
import type { Subscribe } from './protocol.ts';
import { beyondNewest, type StreamCounters, Subscriber } from './subscriber.ts';
import type { Transport } from './transport.ts';

export interface StreamOptions {
  limits?: Partial<StreamLimits>;
  /** Monotonic milliseconds; for tests. */
  nowMs?: () => number;
}

/** Numbers for `/metrics`. */
export interface StreamStatus extends Readonly<StreamCounters> {
  /** Of both kinds. */
  sockets: number;
  historyBytes: number;
  framesRecorded: number;
}

/** Why no further socket is taken, or null. */
export type Refusal = 'shutting-down' | 'too-many-sockets' | 'too-many-sockets-of-session' | 'session-failed';

/** Handing out frames goes on for this long before other work gets its turn. */
const TURN_MS = 10;
/** Between two looks at the clock. */
const SUBSCRIBERS_PER_LOOK = 32;

interface SessionStream {
  history: History;
  subscribers: Set<Subscriber>;
  /** Where handing out has got to; null when nobody is left to be told. Sets keep their iterators right when members come and go. */
  turn: SetIterator<Subscriber> | null;
  /** Frames came while handing out went on. */
  again: boolean;
  failed: boolean;
}

type SessionsKnown = Pick<SessionHost, 'resolve' | 'epochOf' | 'listen'>;

export class StreamHub implements FrameListener {
  readonly limits: Readonly<StreamLimits>;
  private readonly host: SessionsKnown;
  private readonly nowMs: () => number;
  private readonly sessions = new Map<string, SessionStream>();
  private readonly counters: StreamCounters = { framesSent: 0, bytesSent: 0, coalesced: 0, lost: 0, badMessages: 0 };
  private framesRecorded = 0;
  private readonly kept: Kept = { bytes: 0 };
  private sockets = 0;
  private closed: Promise<void> | null = null;
  private whenEmpty: (() => void) | null = null;
  private readonly tending: NodeJS.Timeout;

  constructor(host: SessionsKnown, options: StreamOptions = {}) {
    this.host = host;
    this.limits = { ...STREAM_LIMITS, ...options.limits };
    this.nowMs = options.nowMs ?? (() => performance.now());
    const { heartbeatMs, stallMs, historyMs } = this.limits;
    this.tending = setInterval(() => this.tend(), Math.min(1000, heartbeatMs / 4, stallMs / 4, historyMs / 4));
    this.tending.unref();
    host.listen(this);
  }

  // ------------------------------------------------------------------------------------------------ from the host

  frames(session: string, epoch: string, frames: SessionFrame[]): void {
    // A last batch may have been on its way when the session was deleted.
    if (!this.sessions.has(session) && this.host.epochOf(session) === null) return;
    const stream = this.streamOf(session, epoch);
    if (stream.history.epoch !== epoch) this.restart(stream, epoch);
    const now = this.nowMs();
    const { history } = stream;
    history.evictOlderThan(now);
    for (const frame of frames) history.append(frame, now);
    this.framesRecorded += frames.length;
    this.shrink();
    this.handOut(stream);
  }

  epoch(session: string, epoch: string): void {
    const stream = this.sessions.get(session);
    if (stream === undefined) this.streamOf(session, epoch);
    else if (stream.history.epoch !== epoch) this.restart(stream, epoch);
  }

  failed(session: string): void {
    const epoch = this.host.epochOf(session);
    if (epoch === null) return;
    const stream = this.streamOf(session, epoch);
    stream.failed = true;
    endAll(stream, CLOSE.sessionFailed);
  }

  deleted(session: string): void {
    const stream = this.sessions.get(session);
    if (stream === undefined) return;
    this.sessions.delete(session);
    endAll(stream, CLOSE.sessionDeleted);
    stream.history.forget();
  }

  // ------------------------------------------------------------------------------------------------ from the routes

  /** The id of a session by id or name; null when there is none. */
  resolve(session: string): string | null {
    return this.host.resolve(session);
  }

  /** @param session id */
  refusal(session: string): Refusal | null {
    if (this.closed !== null) return 'shutting-down';
    if (this.sockets >= this.limits.sockets) return 'too-many-sockets';
    const stream = this.sessions.get(session);
    if (stream?.failed === true) return 'session-failed';
    return (stream?.subscribers.size ?? 0) >= this.limits.socketsPerSession ? 'too-many-sockets-of-session' : null;
  }

  /** Why a stream cannot begin where it is asked to, or null. @param session id */
  cannotBegin(session: string, subscribe: Subscribe): Reason | null {
    const epoch = this.host.epochOf(session);
    return epoch === null ? null : beyondNewest(this.streamOf(session, epoch).history, subscribe);
  }

  /**
   * Takes over a connection that is open.
   *
   * @param session id
   * @param subscribe of a client that will not say it
   * @returns ends it from outside
   */
  open(session: string, transport: Transport, subscribe: Subscribe | null = null): (cause: CloseCause) => void {
    const epoch = this.host.epochOf(session);
    if (epoch === null || this.closed !== null) {
      // Deleted, or the server asked to stop, between the check and the upgrade.
      transport.close(epoch === null ? CLOSE.sessionDeleted : CLOSE.goingAway);
      return () => {};
    }
    const stream = this.streamOf(session, epoch);
    if (stream.failed) {
      transport.close(CLOSE.sessionFailed);
      return () => {};
    }
    const { counters, limits, nowMs } = this;
    const subscriber = new Subscriber(transport, { history: stream.history, counters, limits, nowMs }, () => {
      stream.subscribers.delete(subscriber);
      this.sockets--;
      if (this.sockets === 0) this.whenEmpty?.();
    });
    stream.subscribers.add(subscriber);
    this.sockets++;
    if (subscribe !== null) subscriber.begin(subscribe);
    return (cause) => subscriber.close(cause);
  }

  status(): StreamStatus {
    const { sockets, kept, framesRecorded, counters } = this;
    return { sockets, historyBytes: kept.bytes, framesRecorded, ...counters };
  }

  /** Tells every client that the server goes, and resolves when the last connection has ended; takes at most `closeMs`. */
  close(): Promise<void> {
    this.closed ??= new Promise((resolve) => {
      clearInterval(this.tending);
      if (this.sockets === 0) return resolve();
      this.whenEmpty = resolve;
      for (const { subscribers } of this.sessions.values()) {
        for (const subscriber of subscribers) subscriber.shutDown();
      }
    });
    return this.closed;
  }

  // ------------------------------------------------------------------------------------------------ inside

  private streamOf(session: string, epoch: string): SessionStream {
    let stream = this.sessions.get(session);
    if (stream === undefined) {
      stream = {
        history: new History(epoch, this.limits, this.kept),
        subscribers: new Set(),
        turn: null,
        again: false,
        failed: false,
      };
      this.sessions.set(session, stream);
    }
    return stream;
  }

  private restart(stream: SessionStream, epoch: string): void {
    // Who keeps up has the end of the old epoch before it is forgotten.
    for (const subscriber of stream.subscribers) subscriber.pump();
    stream.history.restart(epoch);
    stream.failed = false;
    this.handOut(stream);
  }

  private handOut(stream: SessionStream): void {
    if (stream.turn !== null) {
      stream.again = true;
      return;
    }
    stream.turn = stream.subscribers.values();
    this.takeTurn(stream);
  }

  private takeTurn(stream: SessionStream): void {
    const turn = stream.turn!;
    const end = performance.now() + TURN_MS;
    for (let told = 1; ; told++) {
      const { done, value } = turn.next();
      if (done === true) break;
      value.pump();
      if (told % SUBSCRIBERS_PER_LOOK !== 0 || performance.now() < end) continue;
      setImmediate(() => this.takeTurn(stream));
      return;
    }
    stream.turn = null;
    if (!stream.again) return;
    stream.again = false;
    stream.turn = stream.subscribers.values();
    setImmediate(() => this.takeTurn(stream));
  }

  private shrink(): void {
    while (this.kept.bytes > this.limits.totalHistoryBytes && this.shrinkFullest());
  }

  private shrinkFullest(): boolean {
    let fullest: History | null = null;
    for (const { history } of this.sessions.values()) {
      if (fullest === null || history.bytes > fullest.bytes) fullest = history;
    }
    if (fullest === null || fullest.count === 0) return false;
    // An eighth at a time, so that the search for the fullest is rare.
    for (let left = Math.ceil(fullest.count / 8); left > 0; left--) fullest.evictOldest();
    return true;
  }

  private tend(): void {
    const now = this.nowMs();
    for (const { history, subscribers } of this.sessions.values()) {
      history.evictOlderThan(now);
      for (const subscriber of subscribers) subscriber.tend(now);
    }
    // Forms that were made of frames since count, too.
    this.shrink();
  }
}

/** Who keeps up has the last frames first. */
function endAll({ subscribers }: SessionStream, cause: CloseCause): void {
  for (const subscriber of subscribers) {
    subscriber.pump();
    subscriber.close(cause);
  }
}

export function createStream(host: SessionsKnown, options: StreamOptions = {}): StreamHub {
  return new StreamHub(host, options);
}
