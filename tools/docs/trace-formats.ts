/** The tables of `docs/trace-formats.md`: the registries of formats and of events. */
import { EVENT_KINDS } from '../../src/trace/event.ts';
import type { OptionSchema } from '../../src/trace/formats/format.ts';
import { formats } from '../../src/trace/formats/index.ts';
import { COMMON_OPTIONS } from '../../src/trace/formats/options.ts';
import { payloads } from '../../src/trace/payloads/index.ts';
import { importText } from '../../test/trace/events.ts';
import { FIXTURES } from '../../test/trace/fixtures.ts';
import { figure, table } from './table.ts';

const code = (text: string): string => `\`${text}\``;

function formatTable(): string {
  const rows = Object.values(formats).map(({ kind, title, recognisedBy, becomes, source }) => [
    code(kind),
    title,
    recognisedBy ?? 'never: it has to be named',
    becomes,
    source,
  ]);
  return table(['format', 'what it is', '`auto` tells it by', 'what becomes of it', 'source'], rows);
}

/** What events are understood, by subsystem, and as which kinds, which the fixtures say. */
function eventTable(): string {
  const kindOf = (name: string): string => {
    // perf writes the subsystem before it: the fixtures have each event without, too.
    const kinds = FIXTURES.filter(({ line, becomes }) => line.includes(` ${name}: `) && Array.isArray(becomes)).flatMap(
      ({ line, format }) => importText(line, { format }).events.map(({ kind }) => kind),
    );
    return [...new Set(kinds)].map(code).join(', ');
  };
  const rows = payloads.map(({ name, subsystem }) => [
    subsystem,
    code(name.replace(`${subsystem}:`, '')),
    kindOf(name),
  ]);
  return table(['subsystem', 'event', 'becomes'], rows);
}

function optionTable(): string {
  const rowsOf = (format: string, options: Readonly<Record<string, OptionSchema>>, at = ''): string[][] =>
    Object.entries(options).flatMap(([name, option]) => {
      if (option.type === 'object') return rowsOf(format, option.properties ?? {}, `${at}${name}.`);
      const { minimum, maximum, description } = option;
      const range = minimum === undefined || maximum === undefined ? '' : `${figure(minimum)} to ${figure(maximum)}`;
      const values = option.enum?.map(code).join(', ') ?? (option.type === 'boolean' ? '`true`, `false`' : range);
      return [
        [
          format,
          code(at + name),
          values || 'text',
          option.default === undefined ? '' : code(String(option.default)),
          description,
        ],
      ];
    });
  const rows = [
    ...rowsOf('all', COMMON_OPTIONS),
    ...Object.values(formats).flatMap(({ kind, options }) => rowsOf(code(kind), options)),
  ];
  return table(['format', 'option', 'values', 'without it', 'what it is'], rows);
}

function kindTable(): string {
  return Object.entries(EVENT_KINDS)
    .map(([name, kind]) => `${code(name)} ${kind}`)
    .join(', ');
}

export const traceFormatParts: Record<string, () => string> = {
  'trace formats': formatTable,
  'trace events': eventTable,
  'trace options': optionTable,
  'trace kinds': kindTable,
};
