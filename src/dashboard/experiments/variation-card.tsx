/** What sets the arms of an experiment apart: paths into the spec with the values that each takes, or the arms one by one. */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { Problems } from '../form/problems.tsx';
import { type Json, type JsonObject, pointer, problemsAt } from '../form/schema.ts';
import type { PathProblem } from '../form/schema-form.tsx';
import { Card, Empty } from '../parts/bits.tsx';
import {
  type ArmInput,
  armsOf,
  problemsOfValues,
  type Read,
  renamed,
  setOf,
  setText,
  toWay,
  type Vary,
  valuesOf,
  valuesText,
  valueText,
  varyOf,
  type Way,
  wayOf,
} from './request.ts';
import type { SpecPath } from './spec-paths.ts';

export interface VariationProps {
  request: JsonObject;
  /** Of the preset, when there is one. */
  inherited: JsonObject | undefined;
  /** What the request comes to, as the server says; without controls. */
  arms: readonly ArmInput[];
  paths: readonly SpecPath[];
  problems: readonly PathProblem[];
  onChange(request: JsonObject): void;
}

const WAYS: Record<Way, string> = {
  product: 'each value with each',
  paired: 'the first with the first, and so on',
  list: 'arms one by one',
};

export function VariationCard(props: VariationProps) {
  const { request, inherited, arms, paths, problems, onChange } = props;
  const field = useId();
  const way = wayOf(request);
  const shown = way ?? 'product';
  const vary = varyOf(request);
  const without = ({ vary: _vary, arms: _arms, combine: _combine, ...rest }: JsonObject) => rest;
  const setVary = (next: Vary) => {
    const { vary: _vary, ...rest } = request;
    onChange(Object.keys(next).length === 0 ? rest : { ...rest, vary: next as unknown as Json });
  };
  const isInherited = way === undefined && inherited !== undefined && wayOf(inherited) !== undefined;
  return (
    <Card
      title="What is varied"
      end={
        inherited !== undefined &&
        way !== undefined && (
          <button type="button" class="quiet" onClick={() => onChange(without(request))}>
            As the preset
          </button>
        )
      }
    >
      {isInherited ? (
        <Inherited
          inherited={inherited}
          onTake={() => {
            const { vary: taken, arms: listed, combine } = inherited;
            const given = Object.entries({ vary: taken, arms: listed, combine }).filter(
              ([, each]) => each !== undefined,
            );
            onChange({ ...without(request), ...(Object.fromEntries(given) as JsonObject) });
          }}
        />
      ) : (
        <>
          <div class="form">
            <div class="field">
              <label for={`${field}-way`}>Arms are</label>
              <select
                id={`${field}-way`}
                value={shown}
                onChange={({ currentTarget }) => onChange(toWay(request, currentTarget.value as Way, arms))}
              >
                {Object.entries(WAYS).map(([each, words]) => (
                  <option key={each} value={each}>
                    {words}
                  </option>
                ))}
              </select>
              <Problems of={problemsAt(problems, '/combine')} />
            </div>
          </div>
          {shown === 'list' ? (
            <Arms request={request} problems={problems} paths={paths} onChange={onChange} />
          ) : (
            <>
              {Object.keys(vary).length === 0 && (
                <Empty>Nothing yet: all arms are the base. Choose what is to be varied.</Empty>
              )}
              {Object.entries(vary).map(([path, values]) => (
                <VaryRow
                  key={path}
                  path={path}
                  values={values}
                  known={paths.find((each) => each.path === path)}
                  problems={problems}
                  onRename={(next) => {
                    const changed = renamed(vary, path, next);
                    if (changed === null) return `${next} is varied already.`;
                    setVary(changed);
                    return null;
                  }}
                  onValues={(next) => setVary({ ...vary, [path]: next })}
                  onRemove={() => setVary(Object.fromEntries(Object.entries(vary).filter(([each]) => each !== path)))}
                />
              ))}
              <AddPath
                paths={paths.filter(({ path }) => !(path in vary))}
                onAdd={(path, value) => {
                  if (path in vary) return `${path} is varied already.`;
                  setVary({ ...vary, [path]: value === undefined ? [] : [value] });
                  return null;
                }}
              />
              <Problems of={problems.filter(({ path }) => path === '/vary').map(({ message }) => message)} />
            </>
          )}
        </>
      )}
      <PathList paths={paths} />
    </Card>
  );
}

const LIST = 'spec-paths';

/** For the fields of paths, all of them. */
function PathList({ paths }: { paths: readonly SpecPath[] }) {
  return (
    <datalist id={LIST}>
      {paths.map(({ path, value }) => (
        <option key={path} value={path}>
          {value === undefined ? '' : valueText(value)}
        </option>
      ))}
    </datalist>
  );
}

