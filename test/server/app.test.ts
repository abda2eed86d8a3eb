import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { type AppServices, buildApp } from '../../src/server/app.ts';
import { createStream } from '../../src/stream/hub.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';

const LOCAL = { host: '127.0.0.1', allowedHosts: ['lab.example.org'] };
let host: FakeHost;
let app: FastifyInstance;
const lifecycle = { closing: false };

async function build(services: Partial<AppServices> = {}): Promise<FastifyInstance> {
  return buildApp({ config: LOCAL, host, lifecycle: { closing: false }, ...services });
}

before(async () => {
  host = fakeHost();
  await host.create({ name: 'one' });
  app = await build({ lifecycle, limits: { bodyMs: 200, headersMs: 300 }, stream: createStream(host) });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(() => app.close());

const json = (body: string, more: InjectOptions = {}): InjectOptions => ({
  method: 'POST',
  url: '/v1/sessions',
  ...more,
  headers: { host: 'localhost', 'content-type': 'application/json', ...more.headers },
  payload: body,
});

function assertProblem(reply: LightMyRequestResponse, status: number, code: string): Record<string, unknown> {
  const problem = reply.json();
  assert.equal(reply.statusCode, status, reply.body);
  assert.match(String(reply.headers['content-type']), /^application\/problem\+json/);
  assert.equal(problem.code, code);
  assert.equal(problem.status, status);
  assert.equal(problem.type, `/problems/${code}`);
  for (const member of ['title', 'detail']) assert.equal(typeof problem[member], 'string');
  return problem;
}

/** Sends bytes as they are and answers what comes back until the server ends the connection. */
function raw(text: string, end = false): Promise<string> {
  const { port } = app.server.address() as { port: number };
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => (end ? socket.end(text) : socket.write(text)));
    let reply = '';
    socket.setTimeout(4_000, () => {
      reject(new Error(`no end after: ${reply}`));
      socket.destroy();
    });
    socket.on('data', (bytes) => (reply += bytes));
    socket.on('error', reject);
    socket.on('close', () => resolve(reply));
  });
}

test('loopback and configured names are answered, on any port', async () => {
  for (const name of [
    'localhost',
    'LOCALHOST.:99',
    '127.0.0.1:8080',
    '127.3.2.1',
    '[::1]:8080',
    'a.localhost',
    'lab.example.org',
  ]) {
    assert.equal((await app.inject({ url: '/healthz', headers: { host: name } })).statusCode, 200, name);
  }
});

test('a foreign Host is refused on every path, also one that is not there', async () => {
  for (const url of ['/healthz', '/v1/sessions', '/', '/docs/', '/nowhere', '/metrics']) {
    assertProblem(await app.inject({ url, headers: { host: 'rebound.example' } }), 403, 'forbidden-host');
  }
  assertProblem(await app.inject({ url: '/', headers: { host: '10.1.2.3:8080' } }), 403, 'forbidden-host');
});

test('a missing, a doubled and a malformed Host are bad requests', async () => {
  assert.match(
    await raw('GET / HTTP/1.1\r\nconnection: close\r\n\r\n'),
    /^HTTP\/1.1 400 [\s\S]*problem\+json[\s\S]*no Host header/,
  );
  assert.match(
    await raw('GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n'),
    /^HTTP\/1.1 400 [\s\S]*more than one Host/,
  );
  assertProblem(await app.inject({ url: '/', headers: { host: 'local host' } }), 400, 'bad-request');
});

test('an upgrade is refused as any request is, before it becomes one', async () => {
  const upgrade = (path: string, more = '', at = 'localhost'): Promise<string> =>
    raw(
      `GET ${path} HTTP/1.1\r\nhost: ${at}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`,
    );
  const stream = '/v1/sessions/one/stream';
  assert.match(
    await upgrade(stream, 'origin: http://evil.example\r\n'),
    /^HTTP\/1.1 403 [\s\S]*"code":"forbidden-origin"/,
  );
  assert.match(await upgrade(stream, '', 'rebound.example'), /^HTTP\/1.1 403 [\s\S]*"code":"forbidden-host"/);
  assert.match(await upgrade('/v1/sessions/none/stream'), /^HTTP\/1.1 404 [\s\S]*"code":"unknown-session"/);
  assert.match(await upgrade('/v1/sessions'), /^HTTP\/1.1 400 [\s\S]*"code":"bad-request"/);
});

