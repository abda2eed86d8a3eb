/**
 * The way to sessions, for `routes/` and `src/stream/`: everything they may ask of a session, whichever worker it lives in.
 * Nothing here computes; each call is a message to the session's worker. Every promise settles (a worker that dies rejects its
 * calls as `session-failed`), no call waits for a run to end.
 */
import type { Operation, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import type { SessionHistory } from './history.ts';
import type { OwnerQuotas } from './quotas.ts';
import type { SessionFilter } from './session-filter.ts';

/** A reason in the edge's terms; `src/api/errors.ts` has status and title for each `code`. */
export interface HostProblem {
  code: string;
  detail: string;
  /** JSON Pointer into the body that was sent. */
  path?: string;
  errors?: { path: string; message: string }[];
  retryable?: boolean;
  /** A number that was reached. */
  quota?: { name: string; limit: number; used?: number; retryAfterSeconds?: number };
}

/** `replayed`: it is what an earlier request with the same `Idempotency-Key` was told. */
export type Reply<T = Record<string, unknown>> =
  | { ok: true; value: T; replayed?: true }
  | { ok: false; problem: HostProblem; replayed?: true };

/**
 * What `POST /v1/sessions` carries: a partial spec, with `preset` or without, and `expiresAt`, which is the host's. Checked against the
 * contract before.
 */
export type SessionInput = Record<string, unknown>;

/** Why a session does not go on, though it is asked to. */
export interface Pause {
  /** Of the quota that was reached. */
  name: string;
  limit: number;
  used: number;
  /** Wall time at which it goes on by itself; null: when somebody does something about it. */
  resumesAtMs: number | null;
}

/** `expiresAt` null: never. */
export interface SessionChange {
  name?: string;
  title?: string;
  expiresAt?: string | null;
}

export type SessionState = 'idle' | 'running' | 'recovering' | 'hibernated' | 'failed';

export interface SessionDocument {
  id: string;
  name?: string;
  title?: string;
  /** The principal that it belongs to; `local` on a server without tokens. */
  owner?: string;
  state: SessionState;
  /** ISO 8601, wall clock. */
  createdAt: string;
  /** When it is deleted by itself; absent: never. */
  expiresAt?: string;
  /** Simulated time, whole nanoseconds, rounded down; exact picoseconds as a decimal string. */
  timeNs: number;
  timePs: string;
  /** 64 hex digits; null while a run is active, when it would be another one at every read. */
  digest: string | null;
  /** Operations applied since creation or the last reset. */
  operations: number;
  spec: Record<string, unknown>;
  /** What was asked for, what is in force, and why they differ where they do. */
  policy: Record<string, unknown>;
  activeRun: string | null;
  /** Absent unless it is paused. `resumesAt`: ISO 8601; null: when somebody does something about it. */
  paused?: { quota: { name: string; limit: number; used: number }; resumesAt: string | null };
  /** Bytes that the server's disk keeps of it; absent where it keeps none of any. */
  storedBytes?: number;
}

export interface RunDocument {
  id: string;
  state: 'queued' | 'running' | 'finished' | 'cancelled' | 'failed';
  timeNs: number;
  /** 0 to 1 of the stop rule; null when it cannot be known (`until`). */
  progress: number | null;
  request: RunRequest;
  result: Record<string, unknown> | null;
  problem?: HostProblem;
}

export interface SnapshotDocument {
  id: string;
  /** Id of the session. */
  session: string;
  title?: string;
  /** ISO 8601, wall clock. */
  createdAt: string;
  timeNs: number;
  timePs: string;
  digest: string;
  operations: number;
  coreVersion: string;
  /** Id of the run that was active, or null. */
  activeRun: string | null;
  /** Of its state. */
  lengthBytes: number;
}

/** One frame of a session's history, see `src/stream/`. `data` is JSON text, serialised once, in the worker. */
export interface SessionFrame {
  type: 'metrics' | 'events' | 'faults' | 'verdicts' | 'runs';
  timeNs: number;
  data: string;
}

/** What the stream needs to hear of a session. `epoch` is new after creation and each reset. */
export interface FrameListener {
  frames(session: string, epoch: string, frames: SessionFrame[]): void;
  /** The session was reset: its history starts again under `epoch`. */
  epoch(session: string, epoch: string): void;
  /** The session was set aside: nothing but a reset or its deletion will come of it. */
  failed(session: string): void;
  /** The session is gone. */
  deleted(session: string): void;
}

export interface OpsOptions {
  onError: 'stop' | 'continue';
  /** `ndjson`: a line per operation; `array`: one JSON array, at most 10,000 operations, answered as one array. */
  format: 'ndjson' | 'array';
  /**
   * Where an earlier request with the same Idempotency-Key left off (`ndjson` only): its applied lines are answered again by
   * `src/server/idempotency-ops.ts` and do not come here; their labels and the count of lines do.
   */
  resume?: OpsResume;
  /** Under which `Idempotency-Key` the journal is to remember each line (`ndjson` only). */
  key?: string;
  signal?: AbortSignal;
}

/** A line of an `ops` request, what stands for its text, and its reply line without the end. */
export interface ToldLine {
  line: number;
  print: string;
  reply: string;
}

/** Lines of `ops` requests with one `Idempotency-Key` up to the last that was carried out; blank ones are left out. */
export interface AnsweredLines {
  lines: ToldLine[];
  /** There were more than can be told. */
  dropped: boolean;
}

export interface OpsResume {
  /** Lines answered already, blank ones included: the first line of the body has the number `linesBefore` + 1. */
  linesBefore: number;
  /** What the answered lines with `as` left behind, in their order; `result` is null where the line failed. */
  labels: { label: string; line: number; result: Record<string, unknown> | null }[];
}

/** What a scrape of one session is made of. */
export interface Scraped {
  id: string;
  name: string | null;
  spec: Record<string, unknown>;
  /** The reading `meters`; null of a session that rests and was not to be woken. */
  meters: Record<string, unknown> | null;
}

export interface SessionHost {
  /** Resolves and checks the spec and changes nothing: the resolved spec, whose `policy` says too what would be in force. */
  validate(input: SessionInput, owner?: string): Promise<Reply>;
  /**
   * @param owner principal, kept with the session for good; `local` when absent. Names are unique within an owner.
   * @param admit why whoever asks may not have another one, or null; called at once, and not for what was made by an earlier request
   *   with the same key
   */
  create(input: SessionInput, owner?: string, admit?: () => HostProblem | null): Promise<Reply<SessionDocument>>;
  /** @param shows whether a session, by its id, is on the list at all; all are when absent */
  list(
    page: { limit?: number; cursor?: string; filter?: SessionFilter },
    shows?: (session: string) => boolean,
  ): Promise<Reply<{ items: SessionDocument[]; nextCursor?: string }>>;
  /** `session` is an id, here and below, or the name of a session of `local`; other owners' names: see `resolve`. */
  get(session: string): Promise<Reply<SessionDocument>>;
  rename(session: string, change: SessionChange): Promise<Reply<SessionDocument>>;
  /** An active run is cancelled first. */
  delete(session: string): Promise<Reply<{ id: string }>>;
  reset(session: string): Promise<Reply<SessionDocument>>;

  /** One operation. `value` is the operation's result as the contract has it. */
  apply(session: string, operation: Operation): Promise<Reply>;
  read(session: string, reading: Reading): Promise<Reply>;
  /** What a scrape is made of. @param wake whether one that rests is woken and kept awake by it */
  scrape(session: string, wake: boolean): Promise<Reply<Scraped>>;

  /** @param refusal why whoever asks may not start one: the answer, unless an earlier request with the same key has started it */
  startRun(session: string, request: RunRequest, refusal?: HostProblem | null): Promise<Reply<RunDocument>>;
  listRuns(
    session: string,
    page: { limit?: number; cursor?: string; state?: RunDocument['state'] },
  ): Promise<Reply<{ items: RunDocument[]; nextCursor?: string }>>;
  getRun(session: string, run: string): Promise<Reply<RunDocument>>;
  /** Of an active run: cancels it at a slice boundary and answers the time reached; of an ended one: removes the record. */
  deleteRun(session: string, run: string): Promise<Reply<RunDocument>>;

  /** Allowed while a run is active. */
  takeSnapshot(session: string, given: { title?: string }): Promise<Reply<SnapshotDocument>>;
  listSnapshots(
    session: string,
    page: { limit?: number; cursor?: string },
  ): Promise<Reply<{ items: SnapshotDocument[]; nextCursor?: string }>>;
  /**
   * The document that `fromSnapshot` takes, here and elsewhere, as JSON text in pieces: spec, operations and runs, digest.
   *
   * @param state whether the state is in it, too
   */
  downloadSnapshot(session: string, snapshot: string, state: boolean): Promise<Reply<AsyncIterable<Uint8Array>>>;
  deleteSnapshot(session: string, snapshot: string): Promise<Reply<SnapshotDocument>>;
  /** What was done in it since it began or was reset: with its spec that is the session. */
  history(session: string): Promise<Reply<SessionHistory>>;
  /** A snapshot by its id alone, whosever it is; null when there is none. */
  findSnapshot(snapshot: string): Promise<SnapshotDocument | null>;

  /**
   * Many operations in order. Bytes in, bytes out: lines are split, checked, applied and answered in the session's worker.
   * Problems that precede the first line (unknown session, run active) are the Reply; all later ones are lines.
   */
  ops(session: string, body: AsyncIterable<Uint8Array>, options: OpsOptions): Promise<Reply<AsyncIterable<Uint8Array>>>;

  /** What was answered under this key, before a restart, too. */
  answered(session: string, key: string): Promise<Reply<AnsweredLines>>;

  /** The id of a session by id, whoever owns it, or by its name among those of `owner` (`local` when absent); or null. Synchronous. */
  resolve(session: string, owner?: string): string | null;
  /** Ids of sessions that fit, oldest first, at most `limit`; of those in a worker alone with `awake`. Synchronous, asks nobody. */
  idsOf(
    asked: { filter?: SessionFilter; awake: boolean; limit: number },
    shows?: (session: string) => boolean,
  ): string[];
  /** Who owns a session, by id. */
  ownerOf(session: string): string | null;
  /** How many sessions someone owns, and how many bytes are kept of them. */
  countOf(owner: string): number;
  storedBytesOf(owner: string): number;
  /** From now on: what the sessions of each owner may take. Asked often. */
  govern(quotasOf: (owner: string) => Readonly<OwnerQuotas>): void;
  /** The current epoch and simulated time of a session; synchronous. */
  epochOf(session: string): string | null;
  listen(listener: FrameListener): void;

  /** Numbers for `/metrics` and `/readyz`: sessions, workers alive, runs active, queue depths. */
  status(): HostStatus;
  /** Ends runs at a slice boundary, refuses new work, stops the workers. */
  close(): Promise<void>;
}

export interface HostStatus {
  ready: boolean;
  sessions: number;
  /** Of these, in a worker. */
  awake: number;
  /** Of these, on their way back after a worker or the server ended under them. */
  recovering: number;
  /** Why nothing can be written, or null. */
  storageTrouble: string | null;
  workers: number;
  workersAlive: number;
  activeRuns: number;
  /** Sessions that a quota keeps from going on. */
  paused: number;
  /** Bytes that are kept of all sessions. */
  storedBytes: number;
  /** Sessions that have ended at an instant of their own since the start. */
  expired: number;
  pendingCalls: number;
}
