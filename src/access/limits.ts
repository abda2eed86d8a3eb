/**
 * What one principal may take of the server. A setting of the server, or a token's own number in its place; 0 means no limit.
 *
 * Without tokens there is one principal, the machine itself, and it is held to nothing that was not asked for.
 */
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
  /** Bytes of snapshots and traces. Kept for what stores such; nothing does yet, so nothing is counted. */
  storedBytes: number;
}

export type LimitName = keyof AccessLimits;

export const NO_LIMITS: Readonly<AccessLimits> = {
  requestsPerSecond: 0,
  opsPerSecond: 0,
  opsRequests: 0,
  sessions: 0,
  streams: 0,
  runs: 0,
  storedBytes: 0,
};

/** Where tokens are asked for and no setting says otherwise. */
export const DEFAULT_LIMITS: Readonly<AccessLimits> = {
  requestsPerSecond: 500,
  opsPerSecond: 0,
  opsRequests: 8,
  sessions: 100,
  streams: 100,
  runs: 16,
  storedBytes: 0,
};

/** Largest value of each, in the contract and for settings. */
export const LARGEST_LIMIT = 1_000_000_000;

/** The bucket of `requestsPerSecond` holds the requests of so many seconds. */
export const BURST_SECONDS = 2;

/** Set where a number is given, else `base`. */
export function limitsOver(base: Readonly<AccessLimits>, given: Partial<AccessLimits>): AccessLimits {
  const limits = { ...base };
  for (const name of Object.keys(base) as LimitName[]) limits[name] = given[name] ?? base[name];
  return limits;
}

/** Suggested to who has reached a number that falls only by somebody's doing. */
export const QUOTA_RETRY_SECONDS = 30;
