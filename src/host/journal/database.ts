/**
 * The file in which sessions live: who they are, and all that was done to them, in order. One writer, the journal's thread.
 *
 * SQLite keeps transactions whole whatever happens to the process or the machine. It does not notice a byte that changes on the disk,
 * nor a part of its log that is gone, so each row carries a sum of its own, and the sums of a session's entries are chained: an entry
 * that is changed, missing or out of place is found when the session is read, and `wal.ts` looks at the log before SQLite does.
 */
import { hash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { openFile } from './file.ts';
import { JournalError, messageOf } from './journal-error.ts';
import { Lineage } from './lineage.ts';
import type {
  Change,
  PlacedSnapshot,
  SessionRow,
  SnapshotRow,
  StoredImage,
  StoredSession,
  Stretch,
  Sync,
} from './rows.ts';
import { type Head, type HeadRow, headText, sumOf } from './sums.ts';

export class JournalDatabase {
  /** What a reader of the log should be told of how the file was found. */
  readonly warnings: string[] = [];
  private readonly path: string;
  private readonly database: DatabaseSync;
  private readonly lineage: Lineage;
  private readonly heads = new Map<number, Head>();
  /** Heads as they were before the changes that are being made, to go back to. */
  private readonly before = new Map<number, Head | undefined>();
  private readonly insertSession: StatementSync;
  private readonly updateSession: StatementSync;
  private readonly putHead: StatementSync;
  private readonly insertEntry: StatementSync;
  private readonly putRest: StatementSync;
  private readonly insertImage: StatementSync;
  private readonly deleteImage: StatementSync;
  private readonly insertBlob: StatementSync;

  /** @throws JournalError */
  constructor(path: string, sync: Sync) {
    this.path = path;
    try {
      this.database = openFile(path, sync, this.warnings);
      this.lineage = new Lineage(this.database, path);
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
    } catch (error) {
      if (error instanceof JournalError) throw error;
      throw new JournalError(`${path} cannot be used: ${messageOf(error)}.`);
    }
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

  private readSessions(): StoredSession[] {
    this.lineage.load();
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
      this.lineage.load();
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
    const chain = seq === 0 ? number : this.lineage.chainAt(parent, seq);
    this.addSession(
      session,
      { base, last: seq, chain },
      this.lineage.bytesOf(parent, base, seq) + this.blobBytes(blob),
    );
    if (seq > 0) this.lineage.add(number, { parent, base, last: seq });
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
    const fork = this.lineage.of(number);
    if (fork === undefined) return;
    this.lineage.remove(number);
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
    const fork = this.lineage.of(number);
    // Of the entry before the first, its own or not, the sum is needed.
    if (fork !== undefined && needed === 0 && base - 1 > fork.last) {
      this.grow(number, -this.lineage.bytesOf(number, fork.base, fork.last));
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
      return this.lineage.stretch(session, after, { base, last: seq });
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
      const stretch = this.lineage.stretch(number, after, head);
      if (stretch.after === null && this.lineage.chainAt(number, head.last) !== head.chain)
        throw new JournalError(`${this.path}: the last entry of session number ${number} is not the one it had.`);
      return stretch;
    });
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
