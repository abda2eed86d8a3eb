/**
 * A whole server with the dashboard, built from what is there now, and pages of it in a browser: for the tests `dashboard-*.test.ts`.
 *
 *     const server = await startDashboard();
 *     const { page, complaints, close } = await openPage(browser, server, '/sessions', 'phone');
 *     await settled(() => assert.match(page.url(), /sessions/));
 *     await assertAccessible(page);            // axe: nothing serious
 *     await assertFits(page);                  // nothing beyond the right edge
 *     await picture(page, 'sessions-phone');   // .cache/test-browser/dashboard-sessions-phone.jpg
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { build } from 'vite';
import { AuditLog } from '../src/access/audit.ts';
import { AccessControl, type AccessSettings } from '../src/access/control.ts';
import { openAccessStore } from '../src/access/store.ts';
import { makeToken, type TokenInput } from '../src/access/tokens.ts';
import { createHost } from '../src/host/session-host.ts';
import { createLaboratory } from '../src/lab/local-laboratory.ts';
import { ThreadPool } from '../src/lab/pool.ts';
import { ExperimentStore } from '../src/lab/store.ts';
import { buildApp } from '../src/server/app.ts';
import { createStream } from '../src/stream/hub.ts';
import { CACHE, HIGHEST_PICTURE, keepPicture } from './browser.ts';

export const VIEWS = {
  desk: { viewport: { width: 1360, height: 900 } },
  dark: { viewport: { width: 1360, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
} satisfies Record<string, BrowserContextOptions>;
export type View = keyof typeof VIEWS;

export interface DashboardServer {
  /** With the base path, without a slash at the end. */
  address: string;
  /** Of the API: a JSON body, or none. */
  ask<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Makes a token; from then on the server asks for one, when it was started with `settings: {required: true}`. */
  token(input: Partial<TokenInput> & { name: string }): string;
  close(): Promise<void>;
}

let built: Promise<string> | null = null;

/** Once for all tests of a process. */
export function builtDashboard(): Promise<string> {
  const outDir = join(CACHE, `dashboard-${process.pid}`);
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }));
  built ??= build({ configLoader: 'native', logLevel: 'error', build: { outDir } }).then(() => outDir);
  return built;
}

export async function startDashboard(
  options: { settings?: Partial<AccessSettings>; basePath?: string } = {},
): Promise<DashboardServer> {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-browser-'));
  const dashboard = await builtDashboard();
  const host = await createHost({ workers: 1, journal: { path: join(folder, 'sessions.sqlite'), sync: 'never' } });
  const store = openAccessStore(folder);
  const access = new AccessControl({ host, store, settings: options.settings ?? {}, audit: new AuditLog(folder) });
  const laboratory = createLaboratory({
    store: new ExperimentStore(join(folder, 'experiments.sqlite'), 2 ** 28),
    runner: new ThreadPool({ width: 1 }),
  });
  const { basePath = '' } = options;
  const config = { host: '127.0.0.1', allowedHosts: [], basePath };
  const stream = createStream(host, { limits: { closeMs: 300 } });
  const app = await buildApp({ config, host, laboratory, stream, access, lifecycle: { closing: false }, dashboard });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${basePath}`;
  let asking: string | null = null;
  return {
    address,
    async ask(method, path, body) {
      const reply = await fetch(address + path, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(asking === null ? {} : { authorization: `Bearer ${asking}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      assert.ok(reply.ok, `${method} ${path}: ${reply.status}`);
      return reply.json();
    },
    token(input) {
      const { text } = makeToken(store, { scope: 'write', ...input }, Date.now())!;
      asking ??= text;
      return text;
    },
    async close() {
      await app.close();
      await laboratory.close();
      await host.close();
      access.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface OpenPage {
  page: Page;
  context: BrowserContext;
  /** On the console, thrown, or asked for from another host. */
  complaints: string[];
  close(): Promise<void>;
}

/** @param place behind `#` */
export async function openPage(
  browser: Browser,
  server: DashboardServer,
  place: string,
  view: View = 'desk',
  more: BrowserContextOptions = {},
  before: (page: Page) => Promise<void> = async () => undefined,
): Promise<OpenPage> {
  const context = await browser.newContext({ ...VIEWS[view], ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const url = request.url();
    if (!/^(?:blob|data):/.test(url) && !url.startsWith(server.address)) complaints.push(`elsewhere: ${url}`);
  });
  await before(page);
  await page.goto(`${server.address}/#${place}`);
  return { page, context, complaints, close: () => context.close() };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeWindow {
  axe: {
    run(options: {
      resultTypes: string[];
    }): Promise<{ violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }>;
  };
}

const SETTLED_MS = 15_000;

/**
 * Until `check` holds, or its failure after 15 s. A page shows what was done in tasks of its own, which come late on a busy machine:
 * what stands there right behind a click may be of before.
 */
export async function settled(check: () => void | Promise<void>): Promise<void> {
  for (const until = performance.now() + SETTLED_MS; ; await new Promise((resolve) => setTimeout(resolve, 20)))
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
    }
}

/** Nothing that axe calls serious or critical. */
export async function assertAccessible(page: Page): Promise<void> {
  // By the debugger: the page's own policy forbids it a script from elsewhere.
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() =>
    (window as unknown as AxeWindow).axe.run({ resultTypes: ['violations'] }),
  );
  const grave = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(' | ')}`,
    );
  assert.deepEqual(grave, []);
}

/** The page itself does not scroll sideways; a table may, in its own region. */
export async function assertFits(page: Page): Promise<void> {
  const beyond = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const own = '.scroll, .tabs, .bar nav, pre';
    const far = [...document.querySelectorAll('body *')].filter(
      (each) => each.getBoundingClientRect().right > clientWidth + 1 && each.closest(own) === null,
    );
    return [
      ...(scrollWidth > clientWidth ? [`${scrollWidth} in ${clientWidth}`] : []),
      ...far.map((each) => each.outerHTML.slice(0, 160)),
    ];
  });
  assert.deepEqual(beyond, []);
}

/** All of it, drawn: a chart that nobody sees is not. */
export async function picture(page: Page, name: string): Promise<void> {
  const size = page.viewportSize()!;
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: size.width, height: Math.min(Math.max(height, size.height), HIGHEST_PICTURE) });
  await page.waitForTimeout(250);
  await keepPicture(page, `dashboard-${name}`);
  await page.setViewportSize(size);
}
