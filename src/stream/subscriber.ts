/**
 * One client: what it asked for, how far it has got in the session's history, and how much of it waits in its socket.
 *
 * It reads the history with a cursor. While its socket takes what is written, the cursor follows the newest frame; when the socket
 * is full the cursor stays, costs nothing, and goes on when the socket has drained. Meanwhile metrics pile up to one (the newest),
 * and of the other topics it misses what leaves the history; a `gap` says how much of each.
 */
import { problemDocument, type Reason } from '../api/problem.ts';
import { CLOSE, type CloseCause } from './close-codes.ts';
import type { Frame, History } from './history.ts';
import type { StreamLimits } from './limits.ts';
import type { ServerMessage } from './messages.ts';
import { type ClientMessage, DEFAULT_EVERY_MS, parseMessage, type Subscribe, type Unsubscribe } from './protocol.ts';
import { TokenBucket } from './token-bucket.ts';
import { METRICS, TOPIC_COUNT, TOPICS, type Topic, topicIndex } from './topics.ts';
import { type MessageForm, placeOf, type Transport, type TransportListener } from './transport.ts';

/** Frames written in one go before other work gets its turn: at 5 us each, about a millisecond. */
const FRAMES_PER_TURN = 256;
/** Or so long, as in binary they may have to be made first; looked at between frames, every so many. */
const TURN_MS = 5;
const FRAMES_PER_LOOK = 8;

/** Metrics are recorded by a timer; one that comes this much early still counts as in time. */
const EARLY_MS = 20;

/** Answers may go over the bound on what waits in a socket by this much. */
const ANSWERS_BYTES = 16 * 1024;

/** Of the topic: not subscribed to. */
const NEVER = Number.POSITIVE_INFINITY;

/** What all subscribers count together, since the server started. */
export interface StreamCounters {
  framesSent: number;
  bytesSent: number;
  /** Metrics frames that a slow reader got only the successor of. */
  coalesced: number;
  /** Frames of any topic that left the history before a slow reader came to them. */
  lost: number;
  badMessages: number;
}

export interface SubscriberSetting {
  history: History;
  limits: StreamLimits;
  counters: StreamCounters;
  nowMs(): number;
}

export class Subscriber implements TransportListener {
  private readonly transport: Transport;
  private readonly whenGone: () => void;
  private readonly history: History;
  private readonly limits: StreamLimits;
  private readonly counters: StreamCounters;
  private readonly nowMs: () => number;

  /** That the client knows of; `history` may be ahead. */
  private epoch: string;
  /** Sequence of the next frame to look at. */
  private cursor: number;
  /** [topic]: sequence of the first frame that the client wants, or NEVER. */
  private readonly from = new Float64Array(TOPIC_COUNT).fill(NEVER);
  /** [topic]: ordinal of the last frame that was dealt with; kept while subscribed. */
  private readonly done = new Float64Array(TOPIC_COUNT);
  /** Frames below were asked for by number: metrics among them are thinned, never coalesced. */
  private replayEnd = 0;

  private everyMs = DEFAULT_EVERY_MS;
  /** Recording time from which the next metrics frame is in time. */
  private metricsDueMs = 0;
  /** The newest metrics frame that came too soon; sent when it is time, unless a newer one comes first. */
  private held: Frame | null = null;
  private heldTimer: NodeJS.Timeout | undefined;

  /** The socket is full, and since when. */
  private full = false;
  private fullSinceMs = 0;
  /** Messages written since the socket was last seen empty. */
  private waitingMessages = 0;
  /** What is written in this turn is sent at its end. */
  private corked = false;
  /** Another turn is coming. */
  private yielded = false;
  /** Frames below were recorded while the socket was full. */
  private coalesceEnd = 0;
  /** Metrics left out since the last metrics frame sent, and where. */
  private coalesced = 0;
  private coalescedFrom = 0;
  private coalescedTo = 0;

  private readonly messages: TokenBucket;
  private readonly badMessages: TokenBucket;
  private unansweredPings = 0;
  private nextPingMs: number;
  private closing = false;

