/** The filters of the list of sessions. Each is a member of the address's query under the API's own name. */
import { useId } from 'preact/hooks';
import type { Catalog } from '../../api/contract-types.ts';
import { DraftText } from '../form/draft-text.tsx';
import { setQuery } from '../location.ts';

const STATES = ['idle', 'running', 'recovering', 'hibernated', 'failed'];
const NAMES = ['name', 'state', 'mode', 'allocator', 'invalidation', 'createdAfter', 'createdBefore'] as const;

type Filter = Partial<Record<(typeof NAMES)[number], string>>;

export function filterOf(query: Readonly<Record<string, string>>): Filter {
  return Object.fromEntries(NAMES.flatMap((name) => (query[name] ? [[name, query[name]]] : [])));
}

export function Filters({ query, catalog }: { query: Readonly<Record<string, string>>; catalog: Catalog | null }) {
  const set = (name: string, value: string) => setQuery({ [name]: value, cursor: undefined });
  const kinds = (list: keyof Catalog) => ((catalog?.[list] ?? []) as { kind: string }[]).map(({ kind }) => kind);
  const any = NAMES.some((name) => query[name]);
  return (
    <search class="filters">
      <Text name="name" label="Name" query={query} hint="name or beginning*" set={set} />
      <Choice name="state" label="State" query={query} choices={STATES} set={set} />
      <Choice name="mode" label="Mode" query={query} choices={kinds('modes')} set={set} />
      <Choice name="allocator" label="Allocator" query={query} choices={kinds('allocators')} set={set} />
      <Choice name="invalidation" label="Invalidation" query={query} choices={kinds('policies')} set={set} />
      <Text name="createdAfter" label="Created after" query={query} hint="2026-01-31T12:00Z" set={set} />
      <Text name="createdBefore" label="Created before" query={query} hint="2026-01-31T12:00Z" set={set} />
      {any && (
        <button
          type="button"
          class="quiet"
          onClick={() => setQuery(Object.fromEntries(NAMES.map((name) => [name, undefined])))}
        >
          Clear
        </button>
      )}
    </search>
  );
}

interface FieldProps {
  name: string;
  label: string;
  query: Readonly<Record<string, string>>;
  set(name: string, value: string): void;
}

function Choice({ name, label, query, choices, set }: FieldProps & { choices: readonly string[] }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={query[name] ?? ''} onChange={({ currentTarget }) => set(name, currentTarget.value)}>
        <option value="">any</option>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {choice}
          </option>
        ))}
      </select>
    </div>
  );
}

function Text({ name, label, query, hint, set }: FieldProps & { hint: string }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <DraftText id={id} placeholder={hint} text={query[name] ?? ''} onText={(text) => set(name, text)} />
    </div>
  );
}
