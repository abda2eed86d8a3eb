/**
 * A new experiment: a form and the same as JSON, both of one document, the body of `POST /v1/experiments`. The server checks it while it is
 * written, says what is wrong by its place, and which arms it comes to.
 */
import './experiments.css';
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Catalog, CatalogEntry, CheckedSpec, Experiment } from '../../api/contract-types.ts';
import { api } from '../api.ts';
import { useMaking } from '../form/making.ts';
import { MakingPage } from '../form/making-page.tsx';
import type { Json, JsonObject } from '../form/schema.ts';
import { SchemaForm } from '../form/schema-form.tsx';
import { count } from '../format.ts';
import { go } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card } from '../parts/bits.tsx';
import { change, objectAt, readSpec, type Spec } from '../sessions/spec.ts';
import { SpecForm } from '../sessions/spec-form.tsx';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';
import { LengthField } from './length-field.tsx';
import { EXAMPLE, lengthText, merged } from './request.ts';
import { specPaths } from './spec-paths.ts';
import { VariationCard } from './variation-card.tsx';

const CHECK_MS = 400;
const SHOWN = 12;

export default function NewExperimentPage({ place }: PageProps) {
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  const given = place.query.request === undefined ? null : readSpec(place.query.request);
  const making = useMaking<Experiment, Experiment>({
    route: '/v1/experiments',
    first: given !== null && 'spec' in given ? given.spec : EXAMPLE,
    member: 'request',
    given: place.query.request,
    afterMs: CHECK_MS,
    whenMade: ({ id, name = id, jobs }) => {
      tell(`Started: ${count(jobs.total)} jobs.`);
      go(`/experiments/${encodeURIComponent(name)}`);
    },
  });
  const { document, checked, problem } = making;
  return (
    <MakingPage
      making={making}
      title="New experiment"
      act="Run it"
      back="/experiments"
      of="request"
      path="/new-experiment"
      query={place.query}
      view={place.query.view}
      problem={catalog.problem.value}
      form={
        catalog.data.value === null ? null : (
          <RequestForm
            request={document}
            catalog={catalog.data.value}
            checked={checked.value}
            problems={problem.value?.errors ?? []}
          />
        )
      }
      body={
        <>
          The body of <code>POST /v1/experiments</code>. With a <code>preset</code>, what stands beside it changes it.
        </>
      }
      outlook={(experiment) => <Outlook experiment={experiment} />}
    />
  );
}

function Outlook({ experiment: { arms, jobs } }: { experiment: Experiment }) {
  return (
    <div role="status" class="stack">
      <p>
        {count(arms.length)} {arms.length === 1 ? 'arm' : 'arms'}, {count(jobs.total)}{' '}
        {jobs.total === 1 ? 'job' : 'jobs'}
      </p>
      <ul class="experiment-words small">
        {arms.slice(0, SHOWN).map(({ id, label, control }) => (
          <li key={id}>
            {label}
            {control && <span class="faint"> (control)</span>}
          </li>
        ))}
      </ul>
      {arms.length > SHOWN && <p class="faint small">and {count(arms.length - SHOWN)} more.</p>}
    </div>
  );
}

interface RequestFormProps {
  request: Signal<Spec>;
  catalog: Catalog;
  checked: Experiment | null;
  problems: readonly { path: string; message: string }[];
}

