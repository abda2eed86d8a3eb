/** Tickets: each opens one stream, once, where neither a header nor a subprotocol can carry a token. */
import { NO_HASH, newCredential, type PresentedCredential, sameHash } from './secrets.ts';
import type { Who } from './who.ts';

/** How long one is good. */
export const TICKET_SECONDS = 30;
/** That one may have unused; the oldest goes when there is another. */
const MOST_TICKETS = 100;

interface Ticket {
  hash: Uint8Array;
  who: Who;
  expiresMs: number;
}

export class Tickets {
  private readonly issued = new Map<string, Ticket>();

  issue(who: Who, nowMs: number): { text: string; expiresMs: number } {
    const { id, text, hash } = newCredential('ticket');
    const own = [...this.issued].filter(([, ticket]) => ticket.who.subject === who.subject);
    if (own.length >= MOST_TICKETS) this.issued.delete(own[0]![0]);
    const expiresMs = nowMs + TICKET_SECONDS * 1000;
    this.issued.set(id, { hash, who, expiresMs });
    return { text, expiresMs };
  }

  /**
   * Where it is not for an upgrade a ticket stays good.
   *
   * @returns for whom it was issued; null where it opens nothing
   */
  redeem({ id, hash }: PresentedCredential, ofUpgrade: boolean, nowMs: number): Who | null {
    const ticket = this.issued.get(id);
    const right = sameHash(hash, ticket?.hash ?? NO_HASH);
    if (ticket === undefined || !right || !ofUpgrade) return null;
    this.issued.delete(id);
    return ticket.expiresMs > nowMs ? ticket.who : null;
  }

  dropExpired(nowMs: number): void {
    for (const [id, { expiresMs }] of this.issued) if (expiresMs <= nowMs) this.issued.delete(id);
  }
}
