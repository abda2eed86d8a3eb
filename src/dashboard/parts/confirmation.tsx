/** `confirm` asks before what cannot be undone: `if (await confirm({title, text, action: 'Delete'})) ...`. */
import { signal } from '@preact/signals';
import { Dialog } from './dialog.tsx';

interface Question {
  title: string;
  text: string;
  /** On the button that does it. */
  action: string;
}

const asked = signal<(Question & { answer(yes: boolean): void }) | null>(null);

export function confirm(question: Question): Promise<boolean> {
  asked.value?.answer(false);
  return new Promise((resolve) => {
    asked.value = { ...question, answer: resolve };
  });
}

export function Confirmation() {
  const question = asked.value;
  if (question === null) return null;
  const end = (yes: boolean) => {
    question.answer(yes);
    if (asked.value === question) asked.value = null;
  };
  return (
    <Dialog title={question.title} onClose={() => end(false)} onSubmit={() => end(true)}>
      <p>{question.text}</p>
      <div class="actions">
        <button type="button" onClick={() => end(false)}>
          Keep it
        </button>
        <button type="submit" class="primary danger">
          {question.action}
        </button>
      </div>
    </Dialog>
  );
}
