/**
 * The file in which sessions live: who they are, and all that was done to them, in order. One writer, the journal's thread.
 *
 * SQLite keeps transactions whole whatever happens to the process or the machine. It does not notice a byte that changes on the disk,
 * nor a part of its log that is gone, so each row carries a sum of its own, and the sums of a session's entries are chained: an entry
 * that is changed, missing or out of place is found when the session is read, and `wal.ts` looks at the log before SQLite does.
 */
import { hash } from 'node:crypto';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { KeyMark } from '../retry.ts';
import { inspectLog } from './wal.ts';

/** When a commit counts as done: once the disk has it, or once the operating system has. */
export type Sync = 'commit' | 'never';

/** A session's row, as the main thread gives it. */
export interface SessionRow {
  /** Rises with each creation. */
  number: number;
  id: string;
  /** Names the principal it belongs to. */
  owner: string;
  name?: string;
  title?: string;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601. */
  expiresAt?: string;
  coreVersion: string;
  /** As resolved. */
  spec: Record<string, unknown>;
  /** The `Idempotency-Key` under which it was created. */
  made?: KeyMark;
}

export interface StoredSession extends SessionRow {
  /** As it was when it was last put to rest, and whether nothing was done to it since; null before. */
  rest: { status: Record<string, unknown>; current: boolean } | null;
  /** What is kept of it: spec, entries, images, snapshots. */
  bytes: number;
  /** Why it cannot be used, or null. */
  damage: string | null;
}

export type Change =
  | { do: 'add'; session: SessionRow }
  /** Name or title changed. */
  | { do: 'change'; session: SessionRow }
  | { do: 'remove'; number: number }
  /** Lines of records; `reset` when they begin with one. */
  | { do: 'append'; number: number; body: Uint8Array; reset: boolean }
  | { do: 'rest'; number: number; status: Record<string, unknown> }
  /** How it is after all that was appended: it need not be done again. */
  | { do: 'image'; number: number; body: Uint8Array }
  /** The same, to be kept under a name; `body` is as that of an image. */
  | { do: 'snapshot'; number: number; snapshot: SnapshotRow; body: Uint8Array }
  /** A session that begins as a snapshot has it. Nothing when that is gone. */
  | { do: 'fork'; session: SessionRow; of: string }
  | { do: 'forget-snapshot'; id: string }
  /** Writes so much in the place of what the last one wrote, to see whether that is possible. */
  | { do: 'probe'; bytes: number };

export interface StoredImage {
  /** Entries up to this one are in it. */
  seq: number;
  body: Uint8Array;
}

export interface SnapshotRow {
  id: string;
  /** Id of the session. */
  session: string;
  title?: string;
  /** ISO 8601. */
  createdAt: string;
  timeNs: number;
  timePs: string;
  digest: string;
  operations: number;
  coreVersion: string;
  /** Id of the run that was active, or null. */
  activeRun: string | null;
  /** Of the state, packed. */
  lengthBytes: number;
  /** The `Idempotency-Key` under which it was taken. */
  made?: KeyMark & { at: number };
}

/** With its place in the order in which all were taken, from 1. */
export interface PlacedSnapshot {
  place: number;
  snapshot: SnapshotRow;
}

/** Entries of a session since its last reset, in order. */
export interface Stretch {
  bodies: Uint8Array[];
  /** They are those of the session that this one was forked of. */
  inherited: boolean;
  /** Where the next one goes on; null at the end. */
  after: number | null;
}

/** The file cannot be used as it is; the message says why and where. */
export class JournalError extends Error {}

const APPLICATION_ID = 0x696f6d6d;
/** 2: snapshots and forks, and heads say how many bytes are kept of a session. 1 is brought up to it when it is opened. */
const FORMAT = 2;
/** Bytes of entries that one read gives, or a little more. */
const STRETCH_BYTES = 4 << 20;

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

