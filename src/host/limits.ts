/** What a host takes on at most, and how long it waits. */
export interface HostLimits {
  /** Sessions at a time. */
  sessions: number;
  /** Sessions that are in a worker; the others rest in their journals. */
  awakeSessions: number;
  /** A session that nobody has asked anything for so long is put to rest. */
  idleMs: number;
  /** A session whose journal would take about so long to do again gets an image. */
  replayMs: number;
  /** Longest wait for the reply to one call; `ops` has `opsIdleMs` instead. */
  callTimeoutMs: number;
  /** An `ops` request in which nothing moves for so long is cut. */
  opsIdleMs: number;
  /** Input of one `ops` request ahead of its worker. */
  opsInputBytes: number;
  /** Replies of one `ops` request ahead of its client. */
  opsOutputBytes: number;
  /** Results that the labels of one `ops` request may hold. */
  opsLabelBytes: number;
  /** Body of the `array` format: it is parsed in one go. */
  opsArrayBytes: number;
  /** `ops` requests at a time. */
  opsRequests: number;
  /** Ended runs a session remembers. */
  runRecords: number;
  /** Mutations that may wait behind a long one of the same session. */
  queuedWrites: number;
  /** Least time between two batches of frames of a session. */
  frameEveryMs: number;
  /** Snapshots that one session may have. */
  snapshots: number;
  /** What may be computed to see whether a snapshot from elsewhere is what it says it is. */
  rehearsalMs: number;
  /** What the state of a snapshot from elsewhere may unfold to. */
  snapshotBytes: number;
  /** Longest wait for the workers when the host closes. */
  closeMs: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: HostLimits = {
  sessions: 1000,
  awakeSessions: 500,
  idleMs: 600_000,
  replayMs: 2000,
  callTimeoutMs: 30_000,
  opsIdleMs: 60_000,
  opsInputBytes: 4 * MIB,
  opsOutputBytes: 64 * MIB,
  opsLabelBytes: 512 * MIB,
  opsArrayBytes: 8 * MIB,
  opsRequests: 32,
  runRecords: 1000,
  queuedWrites: 1000,
  frameEveryMs: 100,
  snapshots: 100,
  rehearsalMs: 20_000,
  snapshotBytes: 256 * MIB,
  closeMs: 3000,
};
