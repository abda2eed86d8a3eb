import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { parse } from 'yaml';
import { contractAt, contractDocument, contractText } from '../../src/api/contract.ts';
import { buildApp } from '../../src/server/app.ts';
import { belowBasePath } from '../../src/server/base-path.ts';
import { createStream } from '../../src/stream/hub.ts';
import { upgradeAnswer } from '../access/upgrades.ts';
import { fakeHost } from './fake-host.ts';

let app: FastifyInstance;
const lifecycle = { closing: false };

before(async () => {
  const host = fakeHost();
  await host.create({ name: 'one' });
  host.epochOf = () => 'epo_1';
  const config = { host: '127.0.0.1', allowedHosts: [], basePath: '/lab' };
  app = await buildApp({ config, host, lifecycle, stream: createStream(host) });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(() => app.close());

const ask = (url: string, more: InjectOptions = {}): Promise<LightMyRequestResponse> =>
  app.inject({ url, ...more, headers: { host: 'localhost:8080', ...more.headers } });

test('only what stands below the base path is routed, whatever it looks like', () => {
  const below = belowBasePath('/lab');
  const at = (url: string): string => below({ url } as never);
  assert.equal(at('/lab/v1/sessions?limit=1'), '/v1/sessions?limit=1');
  assert.equal(at('/lab/'), '/');
  assert.equal(at('/lab/lab/'), '/lab/');
  const outside = at('/v1/sessions');
  for (const url of ['/', '/labs/v1', '/LAB/', '/%6cab/', 'lab/', '*', 'http://localhost/lab/'])
    assert.equal(at(url), outside, url);
});

test('everything is below the base path, health included', async () => {
  for (const url of [
    '/healthz',
    '/readyz',
    '/metrics',
    '/openapi.yaml',
    '/',
    '/docs/',
    '/docs/js/scalar.js',
    '/v1',
    '/v1/sessions',
  ])
    assert.equal((await ask(`/lab${url}`)).statusCode, 200, url);
});

test('nothing is outside, and the reply says where it is', async () => {
  for (const url of ['/', '/healthz', '/v1/sessions', '/labs', '/docs/']) {
    const reply = await ask(url);
    assert.equal(reply.statusCode, 404, url);
    const { code, detail, instance } = reply.json();
    assert.deepEqual([code, instance], ['not-found', url]);
    assert.match(detail, /begin with \/lab\//);
  }
});

test('the base path without its slash leads to the front page, and /docs to its own', async () => {
  const bare = await ask('/lab?x=1');
  assert.deepEqual([bare.statusCode, bare.headers.location], [308, '/lab/?x=1']);
  const docs = await ask('/lab/docs');
  assert.deepEqual([docs.statusCode, docs.headers.location], [301, '/lab/docs/']);
});

test('a foreign Host is refused outside and inside alike', async () => {
  for (const url of ['/', '/lab', '/lab/healthz'])
    assert.equal((await ask(url, { headers: { host: 'rebound.example' } })).json().code, 'forbidden-host', url);
});

test('every link leads below the base path', async () => {
  const post = (url: string, payload: object, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
    ask(url, { method: 'POST', payload, headers });
  const made = await post('/lab/v1/sessions', { name: 'two' }, { 'idempotency-key': 'k' });
  assert.match(String(made.headers.location), /^\/lab\/v1\/sessions\/ses_\d+$/);
  assert.equal((await ask(String(made.headers.location))).statusCode, 200);
  const again = await post('/lab/v1/sessions', { name: 'two' }, { 'idempotency-key': 'k' });
  assert.deepEqual([again.headers.location, again.headers['idempotency-replayed']], [made.headers.location, 'true']);
  const { links } = (await ask('/lab/v1')).json();
  for (const link of Object.values(links)) assert.match(String(link), /^\/lab\//);
  const page = (await ask('/lab/')).body;
  assert.match(page, /curl -s http:\/\/localhost:8080\/lab\/v1\/sessions /);
  for (const [, href] of page.matchAll(/href="([^"]*)"/g)) assert.match(href as string, /^\/lab\//);
  const docs = (await ask('/lab/docs/')).body;
  assert.match(docs, /"url": ?"\/lab\/openapi\.yaml"/);
  assert.doesNotMatch(docs, /(src|href)="\//);
});

test('the contract differs by its server and by nothing else', async () => {
  const served = parse((await ask('/lab/openapi.yaml')).body);
  assert.equal(served.servers[0].url, '/lab');
  assert.deepEqual({ ...served, servers: null }, { ...contractDocument, servers: null });
  assert.equal(contractAt(''), contractText);
});

test('a problem names the path that was asked for, and what the path has', async () => {
  const missing = (await ask('/lab/v1/sessions/none')).json();
  assert.equal(missing.instance, '/lab/v1/sessions/none');
  const reply = await ask('/lab/v1/sessions', { method: 'PATCH' });
  assert.equal(reply.statusCode, 405);
  assert.match(String(reply.headers.allow), /POST/);
});

test('a stream is opened below the base path and nowhere else', async () => {
  const { port } = app.server.address() as { port: number };
  const [below, outside] = [
    await upgradeAnswer(port, '/lab/v1/sessions/one/stream'),
    await upgradeAnswer(port, '/v1/sessions/one/stream'),
  ];
  assert.deepEqual([below.status, outside.status, outside.body.code], [101, 404, 'not-found']);
});

test('metrics have the routes without the base path, and health is told while the server closes', async () => {
  assert.match((await ask('/lab/metrics')).body, /route="\/v1\/sessions\/:session",status="404"/);
  lifecycle.closing = true;
  const [health, other] = [await ask('/lab/healthz'), await ask('/lab/v1')];
  lifecycle.closing = false;
  assert.deepEqual([health.statusCode, other.json().code], [200, 'shutting-down']);
});
