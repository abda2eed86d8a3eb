/**
 * Binary files in chunks of any size: so many bytes are wanted, put together, handed on; so many are passed over. Nothing is kept but
 * what is wanted.
 */

export interface ByteTaker {
  /** The bytes that were wanted, valid until it returns. */
  take(bytes: Uint8Array): void;
}

export class ByteFeed {
  private readonly taker: ByteTaker;
  private readonly held: Uint8Array;
  private heldBytes = 0;
  private wanted = 0;
  private passing = 0;
  /** In the file, of the bytes that were handed on last. */
  offset = 0;
  /** Bytes that have come. */
  private seen = 0;
  isClosed = false;

  /** @param most bytes that are wanted at a time */
  constructor(taker: ByteTaker, most: number) {
    this.taker = taker;
    this.held = new Uint8Array(most);
  }

  /** From inside `take`, or before the first chunk: what is next. */
  want(bytes: number): void {
    this.wanted = bytes;
  }

  /** What comes before that is passed over. */
  pass(bytes: number): void {
    this.passing += bytes;
  }

  /** Nothing more is read. */
  close(): void {
    this.isClosed = true;
  }

  /** Whether the bytes wanted have begun, or those to be passed over are not there yet. */
  get isWithin(): boolean {
    return !this.isClosed && (this.heldBytes > 0 || this.passing > 0);
  }

  write(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.isClosed) {
      if (this.passing > 0) {
        const passed = Math.min(this.passing, chunk.length - at);
        this.passing -= passed;
        at += passed;
        continue;
      }
      const taken = Math.min(this.wanted - this.heldBytes, chunk.length - at);
      this.held.set(chunk.subarray(at, at + taken), this.heldBytes);
      this.heldBytes += taken;
      at += taken;
      if (this.heldBytes < this.wanted) continue;
      this.heldBytes = 0;
      this.offset = this.seen + at - this.wanted;
      this.taker.take(this.held.subarray(0, this.wanted));
    }
    this.seen += chunk.length;
  }

  /** Bytes that have come in all. */
  get length(): number {
    return this.seen;
  }
}
