/** Metrics: one document in three forms, chosen by `Accept`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { preferredType } from '../../src/api/accept.ts';
import { readOpenMetrics } from '../oracles/openmetrics.ts';
import { startRoutes } from './server.ts';

let routes: Awaited<ReturnType<typeof startRoutes>>;
before(async () => {
  routes = await startRoutes();
});
after(() => routes.app.close());

/** What Prometheus 2 and 3 send. */
const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';

function get(accept?: string) {
  return routes.inject({
    method: 'GET',
    url: '/v1/sessions/lab/metrics',
    headers: accept === undefined ? {} : { accept },
  });
}

describe('the form', () => {
  for (const [accept, type] of [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/json', 'application/json'],
    ['text/html, */*;q=0.8', 'application/json'],
    ['application/openmetrics-text', 'application/openmetrics-text'],
    ['application/openmetrics-text;q=0.2, application/json;q=0.9', 'application/json'],
    [PROMETHEUS_2, 'application/openmetrics-text'],
    [PROMETHEUS_3, 'application/openmetrics-text'],
    ['text/plain;version=0.0.4;q=1,*/*;q=0.1', 'text/plain'],
  ] as const) {
    it(`for ${accept ?? 'no Accept'} is ${type}`, async () => {
      const reply = await get(accept);
      assert.equal(reply.statusCode, 200);
      assert.equal(String(reply.headers['content-type']).split(';')[0], type);
    });
  }

  it('that the server does not have is 406', async () => {
    const reply = await get('text/html');
    assert.deepEqual([reply.statusCode, reply.json().code], [406, 'not-acceptable']);
  });

  it('refused with q=0 is not given', () => {
    const forms = [{ type: 'application/json', byName: false }];
    assert.equal(preferredType('application/json;q=0, */*', forms), null);
  });
});

it('OpenMetrics text names counters as the format wants, and leaves out what the model does not have', async () => {
  const text = (await get('application/openmetrics-text')).body;
  const families = readOpenMetrics(text);
  const lines = text.split('\n');
  for (const line of [
    'iommu_sim_time_seconds{session="ses_1"} 2',
    'iommu_session_awake{session="ses_1"} 1',
    '# TYPE iommu_iotlb_lookups counter',
    'iommu_iotlb_lookups_total{session="ses_1",unit="dmar0"} 10',
    'dma_map_calls_total{session="ses_1",op="map_single"} 5',
    'dma_live_mappings{session="ses_1",device="dev_0"} 2',
    'iommu_stale_mappings{session="ses_1"} 4',
    'iommu_stale_accesses_total{session="ses_1",access="read",owner="freed"} 1',
    '# UNIT iommu_stale_window_seconds seconds',
    'iommu_stale_window_seconds_bucket{session="ses_1",le="1e-07"} 0',
    'iommu_stale_window_seconds_bucket{session="ses_1",le="0.0002"} 2',
    'iommu_stale_window_seconds_bucket{session="ses_1",le="10.0"} 3',
    'iommu_stale_window_seconds_bucket{session="ses_1",le="+Inf"} 3',
    'iommu_stale_window_seconds_sum{session="ses_1"} 2.5',
    'iommu_stale_window_seconds_count{session="ses_1"} 3',
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  }
  // Whatever people call their devices.
  assert.equal(families.get('iommu_device')!.samples[0]!.labels.get('name'), 'a "b"\\\n');
  assert.equal(families.get('iommu_session')!.samples[0]!.labels.get('mode'), 'translate');
  assert.equal(families.has('iommu_page_walks'), false);
});

it('Prometheus text types counters by their full name and has neither units nor an end mark', async () => {
  const lines = (await get('text/plain')).body.split('\n');
  assert.ok(lines.includes('# TYPE iommu_iotlb_lookups_total counter'));
  assert.ok(lines.includes('# TYPE iommu_session_info gauge'));
  assert.equal(
    lines.some((line) => line === '# EOF' || line.startsWith('# UNIT')),
    false,
  );
});

describe('under the names of a vendor', () => {
  const as = (query: string, accept?: string) =>
    routes.inject({
      method: 'GET',
      url: `/v1/sessions/lab/metrics?${query}`,
      headers: accept === undefined ? {} : { accept },
    });

  it('is text, for curl too, with the event as perf takes it', async () => {
    const reply = await as('names=intel');
    assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(reply.body, /^dmar_iotlb_hit_total\{session="ses_1",unit="dmar0",event="dmar0\/iotlb_hit\/"\} 7$/m);
    assert.doesNotMatch(reply.body, /^iommu_/m);
    const families = readOpenMetrics((await as('names=amd', 'application/openmetrics-text')).body);
    assert.equal(families.get('amd_iommu_mem_iommu_tlb_pte_mis')!.samples[0]!.value, 3);
  });

  it('is 406 where JSON is all that is taken, and 400 for a vendor that there is not', async () => {
    const json = await as('names=arm', 'application/json');
    assert.deepEqual([json.statusCode, json.json().code], [406, 'not-acceptable']);
    const unknown = await as('names=via');
    assert.deepEqual([unknown.statusCode, unknown.json().errors[0].path], [400, '?names']);
  });

  it('is ours with lab', async () => {
    assert.match((await as('names=lab')).body, /^iommu_iotlb_lookups_total\{/m);
  });
});

describe('a scrape that is not to wake the session', () => {
  it('says that it rests and nothing else, whatever the form', async () => {
    const reply = await routes.inject({
      method: 'GET',
      url: '/v1/sessions/lab/metrics?wake=false',
      headers: { accept: PROMETHEUS_3 },
    });
    assert.equal(reply.statusCode, 200);
    assert.deepEqual([...readOpenMetrics(reply.body).keys()], ['iommu_session_awake']);
    assert.match(reply.body, /^iommu_session_awake\{session="ses_1"\} 0$/m);
    assert.equal(routes.host.scrapes.at(-1), false);
    assert.equal((await get(PROMETHEUS_3)).statusCode, 200);
    assert.equal(routes.host.scrapes.at(-1), true);
  });
});

describe('targets for Prometheus', () => {
  const targets = (query = '', headers: Record<string, string> = {}) =>
    routes.inject({ method: 'GET', url: `/v1/prometheus/targets${query}`, headers });

  it('are one to a session, at the address at which they were asked for', async () => {
    const reply = await targets('', { host: 'lab.example:8443' });
    assert.equal(reply.statusCode, 200);
    // The only content type that Prometheus takes, and an array.
    assert.match(String(reply.headers['content-type']), /^application\/json(; charset=utf-8)?$/);
    assert.deepEqual(reply.json()[1], {
      targets: ['lab.example:8443'],
      labels: {
        __scheme__: 'http',
        __metrics_path__: '/v1/sessions/ses_2/metrics',
        __param_wake: 'false',
        instance: 'ses_2',
      },
    });
    assert.deepEqual(routes.host.targetsAsked, { filter: {}, awake: true, limit: 1000 });
  });

  it('are narrowed to a name, a state and a number, and may be those that rest', async () => {
    const reply = await targets('?name=lab*&state=running&awake=false&limit=1');
    assert.equal(reply.json().length, 1);
    assert.deepEqual(routes.host.targetsAsked, { filter: { name: 'lab*', state: 'running' }, awake: false, limit: 1 });
    for (const [query, path] of [
      ['limit=0', '?limit'],
      ['limit=10001', '?limit'],
      ['awake=maybe', '?awake'],
      ['state=gone', '?state'],
    ]) {
      const refused = await targets(`?${query}`);
      assert.deepEqual([refused.statusCode, refused.json().errors[0].path], [400, path]);
    }
  });
});
