/** Name, pages, theme, keys, token. */
import { root } from '../api.ts';
import { PAGES } from '../pages.ts';
import { hashOf } from '../router.ts';
import { nextTheme, theme } from '../theme.ts';
import { token, tokenWanted } from '../token.ts';
import { keysShown } from './keys-dialog.tsx';
import { current } from './outlet.tsx';

const THEME_SIGN = { system: '◐', light: '☀', dark: '☾' };
const THEME_NAME = { system: 'as the system', light: 'light', dark: 'dark' };

export function TopBar() {
  return (
    <header class="bar">
      <a class="brand" href={hashOf('/sessions')} aria-label="iommu-lab, sessions">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="6" fill="var(--accent)" />
          <g fill="none" stroke="var(--accent-ink)" stroke-width="2.8" stroke-linecap="round">
            <path d="M6 10h7l6 12h7" />
            <path d="M6 22h5m10-12h5" opacity=".6" />
          </g>
        </svg>
        <span>iommu-lab</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.filter(({ nav }) => nav !== undefined).map(({ path, nav }) => (
          <a key={path} href={hashOf(path)} aria-current={isWithin(path) ? 'page' : undefined}>
            {nav}
          </a>
        ))}
        <a href={`${root}/docs/`}>API</a>
      </nav>
      <div class="end">
        {token.value !== '' && (
          <button type="button" class="quiet" onClick={() => (tokenWanted.value = 'Another token, or none.')}>
            Token
          </button>
        )}
        <button
          type="button"
          class="quiet"
          onClick={nextTheme}
          aria-label={`Colours: ${THEME_NAME[theme.value]}`}
          title={`Colours: ${THEME_NAME[theme.value]} (t)`}
        >
          <span aria-hidden="true">{THEME_SIGN[theme.value]}</span>
        </button>
        <button type="button" class="quiet" onClick={() => (keysShown.value = true)} aria-label="Keys" title="Keys (?)">
          <span aria-hidden="true">?</span>
        </button>
      </div>
    </header>
  );
}

/** Where what is made belongs. */
const NEW: Readonly<Record<string, string>> = {
  '/': '/sessions',
  '/new': '/sessions',
  '/new-experiment': '/experiments',
};

/** A session is one of the sessions. */
function isWithin(path: string): boolean {
  const at = current.value?.entry.path;
  if (at === undefined) return false;
  return at === path || at.startsWith(`${path}/`) || NEW[at] === path;
}
