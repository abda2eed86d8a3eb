/**
 * How sessions come to be: from a spec, in a worker and then in the journal; from a snapshot, in the journal and then in a worker. Until
 * it is kept nobody can find one; what cannot be kept leaves nothing behind.
 */
import type { Audience } from './audience.ts';
import type { Crew } from './crew.ts';
import { documentOf, type Entry, newEntry, restingEntry, rowOf } from './entry.ts';
import { type Expiry, instantOf, refuseExpiry } from './expiry.ts';
import type { HostProblem, Reply, SessionChange, SessionDocument, SessionInput } from './host.ts';
import { newSessionId } from './ids.ts';
import type { HostLimits } from './limits.ts';
import { noWorker, refuse, shuttingDown } from './problems.ts';
import type { CreatedSession } from './protocol.ts';
import type { Quotas } from './quotas.ts';
import type { Registry } from './registry.ts';
import { currentRetry, type KeyMark, markOf, type Retry } from './retry.ts';
import { type Beginning, nothingKept, Snapshots } from './snapshots.ts';
import type { Store } from './store.ts';
import type { Waker } from './waker.ts';
import type { WorkerHandle } from './worker-handle.ts';

export interface CreationParts {
  registry: Registry;
  store: Store;
  crew: Crew;
  audience: Audience;
  expiry: Expiry;
  quotas: Quotas;
  limits: HostLimits;
  /** Null without a journal. */
  waker: Waker | null;
  snapshots: Snapshots | null;
  nowMs(): number;
  closing(): boolean;
  /** How a session is now. */
  document(entry: Entry): Promise<Reply<SessionDocument>>;
  delete(session: string): Promise<Reply<{ id: string }>>;
}

/** What is known of a session before it is made. */
interface Facts {
  id: string;
  owner: string;
  made: KeyMark | null;
  expiresAt: string | null;
  input: SessionInput;
}

export class Creation {
  private readonly parts: CreationParts;
  private underWay = 0;

  constructor(parts: CreationParts) {
    this.parts = parts;
  }

  async validate({ expiresAt, ...input }: SessionInput, owner: string): Promise<Reply> {
    const { crew } = this.parts;
    const refusal = this.refuseNow() ?? this.refuseGiven(input, expiresAt, owner);
    if (refusal !== null) return refuse(refusal);
    if (!('fromSnapshot' in input)) return crew.ask({ kind: 'validate', input });
    const beginning = await this.beginningOf(input, owner);
    return beginning.ok ? crew.ask({ kind: 'validate', input: beginning.value.spec }) : beginning;
  }

  private refuseNow(): HostProblem | null {
    const { closing, store, crew } = this.parts;
    if (closing()) return shuttingDown();
    return store.refusal() ?? (crew.place() === null ? noWorker() : null);
  }

  private refuseGiven(input: SessionInput, expiresAt: unknown, owner: string): HostProblem | null {
    const { registry, nowMs } = this.parts;
    return (
      registry.refuseName(textOf(input.name), null, owner) ??
      refuseExpiry(expiresAt as SessionChange['expiresAt'], nowMs())
    );
  }

  private refuseAnother(): HostProblem | null {
    const { registry, limits } = this.parts;
    const sessions = registry.size + this.underWay;
    if (sessions < limits.sessions) return null;
    const detail = `There are ${sessions} sessions, and ${limits.sessions} is the limit; delete one first.`;
    return { code: 'too-many-sessions', detail };
  }

  async create(
    { expiresAt, ...input }: SessionInput,
    owner: string,
    admit: () => HostProblem | null,
  ): Promise<Reply<SessionDocument>> {
    const { registry, quotas } = this.parts;
    const retry = currentRetry();
    const earlier = retry === null ? null : this.createdBefore(retry);
    if (earlier !== null) return earlier;
    const refusal =
      this.refuseNow() ??
      this.refuseGiven(input, expiresAt, owner) ??
      this.refuseAnother() ??
      quotas.refuseNew(owner) ??
      admit();
    if (refusal !== null) return refuse(refusal);
    const facts = { id: newSessionId(), owner, made: markOf(retry), expiresAt: keptInstant(expiresAt), input };
    registry.takeName(owner, textOf(input.name), null);
    this.underWay++;
    try {
      return await ('fromSnapshot' in input ? this.fromSnapshot(facts) : this.fromSpec(facts));
    } finally {
      this.underWay--;
    }
  }

