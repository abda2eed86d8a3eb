/**
 * Bytes in, lines out. Cuts at LF only at the end of a block, so that no UTF-8 sequence is ever cut, and decodes a whole block at
 * once; lines are then slices of one string. A line beyond the limit is dropped as it arrives, whatever its length, and reported.
 */
import { isUtf8 } from 'node:buffer';

/** Longest line in bytes, without its line end. */
export const LONGEST_LINE_BYTES = 64 * 1024;

/** What `next` found. */
export const NONE = 0;
export const LINE = 1;
export const TOO_LONG = 2;
export const NOT_UTF8 = 3;
export type Found = typeof NONE | typeof LINE | typeof TOO_LONG | typeof NOT_UTF8;

const LF = 0x0a;
const NO_BYTES = Buffer.alloc(0);

export class LineSplitter {
  /** The line that `next` found, when it answered LINE; a CR before the line end is still on it. */
  line = '';
  /** Whether any line of the block has an escape `\\u`, by which a value may begin with a character that cannot be seen. */
  escapes = false;
  /** Whole lines, decoded; `text[position]` begins the next one. */
  private text = '';
  private position = 0;
  /** False: `text` holds bytes as Latin-1, because some line of the block is not UTF-8. */
  private decoded = true;
  /** Bytes after the last LF seen. */
  private rest: Buffer = NO_BYTES;
  /** The line in `rest` is beyond the limit and its bytes were dropped. */
  private dropping = false;
  /** A line beyond the limit ends before `text` begins. */
  private droppedFirst = false;

  /** Takes the next block; only when `next` has answered NONE. The bytes are the splitter's from now on. */
  push(bytes: ArrayBuffer): void {
    const block = Buffer.from(bytes);
    const end = block.lastIndexOf(LF) + 1;
    if (end === 0) {
      this.keep(block);
      return;
    }
    let whole = block.subarray(0, end);
    if (this.dropping) {
      whole = whole.subarray(whole.indexOf(LF) + 1);
      this.droppedFirst = true;
      this.dropping = false;
    } else if (this.rest.length > 0) whole = Buffer.concat([this.rest, whole]);
    this.rest = NO_BYTES;
    this.decode(whole);
    if (end < block.length) this.keep(block.subarray(end));
  }

  /** The body has ended: what is left is the last line. Only when `next` has answered NONE. */
  end(): void {
    if (this.dropping) this.droppedFirst = true;
    else if (this.rest.length > 0) this.decode(Buffer.concat([this.rest, Buffer.of(LF)]));
    this.dropping = false;
    this.rest = NO_BYTES;
  }

  next(): Found {
    if (this.droppedFirst) {
      this.droppedFirst = false;
      return TOO_LONG;
    }
    const { text, position } = this;
    const end = text.indexOf('\n', position);
    if (end < 0) {
      this.text = '';
      this.position = 0;
      return NONE;
    }
    this.position = end + 1;
    const line = text.substring(position, end);
    if (!this.decoded) return this.redecode(line);
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (line.length > LONGEST_LINE_BYTES / 3 && Buffer.byteLength(line) > LONGEST_LINE_BYTES) return TOO_LONG;
    this.line = line;
    return LINE;
  }

  private keep(bytes: Buffer): void {
    if (this.dropping) return;
    if (this.rest.length + bytes.length > LONGEST_LINE_BYTES) {
      this.dropping = true;
      this.rest = NO_BYTES;
    } else this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, bytes]) : bytes;
  }

  private decode(whole: Buffer): void {
    this.decoded = isUtf8(whole);
    this.text = whole.toString(this.decoded ? 'utf8' : 'latin1');
    this.escapes = this.text.includes('\\u');
    this.position = 0;
  }

  private redecode(latin1: string): Found {
    if (latin1.length > LONGEST_LINE_BYTES) return TOO_LONG;
    const bytes = Buffer.from(latin1, 'latin1');
    if (!isUtf8(bytes)) return NOT_UTF8;
    this.line = bytes.toString('utf8');
    return LINE;
  }
}
