/** Locks as metrics have them: each by itself for the session, summed by name for a run. */
import type { Work } from '../meter/work.ts';
import type { Lock } from '../sim/lock.ts';

interface Totals {
  acquisitions: number;
  waits: number;
  waitPs: number;
}

const none: Totals = { acquisitions: 0, waits: 0, waitPs: 0 };

function shown(work: Work, { acquisitions, waits, waitPs }: Totals): Record<string, number> {
  return { acquisitions, waits, waitNs: waitPs / 1000, waitCycles: work.toMilliCycles(waitPs) / 1000 };
}

export function lockDocuments(work: Work, locks: readonly Lock[]): Record<string, unknown>[] {
  return locks.map((lock) => ({ name: lock.name, ...shown(work, lock) }));
}

/** What was counted of each lock until a moment. */
export type LocksBefore = Map<Lock, Totals>;

export function locksNow(locks: readonly Lock[]): LocksBefore {
  return new Map(
    locks.map((lock) => [lock, { acquisitions: lock.acquisitions, waits: lock.waits, waitPs: lock.waitPs }]),
  );
}

/** Summed by name, since then; a lock that did not exist then counts from nothing. */
export function lockSums(work: Work, locks: readonly Lock[], before: LocksBefore): Record<string, unknown>[] {
  const byName = new Map<string, Totals & { locks: number }>();
  for (const lock of locks) {
    const { acquisitions, waits, waitPs } = before.get(lock) ?? none;
    const sum = byName.get(lock.name) ?? { locks: 0, ...none };
    sum.locks++;
    sum.acquisitions += lock.acquisitions - acquisitions;
    sum.waits += lock.waits - waits;
    sum.waitPs += lock.waitPs - waitPs;
    byName.set(lock.name, sum);
  }
  return [...byName].map(([name, sum]) => ({ name, locks: sum.locks, ...shown(work, sum) }));
}
