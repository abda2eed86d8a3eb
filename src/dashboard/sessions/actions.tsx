/** What can be done with a session as a whole; on the list of sessions and on its own page. */
import { useSignal } from '@preact/signals';
import type { Session } from '../../api/contract-types.ts';
import { api, problemOf, sessionPath } from '../api.ts';
import { confirm } from '../parts/confirmation.tsx';
import { tell } from '../tell.ts';
import { ForkDialog } from './fork-dialog.tsx';
import { exportSession, takeSnapshot } from './snapshots.ts';

export function SessionActions({
  session,
  quiet = false,
  onDeleted,
}: {
  session: Session;
  quiet?: boolean;
  onDeleted(): void;
}) {
  const forking = useSignal(false);
  const { id, name = id } = session;
  const look = quiet ? 'quiet' : undefined;

  async function remove(): Promise<void> {
    const yes = await confirm({
      title: `Delete ${name}?`,
      text: 'Its state, runs and snapshots go for good. An active run is cancelled.',
      action: 'Delete',
    });
    if (!yes) return;
    try {
      await api.delete(sessionPath(id));
      tell(`${name} was deleted.`);
      onDeleted();
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  }

  const of = (action: string) => (quiet ? `${action} ${name}` : undefined);
  return (
    <span class="actions-row">
      <button type="button" class={look} aria-label={of('Fork')} onClick={() => (forking.value = true)}>
        Fork
      </button>
      <button type="button" class={look} aria-label={of('Snapshot')} onClick={() => void takeSnapshot(session)}>
        Snapshot
      </button>
      <button type="button" class={look} aria-label={of('Export')} onClick={() => void exportSession(session)}>
        Export
      </button>
      <button type="button" class={`${look ?? ''} danger`} aria-label={of('Delete')} onClick={() => void remove()}>
        Delete
      </button>
      {forking.value && <ForkDialog session={session} onClose={() => (forking.value = false)} />}
    </span>
  );
}
