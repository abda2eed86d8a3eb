/**
 * The words between the main thread and a session worker. Both directions carry arrays of small flat messages: what was said in
 * one turn of the event loop travels in one `postMessage`, and order is kept across all kinds, so a frame posted before a reset's
 * reply belongs to the epoch before it.
 *
 * Plain structured cloning, not JSON text: 4.0 us against 4.8 us a call with 32 calls in flight, replies of 300 bytes
 * (Node 24, 2 cores). Bytes of requests to `ops` are transferred to a worker; a worker transfers
 * nothing ([decision 14](../../docs/decisions/0014-what-the-compiler-knows.md)).
 */
import type { MessagePort } from 'node:worker_threads';
import type { Operation, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import type { SharedBustle } from './bustle.ts';
import type { HostProblem, OpsResume, Pause, Reply, RunDocument, SessionFrame, SessionState } from './host.ts';
import type { SnapshotRow } from './journal/rows.ts';
import type { Origin } from './origin.ts';
import type { Governed } from './quotas.ts';
import type { KeyMark } from './retry.ts';

/** What a worker is started with (`workerData`). All times in milliseconds of wall time. */
export interface WorkerSettings {
  /** URL of a module with `createSimulator` and `resolveSpec`. */
  simulatorModule: string;
  /** How long one session computes before the message queue and the other sessions get their turn. */
  sliceMs: number;
  bustle: SharedBustle;
  /** There are fewer cores than threads that may want one at a time. */
  coresScarce: boolean;
  /** Replies of one `ops` request that may lie between worker and client. */
  opsOutputBytes: number;
  /** Memory for the results behind the labels of one `ops` request. */
  opsLabelBytes: number;
  /** Ended runs a session remembers. */
  runRecords: number;
  /** Mutations that may wait behind a long one of the same session. */
  queuedWrites: number;
  /** Least time between two batches of frames of one session. */
  frameEveryMs: number;
  /** What may be computed to see whether a snapshot from elsewhere is what it says it is. */
  rehearsalMs: number;
  /** A session whose journal would take about so long to do again gets an image. */
  replayMs: number;
  /** Folder of tapes that sessions may replay; null: there are none. */
  traces: string | null;
  /** To the journal's thread; null: sessions end with the server. */
  journal: MessagePort | null;
}

/** What only the worker knows of a session; the main thread adds names, creation time and spec. */
export interface SessionStatus {
  state: SessionState;
  timeNs: number;
  timePs: string;
  digest: string | null;
  operations: number;
  /** Policy asked for and in force. */
  policy: Record<string, unknown>;
  activeRun: string | null;
  /** The bound that its run has gone beyond, or null. */
  paused: Pause | null;
}

export interface CreatedSession extends SessionStatus {
  spec: Record<string, unknown>;
  coreVersion: string;
}

/** What the main thread knows of a snapshot that is to be taken. */
export type SnapshotBegun = Pick<SnapshotRow, 'id' | 'session' | 'title' | 'createdAt' | 'coreVersion' | 'made'>;

/** What a snapshot from elsewhere comes to. */
export interface Rehearsed {
  spec: Record<string, unknown>;
  status: SessionStatus;
  /** What was done, as the journal has it. */
  records: Uint8Array;
  /** What came of it, packed. */
  image: Uint8Array;
}

/** How a session was left: to answer for it while it rests. */
export interface RestedSession {
  session: string;
  /** Null: it was in the middle of something, and is as before. */
  status: SessionStatus | null;
}

/** A request that gets exactly one reply. */
export type CallBody =
  | { kind: 'validate'; input: Record<string, unknown> }
  /** `memoryBytes`: what it may take at most; 0: as much as it will. */
  | { kind: 'create'; session: string; number: number; input: Record<string, unknown>; memoryBytes: number }
  /** From its journal. */
  | {
      kind: 'wake';
      session: string;
      number: number;
      spec: Record<string, unknown>;
      coreVersion: string;
      digest: string | null;
    }
  /**
   * Whether a snapshot from elsewhere can be had here: what it says is checked, and done again, or its state is taken where that can be
   * trusted. Nothing is created.
   */
  | {
      kind: 'rehearse';
      spec: Record<string, unknown>;
      coreVersion: string;
      digest: string;
      records: unknown[];
      /** What it may take at most; 0: as much as it will. */
      memoryBytes: number;
      /** As it was packed; null: it is not there, or cannot be trusted. */
      state: Uint8Array | null;
    }
  /** Of the session as it is, whatever it is doing; behind an operation in progress. */
  | { kind: 'snapshot'; session: string; facts: SnapshotBegun }
  /** Back to its journal; `rested` false when it is in the middle of something. */
  | { kind: 'rest'; session: string }
  | { kind: 'status'; session: string }
  | { kind: 'apply'; session: string; operation: Operation; retry: KeyMark | null }
  | { kind: 'read'; session: string; reading: Reading }
  | { kind: 'reset'; session: string; retry: KeyMark | null }
  | { kind: 'delete'; session: string }
  | { kind: 'run-start'; session: string; request: RunRequest; retry: KeyMark | null; refusal: HostProblem | null }
  | { kind: 'run-list'; session: string; limit: number; after: number; state: RunDocument['state'] | null }
  | { kind: 'run-get'; session: string; run: string }
  | { kind: 'run-delete'; session: string; run: string }
  | {
      kind: 'ops-open';
      session: string;
      stream: number;
      onError: 'stop' | 'continue';
      /** The whole body of the `array` format; null: lines follow as `ops-input`. */
      array: ArrayBuffer | null;
      resume: OpsResume | null;
      key: string | null;
      /** One Int32: not 0 once the client is gone. Shared, so that it is seen after the line in progress. */
      aborted: SharedArrayBuffer;
    }
  | { kind: 'ops-answered'; session: string; key: string }
  | { kind: 'close' };

/** The request that a call comes from, for the worker's lines. */
export type CalledBy = Pick<Origin, 'requestId' | 'principal' | 'traceId'> & {
  /** `traceparent`; null: it is not traced. */
  context: string | null;
};

/** `from` where the worker may have something to say of the request; `timed` when the answer is to say how long it took. */
export type Call = CallBody & { call: number; from?: CalledBy | null; timed?: true };

/** No reply. */
export type Note =
  | { kind: 'govern'; session: string; governed: Governed }
  | { kind: 'withdraw'; session: string; withdrawn: number }
  /** `bytes` null: the body has ended. */
  | { kind: 'ops-input'; stream: number; bytes: ArrayBuffer | null }
  /** The client has taken so many bytes of replies. */
  | { kind: 'ops-taken'; stream: number; byteCount: number }
  | { kind: 'ops-abort'; stream: number };

export type ToWorker = Call | Note;

/** When a worker took a call and when it answered, milliseconds since 1970. */
export interface Worked {
  fromMs: number;
  toMs: number;
}

/** What happened in a session that nobody hears of in a reply. */
export type Told =
  | { what: 'run-started'; run: string; timeNs: number }
  | {
      what: 'run-ended';
      run: string;
      state: RunDocument['state'];
      timeNs: number;
      computedMs: number;
      /** When it began, here; null: before this worker had it. */
      worked: Worked | null;
      problem: HostProblem | null;
    };

export type FromWorker =
  | { kind: 'ready'; coreVersion: string }
  | { kind: 'reply'; call: number; reply: Reply<unknown>; worked?: Worked }
  /** For the log. */
  | { kind: 'told'; session: string; told: Told; from: CalledBy | null }
  | { kind: 'frames'; session: string; frames: SessionFrame[] }
  /** State as `/metrics` counts it; sent when it changes. */
  | { kind: 'state'; session: string; state: SessionState; problem: HostProblem | null; paused: Pause | null }
  /** So much computing time since it was last told. */
  | { kind: 'computed'; session: string; ms: number }
  /** So many bytes of input were used up: as many more may be sent. */
  | { kind: 'ops-credit'; stream: number; byteCount: number }
  | { kind: 'ops-output'; stream: number; bytes: ArrayBuffer }
  /** The last message of a stream. With `problem` the reply is cut short. */
  | { kind: 'ops-end'; stream: number; problem: HostProblem | null };
