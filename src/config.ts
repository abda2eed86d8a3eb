/**
 * Settings, from four places: a flag wins over an environment variable, that over the configuration file, that over the default.
 * Every setting is one row of `SETTINGS`; what is wrong is reported all at once, each with the place it came from and what is
 * allowed there.
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import {
  CONFIG_FLAG,
  type Environment,
  memberOf,
  nonEmpty,
  readFile,
  readFlags,
  type Source,
  unknownVariables,
  variableOf,
  variableOfSource,
} from './config-sources.ts';
import {
  basePath,
  type Check,
  collectorUrl,
  hostName,
  listOf,
  network,
  origin,
  pathOf,
  redisUrl,
  wholeNumber,
} from './config-values.ts';
import type { Sync } from './host/journal/rows.ts';
import { isLoopbackName } from './server/host-names.ts';
import { readTlsFiles, type TlsFiles, type TlsReading } from './server/tls.ts';
import { ANALYSIS_LIMITS, EXPORT_LIMITS } from './trace/work-limits.ts';

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
  /** Files with the certificate (and its chain) and its key, absolute; both or neither. Null: plain HTTP. */
  tlsCert: string | null;
  tlsKey: string | null;
  /** Addresses and networks of proxies, whose `X-Forwarded-*` is believed. */
  trustProxy: string[];
  /** Before all paths, `/lab`; '' for none. */
  basePath: string;
  /** Origins of foreign pages that may use the server, as browsers write them. */
  corsOrigins: string[];
  /** Whether tokens are asked for also while there is none. */
  auth: 'auto' | 'required';
  /** What one principal may take; null: not said, 0: no limit. See `src/access/limits.ts`. */
  requestsPerSecond: number | null;
  opsPerSecond: number | null;
  maxOpsRequests: number | null;
  maxSessions: number | null;
  maxStreams: number | null;
  maxRuns: number | null;
  maxExperiments: number | null;
  maxTraces: number | null;
  maxTraceMib: number | null;
  /** Requests of one address that failed to say who asks; 0: no limit. */
  failedAuthPerMinute: number;
  /** Connections at a time, streams included. */
  maxConnections: number;
  /** Of one address that is neither this machine's nor a trusted proxy's; 0: no limit. */
  maxConnectionsPerAddress: number;
  maxStoredMib: number | null;
  maxComputeSeconds: number | null;
  maxSessionComputeSeconds: number | null;
  maxFrames: number | null;
  maxMappings: number | null;
  maxRunEvents: number | null;
  /** Not null: a session that grows without end takes its worker along, whoever asks. */
  maxSessionMemoryMib: number;
  /** Threads that compute jobs of experiments; null: as many as there are cores. */
  labWorkers: number | null;
  /** Of results of jobs, together, packed. */
  labResultsMib: number;
  /** Of one recording, as it is sent. */
  traceUploadMib: number;
  /** On the disk, of all recordings. */
  tracesMib: number;
  /** Recordings that are read at a time, each in a thread of its own. */
  traceReaders: number;
  /** Histories of sessions that are written at a time; each by a thread with so much of a heap, in so many seconds. */
  traceExports: number;
  traceExportHeapMib: number;
  traceExportSeconds: number;
  /** The same of recordings that are looked at as a whole: checks, forensics. */
  traceAnalyses: number;
  traceAnalysisHeapMib: number;
  traceAnalysisSeconds: number;
  /** Where the queue of experiments is, with its password; null: experiments are computed here. */
  redis: string | null;
  logLevel: LogLevel;
  /** Where traces go; null: nowhere, and nothing of them is loaded. */
  otlpEndpoint: string | null;
  /** Percent of the requests that nobody else traces. */
  otlpPercent: number;
}

export type ConfigReading =
  | { kind: 'config'; config: Config; warnings: string[] }
  /** Help or version was asked for: `text` is it. */
  | { kind: 'text'; text: string }
  | { kind: 'problems'; problems: string[] };

interface Setting<T> extends Source {
  /** Text from a flag or variable; anything from a file. */
  check(value: unknown): Check<T>;
  fallback(environment: Environment): T;
}

