/** What one principal may take: requests, operations, sessions, runs; with the numbers in headers and problems. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metered } from '../../src/access/metered-body.ts';
import { Rate, Rates } from '../../src/access/rates.ts';
import { until } from '../host/hosts.ts';
import { startGuarded } from './guarded-server.ts';

test('a bucket gives what it holds at once, then its rate, whatever the clock does', () => {
  const rate = new Rate(4, 2, 0);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => rate.take(0)),
    [true, true, true, true, false],
  );
  assert.equal(rate.waitMs(1, 0), 500);
  assert.equal(rate.take(499), false);
  assert.equal(rate.take(500), true);
  assert.equal(rate.take(0), false, 'a clock that is set back gives nothing');
  assert.equal(rate.left(1_000_000), 4, 'and a long rest no more than it holds');
  assert.equal(rate.takeUpTo(9, 1_000_000), 4);
});

test('buckets that are full again are forgotten, others are not', () => {
  const rates = new Rates(2);
  rates.of('alice', 10, 0).take(0);
  rates.of('bob', 1, 0).takeUpTo(2, 0);
  rates.dropFull(200);
  assert.equal(rates.size, 1);
  assert.equal(rates.of('bob', 1, 200).left(200), 0);
  assert.equal(rates.of('bob', 5, 200).capacity, 10, 'another rate is another bucket');
});

async function piecesOf(bytes: AsyncIterable<Uint8Array>): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of bytes) pieces.push(Buffer.from(piece).toString());
  return pieces;
}

async function* bodyOf(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

test('a metered body loses and changes no byte, and passes no more lines at once than there are', async () => {
  let nowMs = 0;
  // Each look at the clock is a tenth of a second later.
  const clock = () => (nowMs += 100);
  const parts = ['a\nb\nc\n\nd', 'd\n', 'e\nf\ng'];
  const pieces = await piecesOf(metered(bodyOf(...parts), 'ndjson', new Rate(2, 20, 0), clock));
  assert.equal(pieces.join(''), parts.join(''));
  assert.deepEqual(pieces.slice(0, 3), ['a\nb\n', 'c\n\nd', 'd\n']);
  for (const piece of pieces) assert.ok(piece.split('\n').length <= 3, JSON.stringify(piece));
  const array = '[{"op":"a"},{"op":"b"},{"op":"c"}]';
  const cut = await piecesOf(metered(bodyOf(array), 'array', new Rate(1, 10, 0), clock));
  assert.equal(cut.join(''), array);
  assert.equal(cut[0], '[{');
});

test('requests are counted for the principal, over all of its tokens, and said in the headers', async (context) => {
  const server = await startGuarded(context, { clockStands: true, settings: { limits: { requestsPerSecond: 2 } } });
  const [one, two, other] = [
    server.as(server.token({ name: 'one', principal: 'alice' }).text),
    server.as(server.token({ name: 'two', principal: 'alice' }).text),
    server.as(server.token({ name: 'bob' }).text),
  ];
  // The clock of the test stands: what is refilled is what a test lets pass.
  const first = await one('GET', '/v1');
  assert.equal(first.headers['ratelimit-policy'], '"requests";q=4;w=2');
  assert.equal(first.headers.ratelimit, '"requests";r=3;t=1');
  for (const call of [two, one, two]) assert.equal((await call('GET', '/v1')).status, 200);
  const refused = await one('GET', '/v1');
  assert.deepEqual([refused.status, refused.body.code], [429, 'too-many-requests']);
  assert.deepEqual(refused.body.quota, { name: 'requests-per-second', limit: 2 });
  assert.deepEqual([refused.headers['retry-after'], refused.headers.ratelimit], ['1', '"requests";r=0;t=2']);
  assert.equal((await other('GET', '/v1')).status, 200);
  server.later(500);
  assert.equal((await one('GET', '/v1')).status, 200);
  assert.equal((await two('GET', '/v1')).status, 429);
  assert.equal((await server.as(null)('GET', '/healthz')).headers.ratelimit, undefined);
});

test("a token's own number stands in the place of the setting, 0 for no limit", async (context) => {
  const server = await startGuarded(context, { settings: { limits: { requestsPerSecond: 1 } } });
  const free = server.as(server.token({ name: 'free', principal: 'alice', limits: { requestsPerSecond: 0 } }).text);
  for (let i = 0; i < 6; i++) {
    const { status, headers } = await free('GET', '/v1');
    assert.deepEqual([status, headers.ratelimit], [200, undefined]);
  }
});

test('sessions have a limit for each owner; the reply has its numbers, and a deleted one makes room', async (context) => {
  const server = await startGuarded(context, { settings: { limits: { sessions: 2 } } });
  const [alice, bob] = [server.as(server.token({ name: 'alice' }).text), server.as(server.token({ name: 'bob' }).text)];
  // At once: none of them may slip through while the others are being made.
  const made = await Promise.all([1, 2, 3].map(() => alice('POST', '/v1/sessions')));
  assert.deepEqual(made.map(({ status }) => status).sort(), [201, 201, 429]);
  const refused = made.find(({ status }) => status === 429)!;
  assert.equal(refused.body.code, 'too-many-sessions');
  assert.deepEqual(refused.body.quota, { name: 'sessions', limit: 2, used: 2 });
  assert.equal(refused.headers['ratelimit-policy']?.toString().includes('requests'), true);
  assert.equal(refused.headers['retry-after'], '30');
  assert.equal((await bob('POST', '/v1/sessions')).status, 201);
  await alice('DELETE', `/v1/sessions/${made.find(({ status }) => status === 201)!.body.id}`);
  assert.equal((await alice('POST', '/v1/sessions')).status, 201);
  const { items } = (await alice('GET', '/v1/sessions')).body;
  const storedBytes = items.reduce((sum: number, session: { storedBytes: number }) => sum + session.storedBytes, 0);
  assert.ok(storedBytes > 1000);
  const used = { sessions: 2, streams: 0, runs: 0, experiments: 0, traces: 0, traceBytes: 0, storedBytes };
  assert.deepEqual((await alice('GET', '/v1/whoami')).body.used, used);
});

test('runs that have not ended have a limit, over all sessions; one that ends makes room', async (context) => {
  const server = await startGuarded(context);
  const alice = server.as(server.token({ name: 'alice', limits: { runs: 1 } }).text);
  const spec = { devices: [{ name: 'nic0', kind: 'nic' }], workloads: [{ kind: 'nic-rx', device: 'nic0' }] };
  const ids: string[] = [];
  for (let i = 0; i < 2; i++) ids.push((await alice('POST', '/v1/sessions', spec)).body.id);
  const long = await alice('POST', `/v1/sessions/${ids[0]}/runs`, { forNs: 3_600_000_000_000 });
  assert.equal(long.status, 202);
  const refused = await alice('POST', `/v1/sessions/${ids[1]}/runs`, { forNs: 1_000_000 });
  assert.deepEqual([refused.status, refused.body.code], [429, 'too-many-runs']);
  assert.deepEqual(refused.body.quota, { name: 'runs', limit: 1, used: 1 });
  await alice('DELETE', `/v1/sessions/${ids[0]}/runs/${long.body.id}`);
  const next = await alice('POST', `/v1/sessions/${ids[1]}/runs`, { forNs: 1_000_000 });
  assert.equal(next.status, 202);
  const run = `/v1/sessions/${ids[1]}/runs/${next.body.id}`;
  await until('it has ended', async () => (await alice('GET', run)).body.state === 'finished');
  const bad = await alice('POST', `/v1/sessions/${ids[1]}/runs`, { until: { metric: 'no.such', above: 1 } });
  assert.equal(bad.status, 400, 'one that does not start takes no room');
  assert.equal((await alice('POST', `/v1/sessions/${ids[1]}/runs`, { forNs: 1_000_000 })).status, 202);
});

test('a retry is told what the first request was told, though its principal has reached the number meanwhile', async (context) => {
  const settings = { limits: { sessions: 1, runs: 1 } };
  const server = await startGuarded(context, { settings });
  const { text } = server.token({ name: 'alice' });
  const spec = { devices: [{ name: 'nic0', kind: 'nic' }], workloads: [{ kind: 'nic-rx', device: 'nic0' }] };
  const key = (name: string) => ({ 'idempotency-key': name });
  const first = await server.as(text)('POST', '/v1/sessions', spec, key('a'));
  const runs = `/v1/sessions/${first.body.id}/runs`;
  const begun = await server.as(text)('POST', runs, { forNs: 3_600_000_000_000 }, key('b'));
  assert.deepEqual([first.status, begun.status], [201, 202]);
  // Another server in front of the same sessions, as after a restart: it has seen neither request.
  const again = await startGuarded(context, { settings, folder: server.folder });
  const alice = again.as(text);
  const retried = await alice('POST', '/v1/sessions', spec, key('a'));
  assert.deepEqual([retried.status, retried.body.id], [201, first.body.id]);
  assert.equal(retried.headers['idempotency-replayed'], 'true');
  assert.equal((await alice('POST', '/v1/sessions', spec, key('c'))).body.code, 'too-many-sessions');
  const other = await server.as(server.token({ name: 'bob' }).text)('POST', '/v1/sessions', spec);
  await again.as(text)('POST', runs, { forNs: 3_600_000_000_000 }, key('b'));
  for (let i = 0; i < 2; i++) {
    // Counted once, however often it is told.
    const { status, body } = await alice('POST', runs, { forNs: 3_600_000_000_000 }, key('b'));
    assert.deepEqual([status, body.id], [202, begun.body.id]);
  }
  assert.equal((await alice('GET', '/v1/whoami')).body.used.runs, 1);
  assert.equal(other.status, 201);
});

test('quotas of a session are those of its owner, whoever uses it: the most that a good token of the owner says', async (context) => {
  const settings = { limits: { mappings: 1, sessionMemoryMib: 64, requestsPerSecond: 0 } };
  const server = await startGuarded(context, { settings });
  const alice = server.as(server.token({ name: 'alice' }).text);
  const bob = server.as(server.token({ name: 'bob', limits: { mappings: 0 } }).text);
  const { id } = (await alice('POST', '/v1/sessions', { devices: [{ name: 'nic0', kind: 'nic' }] })).body;
  const session = `/v1/sessions/${id}`;
  await alice('POST', `${session}/grants`, { principal: 'bob', scope: 'write' });
  const map = (call: typeof alice) =>
    call('POST', `${session}/devices/nic0/mappings`, {
      kind: 'single',
      direction: 'to-device',
      physicalAddress: 0x200000,
      lengthBytes: 4096,
    });
  assert.equal((await map(alice)).status, 201);
  for (const call of [alice, bob]) {
    const refused = await map(call);
    assert.deepEqual([refused.status, refused.body.code], [429, 'too-many-mappings']);
    assert.deepEqual(refused.body.quota, { name: 'mappings', limit: 1, used: 1 });
    assert.deepEqual(
      [refused.headers['retry-after'], refused.headers['ratelimit-policy'], refused.headers.ratelimit],
      ['30', '"mappings";q=1', '"mappings";r=0;t=30'],
    );
    assert.equal(refused.body.retryable, true);
  }
  const more = server.token({ name: 'more', principal: 'alice', limits: { mappings: 2 } });
  await until('the token counts', async () => (await map(alice)).status === 201);
  assert.equal((await map(bob)).body.quota.limit, 2);
  server.store.revokeToken(more.record, Date.now());
  await until('it counts no more', async () => (await map(alice)).body.quota.limit === 1);
  const { limits } = (await bob('GET', '/v1/whoami')).body;
  assert.deepEqual([limits.mappings, limits.sessionMemoryMib, limits.computeSeconds], [0, 64, 0]);
});

test('without tokens the settings are the quotas of all sessions, and a paused one says so over HTTP', async (context) => {
  const server = await startGuarded(context, { settings: { limits: { sessionComputeSeconds: 1 } } });
  const anybody = server.as(null);
  const spec = { name: 's', devices: [{ name: 'nic0', kind: 'nic' }], workloads: [{ kind: 'nic-rx', device: 'nic0' }] };
  await anybody('POST', '/v1/sessions', spec);
  await anybody('POST', '/v1/sessions/s/runs', { forNs: 3_600_000_000_000 });
  await until('it is paused', async () => (await anybody('GET', '/v1/sessions/s')).body.paused !== undefined);
  const refused = await anybody('POST', '/v1/sessions/s/advance', { ns: 1 });
  assert.deepEqual([refused.status, refused.body.code], [429, 'session-paused']);
  assert.equal(refused.body.quota.name, 'session-compute-seconds');
  assert.ok(Number(refused.headers['retry-after']) > 60);
  const { items } = (await anybody('GET', '/v1/sessions?state=running')).body;
  assert.equal(items[0].paused.quota.limit, 1);
  const text = (await anybody('GET', '/metrics')).body;
  assert.match(text, /^iommu_lab_sessions_paused 1$/m);
  assert.match(text, /^iommu_lab_stored_bytes [1-9][0-9]+$/m);
  const cancelled = await anybody('DELETE', '/v1/sessions/s/runs/run_1');
  assert.equal(cancelled.body.state, 'cancelled');
});

test('operations beyond the rate wait, and all of them are carried out', async (context) => {
  const server = await startGuarded(context, { clockStands: true });
  const alice = server.as(server.token({ name: 'alice', limits: { opsPerSecond: 40, requestsPerSecond: 0 } }).text);
  const { id } = (await alice('POST', '/v1/sessions')).body;
  const lines = '{"op":"advance","ns":1}\n'.repeat(50);
  let ended = false;
  const sent = alice('POST', `/v1/sessions/${id}/ops`, lines, { 'content-type': 'application/x-ndjson' });
  const reply = sent.finally(() => {
    ended = true;
  });
  const operations = async () => (await alice('GET', `/v1/sessions/${id}`)).body.operations;
  await until('the first second is through', async () => (await operations()) === 40);
  assert.equal(ended, false);
  server.later(250);
  assert.equal((await reply).body.trim().split('\n').length, 50);
  assert.equal(await operations(), 50);
});

test('`ops` requests at a time have a limit, so that nobody holds all that the server takes', async (context) => {
  const server = await startGuarded(context, { clockStands: true });
  const limits = { opsRequests: 1, opsPerSecond: 1, requestsPerSecond: 0 };
  const alice = server.as(server.token({ name: 'alice', limits }).text);
  const { id } = (await alice('POST', '/v1/sessions')).body;
  const ops = (lines: number) =>
    alice('POST', `/v1/sessions/${id}/ops`, '{"op":"advance","ns":1}\n'.repeat(lines), {
      'content-type': 'application/x-ndjson',
    });
  // With the clock as it is, its second line waits once the first has had what there is.
  const held = ops(2);
  await until('its first line is done', async () => (await alice('GET', `/v1/sessions/${id}`)).body.operations === 1);
  assert.equal(server.access.leases.countOf('ops', 'alice'), 1);
  const refused = await ops(1);
  assert.deepEqual([refused.status, refused.body.code], [429, 'too-many-requests']);
  assert.deepEqual(refused.body.quota, { name: 'ops-requests', limit: 1, used: 1 });
  server.later(5_000);
  assert.equal((await held).status, 200);
  server.later(5_000);
  assert.equal((await ops(1)).status, 200);
  assert.equal(server.access.leases.countOf('ops', 'alice'), 0);
});

test('without tokens only limits that were asked for are kept', async (context) => {
  const free = await startGuarded(context);
  assert.equal((await free.as(null)('GET', '/v1')).headers.ratelimit, undefined);
  assert.equal(free.access.viewOf(free.access.identify(() => null)), free.host, 'nothing stands between');
  const held = await startGuarded(context, { settings: { limits: { sessions: 1 } } });
  assert.equal((await held.as(null)('POST', '/v1/sessions')).status, 201);
  assert.equal((await held.as(null)('POST', '/v1/sessions')).body.code, 'too-many-sessions');
});
