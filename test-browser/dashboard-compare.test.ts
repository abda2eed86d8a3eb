/** Two sessions side by side in a browser: made, chosen, run in turns of the same simulated time. */
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
  type View,
} from './dashboard-place.ts';

describe('two sessions side by side in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;
  const timeOf = async (name: string) => (await server.ask<{ timeNs: number }>('GET', `/v1/sessions/${name}`)).timeNs;

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard()]);
    await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'ahead' });
    await server.ask('POST', '/v1/sessions/ahead/advance', { ns: 700_000 });
    await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'behind' });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const view of ['desk', 'dark', 'phone'] as View[])
    it(`makes both from one preset, runs them on one clock and tells them apart (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/compare?step=1000000', view);
      await page.getByLabel('Differing in').selectOption({ label: 'invalidation policy' });
      await page.getByLabel('B has').selectOption('flush-queue');
      await page.getByRole('button', { name: 'Make both' }).click();
      await page.getByRole('button', { name: 'One turn' }).click();
      await page.getByText('1 turn', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Run both' }).click();
      await page.waitForFunction(() =>
        /Both at [4-9](\.\d+)?\s*ms/.test(document.body.innerText.replace(/\u202f/g, ' ')),
      );
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Run both' }).waitFor();
      const query = new URLSearchParams(page.url().split('?')[1]);
      const [a, b] = [query.get('a')!, query.get('b')!];
      assert.match(a, /^strict-/);
      assert.match(b, /^flush-queue-/);
      const [left, right] = [await timeOf(a), await timeOf(b)];
      assert.equal(left, right);
      assert.equal(left % 1_000_000, 0);
      const row = page.getByRole('row', { name: /^unmapped and not flushed/ });
      await settled(async () => {
        assert.match(await row.innerText(), /0\s*pages[\s\S]*only B/);
        assert.equal(await row.locator('td.better').count(), 1);
      });
      await page.getByRole('cell', { name: 'flush-queue', exact: true }).waitFor();
      await settled(async () => {
        const { items } = await server.ask<{ items: unknown[] }>('GET', `/v1/sessions/${a}/runs`);
        assert.ok(items.length <= 1, 'records of turns do not pile up');
      });
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `compare-${view}`);
      await page.getByRole('button', { name: 'Begin anew' }).click();
      await page.getByText('0 turns').waitFor();
      assert.deepEqual(complaints, []);
      await close();
    });

  it('brings one that is behind to where the other is, and keeps the choice in the address', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/compare');
    await page.getByLabel('A session').selectOption('ahead');
    await page.getByText('Choose two sessions, or').waitFor();
    await page.getByLabel('B session').selectOption('ahead');
    await page.getByText('two different sessions').waitFor();
    await page.getByLabel('B session').selectOption('behind');
    await page.getByText('Both have the same spec').waitFor();
    await page.getByLabel('A turn is').selectOption({ label: '1 ms' });
    await page.getByRole('button', { name: 'One turn' }).click();
    await page.getByText('1 turn', { exact: true }).waitFor();
    assert.deepEqual([await timeOf('ahead'), await timeOf('behind')], [1_700_000, 1_700_000]);
    await settled(() => assert.match(page.url(), /a=ahead&b=behind&step=1000000/));
    assert.deepEqual(complaints, []);
    await close();
  });

  it('says why two cannot be made, and leaves neither behind', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/compare');
    await page.getByLabel('Differing in').selectOption({ label: 'invalidation policy' });
    await page.getByLabel('B has').selectOption('wrap');
    await page.getByRole('button', { name: 'Make both' }).click();
    await page.getByRole('alert').waitFor();
    await settled(async () => {
      const { items } = await server.ask<{ items: { name?: string }[] }>('GET', '/v1/sessions?limit=200');
      const strict = items.filter(({ name }) => name?.startsWith('strict-'));
      assert.ok(strict.length === 3, 'those of the three tests above alone');
    });
    assert.equal(complaints.filter((each) => !each.includes('400')).length, 0, complaints.join());
    await close();
  });
});
