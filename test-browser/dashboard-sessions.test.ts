/** The list of sessions and the form of a new one, in a browser: every function, on a desk and on a phone. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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

describe('sessions in a browser', () => {
  let browser: Browser;
  let server: DashboardServer;

  before(async () => {
    [browser, server] = await Promise.all([openBrowser(), startDashboard()]);
    await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'lkml', title: 'The argument of 2008' });
    const guest = { policy: { invalidation: { kind: 'flush-queue' } }, iommu: { invalidation: { cachingMode: true } } };
    await server.ask('POST', '/v1/sessions', { name: 'guest', ...guest });
    await server.ask('POST', '/v1/sessions', { name: 'strict-nic', policy: { invalidation: { kind: 'strict' } } });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const view of ['desk', 'dark', 'phone'] as View[]) {
    it(`lists them with what is asked for and what is in force (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/sessions', view);
      await page.getByRole('link', { name: 'lkml' }).waitFor();
      await settled(async () => assert.equal(await page.title(), 'Sessions · iommu-lab'));
      const row = page.getByRole('row', { name: /guest/ });
      assert.match(await row.innerText(), /rbtree-2008 \+ strict[\s\S]*requested rbtree-2008 \+ flush-queue/);
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `sessions-${view}`);
      assert.deepEqual(complaints, []);
      await close();
    });

    it(`has a form of all kinds of the catalog, and the same as JSON (${view})`, async () => {
      const { page, complaints, close } = await openPage(browser, server, '/new', view);
      await page.getByText('In force as requested.').waitFor();
      await page.getByLabel('Allocator', { exact: true }).selectOption('rcache');
      await page.getByLabel('depotMax').fill('16');
      await page.getByLabel('Invalidation', { exact: true }).selectOption('flush-queue');
      await page.getByLabel('mode', { exact: true }).selectOption('bounce');
      await page.getByLabel('poolBytes').fill('32 MiB');
      await page.getByRole('button', { name: 'Change them' }).last().click();
      await page.getByLabel('gbps').first().fill('line-rate');
      await page.getByLabel('gbps').first().blur();
      await page
        .getByText(/\d+ more members/)
        .first()
        .click();
      await page.getByLabel('recycle').first().selectOption('page-pool');
      await page.getByText('Lies idle in bounce').first().waitFor();
      await assertFits(page);
      await assertAccessible(page);
      await picture(page, `new-${view}`);
      await page.getByRole('link', { name: 'JSON' }).click();
      await settled(async () => {
        const spec = JSON.parse(await page.getByRole('textbox', { name: 'Spec' }).inputValue());
        assert.deepEqual(spec.policy, {
          mode: 'bounce',
          bounce: { poolBytes: 33_554_432 },
          allocator: { kind: 'rcache', depotMax: 16 },
          invalidation: { kind: 'flush-queue' },
        });
        assert.equal(spec.workloads[0].gbps, 'line-rate');
        assert.equal(spec.workloads[0].recycle, 'page-pool');
        assert.equal(spec.workloads.length, 4);
      });
      await page.getByRole('textbox', { name: 'Spec' }).fill('{"preset": "thread-2008", "machine": {"cpus": 4}}');
      await assertFits(page);
      await assertAccessible(page);
      await page.getByRole('link', { name: 'Form' }).click();
      await settled(async () => assert.equal(await page.getByLabel('cpus', { exact: true }).first().inputValue(), '4'));
      assert.deepEqual(complaints, []);
      await close();
    });
  }

  it('filters by the members of the API, and the address keeps them', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/sessions');
    await page.getByRole('link', { name: 'lkml' }).waitFor();
    await page.getByLabel('Invalidation').selectOption('strict');
    await page.getByRole('link', { name: 'lkml' }).waitFor({ state: 'detached' });
    await settled(() => assert.match(page.url(), /#\/sessions\?invalidation=strict$/));
    await page.reload();
    await page.getByRole('link', { name: 'strict-nic' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'lkml' }).count(), 0);
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByLabel('Name', { exact: true }).fill('gue*');
    await page.getByLabel('Name', { exact: true }).press('Enter');
    await page.getByRole('link', { name: 'strict-nic' }).waitFor({ state: 'detached' });
    await settled(async () => assert.equal(await page.getByRole('row').count(), 2));
    await page.getByLabel('Name', { exact: true }).fill('nobody');
    await page.getByLabel('Name', { exact: true }).press('Enter');
    await page.getByText('None that fits the filters.').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  it('goes on to the next page of a long list, and back', async () => {
    for (let i = 0; i < 50; i++) await server.ask('POST', '/v1/sessions', { name: `many-${i}` });
    const { page, complaints, close } = await openPage(browser, server, '/sessions');
    await page.getByRole('link', { name: 'lkml' }).waitFor();
    await page.getByRole('link', { name: 'Next 50' }).click();
    await page.getByRole('link', { name: 'many-49', exact: true }).waitFor();
    await settled(async () => assert.equal(await page.getByRole('row').count(), 4));
    await page.getByRole('button', { name: 'Back' }).click();
    await page.getByRole('link', { name: 'lkml' }).waitFor();
    for (let i = 0; i < 50; i++) await server.ask('DELETE', `/v1/sessions/many-${i}`);
    assert.deepEqual(complaints, []);
    await close();
  });

  it('shows what is wrong at the field that has it, in the words of the server, and creates nothing', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/new');
    await page.getByLabel('Allocator', { exact: true }).selectOption('rcache');
    await page.getByLabel('maxOrder').fill('99');
    await page.getByLabel('maxOrder').blur();
    const field = page.locator('.field', { has: page.getByLabel('maxOrder') });
    await field.getByText('must be <= 10').waitFor();
    await settled(async () => assert.equal(await page.getByLabel('maxOrder').getAttribute('aria-invalid'), 'true'));
    await picture(page, 'new-problem');
    await page.getByLabel('maxOrder').fill('six');
    await page.getByLabel('maxOrder').blur();
    await field.getByText('is no number').waitFor();
    await page.getByLabel('maxOrder').fill('');
    await page.getByLabel('maxOrder').blur();
    await page.getByLabel('Invalidation', { exact: true }).selectOption('wrap');
    await page
      .locator('.field', { has: page.getByLabel('Invalidation', { exact: true }) })
      .getByText('use a bitmap')
      .waitFor();
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(page.url(), /#\/new/);
    // A browser says of every refused request that it was; nothing else may stand there.
    assert.deepEqual(
      complaints.filter((text) => !/status of 400/.test(text)),
      [],
    );
    await close();
  });

  it('says which policy would be in force, and why, before there is a session', async () => {
    const { page, close } = await openPage(browser, server, '/new');
    await page.getByLabel('Invalidation', { exact: true }).selectOption('flush-queue');
    await page.getByLabel('cachingMode').selectOption('true');
    await page.getByText('strict instead of flush-queue').waitFor();
    await page.getByLabel('kernelCommandLine').fill('amd_iommu=pt');
    await page.getByLabel('kernelCommandLine').blur();
    await page.getByText('no such word').waitFor();
    await assertAccessible(page);
    await picture(page, 'new-downgraded');
    await close();
  });

  it('adds, changes and removes devices and workloads', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/new?spec={}');
    await page.getByRole('button', { name: 'Add a device' }).click();
    await page.getByRole('button', { name: 'Add a workload' }).click();
    await page.getByText('In force as requested.').waitFor();
    await page.getByRole('link', { name: 'JSON' }).click();
    const saysSpec = (expected: object) =>
      settled(async () =>
        assert.deepEqual(JSON.parse(await page.getByRole('textbox', { name: 'Spec' }).inputValue()), expected),
      );
    await saysSpec({
      devices: [{ name: 'device0', kind: 'nic' }],
      workloads: [{ name: 'workload0', kind: 'nic-rx', device: 'device0' }],
    });
    await page.getByRole('link', { name: 'Form' }).click();
    await page.getByLabel('kind', { exact: true }).last().selectOption('hostile');
    await page.getByLabel('accessesPerUs').fill('2');
    await page.getByRole('button', { name: 'Remove device0' }).click();
    await page.getByRole('link', { name: 'JSON' }).click();
    await saysSpec({
      devices: [],
      workloads: [{ name: 'workload0', kind: 'hostile', device: 'device0', accessesPerUs: 2 }],
    });
    await page
      .getByText(/device0/)
      .last()
      .waitFor();
    assert.deepEqual(
      complaints.filter((text) => !/status of 400/.test(text)),
      [],
    );
    await close();
  });

  it('creates one, forks it, keeps it, exports it, imports what was exported, and deletes it', async () => {
    const { page, complaints, close } = await openPage(browser, server, '/new');
    await page.getByLabel('name', { exact: true }).first().fill('made');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'made', level: 1 }).waitFor();
    assert.match(page.url(), /#\/sessions\/made$/);

    await page.getByRole('link', { name: 'Sessions', exact: true }).click();
    await page.getByRole('button', { name: 'Fork made' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('forked');
    await page.getByRole('dialog').getByRole('button', { name: 'Fork' }).click();
    await page.getByRole('heading', { name: 'forked', level: 1 }).waitFor();

    await page.getByRole('link', { name: 'Sessions', exact: true }).click();
    await page.getByRole('button', { name: 'Snapshot made' }).click();
    await page.getByText('A snapshot was taken').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export made' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'made.snapshot.json');
    const file = await download.path();
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).format, 'iommu-lab/snapshot');
    // The one that was asked for and that of the fork; not that of the file, which is deleted once it is there.
    await settled(async () => {
      const kept = await server.ask<{ items: unknown[] }>('GET', '/v1/sessions/made/snapshots');
      assert.equal(kept.items.length, 2);
    });

    const before = (await server.ask<{ items: unknown[] }>('GET', '/v1/sessions')).items.length;
    await page.getByLabel('A snapshot file').setInputFiles(file);
    await page.getByText('was made from').waitFor();
    assert.equal((await server.ask<{ items: unknown[] }>('GET', '/v1/sessions')).items.length, before + 1);

    await page.getByRole('button', { name: 'Delete made' }).click();
    await page.getByRole('button', { name: 'Keep it' }).click();
    assert.equal(await page.getByRole('link', { name: 'made', exact: true }).count(), 1);
    await page.getByRole('button', { name: 'Delete made' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('link', { name: 'made', exact: true }).waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await close();
  });

  it('names what is not there', async () => {
    const { page, close } = await openPage(browser, server, '/nowhere');
    await page.getByRole('heading', { name: 'Not here' }).waitFor();
    await page.goto(`${server.address}/#/sessions/nobody`);
    await page.getByRole('alert').filter({ hasText: 'No such session' }).waitFor();
    await assertAccessible(page);
    await close();
  });
});
