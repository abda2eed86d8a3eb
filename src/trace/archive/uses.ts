/**
 * Which sessions replay which tape: an empty file for each, made before the session acknowledges that it does. So a recording that a session
 * would need after a restart is not deleted, although sessions at rest are in no memory and their workers know no traces.
 *
 * A worker marks first and opens then; who deletes takes the tape out of the way first and looks for marks then. Whoever comes second
 * sees the other.
 */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = 'uses';
const DIGEST = /^[0-9a-f]{64}$/;
const SESSION = /^[A-Za-z0-9_-]{1,64}$/;

/** Where tapes lie, below the data folder. */
export function tracesFolder(data: string): string {
  return join(data, 'traces');
}

/** Of a tape that is ready. @param folder `tracesFolder(data)` */
export function tapePath(folder: string, digest: string): string {
  if (!DIGEST.test(digest)) throw new RangeError(`"${digest}" is no digest of a tape`);
  return join(folder, `${digest}.tape`);
}

/** @param session id */
export function markUse(folder: string, digest: string, session: string): void {
  mkdirSync(join(folder, FOLDER), { recursive: true, mode: 0o700 });
  closeSync(openSync(markPath(folder, digest, session), 'w', 0o600));
}

export function unmarkUse(folder: string, digest: string, session: string): void {
  rmSync(markPath(folder, digest, session), { force: true });
}

/** Of a session that is gone. */
export function forgetUses(folder: string, session: string): void {
  for (const mark of marks(folder)) if (mark.session === session) unmarkUse(folder, mark.digest, session);
}

/** Ids of the sessions that replay a tape, or did. */
export function usesOf(folder: string, digest: string): string[] {
  return marks(folder)
    .filter((mark) => mark.digest === digest)
    .map((mark) => mark.session);
}

/**
 * Puts a tape out of the way, and back where sessions replay it: who wants it is found only once nobody can open it any more.
 *
 * @returns ids of those sessions; with none of them, `removeTapeTakenAway` or `putTapeBack` remains to be called
 */
export function takeTapeAway(folder: string, digest: string, hasSession: (session: string) => boolean): string[] {
  const path = tapePath(folder, digest);
  if (!existsSync(path)) return [];
  renameSync(path, `${path}.going`);
  const users = usesOf(folder, digest).filter((session) => {
    if (hasSession(session)) return true;
    unmarkUse(folder, digest, session);
    return false;
  });
  if (users.length > 0) putTapeBack(folder, digest);
  return users;
}

export function putTapeBack(folder: string, digest: string): void {
  const path = tapePath(folder, digest);
  if (existsSync(`${path}.going`)) renameSync(`${path}.going`, path);
}

export function removeTapeTakenAway(folder: string, digest: string): void {
  rmSync(`${tapePath(folder, digest)}.going`, { force: true });
}

export function marks(folder: string): { digest: string; session: string }[] {
  let names: string[];
  try {
    names = readdirSync(join(folder, FOLDER));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names.flatMap((name) => {
    const [digest = '', session = ''] = name.split('.');
    return DIGEST.test(digest) && SESSION.test(session) ? [{ digest, session }] : [];
  });
}

function markPath(folder: string, digest: string, session: string): string {
  if (!DIGEST.test(digest) || !SESSION.test(session)) throw new RangeError(`"${digest}.${session}" is no mark`);
  return join(folder, FOLDER, `${digest}.${session}`);
}