  /** @param whenGone called once, when the connection has ended */
  constructor(transport: Transport, { history, limits, counters, nowMs }: SubscriberSetting, whenGone: () => void) {
    this.transport = transport;
    this.whenGone = whenGone;
    this.history = history;
    this.limits = limits;
    this.counters = counters;
    this.nowMs = nowMs;
    this.epoch = history.epoch;
    this.cursor = history.last + 1;
    const now = nowMs();
    this.messages = new TokenBucket(limits.messageBurst, limits.messagesPerSecond, now);
    this.badMessages = new TokenBucket(limits.badMessagesPerMinute, limits.badMessagesPerMinute / 60, now);
    this.nextPingMs = now + limits.heartbeatMs;
    transport.listen(this);
    this.greet();
  }

  // ------------------------------------------------------------------------------------------------ frames

  /** Sends what is new, as far as the socket takes it. */
  pump(): void {
    if (this.full || this.yielded || this.closing) return;
    const { history, transport } = this;
    if (this.epoch !== history.epoch) this.enterEpoch();
    // Frames of one batch leave in one call of the operating system.
    this.corked = history.last > this.cursor;
    if (this.corked) transport.cork();
    this.pumpFrames();
    if (this.corked) transport.uncork();
  }

  private pumpFrames(): void {
    const { history } = this;
    let endMs = 0;
    for (let dealt = 0; this.cursor <= history.last; dealt++) {
      if (this.full) return;
      if (dealt > 0 && dealt % FRAMES_PER_LOOK === 0) {
        const now = performance.now();
        if (endMs === 0) endMs = now + TURN_MS;
        if (now > endMs || dealt >= FRAMES_PER_TURN) {
          this.yieldTurn();
          return;
        }
      }
      if (this.cursor < history.first) this.skipEvicted();
      this.deal(history.at(this.cursor));
    }
    if (this.held !== null && !this.full) this.releaseHeldInTime();
  }

  /** Sends or leaves out the frame at the cursor. */
  private deal(frame: Frame): void {
    const { topic, sequence } = frame;
    if (sequence >= this.from[topic]!) {
      if (topic === METRICS) {
        this.dealMetrics(frame);
      } else {
        // Frames keep their order: held metrics go first, or not at all when newer ones are on their way.
        this.releaseHeld();
        if (this.full) return;
        this.write(frame);
      }
      this.done[topic] = frame.ordinal;
    }
    this.cursor = sequence + 1;
  }

  private dealMetrics(frame: Frame): void {
    const { sequence, atMs } = frame;
    const inTime = atMs >= this.metricsDueMs - this.earlyMs();
    if (sequence < this.coalesceEnd && sequence >= this.replayEnd && this.history.lastMetrics > sequence) {
      // Thinning would have left it out anyway unless it was in time.
      if (inTime) this.coalesce(frame);
    } else if (inTime) {
      this.held = null;
      this.writeMetrics(frame);
    } else {
      this.held = frame;
    }
  }

  private coalesce({ sequence, atMs }: Frame): void {
    if (this.coalesced === 0) this.coalescedFrom = sequence;
    this.coalescedTo = sequence;
    this.coalesced++;
    this.counters.coalesced++;
    this.advanceDue(atMs);
  }

  private writeMetrics(frame: Frame): void {
    if (this.coalesced > 0) {
      this.say({
        type: 'gap',
        epoch: this.epoch,
        from: this.coalescedFrom,
        to: this.coalescedTo,
        reason: 'slow-reader',
        dropped: { metrics: this.coalesced },
      });
      this.coalesced = 0;
    }
    this.advanceDue(frame.atMs);
    this.write(frame);
  }

  /** Keeps the rhythm: one frame that came early does not make all later ones come early. */
  private advanceDue(atMs: number): void {
    this.metricsDueMs = Math.max(this.metricsDueMs, atMs - this.earlyMs()) + this.everyMs;
  }

