/**
 * The Wi-Fi device that went on writing, from the lines that a person recorded to the answer, all over HTTP: what the recording says of
 * itself, what each policy would have done, and an experiment that sets them side by side.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FastifyInstance, fastify } from 'fastify';
import { registerRoutes } from '../../routes/index.ts';
import type { SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import { TraceArchive } from '../../src/trace/archive/archive.ts';
import { type CheckedInject, checkedInject } from '../contract/conformance.ts';

const LINES = readFileSync(new URL('../trace/recordings/ath12k.txt', import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
let host: SessionHost;
let traces: TraceArchive;
let app: FastifyInstance;
let inject: CheckedInject;

before(async () => {
  host = await createHost({ workers: 1, traces: folder });
  traces = new TraceArchive({ folder, hasSession: (session) => host.ownerOf(session) !== null });
  app = fastify();
  await registerRoutes(app, { host, traces });
  await app.ready();
  inject = checkedInject(app);
  const headers = { 'content-type': 'text/plain' };
  await app.inject({ method: 'POST', url: '/v1/traces?name=ath12k', headers, payload: LINES });
  const { state, digest } = await ended('/v1/traces/ath12k');
  assert.equal(state, 'ready');
  assert.match(digest, /^[0-9a-f]{64}$/);
});
after(async () => {
  await app.close();
  await traces.close();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

async function call(method: 'GET' | 'POST', url: string, body?: object) {
  const reply = await inject({ method, url, ...(body === undefined ? {} : { payload: body }) });
  assert.ok(reply.statusCode < 300, `${method} ${url}: ${reply.statusCode} ${reply.body}`);
  return reply.json();
}

async function ended(url: string) {
  for (;;) {
    const document = await call('GET', url);
    if (document.endedAt !== null) return document;
    await sleep(10);
  }
}

/** A run that has not ended has a result as well: the part so far. */
async function finished(url: string) {
  for (;;) {
    const run = await call('GET', url);
    if (run.state !== 'running') return run;
    await sleep(10);
  }
}

const specOf = (invalidation: string, order: string) => ({
  policy: { allocator: { kind: 'rcache' }, invalidation: { kind: invalidation } },
  devices: [{ name: 'wifi', kind: 'replay' }],
  workloads: [{ kind: 'replay', device: 'wifi', trace: 'ath12k', accesses: [{ rule: 'every-page', order }] }],
});

interface Fault {
  iova: string;
  access: string;
  forensics: { lastMap: unknown; lastUnmap: { sinceNs: number } };
}

/** What became of the recorded write: its verdicts and the faults on record. */
async function story(invalidation: string, order: string) {
  const { id } = await call('POST', '/v1/sessions', specOf(invalidation, order));
  const { id: run } = await call('POST', `/v1/sessions/${id}/runs`, { forNs: 400e9 });
  const { result } = await finished(`/v1/sessions/${id}/runs/${run}`);
  const { replay, verdicts } = result.workloads[0];
  assert.deepEqual(replay.accesses, { recorded: 0, faults: 1, synthesised: 128 });
  assert.ok(replay.finished);
  const faults: Fault[] = (await call('GET', `/v1/sessions/${id}/faults`)).items;
  return { fault: verdicts.fault, stale: verdicts.stale, faults };
}

describe('the Wi-Fi device over HTTP', () => {
  it('is told by the recording itself: the pair of lines, and 6.176 ms', async () => {
    const { faults, items } = await call('GET', '/v1/traces/ath12k/forensics');
    assert.equal(faults, 1);
    const [item] = items;
    assert.equal(item.verdict, 'use after unmap');
    assert.deepEqual([item.lastMap.lines, item.lastUnmap.lines, item.lastUnmap.sinceNs], [[1, 2], [3, 4], 6_176_000]);
    assert.match(item.text.join(' '), /0000:c2:00\.0 wrote to 0xfe980000 6\.176 ms after .* use after unmap/);
    assert.match(item.text.join(' '), /lazy policy flush-queue the IOMMU would have let it through/);
  });

  for (const order of ['ascending', 'descending'])
    it(`faults 6.2 ms after the unmap under a strict policy, whatever was touched last: ${order}`, async () => {
      const { fault, stale, faults } = await story('strict', order);
      assert.deepEqual([fault, stale, faults.length], [1, 0, 1]);
      const [{ iova, access, forensics }] = faults as [Fault];
      assert.deepEqual([BigInt(iova) % 4096n, access], [0n, 'write']);
      assert.ok(forensics.lastMap !== null);
      assert.equal((forensics.lastUnmap.sinceNs / 1e6).toFixed(1), '6.2');
    });

  it('is let through by a lazy one when that page was touched last, and nobody hears of it', async () => {
    assert.deepEqual(await story('flush-queue', 'descending'), { fault: 0, stale: 1, faults: [] });
  });

  it('faults under a lazy one, too, when other pages were', async () => {
    const { fault, stale, faults } = await story('flush-queue', 'ascending');
    assert.deepEqual([fault, stale, faults.length], [1, 0, 1]);
    assert.equal((faults[0]!.forensics.lastUnmap.sinceNs / 1e6).toFixed(1), '6.2');
  });

  it('is an experiment: each policy with what it lets through', async () => {
    const { id } = await call('POST', '/v1/experiments', {
      base: specOf('strict', 'descending'),
      vary: { 'policy.invalidation.kind': ['strict', 'flush-queue'] },
      until: { ns: 400e9 },
      seeds: [1],
      control: false,
    });
    await ended(`/v1/experiments/${id}`);
    const { arms, failures } = await call('GET', `/v1/experiments/${id}/results`);
    assert.deepEqual(failures, []);
    assert.deepEqual(
      arms.map(({ label, exposure }: { label: string; exposure: Record<string, { median: number }> }) => [
        label,
        exposure.attemptsAfterUnmap!.median,
        exposure.staleAccesses!.median,
      ]),
      [
        ['strict', 1, 0],
        ['flush-queue', 1, 1],
      ],
    );
  });
});
