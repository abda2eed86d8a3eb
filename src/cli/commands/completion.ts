/** `completion <shell>` prints a script; the script asks `complete -- <words>`, which suggests how the last word may go on. */
import type { Command } from 'commander';
import { DIRECTIVE, scriptOf } from '../completion-script.ts';
import { EXIT } from '../failure.ts';
import { SECTIONS, type Shell, SUGGEST, TRACE_ACTIONS } from '../names.ts';
import type { Catalog } from '../place.ts';
import type { Terminal } from '../terminal.ts';

export async function completionScript(terminal: Terminal, shell: Shell): Promise<number> {
  terminal.out(await scriptOf(shell));
  return EXIT.fine;
}

interface Suggestion {
  value: string;
  says?: string;
}

interface Suggestions {
  values: Suggestion[];
  directive: number;
}

const NOTHING: Suggestions = { values: [], directive: DIRECTIVE.noFiles };
const FILES: Suggestions = { values: [], directive: DIRECTIVE.files };

/** @param words after the program's name, the last one unfinished; may be empty */
export async function suggest(terminal: Terminal, root: Command, words: string[]): Promise<number> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  const { values, directive } = await suggestions(root, before, current);
  for (const { value, says } of values)
    if (value.startsWith(current)) terminal.out(says === undefined ? value : `${value}\t${says.split('\n')[0]}`);
  terminal.out(`:${directive}`);
  return EXIT.fine;
}

async function suggestions(root: Command, before: string[], current: string): Promise<Suggestions> {
  const [name, ...rest] = before;
  const commands = root.commands.filter((each) => each.name() !== SUGGEST);
  if (name === undefined) {
    if (current.startsWith('-')) return { values: flagsOf(root), directive: DIRECTIVE.noFiles };
    const values = commands.map((each) => ({ value: each.name(), says: each.description() }));
    return { values, directive: DIRECTIVE.noFiles };
  }
  const command = commands.find((each) => each.name() === name);
  if (command === undefined)
    return name === 'help'
      ? { values: commands.map((each) => ({ value: each.name() })), directive: DIRECTIVE.noFiles }
      : NOTHING;
  if (name === 'serve') return serverFlags(rest.at(-1), current);
  const flag = rest.at(-1)?.startsWith('--') ? command.options.find(({ long }) => long === rest.at(-1)) : undefined;
  if (flag !== undefined && (flag.required || flag.optional)) return flagValues(flag.long!, flag.argChoices, current);
  if (current.startsWith('-')) return { values: flagsOf(command), directive: DIRECTIVE.noFiles };
  return argumentValues(command, positionals(command, rest));
}

function flagsOf(command: Command): Suggestion[] {
  const help = { value: '--help', says: 'show this' };
  return [...command.options.map(({ long, description }) => ({ value: long!, says: description })), help];
}

async function serverFlags(last: string | undefined, current: string): Promise<Suggestions> {
  if (!current.startsWith('-')) return last?.startsWith('--') ? FILES : NOTHING;
  const { settingRows } = await import('../../config.ts');
  const values = settingRows().map(({ flag, help }) => ({ value: flag.split(' ')[0]!, says: help }));
  return { values, directive: DIRECTIVE.noFiles };
}

/** Words that are neither flags nor their values. */
function positionals(command: Command, words: string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const flag = command.options.find(({ long }) => long === words[i]);
    if (flag?.required || flag?.optional) i++;
    else if (!words[i]!.startsWith('--')) out.push(words[i]!);
  }
  return out;
}

/** Paths that are varied most, each with the section of the catalog that has its values. */
const PATHS: Record<string, keyof Catalog> = {
  'policy.mode': 'modes',
  'policy.allocator.kind': 'allocators',
  'policy.invalidation.kind': 'policies',
  'costs.profile': 'profiles',
  'machine.cpus': '',
  'machine.frameReuse': '',
  'iommu.iotlb.entries': '',
};

