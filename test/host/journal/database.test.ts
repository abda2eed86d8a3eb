/** The journal's file: whole commits or none, and no damage that is not noticed. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { JournalDatabase } from '../../../src/host/journal/database.ts';
import { JournalError } from '../../../src/host/journal/journal-error.ts';
import type { Change, SessionRow } from '../../../src/host/journal/rows.ts';
import { inspectLog } from '../../../src/host/journal/wal.ts';
import { crashed, folderFor, toFormat1 } from './folders.ts';

const row = (number: number): SessionRow => ({
  number,
  id: `ses_${number}`,
  owner: 'local',
  createdAt: '2026-01-01T00:00:00.000Z',
  coreVersion: '2',
  spec: { seed: number },
});
const body = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = (bodies: readonly Uint8Array[]): string[] => bodies.map((each) => Buffer.from(each).toString());

function open(t: TestContext, folder: string): JournalDatabase {
  const database = new JournalDatabase(join(folder, 's.sqlite'), 'commit');
  t.after(() => {
    try {
      database.close();
    } catch {
      // Closed by the test.
    }
  });
  return database;
}

/** All entries of a session. */
function all(database: JournalDatabase, number: number): string[] {
  const found: string[] = [];
  for (let after: number | null = 0; after !== null; ) {
    const stretch = database.stretch(number, after);
    found.push(...texts(stretch.bodies));
    after = stretch.after;
  }
  return found;
}

describe('what is committed', () => {
  test('is there after a crash, in order, and says so when it is long', (t) => {
    const folder = folderFor(t);
    const database = open(t, folder);
    database.commit([{ do: 'add', session: row(1) }]);
    const long = 'x'.repeat(3 << 20);
    database.commit([{ do: 'append', number: 1, body: body('one'), reset: false }]);
    for (const text of [long, long, 'two', 'three'])
      database.commit([{ do: 'append', number: 1, body: body(text), reset: false }]);
    const copy = open(t, crashed(t, folder));
    assert.deepEqual(copy.sessions(), [
      { ...row(1), rest: null, bytes: JSON.stringify(row(1)).length + 2 * long.length + 11, damage: null },
    ]);
    assert.deepEqual(all(copy, 1), ['one', long, long, 'two', 'three']);
    assert.ok(copy.stretch(1, 0).after !== null, 'a long journal is read in parts');
  });

  test('begins at the last reset', (t) => {
    const database = open(t, folderFor(t));
    database.commit([{ do: 'add', session: row(1) }]);
    for (const [text, reset] of [
      ['a', false],
      ['b', true],
      ['c', false],
      ['d', true],
      ['e', false],
    ] as const)
      database.commit([{ do: 'append', number: 1, body: body(text), reset }]);
    assert.deepEqual(all(database, 1), ['d', 'e']);
  });

  test('is all of it or nothing', (t) => {
    const database = open(t, folderFor(t));
    database.commit([{ do: 'add', session: row(1) }]);
    const twice = { do: 'add', session: row(1) } as const;
    assert.throws(() => database.commit([{ do: 'append', number: 1, body: body('lost'), reset: false }, twice]));
    database.commit([{ do: 'append', number: 1, body: body('kept'), reset: false }]);
    assert.deepEqual(all(database, 1), ['kept']);
  });

  test('tells whether anything was done to a session since it was put to rest', (t) => {
    const folder = folderFor(t);
    const database = open(t, folder);
    database.commit([{ do: 'add', session: row(1) }]);
    database.commit([{ do: 'rest', number: 1, status: { digest: 'd' } }]);
    assert.deepEqual(open(t, crashed(t, folder)).sessions()[0]!.rest, { status: { digest: 'd' }, current: true });
    database.commit([{ do: 'append', number: 1, body: body('a'), reset: false }]);
    assert.equal(open(t, crashed(t, folder)).sessions()[0]!.rest!.current, false);
  });

  test('goes when its session does; what arrives for it later is nobody’s', (t) => {
    const folder = folderFor(t);
    const database = open(t, folder);
    database.commit([
      { do: 'add', session: row(1) },
      { do: 'append', number: 1, body: body('a'), reset: false },
    ]);
    database.commit([{ do: 'remove', number: 1 }]);
    database.commit([{ do: 'append', number: 1, body: body('late'), reset: false }]);
    assert.throws(() => database.stretch(1, 0), JournalError);
    database.close();
    const counts = new DatabaseSync(join(folder, 's.sqlite'));
    for (const table of ['sessions', 'entries', 'heads', 'rests'])
      assert.equal(counts.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n, 0, table);
    counts.close();
  });
});

