/**
 * Tokens, grants and links: `access.sqlite` in the data folder, and a copy of it in memory, which is what requests are checked
 * against.
 *
 * The command line writes to the same file while a server runs. SQLite counts the changes that other connections commit
 * (`PRAGMA data_version`), so looking costs a few microseconds and reading anew happens only when there is something new. A rollback
 * journal and not a write-ahead log: writes are rare, and the folder may lie on a volume where memory cannot be shared.
 */
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { ProblemError } from '../api/problem.ts';
import { messageOf } from '../host/journal/journal-error.ts';
import { storageUnavailable } from '../host/problems.ts';
import type { AccessLimits } from './limits.ts';
import type { Scope } from './scopes.ts';

export interface TokenRecord {
  readonly id: string;
  readonly hash: Uint8Array;
  readonly name: string;
  readonly principal: string;
  readonly scope: Scope;
  readonly createdMs: number;
  /** Null: never. */
  readonly expiresMs: number | null;
  readonly revokedMs: number | null;
  readonly lastUsedMs: number | null;
  /** In the place of the server's settings. */
  readonly limits: Partial<AccessLimits>;
  /** The token that this one was made to follow. */
  readonly replaces: string | null;
}

export interface GrantRecord {
  readonly id: string;
  readonly session: string;
  readonly principal: string;
  readonly scope: 'read' | 'write';
  readonly createdMs: number;
  readonly createdBy: string;
}

export interface LinkRecord {
  readonly id: string;
  readonly hash: Uint8Array;
  readonly session: string;
  readonly title: string | null;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly createdBy: string;
}

type Row = Record<string, string | number | null | Uint8Array>;

