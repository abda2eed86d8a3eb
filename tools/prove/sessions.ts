/**
 * Thousands of sessions, few of them active: how much memory the server takes, how long it takes to make a session and to wake one, and
 * how long single operations take beside a long run, on its worker and on another. All in one go of one server.
 */
import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from './connection.ts';
import { diceOf } from './dice.ts';
import { ServerProcess } from './server.ts';
import type { ProofSettings } from './settings.ts';

export interface SessionsProof {
  sessions: number;
  /** Milliseconds that the client waited, one creation after the other. */
  createMs: Quantiles;
  /** Of the sessions at rest, for a read; and for one of 10,000 operations. */
  wakeMs: Quantiles;
  wakeLongMs: Quantiles;
  /** Single operations with nothing else going on; beside a run on another worker; beside one on the same. */
  idleMs: Quantiles;
  besideOtherMs: Quantiles;
  besideSameMs: Quantiles;
  /** Resident memory of the server with all of them there, bytes. */
  residentBytes: number;
  complaints: string[];
}

interface Quantiles {
  p50: number;
  p99: number;
  max: number;
}

const ACTIVE = 100;
const LONG_OPERATIONS = 10_000;
const OPERATIONS_A_ROUND = 1000;
/** One round for that many sessions, so that a short proof is short. */
const SESSIONS_A_ROUND = 2000;
const LARGEST_RESIDENT = 4 * 2 ** 30;
const NONE: Quantiles = { p50: 0, p99: 0, max: 0 };

export async function proveSessions({
  count,
  seed,
  folder,
  progress,
}: ProofSettings<SessionsProof>): Promise<SessionsProof> {
  const complaints: string[] = [];
  const proof: SessionsProof = {
    sessions: 0,
    createMs: NONE,
    wakeMs: NONE,
    wakeLongMs: NONE,
    idleMs: NONE,
    besideOtherMs: NONE,
    besideSameMs: NONE,
    residentBytes: 0,
    complaints,
  };
  const data = join(folder, 'data');
  rmSync(data, { recursive: true, force: true });
  const dice = diceOf(seed);
  const server = await ServerProcess.start(data, ['--workers', '2', '--max-awake', '500']);
  const expect = async (status: number, method: string, path: string, body?: unknown): Promise<string> => {
    const answer = await server.ask(method, path, body);
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return answer.body;
  };
  try {
    const digests = new Map<string, string>();
    const created: number[] = [];
    for (let i = 0; i < count; i++) {
      const spec = { name: `s${i}`, seed: i + 1, devices: [{ name: 'nic0', kind: 'nic' }] };
      await timed(created, () => expect(201, 'POST', '/sessions', spec));
      await expect(200, 'POST', `/sessions/s${i}/advance`, { ns: 1 + dice(1000) });
      if (i % Math.ceil(count / 200) === 0) digests.set(`s${i}`, digestOf(await expect(200, 'GET', `/sessions/s${i}`)));
      proof.sessions++;
      progress?.(i + 1, proof);
    }
    proof.createMs = quantiles(created);

    const woken: number[] = [];
    for (const [name, digest] of digests) {
      await timed(woken, () => expect(200, 'GET', `/sessions/${name}/metrics`));
      if (digestOf(await expect(200, 'GET', `/sessions/${name}`)) !== digest)
        complaints.push(`${name} is another one after its rest`);
    }
    proof.wakeMs = quantiles(woken);
    proof.wakeLongMs = quantiles(await wakeLong(server, expect));

    for (let i = 0; i < ACTIVE; i++) await expect(200, 'POST', `/sessions/s${i}/advance`, { ns: 1 });
    proof.residentBytes = await resident(server);
    if (proof.residentBytes > LARGEST_RESIDENT) complaints.push(`${proof.residentBytes} bytes are resident`);

    await beside(server, proof, Math.ceil(count / SESSIONS_A_ROUND), expect);
  } finally {
    await server.stop();
  }
  if (complaints.length === 0) rmSync(data, { recursive: true, force: true });
  return proof;
}

type Expect = (status: number, method: string, path: string, body?: unknown) => Promise<string>;

async function timed(times: number[], ask: () => Promise<unknown>): Promise<void> {
  const before = performance.now();
  await ask();
  times.push(performance.now() - before);
}

/** Sessions of 10,000 operations, put to rest by a stop of the server and woken by the next one. */
async function wakeLong(server: ServerProcess, expect: Expect): Promise<number[]> {
  const names = Array.from({ length: 10 }, (_, i) => `long${i}`);
  for (const name of names) {
    await expect(201, 'POST', '/sessions', { name, devices: [{ name: 'nic0', kind: 'nic' }] });
    const lines: string[] = [];
    for (let i = 0; i < LONG_OPERATIONS / 2; i++) {
      const map = {
        op: 'map',
        device: 'nic0',
        kind: 'single',
        direction: 'to-device',
        physicalAddress: 4096 * (i + 256),
      };
      lines.push(JSON.stringify({ ...map, lengthBytes: 1500, as: `m${i}` }), `{"op":"unmap","mapping":"$m${i}"}`);
    }
    await expect(200, 'POST', `/sessions/${name}/ops`, `${lines.join('\n')}\n`);
  }
  await server.restart();
  const times: number[] = [];
  for (const name of names) await timed(times, () => expect(200, 'GET', `/sessions/${name}/metrics`));
  return times;
}

/**
 * Two sessions on each of two workers: made one after the other, they alternate. In rounds, each with no run and then with one, because a
 * disk has slow seconds and the slowest hundredth of a single stretch is that of ten requests. As many rounds go before that are not
 * counted: until V8 has compiled what is hot, its own threads take the cores.
 */
async function beside(server: ServerProcess, proof: SessionsProof, rounds: number, expect: Expect): Promise<void> {
  const names = ['one', 'two', 'three', 'four'];
  for (const name of names) await expect(201, 'POST', '/sessions', { preset: 'thread-2008', name });
  const connection = new Connection(server);
  const operate = async (times: number[], name: string): Promise<void> => {
    for (let i = 0; i < OPERATIONS_A_ROUND; i++)
      await timed(times, () => connection.post(`/sessions/${name}/advance`, '{"ns":1}'));
  };
  const idle: number[] = [];
  const beside = new Map<string, number[]>([
    ['one', []],
    ['three', []],
    ['four', []],
  ]);
  const once = async (): Promise<void> => {
    await operate(idle, 'one');
    const run = JSON.parse(await expect(202, 'POST', '/sessions/two/runs', { operations: 1e12 })) as { id: string };
    for (const [name, times] of beside) await operate(times, name);
    await expect(200, 'DELETE', `/sessions/two/runs/${run.id}`);
  };
  for (let round = 0; round < rounds; round++) await once();
  for (const times of [idle, ...beside.values()]) times.length = 0;
  for (let round = 0; round < rounds; round++) await once();
  connection.close();
  proof.idleMs = quantiles(idle);
  // The one beside the run is the slower one; which worker a session got is the server's business.
  const each = [...beside.values()].map(quantiles).sort((one, other) => one.p50 - other.p50);
  proof.besideOtherMs = each[0]!;
  proof.besideSameMs = each.at(-1)!;
}

async function resident(server: ServerProcess): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)![1]) * 1024;
}

function digestOf(body: string): string {
  return (JSON.parse(body) as { digest: string }).digest;
}

function quantiles(times: number[]): Quantiles {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)]! * 100) / 100;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
