/** The picture of an IOVA space in a browser: every function, with mouse, keys and fingers. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
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

/** Waits until the address says so: it follows what was done in a task of its own, which on a busy machine may come late. */
const placedAt = (page: Page, wanted: Record<string, string>) =>
  page.waitForFunction((query) => {
    const place = new URLSearchParams(location.hash.split('?')[1] ?? '');
    return Object.entries(query).every(([name, value]) => place.get(name) === value);
  }, wanted);
const placeOf = (page: Page) => new URLSearchParams(page.url().split('?')[1] ?? '');
const map = (page: Page) => page.getByRole('application');
/** Cells that are drawn in another colour than the one in the middle of the free ones. */
const drawn = (page: Page) =>
  page.evaluate(() => {
    const canvas = document.querySelector('.space-map canvas') as HTMLCanvasElement;
    // The browser warns of a canvas that is read more than once: a copy is.
    const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
    const to = copy.getContext('2d')!;
    to.drawImage(canvas, 0, 0);
    const { data } = to.getImageData(0, 0, copy.width, copy.height);
    const colours = new Set<number>();
    for (let at = 0; at < data.length; at += 4) colours.add((data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!);
    return colours.size;
  });

describe('the IOVA space in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard()]);
    await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'lkml' });
    await server.ask('POST', '/v1/sessions', { name: 'empty' });
    await server.ask('POST', '/v1/sessions', { name: 'wide', domains: [{ name: 'vm', levels: 5 }, { name: 'dma' }] });
    for (const iova of ['0x100000', '0x4000000000', '0x1ffff0000000000'])
      await server.ask('POST', '/v1/sessions/wide/domains/vm/iommu-map', {
        iova,
        physicalAddress: '0x1000000',
        lengthBytes: 8192,
        access: 'rw',
      });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const view of ['desk', 'dark', 'phone'] as View[])
    it(`moves while the session runs, and goes back in time (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/sessions/lkml/space?rate=10', view);
      await map(page).waitFor();
      const looks = async () => Number(await page.locator('#space-time').getAttribute('max'));
      const idle = async () => {
        while ((await server.ask<{ state: string }>('GET', '/v1/sessions/lkml')).state !== 'idle')
          await page.waitForTimeout(50);
      };
      // How many looks there are of one run depends on how fast it is.
      for (let runs = 0; runs < 20 && (await looks()) < 3; runs++) {
        await idle();
        await page.getByRole('button', { name: 'Run 20 ms' }).click();
        await page.waitForTimeout(400);
      }
      await page.getByRole('button', { name: 'In use' }).click();
      await page.waitForFunction(() =>
        /live/.test(document.querySelector('[role=application]')?.getAttribute('aria-label') ?? ''),
      );
      await settled(async () => assert.ok((await drawn(page)) > 4, 'free cells, used ones and letters'));
      const label = (await map(page).getAttribute('aria-label'))!;
      assert.match(label, /pages in \d[\d,]* cells of 4\u202fKiB\. Pages: .*live.* is free\./);
      await idle();
      await page.getByRole('button', { name: 'Run 20 ms' }).click();
      await idle();
      await settled(async () => assert.ok((await looks()) >= 3, `${await looks()} looks are kept`));
      await page.getByRole('button', { name: 'Pause' }).click();
      await settled(async () => {
        await page.locator('#space-time').fill('0');
        assert.match((await page.locator('#space-time').getAttribute('aria-valuetext'))!, /look 1 of/);
      });
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `space-${view}`);
      await page.getByRole('button', { name: 'Play' }).click();
      await page.getByLabel('Outline changes').check();
      await page.getByLabel('Looks a second').selectOption('2');
      await placedAt(page, { outline: 'on', rate: '2' });
      assert.deepEqual(complaints, []);
      await close();
    });

  it('is zoomed and moved by buttons, keys, wheel and drag, and the address keeps where it is', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions/lkml/space');
    await map(page).waitFor();
    await placedAt(page, { shift: '0' });
    const at = () => `${placeOf(page).get('at')} ${placeOf(page).get('shift')}`;
    const begun = at();
    await page.getByRole('button', { name: 'Zoom out' }).click();
    await placedAt(page, { shift: '1' });
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await placedAt(page, { shift: '0' });
    await page.getByRole('button', { name: 'To lower addresses' }).click();
    await settled(() => assert.notEqual(at(), begun));
    await page.getByRole('button', { name: 'To higher addresses' }).click();
    await page.getByRole('button', { name: 'All' }).click();
    await placedAt(page, { at: '0x0' });
    await settled(() => assert.ok(Number(placeOf(page).get('shift')) > 20, 'all of 48 bits'));
    await page.getByRole('button', { name: 'In use' }).click();
    await placedAt(page, { shift: '0' });
    await page.getByRole('button', { name: /0xfee00000/ }).click();
    await placedAt(page, { at: '0xfee00000' });
    await page.getByRole('button', { name: 'In use' }).click();

    await map(page).focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('End');
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    await page.locator('.space-readout').getByText('0xffc40000', { exact: true }).waitFor();
    await page.keyboard.press('Backspace');
    await placedAt(page, { shift: '3' });
    await page.keyboard.press('Enter');
    await placedAt(page, { shift: '0' });
    const before = at();
    await page.keyboard.press('PageDown');
    await page.keyboard.press('PageUp');
    await placedAt(page, { shift: '0' });
    await page.keyboard.press('PageUp');
    await settled(() => assert.notEqual(at(), before));

    const box = (await page.locator('.space-map canvas').boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + 100);
    await page.mouse.wheel(0, 200);
    await placedAt(page, { shift: '1' });
    const still = at();
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + 250, { steps: 6 });
    await page.mouse.up();
    await settled(() => assert.notEqual(at(), still));
    await page.mouse.dblclick(box.x + box.width / 2, box.y + 100);
    await placedAt(page, { shift: '0' });
    const link = page.url();
    await page.goto('about:blank');
    await page.goto(link);
    await map(page).waitFor();
    await page.waitForFunction(() =>
      (document.querySelector('[role=application]')?.getAttribute('aria-label') ?? '').includes('cells of 4'),
    );
    await settled(() => assert.equal(page.url(), link));
    assert.deepEqual(complaints, []);
    await close();
  });

  it('tells of the page under the pointer who mapped it and since when', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions/lkml/space');
    await page.waitForFunction(() =>
      /live/.test(document.querySelector('[role=application]')?.getAttribute('aria-label') ?? ''),
    );
    await placedAt(page, { shift: '0' });
    await map(page).focus();
    // From the last page below 4 GiB, which is mapped first, backwards to one that is mapped.
    const { items } = await server.ask<{ items: { iova: string }[] }>('GET', '/v1/sessions/lkml/mappings?limit=1');
    const first = Number.parseInt(placeOf(page).get('at')!.slice(2), 16);
    const cell = (Number(items[0]!.iova) - first) / 4096;
    for (let row = 0; row < Math.floor(cell / 64); row++) await page.keyboard.press('ArrowDown');
    for (let column = 0; column < cell % 64; column++) await page.keyboard.press('ArrowRight');
    await page.locator('.space-readout').getByText('mapped', { exact: true }).waitFor();
    const text = await page.locator('.space-readout').innerText();
    assert.match(text, /map_\d+_\d+ of dev_\d/);
    assert.match(text, /ago, at/);
    assert.match(text, /by the page table/);
    assert.deepEqual(complaints, []);
    await close();
  });

  it('is found in a space of 57 bits, domain by domain, and says so of a session without any', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions/wide/space');
    await page.getByRole('button', { name: /0x4000000000/ }).click();
    await page.waitForFunction(() =>
      /2 live/.test(document.querySelector('[role=application]')?.getAttribute('aria-label') ?? ''),
    );
    await page.getByRole('button', { name: /0x1ffff0000000000/ }).click();
    await page.waitForFunction(() => location.hash.includes('at=0x1ffff'));
    await page.waitForFunction(() =>
      /2 live/.test(document.querySelector('[role=application]')?.getAttribute('aria-label') ?? ''),
    );
    await assertFits(page);
    await page.getByLabel('Domain').selectOption({ label: 'dma' });
    await page.waitForFunction(() =>
      /Nothing is used|free/.test(document.querySelector('[role=application]')?.getAttribute('aria-label') ?? ''),
    );
    await page.goto(`${server.address}/#/sessions/empty/space`);
    await page.getByText('no domain yet').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('is moved by fingers', async () => {
    const { page, context, complaints, close } = await openPage(browser, server, '/sessions/lkml/space', 'phone');
    await page.waitForFunction(() => location.hash.includes('shift=0'));
    await page.locator('.space-map canvas').scrollIntoViewIfNeeded();
    const box = (await page.locator('.space-map canvas').boundingBox())!;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 3];
    await page.touchscreen.tap(x, y);
    await page.locator('.space-readout').waitFor();
    const devTools = await context.newCDPSession(page);
    const touch = (type: string, points: [number, number][]) =>
      devTools.send('Input.dispatchTouchEvent', {
        type: type as 'touchStart',
        touchPoints: points.map(([px, py], id) => ({ x: px, y: py, id })),
      });
    await touch('touchStart', [
      [x - 60, y],
      [x + 60, y],
    ]);
    for (const apart of [50, 40, 30, 20])
      await touch('touchMove', [
        [x - apart, y],
        [x + apart, y],
      ]);
    await touch('touchEnd', []);
    await page.waitForFunction(() => !location.hash.includes('shift=0'));
    assert.deepEqual(complaints, []);
    await close();
  });
});
