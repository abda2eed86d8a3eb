/** Streams and `ops`: how a token gets into an upgrade, and how they end when it does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { AccessStore } from '../../src/access/store.ts';
import { until } from '../host/hosts.ts';
import { EventClient } from '../stream/event-client.ts';
import { Client } from '../stream/stream-server.ts';
import { type GuardedServer, startGuarded } from './guarded-server.ts';
import { bearer, subprotocols, upgradeAnswer } from './upgrades.ts';

interface Scene extends GuardedServer {
  text: string;
  id: string;
  session: string;
  stream: string;
}

/** A session of Alice's and a token of hers. */
async function alices(context: Parameters<typeof startGuarded>[0], expiresInSeconds?: number): Promise<Scene> {
  const server = await startGuarded(context);
  const life = expiresInSeconds === undefined ? {} : { expiresInSeconds };
  const { record, text } = server.token({ name: 'alice', ...life });
  const { id } = (await server.as(text)('POST', '/v1/sessions')).body;
  return { ...server, text, id: record.id, session: id, stream: `/v1/sessions/${id}/stream` };
}

function connect({ port, stream }: Scene, text: string, query = ''): Promise<Client> {
  return Client.open(new WebSocket(`ws://127.0.0.1:${port}${stream}${query}`, subprotocols(text)));
}

const adminOf = (server: GuardedServer) => server.as(server.token({ name: 'root', scope: 'admin' }).text);

test('a token opens a stream from the header or from the subprotocols, and the real one is answered', async (context) => {
  const scene = await alices(context);
  const { port, stream, text } = scene;
  assert.equal((await upgradeAnswer(port, stream, bearer(text))).status, 101);
  const offered = { 'sec-websocket-protocol': subprotocols(text).join(', ') };
  const { status, headers } = await upgradeAnswer(port, stream, offered);
  assert.deepEqual([status, headers['sec-websocket-protocol']], [101, 'iommu-lab.v1']);
  const client = await connect(scene, text);
  assert.equal((await client.next()).type, 'hello');
  const [, token] = subprotocols(text) as [string, string];
  const binary = { 'sec-websocket-protocol': `${token}, iommu-lab.v1.cbor` };
  assert.equal((await upgradeAnswer(port, stream, binary)).headers['sec-websocket-protocol'], 'iommu-lab.v1.cbor');
});

test('what is wrong with an upgrade is said before it, as a problem, and tells no secret', async (context) => {
  const { port, stream, text } = await alices(context);
  const answer = async (headers: Record<string, string>, path = stream): Promise<unknown[]> => {
    const { status, body } = await upgradeAnswer(port, path, headers);
    assert.equal(JSON.stringify(body).includes(text), false);
    assert.equal(JSON.stringify(body).includes(Buffer.from(text).toString('base64url')), false);
    return [status, body?.code];
  };
  const [real, token] = subprotocols(text) as [string, string];
  assert.deepEqual(await answer({}), [401, 'unauthenticated']);
  assert.deepEqual(await answer({ 'sec-websocket-protocol': real }), [401, 'unauthenticated']);
  assert.deepEqual(await answer({ 'sec-websocket-protocol': token }), [400, 'unsupported-subprotocol']);
  assert.deepEqual(await answer({ 'sec-websocket-protocol': `${real}, bearer.AAAA` }), [401, 'unauthenticated']);
  assert.deepEqual(await answer({ ...bearer(text), 'sec-websocket-protocol': `${real}, ${token}` }), [
    400,
    'bad-request',
  ]);
  assert.deepEqual(await answer({ authorization: `Basic ${text}` }), [401, 'unauthenticated']);
  assert.deepEqual(await answer({ ...bearer(text), origin: 'http://evil.example' }), [403, 'forbidden-origin']);
  assert.deepEqual(await answer({ ...bearer(text), host: 'rebound.example' }), [403, 'forbidden-host']);
  assert.deepEqual(await answer({}, `${stream}?ticket=${text}`), [401, 'unauthenticated'], 'a token is no ticket');
  assert.deepEqual(await answer(bearer(text), `${stream}?topics=metrics`), [400, 'invalid-query']);
});

