/** How long others wait while one session computes: a long run, and a linear search through a tree of a million mappings. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { Api, ReplyLines } from './service/api.ts';
import { startServer } from './service/children.ts';
import { type Probe, probe, showLatencies, smallSession } from './service/probes.ts';

const AIM_MS = 50;
/** Longer than any bench: the run is cancelled. Simulated nanoseconds. */
const LONG_NS = 1e14;

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const timetable = smoke ? { seconds: 0.4, perSecond: 50 } : { seconds: 5, perSecond: 50 };
  console.log(`Latency while a session computes, aim ${AIM_MS} ms at p99`);
  for (const workers of [1, 2]) await whileRunning(workers, timetable, smoke ? 3 : 30);
  await whileSearching(timetable, smoke ? 24 : 32);
}

const PAGE_BYTES = 4096;
/** The pages of interrupt messages, which no mapping gets: 0xfee00000 to 0xfeefffff. */
const MSI_FIRST = 0xfee00;
const MSI_LAST = 0xfeeff;
/** Of the order in which pages are given back. */
const SEED = 2008;

type Timetable = { seconds: number; perSecond: number };

async function withServer(workers: number, play: (api: Api) => Promise<void>): Promise<void> {
  const server = await startServer(['--workers', String(workers)]);
  const api = new Api(server.port);
  try {
    await play(api);
  } finally {
    api.close();
    await server.stop();
  }
}

/** A request that no worker has to answer: how long it waits is what the machine and the client make of it. */
function control(api: Api): Probe {
  return { name: 'no session asked', send: () => api.call('GET', '/v1') };
}

async function measured(where: string, probes: readonly Probe[], timetable: Timetable): Promise<void> {
  const latencies = await probe(probes, timetable);
  for (const [i, { name }] of probes.entries()) showLatencies(`${where}: ${name}`, latencies[i]!);
}

/** Sessions go to the worker with the fewest: with two workers the second session has one for itself. */
async function whileRunning(workers: number, timetable: Timetable, cancels: number): Promise<void> {
  await withServer(workers, async (api) => {
    await api.call('POST', '/v1/sessions', { name: 'busy', preset: 'thread-2008' });
    const other = await smallSession(api, 'other');
    const start = () => api.call('POST', '/v1/sessions/busy/runs', { forNs: LONG_NS });
    const { id } = await start();
    const own: Probe[] = [
      { name: 'metrics of the running session', send: () => api.call('GET', '/v1/sessions/busy/metrics') },
      { name: 'its run', send: () => api.call('GET', `/v1/sessions/busy/runs/${id}`) },
    ];
    const where = workers === 1 ? 'run, same worker' : 'run, other worker';
    await measured(where, [...(workers === 1 ? own : []), ...other.probes, control(api)], timetable);
    await api.call('DELETE', `/v1/sessions/busy/runs/${id}`);
    if (workers > 1) return;
    const latencies: number[] = [];
    for (let nth = 0; nth < cancels; nth++) {
      const run = await start();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const begin = performance.now();
      await api.call('DELETE', `/v1/sessions/busy/runs/${run.id}`);
      latencies.push(performance.now() - begin);
    }
    showLatencies(`${where}: cancel`, latencies);
  });
}

/**
 * Every page that the device can address is mapped. The highest is given back and two in a row are asked for: the tree is walked
 * from end to end, and nothing is found. Then the page is mapped again, and so on. Before, all were given back once in random
 * order, so that the neighbours of a node lie anywhere in memory, as they do in a kernel that has been up for a while.
 */
async function whileSearching(timetable: Timetable, dmaMaskBits: number): Promise<void> {
  await withServer(1, async (api) => {
    await api.call('POST', '/v1/sessions', {
      name: 'tree',
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'nic0', kind: 'custom', dmaMaskBits }],
    });
    const other = await smallSession(api, 'other');
    const pages = 2 ** (dmaMaskBits - 12);
    await fill(api, pages);
    await empty(api, pages);
    const mappings = await fill(api, pages);
    const searches: number[] = [];
    const before = await nodesVisited(api);
    let measuring = true;
    const searching = (async () => {
      while (measuring) searches.push(await search(api, pages - 1));
    })();
    const own: Probe[] = [
      { name: 'metrics of the searching session', send: () => api.call('GET', '/v1/sessions/tree/metrics') },
    ];
    await measured('search, same worker', [...own, ...other.probes, control(api)], timetable);
    measuring = false;
    await searching;
    const nodes = Math.round(((await nodesVisited(api)) - before) / searches.length);
    showLatencies(`one search: ${nodes} nodes of ${mappings} mappings`, searches);
  });
}

async function nodesVisited(api: Api): Promise<number> {
  return (await api.call('GET', '/v1/sessions/tree/allocator?domain=dom_0')).nodesVisited as number;
}

/** @returns how many mappings there are when no page is left */
async function fill(api: Api, pages: number): Promise<number> {
  const lines: string[] = [];
  for (let page = 0; page < pages; page++) lines.push(mapLine(page, PAGE_BYTES));
  const replies = new ReplyLines();
  await api.ops('tree', Buffer.from(`${lines.join('\n')}\n`), replies.take);
  const last = replies.last();
  if ((last.problem as { code?: string } | undefined)?.code !== 'iova-exhausted')
    throw new Error(`the space was not filled: ${JSON.stringify(last)}`);
  return replies.count - 1;
}

/** Gives back every page in random order. */
async function empty(api: Api, pages: number): Promise<void> {
  const random = xoroshiro128plus(SEED);
  const order = Array.from({ length: pages - 1 }, (_, at) => at + 1).filter(
    (page) => page < MSI_FIRST || page > MSI_LAST,
  );
  for (let left = order.length - 1; left > 0; left--) {
    const other = uniformInt(random, 0, left);
    [order[left], order[other]] = [order[other]!, order[left]!];
  }
  const replies = new ReplyLines();
  await api.ops('tree', Buffer.from(`${order.map(unmapLine).join('\n')}\n`), replies.take);
  if (replies.last().ok !== true) throw new Error(`the space was not emptied: ${JSON.stringify(replies.last())}`);
}

function unmapLine(page: number): string {
  return `{"op":"unmap","device":"nic0","iova":${page * PAGE_BYTES},"lengthBytes":${PAGE_BYTES},"direction":"to-device"}`;
}

function mapLine(page: number, lengthBytes: number): string {
  return `{"op":"map","device":"nic0","kind":"single","direction":"to-device","physicalAddress":${2 ** 21 + page * PAGE_BYTES},"lengthBytes":${lengthBytes}}`;
}

async function search(api: Api, highest: number): Promise<number> {
  const lines = [unmapLine(highest), mapLine(0, 2 * PAGE_BYTES)];
  const begin = performance.now();
  const replies = new ReplyLines();
  await api.ops('tree', Buffer.from(`${lines.join('\n')}\n`), replies.take, 'continue');
  const took = performance.now() - begin;
  const last = replies.last();
  if ((last.problem as { code?: string } | undefined)?.code !== 'iova-exhausted')
    throw new Error(`the search ended otherwise: ${JSON.stringify(last)}`);
  await api.ops('tree', Buffer.from(`${mapLine(0, PAGE_BYTES)}\n`), () => {});
  return took;
}
