/** The spec of a session under other policies: what `--vary` makes of it. */
import type { Plain } from '../../lab/experiment.ts';
import { EXIT, Failure } from '../failure.ts';

export interface Variant {
  label: string;
  varied: Plain;
  spec: Plain;
}

const MOST_VARIANTS = 64;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Specs without gaps: another kind starts without the parameters of the one that was there. */
export function withMember(spec: Plain, path: string, value: unknown): Plain {
  const out = structuredClone(spec);
  const steps = path.split('.');
  const last = steps.pop()!;
  let at = out;
  for (const [i, step] of steps.entries()) {
    const inside: unknown = Array.isArray(at)
      ? at.find((each: unknown, index) => String(index) === step || (isPlain(each) && each.name === step))
      : at[step];
    if (inside === undefined && !Array.isArray(at)) at[step] = {};
    else if (!isPlain(inside) && !Array.isArray(inside))
      throw new Failure(EXIT.usage, `--vary ${path}: the spec has no /${steps.slice(0, i + 1).join('/')}`);
    at = (inside ?? at[step]) as Plain;
  }
  if (last === 'kind' && at.kind !== value) for (const member of Object.keys(at)) delete at[member];
  if (path === 'policy.mode' && at.mode !== value) {
    const policy = at as Plain & { mode: string };
    delete policy[policy.mode];
  }
  at[last] = value;
  return out;
}

export function variantsOf(spec: Plain, vary: Record<string, unknown[]>, combine: 'product' | 'paired'): Variant[] {
  const dimensions = Object.entries(vary);
  let settings: [string, unknown][][] = [[]];
  if (combine === 'paired') {
    const lengths = new Set(dimensions.map(([, values]) => values.length));
    if (lengths.size > 1)
      throw new Failure(
        EXIT.usage,
        `--combine paired needs lists of one length, and these have ${[...lengths].join(' and ')}`,
      );
    settings = Array.from({ length: [...lengths][0] ?? 0 }, (_, i) =>
      dimensions.map(([path, values]): [string, unknown] => [path, values[i]]),
    );
  } else
    for (const [path, values] of dimensions)
      settings = settings.flatMap((before) => values.map((value): [string, unknown][] => [...before, [path, value]]));
  if (settings.length > MOST_VARIANTS)
    throw new Failure(
      EXIT.usage,
      `That is ${settings.length} times the same session, and ${MOST_VARIANTS} is the most.`,
    );
  return settings.map((each) => ({
    label: each.map(([, value]) => (typeof value === 'string' ? value : JSON.stringify(value))).join(', '),
    varied: Object.fromEntries(each),
    spec: each.reduce((made, [path, value]) => withMember(made, path, value), spec),
  }));
}
