/** What a proxy says is believed if it stands in --trust-proxy, and from nobody else. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { clientAddress } from '../../src/access/client-address.ts';
import { buildApp } from '../../src/server/app.ts';
import { fakeHost } from './fake-host.ts';

const PROXY = '10.9.8.7';

async function start(t: TestContext, trustProxy: string[]): Promise<FastifyInstance> {
  const host = fakeHost();
  const config = { host: '127.0.0.1', allowedHosts: ['lab.example.org', 'inner'], trustProxy };
  const app = await buildApp({ config, host, lifecycle: { closing: false } });
  t.after(() => app.close());
  return app;
}

const from = (
  app: FastifyInstance,
  remoteAddress: string,
  headers: Record<string, string>,
  url = '/',
): Promise<LightMyRequestResponse> => app.inject({ url, remoteAddress, headers: { host: 'inner', ...headers } });

const FORWARDED = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'lab.example.org' };

test("protocol and host are what a trusted proxy says, and the connection's own for everybody else", async (t) => {
  const app = await start(t, ['192.0.2.1', '10.0.0.0/8']);
  assert.match((await from(app, PROXY, FORWARDED)).body, /https:\/\/lab\.example\.org\/v1/);
  assert.match((await from(app, '192.0.2.1', FORWARDED)).body, /https:\/\/lab\.example\.org\/v1/);
  assert.match((await from(app, '192.0.2.2', FORWARDED)).body, /http:\/\/inner\/v1/);
  const none = await start(t, []);
  assert.match((await from(none, '127.0.0.1', FORWARDED)).body, /http:\/\/inner\/v1/);
});

test("a forwarded host must be one of the server's, and so must the Host that it came with", async (t) => {
  const app = await start(t, [PROXY]);
  const codeOf = async (headers: Record<string, string>): Promise<unknown> =>
    (await from(app, PROXY, headers)).json().code;
  assert.equal(await codeOf({ 'x-forwarded-host': 'rebound.example' }), 'forbidden-host');
  // By what a page on the proxy's machine could send.
  assert.equal(await codeOf({ host: 'rebound.example', 'x-forwarded-host': 'lab.example.org' }), 'forbidden-host');
  assert.equal(await codeOf({ 'x-forwarded-host': 'not a host' }), 'bad-request');
  assert.equal((await from(app, PROXY, { 'x-forwarded-host': 'lab.example.org:8443' })).statusCode, 200);
});

test('an Origin is compared with what the client asked the proxy for', async (t) => {
  const app = await start(t, [PROXY]);
  const statusOf = async (origin: string, address = PROXY): Promise<number> =>
    (await from(app, address, { ...FORWARDED, origin }, '/v1/sessions')).statusCode;
  assert.equal(await statusOf('https://lab.example.org'), 200);
  assert.equal(await statusOf('http://lab.example.org'), 403);
  assert.equal(await statusOf('https://lab.example.org:444'), 403);
  assert.equal(await statusOf('https://evil.example'), 403);
});

test('a proxy that is not trusted may speak TLS for the server all the same', async (t) => {
  const app = await start(t, []);
  const reply = await from(app, PROXY, { host: 'lab.example.org', origin: 'https://lab.example.org' }, '/v1/sessions');
  assert.equal(reply.statusCode, 200);
});

test("the client's address is the last that a trusted proxy did not have itself", async (t) => {
  const seen = async (trustProxy: string[], remoteAddress: string, forwarded?: string): Promise<string> => {
    const host = fakeHost();
    const config = { host: '127.0.0.1', allowedHosts: [], trustProxy };
    let address = '';
    const child = (): unknown => logger;
    const info = (line: { address?: string }): void => void (address = line.address ?? address);
    const none = (): void => {};
    const logger = {
      info,
      child,
      warn: none,
      error: none,
      debug: none,
      trace: none,
      fatal: none,
      level: 'info',
      silent: none,
    };
    const app = await buildApp({ config, host, lifecycle: { closing: false }, logger: logger as never });
    t.after(() => app.close());
    const headers = { host: 'localhost', ...(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }) };
    await app.inject({ url: '/healthz', remoteAddress, headers });
    return address;
  };
  assert.equal(await seen([PROXY], PROXY, '203.0.113.5'), '203.0.113.5');
  assert.equal(
    await seen([PROXY], PROXY, '198.51.100.1, 203.0.113.5'),
    '203.0.113.5',
    "the first is the client's own word",
  );
  assert.equal(await seen(['10.0.0.0/8'], PROXY, '203.0.113.5, 10.1.1.1'), '203.0.113.5');
  assert.equal(await seen([PROXY], '192.0.2.2', '203.0.113.5'), '192.0.2.2');
});

test('what is no address is not taken for one', () => {
  const at = (ip: string): string => clientAddress({ ip, raw: { socket: { remoteAddress: PROXY } } } as never);
  assert.equal(at('203.0.113.5:4711'), '203.0.113.5');
  assert.equal(at('[2001:db8::1]:4711'), '2001:db8::1');
  assert.equal(at('2001:db8::1'), '2001:db8::1');
  for (const ip of ['unknown', '_hidden', '"><script>', '1.2.3', '']) assert.equal(at(ip), PROXY, ip);
});
