/**
 * Entries of sessions, whoever has them: one that was forked begins with those of another, which may have been forked itself.
 *
 * A session's entries are counted on from its source's, and so is the chain of their sums.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { JournalError } from './journal-error.ts';
import type { Stretch } from './rows.ts';

/** Bytes of entries that one read gives, or a little more. */
const STRETCH_BYTES = 4 << 20;

/** Entries up to `last` are those of `parent`; from `base` they lead to what it began with. */
export interface Fork {
  parent: number;
  base: number;
  last: number;
}

export class Lineage {
  private readonly database: DatabaseSync;
  private readonly path: string;
  /** Of sessions that are gone, too, while others begin with their entries. */
  private readonly forks = new Map<number, Fork>();
  private readonly selectEntries: StatementSync;

  /** @param path of the file, for what is said of it */
  constructor(database: DatabaseSync, path: string) {
    this.database = database;
    this.path = path;
    this.selectEntries = database.prepare(
      'SELECT seq, chain, body FROM entries WHERE session = ? AND seq > ? ORDER BY seq',
    );
  }

  of(number: number): Fork | undefined {
    return this.forks.get(number);
  }

  add(number: number, fork: Fork): void {
    this.database
      .prepare('INSERT INTO forks (session, parent, base, last) VALUES (?, ?, ?, ?)')
      .run(number, fork.parent, fork.base, fork.last);
    this.forks.set(number, fork);
  }

  remove(number: number): void {
    this.database.prepare('DELETE FROM forks WHERE session = ?').run(number);
    this.forks.delete(number);
  }

  /** As the file has it. */
  load(): void {
    this.forks.clear();
    for (const row of this.database.prepare('SELECT session, parent, base, last FROM forks').all()) {
      const { session, parent, base, last } = row as unknown as Fork & { session: number };
      // A source is the older one. A row that says otherwise is damaged, and would lead round in circles: without it entries are missed.
      if (parent < session) this.forks.set(session, { parent, base, last });
    }
  }

  /** Up to the end, or as much as one read gives; all of one holder. */
  stretch(number: number, after: number, { base, last }: { base: number; last: number }): Stretch {
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
      if (bytes >= STRETCH_BYTES && seq < last) return { bodies, base, inherited, after: seq };
    }
    if (seq < end)
      throw new JournalError(
        `${this.path}: session number ${holder} has ${end} entries, and those after ${seq} are missing.`,
      );
    return { bodies, base, inherited, after: seq < last ? seq : null };
  }

  /** Who has entry `seq` of a session, and up to which one, at most `last`. */
  holderOf(number: number, seq: number, last: number): { holder: number; end: number } {
    let holder = number;
    let end = last;
    for (let fork = this.forks.get(holder); fork !== undefined && seq <= fork.last; fork = this.forks.get(holder)) {
      holder = fork.parent;
      end = Math.min(end, fork.last);
    }
    return { holder, end };
  }

  /** Of the entry before the first one, what its chain begins with. */
  chainAt(number: number, seq: number): number {
    const { holder } = this.holderOf(number, Math.max(seq, 1), seq);
    if (seq === 0) return holder;
    const row = this.database.prepare('SELECT chain FROM entries WHERE session = ? AND seq = ?').get(holder, seq);
    if (row === undefined) throw new JournalError(`${this.path}: entry ${seq} of session number ${holder} is missing.`);
    return Number(row.chain);
  }

  /** Bytes of entries, whoever has them. */
  bytesOf(number: number, from: number, last: number): number {
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
}