/**
 * Where the entries of a session begin and end, the sum that the last one's chain has, and bytes of all that is kept of it. A blob
 * counts for each that refers to it: what one session shares with another is not known to either.
 */
interface Head {
  base: number;
  last: number;
  chain: number;
  bytes: number;
}

/** Entries up to `last` are those of `parent`; from `base` they lead to what it began with. */
interface Fork {
  parent: number;
  base: number;
  last: number;
}

interface HeadRow extends Head {
  session: number;
  sum: number;
}

export class JournalDatabase {
  /** What a reader of the log should be told of how the file was found. */
  readonly warnings: string[] = [];
  private readonly path: string;
  private readonly database: DatabaseSync;
  private readonly heads = new Map<number, Head>();
  /** Of sessions that are gone, too, while others begin with their entries. */
  private readonly forks = new Map<number, Fork>();
  /** Heads as they were before the changes that are being made, to go back to. */
  private readonly before = new Map<number, Head | undefined>();
  private readonly insertSession: StatementSync;
  private readonly updateSession: StatementSync;
  private readonly putHead: StatementSync;
  private readonly insertEntry: StatementSync;
  private readonly putRest: StatementSync;
  private readonly selectEntries: StatementSync;
  private readonly insertImage: StatementSync;
  private readonly deleteImage: StatementSync;
  private readonly insertBlob: StatementSync;

