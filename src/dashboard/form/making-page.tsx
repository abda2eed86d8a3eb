/** The page on which something is made of a document: the document as a form or as JSON, and beside it what it would be. */
import type { ComponentChildren } from 'preact';
import type { Problem } from '../../api/contract-types.ts';
import { Card, ProblemNote } from '../parts/bits.tsx';
import { RequestHead, type RequestHeadProps } from '../parts/request-head.tsx';
import { JsonView } from '../sessions/json-view.tsx';
import { packSpec } from '../sessions/spec.ts';
import type { Making } from './making.ts';

export interface MakingPageProps<Checked> extends Omit<RequestHeadProps, 'busy' | 'of' | 'view'> {
  making: Making<Checked>;
  /** What the document is called; in the address as well. */
  of: string;
  view: string | undefined;
  /** Of what the form is made of. */
  problem: Problem | null;
  /** Null while what it is made of is not here yet. */
  form: ComponentChildren;
  /** What the JSON is the body of. */
  body: ComponentChildren;
  outlook(checked: Checked): ComponentChildren;
}

export function MakingPage<Checked>(props: MakingPageProps<Checked>) {
  const { making, title, act, back, of, path, query, problem, form, body, outlook } = props;
  const { document, checked } = making;
  const view = props.view === 'json' ? 'json' : 'form';
  const wrong = making.problem.value;
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void making.make();
      }}
    >
      <RequestHead
        title={title}
        act={act}
        back={back}
        busy={making.busy.value}
        of={of}
        path={path}
        query={{ ...query, [of]: packSpec(document.value) }}
        view={view}
      />
      <div class="beside">
        <div class="stack">
          <ProblemNote problem={problem} />
          {view === 'json' ? (
            <JsonView spec={document} problems={wrong?.errors ?? []} label={of[0]!.toUpperCase() + of.slice(1)}>
              {body}
            </JsonView>
          ) : (
            (form ?? <p class="faint">Loading the catalog …</p>)
          )}
        </div>
        <div class="stack aside">
          <Card title="What it would be">
            <ProblemNote problem={wrong} />
            {wrong === null && checked.value !== null && outlook(checked.value)}
            {wrong === null && checked.value === null && <p class="faint">Being checked …</p>}
          </Card>
        </div>
      </div>
    </form>
  );
}