function Inherited({ inherited, onTake }: { inherited: JsonObject; onTake(): void }) {
  const vary = Object.entries(varyOf(inherited));
  const arms = armsOf(inherited);
  return (
    <div class="row">
      {vary.map(([path, values]) => (
        <span key={path} class="chip">
          {path} <span class="faint">{valuesText(values)}</span>
        </span>
      ))}
      {arms.map(({ label, set }, i) => (
        <span key={i} class="chip">
          {label ?? setText(set)}
        </span>
      ))}
      <button type="button" class="quiet" onClick={onTake}>
        Change them
      </button>
    </div>
  );
}

/** What is being written, and what is wrong with it, until it reads as a value. */
function useDraft<T>(text: string, read: (text: string) => Read<T>, onRead: (value: T) => void) {
  const draft = useSignal<{ text: string; problem: string | null } | null>(null);
  return {
    text: draft.value?.text ?? text,
    problem: draft.value?.problem ?? null,
    write(next: string) {
      const found = read(next);
      draft.value = { text: next, problem: 'problem' in found ? found.problem : null };
      if ('value' in found) onRead(found.value);
    },
    rest() {
      if (draft.value?.problem === null) draft.value = null;
    },
  };
}

/** Offered as buttons at most. */
const OFFERED = 16;

function VaryRow({
  path,
  values,
  known,
  problems,
  onRename,
  onValues,
  onRemove,
}: {
  path: string;
  values: readonly Json[];
  known: SpecPath | undefined;
  problems: readonly PathProblem[];
  onRename(path: string): string | null;
  onValues(values: readonly Json[]): void;
  onRemove(): void;
}) {
  const field = useId();
  const at = `/vary${pointer(path)}`;
  const clash = useSignal<string | null>(null);
  /** While it is being written: what comes from the server meanwhile draws the row again. */
  const renaming = useSignal<string | null>(null);
  const draft = useDraft(valuesText(values), valuesOf, onValues);
  const ofPath = [
    ...(clash.value === null ? [] : [clash.value]),
    ...problems.filter((each) => each.path === at).map(({ message }) => message),
  ];
  const ofValues = [
    ...(draft.problem === null ? [] : [draft.problem]),
    ...problemsOfValues(
      problems.filter((each) => each.path !== at),
      at,
      values,
    ),
  ];
  const has = (choice: Json) => values.some((each) => each === choice);
  const others = (known?.choices ?? []).filter((choice) => !has(choice));
  return (
    <fieldset class="vary-row">
      <legend class="hidden-text">{path}</legend>
      <div class="field">
        <label for={`${field}-path`}>Path</label>
        <input
          id={`${field}-path`}
          class="code"
          type="text"
          autocomplete="off"
          spellcheck={false}
          list={LIST}
          value={renaming.value ?? path}
          aria-invalid={ofPath.length > 0}
          aria-describedby={`${field}-path-about`}
          onInput={({ currentTarget }) => (renaming.value = currentTarget.value)}
          onChange={({ currentTarget }) => {
            const next = currentTarget.value.trim();
            clash.value = next === '' ? 'Say which member of the spec.' : onRename(next);
            if (clash.value === null) renaming.value = null;
          }}
        />
        <div id={`${field}-path-about`}>
          <Problems of={ofPath} />
        </div>
      </div>
      <div class="field">
        <label for={`${field}-values`}>Values</label>
        <input
          id={`${field}-values`}
          type="text"
          autocomplete="off"
          spellcheck={false}
          value={draft.text}
          aria-invalid={ofValues.length > 0}
          aria-describedby={`${field}-values-about`}
          onInput={({ currentTarget }) => draft.write(currentTarget.value)}
          onBlur={draft.rest}
        />
        <div id={`${field}-values-about`}>
          <Problems of={ofValues} />
          {known?.value !== undefined && (
            <p class="about">
              the base has <code>{valueText(known.value)}</code>
            </p>
          )}
        </div>
        {others.length > 0 && (
          <div class="row offered">
            {others.slice(0, OFFERED).map((choice) => (
              <button
                key={String(choice)}
                type="button"
                class="quiet small"
                aria-label={`Add ${valueText(choice)} to ${path}`}
                onClick={() => draft.write(valuesText([...values, choice]))}
              >
                + {valueText(choice)}
              </button>
            ))}
          </div>
        )}
      </div>
      <button type="button" class="quiet danger" aria-label={`Remove ${path}`} onClick={onRemove}>
        Remove
      </button>
    </fieldset>
  );
}

