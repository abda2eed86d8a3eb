/** A new experiment: a preset with a few members changed, or the request as a document. */
import { useSignal } from '@preact/signals';
import type { Catalog, CatalogEntry, Experiment, Problem } from '../../api/contract-types.ts';
import { api, problemOf } from '../api.ts';
import { count } from '../format.ts';
import { go, setQuery } from '../location.ts';
import { Card, ProblemNote } from '../parts/bits.tsx';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';

type Request = Record<string, unknown>;

/** Where there is no preset: the shape of a request, to be changed. */
const EXAMPLE: Request = {
  base: { preset: 'thread-2008' },
  vary: { 'policy.invalidation.kind': ['strict', 'deferred-2008', 'flush-queue'] },
  until: { operations: 5000 },
  seeds: [1, 2, 3],
  control: true,
};
const OWN = 'own';

export function Create({ preset, onMade }: { preset: string | undefined; onMade(): void }) {
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  const chosen = preset ?? 'thread-2008';
  const text = useSignal(JSON.stringify(requestOf(chosen), null, 2));
  const problem = useSignal<Problem | null>(null);
  const checked = useSignal<Experiment | null>(null);
  const busy = useSignal(false);
  const presets = (catalog.data.value?.experiments ?? []) as (CatalogEntry & { title?: string })[];
  const entry = presets.find(({ kind }) => kind === chosen);

  const read = (): Request | null => {
    try {
      return JSON.parse(text.value) as Request;
    } catch (error) {
      problem.value = { ...problemOf(error), title: 'That is no JSON' };
      return null;
    }
  };
  const write = (change: Request) => {
    const request = read();
    if (request === null) return;
    const next = { ...request, ...change };
    for (const [name, value] of Object.entries(next)) if (value === undefined) delete next[name];
    text.value = JSON.stringify(next, null, 2);
    checked.value = null;
    problem.value = null;
  };
  const send = async (validateOnly: boolean) => {
    const request = read();
    if (request === null) return;
    busy.value = true;
    problem.value = null;
    try {
      const reply = await api.post<Experiment>('/v1/experiments', request, validateOnly ? { validateOnly } : {});
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
  const now = parsed(text.value);
  return (
    <Card title="A new experiment">
      <form
        class="stack"
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
                text.value = JSON.stringify(requestOf(kind), null, 2);
                checked.value = null;
                problem.value = null;
              }}
            >
              <option value={OWN}>none: a request of my own</option>
              {presets.map(({ kind }) => (
                <option key={kind} value={kind}>
                  {kind}
                </option>
              ))}
            </select>
            {entry !== undefined && <span class="about">{entry.title}</span>}
          </div>
          <div class="field">
            <label for="experiment-name">Name</label>
            <input
              id="experiment-name"
              type="text"
              autocomplete="off"
              placeholder="none"
              value={String(now?.name ?? '')}
              onInput={(event) => write({ name: event.currentTarget.value || undefined })}
            />
          </div>
          <div class="field">
            <label for="experiment-operations">Operations an arm</label>
            <input
              id="experiment-operations"
              type="number"
              min={1}
              placeholder="as the preset says"
              value={String((now?.until as { operations?: number } | undefined)?.operations ?? '')}
              onInput={(event) => {
                const { value } = event.currentTarget;
                write({ until: value === '' ? undefined : { operations: Number(value) } });
              }}
            />
          </div>
          <div class="field">
            <label for="experiment-seeds">Seeds</label>
            <input
              id="experiment-seeds"
              type="text"
              inputMode="numeric"
              placeholder="as the preset says"
              value={((now?.seeds as number[] | undefined) ?? []).join(', ')}
              onChange={(event) => {
                const seeds = event.currentTarget.value
                  .split(/[\s,]+/)
                  .filter((each) => /^\d+$/.test(each))
                  .map(Number);
                write({ seeds: seeds.length === 0 ? undefined : seeds });
              }}
            />
          </div>
        </div>
        <details open={chosen === OWN}>
          <summary>The request</summary>
          <div class="field">
            <label for="experiment-request" class="hidden-text">
              The request, in JSON
            </label>
            <textarea
              id="experiment-request"
              class="experiment-editor"
              spellcheck={false}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
                checked.value = null;
              }}
            />
          </div>
        </details>
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

function requestOf(preset: string): Request {
  return preset === OWN ? EXAMPLE : { preset };
}

function parsed(text: string): Request | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Request) : null;
  } catch {
    return null;
  }
}
