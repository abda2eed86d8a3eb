/**
 * Spans on their way out: a queue with a bound, sent in batches, one at a time. What the collector does not take is dropped and counted; a
 * collector that is away costs one line in the log, another when it is back, and no request waits for it.
 */
import type { Logger } from 'pino';
import type { SpanFigures } from './telemetry-port.ts';

export interface QueueBounds {
  /** Spans that wait at most. */
  spans: number;
  batch: number;
  everyMs: number;
  /** For the last ones, when the server ends. */
  closeMs: number;
}

export const QUEUE_BOUNDS: QueueBounds = { spans: 4096, batch: 512, everyMs: 1000, closeMs: 2000 };

/** @throws or rejects when the collector did not take them */
export type Send<Item> = (items: Item[]) => Promise<void>;

export class TelemetryQueue<Item> {
  private readonly send: Send<Item>;
  private readonly logger: Pick<Logger, 'info' | 'warn'>;
  private readonly bounds: QueueBounds;
  private waiting: Item[] = [];
  private sending: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private away = false;
  private closed = false;
  private exported = 0;
  private dropped = 0;
  private failures = 0;

  constructor(send: Send<Item>, logger: Pick<Logger, 'info' | 'warn'>, bounds: QueueBounds = QUEUE_BOUNDS) {
    this.send = send;
    this.logger = logger;
    this.bounds = bounds;
  }

  push(item: Item): void {
    const { spans, batch, everyMs } = this.bounds;
    if (this.closed || this.waiting.length >= spans) {
      this.dropped++;
      return;
    }
    this.waiting.push(item);
    if (this.waiting.length >= batch) void this.flush();
    else this.timer ??= setTimeout(() => void this.flush(), everyMs).unref();
  }

  /** Sends what waits now; what comes meanwhile waits for the next turn. */
  flush(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.sending ??= this.drain().finally(() => {
      this.sending = null;
      if (this.waiting.length > 0 && !this.closed)
        this.timer ??= setTimeout(() => void this.flush(), this.bounds.everyMs).unref();
    });
    return this.sending;
  }

  private async drain(): Promise<void> {
    for (let left = Math.ceil(this.waiting.length / this.bounds.batch); left > 0; left--) {
      const items = this.waiting.splice(0, this.bounds.batch);
      try {
        await this.send(items);
        this.exported += items.length;
        if (this.away) this.logger.info({}, 'the collector takes traces again');
        this.away = false;
      } catch (error) {
        this.failures++;
        this.dropped += items.length;
        if (!this.away)
          this.logger.warn({ err: error }, 'the collector does not take traces; they are dropped until it does');
        this.away = true;
      }
    }
  }

  figures(): SpanFigures {
    const { exported, dropped, failures, waiting } = this;
    return { exported, dropped, failures, queued: waiting.length };
  }

  /** Takes no more, and sends what waits, if that takes no longer than it may. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, this.bounds.closeMs);
    });
    // What is on its way, then the rest.
    await Promise.race([(this.sending ?? Promise.resolve()).then(() => this.flush()), late]);
    clearTimeout(limit);
    this.dropped += this.waiting.length;
    this.waiting = [];
  }
}
