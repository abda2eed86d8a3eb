/** Asks for a token when the server has. */
import { useSignal } from '@preact/signals';
import { Dialog } from '../parts/dialog.tsx';
import { token, tokenWanted, useToken } from '../token.ts';

export function TokenDialog() {
  const text = useSignal('');
  const reason = tokenWanted.value;
  if (reason === null) return null;
  return (
    <Dialog
      title="A token is needed"
      onClose={() => (tokenWanted.value = null)}
      onSubmit={() => {
        useToken(text.value);
        text.value = '';
      }}
    >
      <p>
        {reason} A token begins with <code>ilt_</code>, or <code>ill_</code> for a link to one session. This tab keeps
        it until it is closed.
      </p>
      <div class="field">
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
      </div>
      <div class="actions">
        {token.value !== '' && (
          <button type="button" onClick={() => useToken('')}>
            Forget it
          </button>
        )}
        <button type="submit" class="primary" disabled={text.value.trim() === ''}>
          Use it
        </button>
      </div>
    </Dialog>
  );
}
