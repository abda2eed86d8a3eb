/** What `tell` was given. */
import { told } from '../tell.ts';

export function ToldNote() {
  const now = told.value;
  return (
    <div class="told" role="status" aria-live="polite">
      {now !== null && <p class={now.kind}>{now.text}</p>}
    </div>
  );
}
