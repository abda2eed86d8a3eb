/**
 * A dialog: the browser's own, modal, so that focus stays inside, Escape closes it, and focus goes back to where it was.
 *
 *     <Dialog title="Delete it?" onClose={close} onSubmit={remove}> ... <div class="actions"> ... </div> </Dialog>
 *
 * Its content stands in a form; a button of type `submit` calls `onSubmit`, then `onClose`.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

export interface DialogProps {
  title: string;
  onClose(): void;
  onSubmit?(): void;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, onSubmit, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby={heading} onClose={onClose}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit?.();
          dialog.current?.close();
        }}
      >
        <h2 id={heading}>{title}</h2>
        {children}
      </form>
    </dialog>
  );
}
