/**
 * What stays open beyond one request: streams, and `ops` while it goes on. Each is held by a credential and looks at one session;
 * when either is taken away, it ends.
 */
import type { Who } from './who.ts';

/** The credential was revoked or has expired; or the session is no longer shared with its holder. */
export type EndCause = 'credential-ended' | 'share-ended';
export type LeaseKind = 'stream' | 'ops';

export interface Lease {
  readonly kind: LeaseKind;
  readonly who: Who;
  /** Id. */
  readonly session: string;
  end(cause: EndCause): void;
}

export class Leases {
  private readonly open = new Set<Lease>();
  /** By kind and subject. */
  private readonly counts = new Map<string, number>();

  /** @returns to be called when it is over; more than once does no harm */
  take(lease: Lease): () => void {
    this.open.add(lease);
    this.count(lease, 1);
    return () => {
      if (this.open.delete(lease)) this.count(lease, -1);
    };
  }

  countOf(kind: LeaseKind, subject: string): number {
    return this.counts.get(`${kind} ${subject}`) ?? 0;
  }

  /** Ends all for which there is a cause. */
  sweep(causeToEnd: (lease: Lease) => EndCause | null): void {
    for (const lease of [...this.open]) {
      const cause = causeToEnd(lease);
      if (cause === null) continue;
      // Before it is told, so that it is told once, however long it takes to end.
      this.open.delete(lease);
      this.count(lease, -1);
      lease.end(cause);
    }
  }

  private count({ kind, who }: Lease, change: number): void {
    const count = this.countOf(kind, who.subject) + change;
    if (count === 0) this.counts.delete(`${kind} ${who.subject}`);
    else this.counts.set(`${kind} ${who.subject}`, count);
  }
}
