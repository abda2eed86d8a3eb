/** A line of text that counts once it is written: what is drawn again meanwhile must not take away what is being written. */
import { useSignal } from '@preact/signals';

export interface DraftTextProps {
  id: string;
  placeholder: string;
  text: string;
  numeric?: boolean;
  /** Where something can be wrong with it: whether it is, and in which element that is said. */
  invalid?: { now: boolean; about: string };
  /** When it was written. */
  onText(text: string): void;
}

export function DraftText({ id, placeholder, text, numeric = false, invalid, onText }: DraftTextProps) {
  const draft = useSignal<string | null>(null);
  return (
    <input
      id={id}
      type="text"
      inputMode={numeric ? 'numeric' : 'text'}
      autocomplete="off"
      placeholder={placeholder}
      value={draft.value ?? text}
      aria-invalid={invalid?.now}
      aria-describedby={invalid?.about}
      onInput={({ currentTarget }) => (draft.value = currentTarget.value)}
      onChange={({ currentTarget }) => {
        draft.value = null;
        onText(currentTarget.value.trim());
      }}
    />
  );
}
