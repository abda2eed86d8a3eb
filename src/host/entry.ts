/** A session as the main thread knows it, and what is said of it without asking its worker. */
import type { HostProblem, Pause, SessionDocument, SessionState } from './host.ts';
import { newEpoch } from './ids.ts';
import type { SessionRow, StoredSession } from './journal/rows.ts';
import type { CreatedSession, SessionStatus } from './protocol.ts';
import type { Hold } from './quotas.ts';
import type { KeyMark } from './retry.ts';
import type { WorkerHandle } from './worker-handle.ts';

export interface Entry {
  id: string;
  /** Rises with each creation; the order of the list. */
  number: number;
  owner: string;
  /** The worker it lives in; null while it rests in its journal. */
  handle: WorkerHandle | null;
  name: string | undefined;
  title: string | undefined;
  createdAt: string;
  /** ISO 8601; null: kept until it is deleted. */
  expiresAt: string | null;
  /** The `Idempotency-Key` under which it was created. */
  made: KeyMark | null;
  coreVersion: string;
  epoch: string;
  state: SessionState;
  /** Null unless `failed`. */
  failure: HostProblem | null;
  spec: Record<string, unknown>;
  /** As last heard of; while the session rests it is exact if `current`. */
  status: SessionStatus;
  current: boolean;
  /** On its way from its journal into a worker, or back; settles when it is there. */
  moving: Promise<unknown> | null;
  /** What keeps it from going on, or from being changed, for want of something that all sessions of its owner share, or of time. */
  hold: Hold | null;
  /** In the journal. */
  storedBytes: number;
  /** `ops` requests that are open. */
  openStreams: number;
  /** `performance.now()` of the last thing that was asked of it. */
  touchedMs: number;
  /** Workers that died while they had it from its journal, one after the other. */
  deaths: number;
}

/** What a session is before anything was done to it, as far as a list shows it. */
const UNKNOWN: SessionStatus = {
  state: 'idle',
  timeNs: 0,
  timePs: '0',
  digest: null,
  operations: 0,
  policy: {},
  activeRun: null,
  paused: null,
};

export function newEntry(
  id: string,
  number: number,
  owner: string,
  made: KeyMark | null,
  handle: WorkerHandle,
  created: CreatedSession,
  expiresAt: string | null,
): Entry {
  const { spec, coreVersion, ...status } = created;
  return {
    id,
    number,
    owner,
    handle,
    name: textOf(spec.name),
    title: textOf(spec.title),
    createdAt: new Date().toISOString(),
    expiresAt,
    made,
    coreVersion,
    epoch: newEpoch(),
    state: status.state,
    failure: null,
    spec,
    status,
    current: false,
    moving: null,
    hold: null,
    storedBytes: 0,
    openStreams: 0,
    touchedMs: performance.now(),
    deaths: 0,
  };
}

/** One that begins in the journal. */
export function restingEntry(
  facts: Pick<Entry, 'id' | 'number' | 'owner' | 'made' | 'coreVersion' | 'spec' | 'status' | 'expiresAt'>,
): Entry {
  return {
    ...facts,
    handle: null,
    name: textOf(facts.spec.name),
    title: textOf(facts.spec.title),
    createdAt: new Date().toISOString(),
    epoch: newEpoch(),
    state: 'hibernated',
    failure: null,
    current: true,
    moving: null,
    hold: null,
    storedBytes: 0,
    openStreams: 0,
    touchedMs: performance.now(),
    deaths: 0,
  };
}

export function storedEntry(stored: StoredSession): Entry {
  const {
    id,
    number,
    owner,
    name,
    title,
    createdAt,
    expiresAt = null,
    made = null,
    coreVersion,
    spec,
    rest,
    bytes,
    damage,
  } = stored;
  const failure = damage === null ? null : { code: 'session-lost', detail: damage };
  return {
    id,
    number,
    owner,
    handle: null,
    name,
    title,
    createdAt,
    expiresAt,
    made,
    coreVersion,
    epoch: newEpoch(),
    state: failure === null ? 'hibernated' : 'failed',
    failure,
    spec,
    status: (rest?.status as SessionStatus | undefined) ?? UNKNOWN,
    current: rest?.current === true,
    moving: null,
    hold: null,
    storedBytes: bytes,
    openStreams: 0,
    touchedMs: 0,
    deaths: 0,
  };
}

export function rowOf(entry: Entry): SessionRow {
  const { number, id, owner, name, title, createdAt, expiresAt, made, coreVersion, spec } = entry;
  return {
    number,
    id,
    owner,
    ...(name === undefined ? {} : { name }),
    ...(title === undefined ? {} : { title }),
    createdAt,
    ...(expiresAt === null ? {} : { expiresAt }),
    coreVersion,
    spec,
    ...(made === null ? {} : { made }),
  };
}

/** @param awake how it is if it is in a worker */
export function stateOf({ failure, handle, moving, state }: Entry, awake: SessionState = state): SessionState {
  if (failure !== null) return 'failed';
  if (moving !== null) return 'recovering';
  return handle === null ? 'hibernated' : awake;
}

export function documentOf(entry: Entry): SessionDocument {
  const { id, owner, name, title, createdAt, expiresAt, status, spec, failure, handle, moving, current, storedBytes } =
    entry;
  const { timeNs, timePs, operations, policy } = status;
  const state = stateOf(entry, status.state);
  // On its way to rest it is as it was last heard of, which may be long ago.
  const isAwake = handle !== null && moving === null;
  const known = failure === null && (isAwake || current);
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ...(title === undefined ? {} : { title }),
    owner,
    state,
    createdAt,
    ...(expiresAt === null ? {} : { expiresAt }),
    timeNs,
    timePs,
    digest: known ? status.digest : null,
    operations,
    spec,
    policy,
    activeRun: failure === null ? status.activeRun : null,
    ...pauseMember(pauseOf(entry)),
    ...(storedBytes === 0 ? {} : { storedBytes }),
  };
}

/** What keeps it from going on, or null. That more may not be stored keeps it only from being changed. */
export function pauseOf({ hold, status, handle, failure }: Entry): Pause | null {
  if (failure !== null) return null;
  if (hold !== null && hold.name !== 'stored-bytes') return hold;
  return handle === null ? null : status.paused;
}

function pauseMember(pause: Pause | null): Pick<SessionDocument, 'paused'> {
  if (pause === null) return {};
  const { name, limit, used, resumesAtMs } = pause;
  const resumesAt = resumesAtMs === null ? null : new Date(resumesAtMs).toISOString();
  return { paused: { quota: { name, limit, used }, resumesAt } };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