test('only an Origin of this server itself is no foreign one', async () => {
  const ask = (origin: string, at = 'localhost:8080'): Promise<LightMyRequestResponse> =>
    app.inject({ url: '/v1/sessions', headers: { host: at, origin } });
  assert.equal((await ask('http://localhost:8080')).statusCode, 200);
  assert.equal((await ask('http://127.0.0.1:8080')).statusCode, 200);
  assert.equal((await ask('https://lab.example.org', 'lab.example.org')).statusCode, 200);
  for (const origin of [
    'null',
    '',
    'http://evil.example',
    'http://localhost:3000',
    'http://localhost',
    'file://',
    'http://localhost:8080, http://evil.example',
    'http://localhost.evil.example:8080',
  ]) {
    assertProblem(await ask(origin), 403, 'forbidden-origin');
  }
});

test('a request keeps a harmless id of its own and gets one otherwise', async () => {
  const idOf = async (id?: string): Promise<unknown> =>
    (
      await app.inject({
        url: '/healthz',
        headers: { host: 'localhost', ...(id === undefined ? {} : { 'x-request-id': id }) },
      })
    ).headers['x-request-id'];
  assert.equal(await idOf('build-7/step:3'), 'build-7/step:3');
  for (const id of [undefined, 'a b', '"', 'x'.repeat(129)]) assert.match(String(await idOf(id)), /^[0-9a-f-]{36}$/);
});

test('what is not there, and a method that a path does not have, are told apart', async () => {
  const headers = { host: 'localhost' };
  assertProblem(await app.inject({ url: '/v1/nothing', headers }), 404, 'not-found');
  const reply = await app.inject({ method: 'PATCH', url: '/v1/sessions', headers });
  assertProblem(reply, 405, 'method-not-allowed');
  assert.deepEqual(String(reply.headers.allow).split(', ').sort(), ['GET', 'HEAD', 'POST']);
  assertProblem(await app.inject({ method: 'DELETE', url: '/healthz', headers }), 405, 'method-not-allowed');
});

test('a body that is not JSON is refused with the place of its fault', async () => {
  const before = host.created;
  const problem = assertProblem(await app.inject(json('{"seed": 1,\n "name": }')), 400, 'not-json');
  assert.match(String(problem.detail), /"}" at position 21 \(line 2, column 10\)/);
  const truncated = assertProblem(await app.inject(json('{"machine": {"cpus": 4')), 400, 'not-json');
  assert.match(String(truncated.detail), /ends early, at position 22/);
  assert.equal(host.created, before);
});

test('nesting has a limit, and nothing may be called __proto__', async () => {
  const deep = assertProblem(
    await app.inject(json(`{"machine": ${'['.repeat(70)}${']'.repeat(70)}}`)),
    400,
    'invalid-body',
  );
  assert.match(String(deep.detail), /nested deeper than 64 levels/);
  const proto = assertProblem(
    await app.inject(json('{"machine": {"\\u005f_proto__": {"cpus": 9}}}')),
    400,
    'invalid-body',
  );
  assert.deepEqual(proto.errors, [{ path: '/machine/__proto__', message: 'is not a possible member' }]);
});

test('a body of another type, or none where there is a body, is 415', async () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    '',
  ]) {
    assertProblem(await app.inject(json('{}', { headers: { 'content-type': type } })), 415, 'unsupported-media-type');
  }
});

test('a body over a mebibyte is 413, declared or not', async () => {
  const large = JSON.stringify({ title: 'x'.repeat(1_100_000) });
  assertProblem(await app.inject(json(large)), 413, 'body-too-large');
  const head = 'POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  assert.match(await raw(`${head}content-length: 20000000\r\n\r\n{`), /^HTTP\/1.1 413 /);
});

test('an empty body is fine where all is optional, and an unknown member is refused by name', async () => {
  const empty = await app.inject({ method: 'POST', url: '/v1/sessions', headers: { host: 'localhost' } });
  assert.equal(empty.statusCode, 201, empty.body);
  assert.equal((await app.inject(json(''))).statusCode, 201);
  const problem = assertProblem(await app.inject(json('{"sede": 1}')), 400, 'invalid-body');
  assert.match(JSON.stringify(problem.errors), /sede/);
});

