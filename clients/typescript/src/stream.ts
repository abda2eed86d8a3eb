/**
 * The live stream of a session. It comes back after a cut and goes on where it was; what was lost meanwhile, and only that, is told by
 * `gap` messages; it ends when the session does.
 *
 * A reader that is slower than the frames does not fill the memory: beyond `buffered` messages the connection is given up, and taken up
 * again behind the last of them once they are read. The history of the server (2 minutes or 10,000 frames) is the buffer meanwhile.
 */
import { IommuLabError } from './errors.ts';
import type {
  Epoch,
  EventsFrame,
  FaultsFrame,
  Gap,
  MetricsFrame,
  RunsFrame,
  Topic,
  VerdictsFrame,
} from './generated/stream-messages.ts';
import type { Problem } from './generated/types.ts';
import { type AbortSignalLike, backoffMs, platform, type WebSocketClass } from './platform.ts';
import type { Transport } from './transport.ts';
import { NO_CODE, openEvents, openSocket, type Way, type Wire, type Wish, whyRefused } from './wire.ts';

export type StreamFrame = MetricsFrame | EventsFrame | FaultsFrame | VerdictsFrame | RunsFrame;

/** What is iterated over: frames; what was lost; and that the session was reset. */
export type StreamMessage = StreamFrame | Gap | Epoch;

/** A place in the history of a session: behind this frame. */
export interface StreamPlace {
  epoch: string;
  sequence: number;
}

export type StreamState = 'connecting' | 'open' | 'waiting' | 'full' | 'ended';

/**
 * Why it ended: `closed` by the client, `deleted` with its session, or for good by the server: the session `failed`, the token was `revoked`,
 * the session is no longer `unshared`, the client was found to `misbehave`, the stream was `refused`; or it `gave-up`.
 */
export interface StreamEnd {
  why: 'closed' | 'deleted' | 'failed' | 'revoked' | 'unshared' | 'misbehave' | 'refused' | 'gave-up';
  /** Of the WebSocket, or as it would have been. */
  code: number;
  reason: string;
  error?: Error;
}

export interface StreamOptions {
  /** All when absent. */
  topics?: readonly Topic[];
  /** Least time between two metrics frames, 10 to 60,000 ms. */
  everyMs?: number;
  /** Where to go on, of an earlier stream's `place`; what came since is given first. */
  after?: StreamPlace;
  /** `auto`: a WebSocket where there is one that gets through, else server-sent events. */
  way?: Way | 'auto';
  /** First and longest wait before coming back, and how long to try in vain; the last is endless by default. */
  retry?: { firstMs?: number; mostMs?: number; giveUpMs?: number };
  /** How many messages may wait for a slow reader. */
  buffered?: number;
  signal?: AbortSignalLike;
}

export interface StreamEvents {
  metrics: MetricsFrame;
  events: EventsFrame;
  faults: FaultsFrame;
  verdicts: VerdictsFrame;
  runs: RunsFrame;
  gap: Gap;
  epoch: Epoch;
  /** Each of the above. */
  message: StreamMessage;
  state: StreamState;
  end: StreamEnd;
}

/** By code, why a stream is over for good: those from 4500 on. */
const FOR_GOOD: Record<number, StreamEnd['why']> = {
  4500: 'deleted',
  4501: 'misbehave',
  4502: 'failed',
  4503: 'revoked',
  4504: 'unshared',
};

const FIRST_MS = 250;
const MOST_MS = 10_000;
const BUFFERED = 1000;
/** The server says something at least every 20 s where it can; a WebSocket's own pings are seen by no page, so it is asked. */
const SILENCE_ASKED_MS = 30_000;
const SILENCE_DEAD_MS = 60_000;
const LOOK_MS = 5_000;
/** So many upgrades in vain, where the server says that it would let us in, are those of a proxy that lets none through. */
const UPGRADES_TRIED = 2;

const ALL_MESSAGES = ['metrics', 'events', 'faults', 'verdicts', 'runs', 'gap', 'epoch', 'message'];
const FRAMES = new Set(['metrics', 'events', 'faults', 'verdicts', 'runs']);

interface Message {
  type: string;
  epoch?: string;
  sequence?: number;
  problem?: Problem;
}

