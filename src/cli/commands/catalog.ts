/** `catalog [section] [kind]`: what there is, by the registries of the core or of a server. */
import { EXIT, Failure } from '../failure.ts';
import { SECTIONS, type Section } from '../names.ts';
import type { Catalog, CatalogEntry } from '../place.ts';
import { serverOf } from '../place.ts';
import type { WhereOptions } from '../program.ts';
import { didYouMean } from '../suggestions.ts';
import { harmless, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { wrapped } from '../wrapping.ts';

export async function showCatalog(
  terminal: Terminal,
  section: string | undefined,
  kind: string | undefined,
  options: WhereOptions,
): Promise<number> {
  const all = await catalogOf(options);
  const sections = SECTIONS.filter((name) => name in all);
  if (section === undefined) {
    if (options.json) terminal.json(all);
    else showAll(terminal, all, sections);
    return EXIT.fine;
  }
  const found = SECTIONS.find((name) => name.toLowerCase() === section.toLowerCase());
  if (found !== undefined && found in all) {
    if (kind === undefined) {
      if (options.json) terminal.json(all[found]);
      else showSection(terminal, all[found]!);
    } else show(terminal, found, entryOf(all[found]!, kind, found), options);
    return EXIT.fine;
  }
  // A kind by itself, of whichever section has it.
  const within = sections.filter((name) => all[name]!.some((entry) => entry.kind === section));
  if (kind !== undefined || within.length === 0) {
    const known = [...sections, ...sections.flatMap((name) => all[name]!.map((entry) => entry.kind))];
    throw new Failure(
      EXIT.usage,
      `The catalog has no section and no kind "${section}".${didYouMean(section, kind === undefined ? known : sections)} Sections: ${sections.join(', ')}.`,
    );
  }
  if (options.json) {
    const entries = within.map((name) => entryOf(all[name]!, section, name));
    terminal.json(entries.length === 1 ? entries[0] : entries);
  } else for (const name of within) show(terminal, name, entryOf(all[name]!, section, name), options);
  return EXIT.fine;
}

/** Nothing but the registries is loaded for it. */
export async function catalogOf(options: WhereOptions): Promise<Catalog> {
  const server = serverOf(options);
  if (server === null) return (await import('../local-catalog.ts')).localCatalog();
  const { onServer } = await import('../server.ts');
  return (await onServer(server, options.tokenFile)).catalog();
}

function entryOf(entries: CatalogEntry[], kind: string, section: string): CatalogEntry {
  const found = entries.find((entry) => entry.kind === kind);
  if (found !== undefined) return found;
  const kinds = entries.map((entry) => entry.kind);
  throw new Failure(
    EXIT.usage,
    `The catalog's ${section} have no "${kind}".${didYouMean(kind, kinds)} There are ${kinds.join(', ')}.`,
  );
}

function showAll(terminal: Terminal, all: Catalog, sections: readonly Section[]): void {
  for (const section of sections) {
    terminal.out(terminal.style('bold', `${section} (${all[section]!.length})`));
    const kinds = all[section]!.map(({ kind }) => kind).join(', ');
    for (const line of wrapped(kinds, Math.min(terminal.width, 100) - 2)) terminal.out(`  ${line}`);
  }
  terminal.prose(
    '\n`iommu-lab catalog <section>` says what each is, `iommu-lab catalog <kind>` which parameters it has.',
  );
}

function showSection(terminal: Terminal, entries: CatalogEntry[]): void {
  const { lines } = table(
    [
      { title: 'kind', cells: entries.map(({ kind }) => harmless(kind)) },
      { title: 'what it is', cells: entries.map((entry) => harmless(sayingOf(entry))), shortest: 12, wraps: true },
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
}

function sayingOf({ title, description, source, question }: CatalogEntry): string {
  return String(title ?? question ?? description ?? source ?? '');
}

/** Shown in words of their own, or of no interest to a person. */
const SHOWN = new Set(['kind', 'title', 'description', 'source', 'schema', 'defaults']);

function show(terminal: Terminal, section: Section, entry: CatalogEntry, options: WhereOptions): void {
  if (options.json) {
    terminal.json(entry);
    return;
  }
  const { kind, title, description, source, schema, defaults } = entry;
  terminal.out(terminal.style('bold', `${harmless(kind)} (${section})`));
  for (const text of [title, description]) if (text !== undefined) terminal.prose(harmless(text));
  if (source !== undefined) terminal.prose(`Source: ${harmless(source)}`);
  const members = Object.entries(schema?.properties ?? {}).filter(([name]) => name !== 'kind');
  if (members.length > 0) {
    terminal.out('');
    const values = (defaults ?? {}) as Record<string, unknown>;
    const { lines } = table(
      [
        { title: 'parameter', cells: members.map(([name]) => name) },
        {
          title: 'allowed',
          cells: members.map(([, member]) => allowed(member as Member)),
          shortest: 16,
          rank: 2,
          wraps: true,
        },
        { title: 'default', cells: members.map(([name]) => short(values[name])), shortest: 8 },
        {
          title: '',
          cells: members.map(([, member]) => (member as Member).description ?? ''),
          shortest: 16,
          rank: 1,
          wraps: true,
        },
      ],
      terminal.width,
      (line) => terminal.style('bold', line),
    );
    for (const line of lines) terminal.out(line);
  } else if (defaults !== undefined && Object.keys(defaults as object).length > 0) {
    terminal.out(`\n${JSON.stringify(defaults, null, 2)}`);
  }
  const rest = Object.entries(entry).filter(([name, value]) => !SHOWN.has(name) && typeof value !== 'object');
  if (rest.length > 0) terminal.out('');
  for (const [name, value] of rest) terminal.prose(`${name}: ${harmless(String(value))}`);
}

interface Member {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  oneOf?: Member[];
  items?: Member;
  description?: string;
}

function allowed({ type, enum: words, const: only, minimum, maximum, oneOf, items }: Member): string {
  if (oneOf !== undefined) return oneOf.map(allowed).join(' or ');
  if (words !== undefined) return words.join(', ');
  if (only !== undefined) return String(only);
  const name = type === 'array' && items !== undefined ? `list of ${allowed(items)}` : (type ?? 'any');
  if (minimum === undefined && maximum === undefined) return name;
  return `${name} ${minimum ?? ''} to ${maximum ?? ''}`.trim();
}

function short(value: unknown): string {
  if (value === undefined) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
