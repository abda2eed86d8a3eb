import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { contractSchema } from '../../src/api/contract.ts';
import { Validators } from '../../src/api/validator.ts';
import { type StreamServer, startStream } from './stream-server.ts';

const fitsProblem = new Validators(false).compile(contractSchema('Problem'));

const UPGRADE: Readonly<Record<string, string>> = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
  problem: { status: number; code: string; detail: string };
}

/** What a client gets that asks for an upgrade, or for none; 101 when it got it. */
async function ask({ port }: StreamServer, path: string, headers = UPGRADE, method = 'GET'): Promise<Answer> {
  const outgoing = request({ port, host: '127.0.0.1', path, headers, method, agent: false }).end();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  outgoing.on('error', reject);
  outgoing.on('upgrade', (response, socket) => {
    socket.destroy();
    resolve({ status: 101, headers: response.headers, body: '', problem: {} as never });
  });
  outgoing.on('response', async (response) => {
    let body = '';
    for await (const chunk of response) body += chunk;
    const isProblem = response.headers['content-type']?.startsWith('application/problem+json') === true;
    const problem = isProblem ? JSON.parse(body) : null;
    if (isProblem) assert.equal(fitsProblem(problem), null, body);
    resolve({ status: response.statusCode ?? 0, headers: response.headers, body, problem });
  });
  return promise;
}

const STREAM = '/v1/sessions/ses_1/stream';

test('a session is found by its id and by its name', async (context) => {
  const server = await startStream(context);
  for (const path of [STREAM, '/v1/sessions/lab/stream']) {
    const client = await server.connect(path);
    assert.equal((await client.next()).epoch, 'epo_ses_1_1');
  }
});

test('an unknown session is a 404 before the upgrade', async (context) => {
  const { status, problem } = await ask(await startStream(context), '/v1/sessions/nobody/stream');
  assert.deepEqual([status, problem.code], [404, 'unknown-session']);
});

test('a GET that is no upgrade is a 426 that names the protocol', async (context) => {
  const { status, headers, problem } = await ask(await startStream(context), STREAM, {});
  assert.deepEqual([status, problem.code, headers.upgrade], [426, 'upgrade-required', 'websocket']);
});

test('an offer of another protocol than WebSocket is passed over', async (context) => {
  const server = await startStream(context);
  const http2 = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAoAAAAAIAAAAA' };
  assert.equal((await ask(server, '/v1/sessions', http2)).body, '{"items":[]}');
  assert.equal((await ask(server, STREAM, http2)).status, 426);
});

test('an upgrade of any other path is refused and never accepted', async (context) => {
  const server = await startStream(context);
  const elsewhere = await ask(server, '/v1/sessions');
  assert.deepEqual([elsewhere.status, elsewhere.problem.code], [400, 'bad-request']);
  assert.equal((await ask(server, '/nowhere')).status, 404);
  assert.notEqual((await ask(server, STREAM, UPGRADE, 'POST')).status, 101);
});

test('the subprotocol is optional, echoed when offered, and refused when only others are', async (context) => {
  const server = await startStream(context);
  assert.equal((await ask(server, STREAM)).headers['sec-websocket-protocol'], undefined);
  const offer = (list: string) => ask(server, STREAM, { ...UPGRADE, 'sec-websocket-protocol': list });
  assert.equal((await offer('other, iommu-lab.v1')).headers['sec-websocket-protocol'], 'iommu-lab.v1');
  const unknown = await offer('iommu-lab.v9');
  assert.deepEqual([unknown.status, unknown.problem.code], [400, 'unsupported-subprotocol']);
  assert.match(unknown.problem.detail, /iommu-lab\.v9/);
  for (const bad of ['iommu-lab.v1, iommu-lab.v1', 'a b', ',']) {
    const { status, problem } = await offer(bad);
    assert.deepEqual([status, problem.code], [400, 'invalid-header'], bad);
  }
});

test('a handshake that RFC 6455 does not allow is refused as a problem', async (context) => {
  const server = await startStream(context);
  const version = await ask(server, STREAM, { ...UPGRADE, 'sec-websocket-version': '12' });
  assert.deepEqual([version.status, version.headers['sec-websocket-version']], [426, '13']);
  const key = await ask(server, STREAM, { ...UPGRADE, 'sec-websocket-key': 'short' });
  assert.deepEqual([key.status, key.problem.code], [400, 'invalid-header']);
});

test('a query is refused by the name of its first parameter', async (context) => {
  const { status, problem } = await ask(await startStream(context), `${STREAM}?topics=metrics`);
  assert.deepEqual([status, problem.code], [400, 'invalid-query']);
  assert.match(problem.detail, /`topics`/);
});

test('beyond the number of sockets, of a session or in all, an upgrade is a 503', async (context) => {
  const server = await startStream(context, { limits: { socketsPerSession: 1, sockets: 2 } });
  server.sessions.create('ses_2');
  server.sessions.create('ses_3');
  const first = await server.connect(STREAM);
  assert.equal((await ask(server, STREAM)).status, 503);
  await server.connect('/v1/sessions/ses_2/stream');
  const { status, problem } = await ask(server, '/v1/sessions/ses_3/stream');
  assert.deepEqual([status, problem.code], [503, 'overloaded']);
  first.socket.close();
  await first.closed;
  await server.connect('/v1/sessions/ses_3/stream');
});

test('a message that comes in the same packet as the upgrade is heard', async (context) => {
  const { port } = await startStream(context);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const lines = Object.entries(UPGRADE).map(([name, value]) => `${name}: ${value}`);
  const head = [`GET ${STREAM} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n');
  // {"type":"ping"}, one frame, final, text, 15 bytes, masked with zeros.
  const frame = Buffer.concat([Buffer.from([0x81, 0x8f, 0, 0, 0, 0]), Buffer.from('{"type":"ping"}')]);
  socket.write(Buffer.concat([Buffer.from(head), frame]));
  let received = '';
  for await (const chunk of socket) {
    received += chunk;
    if (received.includes('"pong"')) break;
  }
  assert.match(received, /"hello".*"pong"/s);
});
