/**
 * Experiments and the outcomes of jobs in one file, `experiments.sqlite`; or in memory, for whoever keeps nothing.
 *
 * An outcome belongs to its key and to no experiment: whoever asks for the same again has it. It is kept as long as an experiment on
 * record has a row of that key; the others go when all together take more than they may, the one that was used longest ago first.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { KeyMark } from '../host/retry.ts';
import { openVersioned } from '../host/versioned-file.ts';
import type { ExperimentDocument, ExperimentState, ExperimentSummary, JobOutcome, Row } from './experiment.ts';

/** "lab" and a number, so that another file is not taken for one. */
const APPLICATION_ID = 0x6c616231;
const VERSION = 1;
const OUTCOME_BYTES = 1_073_741_824;

export type RowState = Row['state'];
/** What is kept of a row: an outcome that succeeded is found by its key. */
export interface StoredRow {
  arm: string;
  seed: number;
  key: string;
  state: RowState;
  cached: boolean;
  failure: { code: string; detail: string } | null;
}

/** What is known of an experiment without reading its document. */
export interface ExperimentFacts {
  /** Rises with each. */
  number: number;
  id: string;
  name: string | null;
  owner: string;
  state: ExperimentState;
  /** Under which `Idempotency-Key` it was created. */
  made: KeyMark | null;
}

export class StoreError extends Error {
  override name = 'StoreError';
}

export function summaryOf({ request: _request, arms: _arms, ...summary }: ExperimentDocument): ExperimentSummary {
  return summary;
}

export function progressOf({ total, finished, failed }: ExperimentSummary['jobs']): number {
  return total === 0 ? 1 : (finished + failed) / total;
}

const SCHEMA = `
CREATE TABLE experiments (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, owner TEXT NOT NULL, state TEXT NOT NULL,
  ended TEXT, made TEXT, summary TEXT NOT NULL, document BLOB NOT NULL
) STRICT;
CREATE TABLE rows (
  experiment INTEGER NOT NULL REFERENCES experiments (number) ON DELETE CASCADE, position INTEGER NOT NULL,
  arm TEXT NOT NULL, seed INTEGER NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, cached INTEGER NOT NULL, failure TEXT,
  PRIMARY KEY (experiment, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX rows_by_key ON rows (key);
CREATE TABLE outcomes (key TEXT PRIMARY KEY, bytes INTEGER NOT NULL, used INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX outcomes_by_use ON outcomes (used);
`;

export class ExperimentStore {
  private readonly database: DatabaseSync;
  private readonly outcomeBytes: number;
  private readonly statements = new Map<string, StatementSync>();
  private bytes: number;
  private closed = false;

  /**
   * @param path of the file; null: in memory
   * @param outcomeBytes of all outcomes together, compressed
   * @throws StoreError
   */
  constructor(path: string | null, outcomeBytes = OUTCOME_BYTES) {
    this.outcomeBytes = outcomeBytes;
    try {
      this.database = open(path);
      this.bytes = (this.get('SELECT coalesce(sum(bytes), 0) AS bytes FROM outcomes') as { bytes: number }).bytes;
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
  private run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    this.statement(sql).run(...values);
  }
  private get(sql: string, ...values: (string | number)[]): unknown {
    return this.statement(sql).get(...values);
  }
  private all(sql: string, ...values: (string | number)[]): unknown[] {
    return this.statement(sql).all(...values);
  }

  private whole(change: () => void): void {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      change();
      this.database.exec('COMMIT');
    } catch (error) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }

  // Experiments

  /** In the order of their numbers. */
  facts(): ExperimentFacts[] {
    const rows = this.all('SELECT number, id, name, owner, state, made FROM experiments ORDER BY number');
    return (rows as (Omit<ExperimentFacts, 'made'> & { made: string | null })[]).map(({ made, ...facts }) => ({
      ...facts,
      made: made === null ? null : (JSON.parse(made) as KeyMark),
    }));
  }

  add(
    { number, id, name, owner, state, made }: ExperimentFacts,
    document: ExperimentDocument,
    rows: StoredRow[],
  ): void {
    this.whole(() => {
      this.run(
        'INSERT INTO experiments (number, id, name, owner, state, ended, made, summary, document) VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?)',
        number,
        id,
        name,
        owner,
        state,
        made === null ? null : JSON.stringify(made),
        JSON.stringify(summaryOf(document)),
        packed(document),
      );
      for (const [position, row] of rows.entries())
        this.run(
          'INSERT INTO rows (experiment, position, arm, seed, key, state, cached, failure) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)',
          number,
          position,
          row.arm,
          row.seed,
          row.key,
          row.state,
          row.cached ? 1 : 0,
        );
    });
  }