const LARGEST_WORKERS = 256;
const LARGEST_QUOTA = 999_999_999;
/** A thread with less does not get to its first event. */
const MIN_HEAP_MIB = 64;
const LARGEST_EVENTS = 2 ** 50;

/** Of what one principal may take. */
function quota(flag: string, help: string, usual: string, largest = LARGEST_QUOTA): Setting<number | null> {
  return {
    flag,
    argument: '<number>',
    help: `${help} of one principal, 0 for no limit; tokens may have their own (default: ${usual} where tokens are asked for)`,
    check: wholeNumber(0, largest),
    fallback: () => null,
  };
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
    check: pathOf('folder'),
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
    check: listOf(hostName, 'host names without scheme and port'),
    fallback: () => [],
  } satisfies Setting<string[]>,
  tlsCert: {
    flag: 'tls-cert',
    argument: '<file>',
    help: 'PEM file with the certificate of the server and its chain: with it and --tls-key the server speaks HTTPS and WSS only; read again when it changes and at SIGHUP',
    check: pathOf('file'),
    fallback: () => null,
  } satisfies Setting<string | null>,
  tlsKey: {
    flag: 'tls-key',
    argument: '<file>',
    help: 'PEM file with the key of that certificate, without a passphrase',
    check: pathOf('file'),
    fallback: () => null,
  } satisfies Setting<string | null>,
  trustProxy: {
    flag: 'trust-proxy',
    argument: '<address>',
    repeatable: true,
    help: "address or network (10.0.0.0/8) of a proxy, whose X-Forwarded-For, -Proto and -Host are believed; repeat or separate by commas (default: nobody's)",
    check: listOf(network, 'addresses and networks such as 127.0.0.1 or 10.0.0.0/8, not all of them'),
    fallback: () => [],
  } satisfies Setting<string[]>,
  basePath: {
    flag: 'base-path',
    argument: '<path>',
    help: 'what stands before all paths, as where a proxy gives the server a part of a host name: /lab (default: nothing)',
    check: basePath,
    fallback: () => '',
  } satisfies Setting<string>,
  corsOrigins: {
    flag: 'cors-origin',
    argument: '<origin>',
    repeatable: true,
    help: 'origin of pages elsewhere that may use the server: https://app.example.org; repeat or separate by commas (default: none)',
    check: listOf(origin, 'origins such as https://app.example.org, each named in full'),
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
  maxExperiments: quota('max-experiments', 'experiments that have not ended', '4'),
  maxTraces: quota('max-traces', 'traces', '100'),
  maxTraceMib: quota('max-trace-mib', 'MiB on the disk, of all traces', '20480'),
  failedAuthPerMinute: {
    flag: 'failed-auth-per-minute',
    argument: '<number>',
    help: 'requests of one address without a valid token that are answered 401, the rest 429; 0 for no limit (default: 60)',
    check: wholeNumber(0, LARGEST_QUOTA),
    fallback: () => 60,
  } satisfies Setting<number>,
  maxConnections: {
    flag: 'max-connections',
    argument: '<number>',
    help: 'connections at a time, streams included (default: 12000)',
    check: wholeNumber(1, 1_000_000),
    fallback: () => 12_000,
  } satisfies Setting<number>,
  maxConnectionsPerAddress: {
    flag: 'max-connections-per-address',
    argument: '<number>',
    help: 'connections at a time of one address (IPv6: /64), this machine and trusted proxies excepted; 0 for no limit (default: 4000)',
    check: wholeNumber(0, 1_000_000),
    fallback: () => 4_000,
  } satisfies Setting<number>,
  maxStoredMib: quota('max-stored-mib', 'MiB on the disk, of all sessions', 'no limit'),
  maxComputeSeconds: quota('max-compute-seconds', 'computing time an hour, of all sessions', 'no limit'),
  maxSessionComputeSeconds: quota('max-session-compute-seconds', 'computing time an hour, of each session', 'no limit'),
  maxFrames: quota('max-frames', 'page frames in use, of each session', 'no limit'),
  maxMappings: quota('max-mappings', 'live mappings, of each session', 'no limit'),
  maxRunEvents: quota('max-run-events', 'simulated events a run, of each session', 'no limit', LARGEST_EVENTS),
  maxSessionMemoryMib: {
    flag: 'max-session-memory-mib',
    argument: '<number>',
    help: 'memory that what one session simulates may take, 0 for no limit; tokens may have their own (default: 1024)',
    check: wholeNumber(0, LARGEST_QUOTA),
    fallback: () => 1024,
  } satisfies Setting<number>,
  labWorkers: {
    flag: 'lab-workers',
    argument: '<number>',
    help: 'threads that compute experiments, behind all else that the server does; 0: none are computed here (default: the number of cores)',
    check: wholeNumber(0, 64),
    fallback: () => null,
  } satisfies Setting<number | null>,
  labResultsMib: {
    flag: 'lab-results-mib',
    argument: '<number>',
    help: 'MiB on the disk for results of experiments, of all principals together; those of no experiment on record go first (default: 1024)',
    check: wholeNumber(1, 1_048_576),
    fallback: () => 1024,
  } satisfies Setting<number>,
  traceUploadMib: {
    flag: 'trace-upload-mib',
    argument: '<number>',
    help: 'MiB of one recording that is uploaded, packed as it is sent (default: 16384)',
    check: wholeNumber(1, 16_777_216),
    fallback: () => 16_384,
  } satisfies Setting<number>,
  tracesMib: {
    flag: 'traces-mib',
    argument: '<number>',
    help: 'MiB on the disk for recordings and what was read of them, of all principals together (default: 65536)',
    check: wholeNumber(1, 16_777_216),
    fallback: () => 65_536,
  } satisfies Setting<number>,
  traceReaders: {
    flag: 'trace-readers',
    argument: '<number>',
    help: 'recordings that are read at a time, each in a thread of its own; more wait (default: 2)',
    check: wholeNumber(1, 64),
    fallback: () => 2,
  } satisfies Setting<number>,
  traceExports: {
    flag: 'trace-exports',
    argument: '<number>',
    help: 'histories of sessions that are written as a recording at a time; beyond, 503 (default: 2)',
    check: wholeNumber(1, 64),
    fallback: () => EXPORT_LIMITS.exports,
  } satisfies Setting<number>,
  traceExportHeapMib: {
    flag: 'trace-export-heap-mib',
    argument: '<number>',
    help: 'MiB of the heap of the thread that writes one (default: 1024)',
    check: wholeNumber(MIN_HEAP_MIB, 1_048_576),
    fallback: () => EXPORT_LIMITS.heapMib,
  } satisfies Setting<number>,
  traceExportSeconds: {
    flag: 'trace-export-seconds',
    argument: '<number>',
    help: 'seconds that one may take from its beginning to its end; then it is cut (default: 3600)',
    check: wholeNumber(1, 604_800),
    fallback: () => EXPORT_LIMITS.wholeMs / 1000,
  } satisfies Setting<number>,
  traceAnalyses: {
    flag: 'trace-analyses',
    argument: '<number>',
    help: 'recordings that are checked, or whose faults are told, at a time; beyond, 503 (default: 2)',
    check: wholeNumber(1, 64),
    fallback: () => ANALYSIS_LIMITS.analyses,
  } satisfies Setting<number>,
  traceAnalysisHeapMib: {
    flag: 'trace-analysis-heap-mib',
    argument: '<number>',
    help: 'MiB of the heap of the thread that does it (default: 2048)',
    check: wholeNumber(MIN_HEAP_MIB, 1_048_576),
    fallback: () => ANALYSIS_LIMITS.heapMib,
  } satisfies Setting<number>,
  traceAnalysisSeconds: {
    flag: 'trace-analysis-seconds',
    argument: '<number>',
    help: 'seconds that it may take; then it is 422 `trace-too-large` (default: 600)',
    check: wholeNumber(1, 604_800),
    fallback: () => ANALYSIS_LIMITS.wholeMs / 1000,
  } satisfies Setting<number>,
  redis: {
    flag: 'redis',
    variable: 'IOMMU_LAB_REDIS_URL',
    secret: true,
    argument: '<url>',
    help: 'Redis or Valkey through which workers elsewhere compute experiments: redis://host:6379, rediss:// for TLS; a password is better given by the variable or the file, as command lines can be seen (default: experiments are computed here)',
    check: redisUrl,
    fallback: () => null,
  } satisfies Setting<string | null>,
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
  otlpEndpoint: {
    flag: 'otlp-endpoint',
    argument: '<url>',
    help: 'OpenTelemetry collector that takes traces as OTLP over HTTP: http://127.0.0.1:4318, to which /v1/traces is added (default: no traces)',
    check: collectorUrl,
    fallback: () => null,
  } satisfies Setting<string | null>,
  otlpPercent: {
    flag: 'otlp-percent',
    argument: '<number>',
    help: 'how many of a hundred requests are traced; one that comes with a `traceparent` does as it says (default: 100)',
    check: wholeNumber(0, 100),
    fallback: () => 100,
  } satisfies Setting<number>,
} satisfies { [name in keyof Config]: Setting<Config[name]> };

