/** `/v1/experiments` over HTTP, on the core: from a request to its report, and the same digests as sessions have. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import { createLaboratory } from '../../src/lab/local-laboratory.ts';
import { ThreadPool } from '../../src/lab/pool.ts';
import { type GuardedServer, startGuarded } from '../access/guarded-server.ts';
import { created, ended, small } from '../lab/experiments.ts';

const one = { ...small, control: false, seeds: [1] };

describe('experiments', () => {
  const ends: (() => unknown)[] = [];
  after(async () => {
    for (const end of ends) await end();
  });
  const laboratory = createLaboratory({ runner: new ThreadPool({ width: 2 }) });
  ends.push(() => laboratory.close());
  let server: GuardedServer;
  const call = (method: 'GET' | 'POST' | 'DELETE', url: string, body?: unknown, headers?: Record<string, string>) =>
    server.as(null)(method, url, body, headers);

  test('one is created at once, with its place, and goes on by itself', async () => {
    server = await startGuarded({ after: (end) => ends.unshift(end) }, { laboratory });
    const made = await call('POST', '/v1/experiments', { ...small, name: 'sweep', title: 'A sweep' });
    assert.equal(made.status, 201);
    assert.equal(made.headers.location, `/v1/experiments/${made.body.id}`);
    assert.ok(['queued', 'running'].includes(made.body.state));
    assert.equal(made.body.arms.length, 3);
    await ended(laboratory, made.body.id);
    const read = await call('GET', '/v1/experiments/sweep');
    assert.equal(read.body.id, made.body.id);
    assert.deepEqual([read.body.state, read.body.progress, read.body.jobs.finished], ['finished', 1, 6]);
  });

  test('an arm has the digest and the result of a session with the same spec, seed and run', async () => {
    const { body } = await call('GET', '/v1/experiments/sweep/results?rows=true');
    const { arms } = (await call('GET', '/v1/experiments/sweep')).body;
    assert.equal(body.rows.length, 6);
    for (const { arm, seed, outcome } of body.rows) {
      const { spec } = arms.find(({ id }: { id: string }) => id === arm);
      const session = await call('POST', '/v1/sessions', { ...spec, seed });
      const at = `/v1/sessions/${session.body.id}`;
      await call('POST', `${at}/runs`, { operations: 200 });
      let run = (await call('GET', `${at}/runs/run_1`)).body;
      while (run.state !== 'finished') run = (await call('GET', `${at}/runs/run_1`)).body;
      assert.equal((await call('GET', at)).body.digest, outcome.digest);
      assert.deepEqual(run.result.exposure.staleAccesses, outcome.result.exposure.staleAccesses);
      assert.deepEqual(run.result.operations, outcome.result.operations);
      assert.equal('wallSeconds' in outcome.result, false);
      await call('DELETE', at);
    }
  });

  test('results come as JSON, CSV and Parquet, by the query or by Accept', async () => {
    const at = '/v1/experiments/sweep/results';
    const json = await call('GET', at);
    assert.equal(json.body.complete, true);
    assert.deepEqual(
      json.body.arms.map(({ id }: { id: string }) => id),
      ['control', 'arm-1', 'arm-2'],
    );
    for (const csv of [
      await call('GET', `${at}?format=csv`),
      await call('GET', at, undefined, { accept: 'text/csv' }),
    ]) {
      assert.match(String(csv.headers['content-type']), /^text\/csv/);
      // Of each job a row for all of it and one for its workload.
      assert.equal(csv.body.trim().split('\n').length, 13);
      assert.match(String(csv.headers['content-disposition']), /attachment/);
    }
    const bytes = await server.app.inject({ url: `${at}?format=parquet`, headers: { host: 'localhost' } });
    const copy = new Uint8Array(bytes.rawPayload).buffer;
    assert.equal((await parquetReadObjects({ file: copy })).length, 12);
    const neither = await call('GET', at, undefined, { accept: 'image/png' });
    assert.deepEqual([neither.status, neither.body.code], [406, 'not-acceptable']);
    assert.equal((await call('GET', `${at}?format=xml`)).body.code, 'invalid-query');
  });

  test('the report comes as HTML, which may load nothing from elsewhere, and as Markdown', async () => {
    const at = '/v1/experiments/sweep/report';
    const html = await call('GET', at);
    assert.match(String(html.headers['content-type']), /^text\/html/);
    assert.match(String(html.headers['content-security-policy']), /default-src 'none'/);
    assert.match(html.body, /flush-queue/);
    const markdown = await call('GET', `${at}?format=markdown`);
    assert.match(String(markdown.headers['content-type']), /^text\/markdown/);
    assert.match(markdown.body, /flush-queue/);
  });

  test('a check creates nothing, and says what is wrong with all of it', async () => {
    const before = (await call('GET', '/v1/experiments')).body.items.length;
    const good = await call('POST', '/v1/experiments?validateOnly=true', one);
    assert.deepEqual([good.status, good.body.arms.length], [200, 2]);
    const vary = { 'policy.x': [1], 'machine.cpus': ['many'] };
    for (const query of ['', '?validateOnly=true']) {
      const bad = await call('POST', `/v1/experiments${query}`, { ...one, vary });
      assert.deepEqual([bad.status, bad.body.code], [400, 'invalid-experiment']);
      const paths = bad.body.errors.map(({ path }: { path: string }) => path);
      assert.deepEqual(paths.sort(), ['/vary/machine.cpus/0', '/vary/policy.x']);
    }
    assert.equal((await call('POST', '/v1/experiments', { seeds: [] })).body.code, 'invalid-body');
    assert.equal((await call('POST', '/v1/experiments', { ...one, name: 'sweep' })).body.code, 'name-taken');
    assert.equal((await call('GET', '/v1/experiments')).body.items.length, before);
  });

  test('an Idempotency-Key creates one', async () => {
    const headers = { 'idempotency-key': 'once' };
    const [first, again] = [
      await call('POST', '/v1/experiments', one, headers),
      await call('POST', '/v1/experiments', one, headers),
    ];
    assert.equal(again.body.id, first.body.id);
    assert.equal(again.headers['idempotency-replayed'], 'true');
    await ended(laboratory, first.body.id);
  });

  test('DELETE cancels one that is active, and removes one that has ended', async () => {
    const long = { ...one, until: { ns: 1e15 } };
    const { id } = await created(laboratory, long);
    const partial = await call('GET', `/v1/experiments/${id}/results`);
    assert.equal(partial.body.complete, false);
    const cancelled = await call('DELETE', `/v1/experiments/${id}`);
    assert.equal(cancelled.body.state, 'cancelled');
    assert.ok(cancelled.body.endedAt);
    assert.equal((await call('GET', `/v1/experiments?state=cancelled`)).body.items.length, 1);
    assert.equal((await call('DELETE', `/v1/experiments/${id}`)).status, 200);
    const gone = await call('GET', `/v1/experiments/${id}`);
    assert.deepEqual([gone.status, gone.body.code], [404, 'unknown-experiment']);
  });

  test('lists go in pages', async () => {
    const page = await call('GET', '/v1/experiments?limit=1');
    assert.equal(page.body.items.length, 1);
    assert.match(String(page.headers.link), /rel="next"/);
    const rest = await call('GET', `/v1/experiments?limit=9&cursor=${page.body.nextCursor}`);
    assert.ok(rest.body.items.every(({ id }: { id: string }) => id !== page.body.items[0].id));
  });

  test('the catalog has those that are kept ready, and the metrics count jobs', async () => {
    const { experiments } = (await call('GET', '/v1/catalog')).body;
    const thread = experiments.find(({ kind }: { kind: string }) => kind === 'thread-2008');
    assert.deepEqual(thread.defaults.base, { preset: 'thread-2008' });
    const metrics = (await call('GET', '/metrics')).body as string;
    assert.match(metrics, /^iommu_lab_jobs_finished_total [1-9]/m);
    assert.match(metrics, /^iommu_lab_experiments [1-9]/m);
  });
});