test('what is no HTTP, or has too large a head, gets a problem and the end of the connection', async () => {
  assert.match(await raw('GARBAGE\r\n\r\n'), /^HTTP\/1.1 400 [\s\S]*problem\+json[\s\S]*"code":"bad-request"/);
  assert.match(
    await raw(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1.1 431 [\s\S]*"code":"header-too-large"/,
  );
  assert.match(
    await raw('GET /%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'),
    /^HTTP\/1.1 400 [\s\S]*problem\+json/,
  );
});

test('a body or head that never completes is ended as a timeout', async () => {
  const head = 'POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  const [body, headers] = await Promise.all([
    raw(`${head}content-length: 10\r\n\r\n{`),
    raw('GET / HTTP/1.1\r\nhost: loc'),
  ]);
  assert.match(body, /^HTTP\/1.1 408 [\s\S]*"code":"request-timeout"/);
  assert.match(headers, /^HTTP\/1.1 408 [\s\S]*"code":"request-timeout"/);
});

test('health, readiness, metrics, contract and pages have their types', async () => {
  const headers = { host: 'localhost:8080' };
  const types: [string, RegExp][] = [
    ['/healthz', /^application\/json/],
    ['/readyz', /^application\/json/],
    ['/metrics', /^text\/plain; version=0\.0\.4/],
    ['/openapi.yaml', /^application\/yaml/],
    ['/', /^text\/html/],
    ['/docs/', /^text\/html/],
    ['/docs/js/scalar.js', /^application\/javascript/],
  ];
  for (const [url, type] of types) {
    const reply = await app.inject({ url, headers });
    assert.equal(reply.statusCode, 200, url);
    assert.match(String(reply.headers['content-type']), type, url);
  }
  const page = (await app.inject({ url: '/', headers })).body;
  for (const [url] of types.slice(0, 6)) assert.ok(page.includes(`href="${url}"`) || url === '/', url);
  assert.ok(page.includes('curl -s http://localhost:8080/v1/sessions'));
});

test('metrics have base units, route patterns and none of the names that Prometheus refuses', async () => {
  const headers = { host: 'localhost' };
  await app.inject({ url: '/v1/sessions/one', headers });
  const { body } = await app.inject({ url: '/metrics', headers });
  assert.match(
    body,
    /iommu_lab_http_request_duration_seconds_count\{method="GET",route="\/v1\/sessions\/:session",status="200"\} [1-9]/,
  );
  assert.match(body, /^iommu_lab_sessions [1-9]/m);
  assert.doesNotMatch(body, /nodejs_active_(handles|requests|resources)_total/);
  assert.doesNotMatch(body, /route="\/v1\/sessions\/one"/);
});

test('the reference page starts only the script of this server, and may connect nowhere else', async () => {
  const reply = await app.inject({ url: '/docs/', headers: { host: 'localhost' } });
  const policy = String(reply.headers['content-security-policy']);
  assert.match(policy, /script-src 'self' 'sha256-[A-Za-z0-9+/=]+'(;|$)/);
  assert.match(policy, /connect-src 'self'(;|$)/);
  assert.doesNotMatch(policy, /https?:/);
  assert.doesNotMatch(reply.body, /(src|href)="(https?:)?\/\//);
});

test('readiness ends with the last worker, and with the beginning of the end', async () => {
  const headers = { host: 'localhost' };
  host.ready = false;
  const lost = await app.inject({ url: '/readyz', headers });
  host.ready = true;
  const recovering = 0;
  assert.deepEqual([lost.statusCode, lost.json()], [503, { ready: false, status: 'no-worker', recovering }]);
  host.storageTrouble = 'database or disk is full';
  const full = await app.inject({ url: '/readyz', headers });
  host.storageTrouble = null;
  assert.deepEqual([full.statusCode, full.json()], [503, { ready: false, status: 'storage-unavailable', recovering }]);
  lifecycle.closing = true;
  const closing = await app.inject({ url: '/readyz', headers });
  const refused = await app.inject({ url: '/v1/sessions', headers });
  const alive = await app.inject({ url: '/healthz', headers });
  lifecycle.closing = false;
  assert.deepEqual([closing.statusCode, closing.json()], [503, { ready: false, status: 'shutting-down', recovering }]);
  assertProblem(refused, 503, 'shutting-down');
  assert.equal(alive.statusCode, 200);
});
