/** The frame: bar, page, dialogs that any page may need, what is told. */
import { useEffect } from 'preact/hooks';
import { KeysDialog, keysShown } from './frame/keys-dialog.tsx';
import { Outlet } from './frame/outlet.tsx';
import { TokenDialog } from './frame/token-dialog.tsx';
import { ToldNote } from './frame/told-note.tsx';
import { TopBar } from './frame/top-bar.tsx';
import { go } from './location.ts';
import { Confirmation } from './parts/confirmation.tsx';
import { addShortcut } from './shortcuts.ts';
import { nextTheme } from './theme.ts';

export function App() {
  useEffect(() => {
    const ends = [
      addShortcut({ key: '?', about: 'show the keys', act: () => (keysShown.value = true) }),
      addShortcut({ key: 't', about: 'light, dark, or as the system', act: nextTheme }),
      addShortcut({ key: 's', about: 'go to the sessions', act: () => go('/sessions') }),
      addShortcut({ key: 'n', about: 'create a session', act: () => go('/new') }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, []);
  return (
    <>
      <button type="button" class="skip" onClick={toMain}>
        Skip to the page
      </button>
      <TopBar />
      <Outlet />
      <TokenDialog />
      <KeysDialog />
      <Confirmation />
      <ToldNote />
    </>
  );
}

/** No link: what stands behind `#` is a place. */
function toMain(): void {
  document.querySelector<HTMLElement>('main h1')?.focus();
}
