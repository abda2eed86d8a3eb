/**
 * `token create | list | revoke | rotate`: tokens of a data folder, made by whoever may write there. It asks no server and needs none;
 * one that runs on the folder takes in what was changed within a second.
 *
 * What a script wants, the token, goes to stdout alone; what a person wants to know beside it, to stderr.
 */
import { mkdirSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ProblemError } from '../api/problem.ts';
import { readConfig } from '../config.ts';
import { AuditLog } from './audit.ts';
import { type AccessLimits, LARGEST_LIMIT, type LimitName, largestLimit } from './limits.ts';
import { PRINCIPAL_FORM, SCOPES, type Scope, TOKEN_NAME_FORM } from './scopes.ts';
import { type AccessStore, openAccessStore, type TokenRecord } from './store.ts';
import {
  LIMIT_NAMES,
  LONGEST_SECONDS,
  type MadeToken,
  makeToken,
  principalOf,
  rotateToken,
  stateOf,
  tokenDocument,
} from './tokens.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  nowMs(): number;
}

const TERMINAL: Terminal = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  nowMs: Date.now,
};

/** Said to whoever typed it; not a bug. */
class Refused extends Error {}

/** @param words after `token` @returns the exit code */
export function tokenCommand(words: readonly string[], environment: Environment, terminal = TERMINAL): number {
  try {
    commandLine(environment, terminal).parse(words, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (!(error instanceof Refused || error instanceof ProblemError)) throw error;
    terminal.err(`iommu-lab: ${error.message}\n`);
    return 1;
  }
}

interface FolderOptions {
  data?: string;
  config?: string;
  json?: boolean;
}
interface CreateOptions extends FolderOptions {
  name: string;
  principal?: string;
  scope: Scope;
  expires: number | null;
  limit?: Partial<AccessLimits>;
}
interface RotateOptions extends FolderOptions {
  expires?: number | null;
  overlap?: number | null;
}

function commandLine(environment: Environment, terminal: Terminal): Command {
  const program = new Command('token')
    .description('Tokens of a data folder. A server that runs on it takes in what changes here within a second.')
    .usage('<command> [flags]   (through npm: npm start -- token <command> [flags])')
    .helpOption('--help', 'show this')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: (text) => terminal.err(text.replace(/^error: /, 'iommu-lab: ')),
    });

  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .helpOption('--help', 'show this')
      .option('--data <folder>', 'the data folder of the server [IOMMU_LAB_DATA]')
      .option('--config <file>', 'the configuration file of the server [IOMMU_LAB_CONFIG]')
      .option('--json', 'print all of it as JSON on stdout');

  const work = (name: string, options: FolderOptions, then: (store: AccessStore) => Touched): void =>
    inFolder(folderOf(options, environment), `token ${name}`, terminal, then);

  command('create', 'Make a token and print it, once.')
    .requiredOption(
      '--name <name>',
      'what it is for',
      fitting(TOKEN_NAME_FORM, 'up to 64 letters, digits, spaces and . _ @ : / -'),
    )
    .addOption(
      new Option('--scope <scope>', 'read: look; write: also change; admin: also tokens, audit log, all sessions')
        .choices(SCOPES)
        .default('write'),
    )
    .option(
      '--principal <principal>',
      'for whom it acts, the owner of what it makes (default: the name); `local` owns what was made without tokens',
      fitting(PRINCIPAL_FORM, 'a letter, then up to 63 letters, digits and . _ @ -'),
    )
    .option('--expires <time>', 'after how long it ends: 90s, 15m, 12h, 30d, or never', duration, null)
    .option(
      '--limit <name=number>',
      `its own limit in the place of the server's, 0 for none; repeat: ${LIMIT_NAMES.join(', ')}`,
      limitOf,
    )
    .action((options: CreateOptions) =>
      work('create', options, (store) => {
        const { name, principal, scope, expires, limit = {}, json } = options;
        const input = {
          name,
          principal: principalOf({ name, ...(principal === undefined ? {} : { principal }) }),
          scope,
          limits: limit,
        };
        const expiry = expires === null ? {} : { expiresInSeconds: expires };
        return printMade(terminal, makeToken(store, { ...input, ...expiry }, terminal.nowMs()), json);
      }),
    );

  command('list', 'Show the tokens, without their secrets.')
    .option('--all', 'also those that were revoked or have expired')
    .action((options: FolderOptions & { all?: boolean }) =>
      work('list', options, (store) => {
        const now = terminal.nowMs();
        const tokens = store.tokens().filter((token) => options.all || stateOf(token, now) === 'active');
        const documents = tokens.map((token) => tokenDocument(token, now));
        if (options.json) terminal.out(`${JSON.stringify(documents, null, 2)}\n`);
        else for (const line of table(documents)) terminal.out(`${line}\n`);
        return null;
      }),
    );

  command('revoke', 'End a token now, with its streams and what it has under way.')
    .argument('<token>', 'its id, or its name where only one has it')
    .action((which: string, options: FolderOptions) =>
      work('revoke', options, (store) => {
        const token = oneOf(store, which, terminal.nowMs());
        store.revokeToken(token, terminal.nowMs());
        terminal.err(`Revoked ${token.id} (${token.name}).\n`);
        return token.id;
      }),
    );

  command('rotate', 'Make a token that follows another one, and print it, once. The old one stays until it is revoked.')
    .argument('<token>', 'its id, or its name where only one has it')
    .option('--overlap <time>', 'end the old one after this time', duration)
    .option(
      '--expires <time>',
      'after how long the new one ends (default: as long as the old one was made for)',
      duration,
    )
    .action((which: string, options: RotateOptions) =>
      work('rotate', options, (store) => {
        const { overlap, expires, json } = options;
        const input = {
          ...(overlap === undefined || overlap === null ? {} : { overlapSeconds: overlap }),
          ...(expires === undefined || expires === null ? {} : { expiresInSeconds: expires }),
        };
        const now = terminal.nowMs();
        return printMade(terminal, rotateToken(store, oneOf(store, which, now), input, now), json);
      }),
    );
  return program;
}

