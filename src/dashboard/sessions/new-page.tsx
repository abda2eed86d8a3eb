/**
 * A new session: a form of the catalog and the same as JSON, both of one document. What is written is checked by the server while it is
 * written, which says what is wrong by its place, and which policy would be in force and why.
 */
import type { Catalog, CheckedSpec, Session } from '../../api/contract-types.ts';
import { api } from '../api.ts';
import { useMaking } from '../form/making.ts';
import { MakingPage } from '../form/making-page.tsx';
import { go } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';
import { PolicyOutlook } from './policy-outlook.tsx';
import { readSpec } from './spec.ts';
import { SpecForm } from './spec-form.tsx';

const CHECK_MS = 300;

export default function NewPage({ place }: PageProps) {
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  const given = readSpec(place.query.spec ?? '{"preset":"thread-2008"}');
  const making = useMaking<Session, CheckedSpec>({
    route: '/v1/sessions',
    first: 'spec' in given ? given.spec : {},
    member: 'spec',
    given: place.query.spec,
    afterMs: CHECK_MS,
    // The defaults, for a spec that came with mistakes in it.
    fallback: ({ preset }) =>
      api.post<CheckedSpec>('/v1/sessions', preset === undefined ? {} : { preset }, { validateOnly: true }),
    whenMade: ({ id, name = id }) => {
      tell(`${name} is there.`);
      go(`/sessions/${encodeURIComponent(name)}`);
    },
  });
  const { document, checked, problem } = making;
  return (
    <MakingPage
      making={making}
      title="New session"
      act="Create"
      back="/sessions"
      of="spec"
      path="/new"
      query={place.query}
      view={place.query.view}
      problem={catalog.problem.value}
      form={
        catalog.data.value === null ? null : (
          <SpecForm
            spec={document}
            catalog={catalog.data.value}
            checked={checked.value}
            problems={problem.value?.errors ?? []}
          />
        )
      }
      body={
        <>
          The body of <code>POST /v1/sessions</code>. All of it is optional: objects merge into the preset, lists
          replace.
        </>
      }
      outlook={({ policy }) => <PolicyOutlook policy={policy} />}
    />
  );
}
