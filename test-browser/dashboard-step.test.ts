/** Single-step mode in a browser: scenes, each operation by hand, what changed, the lines to do it again. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { SCENARIOS } from '../src/dashboard/step/scenarios.ts';
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

const steps = (page: Page) => page.locator('.step-history > li');

async function doIt(page: Page): Promise<string> {
  const before = await steps(page).count();
  await page.getByRole('button', { name: 'Do it' }).click();
  await page.waitForFunction((count) => document.querySelectorAll('.step-history > li').length === count, before + 1);
  await page.locator('button:has-text("Do it"):enabled').waitFor();
  return steps(page).first().innerText();
}

describe('single steps in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard()]);
    await server.ask('POST', '/v1/sessions', { name: 'plain', policy: { invalidation: { kind: 'strict' } } });
    await server.ask('POST', '/v1/sessions', { name: 'lkml', preset: 'thread-2008' });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const [at, { id, title, steps: all }] of SCENARIOS.entries()) {
    const view = (['desk', 'phone', 'dark'] as View[])[at % 3]!;
    it(`walks through “${title}” (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/sessions/plain/step', view);
      await page.getByLabel('Walk through one').selectOption(id);
      await page.getByRole('button', { name: 'Begin, in a session of its own' }).click();
      await page.getByRole('heading', { name: title, exact: true }).waitFor();
      for (const [step, { expect }] of all.entries()) {
        const said = await doIt(page);
        if (expect?.verdict !== undefined) assert.ok(said.includes(`${expect.verdict}:`), `${step}: ${said}`);
        if (expect?.exposed !== undefined)
          assert.match(said, expect.exposed ? /still translates/ : /Nothing that is cached/);
        if (step === 2) {
          await assertFits(page);
          await assertAccessible(page);
          // A link to the middle of it goes on there.
          await page.reload();
          await page.locator('button:has-text("Do it"):enabled').waitFor();
        }
      }
      await page.getByText('That is the scene.').waitFor();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `step-${id}-${view}`);
      assert.deepEqual(complaints, []);
      await close();
    });
  }

  for (const view of ['desk', 'phone'] as View[])
    it(`does every operation by hand and shows what it changed (${view})`, async () => {
      const name = `hand-${view}`;
      await server.ask('POST', '/v1/sessions', {
        name,
        policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
      });
      const { page, complaints, close, context } = await openPage(browser, server, `/sessions/${name}/step`, view);
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      await page.getByRole('button', { name: 'Add one' }).click();
      await page.getByRole('button', { name: 'Add one' }).waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Buffer', exact: true }).click();
      await page.getByLabel('Bytes').fill('8192');
      assert.match(await doIt(page), /Get 8\u202fKiB of memory/);
      await page.getByLabel('Direction').selectOption('bidirectional');
      await page.getByLabel('Call').selectOption('page');
      assert.match(await doIt(page), /map_0_0 at 0x[0-9a-f]+, [\d,]+ cycles/);
      await page.getByLabel('Cost in cycles').waitFor();
      assert.match(await doIt(page), /ok: allowed/);
      // A new entry of the IOTLB is marked.
      await page.locator('.slot.change-new').first().waitFor();
      await page.getByRole('button', { name: 'Invalidate', exact: true }).click();
      await page.getByLabel('Scope').selectOption('range');
      await page.getByLabel('From').fill((await page.getByLabel('From').inputValue()) || '0xfffff000');
      await page.getByLabel('Bytes').fill('4096');
      await page.getByLabel('Leaves only').check();
      assert.match(await doIt(page), /leaves only[\s\S]*in effect/);
      await page.getByRole('button', { name: 'Unmap', exact: true }).click();
      await doIt(page);
      await page.getByRole('button', { name: 'Advance', exact: true }).click();
      await page.getByRole('button', { name: '10.1 ms' }).click();
      assert.match(await doIt(page), /timer/);
      await page.getByRole('button', { name: 'Free', exact: true }).click();
      await doIt(page);
      await page.getByRole('button', { name: 'DMA', exact: true }).click();
      await page.getByLabel('Address').fill('0xdead000');
      await page.getByLabel('Access').selectOption('read');
      assert.match(await doIt(page), /fault: blocked/);

      const copied = () => page.evaluate(() => navigator.clipboard.readText());
      await page.getByRole('button', { name: 'Copy as ops' }).click();
      let lines: string[] = [];
      await settled(async () => {
        lines = (await copied()).trim().split('\n');
        assert.deepEqual(
          lines.map((line) => JSON.parse(line).op),
          ['buffer', 'map', 'dma', 'invalidate', 'unmap', 'advance', 'free', 'dma'],
        );
      });
      await page.getByRole('button', { name: 'Copy curl' }).first().click();
      const command = new RegExp(`^curl -s '${server.address}/v1/sessions/${name}/devices/nic0/dma' `);
      await settled(async () => assert.match(await copied(), command));
      await page.getByRole('button', { name: 'Show' }).nth(4).click();
      await page.getByRole('heading', { name: /^Invalidate 4/ }).waitFor();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `step-hand-${view}`);

      // What was copied does it again.
      await server.ask('POST', '/v1/sessions', { name: `${name}-again`, devices: [{ name: 'nic0', kind: 'custom' }] });
      const reply = await fetch(`${server.address}/v1/sessions/${name}-again/ops`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: `${lines.join('\n')}\n`,
      });
      const replies = (await reply.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.equal(replies.length, lines.length);
      assert.ok(
        replies.every(({ ok }) => ok),
        JSON.stringify(replies),
      );
      assert.deepEqual(complaints, []);
      await close();
    });

  it('says what the server refuses, and goes on', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions/lkml/step');
    await page.locator('button:has-text("Do it"):enabled').waitFor();
    await page.getByRole('button', { name: 'DMA', exact: true }).click();
    await page.getByLabel('Address').fill('0xfffff000');
    await page.getByLabel('Bytes').fill('99999999999');
    await doIt(page);
    await page.getByRole('alert').first().waitFor();
    await page.getByLabel('Bytes').fill('64');
    assert.match(await doIt(page), /fault: blocked/);
    assert.equal(complaints.filter((each) => !each.includes('400')).length, 0, complaints.join());
    await close();
  });
});
