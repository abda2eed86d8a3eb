/** The body of an `ops` request as whole lines: what stands between its bytes and the memory of what was done with each line. */

const LINE_END = 10;
/** Twice what a line may have; of a longer one no more is kept, as it will be refused anyhow. */
const KEPT_OF_LINE = 131_072;

export class RequestLines {
  private readonly body: AsyncIterator<Uint8Array>;
  private readonly idleMs: number;
  /** What follows the last line end, in the order of arrival. */
  private partial: Uint8Array[] = [];
  private partialBytes = 0;
  private ready: Uint8Array[] = [];
  private readyNext = 0;
  private ended = false;

  /** @param idleMs after so long without a byte the body counts as broken off */
  constructor(body: AsyncIterable<Uint8Array>, idleMs: number) {
    this.body = body[Symbol.asyncIterator]();
    this.idleMs = idleMs;
  }

  /** The next line, its line end included; null after the last. */
  async next(): Promise<Uint8Array | null> {
    while (this.readyNext === this.ready.length) {
      if (this.ended) return null;
      await this.more();
    }
    return this.ready[this.readyNext++] as Uint8Array;
  }

  /** All lines that have arrived, at least one; null after the last. */
  async nextBlock(): Promise<Uint8Array[] | null> {
    const first = await this.next();
    if (first === null) return null;
    const block = [first, ...this.ready.slice(this.readyNext)];
    this.readyNext = this.ready.length;
    return block;
  }

  /** Reads no more. */
  letGo(): void {
    this.ended = true;
    this.body.return?.().catch(() => {});
  }

  private async more(): Promise<void> {
    this.ready = [];
    this.readyNext = 0;
    let arrived: IteratorResult<Uint8Array>;
    try {
      arrived = await this.nextBytes();
    } catch {
      // It broke off: a last line without its end may be half of one, and is left out.
      this.ended = true;
      return;
    }
    if (arrived.done) {
      this.ended = true;
      if (this.partialBytes > 0) this.ready.push(this.takePartial());
      return;
    }
    const bytes = arrived.value;
    let start = 0;
    for (let end = bytes.indexOf(LINE_END); end !== -1; end = bytes.indexOf(LINE_END, start)) {
      this.keep(bytes.subarray(start, end + 1), true);
      this.ready.push(this.takePartial());
      start = end + 1;
    }
    // A copy, as the bytes of a socket are overwritten by the next ones.
    if (start < bytes.length) this.keep(bytes.slice(start), false);
  }

  private async nextBytes(): Promise<IteratorResult<Uint8Array>> {
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('idle')), this.idleMs);
    });
    try {
      return await Promise.race([this.body.next(), idle]);
    } finally {
      clearTimeout(timer);
    }
  }

  private keep(piece: Uint8Array, last: boolean): void {
    // The line end is kept whatever the length, so that no two lines become one.
    const kept = this.partialBytes < KEPT_OF_LINE ? piece : last ? piece.subarray(piece.length - 1) : null;
    if (kept === null) return;
    this.partial.push(kept);
    this.partialBytes += kept.length;
  }

  private takePartial(): Uint8Array {
    const line = this.partial.length === 1 ? (this.partial[0] as Uint8Array) : Buffer.concat(this.partial);
    this.partial = [];
    this.partialBytes = 0;
    return line;
  }
}

/** As the host counts: spaces, tabs and line ends are no operation. */
export function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 32 || byte === 9 || byte === 13 || byte === LINE_END);
}
