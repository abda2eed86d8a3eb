/**
 * Collects messages and posts them as one array at the end of the event loop's turn. Under load one wake-up of the other thread
 * then serves many requests: 9 us a call with 8 in flight against 56 us alone (Node 24, 2 cores).
 */
import type { Transferable } from 'node:worker_threads';

/** The part of `MessagePort` and `Worker` that is used. */
export interface Poster {
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

/** What must be durable before anyone is told of it. */
export interface Sealed {
  readonly pending: boolean;
  /** @param settle null once all that was pending is durable, else why it is not */
  seal(settle: (failure: string | null) => void): void;
}

interface Batch<M> {
  messages: M[];
  transfer: ArrayBuffer[];
}

export class Outbox<M> {
  private readonly port: Poster;
  private readonly journal: Sealed | null;
  private readonly failed: (reason: string) => void;
  private messages: M[] = [];
  private transfer: ArrayBuffer[] = [];
  private armed = false;
  /** Of the journal: sealed so far, and durable so far. */
  private sealed = 0;
  private durable = 0;
  /** Collected and held, with the seal that each waits for; in order. */
  private readonly held: (Batch<M> & { seal: number })[] = [];
  private readonly post = (): void => this.flush();

  /**
   * @param journal holds each batch until what was pending when it was collected is durable
   * @param failed told when it cannot be made so; what is held is never posted then
   */
  constructor(port: Poster, journal: Sealed | null = null, failed: (reason: string) => void = () => {}) {
    this.port = port;
    this.journal = journal;
    this.failed = failed;
  }

  push(message: M, bytes?: ArrayBuffer): void {
    this.messages.push(message);
    if (bytes !== undefined) this.transfer.push(bytes);
    this.arm();
  }

  /** Flushes at the end of the turn. */
  arm(): void {
    if (this.armed) return;
    this.armed = true;
    setImmediate(this.post);
  }

  /** Posts at once what was collected; for the end of a turn whose length the caller knows. */
  flush(): void {
    this.armed = false;
    if (this.journal?.pending === true) {
      const seal = ++this.sealed;
      this.journal.seal((failure) => this.written(seal, failure));
    }
    if (this.messages.length === 0) return;
    const { messages, transfer } = this;
    this.messages = [];
    this.transfer = [];
    if (this.durable === this.sealed) this.port.postMessage(messages, transfer);
    else this.held.push({ messages, transfer, seal: this.sealed });
  }

  private written(seal: number, failure: string | null): void {
    if (failure !== null) {
      this.held.length = 0;
      this.failed(failure);
      return;
    }
    this.durable = seal;
    let ready = 0;
    while (ready < this.held.length && this.held[ready]!.seal <= seal) ready++;
    for (const { messages, transfer } of this.held.splice(0, ready)) this.port.postMessage(messages, transfer);
  }
}
