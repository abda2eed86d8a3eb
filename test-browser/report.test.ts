/**
 * The report in a browser: on a desk, on a phone, in the dark and on paper. Pictures and pages stay in `.cache/test-browser`.
 *
 * What is asked of each: nothing on the console, no request but for the file itself, nothing beyond the right edge, and in each plot
 * something drawn, no name over another and none cut off.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { compareExperiment } from '../src/lab/compare/compare.ts';
import { toHtml } from '../src/lab/report/html.ts';
import { hostileText, manyArms, policies, reproduction, scaling, workingSet } from '../test/lab/report/experiments.ts';
import { CACHE, keepPicture, openBrowser } from './browser.ts';

const VIEWS: Record<string, BrowserContextOptions & { print?: boolean }> = {
  desk: { viewport: { width: 1280, height: 900 } },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  // A4 without its margins, at 96 dots to the inch.
  paper: { viewport: { width: 703, height: 1015 }, print: true },
};

interface Opened {
  page: Page;
  /** On the console, or thrown. */
  complaints: string[];
  requests: string[];
  close(): Promise<void>;
}

interface TextBox {
  text: string;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Pixels by which boxes may touch: a box is taller than its letters. */
const TOUCH = 3;

const overlap = (a: TextBox, b: TextBox) =>
  a.left + TOUCH < b.right && b.left + TOUCH < a.right && a.top + TOUCH < b.bottom && b.top + TOUCH < a.bottom;

describe('the report in a browser', () => {
  let browser: Browser;
  const files: Record<string, string> = {};

  before(async () => {
    browser = await openBrowser();
    const experiments = { policies, scaling, workingSet, manyArms, hostileText };
    for (const [name, make] of Object.entries(experiments)) {
      const data = make();
      const results = compareExperiment(data);
      const html = await toHtml(data, name === 'hostileText' ? { ...results, reproduction } : results);
      files[name] = join(CACHE, `${name}.html`);
      writeFileSync(files[name], html);
    }
  });
  after(() => browser?.close());

  async function open(name: string, view: string): Promise<Opened> {
    const { print = false, ...options } = VIEWS[view]!;
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => requests.push(request.url()));
    if (print) await page.emulateMedia({ media: 'print' });
    await page.goto(pathToFileURL(files[name]!).href);
    return { page, complaints, requests, close: () => context.close() };
  }

  for (const name of ['policies', 'scaling', 'workingSet', 'manyArms', 'hostileText'])
    for (const view of Object.keys(VIEWS))
      it(`shows ${name} (${view})`, async () => {
        const { page, complaints, requests, close } = await open(name, view);
        try {
          await keepPicture(page, `${name}-${view}`);
          assert.deepEqual(complaints, []);
          assert.deepEqual(requests, [pathToFileURL(files[name]!).href]);
          const { scrollWidth, clientWidth } = await page.evaluate(() => {
            const { scrollWidth, clientWidth } = document.documentElement;
            return { scrollWidth, clientWidth };
          });
          assert.ok(scrollWidth <= clientWidth, `${scrollWidth} pixels wide in ${clientWidth}`);
          const beyond = await page.evaluate((paper) => {
            const edge = document.documentElement.clientWidth + 1;
            // On a screen a table scrolls inside of its own region.
            const all = [...document.querySelectorAll(paper ? 'table, svg, pre, p' : '.scroll, pre, p, li')];
            return all
              .filter((each) => each.getBoundingClientRect().right > edge)
              .map((each) => each.outerHTML.slice(0, 200));
          }, view === 'paper');
          assert.deepEqual(beyond, []);
          const scripts = await page.evaluate(() => document.querySelectorAll('script').length);
          assert.equal(scripts, 0);
        } finally {
          await close();
        }
      });

  for (const name of ['policies', 'scaling', 'workingSet', 'manyArms', 'hostileText'])
    it(`has names that can be read in each plot of ${name}`, async () => {
      const { page, close } = await open(name, 'desk');
      try {
        const plots = await page.evaluate(() =>
          [...document.querySelectorAll('figure svg')].map((svg) => {
            const edge = svg.getBoundingClientRect();
            const boxOf = (each: Element) => {
              const { left, right, top, bottom } = each.getBoundingClientRect();
              return { text: each.textContent ?? '', left, right, top, bottom };
            };
            return {
              id: svg.querySelector('title')!.id,
              edge: { text: '', left: edge.left, right: edge.right, top: edge.top, bottom: edge.bottom },
              texts: [...svg.querySelectorAll('text')].map(boxOf),
              shapes: [...svg.querySelectorAll('path, rect, polyline, line, circle')].length,
            };
          }),
        );
        assert.ok(plots.length > 0);
        for (const { id, edge, texts, shapes } of plots) {
          assert.ok(shapes > 8, `${id} is empty`);
          for (const [i, box] of texts.entries()) {
            const inside =
              box.left >= edge.left - 1 &&
              box.right <= edge.right + 1 &&
              box.top >= edge.top - 1 &&
              box.bottom <= edge.bottom + 1;
            assert.ok(inside, `${id}: "${box.text}" is cut off`);
            const over = texts.slice(i + 1).find((other) => overlap(box, other));
            assert.equal(over, undefined, `${id}: "${box.text}" lies over "${over?.text}"`);
          }
        }
      } finally {
        await close();
      }
    });

  it('prints to pages of which none is cut off', async () => {
    const { page, close } = await open('policies', 'paper');
    try {
      const pdf = await page.pdf({
        path: join(CACHE, 'policies.pdf'),
        preferCSSPageSize: true,
        printBackground: false,
      });
      assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
      assert.ok((pdf.toString('latin1').match(/\/Type\s*\/Page\b/g) ?? []).length >= 2);
    } finally {
      await close();
    }
  });
});
