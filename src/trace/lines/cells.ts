/** A line of a table into its cells, and numbers out of cells, without a string for each. */

export const MOST_CELLS = 256;

const SPACE = 0x20;
const QUOTE = 0x22;
const ZERO = 0x30;

/** A moment or a length of time, read by `Cells.time`. */
export interface ReadTime {
  seconds: number;
  nanoseconds: number;
}

export class Cells {
  count = 0;
  /** [cell]: without blanks and quotes around it. */
  readonly start = new Int32Array(MOST_CELLS);
  readonly end = new Int32Array(MOST_CELLS);
  bytes: Uint8Array = new Uint8Array(0);

  /** Cells beyond MOST_CELLS are left out. */
  cut(bytes: Uint8Array, start: number, end: number, delimiter: number): void {
    this.bytes = bytes;
    this.count = 0;
    let at = start;
    for (;;) {
      // Several blanks are one where blanks are between.
      if (delimiter === SPACE) while (at < end && bytes[at] === SPACE) at++;
      let cellEnd = at;
      while (cellEnd < end && bytes[cellEnd] !== delimiter) cellEnd++;
      if (this.count === MOST_CELLS) return;
      this.trim(at, cellEnd);
      if (cellEnd >= end) return;
      at = cellEnd + 1;
    }
  }

  private trim(from: number, to: number): void {
    const { bytes } = this;
    let start = from;
    let end = to;
    while (start < end && bytes[start] === SPACE) start++;
    while (end > start && bytes[end - 1] === SPACE) end--;
    if (end - start >= 2 && bytes[start] === QUOTE && bytes[end - 1] === QUOTE) {
      start++;
      end--;
    }
    this.start[this.count] = start;
    this.end[this.count] = end;
    this.count++;
  }

  /** @returns a whole number below 2^53, or -1 */
  whole(cell: number): number {
    const { bytes } = this;
    const start = this.start[cell]!;
    const end = this.end[cell]!;
    if (end === start || end - start > 16) return -1;
    let value = 0;
    for (let i = start; i < end; i++) {
      const digit = bytes[i]! - ZERO;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value <= Number.MAX_SAFE_INTEGER ? value : -1;
  }

  /**
   * Exact whatever its size: the digits below a second are told by their place. What is below a nanosecond is dropped.
   *
   * @param digits of the whole part that are below a second: 0 for seconds, 7 for units of 100 ns
   * @returns whether it is a time, in `into` then
   */
  time(cell: number, digits: number, into: ReadTime): boolean {
    const { bytes } = this;
    const start = this.start[cell]!;
    const end = this.end[cell]!;
    let dot = start;
    while (dot < end && bytes[dot] !== 0x2e) dot++;
    if (dot === start) return false;
    const secondsEnd = Math.max(start, dot - digits);
    if (secondsEnd - start > 15) return false;
    let seconds = 0;
    for (let i = start; i < secondsEnd; i++) {
      const digit = bytes[i]! - ZERO;
      if (digit < 0 || digit > 9) return false;
      seconds = seconds * 10 + digit;
    }
    // With fewer digits than that, those which are missing are zeros in front.
    let place = 10 ** (8 - (digits - (dot - secondsEnd)));
    let nanoseconds = 0;
    for (let i = secondsEnd; i < end; i++) {
      if (i === dot) continue;
      const digit = bytes[i]! - ZERO;
      if (digit < 0 || digit > 9) return false;
      if (place >= 1) nanoseconds += digit * place;
      place = place >= 1 ? place / 10 : 0;
    }
    if (dot + 1 === end) return false;
    into.seconds = seconds;
    into.nanoseconds = Math.floor(nanoseconds);
    return true;
  }
}
