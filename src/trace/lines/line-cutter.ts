/**
 * Bytes in chunks of any size -> lines, as ranges of bytes: a line that lies within one chunk is handed on where it lies, one that is cut
 * by a chunk's end is put together in a buffer of the longest line. No string is made.
 *
 * A line ends with LF; a CR before it is not part of it; the last line needs no end; a byte order mark of UTF-8 is not part of the first. NUL and bytes that are no UTF-8 are bytes like any
 * other. Of a line longer than LONGEST_LINE nothing is kept: whoever takes the lines is told that there was one.
 */
import { Buffer } from 'node:buffer';

/**
 * The kernel prints a line into two pages at most; perf and our own block tables have no such bound. A `dma_map_sg` of 128 ranges, the
 * most that are traced, takes 8 KB.
 */
export const LONGEST_LINE = 65_536;

const LF = 10;
const CR = 13;

export interface LineTaker {
  /** The bytes from `start` to before `end`, valid until it returns. */
  line(bytes: Uint8Array, start: number, end: number): void;
  tooLong(): void;
}

export class LineCutter {
  private readonly taker: LineTaker;
  /** The beginning of a line whose end has not come. */
  private readonly held = new Uint8Array(LONGEST_LINE);
  private heldBytes = 0;
  /** Within a line that is too long. */
  private dropping = false;
  private isFirst = true;

  constructor(taker: LineTaker) {
    this.taker = taker;
  }

  /** Throws what the taker throws; no more may be written then. */
  write(chunk: Uint8Array): void {
    // Two views: a Buffer finds a byte in half the time of a Uint8Array, and readers that meet one hidden class alone stay monomorphic.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const searched = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    if (this.heldBytes > 0 || this.dropping) {
      const end = searched.indexOf(LF);
      if (end < 0) {
        this.hold(bytes, 0, bytes.length);
        return;
      }
      this.hold(bytes, 0, end);
      this.endHeld();
      start = end + 1;
    }
    for (let end = searched.indexOf(LF, start); end >= 0; end = searched.indexOf(LF, start)) {
      this.take(bytes, start, end);
      start = end + 1;
    }
    if (start < bytes.length) this.hold(bytes, start, bytes.length);
  }

  /** The last line, when nothing ends it. */
  end(): void {
    if (this.heldBytes > 0 || this.dropping) this.endHeld();
  }

  private take(bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    if (this.isFirst) {
      this.isFirst = false;
      const isMarked =
        end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
      if (isMarked) from += 3;
    }
    if (end - start > LONGEST_LINE) this.taker.tooLong();
    else this.taker.line(bytes, from, end > from && bytes[end - 1] === CR ? end - 1 : end);
  }

  private hold(bytes: Uint8Array, start: number, end: number): void {
    if (this.dropping) return;
    if (this.heldBytes + end - start > LONGEST_LINE) {
      this.dropping = true;
      this.heldBytes = 0;
      return;
    }
    this.held.set(bytes.subarray(start, end), this.heldBytes);
    this.heldBytes += end - start;
  }

  private endHeld(): void {
    const { heldBytes, dropping } = this;
    this.heldBytes = 0;
    this.dropping = false;
    if (dropping) {
      this.isFirst = false;
      this.taker.tooLong();
    } else this.take(this.held, 0, heldBytes);
  }
}
