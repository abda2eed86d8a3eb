/** What is known of the end of a session's entries, and the sums by which a row that was changed is found. */
import { crc32 } from 'node:zlib';

/**
 * Where the entries of a session begin and end, the sum that the last one's chain has, and bytes of all that is kept of it. A blob
 * counts for each that refers to it: what one session shares with another is not known to either.
 */
export interface Head {
  base: number;
  last: number;
  chain: number;
  bytes: number;
}

export interface HeadRow extends Head {
  session: number;
  sum: number;
}

export function headText({ base, last, chain, bytes }: Head): string {
  return `${base} ${last} ${chain} ${bytes}`;
}

export function sumOf(number: number, text: string): number {
  return crc32(`${number} ${text}`);
}
