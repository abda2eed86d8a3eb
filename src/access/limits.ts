/**
 * What one principal may take of the server. A setting of the server, or a token's own number in its place; 0 means no limit. What is kept
 * by the host for the owner of a session, whoever uses it, is the most that any good token of that owner says.
 *
 * Without tokens there is one principal, the machine itself, and it is held to nothing that was not asked for.
 */
import { NO_QUOTAS, type OwnerQuotas } from '../host/quotas.ts';

export interface AccessLimits {
  /** A bucket of twice as many, refilled at this rate. */
  requestsPerSecond: number;
  /** Operations of all `ops` requests together. More are not refused: they wait. */
  opsPerSecond: number;
  /** Sessions owned. */
  sessions: number;
  /** `ops` requests under way: the server takes only so many of all together. */
  opsRequests: number;
  /** Open streams. */
  streams: number;
  /** Runs that have been started and have not ended, over all sessions. */
  runs: number;
  /** Experiments owned that have not ended. */
  experiments: number;
  /** Traces owned, and what they take of the server's disk. */
  traces: number;
  traceBytes: number;
  /** Bytes of the server's disk, of all sessions owned. */
  storedBytes: number;
  /** Worker-seconds an hour, of all sessions owned. */
  computeSeconds: number;
  /** The same, of each of them. */
  sessionComputeSeconds: number;
  /** Page frames in use, live mappings, memory of the server: of each session. */
  frames: number;
  mappings: number;
  sessionMemoryMib: number;
  /** Events of each run, of each session. */
  runEvents: number;
}

export type LimitName = keyof AccessLimits;

export const NO_LIMITS: Readonly<AccessLimits> = {
  requestsPerSecond: 0,
  opsPerSecond: 0,
  opsRequests: 0,
  sessions: 0,
  streams: 0,
  runs: 0,
  experiments: 0,
  traces: 0,
  traceBytes: 0,
  ...NO_QUOTAS,
};

/** Where tokens are asked for and no setting says otherwise. */
export const DEFAULT_LIMITS: Readonly<AccessLimits> = {
  requestsPerSecond: 500,
  opsPerSecond: 0,
  opsRequests: 8,
  sessions: 100,
  streams: 100,
  runs: 16,
  experiments: 4,
  traces: 100,
  traceBytes: 20 * 1024 * 1024 * 1024,
  ...NO_QUOTAS,
};

/** Largest value of each, in the contract and for settings. */
export const LARGEST_LIMIT = 1_000_000_000;
const LARGEST_BY_NAME: Partial<Record<LimitName, number>> = {
  storedBytes: 2 ** 50,
  traceBytes: 2 ** 50,
  runEvents: 2 ** 50,
};

export function largestLimit(name: LimitName): number {
  return LARGEST_BY_NAME[name] ?? LARGEST_LIMIT;
}

/** Kept by the host, for the owner of a session, whoever uses it, or by the archive, for the owner of a trace; the others are kept for who asks. */
export const QUOTA_NAMES = [...(Object.keys(NO_QUOTAS) as (keyof OwnerQuotas)[]), 'traces', 'traceBytes'] as const;

/** The more generous of two, 0 being the most. */
export function moreGenerous(one: number, other: number): number {
  return one === 0 || other === 0 ? 0 : Math.max(one, other);
}

/** The bucket of `requestsPerSecond` holds the requests of so many seconds. */
export const BURST_SECONDS = 2;

/** Set where a number is given, else `base`. */
export function limitsOver(base: Readonly<AccessLimits>, given: Partial<AccessLimits>): AccessLimits {
  const limits = { ...base };
  for (const name of Object.keys(base) as LimitName[]) limits[name] = given[name] ?? base[name];
  return limits;
}
