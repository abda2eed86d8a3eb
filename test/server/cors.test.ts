import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { AccessControl } from '../../src/access/control.ts';
import { buildApp } from '../../src/server/app.ts';
import { createStream } from '../../src/stream/hub.ts';
import { upgradeAnswer } from '../access/upgrades.ts';
import { EventClient } from '../stream/event-client.ts';
import { fakeHost } from './fake-host.ts';

const APP = 'https://app.example.org';
let app: FastifyInstance;
let guarded: FastifyInstance;

before(async () => {
  const host = fakeHost();
  await host.create({ name: 'one' });
  host.epochOf = () => 'epo_1';
  const config = { host: '127.0.0.1', allowedHosts: [], corsOrigins: [APP, 'http://localhost:3000'] };
  const lifecycle = { closing: false };
  app = await buildApp({ config, host, lifecycle, stream: createStream(host) });
  const access = new AccessControl({ host, settings: { required: true } });
  guarded = await buildApp({ config, host, lifecycle, access });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(async () => {
  await app.close();
  await guarded.close();
});

type Method = 'GET' | 'OPTIONS' | 'POST';
const ask = (
  method: Method,
  url: string,
  headers: Record<string, string> = {},
  server = app,
): Promise<LightMyRequestResponse> => server.inject({ method, url, headers: { host: 'localhost:8080', ...headers } });

const preflight = (origin: string, server = app): Promise<LightMyRequestResponse> =>
  ask('OPTIONS', '/v1/sessions/one/ops', { origin, 'access-control-request-method': 'POST' }, server);

const corsHeaders = ({ headers }: LightMyRequestResponse): string[] =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'));

test('a listed page may read replies, and the headers that replies are about', async () => {
  for (const origin of [APP, 'http://localhost:3000']) {
    const reply = await ask('GET', '/v1/sessions', { origin });
    assert.equal(reply.statusCode, 200);
    assert.equal(reply.headers['access-control-allow-origin'], origin);
    assert.match(String(reply.headers['access-control-expose-headers']), /Location.*RateLimit.*Retry-After/);
    assert.match(String(reply.headers.vary), /origin/i);
    assert.equal(reply.headers['access-control-allow-credentials'], undefined);
  }
});

test('a problem can be read as well', async () => {
  for (const [reply, status] of [
    [await ask('GET', '/v1/sessions/none', { origin: APP }), 404],
    [await ask('GET', '/v1/sessions', { origin: APP }, guarded), 401],
    [await ask('GET', '/nowhere', { origin: APP }), 404],
  ] as const) {
    assert.equal(reply.statusCode, status);
    assert.equal(reply.headers['access-control-allow-origin'], APP);
    assert.match(String(reply.headers['content-type']), /problem\+json/);
  }
});

test('a preflight needs no token, which none carries', async () => {
  for (const server of [app, guarded]) {
    const reply = await preflight(APP, server);
    assert.deepEqual([reply.statusCode, reply.body], [204, '']);
    assert.equal(reply.headers['access-control-allow-origin'], APP);
    assert.match(String(reply.headers['access-control-allow-methods']), /POST.*DELETE/);
    assert.match(String(reply.headers['access-control-allow-headers']), /Authorization.*Idempotency-Key/);
    assert.equal(reply.headers['access-control-max-age'], '7200');
  }
});

test('pages that are not listed are refused as before, their preflights too', async () => {
  for (const origin of [
    'https://evil.example',
    'http://app.example.org',
    `${APP}:444`,
    'https://APP.example.org.evil',
    'null',
  ]) {
    for (const reply of [await ask('GET', '/v1/sessions', { origin }), await preflight(origin)]) {
      assert.equal(reply.json().code, 'forbidden-origin', origin);
      assert.equal(reply.headers['access-control-allow-origin'], undefined, origin);
    }
  }
});

test('any other OPTIONS is a method that the path does not have, or needs a token first', async () => {
  const none = await ask('OPTIONS', '/v1/sessions');
  assert.deepEqual([none.statusCode, none.json().code], [405, 'method-not-allowed']);
  assert.ok(none.headers.allow);
  const ofListed = await ask('OPTIONS', '/v1/sessions', { origin: APP });
  assert.equal(ofListed.statusCode, 405);
  const stranger = await ask('OPTIONS', '/v1/sessions', {}, guarded);
  assert.deepEqual([stranger.statusCode, stranger.json().code], [401, 'unauthenticated']);
});

test('a listed page may open streams, and no other', async () => {
  const { port } = app.server.address() as { port: number };
  const upgrade = (origin: string) => upgradeAnswer(port, '/v1/sessions/one/stream', { host: 'localhost', origin });
  assert.equal((await upgrade(APP)).status, 101);
  const refused = await upgrade('https://evil.example');
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden-origin']);
});

test('without a list there is nothing of all this', async (t) => {
  const host = fakeHost();
  const plain = await buildApp({
    config: { host: '127.0.0.1', allowedHosts: [] },
    host,
    lifecycle: { closing: false },
  });
  t.after(() => plain.close());
  assert.equal((await preflight(APP, plain)).json().code, 'forbidden-origin');
  const own = await ask('GET', '/v1/sessions', { origin: 'http://localhost:8080' }, plain);
  assert.deepEqual([own.statusCode, corsHeaders(own)], [200, []]);
});

test('server-sent events can be read by a listed page, and by no other', async () => {
  const { port } = app.server.address() as { port: number };
  const client = await EventClient.open(port, '/v1/sessions/one/stream', { origin: APP });
  const { headers } = client.reply;
  assert.equal(headers['access-control-allow-origin'], APP);
  assert.match(String(headers['x-request-id']), /./);
  client.cut();
  await assert.rejects(
    EventClient.open(port, '/v1/sessions/one/stream', { origin: 'https://evil.example' }),
    /^Error: 403 .*forbidden-origin/,
  );
});