  /** @throws JournalError */
  constructor(path: string, sync: Sync) {
    this.path = path;
    const tail = inspectLog(`${path}-wal`);
    if (tail.damage !== null) throw new JournalError(tail.damage);
    if (tail.warning !== null) this.warnings.push(tail.warning);
    try {
      this.database = new DatabaseSync(path, { timeout: 0 });
      this.database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${sync === 'commit' ? 'FULL' : 'OFF'}; PRAGMA cache_size = -16384;`,
      );
      this.prepareFile(tail.frames > 0);
      // In the file itself, so that a log that is lost is missed; and a log there is from now on.
      this.database.exec('UPDATE life SET open = 1; PRAGMA wal_checkpoint(PASSIVE);');
      this.insertSession = this.database.prepare('INSERT INTO sessions (number, facts, sum) VALUES (?, ?, ?)');
      this.updateSession = this.database.prepare('UPDATE sessions SET facts = ?, sum = ? WHERE number = ?');
      this.putHead = this.database.prepare(
        'INSERT OR REPLACE INTO heads (session, base, last, chain, bytes, sum) VALUES (?, ?, ?, ?, ?, ?)',
      );
      this.insertEntry = this.database.prepare('INSERT INTO entries (session, seq, chain, body) VALUES (?, ?, ?, ?)');
      this.putRest = this.database.prepare(
        'INSERT OR REPLACE INTO rests (session, seq, status, sum) VALUES (?, ?, ?, ?)',
      );
      this.insertImage = this.database.prepare('INSERT INTO images (session, seq, blob) VALUES (?, ?, ?)');
      this.deleteImage = this.database.prepare('DELETE FROM images WHERE session = ?');
      this.insertBlob = this.database.prepare('INSERT OR IGNORE INTO blobs (hash, body) VALUES (?, ?)');
      this.selectEntries = this.database.prepare(
        'SELECT seq, chain, body FROM entries WHERE session = ? AND seq > ? ORDER BY seq',
      );
    } catch (error) {
      if (error instanceof JournalError) throw error;
      throw new JournalError(`${path} cannot be used: ${messageOf(error)}.`);
    }
  }

  /** @param logged whether it has a log */
  private prepareFile(logged: boolean): void {
    const { database, path } = this;
    const id = this.pragma('application_id');
    const format = this.pragma('user_version');
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
    const open = database.prepare('SELECT open FROM life').get()!.open !== 0;
    if (open && !logged)
      throw new JournalError(`${path} was not closed, and the log that belongs to it, ${path}-wal, is gone or empty.`);
    if (open || logged) {
      const found = String(Object.values(database.prepare('PRAGMA quick_check(1)').get()!)[0]);
      if (found !== 'ok') throw new JournalError(`${path} is damaged: ${found}.`);
    }
    if (format === 1) this.bringUp();
  }

  /** From format 1 to 2. A head that does not match its sum is left as it is, and does not afterwards. */
  private bringUp(): void {
    const { database } = this;
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

  private pragma(name: string): number {
    return Number(Object.values(this.database.prepare(`PRAGMA ${name}`).get()!)[0]);
  }

  /**
   * All sessions in the order of their numbers.
   *
   * @throws JournalError
   */
  sessions(): StoredSession[] {
    return this.named(() => this.readSessions());
  }

  /** What SQLite says of a file names no file. */
  private named<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof JournalError) throw error;
      throw new JournalError(`${this.path} is damaged: ${messageOf(error)}.`);
    }
  }

  private readForks(): void {
    this.forks.clear();
    for (const row of this.database.prepare('SELECT session, parent, base, last FROM forks').all())
      this.forks.set(Number(row.session), {
        parent: Number(row.parent),
        base: Number(row.base),
        last: Number(row.last),
      });
  }

  private readSessions(): StoredSession[] {
    this.readForks();
    const sessions: StoredSession[] = [];
    const rests = new Map(
      (this.database.prepare('SELECT session, seq, status, sum FROM rests').all() as unknown as RestRow[]).map(
        (row) => [row.session, row],
      ),
    );
    const heads = new Map(
      (
        this.database.prepare('SELECT session, base, last, chain, bytes, sum FROM heads').all() as unknown as HeadRow[]
      ).map((row) => [row.session, row]),
    );
    for (const row of this.database.prepare('SELECT number, facts, sum FROM sessions ORDER BY number').all()) {
      const { number, facts, sum } = row as unknown as { number: number; facts: string; sum: number };
      if (sum !== sumOf(number, facts)) {
        this.warnings.push(
          `${this.path}: the row of session number ${number} does not match its sum; it is left alone.`,
        );
        continue;
      }
      const session: StoredSession = { ...(JSON.parse(facts) as SessionRow), rest: null, bytes: 0, damage: null };
      const head = heads.get(number);
      if (head === undefined || head.sum !== sumOf(number, headText(head)))
        session.damage = `${this.path}: what is known of the end of this session's journal does not match its sum.`;
      else {
        this.heads.set(number, { base: head.base, last: head.last, chain: head.chain, bytes: head.bytes });
        session.bytes = head.bytes;
        const rest = rests.get(number);
        if (rest !== undefined && rest.sum === sumOf(number, `${rest.seq} ${rest.status}`))
          session.rest = {
            status: JSON.parse(rest.status) as Record<string, unknown>,
            current: rest.seq === head.last,
          };
      }
      sessions.push(session);
    }
    return sessions;
  }

  /** All of it, or nothing when it throws. @returns the sessions of which there is more or less now: their numbers, and how much */
  commit(changes: readonly Change[]): Map<number, number> {
    this.before.clear();
    this.database.exec('BEGIN IMMEDIATE');
    try {
      for (const change of changes) this.make(change);
      this.database.exec('COMMIT');
    } catch (error) {
      for (const [number, head] of this.before) {
        if (head === undefined) this.heads.delete(number);
        else this.heads.set(number, head);
      }
      // SQLite has rolled back already where it had to.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      this.readForks();
      throw error;
    }
    const sizes = new Map<number, number>();
    for (const [number, head] of this.before) {
      const bytes = this.heads.get(number)?.bytes ?? 0;
      if (bytes !== (head?.bytes ?? 0)) sizes.set(number, bytes);
    }
    return sizes;
  }

