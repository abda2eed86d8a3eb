/** What surrounds the pages, in a browser: keys, colours, tokens, a base path, and a browser without scripts. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { openBrowser } from './browser.ts';
import {
  assertAccessible,
  assertFits,
  type DashboardServer,
  openPage,
  picture,
  settled,
  startDashboard,
} from './dashboard-place.ts';

describe('the frame in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;
  const others: DashboardServer[] = [];

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard({ basePath: '/lab' })]);
    await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'first' });
  });
  after(async () => {
    await browser?.close();
    for (const each of [server, ...others]) await each?.close();
  });

  it('is used with keys alone: past the bar, to a page, and through a dialog and back', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions');
    await page.getByRole('link', { name: 'first' }).waitFor();
    await page.keyboard.press('Tab');
    await page.waitForFunction(() => document.activeElement?.textContent === 'Skip to the page');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog', { name: 'Keys' });
    await dialog.waitFor();
    assert.match(await dialog.innerText(), /create a session/);
    await assertAccessible(page);
    await picture(page, 'keys');
    await page.keyboard.press('n');
    assert.match(page.url(), /#\/sessions$/, 'a key of the page does nothing behind a dialog');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.keyboard.press('n');
    await page.getByRole('heading', { name: 'New session', level: 1 }).waitFor();
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
    await page.getByLabel('name', { exact: true }).first().focus();
    await page.keyboard.type('s');
    assert.match(page.url(), /#\/new/, 'a letter in a field is a letter');
    await page.goto(`${server.address}/#/sessions/first`);
    await page.getByText('stream live').waitFor();
    await page.keyboard.press('?');
    assert.match(await page.getByRole('dialog').innerText(), /start a run[\s\S]*hold the log/);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('r');
    await page
      .getByRole('cell', { name: /running|finished/ })
      .first()
      .waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('has the colours of the system until it is told otherwise, and remembers', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions', 'dark');
    const shown = () =>
      page.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
    assert.equal((await shown())[0], 'dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'light');
    await page.getByRole('button', { name: 'Colours: as the system' }).click();
    await page.getByRole('button', { name: 'Colours: light' }).click();
    await settled(async () => assert.equal((await shown())[0], 'dark'));
    const chosen = await shown();
    await page.reload();
    await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    await settled(async () => assert.deepEqual(await shown(), chosen));
    assert.deepEqual(complaints, []);
    await close();
  });

  it('moves nothing that is not asked for', async () => {
    const { page, close } = await openPage(browser, server, '/sessions/first', 'desk', { reducedMotion: 'reduce' });
    await page.getByText('stream live').waitFor();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    await close();
  });

  it('works below a base path, and asks for nothing outside of it', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions/first');
    await page.getByText('stream live').waitFor();
    assert.equal(await page.getByRole('link', { name: 'API' }).getAttribute('href'), `${server.address}/docs/`);
    assert.deepEqual(complaints, []);
    await close();
  });

  it('says how to begin where there are no scripts', async () => {
    const { page, complaints, close } = await openPage(browser, server, '', 'desk', { javaScriptEnabled: false });
    assert.match(await page.locator('body').innerText(), /curl -s http:\/\/127\.0\.0\.1:\d+\/lab\/v1\/sessions /);
    assert.deepEqual(complaints, []);
    await close();
  });

  it('asks for a token where the server does, keeps it for the tab, and opens streams with tickets', async () => {
    const guarded = await startDashboard({ settings: { required: true } });
    others.push(guarded);
    const token = guarded.token({ name: 'alice' });
    await guarded.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'hers' });
    const sockets: string[] = [];
    const { page, complaints, close, context } = await openPage(browser, guarded, '/sessions');
    page.on('websocket', (socket) => sockets.push(socket.url()));
    const dialog = page.getByRole('dialog', { name: 'A token is needed' });
    await dialog.waitFor();
    await assertFits(page);
    await assertAccessible(page);
    await picture(page, 'token');
    await dialog.getByLabel('Token').fill('ilt_nonsense');
    await dialog.getByRole('button', { name: 'Use it' }).click();
    await dialog.waitFor();
    await dialog.getByLabel('Token').fill(token);
    await dialog.getByRole('button', { name: 'Use it' }).click();
    await page.getByRole('link', { name: 'hers' }).click();
    await page.getByText('stream live').waitFor();
    await settled(() => assert.equal(sockets.length, 1));
    assert.match(sockets[0]!, /\/stream\?ticket=/);
    assert.ok(!sockets[0]!.includes(token) && !page.url().includes(token));
    await page.reload();
    await page.getByText('stream live').waitFor();
    const stranger = await context.newPage();
    await stranger.goto(`${guarded.address}/#/sessions`);
    await stranger.getByRole('dialog', { name: 'A token is needed' }).waitFor();
    await stranger.close();
    await page.getByRole('button', { name: 'Token' }).click();
    await page.getByRole('button', { name: 'Forget it' }).click();
    await page.goto(`${guarded.address}/#/sessions`);
    await dialog.waitFor();
    await page.waitForFunction(() => sessionStorage.length === 0);
    assert.deepEqual(
      complaints.filter((text) => !/status of 401/.test(text)),
      [],
    );
    await close();
  });
});