test('a ticket opens one stream, once, in its time, and nothing else', async (context) => {
  const scene = await alices(context);
  const { port, stream, text, as, later } = scene;
  const ticketOf = async (): Promise<string> => {
    const { status, headers, body } = await as(text)('POST', '/v1/ws-tickets');
    assert.deepEqual([status, headers['cache-control'], body.expiresInSeconds], [201, 'no-store', 30]);
    return body.ticket;
  };
  const ticket = await ticketOf();
  assert.equal((await as(ticket)('GET', '/v1/sessions')).status, 401);
  const dressedUp = { upgrade: 'websocket', connection: 'upgrade' };
  assert.equal((await as(ticket)('POST', '/v1/sessions', undefined, dressedUp)).status, 401);
  assert.equal((await as(null)('GET', `/v1/sessions?ticket=${ticket}`, undefined, dressedUp)).status, 401);
  assert.equal((await upgradeAnswer(port, `${stream}?ticket=${ticket}`)).status, 101);
  assert.equal((await upgradeAnswer(port, `${stream}?ticket=${ticket}`)).status, 401);
  const inProtocol = { 'sec-websocket-protocol': subprotocols(await ticketOf()).join(', ') };
  assert.equal((await upgradeAnswer(port, stream, inProtocol)).status, 101);
  assert.equal((await upgradeAnswer(port, stream, inProtocol)).status, 401);
  const late = await ticketOf();
  later(30_000);
  assert.equal((await upgradeAnswer(port, `${stream}?ticket=${late}`)).status, 401);
  const orphan = await ticketOf();
  scene.store.revokeToken(scene.store.token(scene.id)!, Date.now());
  assert.equal(
    (await upgradeAnswer(port, `${stream}?ticket=${orphan}`)).status,
    401,
    'not beyond the token that it is of',
  );
});

test('events are opened by a token or a link in the header, and by a ticket in the query once', async (context) => {
  const scene = await alices(context);
  const { port, stream, text, as } = scene;
  const headers = bearer(text);
  assert.equal((await (await EventClient.open(port, stream, headers)).next())!.message.type, 'hello');
  const { link } = (await as(text)('POST', `/v1/sessions/${scene.session}/links`)).body;
  await EventClient.open(port, stream, bearer(link));
  const { ticket } = (await as(text)('POST', '/v1/ws-tickets')).body;
  await EventClient.open(port, `${stream}?topics=metrics&ticket=${ticket}`);
  const refused = (what: Promise<EventClient>, why: RegExp) => assert.rejects(what, why);
  await refused(EventClient.open(port, `${stream}?ticket=${ticket}`), /^Error: 401/);
  await refused(EventClient.open(port, stream), /^Error: 401/);
  await refused(EventClient.open(port, `${stream}?ticket=${text}`), /^Error: 401/);
  const next = (await as(text)('POST', '/v1/ws-tickets')).body.ticket;
  await refused(EventClient.open(port, `${stream}?ticket=${next}`, headers), /^Error: 400 .*more than one token/);
  // Elsewhere the wish for events opens nothing.
  const elsewhere = EventClient.open(port, `/v1/sessions?ticket=${next}`);
  await refused(elsewhere, /^Error: 401/);
  await refused(EventClient.open(port, stream, { ...headers, origin: 'http://evil.example' }), /^Error: 403/);
  await refused(EventClient.open(port, stream, { ...headers, host: 'rebound.example' }), /^Error: 403/);
  await EventClient.open(port, stream, { ...headers, origin: `http://127.0.0.1:${port}` });
});

test('of a session of another nobody gets events, and the answer is that to an id that there is not', async (context) => {
  const scene = await alices(context);
  const bob = bearer(scene.token({ name: 'bob' }).text);
  const answers = await Promise.all(
    [scene.stream, '/v1/sessions/ses_00000000000000000000000000/stream'].map((path) =>
      EventClient.open(scene.port, `${path}?topics=runs`, bob).then(
        () => 'open',
        (error: Error) => error.message.replaceAll(/ses_\w+/g, 'ses'),
      ),
    ),
  );
  assert.match(answers[0]!, /^404 .*unknown-session/);
  assert.equal(answers[0], answers[1]);
});

test('events end when the right to them does, and the last of them says so; they count as streams', async (context) => {
  const scene = await alices(context);
  const few = scene.token({ name: 'few', principal: 'alice', limits: { streams: 1 } });
  const client = await EventClient.open(scene.port, scene.stream, bearer(few.text));
  assert.equal(scene.access.leases.countOf('stream', 'alice'), 1);
  await assert.rejects(EventClient.open(scene.port, scene.stream, bearer(few.text)), /^Error: 429 .*too-many-streams/);
  assert.equal((await upgradeAnswer(scene.port, scene.stream, bearer(few.text))).status, 429);
  await adminOf(scene)('DELETE', `/v1/tokens/${few.record.id}`);
  const last = (await client.rest()).at(-1);
  assert.deepEqual([last.type, last.code], ['end', 4503]);
  const cut = await EventClient.open(scene.port, scene.stream, bearer(scene.text));
  cut.cut();
  await until('it is counted no longer', () => scene.access.leases.countOf('stream', 'alice') === 0);
});

