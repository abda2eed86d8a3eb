/** The spec of a session under other policies: what `--vary` makes of it. */
import type { Plain } from '../../lab/experiment.ts';
import { withMembers } from '../../lab/spec-path.ts';
import { EXIT, Failure } from '../failure.ts';

export interface Variant {
  label: string;
  varied: Plain;
  spec: Plain;
}

const MOST_VARIANTS = 64;

/** Of a spec without gaps: another mode starts without the parameters of the one that was there. */
function specOf(spec: Plain, varied: Plain): Plain {
  const out = structuredClone(spec);
  const policy = out.policy as Plain & { mode: string };
  const mode = varied['policy.mode'];
  if (mode !== undefined && mode !== policy.mode) delete policy[policy.mode];
  const wrong: string[] = [];
  const changed = withMembers(out, varied, (path, message) => wrong.push(`--vary ${path}: ${message}`));
  if (wrong.length > 0) throw new Failure(EXIT.usage, ...wrong);
  return changed;
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
  return settings.map((each) => {
    const varied = Object.fromEntries(each);
    const label = each.map(([, value]) => (typeof value === 'string' ? value : JSON.stringify(value))).join(', ');
    return { label, varied, spec: specOf(spec, varied) };
  });
}