  private make(change: Change): void {
    switch (change.do) {
      case 'add': {
        const { session } = change;
        this.addSession(session, { base: 1, last: 0, chain: session.number }, 0);
        return;
      }
      case 'change': {
        const { session } = change;
        const facts = JSON.stringify(session);
        this.grow(session.number, Buffer.byteLength(facts) - this.factsBytes(session.number));
        this.updateSession.run(facts, sumOf(session.number, facts), session.number);
        return;
      }
      case 'image': {
        const head = this.heads.get(change.number);
        if (head === undefined) return;
        this.removeImage(change.number);
        this.insertImage.run(change.number, head.last, this.putBlob(change.body));
        this.grow(change.number, change.body.byteLength);
        return;
      }
      case 'snapshot': {
        const { snapshot, number, body } = change;
        const head = this.heads.get(number);
        if (head === undefined) return;
        const facts = JSON.stringify(snapshot);
        const { base, last } = head;
        this.database
          .prepare('INSERT INTO snapshots (id, session, base, seq, facts, sum, blob) VALUES (?, ?, ?, ?, ?, ?, ?)')
          .run(snapshot.id, number, base, last, facts, sumOf(number, `${base} ${last} ${facts}`), this.putBlob(body));
        this.grow(number, body.byteLength);
        return;
      }
      case 'fork':
        this.fork(change.session, change.of);
        return;
      case 'forget-snapshot': {
        const row = this.database.prepare('SELECT session FROM snapshots WHERE id = ?').get(change.id);
        if (row === undefined) return;
        this.letGo('SELECT session, blob FROM snapshots WHERE id = ?', change.id);
        this.database.prepare('DELETE FROM snapshots WHERE id = ?').run(change.id);
        this.collectBlobs();
        if (this.heads.has(Number(row.session))) this.dropHistory(Number(row.session));
        return;
      }
      case 'remove':
        for (const table of ['heads', 'rests', 'images', 'snapshots'])
          this.database.prepare(`DELETE FROM ${table} WHERE session = ?`).run(change.number);
        this.database.prepare('DELETE FROM sessions WHERE number = ?').run(change.number);
        this.remember(change.number);
        this.heads.delete(change.number);
        this.removeEntries(change.number);
        this.collectBlobs();
        return;
      case 'append': {
        const head = this.heads.get(change.number);
        // Removed meanwhile: nobody waits for it any more.
        if (head === undefined) return;
        const seq = head.last + 1;
        const chain = crc32(change.body, crc32(`${change.number} ${seq}`, head.chain));
        this.insertEntry.run(change.number, seq, chain, change.body);
        const bytes = head.bytes + change.body.byteLength;
        this.moveHead(change.number, { base: change.reset ? seq : head.base, last: seq, chain, bytes });
        if (!change.reset) return;
        this.removeImage(change.number);
        this.dropHistory(change.number);
        return;
      }
      case 'rest': {
        const head = this.heads.get(change.number);
        if (head === undefined) return;
        const status = JSON.stringify(change.status);
        this.putRest.run(change.number, head.last, status, sumOf(change.number, `${head.last} ${status}`));
        return;
      }
      case 'probe':
        this.database.prepare('UPDATE life SET probe = zeroblob(?)').run(change.bytes);
        return;
    }
  }

  private addSession(session: SessionRow, place: Omit<Head, 'bytes'>, sharedBytes: number): void {
    const facts = JSON.stringify(session);
    this.insertSession.run(session.number, facts, sumOf(session.number, facts));
    this.moveHead(session.number, { ...place, bytes: Buffer.byteLength(facts) + sharedBytes });
  }

