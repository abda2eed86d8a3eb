/** A session while it runs, in a browser: charts, log, runs, snapshots, and a stream that is cut off. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { standBetween } from './between.ts';
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

const CHARTS = [
  'Throughput',
  'Operations',
  'CPU by what it does',
  'IOTLB hit rate',
  'Page-walk memory reads',
  'Flush queue',
  'Invalidations',
  'Exposed pages now',
  'Exposure windows',
  'Waiting for locks',
  'Accesses that got through',
];

/** How many different colours a chart's canvas has: an empty one has lines and letters only. */
async function coloursOf(page: Page, title: string): Promise<number> {
  const card = page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });
  await card.scrollIntoViewIfNeeded();
  return card
    .locator('canvas')
    .first()
    .evaluate((canvas: HTMLCanvasElement) => {
      // It is a worker's to draw on: what it shows is read from a copy.
      const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
      const to = copy.getContext('2d')!;
      to.drawImage(canvas, 0, 0);
      const { data } = to.getImageData(0, 0, copy.width, copy.height);
      const strong = new Set<number>();
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, a] = [data[i]!, data[i + 1]!, data[i + 2]!, data[i + 3]!];
        // Lines and letters are grey.
        if (a > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 60) strong.add((r >> 5) * 64 + (g >> 5) * 8 + (b >> 5));
      }
      return strong.size;
    });
}

/** It is drawn once it is in sight and has been told of the run. */
const isDrawn = (page: Page, title: string) =>
  settled(async () => assert.ok((await coloursOf(page, title)) > 0, `${title} is empty`));

