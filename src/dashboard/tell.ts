/** A sentence at the lower edge for some seconds, read aloud by screen readers: what has just been done, or has failed. */
import { signal } from '@preact/signals';

export interface Told {
  text: string;
  kind: 'done' | 'failed';
}

export const told = signal<Told | null>(null);
let ending: ReturnType<typeof setTimeout> | undefined;

export function tell(text: string, kind: Told['kind'] = 'done'): void {
  told.value = { text, kind };
  clearTimeout(ending);
  ending = setTimeout(
    () => {
      told.value = null;
    },
    kind === 'done' ? 5_000 : 12_000,
  );
}
