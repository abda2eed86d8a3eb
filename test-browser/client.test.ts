/**
 * The package for clients as it was built, imported by a page in Chromium and used against a real server of another origin: requests,
 * operations, and the stream each way.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type RealServer, startServer } from '../test/clients/server.ts';
import { buildClient } from '../tools/client/build.ts';
import { openBrowser } from './browser.ts';

/** The page: nothing but the client, under its name. */
const PAGE = `<!doctype html><title>client</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"iommu-lab-client": "/dist/index.js"}}</script>
<script type="module">import * as client from 'iommu-lab-client'; window.client = client; document.title = 'ready';</script>`;

describe('the client in a browser', () => {
  let files: Server;
  let lab: RealServer;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  before(async () => {
    const dist = buildClient();
    files = createServer((request, response) => {
      const path = normalize(new URL(request.url!, 'http://x').pathname);
      if (path === '/') response.setHeader('content-type', 'text/html').end(PAGE);
      else response.setHeader('content-type', 'text/javascript').end(readFileSync(join(dist, '..', path)));
    });
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
    lab = await startServer('--cors-origin', origin);
    browser = await openBrowser();
    page = await browser.newPage();
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(origin);
    await page.waitForFunction(() => document.title === 'ready');
  });
  after(async () => {
    await browser?.close();
    await lab?.stop();
    files?.close();
  });

  it('does requests, lists, operations, runs', async () => {
    const played = await page.evaluate(async (url) => {
      const { IommuLab, IommuLabError } = (window as never as { client: Client }).client;
      const lab = new IommuLab(url);
      await lab.createSession({ name: 'page', devices: [{ name: 'nic0', kind: 'nic' }] });
      async function* operations() {
        yield { op: 'buffer' as const, lengthBytes: 4096, as: 'b' };
        yield {
          op: 'map' as const,
          device: 'nic0',
          kind: 'single' as const,
          direction: 'to-device' as const,
          buffer: '$b',
        };
      }
      const replies = await lab.ops('page', operations()).all();
      await lab.createSession({ name: 'runs', preset: 'thread-2008' });
      const names: unknown[] = [];
      for await (const { name } of lab.listSessions({ limit: 1 })) names.push(name);
      const code = await lab.getSession('nobody').catch((error) => error instanceof IommuLabError && error.code);
      const { state } = await lab.run('runs', { forNs: 1_000_000 });
      return { ok: replies.map((reply) => reply.ok), names, code, state };
    }, lab.address);
    assert.deepEqual(played, { ok: [true, true], names: ['page', 'runs'], code: 'unknown-session', state: 'finished' });
  });

  for (const way of ['websocket', 'binary', 'events'] as const)
    it(`follows a session by ${way}, to its end`, async () => {
      const seen = await page.evaluate(
        async ([url, way]) => {
          const { IommuLab } = (window as never as { client: Client }).client;
          const lab = new IommuLab(url);
          const session = `stream-${way}`;
          await lab.createSession({ name: session, devices: [{ name: 'nic0', kind: 'nic' }] });
          const stream = lab.openStream(session, { topics: ['faults'], way });
          await new Promise<void>((resolve) => stream.on('state', (state) => state === 'open' && resolve()));
          await lab
            .ops(session, [{ op: 'dma', device: 'nic0', iova: '0x5000', lengthBytes: 64, access: 'write' }])
            .results();
          const types: string[] = [];
          for await (const message of stream) {
            types.push(message.type);
            await lab.deleteSession(session);
          }
          return { types, why: (await stream.ended).why };
        },
        [lab.address, way] as const,
      );
      assert.deepEqual(seen, { types: ['faults'], why: 'deleted' });
    });

  it('has nothing to say on the console but the refusal that was asked for', () => {
    assert.deepEqual(
      complaints.filter((text) => !/status of 404/.test(text)),
      [],
    );
  });
});

type Client = typeof import('../clients/typescript/src/index.ts');
