/**
 * Recordings for the simulations of one thread: tapes, opened when a replay first wants them. A session that has opened one is on record
 * as its user, so that nobody deletes it while the session would need it after a restart.
 */
import type { RecordedEvents, Recordings } from '../core/devices/replay/source.ts';
import { markUse, tapePath, unmarkUse } from '../trace/archive/uses.ts';
import { openTape } from '../trace/tape.ts';

export class Tapes {
  /** Null: there are none. */
  private readonly folder: string | null;
  /** [digest]: shared by all who replay it; each loads its event anew before it looks at it. */
  private readonly opened = new Map<string, RecordedEvents>();

  constructor(folder: string | null) {
    this.folder = folder;
  }

  /** @param session id of who replays; null: nobody who will want it again */
  of(session: string | null): Recordings {
    return { open: (digest) => this.open(digest, session) };
  }

  private open(digest: string, session: string | null): RecordedEvents | null {
    const { folder } = this;
    if (folder === null) return null;
    try {
      // Before it is opened: see `uses.ts`.
      if (session !== null) markUse(folder, digest, session);
      const known = this.opened.get(digest);
      if (known !== undefined) return known;
      const tape = openTape(tapePath(folder, digest));
      this.opened.set(digest, tape);
      return tape;
    } catch {
      // Nobody uses what cannot be opened; the mark would keep another upload of the same from being deleted.
      if (session !== null) forget(folder, digest, session);
      return null;
    }
  }
}

function forget(folder: string, digest: string, session: string): void {
  try {
    unmarkUse(folder, digest, session);
  } catch {
    // No digest, or a disk that takes nothing: then there is no mark either.
  }
}