export class LabStream implements AsyncIterable<StreamMessage> {
  /** Resolves when it is over, whatever the reason; is never rejected. */
  readonly ended: Promise<StreamEnd>;
  private readonly transport: Transport;
  private readonly Class: WebSocketClass | undefined;
  private readonly options: StreamOptions;
  private readonly session: string;
  private readonly listeners = new Map<string, Set<(value: never) => void>>();
  private readonly queue: StreamMessage[] = [];
  private way: Way;
  private wire: Wire | undefined;
  private isIterated = false;
  private wake: (() => void) | undefined;
  private resolveEnd!: (end: StreamEnd) => void;
  private finalEnd: StreamEnd | undefined;
  private current: StreamState = 'connecting';
  private reached: StreamPlace | undefined;
  private failures = 0;
  private failingSinceMs = 0;
  private upgradesInVain = 0;
  private wasGreeted = false;
  private heardMs = 0;
  private timer: unknown;
  private watch: unknown;
  private readonly stop = (): void => this.finish({ why: 'closed', code: 1000, reason: 'ended by its signal' });

  constructor(transport: Transport, Class: WebSocketClass | undefined, session: string, options: StreamOptions = {}) {
    this.transport = transport;
    this.Class = Class;
    this.session = session;
    this.options = options;
    this.reached = options.after;
    const { way = 'auto', signal } = options;
    this.way = way === 'auto' ? (Class === undefined ? 'events' : 'websocket') : way;
    if (this.way !== 'events' && Class === undefined)
      throw new Error('There is no WebSocket here: give one to the client, or ask for the way "events".');
    this.ended = new Promise((resolve) => (this.resolveEnd = resolve));
    signal?.addEventListener('abort', this.stop);
    if (signal?.aborted) this.stop();
    else void this.connect();
  }

  get state(): StreamState {
    return this.current;
  }

  /** Behind the last frame that came; an `after` for another stream, of another process even. */
  get place(): StreamPlace | undefined {
    return this.reached;
  }

  /** Which way it is connected, or would be. */
  get connectedBy(): Way {
    return this.way;
  }

