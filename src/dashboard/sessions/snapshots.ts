/** Taking snapshots, from wherever one is. */
import { signal } from '@preact/signals';
import type { Session, Snapshot } from '../../api/contract-types.ts';
import { api, download, problemOf, sessionPath } from '../api.ts';
import { duration } from '../format.ts';
import { tell } from '../tell.ts';

/** Counts what was taken, for lists of them. */
export const snapshotsChanged = signal(0);

export async function takeSnapshot({ id }: Pick<Session, 'id'>): Promise<Snapshot | null> {
  try {
    const snapshot = await api.post<Snapshot>(sessionPath(id, 'snapshots'), {});
    snapshotsChanged.value++;
    tell(`A snapshot was taken at ${duration(snapshot.timeNs)}.`);
    return snapshot;
  } catch (error) {
    tell(problemOf(error).detail, 'failed');
    return null;
  }
}

/** The session as a file: a snapshot that is taken, downloaded and forgotten. */
export async function exportSession({ id, name = id }: Pick<Session, 'id' | 'name'>): Promise<void> {
  try {
    const snapshot = await api.post<Snapshot>(sessionPath(id, 'snapshots'), {});
    const path = sessionPath(id, 'snapshots', snapshot.id);
    await download(path, `${name}.snapshot.json`);
    await api.delete(path);
    tell(`${name} was exported, as it is at ${duration(snapshot.timeNs)}.`);
  } catch (error) {
    tell(problemOf(error).detail, 'failed');
  }
}
