/**
 * What an owner's sessions may take of the server over time: computing, in worker-seconds an hour, and bytes in the journal. The main
 * thread keeps the books. Workers say what each session has computed, the journal how much is kept of it; a session that has used up its
 * share is held: its worker is told so, and until when.
 *
 * Computing is a bucket that holds an hour's share and fills up at that rate, one for each session and one for each owner. What was
 * computed before a hold reached the worker is owed, and is waited for. In memory: a restart gives everybody a full bucket.
 */
import type { Entry } from './entry.ts';
import type { HostProblem } from './host.ts';
import type { Sizes } from './journal/protocol.ts';
import { tooMuchStored } from './problems.ts';
import type { SessionBounds } from './session-bounds.ts';

/** What may be taken; 0 is no limit. Of the owner, and of each of its sessions. */
export interface OwnerQuotas {
  /** Worker-seconds an hour, of all sessions together. */
  computeSeconds: number;
  /** Bytes in the journal, of all sessions together. */
  storedBytes: number;
  /** Worker-seconds an hour. */
  sessionComputeSeconds: number;
  /** Page frames in use. */
  frames: number;
  /** Live mappings. */
  mappings: number;
  /** Memory of the server for what is simulated. */
  sessionMemoryMib: number;
  /** Events of each of its runs. */
  runEvents: number;
}

export const NO_QUOTAS: Readonly<OwnerQuotas> = {
  computeSeconds: 0,
  storedBytes: 0,
  sessionComputeSeconds: 0,
  frames: 0,
  mappings: 0,
  sessionMemoryMib: 0,
  runEvents: 0,
};

/** Why a session may not go on, or not be changed. */
export interface Hold {
  /** Of the quota. */
  name: 'compute-seconds' | 'session-compute-seconds' | 'stored-bytes';
  limit: number;
  used: number;
  /** Wall time; null: when somebody does something about it. */
  resumesAtMs: number | null;
}

/** What a worker is told of a session. */
export interface Governed {
  bounds: SessionBounds;
  /** Whether somebody wants to know what it computes. */
  metered: boolean;
  hold: Hold | null;
}

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
/** So much computing has to be there again before a session goes on, so that it does not stop again at once; at most half of the share. */
const RESUME_MS = 1000;

/** Computing time of one session or one owner; all times in milliseconds. */
export class ComputeBucket {
  private shareMs = 0;
  private usedMs = 0;
  private atMs: number;
  /** Ran dry, and has not filled up enough since. */
  private dry = false;

  constructor(nowMs: number) {
    this.atMs = nowMs;
  }

  /** @param seconds an hour; what was used stays used */
  setShare(seconds: number): void {
    this.shareMs = seconds * 1000;
  }

  charge(ms: number, nowMs: number): void {
    this.fill(nowMs);
    this.usedMs += ms;
  }

  private fill(nowMs: number): void {
    // A clock that is set back gives nothing and takes nothing.
    if (nowMs > this.atMs) this.usedMs = Math.max(0, this.usedMs - ((nowMs - this.atMs) * this.shareMs) / HOUR_MS);
    this.atMs = nowMs;
  }

  private get enoughMs(): number {
    return Math.min(RESUME_MS, this.shareMs / 2);
  }

  isDry(nowMs: number): boolean {
    this.fill(nowMs);
    const leftMs = this.shareMs - this.usedMs;
    this.dry = leftMs <= 0 || (this.dry && leftMs < this.enoughMs);
    return this.dry;
  }

  isFull(nowMs: number): boolean {
    this.fill(nowMs);
    return this.usedMs === 0;
  }

  hold(name: Hold['name']): Hold {
    const missingMs = this.usedMs + this.enoughMs - this.shareMs;
    const resumesAtMs = Math.ceil(this.atMs + Math.max(0, (missingMs * HOUR_MS) / this.shareMs));
    return { name, limit: this.shareMs / 1000, used: Math.round(this.usedMs / 1000), resumesAtMs };
  }
}

export interface QuotasParts {
  entries(): Iterable<Entry>;
  nowMs(): number;
}

export class Quotas {
  private readonly parts: QuotasParts;
  private quotasOf: (owner: string) => Readonly<OwnerQuotas> = () => NO_QUOTAS;
  private readonly buckets = new Map<string, ComputeBucket>();
  private readonly byNumber = new Map<number, Entry>();
  /** Owner -> bytes. */
  private readonly stored = new Map<string, number>();
  /** As text, what the session's worker was told last, and which worker that was. */
  private readonly told = new WeakMap<Entry, { handle: Entry['handle']; text: string }>();
  /** Of all sessions. */
  storedBytes = 0;

  constructor(parts: QuotasParts) {
    this.parts = parts;
  }

  govern(quotasOf: (owner: string) => Readonly<OwnerQuotas>): void {
    this.quotasOf = quotasOf;
    this.sweep();
  }

  /** From the moment at which its journal may hold something. */
  add(entry: Entry): void {
    this.byNumber.set(entry.number, entry);
    this.count(entry, entry.storedBytes);
  }

  forget(entry: Entry): void {
    if (!this.byNumber.delete(entry.number)) return;
    this.buckets.delete(entry.id);
    this.resize(entry, 0);
  }

