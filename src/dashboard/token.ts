/**
 * The token, where the server asks for one. It is kept for the tab alone (`sessionStorage`), is sent in `Authorization` and stands in no
 * address; a stream is opened with a ticket instead (`stream.ts`). See docs/security.md.
 */
import { signal } from '@preact/signals';

const KEY = 'iommu-lab.token';

/** Empty: none. */
export const token = signal(kept());
/** The server has refused a request for want of a token; why, in its words. Null: it has not. */
export const tokenWanted = signal<string | null>(null);

export function useToken(text: string): void {
  token.value = text.trim();
  tokenWanted.value = null;
  try {
    if (token.value === '') sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token.value);
  } catch {
    // A browser that keeps nothing: the token lasts until the page is left.
  }
}

function kept(): string {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}
