/**
 * The streams of all sessions: keeps the history of each, whoever listens, and brings every frame to those who want it. Nothing
 * here makes a session wait: frames are taken as they come, and handed out in turns short enough for other requests to get theirs.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from '@fastify/websocket';
import type { FrameListener, SessionFrame, SessionHost } from '../host/host.ts';
import { CLOSE, type CloseCause } from './close-codes.ts';
import { History } from './history.ts';
import { STREAM_LIMITS, type StreamLimits } from './limits.ts';
import { type StreamCounters, Subscriber } from './subscriber.ts';

export interface StreamOptions {
  limits?: Partial<StreamLimits>;
  /** Monotonic milliseconds; for tests. */
  nowMs?: () => number;
}

/** Numbers for `/metrics`. */
export interface StreamStatus extends Readonly<StreamCounters> {
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
  private historyBytes = 0;
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
    const before = history.bytes;
    history.evictOlderThan(now);
    for (const frame of frames) history.append(frame, now);
    this.framesRecorded += frames.length;
    this.historyBytes += history.bytes - before;
    while (this.historyBytes > this.limits.totalHistoryBytes) this.shrinkFullest();
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
    this.historyBytes -= stream.history.bytes;
    endAll(stream, CLOSE.sessionDeleted);
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

  /**
   * Takes over an open socket.
   *
   * @param session id
   * @param wire the connection under the socket
   * @returns ends it from outside
   */
  open(session: string, socket: WebSocket, wire: Socket): (cause: CloseCause) => void {
    const epoch = this.host.epochOf(session);
    if (epoch === null || this.closed !== null) {
      // Deleted, or the server asked to stop, between the check and the upgrade.
      const { code, reason } = epoch === null ? CLOSE.sessionDeleted : CLOSE.goingAway;
      socket.close(code, reason);
      return () => {};
    }
    const stream = this.streamOf(session, epoch);
    if (stream.failed) {
      socket.close(CLOSE.sessionFailed.code, CLOSE.sessionFailed.reason);
      return () => {};
    }
    const { counters, limits, nowMs } = this;
    const subscriber = new Subscriber(socket, wire, { history: stream.history, counters, limits, nowMs });
    stream.subscribers.add(subscriber);
    this.sockets++;
    socket.once('close', () => {
      stream.subscribers.delete(subscriber);
      subscriber.ended();
      this.sockets--;
      if (this.sockets === 0) this.whenEmpty?.();
    });
    return (cause) => subscriber.close(cause);
  }

  status(): StreamStatus {
    const { sockets, historyBytes, framesRecorded, counters } = this;
    return { sockets, historyBytes, framesRecorded, ...counters };
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
        history: new History(epoch, this.limits),
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
    this.historyBytes -= stream.history.bytes;
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

  private shrinkFullest(): void {
    let fullest: History | null = null;
    for (const { history } of this.sessions.values()) {
      if (fullest === null || history.bytes > fullest.bytes) fullest = history;
    }
    if (fullest === null || fullest.count === 0) return;
    const before = fullest.bytes;
    // An eighth at a time, so that the search for the fullest is rare.
    for (let left = Math.ceil(fullest.count / 8); left > 0; left--) fullest.evictOldest();
    this.historyBytes -= before - fullest.bytes;
  }

  private tend(): void {
    const now = this.nowMs();
    for (const { history, subscribers } of this.sessions.values()) {
      const before = history.bytes;
      history.evictOlderThan(now);
      this.historyBytes -= before - history.bytes;
      for (const subscriber of subscribers) subscriber.tend(now);
    }
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
