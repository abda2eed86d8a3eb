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

  for (const view of ['desk', 'dark', 'phone'] as View[])
    it(`makes an experiment from a form, in step with its JSON (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/experiments', view);
      await page.getByRole('link', { name: 'New experiment' }).click();
      await page.getByRole('heading', { name: 'New experiment' }).waitFor();
      await page.getByText('4 arms, 12 jobs').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Experiments' }).getAttribute('aria-current'), 'page');
      await page.getByLabel('name', { exact: true }).fill(`form-${view}`);
      await page.getByRole('button', { name: 'Add wrap to policy.invalidation.kind' }).click();
      assert.equal(await page.getByLabel('Values').inputValue(), 'strict, deferred-2008, flush-queue, wrap');
      await page.getByLabel('Values').fill('strict, flush-queue');
      await page.getByLabel('Vary also').fill('iommu.iotlb.entries');
      await page.keyboard.press('Enter');
      await page.getByText('the base has 64').waitFor();
      await page.getByLabel('Values').nth(1).fill('16, 64, 256');
      await page.getByLabel('Until, how long').fill('300');
      await page.getByLabel('seeds').fill('1');
      await page.getByLabel('control').selectOption('false');
      await page.getByText('6 arms, 6 jobs').waitFor();
      await page.getByText('The rest of the base').click();
      await page.getByLabel('cpus', { exact: true }).fill('3');
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `experiment-form-${view}`);

      await page.getByRole('link', { name: 'JSON', exact: true }).click();
      const request = page.getByRole('textbox', { name: 'Request' });
      const written = JSON.parse(await request.inputValue()) as Record<string, unknown>;
      assert.deepEqual(written, {
        name: `form-${view}`,
        base: { preset: 'thread-2008', machine: { cpus: 3 } },
        vary: { 'policy.invalidation.kind': ['strict', 'flush-queue'], 'iommu.iotlb.entries': [16, 64, 256] },
        until: { operations: 300 },
        seeds: [1],
        control: false,
      });
      await request.fill(JSON.stringify({ ...written, combine: 'paired', until: { ns: 2_000_000 } }));
      await page.getByRole('link', { name: 'Form', exact: true }).click();
      assert.equal(await page.getByLabel('Arms are').inputValue(), 'paired');
      assert.equal(await page.getByLabel('Until, how long').inputValue(), '2 ms');
      await page.getByText('has 3 values and policy.invalidation.kind has 2').first().waitFor();
      await page.getByLabel('Values').nth(1).fill('64, 256');
      await page.getByText('2 arms, 2 jobs').waitFor();
      await page.getByLabel('Arms are').selectOption('list');
      await page.getByLabel('Members, one a line').first().waitFor();
      assert.equal(
        await page.getByLabel('Members, one a line').nth(1).inputValue(),
        'policy.invalidation.kind = flush-queue\niommu.iotlb.entries = 256',
      );
      await page.getByLabel('Label').first().fill('the safe one');
      await page.getByRole('list').getByText('the safe one').waitFor();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `experiment-arms-${view}`);
      await page.getByRole('button', { name: 'Run it' }).click();
      await page.locator('.head .mark.finished').waitFor({ timeout: 60_000 });
      const { request: ran } = await server.ask<{ request: Record<string, unknown> }>(
        'GET',
        `/v1/experiments/form-${view}`,
      );
      assert.deepEqual(
        [ran.arms, ran.until, ran.seeds, (ran.base as { machine: unknown }).machine],
        [
          [
            { label: 'the safe one', set: { 'policy.invalidation.kind': 'strict', 'iommu.iotlb.entries': 64 } },
            {
              label: (ran.arms as { label: string }[])[1]!.label,
              set: { 'policy.invalidation.kind': 'flush-queue', 'iommu.iotlb.entries': 256 },
            },
          ],
          { ns: 2_000_000 },
          [1],
          { cpus: 3 },
        ],
      );
      await page.getByRole('link', { name: 'Change it and run again' }).click();
      await page.getByText('2 arms, 2 jobs').waitFor();
      assert.deepEqual(
        complaints.filter((each) => !each.includes('400')),
        [],
      );
      await close();
    });

  it('says what is wrong with a request at the field that has it, in the words of the server', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/new-experiment');
    const wrongAt = (label: string, place = 0) =>
      page
        .locator('.field', { has: page.getByLabel(label, { exact: true }) })
        .nth(place)
        .locator('.problem');
    await page.getByLabel('Values').fill('strict, foo');
    await wrongAt('Values')
      .getByText(/^foo: must be one of `strict`/)
      .waitFor();
    await page.getByLabel('Values').fill('strict, {"kind": ');
    await wrongAt('Values').getByText('is no JSON').waitFor();
    await page.getByLabel('Values').fill('strict');
    await page.getByLabel('Path').fill('policy.invalidation.knd');
    await page.getByLabel('Path').blur();
    await wrongAt('Path')
      .getByText(/unknown member `knd`, did you mean `kind`/)
      .waitFor();
    await page.getByLabel('Vary also').fill('policy.invalidation.knd');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByText('policy.invalidation.knd is varied already').waitFor();
    await page.getByRole('button', { name: 'Remove policy.invalidation.knd' }).click();
    await page.getByText('Nothing yet: all arms are the base').waitFor();
    await page.getByLabel('seeds').fill('1, 1');
    await wrongAt('seeds').getByText('are equal').waitFor();
    await page.getByLabel('seeds').fill('1');
    await page.getByLabel('Until, counted in').selectOption('ns');
    await page.getByLabel('Until, how long').fill('soon');
    await page.getByText('"soon" is no time').waitFor();
    await page.getByLabel('Until, how long').fill('1 ms');
    await page.getByLabel('name', { exact: true }).fill('no name');
    await wrongAt('name')
      .getByText(/must be a name/)
      .waitFor();
    await page.getByText('The rest of the base').click();
    await page.getByLabel('cpus', { exact: true }).fill('0');
    await wrongAt('cpus').getByText('must be >= 1').waitFor();
    await assertAccessible(page);
    assert.deepEqual(
      complaints.filter((each) => !each.includes('400')),
      [],
    );
    await close();
  });

  it('changes a preset: its arms are taken over, or left as they are', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/experiments');
    await page.getByLabel('Operations an arm').fill('700');
    await page.getByRole('link', { name: 'Change more of it' }).click();
    await page.getByText('7 arms, 21 jobs').waitFor();
    assert.equal(await page.getByLabel('Until, how long').inputValue(), '700');
    await page.getByText('Source: Linux kernel mailing list').first().waitFor();
    await page.locator('.card', { hasText: 'What is varied' }).getByRole('button', { name: 'Change them' }).click();
    assert.equal(await page.getByLabel('Members, one a line').count(), 6);
    await page.getByRole('button', { name: 'Remove never, bitmap' }).click();
    await page.getByText('6 arms, 18 jobs').waitFor();
    await page.getByRole('button', { name: 'As the preset' }).click();
    await page.getByText('7 arms, 21 jobs').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('takes a request in JSON, says what is wrong with it, and cancels and removes', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/new-experiment?view=json');
    const editor = page.getByRole('textbox', { name: 'Request' });
    await editor.fill('{"base": ');
    await page.getByText(/JSON/).nth(1).waitFor();
    await editor.fill(
      JSON.stringify({ base: { preset: 'thread-2008' }, vary: { 'policy.invalidation.knd': ['strict'] } }),
    );
    await page.getByRole('alert').waitFor();
    const long = {
      name: 'long',
      base: { preset: 'thread-2008' },
      vary: { 'policy.invalidation.kind': ['strict', 'deferred-2008'] },
      until: { operations: 3_000_000 },
    };
    await editor.fill(JSON.stringify(long));
    await page.getByText('3 arms, 9 jobs').waitFor();
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
