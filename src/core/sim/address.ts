/**
 * Addresses. A 57-bit IOVA does not fit a double whole, so an address travels as a 4 KiB page number (below 2^52, exact) and a byte
 * offset below 4,096, and becomes hex text only at the edge. Bit operators see 32 bits: they are used here only where that is enough.
 */
import type { Address } from '../spec.ts';

export const PAGE_BYTES = 4096;
/** First page number of no simulated memory: physical addresses end at 2^52. */
export const PHYSICAL_PAGES = 2 ** 40;

const HEX = /^0x[0-9a-fA-F]{1,16}$/;

/** The page of the address parsed last. Fields instead of a result object: this runs once per operation of a stream. */
export const parsed = { page: 0, offset: 0 };

/**
 * Splits an address into `parsed.page` and `parsed.offset`.
 * @returns false when it is no address: neither hex of at most 64 bits nor a whole number up to 2^53 - 1
 */
export function parseAddress(address: Address): boolean {
  let value: number;
  if (typeof address === 'number') {
    value = address;
    if (!Number.isSafeInteger(value) || value < 0) return false;
  } else {
    if (!HEX.test(address)) return false;
    if (address.length > 15) {
      parsed.offset = Number.parseInt(address.slice(-3), 16);
      parsed.page = Number.parseInt(address.slice(2, -3), 16);
      return true;
    }
    value = Number.parseInt(address, 16);
  }
  const offset = value % PAGE_BYTES;
  parsed.offset = offset;
  parsed.page = (value - offset) / PAGE_BYTES;
  return true;
}

/** Lower-case, unpadded hex of an address: `0xfffff000`. */
export function formatAddress(page: number, offset: number): string {
  if (page < 2 ** 41) return `0x${(page * PAGE_BYTES + offset).toString(16)}`;
  return `0x${page.toString(16)}${offset.toString(16).padStart(3, '0')}`;
}

/** Low 27 bits of a page number: the table indexes of levels 1 to 3, nine bits each. Exact below 2^53. */
export function lowPageBits(page: number): number {
  return page & 0x7ffffff;
}

/** The rest, shifted down: the indexes of levels 4 and 5. `low` is `lowPageBits(page)`. */
export function highPageBits(page: number, low: number): number {
  return (page - low) / 0x8000000;
}

/** Smallest power of two that is at least `n`; n from 1 to 2^30. */
export function roundUpToPowerOfTwo(n: number): number {
  return n <= 1 ? 1 : 2 ** (32 - Math.clz32(n - 1));
}
