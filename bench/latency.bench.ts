/** How long others wait while one session computes: a long run, and a linear search through a tree of a million mappings. */
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
  await whileSearching(timetable, smoke ? 22 : 32);
}

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
    await measured(where, workers === 1 ? [...own, ...other.probes] : other.probes, timetable);
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
 * Every page that the device can address is mapped. One of them is given back and two in a row are asked for: the tree is walked
 * from end to end, and nothing is found. Then the page is mapped again, and so on.
 */
async function whileSearching(timetable: Timetable, dmaMaskBits: number): Promise<void> {
  await withServer(1, async (api) => {
    await api.call('POST', '/v1/sessions', {
      name: 'tree',
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'nic0', kind: 'custom', dmaMaskBits }],
    });
    const other = await smallSession(api, 'other');
    const mappings = await fill(api, 2 ** (dmaMaskBits - 12));
    const searches: number[] = [];
    let measuring = true;
    const searching = (async () => {
      while (measuring) searches.push(await search(api));
    })();
    const own: Probe[] = [
      { name: 'metrics of the searching session', send: () => api.call('GET', '/v1/sessions/tree/metrics') },
    ];
    await measured('search, same worker', [...own, ...other.probes], timetable);
    measuring = false;
    await searching;
    showLatencies(`the search itself, ${mappings} mappings`, searches);
  });
}

/** @returns how many mappings there are when no page is left */
async function fill(api: Api, pages: number): Promise<number> {
  const lines: string[] = [];
  for (let page = 0; page < pages; page++) lines.push(mapLine(page, 4096));
  const replies = new ReplyLines();
  await api.ops('tree', Buffer.from(`${lines.join('\n')}\n`), replies.take);
  const last = replies.last();
  if ((last.problem as { code?: string } | undefined)?.code !== 'iova-exhausted')
    throw new Error(`the space was not filled: ${JSON.stringify(last)}`);
  return replies.count - 1;
}

function mapLine(page: number, lengthBytes: number, as = ''): string {
  const label = as === '' ? '' : `,"as":"${as}"`;
  return `{"op":"map","device":"nic0","kind":"single","direction":"to-device","physicalAddress":${2 ** 21 + page * 4096},"lengthBytes":${lengthBytes}${label}}`;
}

async function search(api: Api): Promise<number> {
  // The first mapping has the highest address: once it is gone the search begins there.
  const { items } = (await api.call('GET', '/v1/sessions/tree/mappings?limit=1')) as { items: { id: string }[] };
  const lines = [`{"op":"unmap","mapping":"${items[0]!.id}"}`, mapLine(0, 8192)];
  const begin = performance.now();
  const replies = new ReplyLines();
  await api.ops('tree', Buffer.from(`${lines.join('\n')}\n`), replies.take, 'continue');
  const took = performance.now() - begin;
  const last = replies.last();
  if ((last.problem as { code?: string } | undefined)?.code !== 'iova-exhausted')
    throw new Error(`the search ended otherwise: ${JSON.stringify(last)}`);
  await api.ops('tree', Buffer.from(`${mapLine(0, 4096)}\n`), () => {});
  return took;
}
