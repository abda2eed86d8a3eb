/**
 * Settings, from four places: a flag wins over an environment variable, that over the configuration file, that over the default.
 * Every setting is one row of `SETTINGS`; what is wrong is reported all at once, each with the place it came from and what is
 * allowed there.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { parse as parseYaml } from 'yaml';
import type { Sync } from './host/journal/database.ts';
import { isLoopbackName } from './server/host-names.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Config {
  /** Address or name to listen on, without brackets. */
  host: string;
  /** 0: a free one. */
  port: number;
  /** Folder, absolute. */
  data: string;
  /** When a change counts as kept: once the disk has it, or once the operating system has. */
  sync: Sync;
  /** Whether anyone who reaches `host` may use the server. */
  insecure: boolean;
  /** Worker threads that hold sessions; null: as many as the machine has use for. */
  workers: number | null;
  /** Sessions at a time, of all principals together. */
  maxSessionsTotal: number;
  /** Sessions in workers at a time; the others rest in their journals. */
  maxAwake: number;
  /** Seconds after which a session that nobody asks anything is put to rest. */
  restAfter: number;
  /** Names, beside the loopback ones, under which clients may address the server; lower case. */
  allowedHosts: string[];
  /** Whether tokens are asked for also while there is none. */
  auth: 'auto' | 'required';
  /** What one principal may take; null: not said, 0: no limit. See `src/access/limits.ts`. */
  requestsPerSecond: number | null;
  opsPerSecond: number | null;
  maxOpsRequests: number | null;
  maxSessions: number | null;
  maxStreams: number | null;
  maxRuns: number | null;
  maxStoredMib: number | null;
  maxComputeSeconds: number | null;
  maxSessionComputeSeconds: number | null;
  maxFrames: number | null;
  maxMappings: number | null;
  /** Not null: a session that grows without end takes its worker along, whoever asks. */
  maxSessionMemoryMib: number;
  logLevel: LogLevel;
}

export type ConfigReading =
  | { kind: 'config'; config: Config; warnings: string[] }
  /** Help or version was asked for: `text` is it. */
  | { kind: 'text'; text: string }
  | { kind: 'problems'; problems: string[] };

type Environment = Readonly<Record<string, string | undefined>>;
type Check<T> = { ok: true; value: T } | { ok: false; allowed: string };

interface Setting<T> {
  flag: string;
  /** As `--help` shows it: `<port>`; absent for a switch. */
  argument?: string;
  /** May be given more than once. */
  repeatable?: true;
  help: string;
  /** Text from a flag or variable; anything from a file. */
  check(value: unknown): Check<T>;
  fallback(environment: Environment): T;
}

const LARGEST_WORKERS = 256;
const LARGEST_QUOTA = 999_999_999;

function wholeNumber(low: number, high: number): (value: unknown) => Check<number> {
  return (value) => {
    const number = typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : value;
    const fits = typeof number === 'number' && Number.isInteger(number) && number >= low && number <= high;
    return fits ? { ok: true, value: number } : { ok: false, allowed: `a whole number from ${low} to ${high}` };
  };
}

/** Of what one principal may take. */
function quota(flag: string, help: string, usual: string): Setting<number | null> {
  return {
    flag,
    argument: '<number>',
    help: `${help} of one principal, 0 for no limit; tokens may have their own (default: ${usual} where tokens are asked for)`,
    check: wholeNumber(0, LARGEST_QUOTA),
    fallback: () => null,
  };
}

const HOST_FORM = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253})|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9]+)?)$/;

function hostName(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const bare = value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value;
  return HOST_FORM.test(bare) ? bare.toLowerCase() : null;
}