  /** It shares the entries and the image of what it comes of. */
  private fork(session: SessionRow, of: string): void {
    const row = this.database.prepare('SELECT session, base, seq, blob FROM snapshots WHERE id = ?').get(of);
    if (row === undefined) return;
    const { session: parent, base, seq, blob } = row as unknown as SnapshotPlace;
    const { number } = session;
    const chain = seq === 0 ? number : this.chainAt(parent, seq);
    this.addSession(session, { base, last: seq, chain }, this.bytesOf(parent, base, seq) + this.blobBytes(blob));
    if (seq > 0) {
      this.database
        .prepare('INSERT INTO forks (session, parent, base, last) VALUES (?, ?, ?, ?)')
        .run(number, parent, base, seq);
      this.forks.set(number, { parent, base, last: seq });
    }
    this.insertImage.run(number, seq, blob);
  }

  /** Of a session that is gone: but for those with which others begin. */
  private removeEntries(number: number): void {
    const kept = this.neededUpTo(number);
    this.database.prepare('DELETE FROM entries WHERE session = ? AND seq > ?').run(number, kept);
    if (kept === 0) this.leaveParent(number);
  }

  /** It does not begin with the entries of another any more. */
  private leaveParent(number: number): void {
    const fork = this.forks.get(number);
    if (fork === undefined) return;
    this.database.prepare('DELETE FROM forks WHERE session = ?').run(number);
    this.forks.delete(number);
    if (this.heads.has(fork.parent)) this.dropHistory(fork.parent);
    else this.removeEntries(fork.parent);
  }

  /** The last entry with which forks begin, or which leads to a snapshot; 0: none. */
  private neededUpTo(number: number): number {
    const { last } = this.database
      .prepare(
        `SELECT max(ifnull((SELECT max(last) FROM forks WHERE parent = ?1), 0),
                    ifnull((SELECT max(seq) FROM snapshots WHERE session = ?1), 0)) AS last`,
      )
      .get(number) as { last: number };
    return last;
  }

  /** Bytes of entries, whoever has them. */
  private bytesOf(number: number, from: number, last: number): number {
    const sum = this.database.prepare(
      'SELECT ifnull(sum(length(body)), 0) AS bytes FROM entries WHERE session = ? AND seq BETWEEN ? AND ?',
    );
    let bytes = 0;
    for (let seq = from; seq <= last; ) {
      const { holder, end } = this.holderOf(number, seq, last);
      bytes += Number(sum.get(holder, seq, end)!.bytes);
      seq = end + 1;
    }
    return bytes;
  }

  private blobBytes(key: string): number {
    const found = this.database.prepare('SELECT length(body) AS bytes FROM blobs WHERE hash = ?').get(key);
    return Number(found?.bytes ?? 0);
  }

  /** By its hash, so that a fork and what it came of share it. */
  private putBlob(body: Uint8Array): string {
    const key = hash('sha256', body);
    this.insertBlob.run(key, body);
    return key;
  }

  private removeImage(number: number): void {
    this.letGo('SELECT session, blob FROM images WHERE session = ?', number);
    if (this.deleteImage.run(number).changes > 0) this.collectBlobs();
  }

  /**
   * What lay before a reset and is needed for no snapshot nobody will ask again; of the last entry there only the sum, from which the
   * chain goes on.
   */
  private dropHistory(number: number): void {
    const { base } = this.heads.get(number)!;
    const needed = this.neededUpTo(number);
    const fork = this.forks.get(number);
    // Of the entry before the first, its own or not, the sum is needed.
    if (fork !== undefined && needed === 0 && base - 1 > fork.last) {
      this.grow(number, -this.bytesOf(number, fork.base, fork.last));
      this.leaveParent(number);
    }
    const first = needed + 1;
    if (base <= first) return;
    const { bytes } = this.database
      .prepare('SELECT ifnull(sum(length(body)), 0) AS bytes FROM entries WHERE session = ? AND seq BETWEEN ? AND ?')
      .get(number, first, base - 1) as { bytes: number };
    this.database.prepare('DELETE FROM entries WHERE session = ? AND seq BETWEEN ? AND ?').run(number, first, base - 2);
    this.database.prepare("UPDATE entries SET body = x'' WHERE session = ? AND seq = ?").run(number, base - 1);
    this.grow(number, -bytes);
  }

