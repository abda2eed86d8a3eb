/** The dashboard as the server gives it: the page, its files, and the front page where there is neither. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { AccessControl } from '../../src/access/control.ts';
import { buildApp } from '../../src/server/app.ts';
import { fakeHost } from './fake-host.ts';

const PAGE = `<!doctype html><title>built</title><script type="module" src="./ui/main-1a.js"></script>
<noscript><!-- first steps --></noscript>`;
const SECRET = 'what nobody may read';
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

let folder: string;
let app: FastifyInstance;
const lifecycle = { closing: false };
const config = { host: '127.0.0.1', allowedHosts: [] };

before(async () => {
  const parent = mkdtempSync(join(tmpdir(), 'dashboard-'));
  writeFileSync(join(parent, 'secret.txt'), SECRET);
  folder = join(parent, 'dashboard');
  mkdirSync(join(folder, 'ui'), { recursive: true });
  writeFileSync(join(folder, 'index.html'), PAGE);
  writeFileSync(join(folder, 'ui', 'main-1a.js'), `export const text = '${'x'.repeat(2_000)}';`);
  writeFileSync(join(folder, 'ui', '.hidden'), SECRET);
  app = await buildApp({ config, host: fakeHost(), lifecycle, dashboard: folder });
});
after(async () => {
  await app.close();
  rmSync(join(folder, '..'), { recursive: true });
});

const ask = (url: string, headers: Record<string, string> = {}, of = app): Promise<LightMyRequestResponse> =>
  of.inject({ url, headers: { host: 'localhost:8080', ...headers } });

describe('the page at /', () => {
  test('is for who asks for HTML by name; all others get the front page', async () => {
    for (const accept of [BROWSER, 'text/html', 'application/json, text/html;q=0.1', 'TEXT/HTML'])
      assert.match((await ask('/', { accept })).body, /<title>built/, accept);
    for (const accept of ['*/*', 'application/json', 'text/htmlx', 'x-text/html', ''])
      assert.match((await ask('/', { accept })).body, /<title>iommu-lab/, accept);
    assert.match((await ask('/')).body, /<title>iommu-lab/);
  });

  test('is asked for again each time, and what is kept between them is kept by Accept', async () => {
    for (const accept of [BROWSER, '*/*']) {
      const { headers } = await ask('/', { accept });
      assert.equal(headers['cache-control'], 'no-cache');
      assert.match(String(headers.vary), /accept(?!-)/);
    }
  });

  test('has the first steps for browsers without scripts, with the address that the client knows', async () => {
    const { body } = await ask('/', { accept: BROWSER });
    assert.match(body, /<noscript>.*curl -s http:\/\/localhost:8080\/v1\/sessions /s);
    assert.doesNotMatch(body, /first steps -->/);
  });

  test('lets nothing in but files of this server: no inline script, no inline style, no frame around it', async () => {
    const { headers } = await ask('/', { accept: BROWSER });
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self'(;|$)/);
    assert.match(policy, /style-src 'self'(;|$)/);
    assert.match(policy, /connect-src 'self'(;|$)/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    // Whoever has the whole of a host name says so in the proxy.
    assert.equal(headers['strict-transport-security'], undefined);
  });

  test('is the newest build, without a restart, and the front page once it is gone', async () => {
    const page = join(folder, 'index.html');
    writeFileSync(page, PAGE.replace('built', 'built again'));
    assert.match((await ask('/', { accept: BROWSER })).body, /<title>built again/);
    rmSync(page);
    assert.match((await ask('/', { accept: BROWSER })).body, /<title>iommu-lab/);
    writeFileSync(page, PAGE);
  });
});

describe('its files', () => {
  test('are kept by browsers for ever, as their names have a hash, and come compressed', async () => {
    const { statusCode, headers } = await ask('/ui/main-1a.js', { 'accept-encoding': 'gzip' });
    assert.equal(statusCode, 200);
    assert.match(String(headers['content-type']), /javascript/);
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(headers['content-encoding'], 'gzip');
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });

  test('lead nowhere else, however the way out is written', async () => {
    for (const url of [
      '/ui/../index.html',
      '/ui/../../secret.txt',
      '/ui/%2e%2e/%2e%2e/secret.txt',
      '/ui/..%2f..%2fsecret.txt',
      '/ui/..%5c..%5csecret.txt',
      '/ui/....//....//secret.txt',
      '/ui//etc/passwd',
      '/ui/%00',
      '/ui/.hidden',
      '/ui/',
      '/ui',
      '/ui/none.js',
    ]) {
      const reply = await ask(url);
      assert.ok(reply.statusCode >= 400 && reply.statusCode < 500, `${url}: ${reply.statusCode}`);
      assert.match(String(reply.headers['content-type']), /^application\/problem\+json/, url);
      assert.ok(!reply.body.includes(SECRET), url);
    }
  });

  test('take no path from the API', async () => {
    assert.equal(
      (await ask('/v1/sessions', { accept: BROWSER })).headers['content-type'],
      'application/json; charset=utf-8',
    );
    assert.equal((await ask('/nowhere', { accept: BROWSER })).statusCode, 404);
  });
});

test('below a base path, page and files are below it, and the page is the same text', async () => {
  const lab = await buildApp({
    config: { ...config, basePath: '/lab' },
    host: fakeHost(),
    lifecycle,
    dashboard: folder,
  });
  const page = await ask('/lab/', { accept: BROWSER }, lab);
  assert.match(page.body, /src="\.\/ui\/main-1a\.js"/);
  assert.match(page.body, /curl -s http:\/\/localhost:8080\/lab\/v1\/sessions /);
  assert.equal((await ask('/lab/ui/main-1a.js', {}, lab)).statusCode, 200);
  assert.equal((await ask('/ui/main-1a.js', {}, lab)).statusCode, 404);
  await lab.close();
});

test('without a build the front page is for everybody, and there are no files', async () => {
  const bare = await buildApp({ config, host: fakeHost(), lifecycle, dashboard: join(folder, 'none') });
  const page = await ask('/', { accept: BROWSER }, bare);
  assert.match(page.body, /<title>iommu-lab/);
  assert.match(String(page.headers['content-security-policy']), /script-src 'self'/);
  assert.equal((await ask('/ui/main-1a.js', {}, bare)).statusCode, 404);
  await bare.close();
});

test('where tokens are asked for, the page and its files are open, and what they ask for is not', async () => {
  const host = fakeHost();
  const access = new AccessControl({ host, settings: { required: true } });
  const guarded = await buildApp({ config, host, lifecycle, access, dashboard: folder });
  const status = async (path: string) => (await ask(path, { accept: BROWSER }, guarded)).statusCode;
  assert.equal(await status('/'), 200);
  assert.equal(await status('/ui/main-1a.js'), 200);
  assert.equal(await status('/ui/none.js'), 404);
  assert.equal(await status('/v1/sessions'), 401);
  assert.equal(await status('/uix'), 401);
  await guarded.close();
  access.close();
});
