/** What an arm is called: the values that set it apart, in short - `strict, rcache`, `flush-queue(single=true), cpus=4`. */
import type { Plain } from './experiment.ts';
import { isPlain } from './spec-path.ts';

const MOST_CHARACTERS = 120;

/**
 * Of each arm. Unique.
 *
 * @param given dotted path -> value of each arm
 * @param own what arms are called already, or undefined
 */
export function labelsOf(given: readonly Plain[], own: readonly (string | undefined)[]): string[] {
  const taken = new Set<string>(own.filter((label) => label !== undefined));
  const seen = new Set<string>();
  return given.map((set, i) => {
    const first = own[i] ?? labelOf(set, given);
    let label = first;
    for (let n = 2; seen.has(label) || (label !== own[i] && taken.has(label)); n++) label = `${first} (${n})`;
    seen.add(label);
    return label;
  });
}

function labelOf(set: Plain, all: readonly Plain[]): string {
  const parts = Object.entries(set).map(([path, value]) =>
    textOf(
      path,
      value,
      all.map((each) => each[path]),
    ),
  );
  const text = parts.length === 0 ? 'base' : parts.join(', ');
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}

function textOf(path: string, value: unknown, others: readonly unknown[]): string {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (typeof value === 'string') return value === '' ? `${name}=""` : value;
  if (!isPlain(value)) return `${name}=${JSON.stringify(value)}`;
  const { kind, ...members } = value;
  const same = others.filter((other) => isPlain(other) && other.kind === kind) as Plain[];
  const differing = Object.keys(members).filter((member) =>
    same.some((other) => JSON.stringify(other[member]) !== JSON.stringify(value[member])),
  );
  const more = differing.map((member) => `${member}=${JSON.stringify(value[member])}`).join(', ');
  const what = typeof kind === 'string' ? kind : name;
  return more === '' ? what : `${what}(${more})`;
}