/** Id of the token that was made or changed; null when nothing was. */
type Touched = string | null;

function inFolder(folder: string, action: string, terminal: Terminal, then: (store: AccessStore) => Touched): void {
  let store: AccessStore;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    store = openAccessStore(folder);
  } catch (error) {
    throw new Refused((error as Error).message);
  }
  try {
    const target = then(store);
    if (target !== null) record(folder, action, target, terminal);
  } finally {
    store.close();
  }
}

/** Where the server puts what it does, too: who may write to the folder needs no credential, and has none. */
function record(folder: string, action: string, target: string, terminal: Terminal): void {
  const audit = new AuditLog(folder, {}, (error) => terminal.err(`The audit log cannot be written: ${error}\n`));
  const time = new Date(terminal.nowMs()).toISOString();
  audit.append({ time, principal: null, credential: null, action, target, status: 0, requestId: 'command line' });
  audit.close();
}

const NO_BYTES = Buffer.alloc(0);

/** The data folder by the server's own rules, of which nothing else matters here. */
function folderOf({ data, config }: FolderOptions, environment: Environment): string {
  const flags = [
    ...(data === undefined ? [] : ['--data', data]),
    ...(config === undefined ? [] : ['--config', config]),
  ];
  // Nor need the files of the server's certificate be readable to whoever makes tokens.
  const certificate = { ok: true as const, cert: NO_BYTES, key: NO_BYTES, expiresMs: 0, warnings: [] };
  const reading = readConfig(
    flags,
    environment,
    () => true,
    () => certificate,
  );
  if (reading.kind === 'config') return reading.config.data;
  throw new Refused(reading.kind === 'problems' ? reading.problems.join('\n') : reading.text);
}

function oneOf(store: AccessStore, which: string, nowMs: number): TokenRecord {
  const byId = store.token(which);
  const named = store.tokens().filter((token) => token.name === which && stateOf(token, nowMs) === 'active');
  const found = byId ?? named[0];
  if (found === undefined) throw new Refused(`There is no token "${which}"; see \`token list --all\`.`);
  if (byId === undefined && named.length > 1) {
    throw new Refused(
      `${named.length} tokens are named "${which}": say which by its id, ${named.map(({ id }) => id).join(', ')}.`,
    );
  }
  if (stateOf(found, nowMs) === 'active') return found;
  throw new Refused(`The token ${found.id} (${found.name}) is ${stateOf(found, nowMs)} already.`);
}

function printMade(terminal: Terminal, made: MadeToken | null, json: boolean | undefined): Touched {
  if (made === null) throw new Refused('There are as many tokens as there may be; revoke some that nobody uses.');
  const { record: token, text } = made;
  const document = tokenDocument(token, terminal.nowMs());
  if (json) terminal.out(`${JSON.stringify({ ...document, token: text }, null, 2)}\n`);
  else terminal.out(`${text}\n`);
  const ends = document.expiresAt === null ? 'it does not expire' : `it ends ${document.expiresAt}`;
  terminal.err(
    `${token.id}: "${token.name}" for the principal ${token.principal}, scope ${token.scope}; ${ends}. The token is shown this once.\n`,
  );
  return token.id;
}

function table(documents: Record<string, unknown>[]): string[] {
  const columns = ['id', 'name', 'principal', 'scope', 'state', 'createdAt', 'expiresAt', 'lastUsedAt'];
  const rows = [columns, ...documents.map((document) => columns.map((column) => String(document[column] ?? '-')))];
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
}

// ------------------------------------------------------------------------------------------------ values of flags

function fitting(form: RegExp, allowed: string): (text: string) => string {
  return (text) => {
    if (form.test(text)) return text;
    throw new InvalidArgumentError(`Allowed is ${allowed}.`);
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds; null: never. */
function duration(text: string): number | null {
  if (text === 'never') return null;
  const [, count, unit] = /^([0-9]{1,10})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * UNITS[unit ?? '']!;
  if (seconds >= 1 && seconds <= LONGEST_SECONDS) return seconds;
  throw new InvalidArgumentError('Allowed is a number with s, m, h or d behind it, up to 100 years, or never.');
}

function limitOf(text: string, earlier: Partial<AccessLimits> = {}): Partial<AccessLimits> {
  const [, name, number] = /^([A-Za-z]+)=([0-9]{1,10})$/.exec(text) ?? [];
  const known = LIMIT_NAMES.find((limit): limit is LimitName => limit === name);
  if (known !== undefined && Number(number) <= largestLimit(known)) return { ...earlier, [known]: Number(number) };
  throw new InvalidArgumentError(
    `Allowed is one of ${LIMIT_NAMES.join(', ')}, "=" and a number up to ${LARGEST_LIMIT}.`,
  );
}
