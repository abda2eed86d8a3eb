/**
 * A new session: a form of the catalog and the same as JSON, both of one document. What is written is checked by the server while it is
 * written (`validateOnly`), which says what is wrong by its place, and which policy would be in force and why.
 */
import { useSignal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { Catalog, CheckedSpec, Problem, Session } from '../../api/contract-types.ts';
import { api, problemOf } from '../api.ts';
import { go, setQuery } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card, ProblemNote } from '../parts/bits.tsx';
import { RequestHead } from '../parts/request-head.tsx';
import { tell } from '../tell.ts';
import { token } from '../token.ts';
import { useLoad } from '../use-load.ts';
import { JsonView } from './json-view.tsx';
import { PolicyOutlook } from './policy-outlook.tsx';
import { packSpec, readSpec, type Spec } from './spec.ts';
import { SpecForm } from './spec-form.tsx';

const CHECK_MS = 300;

export default function NewPage({ place }: PageProps) {
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  const given = readSpec(place.query.spec ?? '{"preset":"thread-2008"}');
  const spec = useSignal<Spec>('spec' in given ? given.spec : {});
  const checked = useSignal<CheckedSpec | null>(null);
  const problem = useSignal<Problem | null>(null);
  const busy = useSignal(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const newest = useRef(0);
  const view = place.query.view === 'json' ? 'json' : 'form';

  useSignalEffect(() => {
    const asked = spec.value;
    void token.value;
    clearTimeout(timer.current);
    // At once when the page comes: its fields show what holds where nothing is given.
    timer.current = setTimeout(() => void check(asked), newest.current === 0 ? 0 : CHECK_MS);
    return () => clearTimeout(timer.current);
  });

  async function check(asked: Spec): Promise<void> {
    const mine = ++newest.current;
    setQuery({ spec: packSpec(asked) ?? place.query.spec });
    try {
      const reply = await api.post<CheckedSpec>('/v1/sessions', asked, { validateOnly: true });
      if (mine !== newest.current) return;
      checked.value = reply;
      problem.value = null;
    } catch (error) {
      if (mine !== newest.current) return;
      problem.value = problemOf(error);
      if (checked.peek() === null) await showDefaults(asked);
    }
  }

  /** Of a spec that came with mistakes in it. */
  async function showDefaults({ preset }: Spec): Promise<void> {
    try {
      checked.value = await api.post<CheckedSpec>('/v1/sessions', preset === undefined ? {} : { preset }, {
        validateOnly: true,
      });
    } catch {
      // What is wrong has been said.
    }
  }

  async function create(): Promise<void> {
    busy.value = true;
    // A check that came behind would find the name taken, by what is being made.
    clearTimeout(timer.current);
    try {
      const { id, name = id } = await api.post<Session>('/v1/sessions', spec.value);
      tell(`${name} is there.`);
      go(`/sessions/${encodeURIComponent(name)}`);
    } catch (error) {
      problem.value = problemOf(error);
    } finally {
      busy.value = false;
    }
  }

  const errors = problem.value?.errors ?? [];
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <RequestHead
        title="New session"
        act="Create"
        back="/sessions"
        busy={busy.value}
        of="spec"
        path="/new"
        query={{ ...place.query, spec: packSpec(spec.value) }}
        view={view}
      />
      <div class="beside">
        <div class="stack">
          <ProblemNote problem={catalog.problem.value} />
          {view === 'json' ? (
            <JsonView spec={spec} problems={errors} label="Spec">
              The body of <code>POST /v1/sessions</code>. All of it is optional: objects merge into the preset, lists
              replace.
            </JsonView>
          ) : catalog.data.value === null ? (
            <p class="faint">Loading the catalog …</p>
          ) : (
            <SpecForm spec={spec} catalog={catalog.data.value} checked={checked.value} problems={errors} />
          )}
        </div>
        <div class="stack aside">
          <Card title="What it would be">
            <ProblemNote problem={problem.value} />
            {checked.value !== null && problem.value === null && <PolicyOutlook policy={checked.value.policy} />}
            {checked.value === null && problem.value === null && <p class="faint">Being checked …</p>}
          </Card>
        </div>
      </div>
    </form>
  );
}
