/** The page that the place names, loaded when it is first wanted. */
import { signal, useSignal, useSignalEffect } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useRef } from 'preact/hooks';
import { problemOf } from '../api.ts';
import { place } from '../location.ts';
import { PAGES, type PageEntry, type PageProps } from '../pages.ts';
import { ProblemNote } from '../parts/bits.tsx';
import { hashOf, match, type Parameters } from '../router.ts';

interface Found {
  entry: PageEntry;
  parameters: Parameters;
}

type State = { Page: ComponentType<PageProps>; found: Found } | { error: unknown } | null;

/** The entry of the page that is shown; for tabs and bars. */
export const current = signal<Found | null>(null);

export function findPage(path: string): Found | null {
  for (const entry of PAGES) {
    const parameters = match(entry.path, path);
    if (parameters !== null) return { entry, parameters };
  }
  return null;
}

export function Outlet() {
  const state = useSignal<State>(null);
  const shownPath = useRef<string | null>(null);

  useSignalEffect(() => {
    const { path } = place.value;
    if (path === shownPath.current) return;
    const first = shownPath.current === null;
    shownPath.current = path;
    const found = findPage(path);
    current.value = found;
    if (found === null) {
      state.value = { error: new Error(`There is no page ${path}.`) };
      return;
    }
    document.title = `${titleOf(found)} · iommu-lab`;
    found.entry.load().then(
      (module) => {
        if (shownPath.current !== path) return;
        state.value = { Page: module.default, found };
        // Whoever reads by ear or keyboard begins at the new page's heading.
        if (!first) requestAnimationFrame(() => document.querySelector<HTMLElement>('main h1')?.focus());
      },
      (error: unknown) => {
        state.value = { error };
      },
    );
  });

  const now = state.value;
  return (
    <main class="page" id="main">
      {now === null ? (
        <p class="faint">Loading …</p>
      ) : 'error' in now ? (
        <>
          <h1 tabIndex={-1}>Not here</h1>
          <ProblemNote problem={problemOf(now.error)} />
          <p>
            <a href={hashOf('/sessions')}>Sessions</a>
          </p>
        </>
      ) : (
        // A page of another session is another page: nothing of the one before stays in it.
        <now.Page
          key={JSON.stringify([now.found.entry.path, now.found.parameters])}
          parameters={now.found.parameters}
          place={place.value}
        />
      )}
    </main>
  );
}

function titleOf({ entry, parameters }: Found): string {
  return entry.title.replace(/:(\w+)/g, (_, name: string) => parameters[name] ?? '');
}