function RequestForm({ request, catalog, checked, problems }: RequestFormProps) {
  const now = request.value;
  const set = (next: JsonObject | undefined) => {
    request.value = next ?? {};
  };
  const member = (name: string, value: Json | undefined) => set(change(request.peek(), [name], value));
  const presets = (catalog.experiments ?? []) as (CatalogEntry & { title?: string })[];
  const entry = presets.find(({ kind }) => kind === now.preset);
  const preset = entry?.defaults as JsonObject | undefined;
  const base = useBase(request, objectAt(preset ?? {}, 'base'));
  const arms = (checked?.arms ?? [])
    .filter(({ control }) => !control)
    .map(({ label, varied }) => ({ label, set: varied as JsonObject }));
  const above = problems.filter(({ path }) => !path.startsWith('/base'));
  const below = problems.flatMap(({ path, message }) =>
    path.startsWith('/base/') ? [{ path: path.slice('/base'.length), message }] : [],
  );
  const basics = {
    properties: {
      name: { type: 'string', description: 'in addresses; letters, digits, . _ -' },
      title: { type: 'string' },
      preset: { enum: presets.map(({ kind }) => kind), description: 'of the catalog; what is given below changes it' },
    },
  };
  const usual = (what: string) => (entry === undefined ? what : 'as the preset');
  const lengthOfPreset = (name: string) => {
    const found = lengthText(preset?.[name]);
    return found === null ? undefined : found.unit === 'ns' ? found.text : `${found.text} operations`;
  };
  return (
    <>
      <Card title="Experiment">
        <div class="form">
          <SchemaForm schema={basics} value={now} defaults={{ preset: 'none' }} at="" problems={above} onChange={set} />
        </div>
        {entry !== undefined && (
          <p class="faint small">
            {entry.title}. Source: {entry.source}
          </p>
        )}
      </Card>
      <VariationCard
        request={now}
        inherited={preset}
        arms={arms}
        paths={base.resolved === null ? [] : specPaths(base.resolved, catalog)}
        problems={above}
        onChange={set}
      />
      <Card title="Runs">
        <div class="form">
          <LengthField
            label="Until"
            value={now.until}
            fallback={lengthOfPreset('until') ?? usual('20,000 operations')}
            about="where an arm stops"
            at="/until"
            problems={above}
            onChange={(value) => member('until', value)}
          />
          <LengthField
            label="Warm-up"
            value={now.warmUp}
            fallback={lengthOfPreset('warmUp') ?? usual('none')}
            about="before that, unmeasured"
            at="/warmUp"
            problems={above}
            onChange={(value) => member('warmUp', value)}
          />
          <SchemaForm
            schema={{
              properties: {
                seeds: { type: 'array', items: { type: 'integer' }, description: 'each arm runs once with each' },
                control: { type: 'boolean', description: 'whether an arm without protection runs beside the others' },
              },
            }}
            value={now}
            defaults={{ seeds: [1, 2, 3], control: true, ...preset }}
            at=""
            problems={above}
            onChange={set}
          />
        </div>
      </Card>
      <SpecForm
        spec={base.spec}
        catalog={catalog}
        checked={base.resolved as CheckedSpec | null}
        problems={below}
        shared
      />
    </>
  );
}

/** What all arms have in common, as a document of its own, and what it comes to. */
function useBase(request: Signal<Spec>, preset: JsonObject | undefined) {
  const resolved = useSignal<JsonObject | null>(null);
  const spec = useMemo(
    () => ({
      get value(): Spec {
        return objectAt(request.value, 'base') ?? {};
      },
      set value(next: Spec) {
        request.value = change(request.peek(), ['base'], Object.keys(next).length === 0 ? undefined : next);
      },
      peek: (): Spec => objectAt(request.peek(), 'base') ?? {},
    }),
    [request],
  );
  const both = (merged(preset, spec.value) ?? {}) as JsonObject;
  const whole = JSON.stringify(both);
  useEffect(() => {
    let isNewest = true;
    const resolve = async (asked: Json) => {
      const reply = await api.post<CheckedSpec>('/v1/sessions', asked, { validateOnly: true });
      if (isNewest) resolved.value = reply as unknown as JsonObject;
    };
    const timer = setTimeout(
      async () => {
        try {
          await resolve(both);
        } catch {
          // What is wrong with it is said of the request; the fields show at least what holds without it.
          const only: JsonObject = both.preset === undefined ? {} : { preset: both.preset };
          if (isNewest && resolved.peek() === null) await resolve(only).catch(() => undefined);
        }
      },
      resolved.peek() === null ? 0 : CHECK_MS,
    );
    return () => {
      isNewest = false;
      clearTimeout(timer);
    };
  }, [whole]);
  const shown = resolved.value === null ? null : { preset: preset?.preset ?? 'none', ...resolved.value };
  return { spec, resolved: shown };
}
