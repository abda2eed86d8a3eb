/** What happens to a session as a whole: it is renamed, reset, deleted, or its time is up. */
import type { Audience } from './audience.ts';
import { keptInstant } from './creation.ts';
import { documentOf, type Entry, rowOf } from './entry.ts';
import { type Expiry, refuseExpiry } from './expiry.ts';
import type { HostProblem, Reply, SessionChange, SessionDocument } from './host.ts';
import { newEpoch } from './ids.ts';
import type { HostLogger } from './logger.ts';
import { currentOrigin, fieldsOf } from './origin.ts';
import { refuse } from './problems.ts';
import type { SessionStatus } from './protocol.ts';
import type { Quotas } from './quotas.ts';
import type { Registry } from './registry.ts';
import { currentRetry, markOf } from './retry.ts';
import { noteReplay, type SessionCalls } from './session-calls.ts';
import type { SessionDocuments } from './session-documents.ts';
import type { Store } from './store.ts';
import type { Waker } from './waker.ts';

export interface SessionChangesParts {
  registry: Registry;
  store: Store;
  calls: SessionCalls;
  documents: SessionDocuments;
  audience: Audience;
  expiry: Expiry;
  quotas: Quotas;
  /** Null without a journal. */
  waker: Waker | null;
  logger: HostLogger;
  nowMs(): number;
}

export class SessionChanges {
  private readonly parts: SessionChangesParts;

  constructor(parts: SessionChangesParts) {
    this.parts = parts;
  }

  async rename(entry: Entry, change: SessionChange): Promise<Reply<SessionDocument>> {
    const { registry, store, expiry, documents, nowMs } = this.parts;
    const { name = entry.name, title = entry.title } = change;
    const expiresAt = change.expiresAt === undefined ? entry.expiresAt : keptInstant(change.expiresAt);
    const refusal = registry.refuseName(change.name, entry.id, entry.owner) ?? refuseExpiry(change.expiresAt, nowMs());
    if (refusal !== null) return refuse(refusal);
    const before = entry.name;
    // At once, so that nobody else takes it meanwhile.
    registry.takeName(entry.owner, name, entry.id);
    const spec = { ...entry.spec, ...(name === undefined ? {} : { name }), ...(title === undefined ? {} : { title }) };
    const renamed: Entry = { ...entry, name, title, spec, expiresAt };
    const problem = await store.write({ do: 'change', session: rowOf(renamed) });
    if (problem !== null) {
      if (name !== before) registry.releaseName(entry.owner, name);
      return refuse(problem);
    }
    if (before !== name) registry.releaseName(entry.owner, before);
    Object.assign(entry, { name, title, spec, expiresAt });
    if (registry.entries.get(entry.id) === entry) expiry.note(entry);
    return documents.of(entry);
  }

  async delete(entry: Entry): Promise<Reply<{ id: string }>> {
    const { registry, store, expiry, quotas, waker, logger, audience } = this.parts;
    const { id, name, number } = entry;
    // At once, so that nobody finds it meanwhile.
    registry.remove(id);
    const problem = await store.write({ do: 'remove', number });
    if (problem !== null) {
      registry.add(entry);
      return refuse(problem);
    }
    registry.releaseName(entry.owner, name);
    expiry.forget(entry);
    quotas.forget(entry);
    waker?.forget(entry);
    if (entry.moving !== null) await entry.moving;
    const { handle } = entry;
    handle?.sessions.delete(id);
    await handle?.ask({ kind: 'delete', session: id });
    logger.info({ session: id, ...(handle !== null && { worker: handle.index }) }, 'session deleted');
    audience.tell((listener) => listener.deleted(id));
    return { ok: true, value: { id } };
  }

  /** Deletes it, if it is still there. @returns why it cannot be, or null */
  async expire({ id, expiresAt }: Entry): Promise<HostProblem | null> {
    const { registry, logger } = this.parts;
    const entry = registry.entries.get(id);
    if (entry === undefined) return null;
    const reply = await this.delete(entry);
    if (!reply.ok) return reply.problem;
    logger.info({ session: id, expiresAt }, 'session expired');
    return null;
  }

  async reset(entry: Entry): Promise<Reply<SessionDocument>> {
    const { calls, audience, logger } = this.parts;
    const problem = await calls.readyToChange(entry);
    if (problem !== null) return refuse(problem);
    const retry = currentRetry();
    // The reply comes by itself, and belongs to no request.
    const by = fieldsOf(currentOrigin());
    return new Promise((resolve) => {
      entry.handle!.call<SessionStatus>({ kind: 'reset', session: entry.id, retry: markOf(retry) }, (reply) => {
        if (retry !== null) noteReplay(retry, reply);
        if (!reply.ok || reply.replayed === true) {
          resolve(reply.ok ? { ok: true, value: documentOf({ ...entry, status: reply.value }) } : reply);
          return;
        }
        entry.status = reply.value;
        // Before any frame of what comes after it.
        entry.epoch = newEpoch();
        audience.tell((listener) => listener.epoch(entry.id, entry.epoch));
        logger.info({ ...by, session: entry.id, worker: entry.handle!.index }, 'session reset');
        resolve({ ok: true, value: documentOf(entry) });
      });
    });
  }
}
