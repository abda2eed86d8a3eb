/** Options of an import against what the format has: refused by name, defaults filled in. */
import { ImportError } from '../import-error.ts';
import type { FormatEntry, OptionSchema } from './format.ts';

/** What every format has. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionSchema>> = {
  order: {
    type: 'string',
    description:
      '`recorded`: events as they stand in the recording. `merged`: those of each CPU in order of time, the CPUs merged by time, stably, within a window',
    enum: ['recorded', 'merged'],
    default: 'recorded',
  },
  mergeWindow: {
    type: 'integer',
    description:
      'with `order` `merged`: how many events are held back; one that comes later than that is passed on late and counted',
    default: 4096,
    minimum: 1,
    maximum: 65_536,
  },
};

/** @param entry null: the format is not told yet, and only what all have can be given */
export function checkOptions(
  entry: FormatEntry | null,
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const schema = { ...COMMON_OPTIONS, ...entry?.options };
  return checkObject(schema, entry?.requiredOptions ?? [], options, '');
}

function checkObject(
  schema: Readonly<Record<string, OptionSchema>>,
  required: readonly string[],
  given: Readonly<Record<string, unknown>>,
  at: string,
): Readonly<Record<string, unknown>> {
  const checked: Record<string, unknown> = {};
  for (const name of Object.keys(given))
    if (!Object.hasOwn(schema, name))
      refuse(`${at}/${name}`, `there is no option ${name}; there are ${Object.keys(schema).join(', ')}`);
  for (const [name, option] of Object.entries(schema)) {
    const value = given[name];
    if (value !== undefined) checked[name] = checkValue(option, value, `${at}/${name}`);
    else if (required.includes(name)) refuse(`${at}/${name}`, `the option ${name} must be given`);
    else if (option.default !== undefined) checked[name] = option.default;
  }
  return checked;
}

function checkValue(option: OptionSchema, value: unknown, at: string): unknown {
  const { type, minimum, maximum, minLength, maxLength } = option;
  if (type === 'object') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(at, 'must be an object');
    return checkObject(option.properties ?? {}, option.required ?? [], value as Record<string, unknown>, at);
  }
  if (type === 'integer' ? !Number.isSafeInteger(value) : typeof value !== type) refuse(at, `must be of type ${type}`);
  if (option.enum !== undefined && !option.enum.includes(value as string))
    refuse(at, `must be one of ${option.enum.join(', ')}`);
  if (minimum !== undefined && (value as number) < minimum) refuse(at, `must be ${minimum} at least`);
  if (maximum !== undefined && (value as number) > maximum) refuse(at, `must be ${maximum} at most`);
  if (minLength !== undefined && (value as string).length < minLength)
    refuse(at, `must have ${minLength} characters at least`);
  if (maxLength !== undefined && (value as string).length > maxLength)
    refuse(at, `must have ${maxLength} characters at most`);
  return value;
}

function refuse(pointer: string, message: string): never {
  throw new ImportError('invalid-options', `${pointer}: ${message}`, { pointer });
}
