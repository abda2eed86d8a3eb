/**
 * What a worker said, until the journal has what it says: the main thread holds it, since the worker may be computing when the disk is
 * done, and would pass it on a slice too late.
 */
import type { Batch } from './outbox.ts';
import { epochMs } from './tracing.ts';

export class Inbox<M> {
  private readonly take: (message: M) => void;
  private durable = 0;
  private closed = false;
  /** In order. */
  private readonly held: (Batch<M> & { sinceMs: number })[] = [];
  /** Of the message that is taken now: since when it has waited for the disk, milliseconds since 1970; null: it has not. */
  heldSinceMs: number | null = null;

  constructor(take: (message: M) => void) {
    this.take = take;
  }

  receive(batch: Batch<M>): void {
    if (this.closed) return;
    if (batch.seal > this.durable || this.held.length > 0) this.held.push({ ...batch, sinceMs: epochMs() });
    else this.pass(batch);
  }

  /** All seals up to this one are on the disk. */
  settled(seal: number): void {
    this.durable = seal;
    while (this.held.length > 0 && this.held[0]!.seal <= seal) {
      const batch = this.held.shift()!;
      this.heldSinceMs = batch.sinceMs;
      this.pass(batch);
    }
    this.heldSinceMs = null;
  }

  /** Nothing more is taken: of what is held, nobody may hear. */
  close(): void {
    this.closed = true;
    this.held.length = 0;
  }

  private pass({ messages }: Batch<M>): void {
    for (const message of messages) if (!this.closed) this.take(message);
  }
}
