/** Payloads that have no keys: words between blanks, numbers in them. One reader, moved along. */

const SPACE = 0x20;

export class Words {
  bytes: Uint8Array = new Uint8Array(0);
  /** Of the word in progress. */
  start = 0;
  end = 0;
  private limit = 0;
  /** Of the number last read: bits 63 to 32 and 31 to 0. */
  high = 0;
  low = 0;

  open(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = start;
    this.limit = end;
  }

  /** Goes to the next word. @returns whether there is one */
  next(): boolean {
    const { bytes, limit } = this;
    let at = this.end;
    while (at < limit && bytes[at] === SPACE) at++;
    this.start = at;
    while (at < limit && bytes[at] !== SPACE) at++;
    this.end = at;
    return at > this.start;
  }

  is(word: Uint8Array): boolean {
    return this.spans(this.start, this.end, word);
  }

  spans(start: number, end: number, word: Uint8Array): boolean {
    if (word.length !== end - start) return false;
    for (let i = 0; i < word.length; i++) if (word[i] !== this.bytes[start + i]) return false;
    return true;
  }

  /** @returns the place of a byte in the word, or -1 */
  find(byte: number): number {
    for (let i = this.start; i < this.end; i++) if (this.bytes[i] === byte) return i;
    return -1;
  }

  /** Hexadecimal, with `0x` or without, at most 64 bits, to `high` and `low`. @returns whether it is one */
  hex(start = this.start, end = this.end): boolean {
    const { bytes } = this;
    let at = start;
    if (end - at > 2 && bytes[at] === 0x30 && bytes[at + 1] === 0x78) at += 2;
    if (end - at < 1 || end - at > 16) return false;
    let high = 0;
    let low = 0;
    const lowStart = Math.max(at, end - 8);
    for (; at < end; at++) {
      const byte = bytes[at]!;
      const digit =
        byte >= 0x30 && byte <= 0x39
          ? byte - 0x30
          : (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66
            ? (byte | 0x20) - 0x57
            : -1;
      if (digit < 0) return false;
      if (at < lowStart) high = high * 16 + digit;
      else low = low * 16 + digit;
    }
    this.high = high;
    this.low = low;
    return true;
  }
}
