/** Bytes of a line as numbers, and whether they are a word: no string is made. */

export function isSame(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (word.length !== end - start) return false;
  for (let i = 0; i < word.length; i++) if (word[i] !== bytes[start + i]) return false;
  return true;
}

/** @returns the number, below 2^53, or -1 */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  const digits = end - start;
  if (digits < 1 || digits > 16) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

/** @returns the number, below 2^31, or -1 */
export function small(bytes: Uint8Array, start: number, end: number): number {
  const value = decimal(bytes, start, end);
  return value < 2 ** 31 ? value : -1;
}
