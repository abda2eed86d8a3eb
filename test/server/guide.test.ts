/** `/guide/` serves what was built, below the base path, and nothing beside it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fastify from 'fastify';
import { serveGuide } from '../../src/server/guide.ts';

async function withGuide(run: (app: ReturnType<typeof fastify>) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'guide-'));
  mkdirSync(join(folder, 'site/allocators'), { recursive: true });
  writeFileSync(join(folder, 'site/index.html'), '<h1>Guide</h1>');
  writeFileSync(join(folder, 'site/allocators/rcache.html'), '<h1>rcache</h1>');
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  const app = fastify();
  try {
    await serveGuide(app, '/lab', join(folder, 'site'));
    await run(app);
  } finally {
    await app.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a page is served as HTML that may be kept for a while, and asked after', () =>
  withGuide(async (app) => {
    const index = await app.inject({ url: '/guide/' });
    assert.equal(index.statusCode, 200);
    assert.match(String(index.headers['content-type']), /^text\/html/);
    assert.equal(index.headers['cache-control'], 'public, max-age=300');
    assert.equal(index.body, '<h1>Guide</h1>');
    const page = await app.inject({ url: '/guide/allocators/rcache.html' });
    assert.equal(page.body, '<h1>rcache</h1>');
    const etag = String(page.headers.etag);
    const again = await app.inject({ url: '/guide/allocators/rcache.html', headers: { 'if-none-match': etag } });
    assert.equal(again.statusCode, 304);
  }));

test('without the slash one is sent to the pages, below the base path', () =>
  withGuide(async (app) => {
    const reply = await app.inject({ url: '/guide' });
    assert.deepEqual([reply.statusCode, reply.headers.location], [301, '/lab/guide/']);
  }));

test('nothing beside the folder is served', () =>
  withGuide(async (app) => {
    for (const path of ['../secret.txt', '%2e%2e/secret.txt', '..%2fsecret.txt', 'none.html', 'allocators']) {
      const reply = await app.inject({ url: `/guide/${path}` });
      assert.ok(reply.statusCode >= 400, `${path}: ${reply.statusCode}`);
      assert.ok(!reply.body.includes('secret\n'), path);
    }
  }));

test('where it was not built, the page says how', async () => {
  const app = fastify();
  await serveGuide(app, '', join(tmpdir(), 'no-such-folder'));
  const reply = await app.inject({ url: '/guide/' });
  assert.equal(reply.statusCode, 404);
  assert.match(reply.body, /npm run build:site/);
  await app.close();
});
