/** A new experiment in one card: a preset with a few members changed. What more can be changed is on a page of its own, `new-page.tsx`. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Catalog, CatalogEntry, Experiment, Problem } from '../../api/contract-types.ts';
import { api, problemOf } from '../api.ts';
import { DraftText } from '../form/draft-text.tsx';
import { Problems } from '../form/problems.tsx';
import { type JsonObject, problemsAt, readField, textOf } from '../form/schema.ts';
import { count } from '../format.ts';
import { go, setQuery } from '../location.ts';
import { Card, ProblemNote } from '../parts/bits.tsx';
import { hashOf } from '../router.ts';
import { change, objectAt, packSpec } from '../sessions/spec.ts';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';

const FIRST = 'thread-2008';

export function Create({ preset, onMade }: { preset: string | undefined; onMade(): void }) {
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  const chosen = preset ?? FIRST;
  const request = useSignal<JsonObject>({ preset: chosen });
  const problem = useSignal<Problem | null>(null);
  const checked = useSignal<Experiment | null>(null);
  const busy = useSignal(false);
  const presets = (catalog.data.value?.experiments ?? []) as (CatalogEntry & { title?: string })[];
  const entry = presets.find(({ kind }) => kind === chosen);
  const now = request.value;

  const write = (next: JsonObject) => {
    request.value = next;
    checked.value = null;
    problem.value = null;
  };
  const send = async (validateOnly: boolean) => {
    busy.value = true;
    problem.value = null;
    try {
      const reply = await api.post<Experiment>('/v1/experiments', request.peek(), validateOnly ? { validateOnly } : {});
      if (validateOnly) checked.value = reply;
      else {
        tell(`Started: ${count(reply.jobs.total)} jobs.`);
        onMade();
        go(`/experiments/${reply.name ?? reply.id}`);
      }
    } catch (error) {
      problem.value = problemOf(error);
    }
    busy.value = false;
  };
  // By a link, or on the way back.
  useEffect(() => {
    if (request.peek().preset !== chosen) write({ preset: chosen });
  }, [chosen]);
  const wrongAt = (at: string) => problemsAt(problem.value?.errors ?? [], at);
  return (
    <Card
      title="From the catalog"
      end={
        <a class="button" href={hashOf('/new-experiment', { request: packSpec(now) })}>
          Change more of it
        </a>
      }
    >
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void send(false);
        }}
      >
        <div class="form">
          <div class="field">
            <label for="experiment-preset">Preset</label>
            <select
              id="experiment-preset"
              value={chosen}
              onChange={(event) => {
                const kind = event.currentTarget.value;
                setQuery({ preset: kind });
                write({ preset: kind });
              }}
            >
              {presets.map(({ kind }) => (
                <option key={kind} value={kind}>
                  {kind}
                </option>
              ))}
            </select>
            {entry !== undefined && <span class="about">{entry.title}</span>}
          </div>
          <Field
            id="experiment-name"
            label="Name"
            placeholder="none"
            text={textOf(now.name, 'text')}
            wrong={wrongAt('/name')}
            onText={(text) => write(change(now, ['name'], text === '' ? undefined : text))}
          />
          <Field
            id="experiment-operations"
            label="Operations an arm"
            numeric
            placeholder="as the preset says"
            text={textOf(objectAt(now, 'until')?.operations, 'number')}
            wrong={wrongAt('/until')}
            onText={(text) => write(change(now, ['until', 'operations'], text === '' ? undefined : Number(text)))}
          />
          <Field
            id="experiment-seeds"
            label="Seeds"
            numeric
            placeholder="as the preset says"
            text={textOf(now.seeds, 'numbers')}
            wrong={wrongAt('/seeds')}
            onText={(text) => {
              const read = readField(text, 'numbers', {});
              if (read.ok) write(change(now, ['seeds'], read.value));
            }}
          />
        </div>
        <div class="row">
          <button type="submit" class="primary" disabled={busy.value}>
            Run it
          </button>
          <button type="button" disabled={busy.value} onClick={() => void send(true)}>
            Check it
          </button>
        </div>
      </form>
      {checked.value !== null && (
        <p class="note" role="status">
          {count(checked.value.arms.length)} arms, {count(checked.value.jobs.total)} jobs:{' '}
          {checked.value.arms
            .slice(0, 8)
            .map(({ label }) => label)
            .join('; ')}
          {checked.value.arms.length > 8 ? ' …' : ''}
        </p>
      )}
      <ProblemNote problem={problem.value ?? catalog.problem.value} />
    </Card>
  );
}

interface FieldProps {
  id: string;
  label: string;
  placeholder: string;
  text: string;
  numeric?: boolean;
  /** In the server's words. */
  wrong: readonly string[];
  /** When it was written. */
  onText(text: string): void;
}

function Field({ id, label, placeholder, text, numeric = false, wrong, onText }: FieldProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <DraftText
        id={id}
        numeric={numeric}
        placeholder={placeholder}
        text={text}
        invalid={{ now: wrong.length > 0, about: `${id}-about` }}
        onText={onText}
      />
      <div id={`${id}-about`}>
        <Problems of={wrong} />
      </div>
    </div>
  );
}
