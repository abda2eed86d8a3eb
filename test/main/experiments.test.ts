/** An experiment on a server that is killed in the middle: the next one goes on with it, and computes nothing twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withServers } from './server-process.ts';

interface Experiment {
  id: string;
  state: string;
  jobs: { total: number; finished: number; failed: number };
}

const request = {
  name: 'sweep',
  base: { preset: 'thread-2008' },
  arms: [{ label: 'strict', set: { 'policy.invalidation.kind': 'strict' } }],
  until: { operations: 1_000 },
  seeds: Array.from({ length: 16 }, (_, i) => i + 1),
  control: false,
};

test('after kill -9 an experiment goes on where it was, and comes to what it would have come to', async () => {
  await withServers(async (start, folder) => {
    const flags = ['--port', '0', '--data', folder, '--lab-workers', '1', '--workers', '1', '--log-level', 'silent'];
    const call = async <T>(at: string, path: string, body?: object): Promise<T> => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      const reply = await fetch(`${at}${path}`, body === undefined ? {} : init);
      return (await reply.json()) as T;
    };
    const until = async (at: string, enough: (experiment: Experiment) => boolean): Promise<Experiment> => {
      for (;;) {
        const experiment = await call<Experiment>(at, '/v1/experiments/sweep');
        if (enough(experiment)) return experiment;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const first = start(flags);
    const before = await first.address();
    const { id } = await call<Experiment>(before, '/v1/experiments', request);
    await until(before, ({ jobs }) => jobs.finished >= 3);
    first.child.kill('SIGKILL');
    assert.equal(await first.ended(), 'SIGKILL');

    const second = start(flags);
    const after = await second.address();
    const done = await until(after, ({ state }) => state === 'finished');
    assert.equal(done.id, id);
    assert.deepEqual([done.jobs.total, done.jobs.finished, done.jobs.failed], [16, 16, 0]);
    const metrics = await (await fetch(`${after}/metrics`)).text();
    const computed = Number(/^iommu_lab_jobs_finished_total (\d+)/m.exec(metrics)![1]);
    assert.ok(computed > 0 && computed <= 13, `${computed} were computed after the kill`);

    // A server that nobody killed comes to the same.
    const elsewhere = await start([...flags.slice(0, 3), `${folder}/other`, ...flags.slice(4)]).address();
    await call(elsewhere, '/v1/experiments', request);
    await until(elsewhere, ({ state }) => state === 'finished');
    const digests = async (at: string) => {
      const { rows } = await call<{ rows: { outcome: { digest: string } }[] }>(
        at,
        '/v1/experiments/sweep/results?rows=true',
      );
      return rows.map(({ outcome }) => outcome.digest);
    };
    assert.deepEqual(await digests(after), await digests(elsewhere));
  });
});

test('a server whose queue is away takes work, and says that experiments wait', async () => {
  await withServers(async (start, folder) => {
    const flags = ['--port', '0', '--data', folder, '--workers', '1', '--log-level', 'silent'];
    const server = start([...flags, '--redis', 'redis://:hidden@127.0.0.1:1']);
    const at = await server.address();
    const created = await fetch(`${at}/v1/experiments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    assert.equal(created.status, 201);
    const ready = await fetch(`${at}/readyz`);
    const { experiments } = (await ready.json()) as { experiments: { state: string; detail: string } };
    assert.deepEqual([ready.status, experiments.state], [200, 'degraded']);
    assert.match(experiments.detail, /no connection to the queue at redis:\/\/127\.0\.0\.1:1/);
    assert.doesNotMatch(experiments.detail, /hidden/);
    server.child.kill('SIGTERM');
    assert.equal(await server.ended(), 0);
  });
});