  private earlyMs(): number {
    return Math.min(EARLY_MS, this.everyMs / 5);
  }

  private releaseHeld(): void {
    const { held } = this;
    if (held === null) return;
    this.held = null;
    if (this.history.lastMetrics === held.sequence) this.writeMetrics(held);
  }

  private releaseHeldInTime(): void {
    const waitMs = this.metricsDueMs - this.nowMs();
    if (waitMs <= 0) {
      this.releaseHeld();
    } else if (this.heldTimer === undefined) {
      this.heldTimer = setTimeout(() => {
        this.heldTimer = undefined;
        this.pump();
      }, Math.ceil(waitMs));
      this.heldTimer.unref();
    }
  }

  private write(frame: Frame): void {
    const { transport, history } = this;
    const lengthBytes = transport.frameBytes(frame, history);
    this.counters.framesSent++;
    this.counters.bytesSent += lengthBytes;
    if (this.corked && this.wouldFill(lengthBytes)) {
      // What is held back only for the batch does not count as waiting for the client.
      transport.uncork();
      transport.cork();
    }
    const full = this.wouldFill(lengthBytes);
    this.waitingMessages++;
    if (!full) {
      transport.sendFrame(frame, history);
      return;
    }
    this.full = true;
    this.fullSinceMs = this.nowMs();
    transport.sendFrame(frame, history, () => this.drained());
  }

  private wouldFill(lengthBytes: number): boolean {
    const { bufferedBytes, bufferedMessages } = this.limits;
    const waitingBytes = this.transport.waitingBytes();
    if (waitingBytes === 0) this.waitingMessages = 0;
    return waitingBytes + lengthBytes >= bufferedBytes || this.waitingMessages + 1 >= bufferedMessages;
  }

  private drained(): void {
    this.full = false;
    this.waitingMessages = 0;
    // Of the current epoch: what an ended one left behind is gone anyway.
    this.coalesceEnd = this.history.last + 1;
    this.yieldTurn();
  }

  private yieldTurn(): void {
    this.yielded = true;
    setImmediate(() => {
      this.yielded = false;
      this.pump();
    });
  }

  /** The history no longer has the frames from the cursor on. */
  private skipEvicted(): void {
    const { history } = this;
    const to = history.first - 1;
    const dropped: Partial<Record<Topic, number>> = {};
    let lost = 0;
    for (let topic = 0; topic < TOPIC_COUNT; topic++) {
      if (this.from[topic]! > to) continue;
      const count = history.evicted[topic]! - this.done[topic]!;
      if (count <= 0) continue;
      dropped[TOPICS[topic]!] = count;
      this.done[topic] = history.evicted[topic]!;
      lost += count;
    }
    if (lost > 0) {
      this.counters.lost += lost;
      const gap = { type: 'gap', epoch: this.epoch, from: this.cursor, to, reason: 'slow-reader', dropped } as const;
      this.say(gap, placeOf(this.epoch, to));
    }
    this.cursor = history.first;
  }

  /** The session was reset: its frames are counted anew. */
  private enterEpoch(): void {
    const { history } = this;
    const previous = this.epoch;
    const last = history.past?.epoch === previous ? history.past.last : null;
    const missed = last === null || this.cursor <= last || this.coalesced > 0;
    if (missed && this.active().length > 0) {
      const from = this.coalesced > 0 ? this.coalescedFrom : this.cursor;
      this.say({ type: 'gap', epoch: previous, from, to: last, reason: 'reset' });
    }
    this.epoch = history.epoch;
    this.cursor = 1;
    this.replayEnd = 0;
    this.coalesced = 0;
    this.held = null;
    this.metricsDueMs = 0;
    this.done.fill(0);
    for (let topic = 0; topic < TOPIC_COUNT; topic++) if (this.from[topic] !== NEVER) this.from[topic] = 1;
    this.say({ type: 'epoch', epoch: this.epoch, previous, sequence: 0 }, placeOf(this.epoch, 0));
  }

  // ------------------------------------------------------------------------------------------------ messages