export const ACCESS_FILE = 'access.sqlite';
const VERSION = 1;
/** How long another process may hold the file before a write gives up. */
const BUSY_MS = 2_000;
/** Least time between two looks for what others have written. */
const LOOK_MS = 250;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL, name TEXT NOT NULL, principal TEXT NOT NULL, scope TEXT NOT NULL,
    createdMs INTEGER NOT NULL, expiresMs INTEGER, revokedMs INTEGER, lastUsedMs INTEGER,
    limits TEXT NOT NULL, replaces TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS grants (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, principal TEXT NOT NULL, scope TEXT NOT NULL,
    createdMs INTEGER NOT NULL, createdBy TEXT NOT NULL, UNIQUE (session, principal)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS links (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL, session TEXT NOT NULL, title TEXT,
    createdMs INTEGER NOT NULL, expiresMs INTEGER NOT NULL, createdBy TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;`;

export class AccessStore {
  private readonly database: DatabaseSync;
  private readonly dataVersion: StatementSync;
  private seenVersion = -1;
  private lookedMs = Number.NEGATIVE_INFINITY;
  /** By id, oldest first. */
  private tokenById = new Map<string, TokenRecord>();
  /** Session -> principal -> grant. */
  private grantsBySession = new Map<string, Map<string, GrantRecord>>();
  private linkById = new Map<string, LinkRecord>();
  /** Last uses that are not in the file yet: a write for each request would cost more than the request. */
  private readonly unsavedUses = new Map<string, number>();
  private tokensEver = false;
  /** Rises with every change of a token. */
  revision = 0;

  /** @param file path, or `:memory:` @throws when it cannot be used, or is of a later version */
  constructor(file: string) {
    // The hashes are of no use to anyone, but who has tokens, and when they were used, is nobody else's business.
    if (file !== ':memory:' && !existsSync(file)) closeSync(openSync(file, 'a', 0o600));
    if (file !== ':memory:') chmodSync(file, 0o600);
    this.database = new DatabaseSync(file, { timeout: BUSY_MS });
    try {
      this.open();
    } catch (error) {
      this.database.close();
      throw error;
    }
    this.dataVersion = this.database.prepare('PRAGMA data_version');
    this.reload();
  }

  private open(): void {
    const { database } = this;
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version > VERSION)
      throw new Error(`it is of version ${version}, and this server knows versions up to ${VERSION}`);
    // What is overwritten is wiped, and a token that was shown is on disk before it is shown.
    database.exec('PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;');
    if (version === VERSION) return;
    this.inOneWrite(() => database.exec(`${SCHEMA} PRAGMA user_version = ${VERSION};`));
  }

  // ------------------------------------------------------------------------------------------------ what is known

  /** Whether a token was ever made: then everybody needs one, also when all have expired. */
  get hasTokens(): boolean {
    return this.tokensEver;
  }

  token(id: string): TokenRecord | undefined {
    return this.tokenById.get(id);
  }

  /** Oldest first. */
  tokens(): TokenRecord[] {
    return [...this.tokenById.values()].map((token) => ({ ...token, lastUsedMs: this.lastUseOf(token) }));
  }

  get tokenCount(): number {
    return this.tokenById.size;
  }

  lastUseOf({ id, lastUsedMs }: TokenRecord): number | null {
    return this.unsavedUses.get(id) ?? lastUsedMs;
  }

  grant(session: string, principal: string): GrantRecord | undefined {
    return this.grantsBySession.get(session)?.get(principal);
  }

  /** Oldest first. */
  grantsOf(session: string): GrantRecord[] {
    return [...(this.grantsBySession.get(session)?.values() ?? [])];
  }

  link(id: string): LinkRecord | undefined {
    return this.linkById.get(id);
  }

  /** Oldest first. */
  linksOf(session: string): LinkRecord[] {
    return [...this.linkById.values()].filter((link) => link.session === session);
  }

  /** Takes in what another process has written; at most every 250 ms, unless `now`. Whether there was something. */
  refresh(nowMs: number, now = false): boolean {
    if (!now && nowMs - this.lookedMs < LOOK_MS && nowMs >= this.lookedMs) return false;
    this.lookedMs = nowMs;
    if (this.versionNow() === this.seenVersion) return false;
    this.reload();
    return true;
  }

  private versionNow(): number {
    return (this.dataVersion.get() as { data_version: number }).data_version;
  }

  private reload(): void {
    const { database } = this;
    this.seenVersion = this.versionNow();
    const rows = (table: string): Row[] =>
      database.prepare(`SELECT * FROM ${table} ORDER BY createdMs, rowid`).all() as Row[];
    this.tokenById = new Map(rows('tokens').map((row) => [String(row.id), tokenOf(row)]));
    this.tokensEver ||= this.tokenById.size > 0;
    this.revision++;
    this.grantsBySession = new Map();
    for (const row of rows('grants')) this.keepGrant(row as unknown as GrantRecord);
    this.linkById = new Map(rows('links').map((row) => [String(row.id), row as unknown as LinkRecord]));
  }

  private keepGrant(grant: GrantRecord): void {
    let grants = this.grantsBySession.get(grant.session);
    if (grants === undefined) this.grantsBySession.set(grant.session, (grants = new Map()));
    grants.set(grant.principal, grant);
  }

  // ------------------------------------------------------------------------------------------------ changes
  //
  // Each is one write, and known here only after the file has it. Where it cannot be written each throws a ProblemError,
  // `storage-unavailable`, and nothing has changed.

  addToken(token: TokenRecord): void {
    this.insertToken(token);
    this.keepToken(token);
    this.tokensEver = true;
  }

  /** Both or neither: a token beside another one, which ends then. */
  replaceToken(token: TokenRecord, old: TokenRecord, oldExpiresMs: number): void {
    // No later than it would end anyway.
    const expiresMs = Math.min(oldExpiresMs, old.expiresMs ?? oldExpiresMs);
    this.inOneWrite(() => {
      this.insertToken(token);
      this.run('UPDATE tokens SET expiresMs = ? WHERE id = ?', expiresMs, old.id);
    });
    this.keepToken(token);
    this.keepToken({ ...old, expiresMs });
  }

  private keepToken(token: TokenRecord): void {
    this.tokenById.set(token.id, token);
    this.revision++;
  }

  private insertToken(token: TokenRecord): void {
    const { id, hash, name, principal, scope, createdMs, expiresMs, revokedMs, lastUsedMs, limits, replaces } = token;
    const values = [id, hash, name, principal, scope, createdMs, expiresMs, revokedMs, lastUsedMs];
    this.run(
      'INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...values,
      JSON.stringify(limits),
      replaces,
    );
  }

  revokeToken(token: TokenRecord, revokedMs: number): void {
    this.run('UPDATE tokens SET revokedMs = ? WHERE id = ?', revokedMs, token.id);
    this.keepToken({ ...token, revokedMs });
  }

  /** Forgets tokens that ended before `beforeMs`. */
  forgetTokens(beforeMs: number): void {
    this.run('DELETE FROM tokens WHERE revokedMs < ?1 OR expiresMs < ?1', beforeMs);
    for (const { id, revokedMs, expiresMs } of [...this.tokenById.values()]) {
      if ((revokedMs ?? beforeMs) < beforeMs || (expiresMs ?? beforeMs) < beforeMs) this.tokenById.delete(id);
    }
  }

  noteUse(id: string, nowMs: number): void {
    this.unsavedUses.set(id, nowMs);
  }

  saveUses(): void {
    if (this.unsavedUses.size === 0) return;
    this.inOneWrite(() => {
      for (const [id, usedMs] of this.unsavedUses)
        this.run('UPDATE tokens SET lastUsedMs = ? WHERE id = ?', usedMs, id);
    });
    for (const [id, lastUsedMs] of this.unsavedUses) {
      const token = this.tokenById.get(id);
      if (token !== undefined) this.tokenById.set(id, { ...token, lastUsedMs });
    }
    this.unsavedUses.clear();
  }

  /** In the place of an earlier one of the same session and principal. */
  putGrant(grant: GrantRecord): void {
    const { id, session, principal, scope, createdMs, createdBy } = grant;
    this.run(
      'INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?)',
      id,
      session,
      principal,
      scope,
      createdMs,
      createdBy,
    );
    this.keepGrant(grant);
  }

  removeGrant({ id, session, principal }: GrantRecord): void {
    this.run('DELETE FROM grants WHERE id = ?', id);
    this.grantsBySession.get(session)?.delete(principal);
  }

  addLink(link: LinkRecord): void {
    const { id, hash, session, title, createdMs, expiresMs, createdBy } = link;
    this.run(
      'INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?)',
      id,
      hash,
      session,
      title,
      createdMs,
      expiresMs,
      createdBy,
    );
    this.linkById.set(id, link);
  }

  removeLink({ id }: LinkRecord): void {
    this.run('DELETE FROM links WHERE id = ?', id);
    this.linkById.delete(id);
  }

  /** Of a session that is gone. */
  forgetSession(session: string): void {
    const links = this.linksOf(session);
    if (links.length === 0 && !this.grantsBySession.has(session)) return;
    this.inOneWrite(() => {
      this.run('DELETE FROM grants WHERE session = ?', session);
      this.run('DELETE FROM links WHERE session = ?', session);
    });
    this.grantsBySession.delete(session);
    for (const { id } of links) this.linkById.delete(id);
  }

  /** A key of this folder, made at the first call. */
  key(name: string, make: () => Uint8Array): Uint8Array {
    this.run('INSERT OR IGNORE INTO keys VALUES (?, ?)', name, make());
    return (this.database.prepare('SELECT value FROM keys WHERE name = ?').get(name) as { value: Uint8Array }).value;
  }

  close(): void {
    this.database.close();
  }

  private run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    try {
      this.database.prepare(sql).run(...values);
    } catch (error) {
      throw unwritten(error);
    }
  }

  private inOneWrite(write: () => void): void {
    try {
      this.database.exec('BEGIN IMMEDIATE');
      write();
      this.database.exec('COMMIT');
    } catch (error) {
      // SQLite has rolled back already where it had to, as on a full disk.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw unwritten(error);
    }
  }
}

/** A full disk, one that may only be read, or another process that does not let go of the file. */
function unwritten(error: unknown): ProblemError {
  return error instanceof ProblemError ? error : new ProblemError(storageUnavailable(messageOf(error)));
}

function tokenOf(row: Row): TokenRecord {
  return { ...row, limits: JSON.parse(String(row.limits)) as Partial<AccessLimits> } as unknown as TokenRecord;
}

/** Opens the one of a data folder. @throws Error with the file's name and what is wrong with it */
export function openAccessStore(folder: string): AccessStore {
  const file = join(folder, ACCESS_FILE);
  try {
    return new AccessStore(file);
  } catch (error) {
    throw new Error(`${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Whether the folder has tokens; no if there is none yet. @throws as `openAccessStore` */
export function folderHasTokens(folder: string): boolean {
  if (!existsSync(join(folder, ACCESS_FILE))) return false;
  const store = openAccessStore(folder);
  try {
    return store.hasTokens;
  } finally {
    store.close();
  }
}
