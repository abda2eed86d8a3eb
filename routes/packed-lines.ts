/**
 * `ops` whose body comes in gzip and turns out to be too large, or no gzip, in the middle. By then lines have been applied and
 * answered, perhaps. What is on record stands, so the host gets the whole lines that came before and then the end of the body, not an
 * error, for which it would throw away the answers; and behind these one more line says why there are no others:
 *
 *     {"line":1,"op":"map","ok":true,...}
 *     {"line":2,"op":null,"ok":false,"problem":{"status":413,"code":"body-too-large",...}}
 *
 * Where nothing has been answered yet, the request itself is 413.
 */

import { LIMITS } from '../src/api/limits.ts';
import { type ProblemError, problemDocument } from '../src/api/problem.ts';
import type { OpsOptions } from '../src/host/host.ts';
import type { UnpackedBody } from './packed-bodies.ts';

const LINE_END = 10;
/** More of a line than it may have: to be refused, so it need not be whole. */
const KEPT_OF_LINE = 2 * LIMITS.opsLineBytes;

type Bytes = AsyncIterable<Uint8Array>;

export class PackedLines {
  private readonly body: UnpackedBody;
  private readonly options: OpsOptions;
  private lines = 0;

  constructor(body: UnpackedBody, options: OpsOptions) {
    this.body = body;
    this.options = options;
  }

  /** The body for the host. An array that is not whole is nothing: there the error goes on. */
  requests(): Bytes {
    const bytes = this.body.iterator({ destroyOnReturn: false }) as Bytes;
    return this.options.format === 'array' ? bytes : this.wholeLines(bytes);
  }

  private async *wholeLines(body: Bytes): AsyncGenerator<Uint8Array> {
    let held: Uint8Array[] = [];
    let heldBytes = 0;
    try {
      for await (const bytes of body) {
        const end = bytes.lastIndexOf(LINE_END) + 1;
        if (end > 0) {
          held.push(bytes.subarray(0, end));
          this.lines += countOf(bytes);
          yield* held;
          held = [];
          heldBytes = 0;
        }
        if (heldBytes < KEPT_OF_LINE) held.push(bytes.subarray(end));
        heldBytes += bytes.length - end;
      }
    } catch (error) {
      // Half a line might be read as another one.
      if (this.body.failure === null) throw error;
      return;
    }
    yield* held;
  }

  /** Answers of the host, the first of them awaited: until then there is a status to give. @throws ProblemError */
  async replies(answers: Bytes): Promise<Bytes> {
    const iterator = answers[Symbol.asyncIterator]();
    let first: IteratorResult<Uint8Array>;
    try {
      first = await iterator.next();
    } catch (error) {
      throw this.body.failure ?? error;
    }
    if (first.done && this.body.failure !== null) throw this.body.failure;
    return this.andWhyNoMore(first, iterator);
  }

  private async *andWhyNoMore(
    first: IteratorResult<Uint8Array>,
    iterator: AsyncIterator<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    let ended = false;
    let last: Uint8Array[] = [];
    try {
      for (let next = first; !next.done; next = await iterator.next()) {
        last = lastLine(last, next.value);
        yield next.value;
      }
      ended = true;
    } finally {
      if (!ended) await iterator.return?.();
    }
    const { failure } = this.body;
    // Where a line was refused and that is the end, the rest of the body does not matter.
    if (failure !== null && !(this.options.onError === 'stop' && isRefusal(last))) yield this.problemLine(failure);
  }

  private problemLine({ reason }: ProblemError): Uint8Array {
    const line = this.lines + 1;
    return Buffer.from(`${JSON.stringify({ line, op: null, ok: false, problem: problemDocument(reason) })}\n`);
  }
}

function countOf(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_END); at !== -1; at = bytes.indexOf(LINE_END, at + 1)) count++;
  return count;
}

/** Of what has been answered, by what came before and what comes now. */
function lastLine(before: Uint8Array[], bytes: Uint8Array): Uint8Array[] {
  const begin = bytes.lastIndexOf(LINE_END, bytes.length - 2) + 1;
  if (begin > 0) return [bytes.subarray(begin)];
  return before.at(-1)?.at(-1) === LINE_END ? [bytes] : [...before, bytes];
}

function isRefusal(line: Uint8Array[]): boolean {
  try {
    return (JSON.parse(Buffer.concat(line).toString('utf8')) as { ok?: unknown }).ok === false;
  } catch {
    return false;
  }
}
