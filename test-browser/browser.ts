/** Debian's Chromium, driven without a download: what is looked at is what a reader's browser shows. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

const PROGRAM = process.env.IOMMU_LAB_CHROMIUM ?? '/usr/bin/chromium';

/** Pictures and the files that they are of; for who wants to look at them. */
export const CACHE = join(fileURLToPath(new URL('..', import.meta.url)), '.cache', 'test-browser');

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
