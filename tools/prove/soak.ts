/**
 * Hours of work leave nothing behind: sessions are made, worked with and deleted, others go to rest and are woken, subscribers come and
 * go and one of them never reads. What the process takes of the machine stays what it was.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diceOf } from './dice.ts';
import { writeReport } from './report.ts';
import { growthOf, LARGEST_GROWTH, mebibytes, openFiles, residentBytes, shown } from './resident.ts';
import { ServerProcess } from './server.ts';
import { busy, lives, neverReads, type Soak, sleeper, subscribers, type Tally } from './soak/loads.ts';

export interface SoakSettings {
  minutes: number;
  seed: number;
  /** On a disk. */
  folder: string;
  progress?(sample: Sample, tally: Tally): void;
}

/** What the server takes at a moment. */
export interface Sample {
  seconds: number;
  residentMiB: number;
  /** Of the main thread. */
  heapMiB: number;
  /** Open files, sockets among them. */
  files: number;
  /** Handles of the main thread. */
  handles: number;
  sessions: number;
  awake: number;
  subscribers: number;
  dataMiB: number;
}

export interface SoakProof extends Tally {
  minutes: number;
  growth: Record<string, number>;
  series: Sample[];
}

const REST_MS = 3_000;
const LIVES = 4;
const SLEEPERS = 12;
const SUBSCRIBERS = 8;
const SAMPLES_AN_HOUR = 720;
/** What is shorter has not come to rest, and its growth is told, not judged. */
const JUDGED_FROM_MINUTES = 20;
const JUDGED = ['residentMiB', 'files', 'handles'] as const;

