/** Clients that send rubbish, send slowly, do not read, or are too many. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { type AppServices, buildApp } from '../../src/server/app.ts';
import { TlsCertificate } from '../../src/server/tls.ts';
import { temporaryFolder } from '../access/guarded-server.ts';
import { certificate } from './certificates.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';
import { filesWith } from './tls-files.ts';

interface Started {
  app: FastifyInstance;
  host: FakeHost;
  port: number;
}

async function start(t: TestContext, more: Partial<AppServices> = {}, maxConnections = 1_000): Promise<Started> {
  const host = fakeHost();
  await host.create({ name: 'one' });
  const config = { host: '127.0.0.1', allowedHosts: [], maxConnections };
  const app = await buildApp({ config, host, lifecycle: { closing: false }, ...more });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  return { app, host, port: (app.server.address() as AddressInfo).port };
}

/** All that comes back until the server ends the connection. */
async function all(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes) => (text += bytes));
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}

function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  return all(socket);
}

const figure = async (app: FastifyInstance, name: string): Promise<number> => {
  const { body } = await app.inject({ url: '/metrics', headers: { host: 'localhost' } });
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1]);
};

async function until(reached: () => Promise<boolean>): Promise<void> {
  while (!(await reached())) await sleep(10);
}

const GET = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n';

test('header fields have a number as well as a size, and none is dropped in silence', async (t) => {
  const { port } = await start(t);
  const fields = (count: number): string => Array.from({ length: count }, (_, i) => `x-${i}: 1\r\n`).join('');
  // `host` and `connection` are two more.
  assert.match(await raw(port, `${GET}${fields(98)}connection: close\r\n\r\n`), /^HTTP\/1\.1 200 /);
  for (const count of [99, 2_000]) {
    const reply = await raw(port, `${GET}${fields(count)}connection: close\r\n\r\n`);
    assert.match(reply, /^HTTP\/1\.1 431 [\s\S]*"code":"header-too-large"/);
  }
});

test('rubbish is answered once, as a problem, and its connection ends', async (t) => {
  const { app, port } = await start(t);
  const post = 'POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  const cases: [string, RegExp][] = [
    [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['\0\0\0\0\0\0\0\0', /^HTTP\/1\.1 400 /],
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1\.1 400 /],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 [45]\d\d |^$/],
    [`${GET}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1\.1 400 /],
    [`${post}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`, /^HTTP\/1\.1 400 /],
    [`${post}content-length: -1\r\n\r\n{}`, /^HTTP\/1\.1 400 /],
    [`${post}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`, /^HTTP\/1\.1 400 /],
    [`${post}transfer-encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`, /^HTTP\/1\.1 4\d\d /],
    [`${post}transfer-encoding: gzip\r\n\r\n{}`, /^HTTP\/1\.1 400 /],
    [`${GET}x: a\rb\r\n\r\n`, /^HTTP\/1\.1 400 /],
    [`${GET}no colon\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ];
  for (const [text, expected] of cases) {
    const reply = await raw(port, text);
    assert.match(reply, expected, JSON.stringify(text.slice(0, 120)));
    assert.equal(reply.match(/HTTP\/1\.1 \d/g)?.length ?? 0, reply === '' ? 0 : 1, JSON.stringify(text.slice(0, 120)));
    if (reply !== '') assert.match(reply, /application\/problem\+json/, JSON.stringify(text.slice(0, 120)));
  }
  await until(async () => (await figure(app, 'iommu_lab_connections')) === 0);
});

test('a client that says nothing, or its headers letter by letter, is ended', async (t) => {
  const { port } = await start(t, { limits: { headersMs: 300 } });
  const silent = connect(port, '127.0.0.1');
  const slow = connect(port, '127.0.0.1');
  let letter = 0;
  const dripping = setInterval(() => slow.write(`${GET}x: ${'a'.repeat(1_000)}`[letter++] as string), 10);
  const [first, second] = await Promise.all([all(silent), all(slow)]);
  clearInterval(dripping);
  for (const reply of [first, second]) assert.match(reply, /^HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/);
});

test('a connection that waits for a next request is ended after a time', async (t) => {
  const { port } = await start(t, { limits: { keepAliveMs: 200 } });
  assert.match(await raw(port, `${GET}\r\n`), /^HTTP\/1\.1 200 [\s\S]*connection: keep-alive/i);
});

test('beyond so many connections there are no more, and those that only wait make room', async (t) => {
  const { app, port } = await start(t, {}, 2);
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`${GET}\r\n`);
    assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /);
    return socket;
  };
  const waiting = [await open(), await open()];
  const ended = Promise.all(waiting.map((socket) => once(socket, 'close')));
  assert.equal(await raw(port, `${GET}\r\n`), '');
  await ended;
  const next = await open();
  assert.equal(await figure(app, 'iommu_lab_connections_refused_total'), 1);
  assert.equal(await figure(app, 'iommu_lab_connections'), 1);
  next.destroy();
});

/** Answers without end. @returns whether the reader has been let go */
function endless(host: FakeHost): () => boolean {
  let ended = false;
  host.ops = async () => ({
    ok: true,
    value: (async function* () {
      try {
        for (;;) yield Buffer.alloc(65_536, '\n');
      } finally {
        ended = true;
      }
    })(),
  });
  return () => ended;
}

const OPS =
  'POST /v1/sessions/one/ops HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 0\r\n\r\n';

test('a client that does not read its reply is ended, and what makes the reply as well', async (t) => {
  const { app, host, port } = await start(t, { limits: { stallMs: 200 } });
  const ended = endless(host);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  // Without a listener for its data nothing of it is read.
  socket.write(OPS);
  await until(async () => (await figure(app, 'iommu_lab_connections_stalled_total')) === 1);
  await until(async () => ended());
  await until(async () => (await figure(app, 'iommu_lab_connections')) === 0);
  socket.destroy();
});

test('over TLS it is ended all the same', async (t) => {
  const tls = new TlsCertificate(filesWith(temporaryFolder(t), certificate('a')));
  const { app, host, port } = await start(t, { tls, limits: { stallMs: 200 } });
  const ended = endless(host);
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  socket.write(OPS);
  await until(async () => (await figure(app, 'iommu_lab_connections_stalled_total')) === 1);
  await until(async () => ended());
  socket.destroy();
});

test('a client that reads, however slowly, is not ended', async (t) => {
  const { app, host, port } = await start(t, { limits: { stallMs: 1_500 } });
  endless(host);
  const socket = connect(port, '127.0.0.1');
  let bytes = 0;
  socket.on('error', () => {}).on('data', (chunk) => (bytes += chunk.length));
  socket.write(OPS);
  // A hundred megabytes are more than what lies in the buffers on the way.
  for (let i = 0; i < 20; i++) {
    const wanted = bytes + 5_000_000;
    socket.resume();
    while (bytes < wanted) await once(socket, 'data');
    socket.pause();
    await sleep(100);
  }
  assert.equal(await figure(app, 'iommu_lab_connections_stalled_total'), 0);
  socket.destroy();
});

test('a client that waits for a reply which takes its time is not ended', async (t) => {
  const { host, port } = await start(t, { limits: { stallMs: 100 } });
  host.ops = async () => ({
    ok: true,
    value: (async function* () {
      await sleep(500);
      yield Buffer.from('{"line":1}\n');
    })(),
  });
  assert.match(
    await raw(port, OPS.replace('\r\n', '\r\nconnection: close\r\n')),
    /^HTTP\/1\.1 200 [\s\S]*\{"line":1\}/,
  );
});
