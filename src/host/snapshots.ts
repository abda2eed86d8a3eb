/**
 * Snapshots: a session at one moment, kept under an id. One is taken by the session's worker, into the journal, between the same two
 * records between which it lies. A session that is forked of one begins with what both share: the records up to there, and the state
 * that saves it from doing them again.
 *
 * As a document a snapshot holds the same: spec, records and digest, which say all, and the state, which saves time.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Entry } from './entry.ts';
import { readUnlessGone } from './gone.ts';
import type { HostProblem, Reply, SnapshotDocument } from './host.ts';
import { newSnapshotId } from './ids.ts';
import type { Journal } from './journal/journal.ts';
import { parseRecord } from './journal/records.ts';
import type { Change, PlacedSnapshot, SessionRow, SnapshotRow, Stretch } from './journal/rows.ts';
import type { HostLimits } from './limits.ts';
import { decodeCursor, encodeCursor, pageLimit } from './paging.ts';
import { invalidCursor, refuse, snapshotNotFound, storageUnavailable } from './problems.ts';
import type { CallBody, Rehearsed, SessionStatus, SnapshotBegun } from './protocol.ts';
import { isTold } from './rehearsal.ts';
import { currentRetry } from './retry.ts';
import type { SnapshotSeal } from './snapshot-seal.ts';

export interface SnapshotParts {
  journal: Journal;
  seal: SnapshotSeal;
  limits: HostLimits;
  /** Of the session, in its worker. */
  ask<T>(entry: Entry, body: CallBody): Promise<Reply<T>>;
  /** Of a worker that has room. */
  askAny<T>(body: CallBody): Promise<Reply<T>>;
  entryOf(session: string): Entry | undefined;
}

/** What a new session begins with. */
export interface Beginning {
  spec: Record<string, unknown>;
  coreVersion: string;
  status: SessionStatus;
  /** What makes it, of the row that it gets. */
  changes(session: SessionRow): Change[];
}

/** What `downloadSnapshot` writes, as far as it is read again. */
export interface SnapshotFile {
  coreVersion: string;
  digest: string;
  spec: Record<string, unknown>;
  records: unknown[];
  state?: { seal: string; data: string };
}

export const FORMAT = 'iommu-lab/snapshot';
export const FORMAT_VERSION = 1;

const KEPT_MS = 86_400_000;
const MEMBERS_BESIDE = new Set(['fromSnapshot', 'name', 'title']);

const packed = promisify(gzip);
const unpacked = promisify(gunzip);

export class Snapshots {
  private readonly parts: SnapshotParts;
  /** Being taken, by session. */
  private readonly begun = new Map<string, number>();

  constructor(parts: SnapshotParts) {
    this.parts = parts;
  }

  async take(entry: Entry, { title }: { title?: string }): Promise<Reply<SnapshotDocument>> {
    const retry = currentRetry();
    const own = await this.of(entry);
    const earlier = own.find(({ snapshot: { made } }) => made !== undefined && made.key === retry?.key)?.snapshot;
    if (retry !== null && earlier !== undefined && Date.now() - earlier.made!.at <= KEPT_MS) {
      if (earlier.made!.print !== retry.print)
        return refuse({
          code: 'idempotency-mismatch',
          detail: 'This Idempotency-Key was first used with another request. Use a new key for a new one.',
        });
      retry.replayed = true;
      return { ok: true, value: documentOf(earlier) };
    }
    const begun = this.begun.get(entry.id) ?? 0;
    const used = own.length + begun;
    const limit = this.parts.limits.snapshots;
    if (used >= limit) {
      const detail = `The session has ${used} snapshots, and ${limit} is the limit; delete one first.`;
      return refuse({ code: 'too-many-snapshots', detail, quota: { name: 'snapshots', limit, used } });
    }
    const facts: SnapshotBegun = {
      id: newSnapshotId(),
      session: entry.id,
      ...(title === undefined ? {} : { title }),
      createdAt: new Date().toISOString(),
      coreVersion: entry.coreVersion,
      ...(retry === null ? {} : { made: { key: retry.key, print: retry.print, at: Date.now() } }),
    };
    this.begun.set(entry.id, begun + 1);
    try {
      const reply = await this.parts.ask<SnapshotRow>(entry, { kind: 'snapshot', session: entry.id, facts });
      return reply.ok ? { ok: true, value: documentOf(reply.value) } : reply;
    } finally {
      const left = this.begun.get(entry.id)! - 1;
      if (left === 0) this.begun.delete(entry.id);
      else this.begun.set(entry.id, left);
    }
  }

  async list(
    entry: Entry,
    page: { limit?: number; cursor?: string },
  ): Promise<Reply<{ items: SnapshotDocument[]; nextCursor?: string }>> {
    const after = decodeCursor(page.cursor);
    if (after === null) return refuse(invalidCursor(page.cursor!));
    const limit = pageLimit(page.limit);
    const left = (await this.of(entry)).filter(({ place }) => place > after);
    const shown = left.slice(0, limit);
    const items = shown.map(({ snapshot }) => documentOf(snapshot));
    return {
      ok: true,
      value: left.length > limit ? { items, nextCursor: encodeCursor(shown.at(-1)!.place) } : { items },
    };
  }

  private of(entry: Entry): Promise<PlacedSnapshot[]> {
    return this.parts.journal.read({ of: 'snapshots', number: entry.number });
  }

  private async one(entry: Entry, id: string): Promise<SnapshotRow | null> {
    const found = await this.parts.journal.read({ of: 'snapshot', id });
    return found?.session === entry.id ? found : null;
  }

