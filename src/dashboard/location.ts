/** The place of the page in the browser's address, as a signal. What it means is in `router.ts`. */
import { signal } from '@preact/signals';
import { hashOf, type Place, placeOf } from './router.ts';

export const place = signal<Place>(placeOf(location.hash));

window.addEventListener('hashchange', () => {
  place.value = placeOf(location.hash);
});

/** A new entry of the history. */
export function go(path: string, query: Record<string, string | undefined> = {}): void {
  location.hash = hashOf(path, query);
}

/**
 * The same place with another query, without a new entry of the history: for filters and choices of a view. A link may have been
 * followed of which the page hears in a task of its own: what it led to stays, and what is said of another page comes too late.
 */
export function setQuery(change: Record<string, string | undefined>): void {
  const { path, query } = placeOf(location.hash);
  if (path !== place.value.path) return;
  const hash = hashOf(path, { ...query, ...change });
  history.replaceState(null, '', hash);
  place.value = placeOf(hash);
}
