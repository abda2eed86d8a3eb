/** The formats of recordings as the catalog has them: of each the schema of its `options`, what it becomes, and by what it is told. */
import type { OptionSchema } from './formats/format.ts';
import { formats } from './formats/index.ts';
import { COMMON_OPTIONS } from './formats/options.ts';

export function traceFormatCatalog(): Record<string, unknown>[] {
  return Object.values(formats).map(
    ({ kind, title, source, recognisedBy, becomes, options, requiredOptions = [] }) => ({
      kind,
      title,
      source,
      becomes,
      recognisedBy,
      schema: objectOf({ ...COMMON_OPTIONS, ...options }, requiredOptions),
      defaults: defaultsOf({ ...COMMON_OPTIONS, ...options }),
    }),
  );
}

/** As JSON Schema: the importer refuses members that there are not. */
function objectOf(
  options: Readonly<Record<string, OptionSchema>>,
  required: readonly string[],
): Record<string, unknown> {
  const properties = Object.fromEntries(
    Object.entries(options).map(([name, option]) => {
      const { properties: members, required: needed = [], ...rest } = option;
      return [name, members === undefined ? rest : { ...rest, ...objectOf(members, needed) }];
    }),
  );
  return { type: 'object', additionalProperties: false, ...(required.length > 0 && { required }), properties };
}

function defaultsOf(options: Readonly<Record<string, OptionSchema>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).flatMap(([name, { default: value, properties }]): [string, unknown][] => {
      if (properties === undefined) return value === undefined ? [] : [[name, value]];
      const members = defaultsOf(properties);
      return Object.keys(members).length === 0 ? [] : [[name, members]];
    }),
  );
}
