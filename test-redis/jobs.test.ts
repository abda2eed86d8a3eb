/** Experiments' jobs through a real Redis: outcomes, workers and servers that are killed, and jobs that are withdrawn. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Job } from '../src/lab/experiment.ts';
import { jobIdOf, KEYS } from '../src/lab/queue/bounds.ts';
import { jobsOf, type KeyedJob, outcomesOf } from './jobs.ts';
import { serverProcess } from './processes.ts';
import { keep, local, never, readyWorker, redis, server, times, until } from './stage.ts';

function keysOf(jobs: KeyedJob[]): string[] {
  return jobs.map(({ key }) => key).sort();
}

describe('jobs through a queue', { timeout: 120_000 }, () => {
  it('have the outcomes of a local run, to the last digit, from however many workers', async () => {
    const workers = await Promise.all([readyWorker(2), readyWorker(2)]);
    const jobs = jobsOf(12);
    const [far, near] = await Promise.all([outcomesOf(await server(), jobs), local(jobs)]);
    assert.deepEqual(far, near);
    assert.ok(far.every((outcome) => outcome.ok));
    const shares = workers.map((worker) => worker.keysOf('ended'));
    assert.ok(
      shares.every((share) => share.length > 0),
      JSON.stringify(shares),
    );
    assert.deepEqual(shares.flat().sort(), keysOf(jobs));
  });

  it('that cannot be computed have what is wrong with them as outcome', async () => {
    await readyWorker();
    const [good] = jobsOf(1) as [KeyedJob];
    const bad = { ...good, job: { ...good.job, spec: { machine: { cpus: 0.5 } } } as Job };
    const other = { ...(jobsOf(1)[0] as KeyedJob), job: good.job };
    const runner = await server();
    const [unfit] = await outcomesOf(runner, [bad]);
    assert.ok(!unfit!.ok && unfit!.code === 'invalid-job');
    assert.match(unfit!.detail, /\/machine\/cpus/);
    const [foreign] = await outcomesOf(runner, [other]);
    assert.ok(!foreign!.ok);
    assert.match(foreign!.detail, /its key is that of another job/);
    const script = { kind: 'reproduction', reproduction: 'eiovar15', arm: 'no such' } as const;
    const [none] = await outcomesOf(runner, [{ key: '7'.repeat(64), job: script }]);
    assert.ok(!none!.ok);
    assert.match(none!.detail, /no arm "no such"/);
  });

  it('go on when a worker is killed in the middle of one, which another begins again', async () => {
    const jobs = jobsOf(6, 'takes 700 ms');
    const [first, second] = await Promise.all([readyWorker(), readyWorker()]);
    const outcomes = outcomesOf(await server(), jobs);
    await first.until(() => first.keysOf('begun').length === 2);
    const interrupted = first.keysOf('begun')[1]!;
    await first.end('SIGKILL');
    assert.deepEqual(await outcomes, await local(jobs));
    assert.ok(second.keysOf('ended').includes(interrupted));
    for (const { key } of jobs) assert.equal(times([first.keysOf('ended'), second.keysOf('ended')], key), 1);
  });

  it('are given back by a worker that is to end, and lose nothing by it', async () => {
    const jobs = jobsOf(1, 'takes 4000 ms');
    const first = await readyWorker();
    const outcomes = outcomesOf(await server(), jobs);
    await first.until(() => first.keysOf('begun').length === 1);
    await first.end('SIGTERM');
    assert.deepEqual([first.keysOf('stopped').length, first.told.at(-1)?.event], [1, 'bye']);
    const client = redis.client();
    assert.deepEqual(await client.lrange(KEYS.job('wait'), 0, -1), [jobIdOf(jobs[0]!.key)]);
    assert.equal(await client.get(KEYS.tries(jobIdOf(jobs[0]!.key))), null);
    client.disconnect();
    await readyWorker();
    assert.deepEqual(await outcomes, await local(jobs));
  });

  it('are there for a server that was killed and starts again', async () => {
    const jobs = jobsOf(8, 'takes 200 ms');
    const first = keep(serverProcess(redis.url, 'killed', jobs));
    const worker = await readyWorker();
    await worker.until(() => worker.keysOf('ended').length >= 2);
    await first.end('SIGKILL');
    const again = keep(serverProcess(redis.url, 'killed', jobs));
    await again.until(() => again.told.at(-1)?.event === 'outcomes');
    assert.deepEqual(again.told.at(-1)!.outcomes, await local(jobs));
    assert.deepEqual(worker.keysOf('begun').sort(), keysOf(jobs), 'each was computed once');
  });

  it('are computed once for two servers that want the same', async () => {
    const jobs = jobsOf(4, 'takes 100 ms');
    const worker = await readyWorker(2);
    const [one, two] = [await server(), await server()];
    const [first, second] = await Promise.all([outcomesOf(one, jobs), outcomesOf(two, jobs)]);
    assert.deepEqual(first, await local(jobs));
    assert.deepEqual(second, first);
    assert.equal(worker.keysOf('begun').length, 4);
  });

  it('are computed once for two experiments of one server', async () => {
    const worker = await readyWorker();
    const runner = await server();
    const [{ key, job }] = jobsOf(1, 'takes 300 ms') as [KeyedJob];
    const stop = new AbortController();
    const withdrawn = runner.run(key, job, stop.signal);
    const wanted = runner.run(key, job, never);
    await worker.until(() => worker.keysOf('begun').length === 1);
    stop.abort();
    assert.deepEqual(await withdrawn, {
      ok: false,
      code: 'cancelled',
      detail: ((await withdrawn) as { detail: string }).detail,
    });
    assert.equal((await wanted).ok, true);
    assert.equal(worker.keysOf('begun').length, 1);
  });
});

describe('a job that is withdrawn', { timeout: 120_000 }, () => {
  it('is taken out of the queue when no worker has it yet', async () => {
    const runner = await server();
    const stop = new AbortController();
    const outcomes = outcomesOf(runner, jobsOf(3), stop.signal);
    const client = redis.client();
    await until(async () => (await client.llen(KEYS.job('wait'))) === 3);
    stop.abort();
    assert.ok((await outcomes).every((outcome) => !outcome.ok && outcome.code === 'cancelled'));
    await until(async () => (await client.llen(KEYS.job('wait'))) === 0);
    await until(async () => (await client.keys(`${KEYS.job('')}*-*`)).length === 0);
    client.disconnect();
  });

  it('is stopped where it is computed, unless another server waits for it', async () => {
    const worker = await readyWorker(2);
    const [one, two] = [await server(), await server()];
    const [alone] = jobsOf(1, 'takes 30000 ms') as [KeyedJob];
    const [shared] = jobsOf(1, 'takes 3000 ms') as [KeyedJob];
    const stop = new AbortController();
    const withdrawn = outcomesOf(one, [alone, shared], stop.signal);
    const wanted = two.run(shared.key, shared.job, never);
    await worker.until(() => worker.keysOf('begun').length === 2);
    // Of whom the second server's interest is known: it was put in before the first's job was begun, or is now.
    const client = redis.client();
    await until(async () => (await client.zcard(KEYS.waiters(jobIdOf(shared.key)))) === 2);
    stop.abort();
    await withdrawn;
    await worker.until(() => worker.keysOf('stopped').length === 1);
    assert.deepEqual(worker.keysOf('stopped'), [alone.key]);
    assert.equal((await wanted).ok, true);
    await until(async () => (await client.exists(KEYS.job(jobIdOf(alone.key)))) === 0);
    client.disconnect();
  });
});
