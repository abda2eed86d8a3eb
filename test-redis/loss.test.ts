/** A Redis that is away, or has lost what it had. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createQueueRunner } from '../src/lab/queue/queue-runner.ts';
import { jobsOf, type KeyedJob, outcomesOf } from './jobs.ts';
import { local, never, readyWorker, redis, runners, server, until } from './stage.ts';

describe('a Redis that goes away', { timeout: 120_000 }, () => {
  for (const [what, loses] of [
    ['and comes back as it was', false],
    ['and comes back with nothing', true],
  ] as const)
    it(`${what} delays the outcomes and changes none`, async () => {
      const jobs = jobsOf(8, 'takes 300 ms');
      const workers = await Promise.all([readyWorker(), readyWorker()]);
      const runner = await server();
      const outcomes = outcomesOf(runner, jobs);
      await workers[0]!.until(() => workers[0]!.keysOf('ended').length >= 1);
      await redis.kill();
      await until(() => runner.status().state === 'degraded');
      assert.match(runner.status().detail, /no connection to the queue at redis:\/\/127\.0\.0\.1:[0-9]+/);
      if (loses) redis.loseData();
      await redis.start();
      assert.deepEqual(await outcomes, await local(jobs));
      await until(() => runner.status().state === 'ok');
      for (const worker of workers) assert.equal(worker.ended, false, worker.log);
    });

  it('and was never there: jobs wait, can be withdrawn, and the runner can be closed', async () => {
    const runner = await createQueueRunner({ redis: 'redis://:hidden@127.0.0.1:1', name: 'nowhere' });
    const stop = new AbortController();
    const [{ key, job }] = jobsOf(1) as [KeyedJob];
    const withdrawn = runner.run(key, job, stop.signal);
    const waiting = runner.run(`0${key.slice(1)}`, job, never);
    await until(() => runner.status().detail.includes('ECONNREFUSED'));
    assert.ok(!JSON.stringify(runner.status()).includes('hidden'));
    stop.abort();
    assert.equal((await withdrawn).ok, false);
    const closed = assert.rejects(waiting, /closed/);
    await runner.close();
    await closed;
  });

  it('and wants another password is told of without it, and waited for', async () => {
    const wrong = redis.url.replace(/:[^:@]+@/, ':not%20it@');
    const runner = await createQueueRunner({ redis: wrong, name: 'wrong' });
    runners.push(runner);
    await until(() => /WRONGPASS|NOAUTH/.test(runner.status().detail));
    assert.ok(!/not( |%20)it/.test(runner.status().detail));
  });

  it('and has no workers is told of', async () => {
    const runner = await server();
    await until(() => runner.status().detail.startsWith('No worker of this version'));
    await readyWorker(3);
    await until(() => runner.status().state === 'ok');
    assert.deepEqual(runner.status(), { state: 'ok', detail: '', workers: 1, slots: 3, waiting: 0 });
  });
});
