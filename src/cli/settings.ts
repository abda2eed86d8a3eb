/** What is written as `path=value`, `1,2,5-8` and `operations=20000` on the command line. */
import type { Plain } from '../lab/experiment.ts';
import { EXIT, Failure } from './failure.ts';

/** JSON where it is some, else the text itself: `4`, `true`, `"4"`, `strict`, `{"kind": "wrap"}`. */
export function parsedValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** At commas outside of quotes and brackets. */
function parts(text: string): string[] {
  const out: string[] = [];
  let part = '';
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]!;
    if (quoted) {
      if (letter === '\\') part += text[i++];
      else if (letter === '"') quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === '{' || letter === '[') depth++;
    else if (letter === '}' || letter === ']') depth--;
    else if (letter === ',' && depth === 0) {
      out.push(part);
      part = '';
      continue;
    }
    part += text[i] ?? '';
  }
  return [...out, part];
}

function halves(flag: string, text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new Failure(
    EXIT.usage,
    `${flag} ${text} is not understood: it is written path=value, as in ${flag} machine.cpus=4`,
  );
}

/** Of `--set`, the later over the earlier. */
export function settingsOf(texts: readonly string[] = []): Plain {
  return Object.fromEntries(
    texts.map((text) => {
      const [path, value] = halves('--set', text);
      return [path, parsedValue(value)];
    }),
  );
}

/** Of `--vary`: `policy.invalidation.kind=strict,deferred-2008`, or a JSON list after the `=`. */
export function variationsOf(texts: readonly string[] = []): Record<string, unknown[]> {
  const out: Record<string, unknown[]> = {};
  for (const text of texts) {
    const [path, list] = halves('--vary', text);
    const whole = parsedValue(list);
    const values = Array.isArray(whole) ? whole : parts(list).map(parsedValue);
    if (values.some((value) => value === ''))
      throw new Failure(EXIT.usage, `--vary ${text} has an empty value; write values as ${path}=a,b`);
    out[path] = [...(out[path] ?? []), ...values];
  }
  return out;
}

const LARGEST_RANGE = 100_000;

/** `1,2,5-8` */
export function seedsOf(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
    if (range === null || last < first || last - first >= LARGEST_RANGE)
      throw new Failure(
        EXIT.usage,
        `--seeds ${text} is not understood: whole numbers and ranges of them, as in 1,2,5-8`,
      );
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

export type Until = { operations: number } | { ns: number };

/** `operations=20000` or `ns=5000000`; `5e6` is a number, too. */
export function untilOf(flag: string, text: string): Until {
  const [, what, size] = /^(operations|ns)=(.+)$/.exec(text) ?? [];
  const number = Number(size?.replaceAll('_', ''));
  if (what === undefined || !Number.isSafeInteger(number) || number < 1)
    throw new Failure(EXIT.usage, `${flag} ${text} is not understood: operations=<number> or ns=<number>, 1 or more`);
  return what === 'ns' ? { ns: number } : { operations: number };
}
