/**
 * What a client may cost, in one table: each bound with its number, where it is set, what the client sees that meets it, and the test that
 * shows it. Numbers come from the program; a test that is not there fails the page.
 */
import { existsSync } from 'node:fs';
import { BURST_SECONDS, DEFAULT_LIMITS as OF_PRINCIPALS } from '../../src/access/limits.ts';
import { contractOperations } from '../../src/api/contract.ts';
import { DEEPEST_NESTING } from '../../src/api/json-text.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { readConfig } from '../../src/config.ts';
import { DEFAULT_LIMITS as OF_HOST } from '../../src/host/limits.ts';
import { HEADER_BYTES, HEADER_FIELDS, SERVER_LIMITS } from '../../src/server/limits.ts';
import { QUEUE_BOUNDS } from '../../src/server/telemetry-queue.ts';
import { STREAM_LIMITS } from '../../src/stream/limits.ts';
import { ARCHIVE_LIMITS } from '../../src/trace/archive/limits.ts';
import { ANALYSIS_LIMITS, EXPORT_LIMITS } from '../../src/trace/work-limits.ts';
import { figure, table } from './table.ts';

const code = (text: string): string => `\`${text}\``;
const count = (number: number): string => figure(number);
const seconds = (ms: number): string => `${count(ms / 1000)} s`;

function bytes(number: number): string {
  const [size, unit] = number >= 1_048_576 ? [1_048_576, 'MiB'] : [1_024, 'KiB'];
  return `${count(number / size)} ${unit}`;
}

type Bound = [what: string, value: string, flag: string, sees: string, test: string];

/** Operations of the contract that take more than others: what is created from a snapshot is a whole document. */
function largerBodies(): string {
  return contractOperations
    .flatMap(({ method, path, definition }) => {
      const largest = definition['x-max-body-bytes'];
      return typeof largest === 'number' ? [`${bytes(largest)} of ${code(`${method.toUpperCase()} ${path}`)}`] : [];
    })
    .join(', ');
}

