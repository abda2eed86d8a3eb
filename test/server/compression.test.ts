import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { WebSocket } from 'ws';
import { contractText } from '../../src/api/contract.ts';
import { buildApp } from '../../src/server/app.ts';
import { createStream } from '../../src/stream/hub.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';

let app: FastifyInstance;
let host: FakeHost;

before(async () => {
  host = fakeHost();
  await host.create({ name: 'one' });
  host.epochOf = () => 'epo_1';
  const config = { host: '127.0.0.1', allowedHosts: [] };
  app = await buildApp({ config, host, lifecycle: { closing: false }, stream: createStream(host) });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(() => app.close());

const GZIP = { 'accept-encoding': 'gzip' };
const ask = (
  url: string,
  headers: Record<string, string> = GZIP,
  more: InjectOptions = {},
): Promise<LightMyRequestResponse> => app.inject({ url, ...more, headers: { host: 'localhost', ...headers } });
const encodingOf = ({ headers }: LightMyRequestResponse): unknown => headers['content-encoding'];

test('who accepts gzip gets it, and the same bytes within', async () => {
  const packed = await ask('/openapi.yaml');
  assert.equal(encodingOf(packed), 'gzip');
  assert.match(String(packed.headers.vary), /accept-encoding/i);
  assert.ok(packed.rawPayload.length < contractText.length / 4);
  assert.equal(gunzipSync(packed.rawPayload).toString(), contractText);
  for (const url of ['/metrics', '/', '/docs/js/scalar.js', '/v1/catalog']) {
    const [plain, reply] = [await ask(url, {}), await ask(url)];
    assert.deepEqual([encodingOf(plain), encodingOf(reply)], [undefined, 'gzip'], url);
    if (url !== '/metrics') assert.equal(gunzipSync(reply.rawPayload).toString(), plain.body, url);
  }
});

test('who does not accept it, or prefers something else that there is not, gets the reply as it is', async () => {
  for (const encoding of ['identity', 'gzip;q=0', 'br, zstd', ''])
    assert.equal(encodingOf(await ask('/openapi.yaml', { 'accept-encoding': encoding })), undefined, encoding);
});

test('a reply that fits a packet is not packed', async () => {
  for (const url of ['/healthz', '/v1/sessions/one', '/v1/sessions/none'])
    assert.equal(encodingOf(await ask(url)), undefined, url);
});

test('a reply in several forms says what all of them depend on', async () => {
  host.read = async () => ({ ok: true, value: { pad: 'x'.repeat(4_000) } });
  const reply = await ask('/v1/sessions/one/metrics');
  assert.equal(encodingOf(reply), 'gzip');
  const vary = String(reply.headers.vary).toLowerCase().split(/, */);
  assert.deepEqual(vary.sort(), ['accept', 'accept-encoding']);
});

test('HEAD has no body and the headers of a GET', async () => {
  const reply = await ask('/openapi.yaml', GZIP, { method: 'HEAD' });
  assert.deepEqual([reply.statusCode, reply.rawPayload.length], [200, 0]);
  assert.match(String(reply.headers['content-type']), /yaml/);
});

test('a retry gets the reply of the first request, packed or not as it asks itself', async () => {
  const create = host.create;
  host.create = async (input) => {
    const made = await create(input);
    return made.ok ? { ok: true, value: { ...made.value, title: 'x'.repeat(4_000) } as never } : made;
  };
  const post = (headers: Record<string, string>): Promise<LightMyRequestResponse> =>
    ask('/v1/sessions', { ...headers, 'idempotency-key': 'k' }, { method: 'POST', payload: { name: 'k' } });
  const [first, packed, plain] = [await post(GZIP), await post(GZIP), await post({})];
  host.create = create;
  assert.deepEqual([first, packed, plain].map(encodingOf), ['gzip', 'gzip', undefined]);
  assert.deepEqual([packed.headers['idempotency-replayed'], plain.headers['idempotency-replayed']], ['true', 'true']);
  assert.equal(gunzipSync(first.rawPayload).toString(), plain.body);
  assert.equal(gunzipSync(packed.rawPayload).toString(), plain.body);
});

test('lines of `ops` are answered one by one, whatever the client accepts', async () => {
  const { port } = app.server.address() as { port: number };
  const headers = { host: 'localhost', 'content-type': 'application/x-ndjson', ...GZIP };
  const asked = request({ port, method: 'POST', path: '/v1/sessions/one/ops', headers });
  // The second line is sent only when the first one has been answered.
  asked.write('{"op":"count"}\n');
  const [reply] = await once(asked, 'response');
  const lines = reply[Symbol.asyncIterator]();
  assert.equal(reply.headers['content-encoding'], undefined);
  assert.match(String((await lines.next()).value), /^\{"line":1,.*\}\n$/);
  asked.end('{"op":"count"}\n');
  assert.match(String((await lines.next()).value), /^\{"line":2,.*\}\n$/);
  assert.equal((await lines.next()).done, true);
});

test('streams are not packed, although a client offers it', async () => {
  const { port } = app.server.address() as { port: number };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/sessions/one/stream`, { perMessageDeflate: true });
  await once(socket, 'open');
  assert.equal(socket.extensions, '');
  socket.terminate();
});
