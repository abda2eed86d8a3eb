/**
 * What the server remembers under each `Idempotency-Key`: 24 hours, at most 10,000 keys a principal, and a bounded number of bytes. In
 * memory; what a session was changed by outlives a restart in its journal, with its keys.
 *
 * Keys of two principals never meet. Too many keys: the principal's oldest whose request has ended is forgotten. Too many bytes: the
 * replies of the oldest are dropped, those of whoever brings more first, and the key stays, so that a retry is refused and not carried
 * out a second time.
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
  /** Whose it is. */
  readonly subject: string;
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
  /** Of one principal. */
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
  /** Subject and key -> record, in order of first use. */
  private readonly records = new Map<string, KeyRecord>();
  private readonly countBySubject = new Map<string, number>();
  private bytes = 0;

  constructor(limits: Partial<KeyLimits> = {}, nowMs: () => number = Date.now) {
    this.limits = { ...LIMITS, ...limits };
    this.nowMs = nowMs;
  }

  /**
   * The record of `key`, in flight from now on if it is new, else as the first request left it.
   *
   * @param fingerprint of this request; another one than that of the first is 422
   * @param subject whose key it is
   * @throws ProblemError when the key cannot be used, or not now
   */
  claim(key: string, fingerprint: string, subject = ''): KeyRecord {
    refuseBadKey(key);
    this.expire();
    const known = this.records.get(placeOf(subject, key));
    if (known === undefined) return this.add(key, fingerprint, subject);
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
    this.makeRoom((other) => other.subject === record.subject);
    this.makeRoom(() => true);
    if (this.bytes > this.limits.bytes) this.drop(record);
    return !record.dropped;
  }

  private makeRoom(mayGo: (record: KeyRecord) => boolean): void {
    for (const record of this.records.values()) {
      if (this.bytes <= this.limits.bytes) return;
      if (!record.inFlight && record.bytes > 0 && mayGo(record)) this.drop(record);
    }
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
    const place = placeOf(record.subject, record.key);
    if (this.records.get(place) !== record) return;
    this.bytes -= record.bytes;
    record.bytes = 0;
    this.records.delete(place);
    const left = this.countOf(record.subject) - 1;
    if (left === 0) this.countBySubject.delete(record.subject);
    else this.countBySubject.set(record.subject, left);
  }

  private countOf(subject: string): number {
    return this.countBySubject.get(subject) ?? 0;
  }

  private add(key: string, fingerprint: string, subject: string): KeyRecord {
    for (const record of this.countOf(subject) < this.limits.keys ? [] : this.records.values()) {
      if (this.countOf(subject) < this.limits.keys) break;
      if (!record.inFlight && record.subject === subject) this.forget(record);
    }
    const record: KeyRecord = {
      key,
      subject,
      fingerprint,
      firstMs: this.nowMs(),
      inFlight: true,
      reply: null,
      lines: [],
      dropped: false,
      bytes: 0,
    };
    this.records.set(placeOf(subject, key), record);
    this.countBySubject.set(subject, this.countOf(subject) + 1);
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

/** @throws ProblemError, 400 */
export function refuseBadKey(key: string): void {
  if (KEY_FORM.test(key)) return;
  throw new ProblemError({
    code: 'invalid-idempotency-key',
    detail: 'An Idempotency-Key is 1 to 255 visible ASCII characters.',
  });
}

export function replyDropped(): ProblemError {
  return new ProblemError({
    code: 'idempotency-reply-dropped',
    detail:
      'The first request with this Idempotency-Key was carried out, but its reply was not kept: it was too large, or holds a secret. Read what it changed to see what it did.',
  });
}

/** Keys have no spaces. */
function placeOf(subject: string, key: string): string {
  return `${key} ${subject}`;
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
