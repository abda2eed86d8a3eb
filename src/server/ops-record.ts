/** Replies of `ops` put on record under an `Idempotency-Key` as they come, also for a client that has gone. */
import type { IdempotencyKeys, KeyRecord } from './idempotency-keys.ts';

/** What a line on record takes beside its reply: a fingerprint and the objects around both. */
export const LINE_BYTES = 150;

/** A line that the host was sent. */
export interface SentLine {
  fingerprint: string;
  blank: boolean;
}

/** The reply line of the host, as far as it matters here. */
export interface ReplyLine {
  line: number;
  ok: boolean;
  result?: Record<string, unknown>;
  problem?: { status?: number };
}

/** Pairs reply lines with the lines they answer, and keeps both once one of them was applied. */
export class Recorder {
  private readonly keys: IdempotencyKeys;
  private readonly record: KeyRecord;
  private readonly sent: SentLine[];
  private readonly settled: () => void;
  private sentNext = 0;
  /** Answered, but not applied; on record only if a later one is. */
  private pending: KeyRecord['lines'] = [];
  private partial = '';
  private readonly decoder = new TextDecoder();

  constructor(keys: IdempotencyKeys, record: KeyRecord, sent: SentLine[], settled: () => void) {
    this.keys = keys;
    this.record = record;
    this.sent = sent;
    this.settled = settled;
  }

  take(bytes: Uint8Array): void {
    const lines = (this.partial + this.decoder.decode(bytes, { stream: true })).split('\n');
    this.partial = lines.pop() as string;
    for (const line of lines) this.answered(line);
  }

  /** @param cut the host's reply ended early: of lines without a reply nobody knows whether they were applied */
  end(cut: boolean): void {
    // The host's journal knows, once it can be asked again.
    if (cut && this.sentNext < this.sent.length && !this.record.dropped) this.keys.forget(this.record);
    this.settled();
  }

  private answered(reply: string): void {
    for (;;) {
      const line = this.sent[this.sentNext];
      if (line === undefined) throw new Error('the host answered a line that it was not sent');
      this.sentNext++;
      this.pending.push({ fingerprint: line.fingerprint, reply: line.blank ? null : `${reply}\n` });
      if (!line.blank) break;
    }
    if (this.sentNext > 4096) {
      this.sent.splice(0, this.sentNext);
      this.sentNext = 0;
    }
    const { ok, problem } = JSON.parse(reply) as ReplyLine;
    // 507: an expected failure of the simulated kernel, with every effect that it has there.
    if (!ok && problem?.status !== 507) return;
    const bytes = this.pending.reduce((sum, line) => sum + LINE_BYTES + (line.reply?.length ?? 0), 0);
    if (this.keys.reserve(this.record, bytes)) for (const line of this.pending) this.record.lines.push(line);
    this.pending = [];
  }
}

/** The host's replies on their way to the client, recorded as they pass; without a client they are only recorded. */
export class RecordedReplies implements AsyncIterableIterator<Uint8Array> {
  private readonly replies: AsyncIterator<Uint8Array>;
  private readonly recorder: Recorder;
  private ended = false;
  private reading: Promise<unknown> = Promise.resolve();
  private detached = false;

  constructor(replies: AsyncIterator<Uint8Array>, recorder: Recorder) {
    this.replies = replies;
    this.recorder = recorder;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.ended || this.detached) return { done: true, value: undefined };
    const reading = this.read();
    this.reading = reading.catch(() => {});
    return reading;
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    void this.detach();
    return { done: true, value: undefined };
  }

  /** The client has gone: takes the rest alone. */
  async detach(): Promise<void> {
    if (this.detached) return;
    this.detached = true;
    await this.reading;
    try {
      while (!this.ended) await this.read();
    } catch {
      // A cut reply; the recorder has heard of it.
    }
  }

  private async read(): Promise<IteratorResult<Uint8Array>> {
    try {
      const result = await this.replies.next();
      if (result.done) this.end(false);
      else this.recorder.take(result.value);
      return result;
    } catch (error) {
      this.end(true);
      throw error;
    }
  }

  private end(cut: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.recorder.end(cut);
  }
}
