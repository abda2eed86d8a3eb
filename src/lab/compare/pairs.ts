/** Which arms are compared with which: each with its control, and those that one knob separates, or none. */
import type { Arm, Plain } from '../experiment.ts';

/** A knob with more values than this is compared from value to value only, or a sweep of a thousand would have half a million pairs. */
const ALL_PAIRS_UP_TO = 24;

/** The same text for the same value, whatever the order of its members. */
export function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  const members = Object.entries(value as Plain).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${textOf(member)}`).join()}}`;
}

/** Paths at which two arms differ, in order. */
export function differing(a: Plain, b: Plain): string[] {
  const paths = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return paths.filter((path) => textOf(a[path]) !== textOf(b[path]));
}

export interface Pair {
  a: Arm;
  b: Arm;
}

/** In the order of the arms, each pair once. */
export function pairsOf(arms: readonly Arm[]): Pair[] {
  const at = new Map(arms.map((arm, index) => [arm.id, index]));
  const pairs = new Map<string, [number, number]>();
  const add = (i: number, j: number) => pairs.set(`${i} ${j}`, [i, j]);
  for (const [i, arm] of arms.entries()) {
    const control = arm.controlId === null ? undefined : at.get(arm.controlId);
    if (control !== undefined && !arm.control) add(i, control);
  }
  for (const group of groupsBesideOneKnob(arms)) {
    const all = group.length <= ALL_PAIRS_UP_TO;
    for (const [position, i] of group.entries())
      for (const j of all ? group.slice(position + 1) : group.slice(position + 1, position + 2)) {
        const known = pairs.has(`${j} ${i}`) || pairs.has(`${i} ${j}`);
        if (!known) add(i, j);
      }
  }
  return [...pairs.values()].sort(([a, b], [c, d]) => a - c || b - d).map(([i, j]) => ({ a: arms[i]!, b: arms[j]! }));
}

/** Indices of arms that are alike in all knobs but one, for each knob; arms that are alike in all are in each. */
function* groupsBesideOneKnob(arms: readonly Arm[]): Generator<number[]> {
  const indices = [...arms.keys()].filter((index) => !arms[index]!.control);
  const paths = [...new Set(indices.flatMap((index) => Object.keys(arms[index]!.varied)))].sort();
  const texts = indices.map((index) => paths.map((path) => textOf(arms[index]!.varied[path])));
  // Without any knob all arms are alike.
  for (const knob of paths.length === 0 ? [-1] : paths.keys()) {
    const groups = new Map<string, number[]>();
    for (const [row, index] of indices.entries()) {
      const key = texts[row]!.filter((_, column) => column !== knob).join('\n');
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [index]);
      else group.push(index);
    }
    yield* groups.values();
  }
}
