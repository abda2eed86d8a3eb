/**
 * The main thread's half of one `ops` request: the body goes to the worker in blocks, replies come back in blocks, and neither side
 * gets far ahead of the other.
 *
 *     body ── at most `inputBytes` not yet used up ──> worker ── at most `opsOutputBytes` not yet taken ──> client
 *
 * A client may therefore send everything before it reads, as long as the replies fit the second window. Nothing is parsed here.
 */
import type { HostProblem } from './host.ts';
import type { WorkerHandle } from './worker-handle.ts';

/** Bytes travel to the worker in blocks of at most this size, each decoded in one go. */
const INPUT_BLOCK = 128 * 1024;
/** The worker hears of bytes taken when it is worth a message. */
const TAKEN_BLOCK = 256 * 1024;
/** After `onError=stop` the rest of the body is read and thrown away, so that the client can finish and read its replies. */
const DISCARDED_BYTES = 64 * 1024 * 1024;

/** A reply that was cut short; the connection must be, too. */
export class OpsCut extends Error {
  readonly problem: HostProblem;

  constructor(problem: HostProblem) {
    super(problem.detail);
    this.name = 'OpsCut';
    this.problem = problem;
  }
}

export interface ExchangeSettings {
  stream: number;
  inputBytes: number;
  idleMs: number;
  aborted: SharedArrayBuffer;
  signal: AbortSignal | undefined;
  /** Both halves have ended. */
  closed(): void;
}

type Waiter = { resolve(result: IteratorResult<Uint8Array>): void; reject(error: Error): void };

export class OpsExchange implements AsyncIterableIterator<Uint8Array> {
  private readonly handle: WorkerHandle;
  private readonly settings: ExchangeSettings;
  private readonly blocks: Uint8Array[] = [];
  private waiter: Waiter | null = null;
  private replyEnded = false;
  private failure: OpsCut | null = null;
  private feeding = false;
  private body: AsyncIterator<Uint8Array> | null = null;
  /** Bytes sent to the worker and not yet used up. */
  private sentBytes = 0;
  private roomWaiter: (() => void) | null = null;
  private untoldBytes = 0;
  private lastActivityMs = performance.now();
  private readonly onAbort = (): void => this.cut({ code: 'aborted', detail: 'The client ended the request.' });

  constructor(handle: WorkerHandle, settings: ExchangeSettings) {
    this.handle = handle;
    this.settings = settings;
    settings.signal?.addEventListener('abort', this.onAbort);
    if (settings.signal?.aborted) this.onAbort();
  }

  // Towards the worker

  /** Sends the body on, line ends wherever they fall. Never throws: a body that breaks off cuts the reply. */
  async feed(body: AsyncIterable<Uint8Array>): Promise<void> {
    this.feeding = true;
    this.body = body[Symbol.asyncIterator]();
    let discardedBytes = 0;
    try {
      for (;;) {
        const { done, value } = await this.body.next();
        this.lastActivityMs = performance.now();
        if (done) break;
        if (this.replyEnded) {
          discardedBytes += value.byteLength;
          if (this.failure !== null || discardedBytes > DISCARDED_BYTES) {
            this.letGo();
            break;
          }
        } else await this.send(value);
      }
      if (!this.replyEnded) this.handle.note({ kind: 'ops-input', stream: this.settings.stream, bytes: null });
    } catch (error) {
      const detail = `The request body broke off: ${error instanceof Error ? error.message : String(error)}`;
      this.cut({ code: 'aborted', detail });
    }
    this.feeding = false;
    this.settleClosed();
  }

  private async send(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.byteLength && !this.replyEnded; offset += INPUT_BLOCK) {
      // A copy: the socket's buffer belongs to the HTTP parser, and only whole buffers can be transferred.
      const bytes = new Uint8Array(chunk.subarray(offset, offset + INPUT_BLOCK)).buffer;
      this.sentBytes += bytes.byteLength;
      this.handle.note({ kind: 'ops-input', stream: this.settings.stream, bytes }, bytes);
      while (this.sentBytes >= this.settings.inputBytes && !this.replyEnded) {
        await new Promise<void>((resolve) => {
          this.roomWaiter = resolve;
        });
      }
    }
  }

  credit(byteCount: number): void {
    this.lastActivityMs = performance.now();
    this.sentBytes -= byteCount;
    this.wakeFeed();
  }

  private wakeFeed(): void {
    const { roomWaiter } = this;
    this.roomWaiter = null;
    roomWaiter?.();
  }

  // From the worker

  output(block: Uint8Array): void {
    this.lastActivityMs = performance.now();
    if (this.replyEnded) return;
    if (this.waiter === null) this.blocks.push(block);
    else this.deliver(this.waiter, block);
  }

  /** @param problem why the reply is cut short, or null for a clean end */
  end(problem: HostProblem | null): void {
    if (this.replyEnded) return;
    this.replyEnded = true;
    if (problem !== null) this.failure = new OpsCut(problem);
    this.settings.signal?.removeEventListener('abort', this.onAbort);
    const { waiter } = this;
    this.waiter = null;
    if (waiter !== null) this.endFor(waiter);
    this.wakeFeed();
    this.settleClosed();
  }

  // Towards the client

  next(): Promise<IteratorResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const block = this.blocks.shift();
      if (block !== undefined) this.deliver(waiter, block);
      else if (this.replyEnded) this.endFor(waiter);
      else this.waiter = waiter;
    });
  }

  /** The client wants no more. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.onAbort();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private deliver(waiter: Waiter, block: Uint8Array): void {
    this.waiter = null;
    this.lastActivityMs = performance.now();
    this.untoldBytes += block.byteLength;
    if (this.untoldBytes >= TAKEN_BLOCK || this.blocks.length === 0) {
      this.handle.note({ kind: 'ops-taken', stream: this.settings.stream, byteCount: this.untoldBytes });
      this.untoldBytes = 0;
    }
    waiter.resolve({ done: false, value: block });
    this.settleClosed();
  }

  private endFor(waiter: Waiter): void {
    if (this.failure !== null) waiter.reject(this.failure);
    else waiter.resolve({ done: true, value: undefined });
  }

  // Ends

  /** Called now and then: a request in which nothing moves, in either direction, does not stay. */
  expire(nowMs: number): void {
    const { idleMs } = this.settings;
    if (nowMs - this.lastActivityMs < idleMs) return;
    const seconds = Math.round(idleMs / 1000);
    this.cut({ code: 'idle-timeout', detail: `Nothing was sent or taken for ${seconds} s.` });
    if (this.feeding) this.letGo();
  }

  /** Stops the worker after the line in progress and drops what the client has not taken. */
  private cut(problem: HostProblem): void {
    if (!this.replyEnded) {
      Atomics.store(new Int32Array(this.settings.aborted), 0, 1);
      this.handle.note({ kind: 'ops-abort', stream: this.settings.stream });
      this.blocks.length = 0;
      this.end(problem);
    } else if (this.blocks.length > 0 && problem.code === 'idle-timeout') {
      // The reply is complete, but its reader has gone to sleep over it.
      this.blocks.length = 0;
      this.failure ??= new OpsCut(problem);
    }
    this.settleClosed();
  }

  /** Reads no more of the body. */
  private letGo(): void {
    this.body?.return?.()?.catch(() => {});
    this.feeding = false;
    this.settleClosed();
  }

  private settleClosed(): void {
    if (this.replyEnded && !this.feeding && this.blocks.length === 0) this.settings.closed();
  }
}
