/** How the worker of a session is asked: a session at rest is woken first, and nothing is changed that could not be kept. */
import type { Entry } from './entry.ts';
import type { HostProblem, Reply, RunDocument } from './host.ts';
import { decodeCursor, encodeCursor, pageLimit } from './paging.ts';
import { invalidCursor, refuse, sessionNotFound } from './problems.ts';
import type { CallBody } from './protocol.ts';
import type { Registry } from './registry.ts';
import { currentRetry, type KeyMark, markOf, type Retry } from './retry.ts';
import type { Store } from './store.ts';
import type { Waker } from './waker.ts';

/** What is refused while nothing can be written. */
const CHANGING: ReadonlySet<CallBody['kind']> = new Set(['apply', 'run-start', 'run-delete', 'snapshot']);

export class SessionCalls {
  private readonly registry: Registry;
  private readonly store: Store;
  /** Null without a journal. */
  private readonly waker: Waker | null;

  constructor(registry: Registry, store: Store, waker: Waker | null) {
    this.registry = registry;
    this.store = store;
    this.waker = waker;
  }

  /** Asks the session's worker, once it is in one. */
  async ask<T>(entry: Entry, body: CallBody): Promise<Reply<T>> {
    if (entry.handle === null || entry.moving !== null) {
      const problem = (await this.waker?.wake(entry)) ?? null;
      if (problem !== null) return refuse(problem);
    }
    entry.touchedMs = performance.now();
    const refusal = CHANGING.has(body.kind) ? this.store.refusal() : null;
    return refusal === null ? entry.handle!.ask(body) : refuse(refusal);
  }

  /** In a worker, and with a journal that can be written. @returns why it is not, or null */
  async readyToChange(entry: Entry): Promise<HostProblem | null> {
    const refusal = this.store.refusal();
    if (refusal !== null) return refusal;
    entry.touchedMs = performance.now();
    return entry.handle !== null && entry.moving === null ? null : ((await this.waker?.wake(entry)) ?? null);
  }

  /** As `ask`, by id or name. */
  askBy<T>(session: string, body: (id: string) => CallBody): Promise<Reply<T>> {
    return this.with(session, (entry) => this.ask(entry, body(entry.id)));
  }

  /** As `askBy`, with the key of the request that asks. */
  changeBy<T>(session: string, body: (id: string, retry: KeyMark | null) => CallBody): Promise<Reply<T>> {
    const retry = currentRetry();
    const reply = this.askBy<T>(session, (id) => body(id, markOf(retry)));
    return retry === null ? reply : reply.then((told) => noteReplay(retry, told));
  }

  /** What a scrape reads; null of a session at rest, unless that is to be woken. */
  async meters(entry: Entry, wake: boolean): Promise<Reply<Record<string, unknown> | null>> {
    const body: CallBody = { kind: 'read', session: entry.id, reading: { read: 'meters' } };
    if (wake) return this.ask(entry, body);
    // Not `ask`: that it is watched does not keep it awake.
    return entry.handle === null || entry.moving !== null ? { ok: true, value: null } : entry.handle.ask(body);
  }

  async runs(
    entry: Entry,
    page: { limit?: number; cursor?: string; state?: RunDocument['state'] },
  ): Promise<Reply<{ items: RunDocument[]; nextCursor?: string }>> {
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const { id: session } = entry;
    const { state = null } = page;
    const reply = await this.ask<{ items: RunDocument[]; last: number | null }>(entry, {
      kind: 'run-list',
      session,
      limit: pageLimit(page.limit),
      after,
      state,
    });
    if (!reply.ok) return reply;
    const { items, last } = reply.value;
    return { ok: true, value: last === null ? { items } : { items, nextCursor: encodeCursor(last) } };
  }

  /** Of the session with this id or name, if there is one. */
  async with<T>(session: string, then: (entry: Entry) => Reply<T> | Promise<Reply<T>>): Promise<Reply<T>> {
    const entry = this.registry.find(session);
    return entry === undefined ? refuse(sessionNotFound(session)) : then(entry);
  }
}

/** Tells the request whether it was told what an earlier one was told. */
export function noteReplay<T>(retry: Retry, reply: Reply<T>): Reply<T> {
  if (reply.replayed === true) retry.replayed = true;
  return reply;
}