  message(data: Buffer, form: MessageForm): void {
    if (this.closing) return;
    this.unansweredPings = 0;
    if (!this.mayStillSpeak()) return;
    const parsed = parseMessage(data, form);
    if (parsed.ok) this.answer(parsed.message);
    else this.refuse(parsed.reason);
    this.pump();
  }

  ping(data: Buffer): void {
    if (this.closing || !this.mayStillSpeak()) return;
    this.unansweredPings = 0;
    if (this.hasRoomForAnswers()) this.transport.pong(data);
  }

  alive(): void {
    this.unansweredPings = 0;
  }

  /** As if the client had said it, which it cannot. */
  begin(subscribe: Subscribe): void {
    this.subscribe(subscribe);
    this.pump();
  }

  private mayStillSpeak(): boolean {
    if (this.messages.take(this.nowMs())) return true;
    const detail = `At most ${this.limits.messagesPerSecond} messages a second are taken.`;
    this.say({ type: 'error', problem: problemDocument({ code: 'too-many-requests', detail }) });
    this.close(CLOSE.tooManyMessages);
    return false;
  }

  private answer(message: ClientMessage): void {
    switch (message.type) {
      case 'subscribe':
        this.subscribe(message);
        break;
      case 'unsubscribe':
        this.unsubscribe(message);
        break;
      case 'ping': {
        const { epoch, last, timeNs } = this.history;
        this.say({ type: 'pong', epoch, sequence: last, timeNs });
      }
    }
  }

  private refuse(reason: Reason): void {
    this.counters.badMessages++;
    this.say({ type: 'error', problem: problemDocument(reason) });
    if (!this.badMessages.take(this.nowMs())) this.close(CLOSE.badMessages);
  }

  private subscribe(asks: Subscribe): void {
    const { topics, everyMs, epoch, fromSequence } = asks;
    const { history } = this;
    // What the answer says is of the newest epoch, so the client hears of it first.
    if (this.epoch !== history.epoch) this.enterEpoch();
    const beyond = beyondNewest(history, asks);
    if (beyond !== null) {
      this.refuse(beyond);
      return;
    }
    const next = history.last + 1;
    const sameEpoch = epoch === undefined || epoch === history.epoch;
    this.everyMs = everyMs ?? DEFAULT_EVERY_MS;
    this.metricsDueMs = 0;
    let asked = next;
    if (!sameEpoch) asked = 1;
    else if (fromSequence !== undefined) asked = Math.max(1, fromSequence);
    const start = Math.max(asked, history.first);
    if (!sameEpoch || fromSequence !== undefined) this.rewind(topics, start);
    else this.join(topics, next);

    const goesOn = Math.min(...topics.map((topic) => Math.max(this.from[topicIndex(topic)]!, this.cursor)));
    const active = this.active();
    // Who resumes and hears no more than this has to ask for the same again.
    const place = sameEpoch && fromSequence === undefined ? placeOf(history.epoch, next - 1) : null;
    const answer = { epoch: history.epoch, topics, everyMs: this.everyMs, sequence: goesOn, active };
    this.say({ type: 'subscribed', ...answer }, place);
    if (!sameEpoch) {
      const gap = { type: 'gap', epoch, from: fromSequence ?? null, to: null, reason: 'other-epoch' } as const;
      this.say(gap, placeOf(history.epoch, 0));
    }
    if (start > asked) {
      const gap = { type: 'gap', epoch: history.epoch, from: asked, to: start - 1, reason: 'evicted' } as const;
      this.say(gap, placeOf(history.epoch, start - 1));
    }
  }

  /** Topics already subscribed to go on as they are. */
  private join(topics: readonly Topic[], next: number): void {
    for (const name of topics) {
      const topic = topicIndex(name);
      if (this.from[topic] !== NEVER) continue;
      this.from[topic] = next;
      this.done[topic] = this.history.recorded[topic]!;
    }
  }

