/** Metrics: one document in three forms, chosen by `Accept`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { preferredType } from '../../src/api/accept.ts';
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
  const lines = (await get('application/openmetrics-text')).body.split('\n');
  assert.deepEqual(lines.slice(-2), ['# EOF', '']);
  for (const line of [
    'iommu_sim_time_seconds{session="ses_1"} 2',
    '# TYPE iommu_iotlb_lookups counter',
    'iommu_iotlb_lookups_total{session="ses_1"} 10',
    'dma_map_calls_total{session="ses_1",op="map_single"} 5',
    'iommu_stale_mappings{session="ses_1"} 4',
    'iommu_stale_accesses_total{session="ses_1",owner="freed"} 1',
    'iommu_stale_window_seconds_bucket{session="ses_1",le="+Inf"} 3',
    'iommu_stale_window_seconds_count{session="ses_1"} 3',
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  }
  assert.equal(
    lines.some((line) => line.includes('page_walks')),
    false,
  );
});

it('Prometheus text types counters by their full name and has no end mark', async () => {
  const lines = (await get('text/plain')).body.split('\n');
  assert.ok(lines.includes('# TYPE iommu_iotlb_lookups_total counter'));
  assert.equal(lines.includes('# EOF'), false);
});
