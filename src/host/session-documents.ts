/** What is told of sessions: each as its worker has it now, or as it was when it was last heard of. */
import { documentOf, type Entry } from './entry.ts';
import type { Reply, SessionDocument } from './host.ts';
import { decodeCursor, encodeCursor, pageLimit } from './paging.ts';
import { invalidCursor, refuse } from './problems.ts';
import type { SessionStatus } from './protocol.ts';
import type { Registry } from './registry.ts';
import type { SessionCalls } from './session-calls.ts';
import { matcherOf, type SessionFilter } from './session-filter.ts';
import type { Waker } from './waker.ts';

export class SessionDocuments {
  private readonly registry: Registry;
  private readonly calls: SessionCalls;
  /** Null without a journal. */
  private readonly waker: Waker | null;

  constructor(registry: Registry, calls: SessionCalls, waker: Waker | null) {
    this.registry = registry;
    this.calls = calls;
    this.waker = waker;
  }

  async of(entry: Entry): Promise<Reply<SessionDocument>> {
    const resting = this.waker?.restingDocument(entry) ?? null;
    if (resting !== null) return resting;
    const reply = await this.calls.ask<SessionStatus>(entry, { kind: 'status', session: entry.id });
    if (!reply.ok) return entry.failure === null ? reply : { ok: true, value: documentOf(entry) };
    // Replies come in batches, and this one may be heard of after that of a rest which followed it: then it is as it was left there.
    if (entry.handle !== null && entry.moving === null) entry.status = reply.value;
    return { ok: true, value: documentOf({ ...entry, status: reply.value }) };
  }

  async list(
    page: { limit?: number; cursor?: string; filter?: SessionFilter },
    shows: (session: string) => boolean,
  ): Promise<Reply<{ items: SessionDocument[]; nextCursor?: string }>> {
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const matches = matcherOf(page.filter ?? {});
    const isShown = (entry: Entry): boolean => matches(entry) && shows(entry.id);
    const { entries, more } = this.registry.page(after, pageLimit(page.limit), isShown);
    const state = page.filter?.state;
    // It may have become another one while its worker was asked.
    const items = (await this.ofAll(entries)).filter((document) => state === undefined || document.state === state);
    return { ok: true, value: more ? { items, nextCursor: encodeCursor(entries.at(-1)!.number) } : { items } };
  }

  /** A session that does not answer is shown as last heard of: one of them does not spoil the list. */
  private async ofAll(entries: Entry[]): Promise<SessionDocument[]> {
    const replies = await Promise.all(entries.map((entry) => this.withoutWaking(entry)));
    const documents: SessionDocument[] = [];
    for (const [i, entry] of entries.entries()) {
      // Deleted meanwhile.
      if (this.registry.entries.get(entry.id) !== entry) continue;
      const reply = replies[i]!;
      documents.push(reply.ok ? reply.value : { ...documentOf(entry), digest: null });
    }
    return documents;
  }

  private async withoutWaking(entry: Entry): Promise<Reply<SessionDocument>> {
    return entry.handle === null || entry.moving !== null ? { ok: true, value: documentOf(entry) } : this.of(entry);
  }
}