  private factsBytes(number: number): number {
    const row = this.database.prepare('SELECT octet_length(facts) AS bytes FROM sessions WHERE number = ?').get(number);
    return (row as { bytes: number } | undefined)?.bytes ?? 0;
  }

  /** What the rows refer to counts for their sessions no more. @param query gives `session` and `blob` */
  private letGo(query: string, ...values: (string | number)[]): void {
    for (const row of this.database.prepare(query).all(...values)) {
      const { session, blob } = row as { session: number; blob: string };
      this.grow(session, -this.blobBytes(blob));
    }
  }

  private grow(number: number, bytes: number): void {
    const head = this.heads.get(number);
    if (head !== undefined && bytes !== 0) this.moveHead(number, { ...head, bytes: head.bytes + bytes });
  }

  /** Those that nothing refers to. */
  private collectBlobs(): void {
    this.database.exec(
      'DELETE FROM blobs WHERE hash NOT IN (SELECT blob FROM images UNION SELECT blob FROM snapshots)',
    );
  }

  /**
   * What saves a session from doing all again; null when nothing does.
   *
   * @throws JournalError when it is not as it was written
   */
  image(number: number): StoredImage | null {
    return this.named(() => {
      const row = this.database.prepare('SELECT seq, blob FROM images WHERE session = ?').get(number);
      return row === undefined ? null : { seq: Number(row.seq), body: this.blob(row.blob as string) };
    });
  }

  /** @throws JournalError when there is none, or it is not as it was written */
  snapshotBody(id: string): Uint8Array {
    return this.named(() => {
      const row = this.database.prepare('SELECT blob FROM snapshots WHERE id = ?').get(id);
      if (row === undefined) throw new JournalError(`${this.path}: there is no snapshot ${id}.`);
      return this.blob(row.blob as string);
    });
  }

  /** Oldest first; @throws JournalError when one is not as it was written */
  snapshots(number: number): PlacedSnapshot[] {
    return this.named(() =>
      this.database
        .prepare(
          'SELECT rowid AS place, session, base, seq, facts, sum FROM snapshots WHERE session = ? ORDER BY rowid',
        )
        .all(number)
        .map((row) => ({
          place: Number(row.place),
          snapshot: this.snapshotOf(row as unknown as SnapshotFacts),
        })),
    );
  }

  /** @throws JournalError when it is not as it was written */
  snapshot(id: string): SnapshotRow | null {
    return this.named(() => {
      const row = this.database.prepare('SELECT session, base, seq, facts, sum FROM snapshots WHERE id = ?').get(id);
      return row === undefined ? null : this.snapshotOf(row as unknown as SnapshotFacts);
    });
  }

  private snapshotOf({ session, base, seq, facts, sum }: SnapshotFacts): SnapshotRow {
    if (sum !== sumOf(session, `${base} ${seq} ${facts}`))
      throw new JournalError(`${this.path}: a snapshot of session number ${session} does not match its sum.`);
    return JSON.parse(facts) as SnapshotRow;
  }

  /**
   * Entries that lead to a snapshot, after entry `after` (0: from the first).
   *
   * @throws JournalError when there is none, or one of them is not as it was written
   */
  snapshotStretch(id: string, after: number): Stretch {
    return this.named(() => {
      const row = this.database.prepare('SELECT session, base, seq FROM snapshots WHERE id = ?').get(id);
      if (row === undefined) throw new JournalError(`${this.path}: there is no snapshot ${id}.`);
      const { session, base, seq } = row as unknown as SnapshotPlace;
      return this.readStretch(session, after, { base, last: seq });
    });
  }

  private blob(key: string): Uint8Array {
    const row = this.database.prepare('SELECT body FROM blobs WHERE hash = ?').get(key);
    const body = row?.body as Uint8Array | undefined;
    if (body === undefined || hash('sha256', body) !== key)
      throw new JournalError(`${this.path}: the image ${key} is missing or is not what was written.`);
    return body;
  }

