/** Snapshots of a session: take, download, go on from there in another session, delete. */
import { useSignal } from '@preact/signals';
import type { Session, Snapshot, SnapshotPage } from '../../api/contract-types.ts';
import { api, download, problemOf, sessionPath } from '../api.ts';
import { bytes, duration } from '../format.ts';
import { Card, Empty, ProblemNote } from '../parts/bits.tsx';
import { confirm } from '../parts/confirmation.tsx';
import { Table } from '../parts/table.tsx';
import { ForkDialog } from '../sessions/fork-dialog.tsx';
import { snapshotsChanged, takeSnapshot } from '../sessions/snapshots.ts';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';

export function SnapshotsCard({ session }: { session: Session }) {
  const { id } = session;
  const list = useLoad(
    () => api.get<SnapshotPage>(sessionPath(id, 'snapshots'), { limit: 100 }),
    `${id} ${snapshotsChanged.value}`,
  );
  const forked = useSignal<string | null>(null);
  const items = list.data.value?.items.toReversed() ?? [];

  async function remove(snapshot: Snapshot): Promise<void> {
    const yes = await confirm({
      title: 'Delete the snapshot?',
      text: `${snapshot.title ?? snapshot.id}, at ${duration(snapshot.timeNs)}. Sessions made from it stay.`,
      action: 'Delete',
    });
    if (!yes) return;
    try {
      await api.delete(sessionPath(id, 'snapshots', snapshot.id));
      await list.reload();
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  }

  return (
    <Card
      title="Snapshots"
      end={
        <button type="button" onClick={() => void takeSnapshot(session)}>
          Take one
        </button>
      }
    >
      <ProblemNote problem={list.problem.value} />
      {items.length === 0 ? (
        <Empty>None yet. A snapshot keeps the session as it is now, to go on from there in another one.</Empty>
      ) : (
        <Table
          caption="Snapshots"
          tight
          rows={items}
          keyOf={(snapshot) => snapshot.id}
          columns={[
            { name: 'at', head: true, cell: ({ timeNs, title }) => title ?? duration(timeNs) },
            { name: 'size', number: true, cell: ({ lengthBytes }) => bytes(lengthBytes) },
            {
              name: '',
              number: true,
              cell: (snapshot) => (
                <span class="actions-row">
                  <button type="button" class="quiet" onClick={() => (forked.value = snapshot.id)}>
                    Fork
                  </button>
                  <button
                    type="button"
                    class="quiet"
                    onClick={() => void download(sessionPath(id, 'snapshots', snapshot.id), `${snapshot.id}.json`)}
                  >
                    Export
                  </button>
                  <button type="button" class="quiet danger" onClick={() => void remove(snapshot)}>
                    Delete
                  </button>
                </span>
              ),
            },
          ]}
        />
      )}
      {forked.value !== null && (
        <ForkDialog session={session} snapshot={forked.value} onClose={() => (forked.value = null)} />
      )}
    </Card>
  );
}
