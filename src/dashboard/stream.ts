/**
 * Where the stream of a session stands, and when to connect. What reads it is elsewhere (`live/worker.ts`), as that is no work for the
 * thread that draws the page:
 *
 *     const stream = useStream(session, reader);
 *     stream.value                     // { state: 'connecting' | 'live' | 'waiting' | 'ended', detail }
 *
 * Cut off, it comes back where it was (`resume.ts`), at once when the browser is online or the page is looked at again. A page that
 * nobody looks at goes on reading, as the history of a session is short.
 */
import { type Signal, signal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Session, Ticket } from '../api/contract-types.ts';
import { api, problemOf, root, sessionPath } from './api.ts';
import { delayMs, endInWords, isFinal } from './resume.ts';
import { token } from './token.ts';

export interface StreamState {
  state: 'connecting' | 'live' | 'waiting' | 'ended';
  /** Why it waits or has ended; empty while all is well. */
  detail: string;
}

/** Reads the frames and goes on where it was; knows no token. */
export interface StreamReader {
  listen(listener: StreamListener): void;
  open(address: string): void;
}

export interface StreamListener {
  greeted(): void;
  ended(code: number, reason: string): void;
  /** The reader itself: the next `open` begins with another. */
  failed(detail: string): void;
}

export class SessionStream implements StreamListener {
  readonly state: Signal<StreamState>;
  private readonly session: string;
  private readonly reader: StreamReader;
  private isOpen = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private failures = 0;
  private isGreeted = false;
  private isClosed = false;

  constructor(session: string, reader: StreamReader, state: Signal<StreamState>) {
    this.session = session;
    this.reader = reader;
    this.state = state;
    reader.listen(this);
    window.addEventListener('online', this.hurry);
    document.addEventListener('visibilitychange', this.hurry);
    void this.open();
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    window.removeEventListener('online', this.hurry);
    document.removeEventListener('visibilitychange', this.hurry);
  }

  /** Tries again now, also what has ended. */
  retry(): void {
    if (this.isClosed || this.isOpen) return;
    clearTimeout(this.timer);
    this.attempt = 0;
    void this.open();
  }

  greeted(): void {
    this.isGreeted = true;
    this.attempt = 0;
    this.state.value = { state: 'live', detail: '' };
  }

  async ended(code: number, reason: string): Promise<void> {
    this.isOpen = false;
    if (this.isClosed) return;
    const words = endInWords(code, reason);
    if (isFinal(code)) return this.end(words);
    // A browser does not say why an upgrade was refused; a request for the same session does.
    if (!this.isGreeted) {
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

  failed(detail: string): void {
    this.isOpen = false;
    // One that fails at each of its frames has been greeted each time.
    this.attempt = Math.max(this.attempt, this.failures++);
    this.wait(`What reads the stream has failed${detail === '' ? '' : `: ${detail}`}.`);
  }

  private readonly hurry = (): void => {
    if (this.state.peek().state === 'waiting' && !document.hidden) this.retry();
  };

  private async open(): Promise<void> {
    if (this.isOpen) return;
    this.isOpen = true;
    this.isGreeted = false;
    this.state.value = { state: 'connecting', detail: '' };
    try {
      const address = await this.address();
      if (!this.isClosed) this.reader.open(address);
    } catch (error) {
      this.isOpen = false;
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

  private wait(detail: string): void {
    if (this.isClosed || this.isOpen) return;
    const inMs = delayMs(this.attempt++, Math.random());
    this.state.value = { state: 'waiting', detail };
    this.timer = setTimeout(() => void this.open(), inMs);
  }

  private end(detail: string): void {
    this.state.value = { state: 'ended', detail };
  }
}

/** One stream while the component is there; of another session or reader it is another. */
export function useStream(session: string, reader: StreamReader): Signal<StreamState> {
  const state = useMemo(() => signal<StreamState>({ state: 'connecting', detail: '' }), []);
  const stream = useRef<SessionStream | null>(null);
  useEffect(() => {
    const made = new SessionStream(session, reader, state);
    stream.current = made;
    return () => made.close();
  }, [session, reader]);
  const known = useRef(token.peek());
  useSignalEffect(() => {
    if (token.value === known.current) return;
    known.current = token.value;
    stream.current?.retry();
  });
  return state;
}
