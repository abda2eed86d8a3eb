/** Jobs that end the process that computes them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobsOf, type KeyedJob, outcomesOf } from './jobs.ts';
import { workerProcess } from './processes.ts';
import { keep, local, redis, server, times, until } from './stage.ts';

describe('a job that ends its worker', { timeout: 120_000 }, () => {
  it('is given up after four tries, and takes no other job along', async () => {
    const [bad] = jobsOf(1, 'ends its worker') as [KeyedJob];
    const good = jobsOf(3, 'takes 500 ms');
    const runner = await server();
    // As an orchestrator does.
    let ended = 0;
    let over = false;
    const begun: string[] = [];
    const keeper = (async () => {
      while (!over) {
        const worker = keep(workerProcess(redis.url, 4));
        await until(() => worker.ended || over);
        if (worker.ended) ended++;
        begun.push(...worker.keysOf('begun'));
      }
    })();
    const [outcome, ...others] = await outcomesOf(runner, [bad, ...good]);
    over = true;
    await keeper;
    assert.deepEqual(outcome, { ok: false, code: 'job-lost', detail: (outcome as { detail: string }).detail });
    assert.deepEqual(others, await local(good));
    assert.equal(ended, 4);
    assert.equal(times([begun], bad.key), 4);
  });
});
