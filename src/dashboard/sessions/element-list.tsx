/**
 * A list of the spec whose elements have a kind: devices, workloads. Where nothing is given the preset's hold; whoever changes one takes the
 * whole list over, since lists replace.
 */
import type { CatalogEntry } from '../../api/contract-types.ts';
import { KindForm } from '../form/kind-form.tsx';
import type { JsonObject, Schema } from '../form/schema.ts';
import type { PathProblem } from '../form/schema-form.tsx';
import { Card, Empty } from '../parts/bits.tsx';
import { freeName } from './spec.ts';

export interface ElementListProps {
  title: string;
  one: string;
  entries: readonly CatalogEntry[];
  /** Undefined: as the preset has it. */
  list: JsonObject[] | undefined;
  inherited: readonly JsonObject[];
  /** Members that every kind has and the catalog does not tell. */
  extra: Readonly<Record<string, Schema>>;
  suggestions: Readonly<Record<string, readonly string[]>>;
  at: string;
  problems: readonly PathProblem[];
  onChange(list: JsonObject[] | undefined): void;
}

export function ElementList(props: ElementListProps) {
  const { title, one, list, inherited, extra, suggestions, at, problems, onChange } = props;
  const entries = props.entries.map((entry) => ({
    ...entry,
    schema: withMembers(entry.schema as Schema, extra) as JsonObject,
  }));
  const first = entries[0] as CatalogEntry;
  const add = () => {
    const shown = list ?? [...inherited];
    const device = suggestions.device?.[0];
    onChange([...shown, { name: freeName(one, shown), kind: first.kind, ...(device === undefined ? {} : { device }) }]);
  };
  return (
    <Card
      title={title}
      end={
        <span class="row">
          {list !== undefined && (
            <button type="button" class="quiet" onClick={() => onChange(undefined)}>
              As the preset
            </button>
          )}
          <button type="button" onClick={add}>
            Add a {one}
          </button>
        </span>
      }
    >
      {list === undefined ? (
        <Inherited inherited={inherited} one={one} onTake={() => onChange(inherited.map((each) => ({ ...each })))} />
      ) : list.length === 0 ? (
        <Empty>None.</Empty>
      ) : (
        list.map((element, i) => (
          <fieldset key={i} class="element">
            <legend>
              {String(element.name ?? `${one} ${i}`)}{' '}
              <button
                type="button"
                class="quiet danger"
                aria-label={`Remove ${String(element.name ?? `${one} ${i}`)}`}
                onClick={() => onChange(list.filter((_, other) => other !== i))}
              >
                Remove
              </button>
            </legend>
            <KindForm
              label="kind"
              entries={entries}
              value={element}
              always
              at={`${at}/${i}`}
              problems={problems}
              suggestions={suggestions}
              onChange={(value) => onChange(list.map((each, other) => (other === i ? (value ?? {}) : each)))}
            />
          </fieldset>
        ))
      )}
    </Card>
  );
}

function Inherited({ inherited, one, onTake }: { inherited: readonly JsonObject[]; one: string; onTake(): void }) {
  if (inherited.length === 0) return <Empty>None. Add a {one}.</Empty>;
  return (
    <div class="row">
      {inherited.map(({ name, kind }, i) => (
        <span key={i} class="chip">
          {String(name ?? i)} <span class="faint">{String(kind)}</span>
        </span>
      ))}
      <button type="button" class="quiet" onClick={onTake}>
        Change them
      </button>
    </div>
  );
}

function withMembers(schema: Schema, extra: Readonly<Record<string, Schema>>): Schema {
  return { ...schema, properties: { ...extra, ...schema.properties } };
}
