/** The views of a session beside each other: the entries of `pages.ts` that have a `tab`. */
import { current } from '../frame/outlet.tsx';
import { PAGES } from '../pages.ts';
import { fill, hashOf } from '../router.ts';

export function SessionTabs({ session }: { session: string }) {
  const at = current.value?.entry.path;
  return (
    <nav class="tabs" aria-label="Views of the session">
      {PAGES.filter(({ tab }) => tab !== undefined).map(({ path, tab }) => (
        <a key={path} href={hashOf(fill(path, { session }))} aria-current={path === at ? 'page' : undefined}>
          {tab}
        </a>
      ))}
    </nav>
  );
}
