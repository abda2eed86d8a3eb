/** The catalog as Markdown: every kind with its members, defaults and source. */
import { catalog } from '../../../src/core/index.ts';
import { traceFormatCatalog } from '../../../src/trace/catalog.ts';
import { MEMBER_COLUMNS, memberRows, oneLine, type Schema, type SchemaText } from '../schema-rows.ts';
import { table } from '../table.ts';

interface Entry {
  kind: string;
  title?: string;
  description?: string;
  /** Of a format: what its lines become. */
  becomes?: string;
  schema: Schema;
  defaults: Record<string, unknown>;
  source: string;
}

/** Registries whose kinds are chosen in a spec, in the order of a spec; then what may be uploaded, with the members of its `options`. */
const REGISTRIES: Record<string, string> = {
  modes: 'Protection modes',
  allocators: 'IOVA allocators',
  policies: 'Invalidation policies',
  devices: 'Devices',
  workloads: 'Workloads',
  traceFormats: 'Formats of recordings',
};
const ENTIRE: SchemaText = { link: (ref) => ref };

export function catalogParts(): string {
  const all = { ...catalog(), traceFormats: traceFormatCatalog() } as unknown as Record<string, Entry[]>;
  return Object.entries(REGISTRIES)
    .map(([registry, title]) => {
      const parts = all[registry]!.map((entry) => {
        const { kind, becomes, description = becomes, schema, defaults, source } = entry;
        const rows = memberRows(withDefaults(schema, defaults), ENTIRE).filter(([name]) => name !== '`kind`');
        return [
          `### \`${kind}\``,
          description === undefined ? '' : oneLine(description),
          `Source: ${source}.`,
          rows.length === 0 ? 'No members of its own.' : table(MEMBER_COLUMNS, rows),
        ]
          .filter((part) => part !== '')
          .join('\n\n');
      });
      return [`## ${title}`, ...parts].join('\n\n');
    })
    .join('\n\n');
}

function withDefaults(schema: Schema, defaults: Record<string, unknown>): Schema {
  const properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, member]) => [
      name,
      name in defaults ? { ...member, default: defaults[name] } : member,
    ]),
  );
  return { ...schema, properties };
}
