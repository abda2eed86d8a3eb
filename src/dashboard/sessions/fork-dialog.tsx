/** Another session that goes on from here, or from a snapshot. */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import type { Session, Snapshot } from '../../api/contract-types.ts';
import { api, problemOf, sessionPath } from '../api.ts';
import { go } from '../location.ts';
import { Dialog } from '../parts/dialog.tsx';
import { tell } from '../tell.ts';

interface ForkDialogProps {
  session: Session;
  /** Absent: one is taken now. */
  snapshot?: string;
  onClose(): void;
}

export function ForkDialog({ session, snapshot, onClose }: ForkDialogProps) {
  const field = useId();
  const name = useSignal('');

  async function fork(): Promise<void> {
    try {
      const from = snapshot ?? (await api.post<Snapshot>(sessionPath(session.id, 'snapshots'), {})).id;
      const called = name.value.trim();
      const made = await api.post<Session>('/v1/sessions', {
        fromSnapshot: from,
        ...(called === '' ? {} : { name: called }),
      });
      tell(`${made.name ?? made.id} goes on from there.`);
      go(`/sessions/${encodeURIComponent(made.name ?? made.id)}`);
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  }

  return (
    <Dialog title={`Fork ${session.name ?? session.id}`} onClose={onClose} onSubmit={() => void fork()}>
      <p>Another session, in the same state, that goes its own way from here.</p>
      <div class="field">
        <label for={field}>Name</label>
        <input
          id={field}
          type="text"
          autocomplete="off"
          placeholder="without one, its id"
          value={name.value}
          onInput={({ currentTarget }) => (name.value = currentTarget.value)}
        />
      </div>
      <div class="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Fork
        </button>
      </div>
    </Dialog>
  );
}