const ROWS = Object.entries(SETTINGS) as [keyof Config, Setting<unknown>][];
const SOURCES = ROWS.map(([, setting]) => setting);

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
  return ROWS.map(([, setting]) => {
    const { flag, argument, help } = setting;
    return {
      flag: argument === undefined ? `--${flag}` : `--${flag} ${argument}`,
      variable: variableOfSource(setting),
      member: memberOf(flag),
      help,
    };
  });
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
 * @param readTls checks a certificate and its key
 */
export function readConfig(
  flags: readonly string[],
  environment: Environment,
  hasTokens: (folder: string) => boolean = () => false,
  readTls: (files: TlsFiles) => TlsReading = readTlsFiles,
): ConfigReading {
  const line = readFlags(flags, SOURCES);
  if (line.text !== null) return { kind: 'text', text: line.text };
  const problems = [...line.problems];
  const warnings = unknownVariables(environment, SOURCES);
  const file = readFile(line.values[CONFIG_FLAG] ?? nonEmpty(environment[variableOf(CONFIG_FLAG)]), SOURCES, problems);

  const config: Record<string, unknown> = {};
  const placeOf = new Map<keyof Config, string>();
  for (const [name, setting] of ROWS) {
    const { flag } = setting;
    const places: [string, unknown][] = [
      [`--${flag}`, line.values[memberOf(flag)]],
      [variableOfSource(setting), nonEmpty(environment[variableOfSource(setting)])],
      [`"${memberOf(flag)}" in ${file.path}`, file.members[memberOf(flag)]],
    ];
    const [place, value] = places.find(([, given]) => given !== undefined) ?? [null, undefined];
    if (place === null) {
      config[name] = setting.fallback(environment);
      continue;
    }
    placeOf.set(name, place);
    const checked = setting.check(value);
    if (checked.ok) config[name] = checked.value;
    else problems.push(`${place} is ${setting.secret ? 'not usable' : shown(value)}; allowed is ${checked.allowed}.`);
  }

  const { host, insecure, auth, data } = config as Partial<Config>;
  if (host !== undefined && insecure === false && auth === 'auto' && data !== undefined && !isLoopbackName(host)) {
    const problem = openToOthers(placeOf.get('host') as string, host, data, hasTokens);
    if (problem !== null) problems.push(problem);
  }
  const { tlsCert, tlsKey } = config as Partial<Config>;
  if (tlsCert && tlsKey) {
    const reading = readTls({ cert: tlsCert, key: tlsKey });
    if (reading.ok) warnings.push(...reading.warnings);
    else problems.push(...reading.problems);
  } else if (tlsCert && tlsKey === null) {
    problems.push(`${placeOf.get('tlsCert')} is given without the key of the certificate, --tls-key <file>.`);
  } else if (tlsKey && tlsCert === null) {
    problems.push(`${placeOf.get('tlsKey')} is given without the certificate, --tls-cert <file>.`);
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

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
