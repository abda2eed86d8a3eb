/** How many runs someone has started that have not ended. Whether one has is asked only when the number would be reached. */
import type { RunDocument, SessionHost } from '../host/host.ts';

interface Slot {
  session: string;
  /** Null while it is being started. */
  run: string | null;
}

export class RunSlots {
  private readonly slots = new Map<string, Set<Slot>>();

  /** A slot for a run about to be started; null when there is none: `used` are in use. */
  async take(
    host: Pick<SessionHost, 'getRun'>,
    subject: string,
    session: string,
    limit: number,
  ): Promise<{ slot: Slot; used: number } | { slot: null; used: number }> {
    let own = this.slots.get(subject);
    if (own === undefined) this.slots.set(subject, (own = new Set()));
    if (own.size >= limit) await dropEnded(host, own);
    // Looked at again, and taken in the same turn: others may have come meanwhile.
    if (own.size >= limit) return { slot: null, used: own.size };
    const slot: Slot = { session, run: null };
    own.add(slot);
    this.slots.set(subject, own);
    return { slot, used: own.size };
  }

  /**
   * A run that is told of a second time, to a retry, is counted once.
   *
   * @param session of a run that came with its session
   */
  started(subject: string, slot: Slot, run: string, session = slot.session): void {
    for (const other of this.slots.get(subject) ?? [])
      if (other.session === session && other.run === run) this.release(subject, other);
    slot.session = session;
    slot.run = run;
  }

  release(subject: string, slot: Slot): void {
    const own = this.slots.get(subject);
    own?.delete(slot);
    if (own?.size === 0) this.slots.delete(subject);
  }

  /** Started and not known to have ended. */
  used(subject: string): number {
    return this.slots.get(subject)?.size ?? 0;
  }
}

async function dropEnded(host: Pick<SessionHost, 'getRun'>, slots: Set<Slot>): Promise<void> {
  const begun = [...slots].filter(({ run }) => run !== null);
  const replies = await Promise.all(begun.map(({ session, run }) => host.getRun(session, run as string)));
  for (const [i, slot] of begun.entries()) {
    const reply = replies[i]!;
    if (!reply.ok || !isActive(reply.value)) slots.delete(slot);
  }
}

function isActive({ state }: RunDocument): boolean {
  return state === 'queued' || state === 'running';
}
