/**
 * What the server remembers under each `Idempotency-Key`: 24 hours, at most 10,000 keys, and a bounded number of bytes. In memory; what
 * a session was changed by outlives a restart in its journal, with its keys.
 *
 * Too many keys: the oldest whose request has ended is forgotten. Too many bytes: the replies of the oldest are dropped and the key
 * stays, so that a retry is refused and not carried out a second time.
 */
import { hash } from 'node:crypto';
import { ProblemError } from '../api/problem.ts';

export interface StoredReply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** `fingerprint` null: any blank line. `reply` null: blank lines have none. */
export interface KeyedLine {
  fingerprint: string | null;
  reply: string | null;
}

export interface KeyRecord {
  readonly key: string;
  /** Method, address and, but for `ops`, body of the first request. */
  readonly fingerprint: string;
  readonly firstMs: number;
  inFlight: boolean;
  /** Of a plain request: the first reply, once it was sent. */
  reply: StoredReply | null;
  /** Of `ops`: a line each, blank ones included, up to the last one that was applied. */
  lines: KeyedLine[];
  /** Replies were let go for want of room, or never came: what was applied cannot be told any more. */
  dropped: boolean;
  bytes: number;
}

export interface KeyLimits {
  keys: number;
  keptMs: number;
  /** Of all replies together. */
  bytes: number;
  /** Of the replies of one key. */
  bytesOfKey: number;
}

const MIB = 1_048_576;
const LIMITS: KeyLimits = { keys: 10_000, keptMs: 86_400_000, bytes: 256 * MIB, bytesOfKey: 16 * MIB };
const KEY_FORM = /^[\x21-\x7e]{1,255}$/;

export class IdempotencyKeys {
  private readonly limits: KeyLimits;
  private readonly nowMs: () => number;
  /** In order of first use. */
  private readonly records = new Map<string, KeyRecord>();
  private bytes = 0;

  constructor(limits: Partial<KeyLimits> = {}, nowMs: () => number = Date.now) {
    this.limits = { ...LIMITS, ...limits };
    this.nowMs = nowMs;
  }

  /**
   * The record of `key`, in flight from now on if it is new, else as the first request left it.
   *
   * @param fingerprint of this request; another one than that of the first is 422
   * @throws ProblemError when the key cannot be used, or not now
   */
  claim(key: string, fingerprint: string): KeyRecord {
    if (!KEY_FORM.test(key)) {
      throw new ProblemError({
        code: 'invalid-idempotency-key',
        detail: 'An Idempotency-Key is 1 to 255 visible ASCII characters.',
      });
    }
    this.expire();
    const known = this.records.get(key);
    if (known === undefined) return this.add(key, fingerprint);
    if (known.fingerprint !== fingerprint) throw mismatch('method, path or body');
    if (known.inFlight) {
      throw new ProblemError({
        code: 'idempotency-in-flight',
        detail: 'The first request with this Idempotency-Key has not been answered yet.',
      });
    }
    if (known.dropped) throw replyDropped();
    return known;
  }

  /** Counts `bytes` more under the record, and makes room for them. False: there is none, and the record is dropped. */
  reserve(record: KeyRecord, bytes: number): boolean {
    if (record.dropped) return false;
    record.bytes += bytes;
    this.bytes += bytes;
    if (record.bytes > this.limits.bytesOfKey) this.drop(record);
    for (const other of this.records.values()) {
      if (this.bytes <= this.limits.bytes) break;
      if (!other.inFlight && other.bytes > 0) this.drop(other);
    }
    if (this.bytes > this.limits.bytes) this.drop(record);
    return !record.dropped;
  }

  /** Forgets the replies of a record, and remembers that there were some. */
  drop(record: KeyRecord): void {
    this.bytes -= record.bytes;
    record.bytes = 0;
    record.reply = null;
    record.lines = [];
    record.dropped = true;
  }

  /** As if the key had never been used: its request changed nothing. */
  forget(record: KeyRecord): void {
    if (this.records.get(record.key) !== record) return;
    this.bytes -= record.bytes;
    record.bytes = 0;
    this.records.delete(record.key);
  }

  private add(key: string, fingerprint: string): KeyRecord {
    for (const record of this.records.values()) {
      if (this.records.size < this.limits.keys) break;
      if (!record.inFlight) this.forget(record);
    }
    const record: KeyRecord = {
      key,
      fingerprint,
      firstMs: this.nowMs(),
      inFlight: true,
      reply: null,
      lines: [],
      dropped: false,
      bytes: 0,
    };
    this.records.set(key, record);
    return record;
  }

  private expire(): void {
    const oldestMs = this.nowMs() - this.limits.keptMs;
    for (const record of this.records.values()) {
      if (record.firstMs > oldestMs) break;
      if (!record.inFlight) this.forget(record);
    }
  }
}

export function replyDropped(): ProblemError {
  return new ProblemError({
    code: 'idempotency-reply-dropped',
    detail:
      'The first request with this Idempotency-Key was carried out, but its reply was too large to keep. Read the session to see what it did.',
  });
}

export function mismatch(what: string): ProblemError {
  return new ProblemError({
    code: 'idempotency-mismatch',
    detail: `This Idempotency-Key was first used with another ${what}. Use a new key for a new request.`,
  });
}

/** Stands for a request, or for a line of one, without keeping it. */
export function fingerprintOf(content: string | Uint8Array): string {
  return hash('sha256', content, 'base64');
}
