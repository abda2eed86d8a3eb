/**
 * Recordings for the simulations of one thread: tapes, opened when a replay first wants them. A session that has opened one is on record
 * as its user, so that nobody deletes it while the session would need it after a restart.
 *
 * A tape is open as long as a session of this thread uses it, but of many only those that were wanted last: the others, and those whose
 * last session has left, are parked. A simulation that still has one goes on reading it, a little slower.
 */
import type { Recordings } from '../core/devices/replay/source.ts';
import { markUse, tapePath, unmarkUse } from '../trace/archive/uses.ts';
import { openTape, type TapeReader } from '../trace/tape.ts';

/** Open at a time; each has up to a megabyte of pages, too. */
export const MOST_OPEN = 32;

interface Opened {
  tape: TapeReader;
  /** Sessions of this thread. Who replays for nobody is not told when it ends, and is none. */
  users: Set<string>;
}

export class Tapes {
  /** Null: there are none. */
  private readonly folder: string | null;
  private readonly most: number;
  /** [digest], the one that was wanted last at the end. Shared by all who replay it; each loads its event anew before it looks at it. */
  private readonly opened = new Map<string, Opened>();

  constructor(folder: string | null, most = MOST_OPEN) {
    this.folder = folder;
    this.most = most;
  }

  /** @param session id of who replays; null: nobody who will want it again */
  of(session: string | null): Recordings {
    return { open: (digest) => this.open(digest, session) };
  }

  private open(digest: string, session: string | null): TapeReader | null {
    const { folder } = this;
    if (folder === null) return null;
    try {
      // Before it is opened: see `uses.ts`.
      if (session !== null) markUse(folder, digest, session);
      const opened = this.opened.get(digest) ?? { tape: openTape(tapePath(folder, digest)), users: new Set() };
      if (session !== null) opened.users.add(session);
      this.opened.delete(digest);
      this.opened.set(digest, opened);
      this.parkBeyond();
      return opened.tape;
    } catch {
      // Nobody uses what cannot be opened; the mark would keep another upload of the same from being deleted.
      if (session !== null) forget(folder, digest, session);
      return null;
    }
  }

  /** A session has left the thread, or was never made. */
  leave(session: string): void {
    for (const [digest, { users }] of this.opened) if (users.delete(session) && users.size === 0) this.park(digest);
  }

  /** The one that was wanted longest ago, of those that no session uses if there are any; never the one that is wanted now. */
  private parkBeyond(): void {
    while (this.opened.size > this.most) {
      const earlier = [...this.opened].slice(0, -1);
      const [digest] = earlier.find(([, { users }]) => users.size === 0) ?? (earlier[0] as [string, Opened]);
      this.park(digest);
    }
  }

  private park(digest: string): void {
    this.opened.get(digest)?.tape.park();
    this.opened.delete(digest);
  }
}

function forget(folder: string, digest: string, session: string): void {
  try {
    unmarkUse(folder, digest, session);
  } catch {
    // No digest, or a disk that takes nothing: then there is no mark either.
  }
}