export function boundTable(): string {
  const reading = readConfig([], {});
  if (reading.kind !== 'config') throw new Error('the defaults are no settings');
  const { maxConnections, maxConnectionsPerAddress, failedAuthPerMinute, maxSessionsTotal } = reading.config;
  const { requestsPerSecond, opsRequests, sessions, streams, runs, experiments, traces, traceBytes } = OF_PRINCIPALS;
  const cut = 'the connection ends';
  const bounds: Bound[] = [
    [
      'connections',
      count(maxConnections),
      'max-connections',
      'not accepted; those that wait for a next request are ended to make room',
      'server/connections',
    ],
    [
      'connections of one address (IPv6: /64), but not of this machine or a trusted proxy',
      count(maxConnectionsPerAddress),
      'max-connections-per-address',
      'the connection ends',
      'server/crowding',
    ],
    ['TLS handshake', seconds(SERVER_LIMITS.headersMs), '', cut, 'server/tls'],
    ['request line and headers: bytes', bytes(HEADER_BYTES), '', '431 `header-too-large`', 'server/connections'],
    ['header fields', count(HEADER_FIELDS), '', '431 `header-too-large`', 'server/connections'],
    [
      'headers: time, from the connection on',
      seconds(SERVER_LIMITS.headersMs),
      '',
      '408 `request-timeout`',
      'server/connections',
    ],
    ['connection between two requests', seconds(SERVER_LIMITS.keepAliveMs), '', cut, 'server/connections'],
    [
      'JSON body: bytes, unpacked',
      `${bytes(LIMITS.bodyBytes)}; ${largerBodies()}`,
      '',
      '413 `body-too-large`',
      'main/gzip-bombs',
    ],
    ['JSON body: time', seconds(SERVER_LIMITS.bodyMs), '', '408 `request-timeout`', 'server/app'],
    ['JSON: nesting', count(DEEPEST_NESTING), '', '400 `invalid-body`', 'server/app'],
    ['line of `ops`', bytes(LIMITS.opsLineBytes), '', '`line-too-long` in its reply line', 'host/ops'],
    [
      '`ops` in gzip: bytes, unpacked',
      bytes(LIMITS.opsUnpackedBytes),
      '',
      '413 `body-too-large`, or a last reply line with it',
      'main/gzip-bombs',
    ],
    [
      'array of `ops`',
      `${count(LIMITS.opsArrayOperations)}, ${bytes(OF_HOST.opsArrayBytes)}`,
      '',
      '413 `too-many-operations`, `body-too-large`',
      'host/ops',
    ],
    ['`ops` in which nothing moves', seconds(OF_HOST.opsIdleMs), '', `${cut}; what was answered stands`, 'host/ops'],
    ['`ops` requests of all principals', count(OF_HOST.opsRequests), '', '429 `too-many-requests`', 'host/ops'],
    [
      'replies of one `ops` request that wait for its client',
      bytes(OF_HOST.opsOutputBytes),
      '',
      'the request is held back',
      'host/ops',
    ],
    [
      'spans that wait for their collector',
      `${count(QUEUE_BOUNDS.spans)}; ${seconds(QUEUE_BOUNDS.closeMs)} at the end`,
      '',
      'nothing: they are dropped and counted',
      'server/telemetry-queue',
    ],
    ['a client that does not read its reply', seconds(SERVER_LIMITS.stallMs), '', cut, 'server/connections'],
    [
      'requests without a valid token, of one address (IPv6: /64)',
      `${count(failedAuthPerMinute)} a minute`,
      'failed-auth-per-minute',
      '429 `too-many-requests`; with a valid token never',
      'access/failed-attempts',
    ],
    [
      'requests of one principal',
      `${count(requestsPerSecond)} a second, ${count(requestsPerSecond * BURST_SECONDS)} at once`,
      'requests-per-second',
      '429 `too-many-requests`',
      'access/limits',
    ],
    [
      '`ops` requests of one principal',
      count(opsRequests),
      'max-ops-requests',
      '429 `too-many-requests`',
      'access/limits',
    ],
    ['operations a second of one principal, in `ops`', 'none', 'ops-per-second', 'they wait', 'access/limits'],
    ['sessions of one principal', count(sessions), 'max-sessions', '429 `too-many-sessions`', 'access/limits'],
    ['sessions of all', count(maxSessionsTotal), 'max-sessions-total', '429 `too-many-sessions`', 'host/registry'],
    ['unfinished runs of one principal', count(runs), 'max-runs', '429 `too-many-runs`', 'access/limits'],
    [
      'unfinished experiments of one principal',
      count(experiments),
      'max-experiments',
      '429 `too-many-experiments`',
      'access/experiments',
    ],
    ['traces of one principal', count(traces), 'max-traces', '429 `too-many-traces`', 'access/traces'],
    [
      'bytes of the traces of one principal',
      bytes(traceBytes),
      'max-trace-mib',
      '429 `too-much-stored`',
      'access/traces',
    ],
    [
      'a recording, as it is sent',
      bytes(ARCHIVE_LIMITS.uploadBytes),
      'trace-upload-mib',
      '413 `recording-too-large`',
      'routes/traces',
    ],
    [
      'a recording, unpacked',
      `${bytes(ARCHIVE_LIMITS.unpackedBytes)}, ${count(ARCHIVE_LIMITS.ratio)} times what was sent`,
      '',
      'the trace is `failed`',
      'trace/archive/unpack',
    ],
    [
      'bytes of all traces',
      bytes(ARCHIVE_LIMITS.storedBytes),
      'traces-mib',
      '507 `storage-full`',
      'trace/archive/archive',
    ],
    [
      'an upload that brings nothing',
      seconds(ARCHIVE_LIMITS.idleMs),
      '',
      '408 `idle-timeout`; what came is kept',
      'routes/traces',
    ],
    [
      'histories that are exported at a time',
      count(EXPORT_LIMITS.exports),
      'trace-exports',
      '503 `overloaded`',
      'trace/export/exports',
    ],
    [
      'an export: time, heap',
      `${seconds(EXPORT_LIMITS.wholeMs)}, ${count(EXPORT_LIMITS.heapMib)} MiB`,
      'trace-export-seconds',
      cut,
      'trace/export/exports',
    ],
    ['an export that nobody reads', seconds(EXPORT_LIMITS.idleMs), '', cut, 'trace/export/exports'],
    [
      'recordings that are checked at a time',
      count(ANALYSIS_LIMITS.analyses),
      'trace-analyses',
      '503 `overloaded`',
      'trace/analyses/analyses',
    ],
    [
      'checks or forensics of a recording: time, heap',
      `${seconds(ANALYSIS_LIMITS.wholeMs)}, ${count(ANALYSIS_LIMITS.heapMib)} MiB`,
      'trace-analysis-seconds',
      '422 `trace-too-large`',
      'trace/analyses/analyses',
    ],
    ['streams of one principal', count(streams), 'max-streams', '429 `too-many-streams`', 'access/streams'],
    [
      'streams of all, of one session',
      `${count(STREAM_LIMITS.sockets)}, ${count(STREAM_LIMITS.socketsPerSession)}`,
      '',
      '503 `overloaded`',
      'stream/upgrade',
    ],
    ["message of a stream's client", bytes(STREAM_LIMITS.messageBytes), '', 'close code 1009', 'stream/messages'],
    [
      "messages of a stream's client",
      `${count(STREAM_LIMITS.messagesPerSecond)} a second, ${count(STREAM_LIMITS.messageBurst)} at once`,
      '',
      'close code 4002',
      'stream/messages',
    ],
    [
      'frames that wait for a subscriber',
      `${bytes(STREAM_LIMITS.bufferedBytes)}, ${count(STREAM_LIMITS.bufferedMessages)}`,
      '',
      'metrics are joined, the rest is in the history',
      'stream/slow-reader',
    ],
    ['a subscriber that does not read', seconds(STREAM_LIMITS.stallMs), '', 'close code 4000', 'stream/slow-reader'],
  ];
  const rows = bounds.map(([what, value, flag, sees, test]) => [
    what,
    value,
    flag === '' ? 'fixed' : code(`--${flag}`),
    sees,
    code(shown(test)),
  ]);
  return table(['what', 'bound', 'set by', 'what the client sees', 'shown by'], rows);
}

function shown(test: string): string {
  const path = `test/${test}.test.ts`;
  if (!existsSync(path)) throw new Error(`${path} is not there, and a bound is said to be shown by it`);
  return path;
}
