/** Where settings come from: the command line, a file, the environment. What a value may be is `config.ts`'s. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { parse as parseYaml } from 'yaml';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting, as far as reading it goes. */
export interface Source {
  flag: string;
  /** As `--help` shows it: `<port>`; absent for a switch. */
  argument?: string;
  /** May be given more than once. */
  repeatable?: true;
  help: string;
  /** Its environment variable, where that is not named like the flag. */
  variable?: string;
  /** Its value is shown to nobody. */
  secret?: true;
}

export const CONFIG_FLAG = 'config';

/** Of the command line, which speaks to servers: whoever has them set for that is not warned at each start of one. */
const OF_CLIENTS = ['IOMMU_LAB_SERVER', 'IOMMU_LAB_TOKEN'];

/** `allowed-host` -> `IOMMU_LAB_ALLOWED_HOST`. */
export function variableOf(flag: string): string {
  return `IOMMU_LAB_${flag.toUpperCase().replaceAll('-', '_')}`;
}

export function variableOfSource({ flag, variable }: Source): string {
  return variable ?? variableOf(flag);
}

/** `allowed-host` -> `allowedHost`: the member of the file. */
export function memberOf(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export interface FlagReading {
  values: Record<string, unknown>;
  problems: string[];
  text: string | null;
}

/** Commander stops at the first flag that it does not know: that one is noted and taken out, and the rest read again. */
export function readFlags(flags: readonly string[], sources: readonly Source[]): FlagReading {
  // `--prot=1` as two words, so that what is not known can be compared with what is.
  const rest = flags.flatMap((word) =>
    /^--[^=]+=/.test(word) ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word],
  );
  const problems: string[] = [];
  for (;;) {
    let text = '';
    const program = commandLine(sources, (written) => {
      text += written;
    });
    try {
      program.parse(rest, { from: 'user' });
      // What follows a flag that is not known may be its value, and would be complained of for nothing.
      if (problems.length === 0 && program.args.length > 0) {
        problems.push(`"${program.args[0]}" is not understood: settings are given as flags, see --help.`);
      }
      return { values: program.opts(), problems, text: null };
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode === 0) return { values: {}, problems, text };
      problems.push(sentence(error.message));
      const unknown =
        error.code === 'commander.unknownOption' ? /unknown option '([^']*)'/.exec(error.message)?.[1] : undefined;
      const at = unknown === undefined ? -1 : rest.indexOf(unknown);
      if (at === -1) return { values: {}, problems, text: null };
      rest.splice(at, 1);
    }
  }
}

function commandLine(sources: readonly Source[], write: (text: string) => void): Command {
  const program = new Command('iommu-lab')
    .description('A server of deterministic simulation sessions of an IOMMU and of the OS code that drives it.')
    .usage('[flags] | token <command>   (through npm: npm start -- [flags])')
    .helpOption('--help', 'show this')
    .allowExcessArguments(true)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {} });
  for (const source of sources) {
    const { flag, argument, repeatable, help } = source;
    const shape = argument === undefined ? `--${flag}` : `--${flag} ${argument}`;
    const text = `${help} [${variableOfSource(source)}]`;
    if (repeatable)
      program.option(shape, text, (value: string, earlier: string[] | undefined) => [...(earlier ?? []), value]);
    else program.option(shape, text);
  }
  program.option(
    `--${CONFIG_FLAG} <file>`,
    `JSON or YAML file with these settings, named like the flags in camelCase [${variableOf(CONFIG_FLAG)}]`,
  );
  return program;
}

/** "error: unknown option '--prot'\n(Did you mean --port?)" -> "Unknown flag '--prot' (did you mean --port?)." */
function sentence(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replace('unknown option', 'unknown flag')
    .replace(/\n\(Did you mean /, ' (did you mean ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export interface FileReading {
  path: string;
  members: Record<string, unknown>;
}

export function readFile(path: unknown, sources: readonly Source[], problems: string[]): FileReading {
  const none = { path: '', members: {} };
  if (typeof path !== 'string') return none;
  let content: unknown;
  try {
    content = parseYaml(readFileSync(path, 'utf8')) ?? {};
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    problems.push(`The configuration file ${path} cannot be read: ${reason}.`);
    return none;
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    problems.push(`The configuration file ${path} must hold one object of settings.`);
    return none;
  }
  const known = sources.map(({ flag }) => memberOf(flag));
  for (const member of Object.keys(content)) {
    if (!known.includes(member)) {
      problems.push(`"${member}" in ${path} is not a setting; settings are ${known.join(', ')}.`);
    }
  }
  return { path, members: content as Record<string, unknown> };
}

/**
 * Only warned of, because others set variables too: Kubernetes gives each container `<SERVICE>_SERVICE_HOST` and the like of every
 * service, one named `iommu-lab` included.
 */
export function unknownVariables(environment: Environment, sources: readonly Source[]): string[] {
  const known = [...sources.map(variableOfSource), variableOf(CONFIG_FLAG)];
  return Object.keys(environment)
    .filter((name) => name.startsWith('IOMMU_LAB_') && !known.includes(name) && !OF_CLIENTS.includes(name))
    .map((name) => `${name} is not a setting and is ignored; settings are ${known.join(', ')}.`);
}

/** A variable set to nothing counts as not set, as shells and compose files leave them. */
export function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
