/** Threads that compute jobs: what they come to, how they are stopped, and what becomes of one that dies. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Job } from '../../src/lab/experiment.ts';
import { runJob } from '../../src/lab/job.ts';
import { ThreadPool } from '../../src/lab/pool.ts';
import { planned, small } from './experiments.ts';

const never = new AbortController().signal;
const endless = planned({ ...small, until: { ns: 1e15 }, control: false, seeds: [1] });

test('a thread comes to what the same job comes to here', async () => {
  const pool = new ThreadPool({ width: 2 });
  const { jobs, rows } = planned(small);
  const outcomes = await Promise.all(jobs.map((job, i) => pool.run(rows[i]!.key, job, never)));
  assert.deepEqual(
    outcomes,
    jobs.map((job) => runJob(job)),
  );
  assert.deepEqual(await pool.plan(small), { ok: true, value: planned(small) });
  const { threads, busy } = pool.load();
  assert.deepEqual([threads, busy], [3, 0]);
  await pool.close();
});

test('a job that runs and one that waits are cancelled, and the thread takes the next', async () => {
  const pool = new ThreadPool({ width: 1 });
  const [first, second] = [new AbortController(), new AbortController()];
  const running = pool.run('a', endless.jobs[0]!, first.signal);
  const waiting = pool.run('b', endless.jobs[1]!, second.signal);
  second.abort();
  const code = async (outcome: ReturnType<ThreadPool['run']>) => {
    const said = await outcome;
    return said.ok ? null : said.code;
  };
  assert.equal(await code(waiting), 'job-cancelled');
  assert.equal(pool.load().busy, 1);
  first.abort();
  assert.equal(await code(running), 'job-cancelled');
  assert.equal(await code(pool.run('c', planned(small).jobs[0]!, never)), null);
  assert.equal(pool.load().threads, 1);
  await pool.close();
});

test('a job beyond its bounds fails, and says so', async () => {
  const pool = new ThreadPool({ width: 1, bounds: { memoryBytes: 0, seconds: 0.1 } });
  const outcome = await pool.run('a', endless.jobs[0]!, never);
  assert.equal(outcome.ok ? '' : outcome.code, 'job-took-too-long');
  await pool.close();
});

test('a thread that dies fails the job that it had, and another one does the next', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pool-'));
  const thread = join(folder, 'thread.mjs');
  // Runs out of memory at the first job that it is given when there is a seed 13.
  writeFileSync(
    thread,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', ({ task, job }) => {
       if (job.spec.seed === 13) { const hoard = []; for (;;) hoard.push(new Array(1000).fill({})); }
       parentPort.postMessage({ task, outcome: { ok: true, result: {}, digest: String(job.spec.seed), timeNs: 0 } });
     });`,
  );
  const pool = new ThreadPool({ width: 1, heapMib: 16, thread: pathToFileURL(thread) });
  const job = (seed: number): Job => ({ kind: 'run', spec: { seed }, before: [], run: {} });
  const died = pool.run('a', job(13), never);
  const next = pool.run('b', job(1), never);
  const said = await died;
  assert.ok(!said.ok);
  assert.equal(said.code, 'job-thread-died');
  assert.match(said.detail, /memory/);
  assert.deepEqual(await next, { ok: true, result: {}, digest: '1', timeNs: 0 });
  await pool.close();
  rmSync(folder, { recursive: true });
});

test('a thread is not ended while it loads its modules', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pool-'));
  const thread = join(folder, 'thread.mjs');
  const loaded = join(folder, 'loaded');
  writeFileSync(
    thread,
    `import { writeFileSync } from 'node:fs';
     import { parentPort } from 'node:worker_threads';
     for (const end = Date.now() + 300; Date.now() < end; );
     writeFileSync(${JSON.stringify(loaded)}, '');
     parentPort.postMessage({ task: 0, begun: true });
     parentPort.on('message', () => { for (;;); });`,
  );
  const pool = new ThreadPool({ width: 1, thread: pathToFileURL(thread) });
  const job = pool.run('a', { kind: 'run', spec: {}, before: [], run: {} }, never);
  const closed = pool.close();
  await assert.rejects(job, /the pool is closed/);
  await closed;
  assert.ok(existsSync(loaded));
  rmSync(folder, { recursive: true });
});

test('threads that have had nothing to do for long enough are ended', async () => {
  const pool = new ThreadPool({ width: 1, idleMs: 1 });
  const gone = new Promise<void>((resolve) => {
    const look = (): void => {
      if (pool.load().threads === 0) resolve();
      else setTimeout(look, 5);
    };
    pool.run('a', planned(small).jobs[0]!, never).then(look);
  });
  await gone;
  assert.equal((await pool.run('a', planned(small).jobs[0]!, never)).ok, true);
  await pool.close();
});

test('a pool that is closed takes nothing, and leaves what it had to whoever asks again', async () => {
  const pool = new ThreadPool({ width: 1 });
  const running = assert.rejects(pool.run('a', endless.jobs[0]!, never), /closed/);
  const waiting = assert.rejects(pool.run('b', endless.jobs[0]!, never), /closed/);
  await pool.close();
  await Promise.all([running, waiting]);
  await assert.rejects(pool.run('c', endless.jobs[0]!, never), /closed/);
});