describe('damage', () => {
  /** A closed file with three sessions, and what is in them. */
  function filled(t: TestContext): { folder: string; expected: Map<number, string[]> } {
    const folder = folderFor(t);
    const database = open(t, folder);
    const expected = new Map<number, string[]>();
    for (const number of [1, 2, 3]) {
      database.commit([{ do: 'add', session: row(number) }]);
      expected.set(number, []);
    }
    for (let i = 0; i < 60; i++) {
      const number = 1 + (i % 3);
      const text = `{"op":"advance","ns":${i}}\n`.repeat(1 + (i % 40));
      database.commit([{ do: 'append', number, body: body(text), reset: false }]);
      expected.get(number)!.push(text);
    }
    database.close();
    return { folder, expected };
  }

  /** Sessions that read as they were written, those that say that they are damaged, or why the file was refused. */
  function outcome(
    t: TestContext,
    folder: string,
    expected: Map<number, string[]>,
  ): 'refused' | { told: number; lost: number } {
    let database: JournalDatabase;
    try {
      database = open(t, folder);
    } catch (error) {
      assert.ok(error instanceof JournalError, String(error));
      assert.match(error.message, /s\.sqlite/, 'the file is named');
      return 'refused';
    }
    let told = database.warnings.length;
    let sessions: ReturnType<JournalDatabase['sessions']>;
    try {
      sessions = database.sessions();
    } catch {
      return 'refused';
    }
    told = database.warnings.length;
    for (const { number, damage, spec } of sessions) {
      if (damage !== null) {
        told++;
        continue;
      }
      assert.deepEqual(spec, { seed: number });
      try {
        assert.deepEqual(all(database, number), expected.get(number), 'never silently another journal');
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        told++;
      }
    }
    return { told, lost: expected.size - sessions.length };
  }

  test('of any byte of the file is noticed, or the byte does not matter', (t) => {
    const { folder, expected } = filled(t);
    const path = join(folder, 's.sqlite');
    assert.ok(!existsSync(`${path}-wal`), 'a clean stop leaves no log');
    const whole = readFileSync(path);
    let noticed = 0;
    for (let at = 0; at < whole.length; at += 97) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at & 7);
      writeFileSync(path, flipped);
      const found = outcome(t, folder, expected);
      rmSync(`${path}-wal`, { force: true });
      rmSync(`${path}-shm`, { force: true });
      if (found === 'refused') noticed++;
      else {
        if (found.lost > 0) assert.ok(found.told > 0, `byte ${at}: a session is gone and nobody says so`);
        if (found.told > 0) noticed++;
      }
    }
    assert.ok(noticed > 20, `${noticed} noticed`);
  });

  test('of a file that is cut is noticed at any length', (t) => {
    const { folder, expected } = filled(t);
    const path = join(folder, 's.sqlite');
    const whole = readFileSync(path);
    for (let length = whole.length - 1; length > 4096; length -= 3001) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      const found = outcome(t, folder, expected);
      assert.ok(found === 'refused' || found.told > 0, `cut to ${length}`);
      rmSync(`${path}-wal`, { force: true });
      rmSync(`${path}-shm`, { force: true });
    }
  });

  test('of a file of something else, or of a later format, is refused by name', (t) => {
    const folder = folderFor(t);
    const path = join(folder, 's.sqlite');
    writeFileSync(path, 'not a database at all, whatever its name says'.repeat(100));
    assert.throws(() => open(t, folder), /s\.sqlite/);
    rmSync(path);
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE t (x)');
    assert.throws(() => open(t, folder), /is not a journal of iommu-lab/);
    other.exec('DROP TABLE t');
    other.close();
    rmSync(path);
    open(t, folder).close();
    const later = new DatabaseSync(path);
    later.exec('PRAGMA user_version = 99');
    later.close();
    assert.throws(() => open(t, folder), /has format 99/);
  });
});

