/** Folders on the disk for tests of what survives, and copies of them as a crash at that instant would leave them. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import type { SessionHost } from '../../../src/host/host.ts';
import { createHost, type HostOptions } from '../../../src/host/session-host.ts';

export function folderFor(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const CORE = new URL('../../../src/core/index.ts', import.meta.url).href;

/** On the core, until the test ends. */
export async function hostOn(test: TestContext, folder: string, options: HostOptions = {}): Promise<SessionHost> {
  const journal = { path: join(folder, 'sessions.sqlite'), sync: 'commit' } as const;
  const host = await createHost({ workers: 1, simulatorModule: CORE, journal, ...options });
  test.after(() => host.close());
  return host;
}

/** What another process would find if this one were killed now. */
export function crashed(test: TestContext, folder: string): string {
  const copy = folderFor(test);
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/** Turns a journal without snapshots into one of format 1. */
export function toFormat1(path: string): void {
  const old = new DatabaseSync(path);
  old.exec(`BEGIN; CREATE TABLE kept AS SELECT * FROM images; DROP TABLE images; DROP TABLE forks; DROP TABLE snapshots;
    CREATE TABLE images (session INTEGER NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL, blob TEXT NOT NULL, PRIMARY KEY (session, kind)) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshots (id TEXT PRIMARY KEY, session INTEGER NOT NULL, facts TEXT NOT NULL, sum INTEGER NOT NULL, blob TEXT NOT NULL) STRICT;
    CREATE INDEX snapshots_of ON snapshots (session);
    CREATE INDEX images_with ON images (blob);
    CREATE INDEX snapshots_with ON snapshots (blob);
    INSERT INTO images SELECT session, 'latest', seq, blob FROM kept; DROP TABLE kept;`);
  for (const head of old.prepare('SELECT session, base, last, chain FROM heads').all()) {
    const { session, base, last, chain } = head as Record<string, number>;
    old
      .prepare('UPDATE heads SET sum = ? WHERE session = ?')
      .run(crc32(`${session} ${base} ${last} ${chain}`), session!);
  }
  old.exec('ALTER TABLE heads DROP COLUMN bytes; PRAGMA user_version = 1; COMMIT;');
  old.close();
}