test('a link opens the stream of its session', async (context) => {
  const scene = await alices(context);
  const { link } = (await scene.as(scene.text)('POST', `/v1/sessions/${scene.session}/links`)).body;
  const client = await connect(scene, link);
  assert.equal((await client.next()).type, 'hello');
  const { id } = (await scene.as(scene.text)('GET', `/v1/sessions/${scene.session}/links`)).body.items[0];
  await scene.as(scene.text)('DELETE', `/v1/sessions/${scene.session}/links/${id}`);
  assert.equal((await client.closed).code, 4503);
});

test('the streams of a token that is revoked end with 4503, those of others stay', async (context) => {
  const scene = await alices(context);
  const second = scene.token({ name: 'second', principal: 'alice' });
  const [ends, stays] = [await connect(scene, scene.text), await connect(scene, second.text)];
  await adminOf(scene)('DELETE', `/v1/tokens/${scene.id}`);
  assert.deepEqual(await ends.closed, { code: 4503, reason: 'the token was revoked or has expired' });
  await stays.settled();
  assert.equal(scene.access.leases.countOf('stream', 'alice'), 1);
});

test('so do they when another process revokes it, and when it expires', async (context) => {
  const scene = await alices(context, 3600);
  const client = await connect(scene, scene.text);
  const beside = new AccessStore(`${scene.folder}/access.sqlite`);
  beside.revokeToken(beside.token(scene.id)!, Date.now());
  beside.close();
  assert.equal((await client.closed).code, 4503);
  const next = scene.token({ name: 'alice', expiresInSeconds: 60 });
  const expiring = await connect(scene, next.text);
  scene.later(60_000);
  assert.equal((await expiring.closed).code, 4503);
});

test('a stream that was open without tokens ends with the first token', async (context) => {
  const server = await startGuarded(context);
  const { id } = (await server.as(null)('POST', '/v1/sessions')).body;
  const client = await Client.open(new WebSocket(`ws://127.0.0.1:${server.port}/v1/sessions/${id}/stream`));
  server.token({ name: 'first' });
  assert.equal((await client.closed).code, 4503);
});

test('a stream of a session that is shared no longer ends with 4504', async (context) => {
  const scene = await alices(context);
  const bob = scene.token({ name: 'bob' });
  const alice = scene.as(scene.text);
  const grant = await alice('POST', `/v1/sessions/${scene.session}/grants`, { principal: 'bob', scope: 'read' });
  const client = await connect(scene, bob.text);
  await alice('DELETE', `/v1/sessions/${scene.session}/grants/${grant.body.id}`);
  assert.equal((await client.closed).code, 4504);
});

for (const key of [null, 'kept']) {
  test(`\`ops\` of a token that is revoked end after the line in progress${key === null ? '' : ', with a key too'}`, async (context) => {
    const scene = await alices(context);
    const ops = request({
      port: scene.port,
      host: '127.0.0.1',
      method: 'POST',
      path: `/v1/sessions/${scene.session}/ops`,
      headers: {
        ...bearer(scene.text),
        'content-type': 'application/x-ndjson',
        ...(key === null ? {} : { 'idempotency-key': key }),
      },
    });
    ops.on('error', () => {});
    ops.write('{"op":"advance","ns":1}\n');
    const [reply] = await once(ops, 'response');
    let answered = '';
    reply.on('data', (bytes: Buffer) => (answered += bytes));
    reply.on('error', () => {});
    await until('the first line is answered', () => answered.endsWith('\n'));
    const gone = new Promise((resolve) => reply.once('close', resolve));
    await adminOf(scene)('DELETE', `/v1/tokens/${scene.id}`);
    await gone;
    assert.equal(reply.complete, false, 'cut short, never a clean end');
    ops.write('{"op":"advance","ns":1}\n');
    const own = scene.as(scene.token({ name: 'alice' }).text);
    assert.equal((await own('GET', `/v1/sessions/${scene.session}`)).body.operations, 1);
    ops.destroy();
  });
}

test('streams have a limit for each principal, told with its numbers', async (context) => {
  const scene = await alices(context);
  const { text } = scene.token({ name: 'few', principal: 'alice', limits: { streams: 1 } });
  const first = await connect(scene, text);
  const refused = await upgradeAnswer(scene.port, scene.stream, bearer(text));
  assert.deepEqual([refused.status, refused.body.code], [429, 'too-many-streams']);
  assert.deepEqual(refused.body.quota, { name: 'streams', limit: 1, used: 1 });
  assert.equal(refused.headers['retry-after'], '30');
  first.socket.close();
  await first.closed;
  await until('it is counted no longer', () => scene.access.leases.countOf('stream', 'alice') === 0);
  assert.equal((await upgradeAnswer(scene.port, scene.stream, bearer(text))).status, 101);
});