/** Bytes of each session, counted anew from the rows of the file. */
function counted(path: string): Map<number, number> {
  const database = new DatabaseSync(path);
  const bytes = new Map<number, number>();
  const add = (session: number, more: number): void => void bytes.set(session, (bytes.get(session) ?? 0) + more);
  for (const query of [
    'SELECT number AS session, length(CAST(facts AS BLOB)) AS bytes FROM sessions',
    'SELECT session, length(body) AS bytes FROM entries WHERE session IN (SELECT number FROM sessions)',
    'SELECT session, length(body) AS bytes FROM images JOIN blobs ON blob = hash',
    'SELECT session, length(body) AS bytes FROM snapshots JOIN blobs ON blob = hash',
  ])
    for (const row of database.prepare(query).all()) add(Number(row.session), Number(row.bytes));
  const forks = new Map(
    database
      .prepare('SELECT session, parent, base, last FROM forks')
      .all()
      .map((row) => [Number(row.session), row as Record<string, number>]),
  );
  const length = database.prepare('SELECT length(body) AS bytes FROM entries WHERE session = ? AND seq = ?');
  for (const [session, { parent, base, last }] of forks) {
    if (!bytes.has(session)) continue;
    for (let seq = base!; seq <= last!; seq++) {
      let holder = parent!;
      while (forks.has(holder) && seq <= forks.get(holder)!.last!) holder = forks.get(holder)!.parent!;
      add(session, Number(length.get(holder, seq)!.bytes));
    }
  }
  database.close();
  return bytes;
}

describe('what is kept of a session', () => {
  const snapshotRow = (id: string) => ({
    ...{ id, session: '', createdAt: '', timeNs: 0, timePs: '0', digest: '', operations: 0, coreVersion: '2' },
    ...{ activeRun: null, lengthBytes: 0 },
  });

  test('is what was written, and counted as it is, whatever is done to it and to those it shares with', (t) => {
    const folder = folderFor(t);
    const path = join(folder, 's.sqlite');
    const database = open(t, folder);
    let state = 12345;
    const below = (limit: number): number => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * limit);
    };
    const told = new Map<number, number>();
    /** What each session's entries are, since its last reset, and what each snapshot leads to; as text. */
    const sessions = new Map<number, string[]>();
    const snapshots = new Map<string, { of: number; entries: string[] }>();
    let last = 0;
    // Few bodies, so that some are shared.
    const anyText = (): string => `${below(4)} ${'x'.repeat(1 + 1000 * below(4))}`;
    const any = <T>(all: Iterable<T>): T => {
      const list = [...all];
      return list[below(list.length)]!;
    };
    for (let step = 0; step < 900; step++) {
      const changes: Change[] = [];
      const kind = below(12);
      if (sessions.size < 2 || (kind === 0 && sessions.size < 8)) {
        sessions.set(++last, []);
        changes.push({ do: 'add', session: row(last) });
      } else {
        const number = any(sessions.keys());
        const entries = sessions.get(number)!;
        if (kind === 1) {
          changes.push({ do: 'remove', number });
          sessions.delete(number);
          for (const [id, { of }] of snapshots) if (of === number) snapshots.delete(id);
        } else if (kind === 2)
          changes.push({ do: 'change', session: { ...row(number), title: 'é'.repeat(below(50)) } });
        else if (kind === 3) {
          const text = anyText();
          changes.push({ do: 'append', number, body: body(text), reset: true });
          sessions.set(number, [text]);
        } else if (kind === 4) changes.push({ do: 'image', number, body: body(anyText()) });
        else if (kind === 5) {
          const id = `snp_${step}`;
          changes.push({ do: 'snapshot', number, snapshot: snapshotRow(id), body: body(anyText()) });
          snapshots.set(id, { of: number, entries: [...entries] });
        } else if (kind === 6 && snapshots.size > 0) {
          const id = any(snapshots.keys());
          changes.push({ do: 'forget-snapshot', id });
          snapshots.delete(id);
        } else if ((kind === 7 || kind === 8) && snapshots.size > 0 && sessions.size < 8) {
          const id = any(snapshots.keys());
          changes.push({ do: 'fork', session: row(++last), of: id });
          sessions.set(last, [...snapshots.get(id)!.entries]);
        } else
          for (let i = 0; i <= below(3); i++) {
            const text = anyText();
            changes.push({ do: 'append', number, body: body(text), reset: false });
            entries.push(text);
          }
      }
      if (step % 7 === 0) {
        // The last of these cannot be made: a session of that number is there. Nothing is counted then.
        const twice: Change = { do: 'add', session: row(9999) };
        assert.throws(() => database.commit([...changes, twice, twice]));
      }
      for (const [each, bytes] of database.commit(changes))
        if (bytes === 0) told.delete(each);
        else told.set(each, bytes);
      if (step % 10 !== 0) continue;
      assert.deepEqual(sorted(told), sorted(counted(path)), `after step ${step}`);
      for (const [number, entries] of sessions)
        assert.deepEqual(all(database, number), entries, `session ${number} after step ${step}`);
      for (const [id, { entries }] of snapshots) {
        const stretch: string[] = [];
        for (let after: number | null = 0; after !== null; ) {
          const read = database.snapshotStretch(id, after);
          stretch.push(...read.bodies.map((each) => new TextDecoder().decode(each)));
          after = read.after;
        }
        assert.deepEqual(stretch, entries, `snapshot ${id} after step ${step}`);
      }
    }
    assert.ok(told.size > 2);
    const again = open(t, crashed(t, folder));
    assert.deepEqual(new Map(again.sessions().map(({ number, bytes }) => [number, bytes])), sorted(told));
    for (const [number, entries] of sessions) assert.deepEqual(all(again, number), entries);
    for (const number of sessions.keys()) database.commit([{ do: 'remove', number }]);
    const empty = new DatabaseSync(path);
    for (const table of ['sessions', 'heads', 'entries', 'forks', 'images', 'snapshots', 'blobs'])
      assert.equal(empty.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n, 0, table);
    empty.close();
  });

  test('with forks that lead round in circles is missed, and nobody looks for it for ever', (t) => {
    const folder = folderFor(t);
    const database = open(t, folder);
    database.commit([
      { do: 'add', session: row(1) },
      { do: 'append', number: 1, body: body('one'), reset: false },
    ]);
    database.commit([{ do: 'snapshot', number: 1, snapshot: snapshotRow('snp'), body: body('image') }]);
    database.commit([{ do: 'fork', session: row(2), of: 'snp' }]);
    assert.deepEqual(all(database, 2), ['one']);
    database.close();
    const path = join(folder, 's.sqlite');
    for (const parent of [2, 3]) {
      const file = new DatabaseSync(path);
      file.exec(`UPDATE forks SET parent = ${parent}`);
      file.close();
      const again = open(t, folder);
      again.sessions();
      assert.throws(() => all(again, 2), JournalError);
      assert.deepEqual(all(again, 1), ['one']);
      again.close();
    }
  });

  test('before the last reset is gone; what follows still goes on from it', (t) => {
    const folder = folderFor(t);
    const database = open(t, folder);
    const append = (text: string, reset = false): Change => ({ do: 'append', number: 1, body: body(text), reset });
    database.commit([{ do: 'add', session: row(1) }]);
    for (let i = 0; i < 20; i++) database.commit([append('x'.repeat(1000))]);
    database.commit([append('reset', true), append('after')]);
    assert.deepEqual(all(database, 1), ['reset', 'after']);
    assert.ok(counted(join(folder, 's.sqlite')).get(1)! < 1500);
    const again = open(t, crashed(t, folder));
    again.sessions();
    assert.deepEqual(all(again, 1), ['reset', 'after']);
  });

  test('is counted once in a file of format 1, and a head that was damaged stays so', (t) => {
    const folder = folderFor(t);
    const path = join(folder, 's.sqlite');
    const database = open(t, folder);
    for (const number of [1, 2, 3]) {
      database.commit([{ do: 'add', session: row(number) }]);
      database.commit([{ do: 'append', number, body: body('x'.repeat(100 * number)), reset: false }]);
      database.commit([{ do: 'image', number, body: body('image') }]);
    }
    database.close();
    toFormat1(path);
    const old = new DatabaseSync(path);
    old.exec('UPDATE heads SET sum = (sum + 1) % 4294967296 WHERE session = 3');
    old.close();
    for (let i = 0; i < 2; i++) {
      const again = open(t, folder);
      const [one, two, three] = again.sessions();
      const expected = counted(path);
      assert.deepEqual([one!.bytes, two!.bytes], [expected.get(1), expected.get(2)]);
      assert.match(three!.damage!, /does not match its sum/);
      assert.deepEqual(all(again, 2), ['x'.repeat(200)]);
      again.close();
    }
  });
});