  private moveHead(number: number, head: Head): void {
    this.remember(number);
    this.heads.set(number, head);
    this.putHead.run(number, head.base, head.last, head.chain, head.bytes, sumOf(number, headText(head)));
  }

  private remember(number: number): void {
    if (!this.before.has(number)) this.before.set(number, this.heads.get(number));
  }

  /**
   * Entries since the last reset, after entry `after` (0: from the first).
   *
   * @throws JournalError when one of them is not as it was written
   */
  stretch(number: number, after: number): Stretch {
    return this.named(() => {
      const head = this.heads.get(number);
      if (head === undefined) throw new JournalError(`${this.path}: there is no session number ${number}.`);
      const stretch = this.readStretch(number, after, head);
      if (stretch.after === null && this.chainAt(number, head.last) !== head.chain)
        throw new JournalError(`${this.path}: the last entry of session number ${number} is not the one it had.`);
      return stretch;
    });
  }

  /** Up to the end, or as much as one read gives; all of one holder. */
  private readStretch(number: number, after: number, { base, last }: { base: number; last: number }): Stretch {
    let seq = Math.max(after, base - 1);
    const { holder, end } = this.holderOf(number, seq + 1, last);
    const inherited = holder !== number;
    const bodies: Uint8Array[] = [];
    let chain = this.chainAt(number, seq);
    let bytes = 0;
    for (const row of seq < end ? this.selectEntries.iterate(holder, seq) : []) {
      const entry = row as unknown as { seq: number; chain: number; body: Uint8Array };
      if (seq === end) break;
      seq++;
      chain = crc32(entry.body, crc32(`${holder} ${seq}`, chain));
      if (entry.seq !== seq || chain !== entry.chain)
        throw new JournalError(
          `${this.path}: entry ${seq} of session number ${holder} is missing or does not match its sum.`,
        );
      bodies.push(entry.body);
      bytes += entry.body.byteLength;
      if (bytes >= STRETCH_BYTES && seq < last) return { bodies, inherited, after: seq };
    }
    if (seq < end)
      throw new JournalError(
        `${this.path}: session number ${holder} has ${end} entries, and those after ${seq} are missing.`,
      );
    return { bodies, inherited, after: seq < last ? seq : null };
  }

  /** Who has entry `seq` of a session, and up to which one, at most `last`. */
  private holderOf(number: number, seq: number, last: number): { holder: number; end: number } {
    let holder = number;
    let end = last;
    for (let fork = this.forks.get(holder); fork !== undefined && seq <= fork.last; fork = this.forks.get(holder)) {
      holder = fork.parent;
      end = Math.min(end, fork.last);
    }
    return { holder, end };
  }

  /** Of the entry before the first one, what its chain begins with. */
  private chainAt(number: number, seq: number): number {
    const { holder } = this.holderOf(number, Math.max(seq, 1), seq);
    if (seq === 0) return holder;
    const row = this.database.prepare('SELECT chain FROM entries WHERE session = ? AND seq = ?').get(holder, seq);
    if (row === undefined) throw new JournalError(`${this.path}: entry ${seq} of session number ${holder} is missing.`);
    return Number(row.chain);
  }

  /** In good order: nothing is left in the log. */
  close(): void {
    this.database.exec('UPDATE life SET open = 0');
    this.database.close();
  }
}

interface SnapshotPlace {
  session: number;
  base: number;
  seq: number;
  blob: string;
}

interface SnapshotFacts extends SnapshotPlace {
  facts: string;
  sum: number;
}

interface RestRow {
  session: number;
  seq: number;
  status: string;
  sum: number;
}

function headText({ base, last, chain, bytes }: Head): string {
  return `${base} ${last} ${chain} ${bytes}`;
}

function sumOf(number: number, text: string): number {
  return crc32(`${number} ${text}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
