/**
 * Traces on record, in one file, `traces.sqlite`. Their bytes are beside it, in `traces/`: `<id>.upload` while they arrive and are read,
 * `<digest>.tape` from then on. Two traces with the same content share a tape.
 *
 * A record is written before its upload is taken, and says `reading` only once all bytes are on the disk. So whatever ends the server in
 * between, the bytes that are in the file are those that were sent, from the first one on, and the sender can go on there.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { KeyMark } from '../host/retry.ts';
import { openVersioned } from '../host/versioned-file.ts';
import type { TraceInput, TraceProblem, TraceReading, TraceState } from './trace.ts';

/** "trc" and a number, so that another file is not taken for one. */
const APPLICATION_ID = 0x74726331;
const VERSION = 1;

export class StoreError extends Error {
  override name = 'StoreError';
}

/** What is known of a trace without reading what came of it. */
export interface TraceFacts {
  /** Rises with each. */
  number: number;
  id: string;
  owner: string;
  state: TraceState;
  created: string;
  ended: string | null;
  /** Under which `Idempotency-Key` it was created. */
  made: KeyMark | null;
  input: TraceInput;
  /** Packed bytes that came; while it uploads, the file says how many are there. */
  bytes: number;
  digest: string | null;
  records: number;
  tapeBytes: number;
}

/** What came of reading it. */
export interface TraceOutcome {
  reading: TraceReading;
  devices: string[];
  problem: TraceProblem | null;
}

interface Row {
  number: number;
  id: string;
  owner: string;
  state: TraceState;
  created: string;
  ended: string | null;
  made: string | null;
  input: string;
  bytes: number;
  digest: string | null;
  records: number;
  tapeBytes: number;
}

const SCHEMA = `
CREATE TABLE traces (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, state TEXT NOT NULL, created TEXT NOT NULL, ended TEXT,
  made TEXT, input TEXT NOT NULL, bytes INTEGER NOT NULL, digest TEXT, records INTEGER NOT NULL, tape_bytes INTEGER NOT NULL,
  outcome BLOB
) STRICT;
`;

export class TraceStore {
  private readonly database: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();
  private closed = false;

  /** @param path of the file; null: in memory. @throws StoreError */
  constructor(path: string | null) {
    try {
      this.database = open(path);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError(`${path} cannot be used: ${(error as Error).message}.`);
    }
  }

  private statement(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (statement === undefined) this.statements.set(sql, (statement = this.database.prepare(sql)));
    return statement;
  }

  /** In the order of their numbers. */
  facts(): TraceFacts[] {
    const rows = this.statement(
      `SELECT number, id, owner, state, created, ended, made, input, bytes, digest, records, tape_bytes AS tapeBytes
       FROM traces ORDER BY number`,
    ).all() as unknown as Row[];
    return rows.map((row) => ({
      ...row,
      made: row.made === null ? null : (JSON.parse(row.made) as KeyMark),
      input: JSON.parse(row.input) as TraceInput,
    }));
  }

  add({ number, id, owner, state, created, made, input, bytes }: TraceFacts): void {
    this.statement(
      `INSERT INTO traces (number, id, owner, state, created, ended, made, input, bytes, digest, records, tape_bytes, outcome)
       VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?, NULL, 0, 0, NULL)`,
    ).run(number, id, owner, state, created, made === null ? null : JSON.stringify(made), JSON.stringify(input), bytes);
  }

  /** State, length and what is there of it. */
  update({ number, state, ended, input, bytes, digest, records, tapeBytes }: TraceFacts): void {
    this.statement(
      'UPDATE traces SET state = ?, ended = ?, input = ?, bytes = ?, digest = ?, records = ?, tape_bytes = ? WHERE number = ?',
    ).run(state, ended, JSON.stringify(input), bytes, digest, records, tapeBytes, number);
  }

  /** All at once: what came of it, and that it has ended. */
  end(facts: TraceFacts, outcome: TraceOutcome): void {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      this.update(facts);
      const body = deflateRawSync(JSON.stringify(outcome), { level: 1 });
      this.statement('UPDATE traces SET outcome = ? WHERE number = ?').run(body, facts.number);
      this.database.exec('COMMIT');
    } catch (error) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }

  /** Null while it has not ended. */
  outcome(number: number): TraceOutcome | null {
    const row = this.statement('SELECT outcome FROM traces WHERE number = ?').get(number) as
      | { outcome: Uint8Array | null }
      | undefined;
    if (row === undefined || row.outcome === null) return null;
    return JSON.parse(inflateRawSync(row.outcome).toString()) as TraceOutcome;
  }

  remove(number: number): void {
    this.statement('DELETE FROM traces WHERE number = ?').run(number);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.database.close();
  }
}

function open(path: string | null): DatabaseSync {
  // FULL: what was acknowledged is to be there after the machine, too, has ended without warning.
  const pragmas = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;';
  const file = { path, applicationId: APPLICATION_ID, version: VERSION, schema: SCHEMA, pragmas, of: 'traces' };
  return openVersioned(file, (message) => new StoreError(message));
}