function sorted(map: ReadonlyMap<number, number>): Map<number, number> {
  return new Map([...map].sort(([one], [other]) => one - other));
}

describe('the log', () => {
  /** The log of a process that was killed after these commits. */
  function killed(t: TestContext): { path: string; log: Buffer } {
    const folder = folderFor(t);
    const database = open(t, folder);
    database.commit([{ do: 'add', session: row(1) }]);
    for (let i = 0; i < 12; i++)
      database.commit([{ do: 'append', number: 1, body: body(`entry ${i}\n`), reset: false }]);
    const copy = crashed(t, folder);
    const path = join(copy, 's.sqlite-wal');
    return { path, log: readFileSync(path) };
  }

  test('is whole after a crash', (t) => {
    const { path, log } = killed(t);
    const pageBytes = log.readUInt32BE(8);
    assert.deepEqual(inspectLog(path), {
      frames: (log.length - 32) / (24 + pageBytes),
      begun: false,
      damage: null,
      warning: null,
    });
  });

  test('with a byte changed before its last frame is refused with the file and the place', (t) => {
    const { path, log } = killed(t);
    const frameBytes = 24 + log.readUInt32BE(8);
    for (let at = 0; at < log.length - frameBytes; at += 211) {
      const flipped = Buffer.from(log);
      flipped[at]! ^= 1 << (at & 7);
      writeFileSync(path, flipped);
      assert.match(String(inspectLog(path).damage), /s\.sqlite-wal is damaged at offset [0-9]+/, `byte ${at}`);
    }
  });

  test('that was cut in the middle of a write is taken up to its last whole frame, and says so', (t) => {
    const { path, log } = killed(t);
    const frameBytes = 24 + log.readUInt32BE(8);
    for (let length = 33; length < log.length; length += 997) {
      writeFileSync(path, log);
      truncateSync(path, length);
      const { frames, damage, warning } = inspectLog(path);
      assert.equal(damage, null);
      assert.equal(frames, Math.floor((length - 32) / frameBytes));
      const headerIsThere = (length - 32) % frameBytes >= 24;
      assert.equal(warning !== null, headerIsThere, `cut to ${length}: ${warning}`);
    }
    assert.equal(statSync(path).size > 0, true);
  });

  test('that is gone, or empty, is missed', (t) => {
    const { path } = killed(t);
    truncateSync(path, 0);
    const folder = path.slice(0, -'/s.sqlite-wal'.length);
    assert.throws(() => open(t, folder), /was not closed, and the log that belongs to it, .*s\.sqlite-wal, is gone/);
    rmSync(path);
    assert.throws(() => open(t, folder), /is gone or empty/);
  });

  test('that lost its only frame is refused, and left as it is', (t) => {
    const { path, log } = killed(t);
    const one = Buffer.from(log.subarray(0, 32 + 24 + log.readUInt32BE(8)));
    one[32 + 11]! ^= 4;
    writeFileSync(path, one);
    assert.throws(() => open(t, path.slice(0, -'/s.sqlite-wal'.length)), /is gone or empty/);
    assert.deepEqual(readFileSync(path), one);
  });

  test('that went round again is not mistaken for a damaged one', (t) => {
    const folder = folderFor(t);
    const database = new JournalDatabase(join(folder, 's.sqlite'), 'never');
    t.after(() => database.close());
    database.commit([{ do: 'add', session: row(1) }]);
    const path = join(folder, 's.sqlite-wal');
    // A log is begun anew once it has some thousand pages.
    for (let i = 0; i < 1500; i++)
      database.commit([{ do: 'append', number: 1, body: body('x'.repeat(6000)), reset: false }]);
    const { damage, warning } = inspectLog(path);
    assert.deepEqual({ damage, warning }, { damage: null, warning: null });
  });

  test('that has begun a new round and holds nothing of it yet is not missed', (t) => {
    const folder = folderFor(t);
    const database = open(t, folder);
    database.commit([{ do: 'add', session: row(1) }]);
    const path = join(folder, 's.sqlite-wal');
    let before = readFileSync(path);
    let commits = 0;
    do {
      before = readFileSync(path);
      database.commit([{ do: 'append', number: 1, body: body('x'.repeat(60_000)), reset: false }]);
      commits++;
    } while (readFileSync(path).readUInt32BE(16) === before.readUInt32BE(16));
    // A process that is killed between the new header and its first frame leaves the frames of the old round behind it.
    const header = readFileSync(path).subarray(0, 32);
    const begun = Buffer.concat([header, before.subarray(32)]);
    // Or the first frame's own header before the page of the old one.
    const frameIsBegun = Buffer.concat([readFileSync(path).subarray(0, 32 + 24), before.subarray(32 + 24)]);
    for (const log of [begun, frameIsBegun]) {
      const left = crashed(t, folder);
      writeFileSync(join(left, 's.sqlite-wal'), log);
      const again = open(t, left);
      assert.equal(again.sessions()[0]!.damage, null);
      assert.equal(all(again, 1).length, commits - 1);
    }
    // A frame of this round, whichever bit of its salts changes, does not pass for one of the last.
    const one = readFileSync(path).subarray(0, 32 + 24 + before.readUInt32BE(8));
    for (let bit = 0; bit < 64; bit++) {
      const changed = Buffer.from(one);
      changed[32 + 8 + (bit >> 3)]! ^= 1 << (bit & 7);
      const file = join(folder, 'changed');
      writeFileSync(file, changed);
      const { frames, begun: passes } = inspectLog(file);
      assert.deepEqual({ frames, passes }, { frames: 0, passes: false }, `bit ${bit}`);
    }
  });
});
