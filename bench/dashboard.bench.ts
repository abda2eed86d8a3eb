/**
 * What a live page costs a browser: 20 charts, all of them seen, of a session that runs, with ten frames of metrics a second and all that
 * happens in the log. Main-thread work by frame, from a trace of Debian's Chromium; the aim is 8 ms in each.
 *
 * `npm run bench -- dashboard`; needs a browser, so it is run on demand. Server and browser share the machine: what a frame costs on the
 * wall has the server's share in it where there are fewer than four cores.
 */
import type { Browser } from 'playwright-core';
import { openBrowser } from '../test-browser/browser.ts';
import { openPage, startDashboard } from '../test-browser/dashboard-place.ts';
import { AIM_MS, frameWork, type Spread } from './dashboard/trace.ts';

/** Beside the eleven that are always there. */
const COUNTERS = [
  'nodesVisited',
  'liveMappings',
  'mappedBytes',
  'framesInUse',
  'entriesFlushed',
  'memoryReferences',
  'dmaPieces',
  'iotlbEvictions',
  'faults',
];
const CATEGORIES = [
  'toplevel',
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'disabled-by-default-devtools.timeline.frame',
  // Which call was made behind another: what draws elements is.
  'v8',
];
/** Everything on the screen at once, as on a large display: what is not seen is not drawn. */
const VIEWPORT = { width: 2560, height: 3200 };

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const server = await startDashboard();
  const browser = await openBrowser();
  try {
    await measure(browser, server, smoke);
  } finally {
    await browser.close();
    await server.close();
  }
}

async function measure(
  browser: Browser,
  server: Awaited<ReturnType<typeof startDashboard>>,
  smoke: boolean,
): Promise<void> {
  const seconds = smoke ? 3 : 20;
  await server.ask('POST', '/v1/sessions', { preset: 'thread-2008', name: 'busy' });
  await server.ask('POST', '/v1/sessions/busy/runs', { forNs: 3_600e9 });
  const place = `/sessions/busy?charts=${COUNTERS.join()}`;
  const { page, close } = await openPage(browser, server, place, 'desk', { viewport: VIEWPORT });
  await page.getByText('stream live').waitFor();
  // Charts fill, code is compiled.
  await page.waitForTimeout(smoke ? 2_000 : 15_000);
  const charts = await page.locator('.plot').count();
  const shown = await page.evaluate(
    () =>
      [...document.querySelectorAll('.plot')].filter((each) => each.getBoundingClientRect().bottom <= innerHeight)
        .length,
  );
  await browser.startTracing(page, { categories: CATEGORIES });
  await page.waitForTimeout(seconds * 1_000);
  const work = frameWork(await browser.stopTracing());
  await server.ask('DELETE', '/v1/sessions/busy');
  await close();
  console.log(`   ${charts} charts, ${shown} of them seen, 10 frames of metrics a second, ${seconds} s`);
  console.log(`   ${work.perSecond.toFixed(1)} frames a second shown`);
  console.log(`   main thread a frame, processor   ${inWords(work.cpuMs)}`);
  console.log(`   without the collector's tasks     ${inWords(work.pageMs)}`);
  console.log(`   main thread a frame, wall        ${inWords(work.wallMs)}`);
  console.log('   the twentieth of frames with the most work, and all, mean ms of processor a frame');
  for (const { kind, worstMs, allMs } of work.kinds)
    console.log(`     ${kind.padEnd(30)} ${worstMs.toFixed(2).padStart(6)} ${allMs.toFixed(2).padStart(6)}`);
  console.log(`   frames over ${AIM_MS} ms of processor: ${work.over.length} of ${work.frames}`);
  for (const { cpuMs, lengthMs, kind, kindMs } of work.over)
    console.log(`     ${cpuMs.toFixed(2)} ms in ${lengthMs.toFixed(1)} ms, of which ${kindMs.toFixed(2)} ${kind}`);
  console.log(`   without the collector's tasks: ${work.pageOver}`);
  const { tasks, ms } = work.clipped;
  console.log(`   tasks with more time of the processor than of the wall: ${tasks}, ${ms.toFixed(1)} ms left out`);
}

function inWords({ p50, p95, p99, max }: Spread): string {
  return `p50 ${p50.toFixed(2)}  p95 ${p95.toFixed(2)}  p99 ${p99.toFixed(2)}  max ${max.toFixed(2)} ms`;
}
