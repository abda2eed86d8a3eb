/** The keys that hold now: `?`. */
import { signal } from '@preact/signals';
import { Dialog } from '../parts/dialog.tsx';
import { shortcuts } from '../shortcuts.ts';

export const keysShown = signal(false);

export function KeysDialog() {
  if (!keysShown.value) return null;
  return (
    <Dialog title="Keys" onClose={() => (keysShown.value = false)}>
      <dl class="keys">
        {shortcuts.value.map(({ key, about }) => (
          <>
            <dt key={key}>
              <kbd>{key}</kbd>
            </dt>
            <dd>{about}</dd>
          </>
        ))}
      </dl>
      <div class="actions">
        <button type="submit">Close</button>
      </div>
    </Dialog>
  );
}
