/**
 * A form of a JSON schema. It holds nothing: what differs from the defaults is in `value`, and each change is told.
 *
 *     <SchemaForm schema={entry.schema} defaults={entry.defaults} value={allocator} at="/policy/allocator" problems={errors}
 *       skip={['kind']} onChange={(next) => ...} />
 *
 * `at` is the JSON pointer of the value in the document, by which what the server finds wrong comes to stand at its field. `suggestions`
 * names things that a text may refer to: `{ device: ['nic0'] }`.
 */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { Problems } from './problems.tsx';
import {
  type Field,
  fieldsOf,
  type Json,
  type JsonObject,
  pointer,
  problemsAt,
  readField,
  type Schema,
  textOf,
  withMember,
} from './schema.ts';

export interface PathProblem {
  path: string;
  message: string;
}

export interface SchemaFormProps {
  schema: Schema;
  defaults?: JsonObject;
  value: JsonObject | undefined;
  at: string;
  problems: readonly PathProblem[];
  skip?: readonly string[];
  only?: readonly string[];
  suggestions?: Readonly<Record<string, readonly string[]>>;
  onChange(value: JsonObject | undefined): void;
}

export function SchemaForm(props: SchemaFormProps) {
  const { schema, defaults = {}, value, at, problems, skip = [], only, suggestions = {}, onChange } = props;
  const fields = fieldsOf(schema, skip).filter(({ name }) => only === undefined || only.includes(name));
  return (
    <>
      {fields.map((field) => (
        <SchemaField
          key={field.name}
          field={field}
          value={value?.[field.name]}
          fallback={defaults[field.name]}
          at={at + pointer(field.name)}
          problems={problems}
          suggestions={suggestions[field.name] ?? []}
          onChange={(next) => onChange(withMember(value, field.name, next))}
        />
      ))}
    </>
  );
}

interface SchemaFieldProps {
  field: Field;
  value: Json | undefined;
  /** What holds when nothing is given. */
  fallback: Json | undefined;
  at: string;
  problems: readonly PathProblem[];
  suggestions: readonly string[];
  onChange(value: Json | undefined): void;
}

function SchemaField(props: SchemaFieldProps) {
  const { field, value, fallback, at, problems, onChange } = props;
  if (field.kind === 'group')
    return (
      <fieldset class="wide">
        <legend class="small">{field.name}</legend>
        <div class="form">
          <SchemaForm
            schema={field.schema}
            value={isObject(value) ? value : undefined}
            {...(isObject(fallback) ? { defaults: fallback } : {})}
            at={at}
            problems={problems}
            onChange={onChange}
          />
        </div>
      </fieldset>
    );
  return <Plain {...props} />;
}

function Plain({ field, value, fallback, at, problems, suggestions, onChange }: SchemaFieldProps) {
  const { name, kind, schema, required, choices, bounds } = field;
  const id = useId();
  /** What is being written: `16 Mi` stays as it is while its number is the value. */
  const draft = useSignal<{ text: string; problem: string | null } | null>(null);
  const unread = draft.value?.problem ?? null;
  const wrong = [...(unread === null ? [] : [unread]), ...problemsAt(problems, at)];
  const about = [schema.description, bounds]
    .filter((part) => part !== undefined && part !== '')
    .join('; ')
    .replaceAll('`', '');
  const common = {
    id,
    name: at,
    'aria-invalid': wrong.length > 0,
    'aria-describedby': `${id}-about`,
    required,
  };
  const write = (text: string) => {
    const read = readField(text, kind, schema);
    draft.value = { text, problem: read.ok ? null : read.problem };
    if (read.ok) onChange(read.value);
  };
  return (
    <div class="field">
      <label for={id}>{name}</label>
      {kind === 'choice' || kind === 'yes-no' ? (
        <select {...common} value={textOf(value, kind)} onChange={(event) => write(event.currentTarget.value)}>
          <option value="">{fallback === undefined ? 'as it is' : `${textOf(fallback, kind)} (default)`}</option>
          {(kind === 'choice' ? choices : [true, false]).map((choice) => (
            <option key={String(choice)} value={String(choice)}>
              {String(choice)}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...common}
          type="text"
          inputMode={kind === 'number' ? 'decimal' : 'text'}
          autocomplete="off"
          list={suggestions.length > 0 ? `${id}-list` : undefined}
          value={draft.value?.text ?? textOf(value, kind)}
          placeholder={textOf(fallback, kind)}
          onInput={(event) => write(event.currentTarget.value)}
          onBlur={() => {
            if (unread === null) draft.value = null;
          }}
        />
      )}
      {suggestions.length > 0 && (
        <datalist id={`${id}-list`}>
          {suggestions.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
      <div id={`${id}-about`}>
        <Problems of={wrong} />
        {about !== '' && <p class="about">{about}</p>}
      </div>
    </div>
  );
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
