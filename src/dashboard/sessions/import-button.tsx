/** A session from a snapshot that was exported, from this server or another. */
import { useRef } from 'preact/hooks';
import type { Session } from '../../api/contract-types.ts';
import { api, problemOf } from '../api.ts';
import { tell } from '../tell.ts';

export function ImportButton({ onImported }: { onImported(): void }) {
  const input = useRef<HTMLInputElement>(null);

  async function take(file: File | undefined): Promise<void> {
    if (file === undefined) return;
    try {
      const { id, name = id } = await api.post<Session>('/v1/sessions', {
        fromSnapshot: JSON.parse(await file.text()),
      });
      tell(`${name} was made from ${file.name}.`);
      onImported();
    } catch (error) {
      tell(error instanceof SyntaxError ? `${file.name} is no snapshot.` : problemOf(error).detail, 'failed');
    }
  }

  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        Import
      </button>
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        hidden
        aria-label="A snapshot file"
        onChange={({ currentTarget }) => {
          void take(currentTarget.files?.[0]);
          currentTarget.value = '';
        }}
      />
    </>
  );
}