async function flagValues(flag: string, choices: readonly string[] | undefined, current: string): Promise<Suggestions> {
  if (choices !== undefined) return { values: choices.map((value) => ({ value })), directive: DIRECTIVE.noFiles };
  if (flag === '--policy') return kindsAfter('', 'policies', current);
  if (flag === '--set' || flag === '--vary') {
    const at = current.indexOf('=');
    const section = at === -1 ? undefined : PATHS[current.slice(0, at)];
    if (section) return kindsAfter(current.slice(0, at + 1), section, current);
    if (at !== -1) return NOTHING;
    return {
      values: Object.keys(PATHS).map((path) => ({ value: `${path}=` })),
      directive: DIRECTIVE.noFiles | DIRECTIVE.noSpace,
    };
  }
  if (flag === '--until' || flag === '--warm-up')
    return { values: [{ value: 'operations=' }, { value: 'ns=' }], directive: DIRECTIVE.noFiles | DIRECTIVE.noSpace };
  return ['--seeds', '--server', '--redis', '--concurrency', '--name', '--format', '--option'].includes(flag)
    ? NOTHING
    : FILES;
}

/** `path=strict,de` goes on with the kinds that are not in the list yet. */
async function kindsAfter(path: string, section: keyof Catalog, current: string): Promise<Suggestions> {
  const { localCatalog } = await import('../local-catalog.ts');
  const list = current.slice(path.length).split(',');
  const given = list.slice(0, -1);
  const kinds = (await localCatalog())[section]!.map(({ kind }) => kind).filter((kind) => !given.includes(kind));
  const values = kinds.map((kind) => ({ value: `${path}${[...given, kind].join(',')}` }));
  return { values, directive: DIRECTIVE.noFiles | DIRECTIVE.noSpace };
}

async function argumentValues(command: Command, given: string[]): Promise<Suggestions> {
  const known = async () => (await import('../local-catalog.ts')).localCatalog();
  const kinds = (entries: Catalog[string] = []): Suggestion[] =>
    entries.map(({ kind, title, source }) => ({
      value: kind,
      ...((title ?? source) ? { says: String(title ?? source) } : {}),
    }));
  switch (command.name()) {
    case 'run':
    case 'compare': {
      if (given.length > 0) return NOTHING;
      const { presets, experiments } = await known();
      const values = [...kinds(experiments), ...kinds(presets)];
      const once = values.filter(({ value }, i) => values.findIndex((other) => other.value === value) === i);
      return { values: once, directive: DIRECTIVE.files };
    }
    case 'repro': {
      const { reproductions } = await import('../../lab/repro/index.ts');
      const left = Object.values(reproductions).filter(({ id }) => !given.includes(id));
      return { values: left.map(({ id, title }) => ({ value: id, says: title })), directive: DIRECTIVE.noFiles };
    }
    case 'trace':
      if (given.length === 0)
        return { values: TRACE_ACTIONS.map((value) => ({ value })), directive: DIRECTIVE.noFiles };
      return given.length === 1 && (given[0] === 'upload' || given[0] === 'show') ? FILES : NOTHING;
    case 'replay':
      return given.length > 0 ? NOTHING : FILES;
    case 'catalog': {
      const all = await known();
      const [section] = given;
      if (given.length > 1) return NOTHING;
      if (section !== undefined) return { values: kinds(all[section]), directive: DIRECTIVE.noFiles };
      return {
        values: SECTIONS.filter((name) => name in all).map((value) => ({ value })),
        directive: DIRECTIVE.noFiles,
      };
    }
    case 'token':
      return given.length > 0
        ? NOTHING
        : { values: ['create', 'list', 'revoke', 'rotate'].map((value) => ({ value })), directive: DIRECTIVE.noFiles };
    default: {
      const choices = command.registeredArguments[given.length]?.argChoices;
      return choices === undefined
        ? NOTHING
        : { values: choices.map((value) => ({ value })), directive: DIRECTIVE.noFiles };
    }
  }
}
