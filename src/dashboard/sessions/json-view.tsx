/** A spec, or a request, as JSON: what is written becomes the document when it is an object. */
import { type Signal, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useId } from 'preact/hooks';
import type { PathProblem } from '../form/schema-form.tsx';
import { readSpec, type Spec } from './spec.ts';

export interface JsonViewProps {
  spec: Signal<Spec>;
  problems: readonly PathProblem[];
  label: string;
  /** What it is the body of. */
  children: ComponentChildren;
}

export function JsonView({ spec, problems, label, children }: JsonViewProps) {
  const id = useId();
  const text = useSignal(JSON.stringify(spec.peek(), null, 2));
  const problem = useSignal<string | null>(null);
  useEffect(() => {
    text.value = JSON.stringify(spec.peek(), null, 2);
  }, []);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={28}
        spellcheck={false}
        value={text.value}
        aria-invalid={problem.value !== null || problems.length > 0}
        aria-describedby={`${id}-about`}
        onInput={({ currentTarget }) => {
          text.value = currentTarget.value;
          const read = readSpec(currentTarget.value);
          problem.value = 'problem' in read ? read.problem : null;
          if ('spec' in read) spec.value = read.spec;
        }}
      />
      <div id={`${id}-about`}>
        {problem.value !== null && <p class="problem">{problem.value}</p>}
        {problem.value === null &&
          problems.map(({ path, message }) => (
            <p key={path + message} class="problem">
              <code>{path || '/'}</code> {message}
            </p>
          ))}
        <p class="about">{children}</p>
      </div>
    </div>
  );
}
