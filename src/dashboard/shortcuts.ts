/**
 * Keys. `useShortcut('r', 'start a run', start)` holds while the component is there; `?` lists what holds now. A key does nothing while
 * somebody writes in a field, holds Ctrl, Alt or Meta, or has a dialog open.
 */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

export interface Shortcut {
  key: string;
  about: string;
  act(): void;
}

export const shortcuts = signal<readonly Shortcut[]>([]);

export function addShortcut(shortcut: Shortcut): () => void {
  shortcuts.value = [...shortcuts.value, shortcut];
  return () => {
    shortcuts.value = shortcuts.value.filter((other) => other !== shortcut);
  };
}

export function useShortcut(key: string, about: string, act: () => void): void {
  const newest = useRef(act);
  newest.current = act;
  useEffect(() => addShortcut({ key, about, act: () => newest.current() }), [key, about]);
}

window.addEventListener('keydown', (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null) return;
  if (document.querySelector('dialog[open]') !== null) return;
  // The newest first: a page may give a key of the frame another meaning.
  const found = shortcuts.value.findLast((shortcut) => shortcut.key === key);
  if (found === undefined) return;
  event.preventDefault();
  found.act();
});
