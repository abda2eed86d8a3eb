/** Above what is made by a form and as JSON, both of one document: its title, what makes it, and the two views. */
import { hashOf } from '../router.ts';

export interface RequestHeadProps {
  title: string;
  /** What the button that sends it says, and where Cancel leads. */
  act: string;
  back: string;
  busy: boolean;
  /** What the views are of. */
  of: string;
  path: string;
  /** Of the address, the document included. */
  query: Record<string, string | undefined>;
  view: 'form' | 'json';
}

export function RequestHead({ title, act, back, busy, of, path, query, view }: RequestHeadProps) {
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{title}</h1>
        <div class="end">
          <a class="button" href={hashOf(back)}>
            Cancel
          </a>
          <button type="submit" class="primary" disabled={busy}>
            {act}
          </button>
        </div>
      </div>
      <nav class="tabs" aria-label={`Views of the ${of}`}>
        {(['form', 'json'] as const).map((each) => (
          <a
            key={each}
            href={hashOf(path, { ...query, view: each === 'form' ? undefined : each })}
            aria-current={each === view ? 'page' : undefined}
          >
            {each === 'form' ? 'Form' : 'JSON'}
          </a>
        ))}
      </nav>
    </>
  );
}