  /** These topics start again at `start`; the others are not repeated. */
  private rewind(topics: readonly Topic[], start: number): void {
    const { history } = this;
    const before = history.recordedBefore(start);
    for (let topic = 0; topic < TOPIC_COUNT; topic++) {
      if (topics.includes(TOPICS[topic]!)) {
        this.from[topic] = start;
        this.done[topic] = before[topic]!;
      } else if (this.from[topic] !== NEVER) {
        this.from[topic] = Math.max(this.from[topic]!, this.cursor);
      }
    }
    if (topics.includes('metrics')) {
      this.held = null;
      this.coalesced = 0;
    }
    this.cursor = Math.min(this.cursor, start);
    this.replayEnd = history.last + 1;
  }

  private unsubscribe({ topics = this.active() }: Unsubscribe): void {
    for (const name of topics) this.from[topicIndex(name)] = NEVER;
    if (topics.includes('metrics')) {
      this.held = null;
      this.coalesced = 0;
    }
    this.say({ type: 'unsubscribed', topics, active: this.active() });
  }

  private active(): Topic[] {
    return TOPICS.filter((_, topic) => this.from[topic] !== NEVER);
  }

  private greet(): void {
    const { epoch, last } = this.history;
    const { limits } = this;
    this.say({
      type: 'hello',
      epoch,
      sequence: last,
      topics: TOPICS,
      limits: {
        historyFrames: limits.historyFrames,
        historyMs: limits.historyMs,
        historyBytes: limits.historyBytes,
        bufferedBytes: limits.bufferedBytes,
        stallMs: limits.stallMs,
        heartbeatMs: limits.heartbeatMs,
        messageBytes: limits.messageBytes,
        messagesPerSecond: limits.messagesPerSecond,
        messageBurst: limits.messageBurst,
        badMessagesPerMinute: limits.badMessagesPerMinute,
      },
    });
  }

  /** Answers are small; a client that asks and asks and never reads is cut. */
  private say(message: ServerMessage, place: string | null = null): void {
    if (this.closing) return;
    if (this.hasRoomForAnswers()) this.transport.say(message, place);
    else this.close(CLOSE.slowReader);
  }

  private hasRoomForAnswers(): boolean {
    const { bufferedBytes, frameBytes } = this.limits;
    return this.transport.waitingBytes() < bufferedBytes + frameBytes + ANSWERS_BYTES;
  }

  // ------------------------------------------------------------------------------------------------ life

  /** Looks after the connection; called now and then. */
  tend(nowMs: number): void {
    if (this.closing) return;
    if (this.full && nowMs - this.fullSinceMs >= this.limits.stallMs) {
      this.close(CLOSE.slowReader);
    } else if (nowMs >= this.nextPingMs) {
      this.beat(nowMs);
    }
  }

  private beat(nowMs: number): void {
    if (this.unansweredPings >= 2) {
      this.close(CLOSE.heartbeat);
      return;
    }
    this.nextPingMs = nowMs + this.limits.heartbeatMs;
    if (this.transport.beat()) this.unansweredPings++;
  }

  shutDown(): void {
    this.say({ type: 'shutdown', detail: 'The server is shutting down.' });
    this.close(CLOSE.goingAway);
  }

  close(cause: CloseCause): void {
    if (this.closing) return;
    this.closing = true;
    this.release();
    this.transport.close(cause);
  }

  gone(): void {
    this.closing = true;
    this.release();
    this.whenGone();
  }

  private release(): void {
    clearTimeout(this.heldTimer);
    this.held = null;
  }
}

/** Why nobody can go on from where a client asks to, or null. */
export function beyondNewest(history: History, { epoch, fromSequence }: Subscribe): Reason | null {
  const next = history.last + 1;
  const sameEpoch = epoch === undefined || epoch === history.epoch;
  if (fromSequence === undefined || fromSequence <= next || !sameEpoch) return null;
  const detail = `fromSequence is ${fromSequence}, but the next frame of the epoch is number ${next}`;
  return { code: 'invalid-message', detail, path: '/fromSequence' };
}
