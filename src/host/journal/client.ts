/** One end of a port to the journal's thread: writes that become durable in order, and reads. */
import type { MessagePort } from 'node:worker_threads';
import type { Answers, Ask, FromJournal, Sizes, ToJournal } from './protocol.ts';
import type { Change } from './rows.ts';

type Settle = (failure: string | null) => void;

export class JournalClient {
  private readonly port: MessagePort;
  private readonly sizes: (sizes: Sizes) => void;
  private lastTicket = 0;
  /** In the order of their tickets. */
  private readonly writes = new Map<number, Settle>();
  private lastCall = 0;
  private readonly reads = new Map<number, { resolve(answer: never): void; reject(error: Error): void }>();

  /** @param sizes told, before a write is settled, of which sessions more or less is kept; of a writer's port nothing is told here */
  constructor(port: MessagePort, sizes: (sizes: Sizes) => void = () => {}) {
    this.port = port;
    this.sizes = sizes;
    port.on('message', (message: FromJournal) => this.take(message));
    // A port that waits for nothing keeps nobody alive.
    port.unref();
  }

  /** Of a writer's port. @returns its ticket: the main thread is told when it is durable */
  send(changes: Change[]): number {
    const ticket = ++this.lastTicket;
    // Bodies are copied, not transferred: in a worker that would make every access to a column slower from then on, see decision 14.
    this.port.postMessage({ kind: 'write', ticket, changes } satisfies ToJournal);
    return ticket;
  }

  /** @returns why it is not durable, or null */
  write(changes: Change[]): Promise<string | null> {
    return new Promise((resolve) => {
      this.writes.set(this.send(changes), resolve);
      this.port.ref();
    });
  }

  /** Rejects when what is asked for is not as it was written. */
  read<A extends Ask>(ask: A): Promise<Answers[A['of']]> {
    const call = ++this.lastCall;
    return new Promise((resolve, reject) => {
      this.reads.set(call, { resolve, reject });
      this.port.ref();
      this.port.postMessage({ kind: 'read', call, ask } satisfies ToJournal);
    });
  }

  private take(message: FromJournal): void {
    if (message.kind === 'written') {
      const settle = this.writes.get(message.ticket)!;
      this.writes.delete(message.ticket);
      if (message.sizes.length > 0) this.sizes(message.sizes);
      settle(message.failure);
    } else {
      const read = this.reads.get(message.call)!;
      this.reads.delete(message.call);
      if (message.kind === 'answer') read.resolve(message.answer as never);
      else read.reject(new Error(message.reason));
    }
    if (this.writes.size === 0 && this.reads.size === 0) this.port.unref();
  }
}
