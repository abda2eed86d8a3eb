/** What a session answered to requests with an `Idempotency-Key`: rebuilt from its journal, as the session is. */
import type { AnsweredLines, HostProblem, Reply, ToldLine } from './host.ts';
import type { KeyMark } from './retry.ts';
import type { StoredKeys } from './session-image.ts';

/** A reply; or where it is to be found, as it may be another one by now. */
export type Told = { reply: Reply<unknown> } | { run: number } | 'status';

const MOST_KEYS = 10_000;
const KEPT_MS = 86_400_000;

/** Of the lines of one key, and of one session. */
const LARGEST_LINES = 16 << 20;
const MOST_LINES = 64 << 20;
const LARGEST_STORED = 4 << 20;

export class KeyedReplies {
  /** In the order of their first use. */
  private readonly told = new Map<string, { print: string; atMs: number; told: Told }>();

  /** Of `ops` requests. */
  private readonly lines = new Map<string, AnsweredLines & { size: number }>();
  private size = 0;

  /** @param stored what an image kept of them */
  constructor(stored: StoredKeys | null = null) {
    for (const [key, told] of stored?.told ?? []) this.told.set(key, told);
    for (const [key, known] of stored?.lines ?? []) {
      this.lines.set(key, known);
      this.size += known.size;
    }
  }

  /** Null when they are too many to be kept beside an image. */
  stored(): StoredKeys | null {
    if (this.size > LARGEST_STORED) return null;
    return { told: [...this.told], lines: [...this.lines] };
  }

  addLine(key: string, told: ToldLine): void {
    let known = this.lines.get(key);
    if (known === undefined) this.lines.set(key, (known = { lines: [], dropped: false, size: 0 }));
    known.size += told.reply.length;
    this.size += told.reply.length;
    known.dropped ||= known.size > LARGEST_LINES || this.size > MOST_LINES;
    if (known.dropped) known.lines = [];
    else known.lines.push(told);
  }

  answered(key: string): AnsweredLines {
    const { lines, dropped } = this.lines.get(key) ?? { lines: [], dropped: false };
    return { lines, dropped };
  }

  /** @param atMs wall time of the first request */
  add({ key, print }: KeyMark, atMs: number, told: Told): void {
    this.told.set(key, { print, atMs, told });
    if (this.told.size <= MOST_KEYS) return;
    for (const oldest of this.told.keys()) {
      this.told.delete(oldest);
      break;
    }
  }

  /** What was told to the first request with this key; a problem when that was another one; null when there was none. */
  find({ key, print }: KeyMark, nowMs: number): Told | HostProblem | null {
    const known = this.told.get(key);
    if (known === undefined || nowMs - known.atMs > KEPT_MS) return null;
    if (known.print === print) return known.told;
    return {
      code: 'idempotency-mismatch',
      detail: 'This Idempotency-Key was first used with another method, path or body. Use a new key for a new request.',
    };
  }
}