const SETTINGS = {
  host: {
    flag: 'host',
    argument: '<address>',
    help: 'address to listen on; other than loopback only with tokens or --insecure (default: 127.0.0.1)',
    check: (value) => {
      const host = hostName(value);
      return host === null ? { ok: false, allowed: 'an IP address or a host name' } : { ok: true, value: host };
    },
    fallback: () => '127.0.0.1',
  } satisfies Setting<string>,
  port: {
    flag: 'port',
    argument: '<number>',
    help: 'port to listen on; 0 picks a free one (default: 8080)',
    check: wholeNumber(0, 65_535),
    fallback: () => 8080,
  } satisfies Setting<number>,
  data: {
    flag: 'data',
    argument: '<folder>',
    help: "where the server keeps its data; one server at a time (default: iommu-lab in the user's state folder)",
    check: (value) =>
      typeof value === 'string' && value !== '' && !value.includes('\0')
        ? { ok: true, value: resolve(value) }
        : { ok: false, allowed: 'the path of a folder' },
    fallback: stateFolder,
  } satisfies Setting<string>,
  sync: {
    flag: 'sync',
    argument: '<when>',
    help: 'commit: a change is acknowledged once it is on the disk; never: once the operating system has it, so that a crash of the machine, not of the server, may lose the last ones (default: commit)',
    check: (value) =>
      value === 'commit' || value === 'never' ? { ok: true, value } : { ok: false, allowed: 'commit or never' },
    fallback: () => 'commit' as const,
  } satisfies Setting<Sync>,
  insecure: {
    flag: 'insecure',
    help: 'allow a --host that other machines can reach, although the server asks nobody who they are',
    check: (value) => {
      if (value === true || value === 'true' || value === '1') return { ok: true, value: true };
      if (value === false || value === 'false' || value === '0') return { ok: true, value: false };
      return { ok: false, allowed: 'true or false' };
    },
    fallback: () => false,
  } satisfies Setting<boolean>,
  workers: {
    flag: 'workers',
    argument: '<number>',
    help: 'worker threads that simulate (default: by the number of cores)',
    check: wholeNumber(1, LARGEST_WORKERS),
    fallback: () => null,
  } satisfies Setting<number | null>,
  maxSessionsTotal: {
    flag: 'max-sessions-total',
    argument: '<number>',
    help: 'sessions at a time, of all principals together (default: 20000)',
    check: wholeNumber(1, 1_000_000),
    fallback: () => 20_000,
  } satisfies Setting<number>,
  maxAwake: {
    flag: 'max-awake',
    argument: '<number>',
    help: 'sessions in memory at a time, some 0.5 MB each and more with what they simulate; the others rest on the disk until they are touched (default: 1000)',
    check: wholeNumber(1, 100_000),
    fallback: () => 1000,
  } satisfies Setting<number>,
  restAfter: {
    flag: 'rest-after',
    argument: '<seconds>',
    help: 'a session that nobody asks anything for so long is put to rest on the disk (default: 600)',
    check: wholeNumber(1, 1_000_000),
    fallback: () => 600,
  } satisfies Setting<number>,
  allowedHosts: {
    flag: 'allowed-host',
    argument: '<name>',
    repeatable: true,
    help: 'host name, beside the loopback ones, that clients may use in Host and Origin; repeat or separate by commas',
    check: (value) => {
      const given = (Array.isArray(value) ? value : [value]).flatMap((item) =>
        typeof item === 'string' ? item.split(',').map((name) => name.trim()) : [item],
      );
      const names = given.map(hostName);
      return names.length > 0 && names.every((name) => name !== null)
        ? { ok: true, value: names }
        : { ok: false, allowed: 'host names without scheme and port' };
    },
    fallback: () => [],
  } satisfies Setting<string[]>,
  auth: {
    flag: 'auth',
    argument: '<when>',
    help: 'when requests need a token: auto, once there is one (see `token --help`), or required (default: auto)',
    check: (value) =>
      value === 'auto' || value === 'required' ? { ok: true, value } : { ok: false, allowed: 'auto or required' },
    fallback: () => 'auto' as const,
  } satisfies Setting<'auto' | 'required'>,
  requestsPerSecond: quota('requests-per-second', 'requests', '500'),
  opsPerSecond: quota('ops-per-second', 'operations in `ops` a second', 'no limit'),
  maxOpsRequests: quota('max-ops-requests', '`ops` requests at a time', '8'),
  maxSessions: quota('max-sessions', 'sessions', '100'),
  maxStreams: quota('max-streams', 'open streams', '100'),
  maxRuns: quota('max-runs', 'unfinished runs', '16'),
  maxStoredMib: quota('max-stored-mib', 'MiB on the disk, of all sessions', 'no limit'),
  maxComputeSeconds: quota('max-compute-seconds', 'computing time an hour, of all sessions', 'no limit'),
  maxSessionComputeSeconds: quota('max-session-compute-seconds', 'computing time an hour, of each session', 'no limit'),
  maxFrames: quota('max-frames', 'page frames in use, of each session', 'no limit'),
  maxMappings: quota('max-mappings', 'live mappings, of each session', 'no limit'),
  maxSessionMemoryMib: {
    flag: 'max-session-memory-mib',
    argument: '<number>',
    help: 'memory that what one session simulates may take, 0 for no limit; tokens may have their own (default: 1024)',
    check: wholeNumber(0, LARGEST_QUOTA),
    fallback: () => 1024,
  } satisfies Setting<number>,
  logLevel: {
    flag: 'log-level',
    argument: '<level>',
    help: `${LOG_LEVELS.join(', ')}; one line of JSON on stderr a request at info (default: info)`,
    check: (value) => {
      const level = LOG_LEVELS.find((known) => known === value);
      return level === undefined ? { ok: false, allowed: LOG_LEVELS.join(', ') } : { ok: true, value: level };
    },
    fallback: () => 'info' as const,
  } satisfies Setting<LogLevel>,
} satisfies { [name in keyof Config]: Setting<Config[name]> };

const ROWS = Object.entries(SETTINGS) as [keyof Config, Setting<unknown>][];
const CONFIG_FLAG = 'config';