export async function proveSoak({ minutes, seed, folder, progress }: SoakSettings): Promise<SoakProof> {
  const data = join(folder, 'data');
  rmSync(data, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tally: Tally = {
    sessionsMade: 0,
    sessionsDeleted: 0,
    operations: 0,
    runs: 0,
    touched: 0,
    subscribers: 0,
    messages: 0,
    cutOff: 0,
    complaints: [],
  };
  const proof: SoakProof = { minutes, ...tally, growth: {}, series: [] };
  const flags = ['--workers', '2', '--rest-after', String(REST_MS / 1000), '--max-awake', '16'];
  const server = await ServerProcess.start(data, flags);
  const started = performance.now();
  const soak: Soak = {
    server,
    tally,
    over: () => performance.now() - started > minutes * 60_000 || tally.complaints.length > 0 || server.gone,
  };
  const dice = (n: number): ReturnType<typeof diceOf> => diceOf(seed * 7_919 + n);
  const all = Promise.allSettled(
    [
      ...Array.from({ length: LIVES }, (_, i) => lives(soak, `life${i}`, dice(i))),
      ...Array.from({ length: SLEEPERS }, (_, i) => sleeper(soak, `sleeper${i}`, REST_MS, dice(100 + i))),
      busy(soak),
      ...Array.from({ length: SUBSCRIBERS }, (_, i) => subscribersOnceBusy(soak, dice(200 + i))),
      sleep(1_000).then(() => neverReads(soak)),
    ].map((load) => load.catch((error) => void tally.complaints.push(String(error)))),
  );
  const everyMs = Math.max(1_000, (minutes * 60_000) / SAMPLES_AN_HOUR);
  while (!soak.over()) {
    await sleep(everyMs);
    const sample = await take(server, data, started);
    if (sample === null) continue;
    proof.series.push(sample);
    progress?.(sample, tally);
  }
  const ended = await all;
  await finish(server, tally, ended);
  Object.assign(proof, tally);
  judge(proof);
  report(proof, folder, seed);
  if (tally.complaints.length === 0) rmSync(data, { recursive: true, force: true });
  return proof;
}

async function subscribersOnceBusy(soak: Soak, dice: ReturnType<typeof diceOf>): Promise<void> {
  await sleep(1_000 + dice(1_000));
  return subscribers(soak, dice);
}

async function take(server: ServerProcess, data: string, started: number): Promise<Sample | null> {
  try {
    const metrics = await (await fetch(`${server.address}/metrics`)).text();
    const sum = (name: string): number =>
      [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))].reduce(
        (all, [, value]) => all + Number(value),
        0,
      );
    return {
      seconds: Math.round((performance.now() - started) / 1000),
      residentMiB: mebibytes(residentBytes(server.pid)),
      heapMiB: mebibytes(sum('nodejs_heap_size_used_bytes')),
      files: openFiles(server.pid),
      handles: sum('nodejs_active_handles'),
      sessions: sum('iommu_lab_sessions'),
      awake: sum('iommu_lab_sessions_awake'),
      subscribers: sum('iommu_lab_stream_subscribers'),
      dataMiB: mebibytes(
        ['sessions.sqlite', 'sessions.sqlite-wal'].reduce((all, name) => all + sizeOf(join(data, name)), 0),
      ),
    };
  } catch (error) {
    // A server that has gone is told by itself.
    if (server.gone) return null;
    throw error;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The sessions that slept are what they were, also after a restart, and the log has no failure. */
async function finish(
  server: ServerProcess,
  tally: Tally,
  ended: readonly PromiseSettledResult<unknown>[],
): Promise<void> {
  const { complaints } = tally;
  const readLog = (): void => {
    for (const line of server.takeLog().split('\n'))
      if (line !== '' && !/^\{"level":[1-4]0,/.test(line)) complaints.push(`the log: ${line.slice(0, 1_000)}`);
  };
  readLog();
  if (server.gone) {
    complaints.push('the server is gone');
    return;
  }
  await server.restart();
  for (const result of ended) {
    if (result.status !== 'fulfilled' || typeof result.value !== 'function') continue;
    try {
      await (result.value as () => Promise<void>)();
    } catch (error) {
      complaints.push(`after a restart: ${String(error)}`);
    }
  }
  readLog();
  const code = await server.stop();
  if (code !== 0) complaints.push(`the server ended with ${code} when it was told to`);
}

function judge(proof: SoakProof): void {
  for (const name of [...JUDGED, 'heapMiB'] as const) {
    const growth = Math.round(growthOf(proof.series.map((sample) => sample[name])) * 1000) / 1000;
    proof.growth[name] = growth;
    if (name !== 'heapMiB' && proof.minutes >= JUDGED_FROM_MINUTES && growth > LARGEST_GROWTH)
      proof.complaints.push(`${name} of the last quarter is ${growth} times that of the second`);
  }
  // A load that did nothing has proved nothing.
  for (const name of ['sessionsDeleted', 'operations', 'runs', 'touched', 'subscribers', 'messages', 'cutOff'] as const)
    if (proof[name] === 0) proof.complaints.push(`${name} is 0`);
}

function report(proof: SoakProof, folder: string, seed: number): void {
  const { series, growth, complaints } = proof;
  const columns = Object.keys(series[0] ?? {}) as (keyof Sample)[];
  const rows = shown(series, 61).map((sample) => `| ${columns.map((name) => sample[name]).join(' | ')} |`);
  writeReport(folder, 'soak', {
    title: 'An hour at load',
    command: `npm run prove -- soak --minutes ${proof.minutes} --seed ${seed}`,
    rows: [
      [
        'sessions made, deleted',
        `${proof.sessionsMade.toLocaleString('en')}, ${proof.sessionsDeleted.toLocaleString('en')}`,
      ],
      ['operations, runs', `${proof.operations.toLocaleString('en')}, ${proof.runs.toLocaleString('en')}`],
      ['reads of sessions at rest, each with the digest of a simulation beside it', proof.touched],
      [
        'subscribers, messages to them',
        `${proof.subscribers.toLocaleString('en')}, ${proof.messages.toLocaleString('en')}`,
      ],
      ['times that the one who never reads was cut off', proof.cutOff],
      ...Object.entries(growth).map(
        ([name, value]) => [`${name}, median of the last quarter against the second`, value] as const,
      ),
      ['complaints', complaints.length],
    ],
    text: [
      `The ratios may be ${LARGEST_GROWTH} at most. Of ${series.length} samples:`,
      '',
      `| ${columns.join(' | ')} |`,
      `| ${columns.map(() => '---:').join(' | ')} |`,
      ...rows,
    ],
  });
}
