/** What others may have put into Redis. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { jobIdOf, KEYS } from '../src/lab/queue/bounds.ts';
import { jobsOf, outcomesOf } from './jobs.ts';
import { local, readyWorker, redis, server, until } from './stage.ts';

describe('what is no job of ours', { timeout: 120_000 }, () => {
  it('is thrown away by a worker, which goes on', async () => {
    const client = redis.client();
    const id = (n: number) => jobIdOf(String(n).repeat(64));
    const base = { name: 'job', opts: '{}', timestamp: '1' };
    const pack = (value: unknown) => JSON.stringify({ job: gzipSync(JSON.stringify(value)).toString('base64') });
    const run = { kind: 'run', spec: {}, before: [], run: { operations: 1 } };
    const rubbish: [string, Record<string, string>][] = [
      [id(1), { ...base, data: '{' }],
      [id(2), { ...base, data: '"text"' }],
      [id(3), { ...base, data: 'null' }],
      [id(4), { ...base, data: '{}', opts: '[[[' }],
      [id(5), { ...base, data: '{}', progress: '}' }],
      [id(6), { ...base, data: pack({ ...run, spec: { machine: { cpus: 1e9 } } }) }],
      [id(7), { ...base, data: pack({ ...run, run: { operations: 1, forNs: 1 } }) }],
      [id(8), { ...base, data: pack({ kind: 'reproduction', reproduction: {}, arm: 1 }) }],
      [id(9), { ...base, data: JSON.stringify({ job: gzipSync(Buffer.alloc(200 * 1024 * 1024)).toString('base64') }) }],
      ['../../etc', { ...base, data: pack(run) }],
      ['17', { ...base, data: pack(run), rjk: 'x:y:z:w:v', opts: '{"repeat":{"pattern":"* * * * * *"}}' }],
      [jobIdOf('a'.repeat(64)), { ...base, data: pack(run), parent: '{"id":"x","queueKey":"y"}', parentKey: 'y:x' }],
      [jobIdOf('b'.repeat(64)), {}],
      ['{"a":', { ...base, data: pack({ ...run, kind: 'exec' }) }],
    ];
    for (const [id, fields] of rubbish) {
      if (Object.keys(fields).length > 0) await client.hset(KEYS.job(id), fields);
      await client.lpush(KEYS.job('wait'), id);
    }
    await client.zadd(KEYS.job('marker'), 0, '0');
    await client.zadd(KEYS.workers, Date.now() + 1e6, 'a worker', Date.now() + 1e6, '999999999:x');
    const jobs = jobsOf(2);
    for (const { key } of jobs) await client.set(KEYS.outcome(jobIdOf(key)), 'no outcome');
    const worker = await readyWorker(2);
    const runner = await server();
    assert.deepEqual(await outcomesOf(runner, jobs), await local(jobs));
    await until(async () => (await client.llen(KEYS.job('wait'))) + (await client.llen(KEYS.job('active'))) === 0);
    assert.deepEqual(worker.keysOf('begun').sort(), jobs.map(({ key }) => key).sort(), 'no rubbish was computed');
    for (const [id] of rubbish) assert.equal(await client.exists(KEYS.job(id)), 0, id);
    assert.ok(!worker.ended);
    client.disconnect();
  });

  it('may even lie where the queue is: the worker waits until it is gone', async () => {
    const client = redis.client();
    await client.set(KEYS.job('wait'), 'no list');
    const worker = await readyWorker();
    const outcomes = outcomesOf(await server(), jobsOf(1));
    await worker.until(() => worker.log.includes('WRONGTYPE'));
    assert.ok(worker.log.split('\n').length < 50, worker.log);
    await client.del(KEYS.job('wait'));
    assert.equal((await outcomes)[0]!.ok, true);
    client.disconnect();
  });

  it('nor is a job of another core: it is left to the workers of that one', async () => {
    const client = redis.client();
    await client.lpush('iommu-lab:jobs-0:wait', 'x');
    await readyWorker();
    const outcomes = await outcomesOf(await server(), jobsOf(1));
    assert.equal(outcomes[0]!.ok, true);
    assert.deepEqual(await client.lrange('iommu-lab:jobs-0:wait', 0, -1), ['x']);
    client.disconnect();
  });
});
