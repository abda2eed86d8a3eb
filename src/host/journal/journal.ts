/**
 * The journal as the main thread sees it: opened before anything else, it tells which sessions there are, gives each session worker a
 * port of its own, and says when the disk cannot be written.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { JournalClient } from './client.ts';
import { JournalError } from './journal-error.ts';
import type { Answers, Ask, FromThread, JournalSettings, Sizes, ToThread } from './protocol.ts';
import type { Change, StoredSession, Sync } from './rows.ts';

const THREAD_URL = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);
/** How often a disk that could not be written is tried again. */
const PROBE_MS = 1000;
/** A disk with less room than this would be full again at once. */
const PROBE_BYTES = 1 << 18;

/** Of a writer's tickets, in order: null when the disk has it, else why it does not. */
export type Settled = (ticket: number, failure: string | null) => void;

export interface JournalEvents {
  /** Nothing can be written, for this reason; null: it can be again. */
  trouble(reason: string | null): void;
  /** Of these sessions more or less is kept now. */
  sizes(sizes: Sizes): void;
  /** The thread ended by itself, which only a bug of ours makes it do. */
  died(error: Error): void;
}

export class Journal {
  readonly sessions: StoredSession[];
  readonly warnings: string[];
  private readonly thread: Worker;
  private readonly events: JournalEvents;
  private readonly client: JournalClient;
  private lastWriter = 0;
  private readonly writers = new Map<number, Settled>();
  private troubled: NodeJS.Timeout | null = null;
  private closing = false;

  /** @throws JournalError when the file cannot be used */
  static async open(path: string, sync: Sync, events: JournalEvents): Promise<Journal> {
    const thread = new Worker(THREAD_URL, {
      name: 'journal',
      workerData: { path, sync } satisfies JournalSettings,
      execArgv: [],
    });
    const first = await new Promise<FromThread>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
    });
    if (first.kind === 'open') return new Journal(thread, first, events);
    await thread.terminate();
    throw new JournalError(first.kind === 'refused' ? first.reason : 'the journal did not open');
  }

  private constructor(thread: Worker, opened: FromThread & { kind: 'open' }, events: JournalEvents) {
    this.thread = thread;
    this.sessions = opened.sessions;
    this.warnings = opened.warnings;
    this.events = events;
    thread.on('message', (message: FromThread) => {
      if (message.kind === 'settled') this.settle(message);
    });
    thread.on('error', (error) => events.died(error));
    thread.on('exit', (code) => {
      if (!this.closing) events.died(new Error(`the journal's thread exited with code ${code}`));
    });
    this.client = new JournalClient(this.portFor(null), (sizes) => events.sizes(sizes));
  }

  private portFor(writer: number | null): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.thread.postMessage({ kind: 'port', port: port1, writer } satisfies ToThread, [port1]);
    return port2;
  }

  /** A port for one more writer, in another thread. @param settled told of each of its writes, here */
  port(settled: Settled): MessagePort {
    const writer = ++this.lastWriter;
    this.writers.set(writer, settled);
    return this.portFor(writer);
  }

  private settle({ writer, ticket, failure, sizes }: FromThread & { kind: 'settled' }): void {
    const settled = this.writers.get(writer);
    if (sizes.length > 0) this.events.sizes(sizes);
    // It is told of one failure, which is its end.
    if (failure !== null) {
      this.writers.delete(writer);
      this.noteTrouble(failure);
    }
    settled?.(ticket, failure);
  }

  /** All of it or nothing. @returns why it is not durable, or null */
  async write(...changes: Change[]): Promise<string | null> {
    const failure = await this.client.write(changes);
    if (failure !== null) this.noteTrouble(failure);
    return failure;
  }

  read<A extends Ask>(ask: A): Promise<Answers[A['of']]> {
    return this.client.read(ask);
  }

  /** Until something could be written, nothing more should be asked. */
  private noteTrouble(reason: string): void {
    if (this.troubled !== null || this.closing) return;
    this.events.trouble(reason);
    this.troubled = setTimeout(() => void this.probe(), PROBE_MS);
  }

  private async probe(): Promise<void> {
    const failure =
      (await this.client.write([{ do: 'probe', bytes: PROBE_BYTES }])) ??
      (await this.client.write([{ do: 'probe', bytes: 0 }]));
    this.troubled = null;
    if (failure !== null) this.noteTrouble(failure);
    else this.events.trouble(null);
  }

  /** After all that was asked before. */
  async close(): Promise<void> {
    this.closing = true;
    if (this.troubled !== null) clearTimeout(this.troubled);
    await new Promise<void>((resolve) => {
      this.thread.on('message', (message: FromThread) => {
        if (message.kind === 'closed') resolve();
      });
      this.thread.once('exit', () => resolve());
      this.thread.postMessage({ kind: 'close' } satisfies ToThread);
    });
    await this.thread.terminate();
  }
}