  /** @returns takes the listener off again */
  on<Name extends keyof StreamEvents>(name: Name, listener: (value: StreamEvents[Name]) => void): () => void {
    const known = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, known);
    known.add(listener as (value: never) => void);
    return () => known.delete(listener as (value: never) => void);
  }

  close(): void {
    this.finish({ why: 'closed', code: 1000, reason: 'closed by the client' });
  }

  /**
   * What comes, from the beginning unless listeners took it. Ends with the session, and by `close`; is rejected where the stream ended for another reason. Leaving the loop
   * closes the stream.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamMessage, void, undefined> {
    if (this.isIterated) throw new Error('This stream is iterated over already: open another, or use on().');
    this.isIterated = true;
    try {
      for (;;) {
        const message = this.queue.shift();
        if (message !== undefined) {
          yield message;
          continue;
        }
        if (this.finalEnd !== undefined) break;
        if (this.current === 'full') void this.connect();
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
      const { why, error } = this.finalEnd!;
      if (error !== undefined && why !== 'closed' && why !== 'deleted') throw error;
    } finally {
      this.close();
    }
  }

  private tell<Name extends keyof StreamEvents>(name: Name, value: StreamEvents[Name]): void {
    for (const listener of this.listeners.get(name) ?? []) (listener as (value: StreamEvents[Name]) => void)(value);
  }

  private turn(state: StreamState): void {
    if (this.current === state) return;
    this.current = state;
    this.tell('state', state);
  }

  private async connect(): Promise<void> {
    this.turn('connecting');
    const { topics, everyMs } = this.options;
    const wish: Wish = { session: this.session, topics, everyMs, after: this.reached };
    let live = true;
    const events = {
      heard: () => {
        this.heardMs = platform.performance.now();
      },
      message: (message: unknown) => {
        if (live) this.take(message as Message);
      },
      ended: (code: number, reason: string, error?: unknown) => {
        if (!live) return;
        live = false;
        this.wire = undefined;
        platform.clearTimeout(this.watch);
        void this.lost(wish, code, reason, error);
      },
    };
    try {
      const token = this.way === 'events' ? undefined : await this.transport.token();
      if (this.finalEnd !== undefined) return;
      events.heard();
      this.wire =
        this.way === 'events'
          ? openEvents(this.transport, wish, events)
          : openSocket(this.transport, this.Class!, this.way, wish, token, events);
      this.look();
    } catch (error) {
      events.ended(NO_CODE, String(error), error);
    }
  }

  /** A connection can be gone without a word: then nothing comes, not even what was asked for. */
  private look(): void {
    this.watch = platform.setTimeout(() => {
      const { wire } = this;
      if (wire === undefined) return;
      const silentMs = platform.performance.now() - this.heardMs;
      if (silentMs > SILENCE_DEAD_MS) {
        wire.close();
        return;
      }
      if (silentMs > SILENCE_ASKED_MS) wire.ping();
      this.look();
    }, LOOK_MS);
  }

  private take(message: Message): void {
    const { type } = message;
    if (type === 'subscribed') {
      this.failures = 0;
      this.wasGreeted = true;
      // Without a frame yet this is where they begin: cut now, it would go on here.
      if (this.reached === undefined)
        this.reached = { epoch: String(message.epoch), sequence: Number(message.sequence) - 1 };
      this.turn('open');
      return;
    }
    if (type === 'error') {
      const problem = message.problem as Problem;
      const error = new IommuLabError(problem, `stream of ${this.session}`);
      this.finish({ why: 'refused', code: NO_CODE, reason: problem.detail, error });
      return;
    }
    if (FRAMES.has(type)) {
      const { epoch, sequence } = message as StreamPlace;
      // Sent twice, as where a connection was lost and found again.
      if (this.reached?.epoch === epoch && sequence <= this.reached.sequence) return;
      this.reached = { epoch, sequence };
    } else if (type === 'epoch') this.reached = { epoch: String(message.epoch), sequence: 0 };
    else if (type !== 'gap') return;
    this.give(message as unknown as StreamMessage);
  }

  private give(message: StreamMessage): void {
    this.tell(message.type, message as never);
    this.tell('message', message);
    if (!this.isIterated && this.isListenedTo()) return;
    this.queue.push(message);
    this.wakeUp();
    if (this.queue.length >= (this.options.buffered ?? BUFFERED)) {
      this.turn('full');
      this.wire?.close();
    }
  }

  private isListenedTo(): boolean {
    return ALL_MESSAGES.some((name) => (this.listeners.get(name)?.size ?? 0) > 0);
  }

  private wakeUp(): void {
    const { wake } = this;
    this.wake = undefined;
    wake?.();
  }

  /** The connection is gone: for good, or to be made again. */
  private async lost(wish: Wish, code: number, reason: string, error?: unknown): Promise<void> {
    if (this.finalEnd !== undefined || this.current === 'full') return;
    const why = FOR_GOOD[code] ?? (code >= 4500 ? 'refused' : undefined);
    if (why !== undefined) {
      const told = new Error(`stream of ${this.session}: ${code} ${reason}`);
      this.finish({ why, code, reason, error: told });
      return;
    }
    const wasOpen = this.current === 'open';
    this.turn('waiting');
    let refusal = error instanceof IommuLabError ? error : undefined;
    if (!wasOpen && this.way !== 'events') {
      refusal = await whyRefused(this.transport, wish);
      if (this.isOver()) return;
      // Let in, and yet no socket came about.
      if (refusal?.status === 426) {
        refusal = undefined;
        this.upgradesInVain++;
        if (this.upgradesInVain >= UPGRADES_TRIED && (this.options.way ?? 'auto') === 'auto') this.way = 'events';
      }
    }
    if (wasOpen) this.upgradesInVain = 0;
    if (refusal !== undefined && !refusal.retryable) {
      const isGone = this.wasGreeted && refusal.code === 'unknown-session';
      this.finish({ why: isGone ? 'deleted' : 'refused', code, reason: refusal.message, error: refusal });
      return;
    }
    this.comeBack(refusal?.retryAfterMs ?? 0, code, reason, error);
  }

  private comeBack(leastMs: number, code: number, reason: string, error: unknown): void {
    const { firstMs = FIRST_MS, mostMs = MOST_MS, giveUpMs = Number.POSITIVE_INFINITY } = this.options.retry ?? {};
    const nowMs = platform.performance.now();
    if (this.failures === 0) this.failingSinceMs = nowMs;
    if (nowMs - this.failingSinceMs > giveUpMs) {
      const told = error instanceof Error ? error : new Error(`stream of ${this.session}: ${code} ${reason}`);
      this.finish({ why: 'gave-up', code, reason, error: told });
      return;
    }
    const afterMs = Math.max(leastMs, backoffMs(this.failures, firstMs, mostMs));
    this.failures++;
    this.timer = platform.setTimeout(() => void this.connect(), afterMs);
  }

  private isOver(): boolean {
    return this.finalEnd !== undefined;
  }

  private finish(end: StreamEnd): void {
    if (this.finalEnd !== undefined) return;
    this.finalEnd = end;
    platform.clearTimeout(this.timer);
    platform.clearTimeout(this.watch);
    this.options.signal?.removeEventListener('abort', this.stop);
    const { wire } = this;
    this.wire = undefined;
    wire?.close();
    this.turn('ended');
    this.tell('end', end);
    this.resolveEnd(end);
    this.wakeUp();
  }
}
