/** Every operation of the contract once against the real core in its worker, every reply checked against the contract. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type FastifyInstance, fastify } from 'fastify';
import { registerRoutes } from '../../routes/index.ts';
import { contractOperations } from '../../src/api/contract.ts';
import type { SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import { type CheckedInject, checkedInject } from '../contract/conformance.ts';
import { small } from '../lab/experiments.ts';
import { traffic } from '../trace/lines.ts';

let host: SessionHost;
let folder: string;
let app: FastifyInstance;
let inject: CheckedInject;
/** Method and pattern of each route that succeeded. */
const succeeded = new Set<string>();

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'iommu-lab-'));
  host = await createHost({ workers: 1, journal: { path: join(folder, 'sessions.sqlite'), sync: 'never' } });
  app = fastify();
  app.addHook('onResponse', async (request, reply) => {
    if (reply.statusCode < 300) succeeded.add(`${request.method} ${request.routeOptions.url}`);
  });
  await registerRoutes(app, { host });
  await app.ready();
  inject = checkedInject(app);
});
after(async () => {
  await app.close();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

async function call(status: number, method: Method, url: string, body?: object) {
  const reply = await inject({ method, url, ...(body === undefined ? {} : { payload: body }) });
  assert.equal(reply.statusCode, status, `${method} ${url}: ${reply.body}`);
  return reply.json();
}

describe('a session on the real core', () => {
  const at = '/v1/sessions/lab';

  it('is checked, created, read, listed and renamed', async () => {
    const spec = { name: 'lab', machine: { cpus: 2 }, policy: { allocator: { kind: 'bitmap' } } };
    const resolved = await call(200, 'POST', '/v1/sessions?validateOnly=true', spec);
    assert.equal(resolved.policy.allocator.apertureBytes, 2 ** 32);
    const session = await call(201, 'POST', '/v1/sessions', spec);
    assert.deepEqual((await call(200, 'GET', at)).digest, session.digest);
    assert.equal((await call(200, 'GET', '/v1/sessions?limit=1')).items.length, 1);
    assert.equal((await call(200, 'PATCH', at, { title: 'A laboratory' })).title, 'A laboratory');
    assert.equal((await call(409, 'POST', '/v1/sessions', spec)).code, 'name-taken');
    await call(400, 'POST', '/v1/sessions', { policy: { invalidation: { kind: 'wrap' } } });
  });

  it('tells the sizes of an IOVA space of 57 bits', async () => {
    const spec = { name: 'wide', domains: [{ name: 'five', levels: 5 }] };
    await call(201, 'POST', '/v1/sessions', spec);
    const space = await call(200, 'GET', '/v1/sessions/wide/space?domain=five');
    assert.ok(space.largestFreeBytes > 2 ** 56);
    await call(200, 'DELETE', '/v1/sessions/wide');
  });

  it('says which policy was asked for, which is in force, and why, wherever it is read', async () => {
    const spec = {
      name: 'guest',
      kernelCommandLine: 'iommu.strict=0 intel_iommu=sp_off amd_iommu=pt',
      iommu: { invalidation: { cachingMode: true } },
    };
    const checked = await call(200, 'POST', '/v1/sessions?validateOnly=true', spec);
    assert.deepEqual(checked.iommu.superpages, []);
    assert.equal(checked.policy.invalidation.kind, 'flush-queue');
    const made = await call(201, 'POST', '/v1/sessions', spec);
    const { policy } = made;
    assert.equal(policy.requested.domainType, 'DMA-FQ');
    assert.equal(policy.effective.domainType, 'DMA');
    assert.deepEqual(
      policy.why.map(({ code }: { code: string }) => code),
      ['command-line', 'command-line', 'caching-mode'],
    );
    assert.deepEqual(
      policy.warnings.map(({ option }: { option: string }) => option),
      ['amd_iommu=pt'],
    );
    assert.deepEqual({ ...policy, ...made.spec.policy }, checked.policy);
    assert.deepEqual((await call(200, 'GET', '/v1/sessions/guest')).policy, policy);
    assert.deepEqual((await call(200, 'GET', '/v1/sessions')).items.at(-1).policy, policy);
    const again = await call(201, 'POST', '/v1/sessions', { ...made.spec, name: 'again' });
    assert.equal(again.digest, made.digest);
    assert.deepEqual(again.policy, policy);
    const outright = await call(201, 'POST', '/v1/sessions', {
      iommu: { invalidation: { cachingMode: true }, superpages: [] },
      policy: { invalidation: { kind: 'DMA' } },
    });
    assert.equal(outright.digest, made.digest);
    for (const { id } of [made, again, outright]) await call(200, 'DELETE', `/v1/sessions/${id}`);
  });

  it('says it of a domain and a device, when an untrusted one comes', async () => {
    const { id } = await call(201, 'POST', '/v1/sessions', { policy: { invalidation: { kind: 'DMA-FQ' } } });
    const nic = await call(201, 'POST', `/v1/sessions/${id}/devices`, { kind: 'nic' });
    const dock = await call(201, 'POST', `/v1/sessions/${id}/devices`, { kind: 'nic', untrusted: true });
    assert.deepEqual([nic.policy.domainType, dock.policy.domainType], ['DMA-FQ', 'DMA']);
    const domain = await call(200, 'GET', `/v1/sessions/${id}/domains/${dock.domain}`);
    assert.deepEqual(domain.policy, dock.policy);
    const { policy } = await call(200, 'GET', `/v1/sessions/${id}`);
    assert.deepEqual(policy.domains, [{ domain: dock.domain, ...dock.policy }]);
    assert.equal(policy.why[0].code, 'untrusted');
    assert.deepEqual((await call(200, 'POST', `/v1/sessions/${id}/reset`)).policy.domains, []);
    await call(400, 'POST', '/v1/sessions', { policy: { mode: 'translate', invalidation: { kind: 'identity' } } });
    await call(200, 'DELETE', `/v1/sessions/${id}`);
  });

  it('gets tenants, domains, devices, buffers and workloads', async () => {
    const resources: [string, object][] = [
      ['tenants', { name: 'guest', kind: 'vm', memoryBytes: 2 ** 24 }],
      ['domains', { name: 'shared', tenant: 'guest' }],
      ['devices', { name: 'nic0', kind: 'nic', domain: 'shared' }],
      ['buffers', { name: 'skb', lengthBytes: 8192, tenant: 'guest' }],
      ['workloads', { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, ringSize: 64 }],
    ];
    for (const [many, body] of resources) {
      const { id } = await call(201, 'POST', `${at}/${many}`, body);
      assert.equal((await call(200, 'GET', `${at}/${many}/${id}`)).id, id);
      assert.equal((await call(200, 'GET', `${at}/${many}`)).items.at(-1).id, id);
      await call(409, 'POST', `${at}/${many}`, body);
      await call(404, 'GET', `${at}/${many}/nobody`);
      await call(404, 'DELETE', `${at}/${many}/nobody`);
    }
    assert.equal(
      (await call(507, 'POST', `${at}/buffers`, { lengthBytes: 2 ** 25, tenant: 'guest' })).code,
      'quota-exceeded',
    );
    assert.equal((await call(400, 'POST', `${at}/buffers`, { lengthBytes: 1, tenant: 'nobody' })).path, '/tenant');
  });

  it('maps, lets the device in, syncs and unmaps', async () => {
    const device = `${at}/devices/nic0`;
    const body = { kind: 'single', direction: 'from-device', buffer: 'skb', lengthBytes: 1500 };
    const first = await call(201, 'POST', `${device}/mappings`, body);
    const second = await call(201, 'POST', `${device}/mappings`, {
      kind: 'sg',
      direction: 'to-device',
      segments: [{ buffer: 'skb' }],
    });
    await call(201, 'POST', `${device}/mappings`, { kind: 'coherent', direction: 'bidirectional', lengthBytes: 4096 });
    assert.equal((await call(400, 'POST', `${device}/mappings`, { ...body, buffer: 'nobody' })).path, '/buffer');
    assert.equal((await call(404, 'POST', `${at}/devices/nobody/mappings`, body)).code, 'unknown-device');
    assert.equal((await call(200, 'GET', `${device}/mappings/${first.id}`)).iova, first.iova);
    assert.equal((await call(200, 'GET', `${device}/mappings`)).items.length, 3);
    assert.equal((await call(200, 'GET', `${at}/mappings?limit=2`)).items.length, 2);
    const dma = { iova: first.iova, lengthBytes: 64, access: 'write' };
    assert.equal((await call(200, 'POST', `${device}/dma`, dma)).verdict, 'ok');
    await call(200, 'POST', `${device}/mappings/${first.id}/sync`, { for: 'cpu' });
    await call(400, 'DELETE', `${device}/mappings/${first.id}?cpu=7`);
    assert.equal((await call(200, 'DELETE', `${device}/mappings/${first.id}?cpu=1`)).exposed, true);
    assert.equal((await call(404, 'DELETE', `${device}/mappings/${first.id}`)).code, 'unknown-mapping');
    assert.equal((await call(200, 'POST', `${device}/dma`, dma)).verdict, 'stale');
    const unmap = { iova: second.iova, lengthBytes: 8192, direction: 'from-device' };
    const misuse = (await call(200, 'POST', `${device}/unmap`, unmap)).misuse.map(
      ({ check }: { check: string }) => check,
    );
    assert.ok(misuse.includes('direction'));
    await call(200, 'POST', `${device}/dma`, { ...dma, iova: '0x7fff0000' });
  });

  it('maps, unmaps and invalidates explicit ranges', async () => {
    const domain = `${at}/domains/shared`;
    const range = { iova: '0x8000000000', physicalAddress: '0x40000000', lengthBytes: 2 ** 21, access: 'rw' };
    assert.deepEqual((await call(200, 'POST', `${domain}/iommu-map`, range)).pageSizes, { '2MiB': 1 });
    assert.equal((await call(409, 'POST', `${domain}/iommu-map`, range)).code, 'overlap');
    assert.equal((await call(200, 'GET', `${at}/page-table?domain=shared&iova=${range.iova}`)).present, true);
    await call(200, 'POST', `${domain}/iommu-unmap`, { iova: range.iova, lengthBytes: 2 ** 21, invalidate: false });
    for (const scope of [
      { scope: 'global' },
      { scope: 'domain' },
      { scope: 'range', iova: '0x1000', lengthBytes: 8192 },
    ]) {
      await call(200, 'POST', `${domain}/invalidate`, scope);
    }
    assert.equal(
      (await call(404, 'POST', `${at}/domains/nobody/invalidate`, { scope: 'global' })).code,
      'unknown-domain',
    );
  });

  it('can be looked into, without a trace', async () => {
    const before = (await call(200, 'GET', at)).digest;
    for (const inside of [
      'iotlb',
      'walk-cache',
      'queues',
      'space?domain=shared',
      'space/cells?domain=shared&from=0x1000&to=0xffffffff&cells=4096&extents=64',
      'space/cells?domain=shared',
      'space/page?domain=shared&iova=0xfffff000',
      'allocator',
      'faults',
      'events',
      'metrics',
    ]) {
      await call(200, 'GET', `${at}/${inside}`);
    }
    await call(400, 'GET', `${at}/space?domain=nobody`);
    for (const [query, path] of [
      ['cells?domain=nobody', '?domain'],
      ['cells?from=0x2000&to=0x1000', '?to'],
      ['cells?from=0xffffffffffffffff', '?from'],
      ['cells?cells=4097', '?cells'],
      ['cells?cells=0', '?cells'],
      ['cells?extents=65', '?extents'],
      ['cells?from=4096', '?from'],
      ['page', '?iova'],
      ['page?iova=0xffffffffffffffff', '?iova'],
    ] as const) {
      const problem = await call(400, 'GET', `${at}/space/${query}`);
      assert.equal(problem.path ?? problem.errors?.[0].path, path, query);
    }
    await call(400, 'GET', `${at}/faults?cursor=nonsense`);
    const text = await inject({
      method: 'GET',
      url: `${at}/metrics`,
      headers: { accept: 'application/openmetrics-text' },
    });
    assert.match(text.body, /^iommu_stale_accesses_total\{session="ses_\w+",access="\w+",owner="freed"\} 1$/m);
    const [target] = await call(200, 'GET', '/v1/prometheus/targets');
    const { id } = await call(200, 'GET', at);
    assert.deepEqual([target.labels.instance, target.labels.__metrics_path__], [id, `/v1/sessions/${id}/metrics`]);
    assert.equal((await call(200, 'GET', at)).digest, before);
  });

  it('advances, takes many operations and runs', async () => {
    assert.equal((await call(200, 'POST', `${at}/advance`, { ns: 20_000_000 })).fired, 1);
    const payload = [
      '{"op":"buffer","lengthBytes":64,"as":"b"}',
      '{"op":"free","buffer":"$b"}',
      '{"op":"fre","buffer":"$b"}',
    ].join('\n');
    const ops = await inject({
      method: 'POST',
      url: `${at}/ops`,
      payload,
      headers: { 'content-type': 'application/x-ndjson' },
    });
    assert.deepEqual(
      ops.body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).ok),
      [true, true, false],
    );
    await call(400, 'POST', `${at}/runs`, { until: { metric: 'nothing.such', above: 1 } });
    const { id } = await call(202, 'POST', `${at}/runs`, { forNs: 1_000_000 });
    let run = await call(200, 'GET', `${at}/runs/${id}`);
    for (const deadline = Date.now() + 10_000; run.state !== 'finished' && Date.now() < deadline; await sleep(20)) {
      run = await call(200, 'GET', `${at}/runs/${id}`);
    }
    assert.equal(run.state, 'finished');
    assert.ok(run.result.operations > 0);
    assert.equal((await call(200, 'GET', `${at}/runs`)).items.length, 1);
    await call(200, 'GET', `${at}/metrics`);
    await call(200, 'DELETE', `${at}/runs/${id}`);
    assert.equal((await call(404, 'GET', `${at}/runs/${id}`)).code, 'unknown-run');
  });

  it('is kept, listed, downloaded, gone on with, and done again from what was downloaded', async () => {
    const kept = await call(201, 'POST', `${at}/snapshots`, { title: 'here' });
    const snapshot = `${at}/snapshots/${kept.id}`;
    assert.deepEqual((await call(200, 'GET', `${at}/snapshots`)).items, [kept]);
    const file = await call(200, 'GET', snapshot);
    for (const fromSnapshot of [kept.id, file, await call(200, 'GET', `${snapshot}?state=false`)]) {
      const made = await call(201, 'POST', '/v1/sessions', { fromSnapshot, title: 'again' });
      assert.equal(made.digest, kept.digest);
      await call(200, 'DELETE', `/v1/sessions/${made.id}`);
    }
    const { spec, ...rest } = file;
    const bad = await call(400, 'POST', '/v1/sessions', { fromSnapshot: { ...rest, spec: { ...spec, seed: -1 } } });
    assert.equal(bad.errors[0].path, '/fromSnapshot/spec/seed');
    // More than the body of anything else may have.
    const padded = { ...file, state: { ...file.state, data: 'A'.repeat(2_000_000) } };
    const large = await call(201, 'POST', '/v1/sessions', { fromSnapshot: padded });
    await call(200, 'DELETE', `/v1/sessions/${large.id}`);
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const payload = gzipSync(JSON.stringify({ fromSnapshot: padded }));
    const packed = await inject({ method: 'POST', url: '/v1/sessions', headers, payload });
    assert.equal(packed.statusCode, 201, packed.body);
    await call(200, 'DELETE', `/v1/sessions/${packed.json().id}`);
    padded.state.data = 'A'.repeat(17_000_000);
    assert.equal((await call(413, 'POST', '/v1/sessions', { fromSnapshot: padded })).code, 'body-too-large');
    assert.deepEqual(await call(200, 'DELETE', snapshot), kept);
    await call(404, 'GET', snapshot);
  });

  it('moves a device, gives everything back, is reset and deleted', async () => {
    await call(200, 'DELETE', `${at}/workloads/rx`);
    const { id } = await call(201, 'POST', `${at}/domains`);
    assert.equal((await call(200, 'PUT', `${at}/devices/nic0/domain`, { domain: id })).domain, id);
    assert.equal((await call(400, 'PUT', `${at}/devices/nic0/domain`, { domain: 'nobody' })).path, '/domain');
    assert.equal((await call(200, 'DELETE', `${at}/devices/nic0/domain`)).previousDomain, id);
    await call(200, 'DELETE', `${at}/devices/nic0`);
    await call(200, 'DELETE', `${at}/buffers/skb?force=true`);
    await call(200, 'DELETE', `${at}/domains/shared`);
    await call(200, 'DELETE', `${at}/tenants/guest`);
    assert.equal((await call(200, 'POST', `${at}/reset`)).timeNs, 0);
    await call(200, 'DELETE', at);
    assert.equal((await call(404, 'GET', at)).code, 'unknown-session');
  });

  it('runs an experiment, tells what came of it, and removes it', async () => {
    const { id } = await call(201, 'POST', '/v1/experiments', { ...small, seeds: [1], control: false });
    const own = `/v1/experiments/${id}`;
    assert.equal((await call(200, 'GET', '/v1/experiments')).items[0].id, id);
    while ((await call(200, 'GET', own)).endedAt === null) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await call(200, 'GET', `${own}/results`)).complete, true);
    assert.equal((await inject({ method: 'GET', url: `${own}/report` })).statusCode, 200);
    succeeded.add('GET /v1/experiments/:experiment/report');
    assert.equal((await call(200, 'DELETE', own)).state, 'finished');
  });

  it('whose history is a recording; recordings come in, are looked at and go', async () => {
    const { id } = await call(201, 'POST', '/v1/sessions', { devices: [{ kind: 'nic' }] });
    const exported = await inject({ method: 'GET', url: `/v1/sessions/${id}/trace?labEvents=false` });
    assert.equal(exported.statusCode, 200);
    for (const file of ['dmar_perf_latency', 'dma_map_benchmark', 'dmesg']) {
      const text = await inject({ method: 'GET', url: `/v1/sessions/${id}/kernel/${file}` });
      assert.deepEqual([text.statusCode, text.headers['content-type']], [200, 'text/plain; charset=utf-8']);
    }
    assert.equal((await call(400, 'GET', `/v1/sessions/${id}/kernel/meminfo`)).code, 'invalid-path');
    const part = (url: string, method: 'POST' | 'PATCH', headers: Record<string, string>, payload: string) =>
      app.inject({
        method,
        url,
        headers: { 'content-type': method === 'POST' ? 'text/plain' : 'application/partial-upload', ...headers },
        payload,
      });
    const text = traffic(20);
    const begun = await part('/v1/traces', 'POST', { 'upload-complete': '?0' }, text.slice(0, 500));
    assert.ok(begun.statusCode < 300, begun.body);
    const own = String(begun.headers.location);
    const rest = { 'upload-complete': '?1', 'upload-offset': '500' };
    assert.equal((await part(own, 'PATCH', rest, text.slice(500))).statusCode, 200);
    while ((await call(200, 'GET', own)).state !== 'ready') await sleep(20);
    assert.equal((await call(200, 'GET', '/v1/traces')).items.length, 1);
    assert.equal((await call(200, 'GET', `${own}/events`)).records, 40);
    assert.equal((await call(200, 'GET', `${own}/checks`)).events, 40);
    assert.equal((await call(200, 'GET', `${own}/forensics`)).faults, 0);
    await call(200, 'DELETE', own);
  });

  it('and the server told its version and its catalogue: with that, every operation of the contract has succeeded', async () => {
    await call(200, 'GET', '/v1');
    await call(200, 'GET', '/v1/catalog');
    // Those of access have succeeded in test/access/routes.test.ts.
    const missing = contractOperations
      .filter(
        ({ routed, method, path, definition }) =>
          routed &&
          !(definition.tags as string[]).includes('access') &&
          !succeeded.has(`${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
      )
      .map(({ operationId }) => operationId);
    assert.deepEqual(missing, []);
  });
});
