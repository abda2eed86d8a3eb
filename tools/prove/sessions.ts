/**
 * Thousands of sessions, few of them active: how much memory the server takes, how long it takes to make a session and to wake one, and
 * how long single operations take beside a long run, on its worker and on another. All in one go of one server.
 */
import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  const timed = async (times: number[], ask: () => Promise<unknown>): Promise<void> => {
    const before = performance.now();
    await ask();
    times.push(performance.now() - before);
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
    proof.wakeLongMs = quantiles(await wakeLong(server, expect, timed));

    for (let i = 0; i < ACTIVE; i++) await expect(200, 'POST', `/sessions/s${i}/advance`, { ns: 1 });
    proof.residentBytes = await resident(server);
    if (proof.residentBytes > LARGEST_RESIDENT) complaints.push(`${proof.residentBytes} bytes are resident`);

    await beside(proof, expect, timed);
  } finally {
    await server.stop();
  }
  if (complaints.length === 0) rmSync(data, { recursive: true, force: true });
  return proof;
}

type Expect = (status: number, method: string, path: string, body?: unknown) => Promise<string>;
type Timed = (times: number[], ask: () => Promise<unknown>) => Promise<void>;

/** Sessions of 10,000 operations, put to rest by a stop of the server and woken by the next one. */
async function wakeLong(server: ServerProcess, expect: Expect, timed: Timed): Promise<number[]> {
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

/** Two sessions on each of two workers: made one after the other, they alternate. */
async function beside(proof: SessionsProof, expect: Expect, timed: Timed): Promise<void> {
  const names = ['one', 'two', 'three', 'four'];
  for (const name of names) await expect(201, 'POST', '/sessions', { preset: 'thread-2008', name });
  const operate = async (name: string): Promise<Quantiles> => {
    const times: number[] = [];
    for (let i = 0; i < 1000; i++)
      await timed(times, () => expect(200, 'POST', `/sessions/${name}/advance`, { ns: 1 }));
    return quantiles(times);
  };
  proof.idleMs = await operate('one');
  await expect(202, 'POST', '/sessions/two/runs', { operations: 1e12 });
  const [one, three, four] = [await operate('one'), await operate('three'), await operate('four')];
  // The one beside the run is the slower one; which worker a session got is the server's business.
  proof.besideOtherMs = [one, three, four].reduce((best, each) => (each.p50 < best.p50 ? each : best));
  proof.besideSameMs = [one, three, four].reduce((worst, each) => (each.p50 > worst.p50 ? each : worst));
  await expect(200, 'DELETE', '/sessions/two/runs/run_1');
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
