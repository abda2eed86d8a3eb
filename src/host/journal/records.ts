/**
 * What a journal says of one session, in order: a JSON object a line. Replayed from the session's spec they give its state again,
 * digest included; what was refused changed nothing and is not there.
 */
import type { Operation, RunRequest } from '../../core/operations.ts';

/** How a run ended; `interrupted` by the end of the server, at its last mark. */
export type RunEnd = 'finished' | 'cancelled' | 'interrupted';

/**
 * The record before this one was line `line` of an `ops` request with key `of`; or, with `reply`, that line changed nothing and was told
 * so. `print` stands for its text.
 */
export interface LineRecord {
  line: number;
  of: string;
  print: string;
  reply?: string;
}

export type JournalRecord =
  /** An operation that was carried out, failures of the simulated kernel included. */
  | Operation
  /** A run began. */
  | { run: RunRequest }
  /** The active run had handled so many events. */
  | { mark: number }
  /** The active run ended after so many events; `computedMs` is wall time, and not part of the state. */
  | { end: RunEnd; events: number; computedMs: number }
  /** The record of an ended run was removed. */
  | { forget: number }
  /** The record before this one was asked for under an `Idempotency-Key`; `at` is wall time in milliseconds. */
  | { key: string; print: string; at: number }
  | LineRecord
  /** Back to the spec. What lies before is history. */
  | { reset: true };

export function parseRecord(line: string): JournalRecord {
  return JSON.parse(line) as JournalRecord;
}