  storedOf(owner: string): number {
    return this.stored.get(owner) ?? 0;
  }

  private count({ owner }: Entry, bytes: number): void {
    this.storedBytes += bytes;
    const sum = this.storedOf(owner) + bytes;
    if (sum === 0) this.stored.delete(owner);
    else this.stored.set(owner, sum);
  }

  /** From the journal. */
  noteSizes(sizes: Sizes): void {
    for (const [number, bytes] of sizes) {
      const entry = this.byNumber.get(number);
      if (entry !== undefined) this.resize(entry, bytes);
    }
  }

  private resize(entry: Entry, bytes: number): void {
    const { owner } = entry;
    const { storedBytes: limit } = this.quotasOf(owner);
    const wasFull = limit > 0 && this.storedOf(owner) >= limit;
    this.count(entry, bytes - entry.storedBytes);
    entry.storedBytes = bytes;
    const isFull = limit > 0 && this.storedOf(owner) >= limit;
    if (isFull !== wasFull) this.tellOthers(owner);
  }

  /** From its worker. */
  noteComputed(entry: Entry, ms: number): void {
    const quotas = this.quotasOf(entry.owner);
    const now = this.parts.nowMs();
    let dry = false;
    for (const [key, seconds] of [
      [`owner ${entry.owner}`, quotas.computeSeconds],
      [entry.id, quotas.sessionComputeSeconds],
    ] as const) {
      if (seconds === 0) continue;
      const bucket = this.bucket(key, seconds, now);
      bucket.charge(ms, now);
      dry ||= bucket.isDry(now);
    }
    if (dry && (entry.hold === null || entry.hold.name === 'stored-bytes')) this.tellOthers(entry.owner);
  }

  private bucket(key: string, seconds: number, now: number): ComputeBucket {
    let bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, (bucket = new ComputeBucket(now)));
    bucket.setShare(seconds);
    return bucket;
  }

  /** Why another session may not be made, or null. */
  refuseNew(owner: string): HostProblem | null {
    const { storedBytes: limit } = this.quotasOf(owner);
    const used = this.storedOf(owner);
    return limit > 0 && used >= limit ? tooMuchStored(limit, used) : null;
  }

  /** For the worker that makes one. */
  memoryBytesOf(owner: string): number {
    return this.quotasOf(owner).sessionMemoryMib * MIB;
  }

  private holdOf({ id, owner }: Entry, quotas: Readonly<OwnerQuotas>): Hold | null {
    const now = this.parts.nowMs();
    for (const [key, name, seconds] of [
      [`owner ${owner}`, 'compute-seconds', quotas.computeSeconds],
      [id, 'session-compute-seconds', quotas.sessionComputeSeconds],
    ] as const) {
      if (seconds === 0 || !this.buckets.has(key)) continue;
      const bucket = this.bucket(key, seconds, now);
      if (bucket.isDry(now)) return bucket.hold(name);
    }
    const { storedBytes: limit } = quotas;
    const used = this.storedOf(owner);
    return limit > 0 && used >= limit ? { name: 'stored-bytes', limit, used, resumesAtMs: null } : null;
  }

  /** Of the same owner: what holds one may hold all. */
  private tellOthers(owner: string): void {
    for (const entry of this.parts.entries()) if (entry.owner === owner) this.tell(entry);
  }

  /** Tells the session's worker what it does not know yet. To be called when it has come to one. */
  tell(entry: Entry): void {
    const quotas = this.quotasOf(entry.owner);
    const { computeSeconds, sessionComputeSeconds, frames, mappings, sessionMemoryMib, runEvents } = quotas;
    const before = entry.hold;
    const hold = this.holdOf(entry, quotas);
    // The same one, with numbers that go with the time: it was told with those of its beginning.
    entry.hold = before !== null && hold !== null && before.name === hold.name && isNear(before, hold) ? before : hold;
    const { handle } = entry;
    if (handle === null || entry.moving !== null) return;
    const governed: Governed = {
      bounds: { frames, mappings, memoryBytes: sessionMemoryMib * MIB, runEvents },
      metered: computeSeconds > 0 || sessionComputeSeconds > 0,
      hold: entry.hold,
    };
    const text = JSON.stringify(governed);
    const told = this.told.get(entry);
    if (told?.handle === handle && told.text === text) return;
    this.told.set(entry, { handle, text });
    handle.note({ kind: 'govern', session: entry.id, governed });
  }

  /** What time has changed. Called now and then. */
  sweep(): void {
    for (const entry of this.parts.entries()) if (entry.handle !== null || entry.hold !== null) this.tell(entry);
    const now = this.parts.nowMs();
    for (const [key, bucket] of this.buckets) if (bucket.isFull(now)) this.buckets.delete(key);
  }
}

/** Of one quota, and about to end at the same time. */
function isNear(one: Hold, other: Hold): boolean {
  if (one.limit !== other.limit) return false;
  if (one.resumesAtMs === null || other.resumesAtMs === null) return one.used === other.used;
  return Math.abs(one.resumesAtMs - other.resumesAtMs) < 1000;
}
