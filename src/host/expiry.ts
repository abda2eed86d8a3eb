/**
 * Sessions that end at an instant of their own (`expiresAt`): then they are deleted, as by `DELETE`. It is the wall clock that says
 * when, so the simulation knows nothing of it. What fell due while the server was down is deleted when it starts; what cannot be
 * deleted, as on a full disk, is tried again until it can.
 */
import type { Entry } from './entry.ts';
import type { HostProblem } from './host.ts';

export interface ExpiryParts {
  /** @returns why it is still there, or null */
  expire(entry: Entry): Promise<HostProblem | null>;
  nowMs(): number;
}

/** A timer of Node cannot be set further ahead; then it is set anew. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;
const AGAIN_AFTER_MS = 1000;

/** An instant as it is kept: null when there is no such time, as in a leap second. */
export function instantOf(text: string): string | null {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** Why a session cannot end then, or null. */
export function refuseExpiry(expiresAt: string | null | undefined, nowMs: number): HostProblem | null {
  if (expiresAt === undefined || expiresAt === null) return null;
  const ms = Date.parse(expiresAt);
  if (ms > nowMs) return null;
  const detail = Number.isNaN(ms)
    ? `"${expiresAt}" is no instant.`
    : `${expiresAt} has passed: it is ${new Date(nowMs).toISOString()}. Delete the session to end it now.`;
  return { code: 'invalid-body', detail, path: '/expiresAt' };
}

export class Expiry {
  private readonly parts: ExpiryParts;
  private readonly dueMs = new Map<Entry, number>();
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  /** Sessions that have ended like that. */
  expired = 0;

  constructor(parts: ExpiryParts) {
    this.parts = parts;
  }

  /** To be called whenever it is another one, and for sessions that are new here. */
  note(entry: Entry): void {
    if (entry.expiresAt === null) this.dueMs.delete(entry);
    else this.dueMs.set(entry, Date.parse(entry.expiresAt));
    this.arm();
  }

  forget(entry: Entry): void {
    this.dueMs.delete(entry);
  }

  private arm(atLeastMs = 0): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.stopped || this.dueMs.size === 0) return;
    let earliest = Number.POSITIVE_INFINITY;
    for (const ms of this.dueMs.values()) if (ms < earliest) earliest = ms;
    const waitMs = Math.min(Math.max(earliest - this.parts.nowMs(), atLeastMs), LONGEST_WAIT_MS);
    this.timer = setTimeout(() => void this.sweep(), waitMs);
    this.timer.unref();
  }

  /** Deletes what has fallen due. */
  async sweep(): Promise<void> {
    const now = this.parts.nowMs();
    const due = [...this.dueMs].filter(([, ms]) => ms <= now).map(([entry]) => entry);
    const problems = await Promise.all(due.map((entry) => this.expire(entry)));
    this.arm(problems.some((problem) => problem !== null) ? AGAIN_AFTER_MS : 0);
  }

  private async expire(entry: Entry): Promise<HostProblem | null> {
    if (this.stopped) return null;
    // Meanwhile nobody else tries.
    this.dueMs.delete(entry);
    const problem = await this.parts.expire(entry);
    if (problem === null) this.expired++;
    else this.note(entry);
    return problem;
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }
}