function AddPath({
  paths,
  onAdd,
}: {
  paths: readonly SpecPath[];
  onAdd(path: string, value: Json | undefined): string | null;
}) {
  const field = useId();
  const path = useSignal('');
  const problem = useSignal<string | null>(null);
  const add = () => {
    const asked = path.value.trim();
    const known = paths.find((each) => each.path === asked);
    problem.value = asked === '' ? 'Say which member of the spec.' : onAdd(asked, known?.value ?? known?.choices[0]);
    if (problem.value === null) path.value = '';
  };
  return (
    <div class="add-path">
      <div class="field">
        <label for={field}>Vary also</label>
        <input
          id={field}
          class="code"
          type="text"
          autocomplete="off"
          spellcheck={false}
          list={LIST}
          placeholder="iommu.iotlb.entries"
          value={path.value}
          aria-invalid={problem.value !== null}
          aria-describedby={`${field}-about`}
          onInput={({ currentTarget }) => (path.value = currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault();
            add();
          }}
        />
        <div id={`${field}-about`}>
          <Problems of={problem.value === null ? [] : [problem.value]} />
          <p class="about">
            a member of the spec, such as <code>machine.cpus</code> or <code>workloads.rx.frameBytes</code>; values are
            separated by commas
          </p>
        </div>
      </div>
      <button type="button" onClick={add}>
        Add
      </button>
    </div>
  );
}

function Arms({
  request,
  problems,
  paths,
  onChange,
}: Pick<VariationProps, 'request' | 'problems' | 'paths' | 'onChange'>) {
  const arms = armsOf(request);
  const setArms = (next: readonly ArmInput[]) => {
    const { arms: _arms, ...rest } = request;
    onChange(next.length === 0 ? rest : { ...rest, arms: next as unknown as Json });
  };
  return (
    <>
      {arms.map((arm, i) => (
        <ArmRow
          key={i}
          place={i}
          arm={arm}
          problems={problems}
          onArm={(next) => setArms(arms.map((each, other) => (other === i ? next : each)))}
          onRemove={() => setArms(arms.filter((_, other) => other !== i))}
        />
      ))}
      <div class="row">
        <button type="button" onClick={() => setArms([...arms, copyOf(arms.at(-1), paths)])}>
          Add an arm
        </button>
      </div>
      <Problems of={problems.filter(({ path }) => path === '/arms').map(({ message }) => message)} />
    </>
  );
}

/** The members of the arm before, to be changed. */
function copyOf(arm: ArmInput | undefined, paths: readonly SpecPath[]): ArmInput {
  if (arm !== undefined) return { set: { ...arm.set } };
  const first = paths.find(({ path }) => path === 'policy.invalidation.kind');
  return { set: first?.value === undefined ? {} : { [first.path]: first.value } };
}

function ArmRow({
  place,
  arm: { label, set },
  problems,
  onArm,
  onRemove,
}: {
  place: number;
  arm: ArmInput;
  problems: readonly PathProblem[];
  onArm(arm: ArmInput): void;
  onRemove(): void;
}) {
  const field = useId();
  const at = `/arms/${place}`;
  const named = label === undefined ? {} : { label };
  const draft = useDraft(setText(set), setOf, (next) => onArm({ ...named, set: next }));
  const ofLabel = problemsAt(problems, `${at}/label`);
  const ofSet = [...(draft.problem === null ? [] : [draft.problem]), ...problemsAt(problems, `${at}/set`)];
  const name = label ?? `arm ${place + 1}`;
  return (
    <fieldset class="vary-row">
      <legend class="hidden-text">{name}</legend>
      <div class="field">
        <label for={`${field}-label`}>Label</label>
        <input
          id={`${field}-label`}
          type="text"
          autocomplete="off"
          placeholder="what sets it apart"
          value={label ?? ''}
          aria-invalid={ofLabel.length > 0}
          aria-describedby={`${field}-label-about`}
          onInput={({ currentTarget: { value } }) => onArm({ ...(value === '' ? {} : { label: value }), set })}
        />
        <div id={`${field}-label-about`}>
          <Problems of={ofLabel} />
        </div>
      </div>
      <div class="field">
        <label for={`${field}-set`}>Members, one a line</label>
        <textarea
          id={`${field}-set`}
          rows={Math.max(2, draft.text.split('\n').length)}
          spellcheck={false}
          placeholder="policy.invalidation.kind = strict"
          value={draft.text}
          aria-invalid={ofSet.length > 0}
          aria-describedby={`${field}-set-about`}
          onInput={({ currentTarget }) => draft.write(currentTarget.value)}
          onBlur={draft.rest}
        />
        <div id={`${field}-set-about`}>
          <Problems of={ofSet} />
        </div>
      </div>
      <button type="button" class="quiet danger" aria-label={`Remove ${name}`} onClick={onRemove}>
        Remove
      </button>
    </fieldset>
  );
}
