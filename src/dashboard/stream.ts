/**
 * Live frames of a session, for components:
 *
 *     const stream = useStream(session, {
 *       topics: ['metrics', 'faults'],
 *       everyMs: 100,
 *       onFrame(frame) { ... },        // type, timeNs, data
 *       onGap(gap, words) { ... },     // what is missing, and why
 *       onEpoch() { ... },             // the session was reset: forget what was drawn
 *     });
 *     stream.value                     // { state: 'connecting' | 'live' | 'waiting' | 'ended', detail }
 *
 * Cut off, it comes back where it was (`resume.ts`), at once when the browser is online or the page is looked at again. A page that
 * nobody looks at goes on reading, as the history of a session is short. What is read is spread over frames (`inbox.ts`).
 */
import { type Signal, signal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Session, Ticket } from '../api/contract-types.ts';
import { api, problemOf, root, sessionPath } from './api.ts';
import { worked } from './frames.ts';
import { type FrameClock, Inbox } from './inbox.ts';
import {
  delayMs,
  type EpochChange,
  endInWords,
  type Frame,
  type Gap,
  gapInWords,
  type Hello,
  isFinal,
  isFrame,
  type Message,
  messageOf,
  Resume,
  type Topic,
} from './resume.ts';
import { token } from './token.ts';

export interface StreamState {
  state: 'connecting' | 'live' | 'waiting' | 'ended';
  /** Why it waits or has ended; empty while all is well. */
  detail: string;
}

export interface StreamListener {
  topics: readonly Topic[];
  everyMs?: number;
  /** So many frames from before are wanted too, to have something to draw at once. */
  history?: number;
  onFrame(frame: Frame): void;
  onGap?(gap: Gap, words: string): void;
  onEpoch?(change: EpochChange): void;
}

const FRAMES: FrameClock = {
  next: (work) => requestAnimationFrame(work),
  isHidden: () => document.hidden,
  worked: () => worked(1),
};

export class SessionStream {
  readonly state: Signal<StreamState> = signal({ state: 'connecting', detail: '' });
  private readonly session: string;
  private readonly listener: StreamListener;
  private readonly resume = new Resume();
  private readonly inbox = new Inbox((text) => this.take(messageOf(text)), FRAMES);
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  /** Newest frame when this page came. */
  private firstSequence = 0;
  private greeted = false;
  private closed = false;

  constructor(session: string, listener: StreamListener) {
    this.session = session;
    this.listener = listener;
    window.addEventListener('online', this.hurry);
    document.addEventListener('visibilitychange', this.hurry);
    void this.open();
  }

  close(): void {
    this.closed = true;
    this.inbox.clear();
    clearTimeout(this.timer);
    window.removeEventListener('online', this.hurry);
    document.removeEventListener('visibilitychange', this.hurry);
    this.socket?.close();
  }

  /** Tries again now, also what has ended. */
  retry(): void {
    if (this.closed || this.socket !== null) return;
    clearTimeout(this.timer);
    this.attempt = 0;
    void this.open();
  }

  private readonly hurry = (): void => {
    if (document.hidden) this.inbox.drain();
    if (this.state.peek().state === 'waiting' && !document.hidden) this.retry();
  };

  private async open(): Promise<void> {
    this.state.value = { state: 'connecting', detail: '' };
    this.greeted = false;
    try {
      const socket = new WebSocket(await this.address(), 'iommu-lab.v1');
      if (this.closed) return socket.close();
      this.socket = socket;
      socket.onmessage = ({ data }) => this.inbox.push(data as string);
      socket.onclose = ({ code, reason }) => void this.ended(code, reason);
    } catch (error) {
      this.wait(problemOf(error).detail);
    }
  }

  /** A browser can set no header here: a ticket stands for the token, once. */
  private async address(): Promise<string> {
    const url = new URL(root + sessionPath(this.session, 'stream'));
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (token.peek() !== '') url.searchParams.set('ticket', (await api.post<Ticket>('/v1/ws-tickets')).ticket);
    return url.href;
  }

  private take(message: Message): void {
    if (message.type === 'hello') {
      this.greet(message as Hello);
      return;
    }
    this.resume.take(message);
    if (isFrame(message)) this.listener.onFrame(message);
    else if (message.type === 'epoch') this.listener.onEpoch?.(message as EpochChange);
    else if (message.type === 'gap') {
      const gap = message as Gap;
      // What was before this page came is no loss of its.
      if (gap.reason === 'evicted' && gap.to !== null && gap.to <= this.firstSequence) return;
      this.listener.onGap?.(gap, gapInWords(gap));
    }
  }

  private greet(hello: Hello): void {
    const { topics, everyMs = 100, history = 0 } = this.listener;
    if (this.resume.epoch === null) this.firstSequence = hello.sequence;
    this.greeted = true;
    this.attempt = 0;
    this.socket?.send(JSON.stringify(this.resume.subscribe(hello, topics, everyMs, history)));
    this.state.value = { state: 'live', detail: '' };
  }

  private async ended(code: number, reason: string): Promise<void> {
    this.socket = null;
    if (this.closed) return;
    this.inbox.drain();
    const words = endInWords(code, reason);
    if (isFinal(code)) return this.end(words);
    // A browser does not say why an upgrade was refused; a request for the same session does.
    if (!this.greeted) {
      try {
        await api.get<Session>(sessionPath(this.session));
      } catch (error) {
        const { status, detail } = problemOf(error);
        if (status >= 400 && status < 500 && status !== 429) return this.end(detail);
        return this.wait(detail);
      }
    }
    this.wait(words);
  }

  private wait(detail: string): void {
    if (this.closed) return;
    const inMs = delayMs(this.attempt++, Math.random());
    this.state.value = { state: 'waiting', detail };
    this.timer = setTimeout(() => void this.open(), inMs);
  }

  private end(detail: string): void {
    this.state.value = { state: 'ended', detail };
  }
}

/** One stream while the component is there; another session or list of topics is another stream. */
export function useStream(session: string, listener: StreamListener): Signal<StreamState> {
  const newest = useRef(listener);
  newest.current = listener;
  const state = useMemo(() => signal<StreamState>({ state: 'connecting', detail: '' }), []);
  const stream = useRef<SessionStream | null>(null);
  useEffect(() => {
    const made = new SessionStream(session, {
      topics: newest.current.topics,
      everyMs: newest.current.everyMs ?? 100,
      history: newest.current.history ?? 0,
      onFrame: (frame) => newest.current.onFrame(frame),
      onGap: (gap, words) => newest.current.onGap?.(gap, words),
      onEpoch: (change) => newest.current.onEpoch?.(change),
    });
    stream.current = made;
    const stop = made.state.subscribe((now) => {
      state.value = now;
    });
    return () => {
      stop();
      made.close();
    };
  }, [session, listener.topics.join(), listener.everyMs]);
  const known = useRef(token.peek());
  useSignalEffect(() => {
    if (token.value === known.current) return;
    known.current = token.value;
    stream.current?.retry();
  });
  return state;
}
