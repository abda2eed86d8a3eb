/** The file of a journal: its tables, how it is opened, found to be whole, and brought up from an older format. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { JournalError } from './journal-error.ts';
import type { Sync } from './rows.ts';
import { type HeadRow, headText, sumOf } from './sums.ts';
import { inspectLog } from './wal.ts';

const APPLICATION_ID = 0x696f6d6d;
/** 2: snapshots and forks, and heads say how many bytes are kept of a session. 1 is brought up to it when it is opened. */
const FORMAT = 2;

const SCHEMA = `
CREATE TABLE sessions (number INTEGER PRIMARY KEY, facts TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE heads (session INTEGER PRIMARY KEY, base INTEGER NOT NULL, last INTEGER NOT NULL, chain INTEGER NOT NULL, bytes INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE entries (session INTEGER NOT NULL, seq INTEGER NOT NULL, chain INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (session, seq)) STRICT;
CREATE TABLE rests (session INTEGER PRIMARY KEY, seq INTEGER NOT NULL, status TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE blobs (hash TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE life (open INTEGER NOT NULL, probe BLOB) STRICT;
`;

/** `snapshots` has the stretch of entries that leads to each; `forks` whose entries, up to which, a session begins with. */
const SCHEMA_OF_SNAPSHOTS = `
CREATE TABLE images (session INTEGER PRIMARY KEY, seq INTEGER NOT NULL, blob TEXT NOT NULL) STRICT;
CREATE TABLE snapshots (id TEXT PRIMARY KEY, session INTEGER NOT NULL, base INTEGER NOT NULL, seq INTEGER NOT NULL, facts TEXT NOT NULL, sum INTEGER NOT NULL, blob TEXT NOT NULL) STRICT;
CREATE TABLE forks (session INTEGER PRIMARY KEY, parent INTEGER NOT NULL, base INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
CREATE INDEX forks_of ON forks (parent);
CREATE INDEX snapshots_of ON snapshots (session);
CREATE INDEX images_with ON images (blob);
CREATE INDEX snapshots_with ON snapshots (blob);
`;

/** Format 1 had images of two kinds, of which one was never written, and no snapshots. */
const FROM_FORMAT_1 = `
ALTER TABLE images RENAME TO old_images;
DROP INDEX snapshots_of; DROP INDEX images_with; DROP INDEX snapshots_with; DROP TABLE snapshots;
${SCHEMA_OF_SNAPSHOTS}
INSERT INTO images SELECT session, seq, blob FROM old_images WHERE kind = 'latest';
DROP TABLE old_images;
`;

/** @param warnings get what a reader of the log should be told of how it was found; @throws JournalError and what SQLite says */
export function openFile(path: string, sync: Sync, warnings: string[]): DatabaseSync {
  const tail = inspectLog(`${path}-wal`);
  if (tail.damage !== null) throw new JournalError(tail.damage);
  if (tail.warning !== null) warnings.push(tail.warning);
  const logged = tail.frames > 0 || tail.begun;
  if (!logged && wasLeftOpen(path))
    throw new JournalError(`${path} was not closed, and the log that belongs to it, ${path}-wal, is gone or empty.`);
  const database = new DatabaseSync(path, { timeout: 0 });
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${sync === 'commit' ? 'FULL' : 'OFF'}; PRAGMA cache_size = -16384;`,
  );
  prepare(database, path, logged);
  // In the file itself, so that a log that is lost is missed; and a log there is from now on.
  database.exec('UPDATE life SET open = 1; PRAGMA wal_checkpoint(PASSIVE);');
  return database;
}

/** @param logged whether it has a log */
function prepare(database: DatabaseSync, path: string, logged: boolean): void {
  const id = pragma(database, 'application_id');
  const format = pragma(database, 'user_version');
  const empty = Number(database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()!.n) === 0;
  if (empty && id === 0) {
    database.exec(
      `BEGIN; ${SCHEMA} ${SCHEMA_OF_SNAPSHOTS} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; INSERT INTO life VALUES (0, NULL); COMMIT;`,
    );
    return;
  }
  if (id !== APPLICATION_ID) throw new JournalError(`${path} is not a journal of iommu-lab.`);
  if (format < 1 || format > FORMAT)
    throw new JournalError(`${path} has format ${format}; this version reads formats up to ${FORMAT} only.`);
  // After a stop in good order the log is gone, and nothing has touched the file since it was whole.
  if (logged || isOpen(database)) {
    const found = String(Object.values(database.prepare('PRAGMA quick_check(1)').get()!)[0]);
    if (found !== 'ok') throw new JournalError(`${path} is damaged: ${found}.`);
  }
  if (format === 1) bringUp(database);
}

function isOpen(database: DatabaseSync): boolean {
  return database.prepare('SELECT open FROM life').get()!.open !== 0;
}

/** Whether the file itself says so. Whoever opens a file to write to it takes away a log that seems empty, and what can be learned from it. */
function wasLeftOpen(path: string): boolean {
  if (!existsSync(path)) return false;
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  try {
    return pragma(database, 'application_id') === APPLICATION_ID && isOpen(database);
  } finally {
    database.close();
  }
}

/** From format 1 to 2. A head that does not match its sum is left as it is, and does not afterwards. */
function bringUp(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${FROM_FORMAT_1} ALTER TABLE heads ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;`);
  const put = database.prepare('UPDATE heads SET bytes = ?, sum = ? WHERE session = ?');
  const count = database.prepare(
    `SELECT (SELECT ifnull(sum(octet_length(facts)), 0) FROM sessions WHERE number = ?1)
            + (SELECT ifnull(sum(length(body)), 0) FROM entries WHERE session = ?1)
            + (SELECT ifnull(sum(length(body)), 0) FROM images JOIN blobs ON hash = blob WHERE session = ?1)
            + (SELECT ifnull(sum(length(body)), 0) FROM snapshots JOIN blobs ON hash = blob WHERE session = ?1) AS bytes`,
  );
  for (const row of database.prepare('SELECT session, base, last, chain, sum FROM heads').all()) {
    const { session, base, last, chain, sum } = row as unknown as Omit<HeadRow, 'bytes'>;
    if (sum !== sumOf(session, `${base} ${last} ${chain}`)) continue;
    const head = { base, last, chain, bytes: Number(count.get(session)!.bytes) };
    put.run(head.bytes, sumOf(session, headText(head)), session);
  }
  database.exec(`PRAGMA user_version = ${FORMAT}; COMMIT;`);
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get()!)[0]);
}
