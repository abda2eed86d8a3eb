/**
 * The archive of traces as one principal sees it: those that are its own. Another one does not exist, by whatever call; an admin may list
 * all, read their documents and delete them, and no more: what a recording says is its owner's. Whoever has a link has no traces.
 */
import type { Reply } from '../host/host.ts';
import { LOCAL_OWNER } from '../host/ids.ts';
import { invalidCursor, refuse } from '../host/problems.ts';
import type { KeyMark } from '../host/retry.ts';
import type { TraceArchive } from '../trace/archive/archive.ts';
import type { EventsPage, EventsQuery } from '../trace/archive/events.ts';
import { traceNotFound } from '../trace/archive/problems.ts';
import type { AppendRequest } from '../trace/archive/uploads.ts';
import type { TraceDocument, TraceInput, TraceState, TraceSummary } from '../trace/trace.ts';
import type { AccessControl } from './control.ts';
import { includes } from './scopes.ts';
import type { Who } from './who.ts';

export class TraceView {
  private readonly archive: TraceArchive;
  private readonly control: AccessControl;
  private readonly who: Who;

  constructor(archive: TraceArchive, control: AccessControl, who: Who) {
    this.archive = archive;
    this.control = control;
    this.who = who;
  }

  private get owner(): string {
    return this.who.kind === 'local' ? LOCAL_OWNER : this.who.principal;
  }

  private sees(owner: string): boolean {
    const { kind, principal, scope } = this.who;
    return kind === 'local' || (kind === 'token' && (owner === principal || scope === 'admin'));
  }

  /** @param inside whether more is wanted than to know of it and to delete it */
  private reach(trace: string, inside: boolean): Reply<string> {
    const { kind, principal } = this.who;
    const id = this.archive.resolve(trace, this.owner);
    const owner = id === null ? null : this.archive.ownerOf(id);
    if (id === null || owner === null || !this.sees(owner)) return refuse(traceNotFound(trace));
    if (inside && kind !== 'local' && owner !== principal) {
      const detail = 'An admin may list the trace, read its document and delete it, and no more.';
      return refuse({ code: 'not-permitted', detail });
    }
    return { ok: true, value: id };
  }

  private refuseReader(): { ok: false; problem: { code: string; detail: string } } | null {
    if (includes(this.who.scope, 'write')) return null;
    return refuse({
      code: 'insufficient-scope',
      detail: `This needs the scope write, and there is only ${this.who.scope}.`,
    });
  }

  get uploadBytes(): number {
    return this.archive.limits.uploadBytes;
  }

  create(input: TraceInput, made: KeyMark | null): Reply<{ trace: TraceDocument; replayed: boolean }> {
    return this.refuseReader() ?? this.archive.create(input, this.owner, made);
  }

  async append(trace: string, request: AppendRequest): Promise<Reply<TraceDocument>> {
    const refusal = this.refuseReader();
    if (refusal !== null) return refusal;
    const reached = this.reach(trace, true);
    return reached.ok ? this.archive.append(reached.value, request) : reached;
  }

  list({
    cursor,
    ...page
  }: {
    limit: number;
    cursor?: string;
    state?: TraceState;
  }): Reply<{ items: TraceSummary[]; nextCursor?: string }> {
    const { cursors } = this.control;
    const after = cursor === undefined ? undefined : cursors.open(cursor);
    if (after === null) return refuse(invalidCursor(cursor!));
    const asked = { ...page, ...(after === undefined ? {} : { cursor: after }) };
    const reply = this.archive.list(asked, (owner) => this.sees(owner));
    if (!reply.ok || reply.value.nextCursor === undefined) return reply;
    return { ok: true, value: { ...reply.value, nextCursor: cursors.seal(reply.value.nextCursor) } };
  }

  get(trace: string): Reply<TraceDocument> {
    const reached = this.reach(trace, false);
    return reached.ok ? this.archive.get(reached.value) : reached;
  }

  async events(trace: string, query: EventsQuery): Promise<Reply<EventsPage>> {
    const reached = this.reach(trace, true);
    return reached.ok ? this.archive.events(reached.value, query) : reached;
  }

  /** For who wants to replay it. */
  tapeOf(trace: string): Reply<{ digest: string; path: string }> {
    const reached = this.reach(trace, true);
    return reached.ok ? this.archive.tapeOf(reached.value) : reached;
  }

  async delete(trace: string): Promise<Reply<TraceDocument>> {
    const refusal = this.refuseReader();
    if (refusal !== null) return refusal;
    const reached = this.reach(trace, false);
    return reached.ok ? this.archive.delete(reached.value) : reached;
  }
}
