/** Experiments in a browser: asked for, watched, cancelled; the frontier, one arm, and what is made of it. */
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

describe('experiments in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard()]);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const view of ['desk', 'dark', 'phone'] as View[])
    it(`runs a preset, shows its frontier and looks at an arm (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/experiments', view);
      await page.getByLabel('Preset').selectOption('thread-2008');
      await page.getByLabel('Name').fill(`small-${view}`);
      await page.getByLabel('Operations an arm').fill('600');
      await page.getByLabel('Seeds').fill('1, 2');
      await page.getByRole('button', { name: 'Check it' }).click();
      await page.getByText('7 arms, 14 jobs').waitFor();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `experiments-new-${view}`);
      await page.getByRole('button', { name: 'Run it' }).click();
      await page.locator('.head .mark.finished').waitFor({ timeout: 60_000 });
      await page
        .getByRole('group', { name: /Speed against exposure/ })
        .or(page.locator('figure'))
        .first()
        .waitFor();
      const points = page.locator('.frontier-plot a');
      await settled(async () => assert.equal(await points.count(), 7));
      assert.match((await points.first().getAttribute('aria-label'))!, /^\d, .*(frontier|dominated|control)/);
      await settled(async () => assert.equal((await page.locator('tbody tr').count()) >= 7, true));
      await points.nth(2).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Open as a session' }).waitFor();
      await settled(() => assert.match(page.url(), /arm=/));
      await page.getByText('All figures').click();
      await page.getByText('Its request', { exact: true }).click();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `experiment-${view}`);

      let at: string[] = [];
      await settled(async () => {
        at = await page.evaluate(() =>
          [...document.querySelectorAll('.experiment-links a')].map((each) => (each as HTMLAnchorElement).href),
        );
        assert.equal(at.length, 5);
      });
      for (const href of at) {
        const reply = await fetch(href);
        assert.equal(reply.status, 200, href);
        assert.ok((await reply.arrayBuffer()).byteLength > 100);
      }
      await page.getByRole('button', { name: 'Close' }).click();
      await page.getByRole('button', { name: 'Open as a session' }).waitFor({ state: 'detached' });
      assert.deepEqual(complaints, []);
      await close();
    });

  it('makes a session of an arm, or leads to its form, or runs it alone', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/experiments/small-desk?arm=arm-3');
    await page.getByRole('link', { name: 'Change it first' }).click();
    await page
      .getByRole('heading', { name: /session/i })
      .first()
      .waitFor();
    await settled(() => assert.match(decodeURIComponent(page.url()), /"kind":"bitmap"/));
    await page.goBack();
    await page.getByRole('button', { name: 'Run this arm alone' }).click();
    await page.waitForFunction(() => /experiments\/exp_/.test(location.hash));
    await page.locator('.head .mark.finished').waitFor({ timeout: 30_000 });
    await page.goto(`${server.address}/#/experiments/small-desk?arm=arm-3`);
    await page.getByRole('button', { name: 'Open as a session' }).click();
    await page.waitForFunction(() => /sessions\/ses_/.test(location.hash));
    const id = /ses_\w+/.exec(page.url())![0];
    const { spec } = await server.ask<{ spec: { policy: { allocator: { kind: string } }; seed: number } }>(
      'GET',
      `/v1/sessions/${id}`,
    );
    assert.deepEqual([spec.policy.allocator.kind, spec.seed], ['bitmap', 1]);
    assert.deepEqual(complaints, []);
    await close();
  });

  it('takes a request of one’s own, says what is wrong with it, and cancels and removes', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/experiments?preset=own');
    const editor = page.getByLabel('The request, in JSON');
    await editor.fill('{"base": ');
    await page.getByRole('button', { name: 'Check it' }).click();
    await page.getByText('That is no JSON').waitFor();
    await editor.fill(
      JSON.stringify({ base: { preset: 'thread-2008' }, vary: { 'policy.invalidation.knd': ['strict'] } }),
    );
    await page.getByRole('button', { name: 'Check it' }).click();
    await page.getByRole('alert').waitFor();
    const long = {
      name: 'long',
      base: { preset: 'thread-2008' },
      vary: { 'policy.invalidation.kind': ['strict', 'deferred-2008'] },
      until: { operations: 3_000_000 },
    };
    await editor.fill(JSON.stringify(long));
    await page.getByRole('button', { name: 'Run it' }).click();
    await page.getByRole('heading', { name: 'long' }).waitFor();
    await page.getByText('Not all jobs have a result yet').waitFor();
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel it' }).click();
    await page.locator('.head .mark.cancelled').waitFor();
    await page.getByRole('link', { name: 'All experiments' }).click();
    await page.getByLabel('State').selectOption('cancelled');
    await page.getByRole('button', { name: 'Remove long' }).click();
    await page.getByRole('button', { name: 'Remove it' }).click();
    await page.getByText('None yet').waitFor();
    await settled(() => assert.match(page.url(), /state=cancelled/));
    assert.equal(complaints.filter((each) => !each.includes('400')).length, 0, complaints.join());
    await close();
  });

  it('answers a question of the catalog in sentences', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/experiments');
    await page.getByLabel('Preset').selectOption('questions/lazy-default');
    await page.getByLabel('Operations an arm').fill('300');
    await page.getByLabel('Seeds').fill('1');
    await page.getByRole('button', { name: 'Run it' }).click();
    await page.getByText('Asked by:').waitFor({ timeout: 120_000 });
    await assertFits(page);
    await assertAccessible(page);
    await picture(page, 'experiment-question');
    assert.deepEqual(complaints, []);
    await close();
  });
});
