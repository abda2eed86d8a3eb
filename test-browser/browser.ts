/** Debian's Chromium, driven without a download: what is looked at is what a reader's browser shows. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';

const PROGRAM = process.env.IOMMU_LAB_CHROMIUM ?? '/usr/bin/chromium';

/** Pictures and the files that they are of; for who wants to look at them. */
export const CACHE = join(fileURLToPath(new URL('..', import.meta.url)), '.cache', 'test-browser');

/** Points of CSS. To draw all that is below takes a second a picture; whoever wants to see it has the page itself. */
export const HIGHEST_PICTURE = 6_000;

/** A page from its top, a point of CSS a dot: a PNG of four dots a point, as a phone has them, takes ten times as long to make. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const { width, height } = await page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return { width: scrollWidth, height: scrollHeight };
  });
  await page.screenshot({
    path: join(CACHE, `${name}.jpg`),
    type: 'jpeg',
    scale: 'css',
    fullPage: true,
    clip: { x: 0, y: 0, width, height: Math.min(height, HIGHEST_PICTURE) },
  });
}

export async function openBrowser(): Promise<Browser> {
  if (!existsSync(PROGRAM))
    throw new Error(`There is no browser at ${PROGRAM}. Install it: apt-get install -y chromium`);
  mkdirSync(CACHE, { recursive: true });
  // A container has neither the kernel's sandbox nor a /dev/shm that is large enough; the pages are our own.
  return chromium.launch({
    executablePath: PROGRAM,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
}