describe('a live session in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;
  let made = 0;

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard()]);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  async function session(more: object = {}): Promise<string> {
    const name = `live-${++made}`;
    await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name, ...more });
    return name;
  }

  async function runIn(page: Page, amount: string): Promise<void> {
    await page.getByLabel('How long').fill(amount);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
  }

  for (const view of ['desk', 'dark', 'phone'] as View[])
    it(`draws what happens in a run, and says the same in numbers and words (${view})`, async () => {
      const name = await session();
      const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}`, view);
      await page.getByText('stream live').waitFor();
      await settled(async () => assert.equal(await page.title(), `${name} · iommu-lab`));
      await runIn(page, '150 ms');
      await page.getByRole('cell', { name: 'finished' }).first().waitFor({ timeout: 60_000 });
      for (const title of CHARTS) {
        const card = page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });
        await settled(async () => {
          const words = await card.getByRole('img').getAttribute('aria-label');
          assert.match(words ?? '', /\d/, `${title}: ${words}`);
        });
        await isDrawn(page, title);
      }
      const throughput = page.locator('.card', { has: page.getByRole('heading', { name: 'Throughput', exact: true }) });
      // A 10 Gb/s link, offered in full: frames of 1500 bytes of 1538 on the wire, less what is dropped, and less
      // where a slow browser has seen the run as a few points.
      await settled(async () => {
        const rx = Number(await throughput.getByRole('row', { name: /rx/ }).getByRole('cell').nth(1).innerText());
        assert.ok(rx > 4 && rx < 9.76, `rx ${rx} Gb/s`);
      });
      const metrics = await server.ask<{ verdicts: Record<string, number> }>('GET', `/v1/sessions/${name}/metrics`);
      await settled(async () => {
        const ok = await page.getByRole('row', { name: /^ok/ }).getByRole('cell').first().innerText();
        assert.equal(Number(ok.replaceAll(',', '')), metrics.verdicts.ok);
      });
      await page
        .getByText(/DMAR: \[DMA Write NO_PASID\]/)
        .first()
        .waitFor();
      await page
        .getByText(/use after unmap: mapped/)
        .first()
        .waitFor();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `live-${view}`);
      assert.deepEqual(complaints, []);
      await close();
    });

  it('says which policy is in force instead of the one that was asked for, and why', async () => {
    const name = await session({
      policy: { invalidation: { kind: 'flush-queue' } },
      iommu: { invalidation: { cachingMode: true } },
    });
    const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}`);
    await page.getByText(/strict instead of flush-queue/).waitFor();
    const row = page.getByRole('row', { name: /invalidation/ }).first();
    assert.match(await row.innerText(), /flush-queue\s+strict/);
    assert.deepEqual(complaints, []);
    await close();
  });

  it('starts runs by each rule, shows how far they are, and cancels', async () => {
    const name = await session();
    const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}`);
    await page.getByText('stream live').waitFor();
    await page.getByLabel('Run', { exact: true }).selectOption('operations');
    await page.getByLabel('How many').fill('500');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('row', { name: /run_1.*finished/ }).waitFor();
    await page.getByLabel('Run', { exact: true }).selectOption('above');
    await page.getByLabel('Metric').fill('counters.faults');
    await page.getByLabel('Above').fill('10');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('row', { name: /run_2.*finished/ }).waitFor();
    await page.getByLabel('Metric').fill('counters.nonsense');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'nonsense' }).waitFor();
    await page.getByLabel('Run', { exact: true }).selectOption('forNs');
    await runIn(page, 'a while');
    await page.getByRole('alert').filter({ hasText: 'is no time' }).waitFor();
    await runIn(page, '1 h');
    await page.getByRole('progressbar').waitFor();
    await settled(async () => assert.ok(await page.getByRole('button', { name: 'Start', exact: true }).isDisabled()));
    // Opened in the midst of it: what was known of it then is not what it has come to.
    await page.reload();
    await page.getByText('stream live').waitFor();
    await page.getByRole('row', { name: /run_3.*running.*–\s+–$/ }).waitFor();
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await page.getByRole('row', { name: /run_3.*cancelled/ }).waitFor();
    assert.deepEqual(
      complaints.filter((text) => !/status of 400/.test(text)),
      [],
    );
    await close();
  });

  it('draws any counter, and the address keeps which', async () => {
    const name = await session();
    const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}?charts=nodesVisited`);
    await page.getByRole('heading', { name: 'Nodes visited' }).waitFor();
    await page.getByLabel('Counter').selectOption('liveMappings');
    await page.getByText('stream live').waitFor();
    await runIn(page, '30 ms');
    await page.getByRole('cell', { name: 'finished' }).first().waitFor();
    for (const title of ['Nodes visited', 'Live mappings']) await isDrawn(page, title);
    const metrics = await server.ask<{ counters: Record<string, number> }>('GET', `/v1/sessions/${name}/metrics`);
    await settled(async () => {
      const now = await page
        .getByRole('row', { name: /^liveMappings/ })
        .getByRole('cell')
        .first()
        .innerText();
      assert.equal(Number(now), metrics.counters.liveMappings);
    });
    await page.getByRole('button', { name: 'Remove Nodes visited' }).click();
    await settled(() => assert.match(page.url(), /\?charts=liveMappings$/));
    assert.deepEqual(complaints, []);
    await close();
  });

  it('lets time pass, and begins anew with empty charts', async () => {
    const name = await session();
    const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}`);
    await page.getByText('stream live').waitFor();
    await page.getByLabel('How long').fill('3 ms');
    await page.getByRole('button', { name: 'Advance' }).click();
    await page.getByText('It is 3.00').waitFor();
    await runIn(page, '20 ms');
    await page.getByRole('cell', { name: 'finished' }).first().waitFor();
    await page.getByRole('button', { name: 'Reset' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reset' }).click();
    await page.getByText('The session begins anew.').waitFor();
    await page.getByRole('cell', { name: 'finished' }).first().waitFor({ state: 'detached' });
    assert.equal((await server.ask<{ timeNs: number }>('GET', `/v1/sessions/${name}`)).timeNs, 0);
    const throughput = page.locator('.card', { has: page.getByRole('heading', { name: 'Throughput', exact: true }) });
    await throughput.getByText('Nothing yet').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('keeps snapshots, forks from one and deletes it', async () => {
    const name = await session();
    const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}`);
    await page.getByRole('button', { name: 'Take one' }).click();
    const card = page.locator('.card', { has: page.getByRole('heading', { name: 'Snapshots' }) });
    await card.getByRole('row').nth(1).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      card.getByRole('button', { name: 'Export' }).click(),
    ]);
    assert.match(download.suggestedFilename(), /^snap_.*\.json$/);
    await card.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await card.getByText('None yet.').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('holds the log to be read, and leaves kinds of lines out', async () => {
    const name = await session();
    const { page, complaints, close } = await openPage(browser, server, `/sessions/${name}`);
    await page.getByText('stream live').waitFor();
    await runIn(page, '10 s');
    const log = page.getByRole('log');
    await log.getByText(/DMAR/).first().waitFor();
    await page.getByRole('button', { name: 'Hold' }).click();
    await page.getByRole('button', { name: 'Let go' }).waitFor();
    // What was to be drawn when it was pressed may still be; then, while the run goes on, nothing is. Lines out of sight have no inner text.
    let held: string | null = null;
    await settled(async () => {
      held = await log.textContent();
      await page.waitForTimeout(1_200);
      assert.equal(await log.textContent(), held);
    });
    await page.getByRole('button', { name: 'Let go' }).click();
    await page.waitForFunction((before) => document.querySelector('[role="log"]')?.textContent !== before, held);
    await page.getByRole('checkbox', { name: 'faults' }).uncheck();
    await log.getByText(/DMAR/).first().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await page.getByRole('row', { name: /cancelled/ }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('comes back when it is cut off, from where it was, and says what is missing', async () => {
    const name = await session();
    const { streams, ...between } = await standBetween(server);
    const { page, complaints, close } = await openPage(browser, between.server, `/sessions/${name}`);
    await page.getByText('stream live').waitFor();
    await runIn(page, '10 s');
    await page.getByRole('log').getByText(/DMAR/).first().waitFor();
    streams[0]!.cut(4001);
    await page.getByText('stream lost, coming back').waitFor();
    await page.getByText('stream live').waitFor();
    await settled(() => assert.ok((streams[1]?.sent.length ?? 0) > 3, 'the stream goes on'));
    const [before, again] = streams.map(({ asked: [first] }) => first!);
    assert.equal(again!.epoch, before!.epoch);
    assert.ok(streams[0]!.sent.includes(again!.fromSequence! - 1), 'from the frame behind the last one');
    // Each frame once: none of those of the first connection came again.
    assert.ok(streams[1]!.sent.every((sequence) => sequence >= again!.fromSequence!));
    const gap = { type: 'gap', epoch: again!.epoch, from: 7, to: 9, reason: 'slow-reader', dropped: { faults: 3 } };
    streams[1]!.say(JSON.stringify(gap));
    await page.getByText('Missing: 3 of faults; this page did not read fast enough.').first().waitFor();
    await server.ask('DELETE', `/v1/sessions/${name}`);
    await page.getByText('The session was deleted.').waitFor();
    await page.getByText('stream ended').waitFor();
    assert.deepEqual(complaints, []);
    await close();
    await between.close();
  });

  it('goes on with another worker when the one that reads the stream fails, charts and log as before', async () => {
    const name = await session();
    const { streams, ...between } = await standBetween(server);
    const { page, complaints, close } = await openPage(browser, between.server, `/sessions/${name}`);
    await page.getByText('stream live').waitFor();
    await runIn(page, '40 ms');
    await page.getByRole('cell', { name: 'finished' }).first().waitFor();
    await page.getByRole('checkbox', { name: 'faults' }).uncheck();
    const log = page.getByRole('log');
    await log.getByText(/DMAR/).first().waitFor({ state: 'detached' });
    // What no server sends.
    streams[0]!.say('{"type":');
    await page.getByText(/What reads the stream has failed: .*JSON/).waitFor();
    await page.getByText('stream live').waitFor();
    // The history that the session keeps, read once more, and drawn on the same canvases.
    assert.equal(streams.length, 2);
    await isDrawn(page, 'Throughput');
    // It shows what was chosen before.
    await log.getByText('run_1 finished').waitFor();
    assert.equal(await log.getByText(/DMAR/).count(), 0);
    // And what happens from now on.
    await runIn(page, '10 ms');
    await page.getByRole('row', { name: /run_2.*finished/ }).waitFor();
    await log.getByText('run_2 finished').waitFor();
    const metrics = await server.ask<{ counters: Record<string, number> }>('GET', `/v1/sessions/${name}/metrics`);
    const queue = page.locator('.card', { has: page.getByRole('heading', { name: 'Flush queue', exact: true }) });
    await settled(async () =>
      assert.equal(Number(await queue.getByRole('cell').first().innerText()), metrics.counters.flushQueueEntries),
    );
    assert.deepEqual(complaints, []);
    await close();
    await between.close();
  });
});