  async find(id: string): Promise<SnapshotDocument | null> {
    const found = await this.parts.journal.read({ of: 'snapshot', id });
    return found === null ? null : documentOf(found);
  }

  async delete(entry: Entry, id: string): Promise<Reply<SnapshotDocument>> {
    const found = await this.one(entry, id);
    if (found === null) return refuse(snapshotNotFound(id));
    const failure = await this.parts.journal.write({ do: 'forget-snapshot', id });
    return failure === null ? { ok: true, value: documentOf(found) } : refuse(storageUnavailable(failure));
  }

  async download(entry: Entry, id: string, withState: boolean): Promise<Reply<AsyncIterable<Uint8Array>>> {
    const found = await this.one(entry, id);
    if (found === null) return refuse(snapshotNotFound(id));
    return { ok: true, value: this.textOf(entry, found, withState) };
  }

  private async *textOf(entry: Entry, row: SnapshotRow, withState: boolean): AsyncIterable<Uint8Array> {
    const { journal, seal } = this.parts;
    const { id } = row;
    const gone = async () => ((await this.one(entry, id)) === null ? snapshotNotFound(id) : null);
    const { name: _name, title: _title, ...spec } = entry.spec;
    const head: Record<string, unknown> = { format: FORMAT, formatVersion: FORMAT_VERSION, ...documentOf(row), spec };
    if (withState) {
      const state = await readUnlessGone(journal.read({ of: 'snapshot-body', id }), gone);
      head.state = { seal: seal.of(state), data: (await packed(state)).toString('base64') };
    }
    const encoder = new TextEncoder();
    yield encoder.encode(`${JSON.stringify(head).slice(0, -1)},"records":[`);
    let first = true;
    for (let after: number | null = 0; after !== null; ) {
      const stretch: Stretch = await readUnlessGone(journal.read({ of: 'snapshot-stretch', id, after }), gone);
      for (const body of stretch.bodies) {
        const text = toldOf(body, first);
        first &&= text === '';
        if (text !== '') yield encoder.encode(text);
      }
      after = stretch.after;
    }
    yield encoder.encode(']}');
  }

  /** What may stand beside `fromSnapshot`. */
  static refuseBeside(input: Record<string, unknown>): HostProblem | null {
    const member = Object.keys(input).find((each) => !MEMBERS_BESIDE.has(each));
    if (member === undefined) return null;
    const detail = `/${member} cannot stand beside fromSnapshot: the session is as the snapshot has it`;
    return { code: 'invalid-body', detail, path: `/${member}` };
  }

  /** @param from id, or document; @param memoryBytes what a session may take at most; 0: as much as it will */
  beginningOf(from: unknown, memoryBytes: number): Promise<Reply<Beginning>> {
    return typeof from === 'string' ? this.forked(from) : this.imported(from as SnapshotFile, memoryBytes);
  }

  private async forked(id: string): Promise<Reply<Beginning>> {
    const row = await this.parts.journal.read({ of: 'snapshot', id });
    const entry = row === null ? undefined : this.parts.entryOf(row.session);
    if (row === null || entry === undefined) return refuse({ ...snapshotNotFound(id), path: '/fromSnapshot' });
    const { name: _name, title: _title, ...spec } = entry.spec;
    const { timeNs, timePs, digest, operations, activeRun, coreVersion } = row;
    const { policy } = entry.status;
    const state = activeRun === null ? 'idle' : 'running';
    const status: SessionStatus = { state, timeNs, timePs, digest, operations, policy, activeRun, paused: null };
    return { ok: true, value: { spec, coreVersion, status, changes: (session) => [{ do: 'fork', session, of: id }] } };
  }

  private async imported(
    { spec, coreVersion, digest, records, state }: SnapshotFile,
    memoryBytes: number,
  ): Promise<Reply<Beginning>> {
    const trusted = state === undefined ? null : await this.trusted(state);
    const body: CallBody = { kind: 'rehearse', spec, coreVersion, digest, records, memoryBytes, state: trusted };
    const reply = await this.parts.askAny<Rehearsed>(body);
    if (!reply.ok) return reply;
    const rehearsed = reply.value;
    const changes = (session: SessionRow): Change[] => {
      const { number } = session;
      const made: Change[] = [{ do: 'add', session }];
      if (rehearsed.records.length > 0) made.push({ do: 'append', number, body: rehearsed.records, reset: false });
      made.push({ do: 'image', number, body: rehearsed.image });
      return made;
    };
    return { ok: true, value: { spec: rehearsed.spec, coreVersion, status: rehearsed.status, changes } };
  }

  /** The state, if it is sealed as ours are. */
  private async trusted({ seal, data }: { seal: string; data: string }): Promise<Uint8Array | null> {
    try {
      const state = await unpacked(Buffer.from(data, 'base64'), { maxOutputLength: this.parts.limits.snapshotBytes });
      return this.parts.seal.fits(state, seal) ? new Uint8Array(state) : null;
    } catch {
      return null;
    }
  }
}

export function nothingKept(): HostProblem {
  return { code: 'storage-unavailable', detail: 'This server keeps nothing, and so no snapshots.', retryable: false };
}

/** Records as members of a list that goes on. */
function toldOf(body: Uint8Array, first: boolean): string {
  const lines = new TextDecoder().decode(body).split('\n').slice(0, -1);
  const told = lines.filter((line) => isTold(parseRecord(line)));
  return told.length === 0 ? '' : `${first ? '' : ','}\n${told.join(',\n')}`;
}

function documentOf({ made: _made, ...document }: SnapshotRow): SnapshotDocument {
  return document;
}
