/**
 * The data folder belongs to one server at a time.
 *
 * What holds it is a lock of the operating system on `server.lock`, taken through SQLite because Node itself offers none. The
 * kernel drops such a lock with its process, however that ended, so nothing can be stale and no process id has to be believed: they
 * are given out again, and mean nothing between containers that share a volume. `server.json` beside it only tells people who the
 * holder is.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

interface Holder {
  pid: number;
  /** Where it listens, `http://127.0.0.1:8080`; null while it starts. */
  address: string | null;
}

export interface DataFolder {
  path: string;
  /** Tells others where this server listens. */
  announce(address: string): void;
  release(): void;
}

export type DataFolderOpening =
  | { ok: true; folder: DataFolder }
  | { ok: false; holder: Holder | null; problem: string };

/** Creates the folder if it is not there and takes it, or says why it cannot. */
export function openDataFolder(path: string): DataFolderOpening {
  const notes = join(path, 'server.json');
  let lock: DatabaseSync | null = null;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    lock = new DatabaseSync(join(path, 'server.lock'), { timeout: 0 });
    // Held until the connection closes; a rollback journal beside it would be litter.
    lock.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
    write(notes, { pid: process.pid, address: null });
  } catch (error) {
    lock?.close();
    if (isBusy(error)) {
      const holder = readHolder(notes);
      const who = holder === null ? 'another server' : describe(holder);
      return { ok: false, holder, problem: `The data folder ${path} is in use by ${who}.` };
    }
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, holder: null, problem: `The data folder ${path} cannot be used: ${reason}.` };
  }
  const held = lock;
  return {
    ok: true,
    folder: {
      path,
      announce: (address) => write(notes, { pid: process.pid, address }),
      release: () => {
        // In this order: once the lock is gone, the notes may be another server's.
        rmSync(notes, { force: true });
        held.close();
      },
    },
  };
}

function describe({ pid, address }: Holder): string {
  return address === null ? `a server that is starting (process ${pid})` : `the server at ${address} (process ${pid})`;
}

/** Whole or not at all for whoever reads it meanwhile. */
function write(path: string, holder: Holder): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(holder)}\n`);
  renameSync(draft, path);
}

function readHolder(path: string): Holder | null {
  try {
    const { pid, address } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return Number.isInteger(pid) ? { pid: pid as number, address: typeof address === 'string' ? address : null } : null;
  } catch {
    // Not written yet, or not by us: the lock alone decides.
    return null;
  }
}

/** SQLITE_BUSY, 5: another connection holds the lock. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5;
}
