/**
 * The body of an `ops` request, held back to a rate of operations. Nothing is refused: bytes beyond the rate wait, and with them, by
 * TCP, the client.
 *
 * Operations are counted without parsing: in lines by their ends, in an array by its opening braces. An operation has at least one
 * of these, so the rate cannot be evaded; a line of blanks, or an object within an operation, counts as one too many.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rate } from './rates.ts';

const MARKS = { ndjson: '\n'.charCodeAt(0), array: '{'.charCodeAt(0) };
/** Between two looks at the bucket: pieces of a tenth of a second's operations, or of one. */
const SHORTEST_WAIT_MS = 100;

export async function* metered(
  body: AsyncIterable<Uint8Array>,
  format: keyof typeof MARKS,
  rate: Rate,
  nowMs: () => number,
): AsyncGenerator<Uint8Array> {
  const mark = MARKS[format];
  for await (const bytes of body) {
    let start = 0;
    let left = countOf(bytes, mark);
    while (left > 0) {
      const taken = rate.takeUpTo(left, nowMs());
      if (taken === 0) {
        await sleep(Math.max(SHORTEST_WAIT_MS, rate.waitMs(1, nowMs())));
        continue;
      }
      if (taken === left) break;
      const end = endOf(bytes, start, taken, mark);
      yield bytes.subarray(start, end);
      start = end;
      left -= taken;
    }
    if (start < bytes.length) yield bytes.subarray(start);
  }
}

function countOf(bytes: Uint8Array, mark: number): number {
  let count = 0;
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + 1)) count++;
  return count;
}

/** Behind the `count`-th mark from `start` on. */
function endOf(bytes: Uint8Array, start: number, count: number, mark: number): number {
  let end = start;
  for (let i = 0; i < count; i++) end = bytes.indexOf(mark, end) + 1;
  return end;
}
