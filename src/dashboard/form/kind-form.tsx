/** A choice among the entries of a list of the catalog, and the form of what was chosen, with what it is and where it comes from. */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import type { CatalogEntry } from '../../api/contract-types.ts';
import { Problems } from './problems.tsx';
import { fieldsOf, type JsonObject, pointer, problemsAt, type Schema } from './schema.ts';
import { type PathProblem, SchemaForm, type SchemaFormProps } from './schema-form.tsx';

export interface KindFormProps {
  label: string;
  entries: readonly CatalogEntry[];
  /** With its `kind`; undefined: the default. */
  value: JsonObject | undefined;
  /** What holds when nothing is given: a preset's, or the server's default. */
  fallback?: JsonObject;
  at: string;
  problems: readonly PathProblem[];
  suggestions?: Readonly<Record<string, readonly string[]>>;
  /** Without a default: one has to be chosen. */
  always?: boolean;
  onChange(value: JsonObject | undefined): void;
}

export function KindForm({
  label,
  entries,
  value,
  fallback,
  at,
  problems,
  suggestions = {},
  always = false,
  onChange,
}: KindFormProps) {
  const id = useId();
  const kind = typeof value?.kind === 'string' ? value.kind : undefined;
  const inForce = kind ?? (typeof fallback?.kind === 'string' ? fallback.kind : undefined);
  const entry = entries.find((each) => each.kind === inForce);
  const wrong = problemsAt(problems, `${at}/kind`);
  const defaults = { ...(entry?.defaults as JsonObject | undefined), ...(kind === undefined ? fallback : {}) };
  return (
    <div class="stack">
      <div class="form">
        <div class="field">
          <label for={id}>{label}</label>
          <select
            id={id}
            name={`${at}/kind`}
            value={kind ?? ''}
            aria-invalid={wrong.length > 0}
            aria-describedby={`${id}-about`}
            onChange={({ currentTarget }) =>
              onChange(currentTarget.value === '' ? undefined : { ...kept(value, always), kind: currentTarget.value })
            }
          >
            {!always && (
              <option value="">{inForce === undefined ? 'default' : `${fallback?.kind ?? inForce} (default)`}</option>
            )}
            {entries.map((each) => (
              <option key={each.kind} value={each.kind}>
                {each.kind}
              </option>
            ))}
          </select>
          <div id={`${id}-about`}>
            <Problems of={wrong} />
          </div>
        </div>
        {entry !== undefined && (
          <Members
            schema={entry.schema as Schema}
            defaults={defaults}
            value={value}
            at={at}
            problems={problems.filter(({ path }) => path !== `${at}/kind`)}
            suggestions={suggestions}
            onChange={onChange}
          />
        )}
      </div>
      {entry !== undefined && (
        <p class="faint small">
          {typeof entry.description === 'string' && `${entry.description}. `}Source: {entry.source}
        </p>
      )}
    </div>
  );
}

/** What another kind of device or workload keeps of the one before: what it is called and where it is. */
function kept(value: JsonObject | undefined, always: boolean): JsonObject {
  if (!always || value === undefined) return {};
  const names = ['name', 'device', 'domain', 'tenant', 'cpus'];
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}

/** Always shown, as they say what it is and where. */
const FIRST = ['name', 'device', 'domain', 'target', 'cpus'];

/** What is given, has a default or is needed; the rest, of which some kinds have twenty, is there to be opened. */
function Members(props: Omit<SchemaFormProps, 'skip' | 'only'>) {
  const { schema, defaults = {}, value = {}, problems, at } = props;
  /** What was opened by writing into it stays where it is. */
  const opened = useSignal<readonly string[]>([]);
  const names = fieldsOf(schema, ['kind']).map(({ name }) => name);
  const isFirst = (name: string) =>
    !opened.value.includes(name) &&
    (FIRST.includes(name) || name in defaults || name in value || schema.required?.includes(name) === true);
  const first = names.filter(isFirst);
  const rest = names.filter((name) => !isFirst(name));
  const wrong = rest.some((name) => problemsAt(problems, at + pointer(name)).length > 0);
  return (
    <>
      <SchemaForm {...props} only={first} />
      {rest.length > 0 && (
        <details class="more-members" open={wrong || rest.some((name) => name in value)}>
          <summary>
            {rest.length} more {rest.length === 1 ? 'member' : 'members'}
          </summary>
          <div class="form">
            <SchemaForm
              {...props}
              only={rest}
              onChange={(next) => {
                opened.value = rest;
                props.onChange(next);
              }}
            />
          </div>
        </details>
      )}
    </>
  );
}