/** `allowed-host` -> `IOMMU_LAB_ALLOWED_HOST`. */
function variableOf(flag: string): string {
  return `IOMMU_LAB_${flag.toUpperCase().replaceAll('-', '_')}`;
}
/** `allowed-host` -> `allowedHost`: the member of the file. */
function memberOf(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A setting as the docs list it. */
export interface SettingRow {
  /** `--port <number>` */
  flag: string;
  variable: string;
  /** Of the configuration file. */
  member: string;
  help: string;
}

export function settingRows(): SettingRow[] {
  return ROWS.map(([, { flag, argument, help }]) => ({
    flag: argument === undefined ? `--${flag}` : `--${flag} ${argument}`,
    variable: variableOf(flag),
    member: memberOf(flag),
    help,
  }));
}

/** The XDG base directory rule: a relative `XDG_STATE_HOME` is to be ignored. */
function stateFolder(environment: Environment): string {
  const given = environment.XDG_STATE_HOME;
  const base = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.local', 'state');
  return join(base, 'iommu-lab');
}

/**
 * Reads all settings and changes nothing.
 *
 * @param flags the command line after the program's name
 * @param hasTokens whether there are tokens in a data folder; throws when that cannot be known
 */
export function readConfig(
  flags: readonly string[],
  environment: Environment,
  hasTokens: (folder: string) => boolean = () => false,
): ConfigReading {
  const line = readFlags(flags);
  if (line.text !== null) return { kind: 'text', text: line.text };
  const problems = [...line.problems];
  const warnings = unknownVariables(environment);
  const file = readFile(line.values[CONFIG_FLAG] ?? nonEmpty(environment[variableOf(CONFIG_FLAG)]), problems);

  const config: Record<string, unknown> = {};
  let hostPlace = '';
  for (const [name, setting] of ROWS) {
    const { flag } = setting;
    const places: [string, unknown][] = [
      [`--${flag}`, line.values[memberOf(flag)]],
      [variableOf(flag), nonEmpty(environment[variableOf(flag)])],
      [`"${memberOf(flag)}" in ${file.path}`, file.members[memberOf(flag)]],
    ];
    const [place, value] = places.find(([, given]) => given !== undefined) ?? [null, undefined];
    if (place === null) {
      config[name] = setting.fallback(environment);
      continue;
    }
    if (name === 'host') hostPlace = place;
    const checked = setting.check(value);
    if (checked.ok) config[name] = checked.value;
    else problems.push(`${place} is ${shown(value)}; allowed is ${checked.allowed}.`);
  }

  const { host, insecure, auth, data } = config as Partial<Config>;
  if (host !== undefined && insecure === false && auth === 'auto' && data !== undefined && !isLoopbackName(host)) {
    const problem = openToOthers(hostPlace, host, data, hasTokens);
    if (problem !== null) problems.push(problem);
  }
  if (problems.length > 0) return { kind: 'problems', problems };
  return { kind: 'config', config: config as unknown as Config, warnings };
}

/** Why a server that others can reach may not be started like that, or null. */
function openToOthers(
  place: string,
  host: string,
  data: string,
  hasTokens: (folder: string) => boolean,
): string | null {
  try {
    if (hasTokens(data)) return null;
  } catch (error) {
    return (error as Error).message;
  }
  return `${place} is "${host}", which can be reached from other machines, and the server asks nobody who they are: anyone there could use and delete every session. Stay on 127.0.0.1, make a token first (token create --name <name> --scope admin), or add --insecure if that network is trusted.`;
}

interface FlagReading {
  values: Record<string, unknown>;
  problems: string[];
  text: string | null;
}

/** Commander stops at the first flag that it does not know: that one is noted and taken out, and the rest read again. */
function readFlags(flags: readonly string[]): FlagReading {
  // `--prot=1` as two words, so that what is not known can be compared with what is.
  const rest = flags.flatMap((word) =>
    /^--[^=]+=/.test(word) ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word],
  );
  const problems: string[] = [];
  for (;;) {
    let text = '';
    const program = commandLine((written) => {
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

function commandLine(write: (text: string) => void): Command {
  const program = new Command('iommu-lab')
    .description('A server of deterministic simulation sessions of an IOMMU and of the OS code that drives it.')
    .usage('[flags] | token <command>   (through npm: npm start -- [flags])')
    .helpOption('--help', 'show this')
    .allowExcessArguments(true)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {} });
  for (const [, { flag, argument, repeatable, help }] of ROWS) {
    const shape = argument === undefined ? `--${flag}` : `--${flag} ${argument}`;
    const text = `${help} [${variableOf(flag)}]`;
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

interface FileReading {
  path: string;
  members: Record<string, unknown>;
}

function readFile(path: unknown, problems: string[]): FileReading {
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
  const known = ROWS.map(([, { flag }]) => memberOf(flag));
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
function unknownVariables(environment: Environment): string[] {
  const known = [...ROWS.map(([, { flag }]) => variableOf(flag)), variableOf(CONFIG_FLAG)];
  return Object.keys(environment)
    .filter((name) => name.startsWith('IOMMU_LAB_') && !known.includes(name))
    .map((name) => `${name} is not a setting and is ignored; settings are ${known.join(', ')}.`);
}

/** A variable set to nothing counts as not set, as shells and compose files leave them. */
function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
