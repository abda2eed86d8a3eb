/** How long arms run: so many operations, or a simulated time; or what holds where nothing is given. */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { Problems } from '../form/problems.tsx';
import { type Json, problemsAt } from '../form/schema.ts';
import type { PathProblem } from '../form/schema-form.tsx';
import { type LengthUnit, lengthOf, lengthText } from './request.ts';

export interface LengthFieldProps {
  label: string;
  value: Json | undefined;
  /** In words: what holds where nothing is given. */
  fallback: string;
  about: string;
  at: string;
  problems: readonly PathProblem[];
  onChange(value: Json | undefined): void;
}

const EXAMPLES: Record<LengthUnit, string> = { operations: '5000', ns: '10 ms' };

export function LengthField({ label, value, fallback, about, at, problems, onChange }: LengthFieldProps) {
  const id = useId();
  const draft = useSignal<{ text: string; problem: string | null } | null>(null);
  const known = lengthText(value);
  const wrong = [...(draft.value?.problem ? [draft.value.problem] : []), ...problemsAt(problems, at)];
  const choose = (unit: LengthUnit | '') => {
    draft.value = null;
    const read = unit === '' ? null : lengthOf(unit, EXAMPLES[unit]);
    onChange(read !== null && 'value' in read ? read.value : undefined);
  };
  return (
    <fieldset class="field">
      <legend class="label">{label}</legend>
      <div class="length">
        <select
          id={`${id}-unit`}
          aria-label={`${label}, counted in`}
          value={known?.unit ?? ''}
          onChange={({ currentTarget }) => choose(currentTarget.value as LengthUnit | '')}
        >
          <option value="">{fallback}</option>
          <option value="operations">operations</option>
          <option value="ns">simulated time</option>
        </select>
        {known !== null && (
          <input
            type="text"
            aria-label={`${label}, how long`}
            value={draft.value?.text ?? known.text}
            aria-invalid={wrong.length > 0}
            aria-describedby={`${id}-about`}
            onInput={({ currentTarget: { value: text } }) => {
              const read = lengthOf(known.unit, text);
              draft.value = { text, problem: 'problem' in read ? read.problem : null };
              if ('value' in read) onChange(read.value);
            }}
            onBlur={() => {
              if (draft.value?.problem === null) draft.value = null;
            }}
          />
        )}
      </div>
      <div id={`${id}-about`}>
        <Problems of={wrong} />
        <p class="about">{about}</p>
      </div>
    </fieldset>
  );
}
