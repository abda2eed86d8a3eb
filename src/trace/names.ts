/**
 * Names as they stand in lines -> small numbers, without making a string of a name that is known: an open hash table over copies of
 * their bytes. Bounded in number and length, so that no recording makes it grow.
 */

/** The name is not there. */
export const UNKNOWN = -1;

export class NameTable {
  private readonly most: number;
  /** [slot]: 1 + index of the name, 0 when empty; twice as many slots as names. */
  private readonly slots: Int32Array;
  private readonly mask: number;
  /** [index]. */
  private readonly copies: Uint8Array[] = [];
  /** The one that was found last: it is most often asked for again. */
  private latest = UNKNOWN;
  readonly names: string[] = [];

  constructor(most: number, names: readonly string[] = []) {
    this.most = most;
    const size = 2 ** Math.ceil(Math.log2(most * 2));
    this.slots = new Int32Array(size);
    this.mask = size - 1;
    const encoder = new TextEncoder();
    for (const name of names) {
      const bytes = encoder.encode(name);
      this.add(bytes, 0, bytes.length);
    }
  }

  get isFull(): boolean {
    return this.names.length >= this.most;
  }

  /** @returns the index of the name, or UNKNOWN */
  find(bytes: Uint8Array, start: number, end: number): number {
    const { slots, mask, latest } = this;
    if (latest >= 0 && isSame(this.copies[latest]!, bytes, start, end)) return latest;
    for (let slot = hashOf(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
      const index = slots[slot]! - 1;
      if (index < 0) return UNKNOWN;
      if (isSame(this.copies[index]!, bytes, start, end)) {
        this.latest = index;
        return index;
      }
    }
  }

  /** Of a name that is not there, in a table that is not full. @returns its index */
  add(bytes: Uint8Array, start: number, end: number): number {
    const { slots, mask } = this;
    let slot = hashOf(bytes, start, end) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    this.copies.push(bytes.slice(start, end));
    this.names.push(textOf(bytes, start, end));
    slots[slot] = this.names.length;
    return this.names.length - 1;
  }
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
  return (hash ^ (hash >>> 15)) >>> 1;
}

function isSame(copy: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (copy.length !== end - start) return false;
  for (let i = 0; i < copy.length; i++) if (copy[i] !== bytes[start + i]) return false;
  return true;
}

const DECODER = new TextDecoder('utf-8');

/** Bytes that are no UTF-8 become U+FFFD. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return DECODER.decode(bytes.subarray(start, end));
}
