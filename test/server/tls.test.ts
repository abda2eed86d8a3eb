import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { WebSocket } from 'ws';
import { buildApp } from '../../src/server/app.ts';
import { readTlsFiles, TlsCertificate, type TlsFiles } from '../../src/server/tls.ts';
import { createStream } from '../../src/stream/hub.ts';
import { temporaryFolder } from '../access/guarded-server.ts';
import { certificate, type TestCertificate } from './certificates.ts';
import { fakeHost } from './fake-host.ts';
import { filesWith } from './tls-files.ts';

function problemsOf(files: TlsFiles): string[] {
  const reading = readTlsFiles(files);
  assert.equal(reading.ok, false);
  return reading.ok ? [] : reading.problems;
}

interface TlsServer {
  app: FastifyInstance;
  tls: TlsCertificate;
  files: TlsFiles;
  port: number;
  pair: TestCertificate;
}

async function start(t: TestContext, lookMs?: number): Promise<TlsServer> {
  const pair = certificate('first');
  const files = filesWith(temporaryFolder(t), pair);
  const host = fakeHost();
  await host.create({ name: 'one' });
  host.epochOf = () => 'epo_1';
  const tls = new TlsCertificate(files, lookMs);
  const app = await buildApp({
    config: { host: '127.0.0.1', allowedHosts: [] },
    host,
    lifecycle: { closing: false },
    stream: createStream(host),
    tls,
    limits: { headersMs: 300 },
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  return { app, tls, files, port: (app.server.address() as AddressInfo).port, pair };
}

/** Of the certificate that a new connection gets. */
async function nameAt(port: number): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate() as PeerCertificate;
  socket.destroy();
  return String(subject.CN);
}

interface Answer {
  status: number;
  body: string;
}

async function get(port: number, ca: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const asked = request({ port, host: '127.0.0.1', servername: 'localhost', path, ca, headers, agent: false }).end();
  const [reply] = await once(asked, 'response');
  let body = '';
  for await (const bytes of reply) body += bytes;
  return { status: reply.statusCode, body };
}

test('what is wrong with a certificate or its key is said of both at once', (t) => {
  const pair = certificate('a');
  const none = { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' };
  assert.deepEqual(
    problemsOf(none).map((text) => text.split(':')[0]),
    ['/nowhere/cert.pem cannot be read', '/nowhere/key.pem cannot be read'],
  );
  const swapped = filesWith(temporaryFolder(t), { cert: pair.key, key: pair.cert });
  assert.deepEqual(problemsOf(swapped), [
    `${swapped.cert} holds no certificate in PEM form.`,
    `${swapped.key} holds no private key in PEM form.`,
  ]);
  const strangers = filesWith(temporaryFolder(t), { cert: pair.cert, key: certificate('b').key });
  assert.match(String(problemsOf(strangers)), /^The key in .* is not that of the certificate in/);
  const locked = pair.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
  assert.match(
    String(problemsOf(filesWith(temporaryFolder(t), { cert: pair.cert, key: locked as string }))),
    /has a passphrase/,
  );
});

test('a certificate that has expired is warned of, and used', (t) => {
  const reading = readTlsFiles(filesWith(temporaryFolder(t), certificate('old', -2)));
  assert.ok(reading.ok);
  assert.match(String(reading.warnings), /expired on 2/);
  const good = readTlsFiles(filesWith(temporaryFolder(t), certificate('new')));
  assert.deepEqual(good.ok && good.warnings, []);
});

test('the server speaks HTTPS, and says so on its page', async (t) => {
  const { port, pair } = await start(t);
  const host = { host: 'localhost:8443' };
  assert.equal((await get(port, pair.cert, '/healthz', host)).status, 200);
  assert.match((await get(port, pair.cert, '/', host)).body, /curl -s https:\/\/localhost:8443\/v1\/sessions/);
  assert.match(
    (await get(port, pair.cert, '/metrics', host)).body,
    /^iommu_lab_tls_certificate_expiry_timestamp_seconds \d/m,
  );
});

test('a page of plain HTTP is a foreign one for a server that speaks HTTPS', async (t) => {
  const { port, pair } = await start(t);
  const from = (origin: string): Promise<Answer> =>
    get(port, pair.cert, '/v1/sessions', { host: 'localhost:8443', origin });
  assert.equal((await from('https://localhost:8443')).status, 200);
  const refused = await from('http://localhost:8443');
  assert.deepEqual([refused.status, JSON.parse(refused.body).code], [403, 'forbidden-origin']);
});

test('streams are had over WSS', async (t) => {
  const { port, pair } = await start(t);
  const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/sessions/one/stream`, { ca: pair.cert });
  const [message] = await once(socket, 'message');
  assert.equal(JSON.parse(String(message)).type, 'hello');
  socket.close();
  await once(socket, 'close');
});

test('new files are taken up without a restart, and connections that are open stay', async (t) => {
  const { port, files } = await start(t, 20);
  const open: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(open, 'secureConnect');
  assert.equal(await nameAt(port), 'first');
  const second = certificate('second');
  writeFileSync(files.cert, second.cert);
  writeFileSync(files.key, second.key);
  while ((await nameAt(port)) !== 'second') await new Promise((resolve) => setTimeout(resolve, 20));
  open.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  const [reply] = await once(open, 'data');
  assert.match(String(reply), /^HTTP\/1.1 200/);
  open.destroy();
});

test('a pair that does not fit changes nothing, until it does', async (t) => {
  const { port, tls, files } = await start(t);
  const second = certificate('second');
  writeFileSync(files.cert, second.cert);
  assert.equal(tls.reload(), false);
  assert.equal(await nameAt(port), 'first');
  writeFileSync(files.key, second.key);
  assert.equal(tls.reload(), true);
  assert.equal(await nameAt(port), 'second');
  assert.equal(tls.reload(), false, 'nothing is new');
});

test('a connection that speaks no TLS, or does not finish its handshake, is ended', async (t) => {
  const { port, pair } = await start(t);
  const end = async (text: string): Promise<void> => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write(text));
    socket.on('error', () => {}).resume();
    await once(socket, 'close');
  };
  // The second is the beginning of a record of 512 bytes, of which no more come.
  await Promise.all([end('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'), end('\x16\x03\x01\x02\x00\x01'), end('')]);
  assert.equal((await get(port, pair.cert, '/healthz', { host: 'localhost' })).status, 200);
});