  /** As it was when it was made; what has come of it is told by its state, its rows and when it ended. */
  document(number: number): { document: ExperimentDocument; ended: string | null } {
    const row = this.get('SELECT document, ended FROM experiments WHERE number = ?', number) as
      | { document: Uint8Array; ended: string | null }
      | undefined;
    if (row === undefined) throw new StoreError(`there is no experiment number ${number}`);
    return { document: unpacked(row.document) as ExperimentDocument, ended: row.ended };
  }

  /** All of it but what grows with the arms, as it is now. */
  summary(number: number): ExperimentSummary {
    const { summary, state, endedAt } = this.get(
      'SELECT summary, state, ended AS endedAt FROM experiments WHERE number = ?',
      number,
    ) as { summary: string; state: ExperimentState; endedAt: string | null };
    const jobs = this.get(
      `SELECT count(*) AS total, total(state = 'finished') AS finished, total(state = 'failed') AS failed, total(cached) AS cached
       FROM rows WHERE experiment = ?`,
      number,
    ) as ExperimentSummary['jobs'];
    return {
      ...(JSON.parse(summary) as ExperimentSummary),
      state,
      endedAt,
      jobs: { ...jobs },
      progress: progressOf(jobs),
    };
  }

  rows(number: number): StoredRow[] {
    const rows = this.all(
      'SELECT arm, seed, key, state, cached, failure FROM rows WHERE experiment = ? ORDER BY position',
      number,
    ) as { arm: string; seed: number; key: string; state: RowState; cached: number; failure: string | null }[];
    return rows.map(({ cached, failure, ...row }) => ({
      ...row,
      cached: cached === 1,
      failure: failure === null ? null : (JSON.parse(failure) as StoredRow['failure']),
    }));
  }

  setState(number: number, state: ExperimentState, ended: string | null = null): void {
    this.run('UPDATE experiments SET state = ?, ended = ? WHERE number = ?', state, ended, number);
  }

  setRow(number: number, position: number, { state, cached, failure }: StoredRow): void {
    this.run(
      'UPDATE rows SET state = ?, cached = ?, failure = ? WHERE experiment = ? AND position = ?',
      state,
      cached ? 1 : 0,
      failure === null ? null : JSON.stringify(failure),
      number,
      position,
    );
  }

  /** Several changes at once. */
  together(change: () => void): void {
    this.whole(change);
  }

  remove(number: number): void {
    this.run('DELETE FROM experiments WHERE number = ?', number);
  }

  // Outcomes

  /** Whether there is one; it counts as used. */
  has(key: string, nowMs: number): boolean {
    const found = this.get('SELECT 1 FROM outcomes WHERE key = ?', key) !== undefined;
    if (found) this.run('UPDATE outcomes SET used = ? WHERE key = ?', nowMs, key);
    return found;
  }

  outcome(key: string): JobOutcome | null {
    const row = this.get('SELECT body FROM outcomes WHERE key = ?', key) as { body: Uint8Array } | undefined;
    return row === undefined ? null : (unpacked(row.body) as JobOutcome);
  }

  /** Of a job that succeeded. */
  putOutcome(key: string, outcome: JobOutcome & { ok: true }, nowMs: number): void {
    const body = packed(outcome);
    const before = this.get('SELECT bytes FROM outcomes WHERE key = ?', key) as { bytes: number } | undefined;
    this.run(
      'INSERT OR REPLACE INTO outcomes (key, bytes, used, body) VALUES (?, ?, ?, ?)',
      key,
      body.length,
      nowMs,
      body,
    );
    this.bytes += body.length - (before?.bytes ?? 0);
    if (this.bytes > this.outcomeBytes) this.makeRoom();
  }

  private makeRoom(): void {
    const unused = this.all(
      `SELECT key, bytes FROM outcomes WHERE NOT EXISTS (SELECT 1 FROM rows WHERE rows.key = outcomes.key)
       ORDER BY used LIMIT 1000`,
    ) as { key: string; bytes: number }[];
    for (const { key, bytes } of unused) {
      if (this.bytes <= this.outcomeBytes) return;
      this.run('DELETE FROM outcomes WHERE key = ?', key);
      this.bytes -= bytes;
    }
  }

  /** What outcomes take, and whether that is as much as they may, all of it held by experiments on record. */
  get storedBytes(): number {
    return this.bytes;
  }
  get full(): boolean {
    if (this.bytes >= this.outcomeBytes) this.makeRoom();
    return this.bytes >= this.outcomeBytes;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.database.close();
  }
}

function open(path: string | null): DatabaseSync {
  const pragmas = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;';
  const file = { path, applicationId: APPLICATION_ID, version: VERSION, schema: SCHEMA, pragmas, of: 'experiments' };
  return openVersioned(file, (message) => new StoreError(message));
}

function packed(value: unknown): Uint8Array {
  return deflateRawSync(JSON.stringify(value), { level: 1 });
}
function unpacked(body: Uint8Array): unknown {
  return JSON.parse(inflateRawSync(body).toString());
}
