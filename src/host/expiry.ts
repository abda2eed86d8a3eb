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
  /** When the timer fires. */
  private armedMs = Number.POSITIVE_INFINITY;
  private stopped = false;
  /** Sessions that have ended like that. */
  expired = 0;

  constructor(parts: ExpiryParts) {
    this.parts = parts;
  }

  /** To be called whenever it is another one, and for sessions that are new here. */
  note(entry: Entry): void {
    if (entry.expiresAt === null) {
      this.dueMs.delete(entry);
      return;
    }
    const ms = Date.parse(entry.expiresAt);
    this.dueMs.set(entry, ms);
    // A timer that fires for nothing is set anew then.
    if (ms < this.armedMs) this.arm(ms);
  }

  forget(entry: Entry): void {
    this.dueMs.delete(entry);
  }

  private arm(earliestMs: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.armedMs = Number.POSITIVE_INFINITY;
    if (this.stopped || earliestMs === Number.POSITIVE_INFINITY) return;
    this.armedMs = earliestMs;
    const waitMs = Math.min(Math.max(earliestMs - this.parts.nowMs(), 0), LONGEST_WAIT_MS);
    this.timer = setTimeout(() => void this.sweep(), waitMs);
    this.timer.unref();
  }

  /** Deletes what has fallen due. */
  async sweep(): Promise<void> {
    const now = this.parts.nowMs();
    const due = [...this.dueMs].filter(([, ms]) => ms <= now).map(([entry]) => entry);
    const problems = await Promise.all(due.map((entry) => this.expire(entry)));
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const ms of this.dueMs.values()) if (ms < earliestMs) earliestMs = ms;
    const failed = problems.some((problem) => problem !== null);
    this.arm(failed ? Math.max(earliestMs, now + AGAIN_AFTER_MS) : earliestMs);
  }

  private async expire(entry: Entry): Promise<HostProblem | null> {
    if (this.stopped) return null;
    // Meanwhile nobody else tries.
    this.dueMs.delete(entry);
    const problem = await this.parts.expire(entry);
    if (problem === null) this.expired++;
    else if (entry.expiresAt !== null) this.dueMs.set(entry, Date.parse(entry.expiresAt));
    return problem;
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }
}