  /** The session that an earlier request with this key created, or null. */
  private createdBefore(retry: Retry): Promise<Reply<SessionDocument>> | Reply<SessionDocument> | null {
    const entry = this.parts.registry.madeUnder(retry.key);
    if (entry === undefined) return null;
    if (entry.made!.print !== retry.print)
      return refuse({
        code: 'idempotency-mismatch',
        detail: 'This Idempotency-Key was first used with another request. Use a new key for a new one.',
      });
    retry.replayed = true;
    return this.parts.document(entry);
  }

  // From a spec

  private async fromSpec(facts: Facts): Promise<Reply<SessionDocument>> {
    const { registry, expiry, quotas, audience, crew } = this.parts;
    const { id } = facts;
    const handle = crew.place()!;
    handle.sessions.add(id);
    const built = await this.build(facts, handle);
    const problem = built.ok ? await this.keep(built.value) : built.problem;
    if (built.ok && problem === null) {
      registry.add(built.value);
      expiry.note(built.value);
      quotas.tell(built.value);
      return { ok: true, value: documentOf(built.value) };
    }
    registry.remove(id);
    if (built.ok) quotas.forget(built.value);
    if (built.ok) audience.tell((listener) => listener.deleted(id));
    handle.sessions.delete(id);
    // Given up on, it may still be built.
    handle.call({ kind: 'delete', session: id }, () => {});
    return this.notMade(facts, problem!);
  }

  /** Others may have its name. */
  private notMade({ owner, input }: Facts, problem: HostProblem): { ok: false; problem: HostProblem } {
    this.parts.registry.releaseName(owner, textOf(input.name));
    return refuse(problem);
  }

  /** Known from the moment at which its worker has it, so that none of its frames is missed. */
  private build({ id, owner, made, expiresAt, input }: Facts, handle: WorkerHandle): Promise<Reply<Entry>> {
    const { registry, quotas, audience } = this.parts;
    const number = registry.nextNumber();
    const memoryBytes = quotas.memoryBytesOf(owner);
    return new Promise((resolve) => {
      handle.call<CreatedSession>({ kind: 'create', session: id, number, input, memoryBytes }, (reply) => {
        if (!reply.ok) {
          resolve(reply);
          return;
        }
        const entry = newEntry(id, number, owner, made, handle, reply.value, expiresAt);
        registry.conceive(entry);
        quotas.add(entry);
        audience.tell((listener) => listener.epoch(id, entry.epoch));
        resolve({ ok: true, value: entry });
      });
    });
  }

  /** From here on the session exists, whatever happens. @returns why it cannot, or null */
  private async keep(entry: Entry): Promise<HostProblem | null> {
    const { closing, store } = this.parts;
    return closing() ? shuttingDown() : store.write({ do: 'add', session: rowOf(entry) });
  }

  // From a snapshot

  private beginningOf(input: SessionInput, owner: string): Promise<Reply<Beginning>> {
    const { snapshots, quotas } = this.parts;
    const refusal = Snapshots.refuseBeside(input) ?? (snapshots === null ? nothingKept() : null);
    if (refusal !== null) return Promise.resolve(refuse(refusal));
    return snapshots!.beginningOf(input.fromSnapshot, quotas.memoryBytesOf(owner));
  }

  private async fromSnapshot(facts: Facts): Promise<Reply<SessionDocument>> {
    const { registry, store, expiry, quotas, audience, waker } = this.parts;
    const { id, owner, made, expiresAt, input } = facts;
    const beginning = await this.beginningOf(input, owner);
    if (!beginning.ok) return this.notMade(facts, beginning.problem);
    const { coreVersion, status, changes } = beginning.value;
    const { name, title } = input;
    const spec = {
      ...beginning.value.spec,
      ...(name === undefined ? {} : { name }),
      ...(title === undefined ? {} : { title }),
    };
    const number = registry.nextNumber();
    const entry = restingEntry({ id, number, owner, made, coreVersion, spec, status, expiresAt });
    quotas.add(entry);
    const problem = this.parts.closing() ? shuttingDown() : await store.write(...changes(rowOf(entry)));
    if (problem !== null) {
      quotas.forget(entry);
      return this.notMade(facts, problem);
    }
    registry.add(entry);
    expiry.note(entry);
    audience.tell((listener) => listener.epoch(id, entry.epoch));
    await waker!.wake(entry);
    if (entry.failure === null) return { ok: true, value: documentOf(entry) };
    // Its snapshot went while it was made, or is of other code.
    const { detail } = entry.failure;
    await this.parts.delete(id);
    return refuse({ code: 'invalid-snapshot', detail, path: '/fromSnapshot' });
  }
}

/** An instant, checked before, as it is kept. */
export function keptInstant(expiresAt: unknown): string | null {
  return typeof expiresAt === 'string' ? instantOf(expiresAt) : null;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
