/**
 * The metrics, dashboards and alerts with Prometheus' own tools, and with a Debian Prometheus that scrapes a real server by the
 * configuration of docker/. Grafana is in no Debian: of its dashboards every query is asked here.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { stringify } from 'yaml';
import { withServers } from '../test/main/server-process.ts';
import { outcomeOf, requirePrograms } from '../test-image/programs.ts';
import { dashboardQueries, type Prometheus, startPrometheus } from '../test-image/prometheus.ts';

requirePrograms('prometheus', 'promtool');

const ALERTS = join(import.meta.dirname, '../docker/prometheus/alerts.yml');
const VENDORS = ['lab', 'intel', 'amd', 'arm', 'riscv', 'pcm'];

const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-promtool-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Queries as recording rules, which promtool parses. */
function asRules(expressions: readonly string[]): string {
  const rules = expressions.map((expr, i) => ({ record: `panel:query${i}`, expr }));
  return stringify({ groups: [{ name: 'panels', rules }] });
}

describe('by promtool', () => {
  it('every query of the dashboards is one', () => {
    const queries = dashboardQueries().map(({ expression }) => expression);
    assert.ok(queries.length > 80, String(queries.length));
    const { code, text } = outcomeOf('promtool', ['check', 'rules', written('panels.yaml', asRules(queries))]);
    assert.equal(code, 0, text);
    const broken = outcomeOf('promtool', [
      'check',
      'rules',
      written('broken.yaml', asRules(['sum by (rate(up[1m]))'])),
    ]);
    assert.notEqual(broken.code, 0);
  });

  it('alerts fire when they should and not when they should not', () => {
    const tests = readFileSync(join(import.meta.dirname, 'alerts.test.yaml'), 'utf8').replace(
      '- ALERTS',
      `- ${ALERTS}`,
    );
    const { code, text } = outcomeOf('promtool', ['test', 'rules', written('alerts.test.yaml', tests)]);
    assert.equal(code, 0, text);
    const wrong = written('wrong.test.yaml', tests.replace('values: 4x3 3x17', 'values: 4x20'));
    assert.notEqual(outcomeOf('promtool', ['test', 'rules', wrong]).code, 0, 'a test that cannot fail');
    for (const alert of readFileSync(ALERTS, 'utf8').matchAll(/- alert: (\w+)/g))
      assert.ok(tests.includes(alert[1]!), `no test of ${alert[1]}`);
  });
});

const NIC = { name: 'nic', kind: 'nic' };
const RX = { name: 'rx', kind: 'nic-rx', device: 'nic', gbps: 10 };

/** Sessions that have between them all that the dashboard of a session shows. */
const SESSIONS: Record<string, unknown>[] = [
  {
    name: 'lazy',
    machine: { cpus: 2 },
    devices: [{ ...NIC, deviceTlb: {} }],
    workloads: [{ ...RX, cpus: [0, 1] }],
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
  },
  { name: 'strict', devices: [NIC], workloads: [RX], policy: { invalidation: { kind: 'strict' } } },
  { name: 'copies', devices: [NIC], workloads: [RX], policy: { mode: 'bounce' } },
];

describe('beside a server', () => {
  let prometheus: Prometheus;
  let address: string;
  let end = (): void => {};
  let ended: Promise<void>;

  const post = (path: string, body: object): Promise<Response> =>
    fetch(address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const runAll = () => Promise.all(SESSIONS.map(({ name }) => post(`/v1/sessions/${name}/runs`, { forNs: 1_000_000 })));

  before(async () => {
    const started = new Promise<void>((resolve, reject) => {
      ended = withServers(async (start, data) => {
        // A collector that is not there: its spans are dropped, and counted.
        const flags = ['--port', '0', '--workers', '1', '--data', data, '--otlp-endpoint', 'http://127.0.0.1:9'];
        address = await start(flags).address();
        for (const spec of SESSIONS) assert.equal((await post('/v1/sessions', spec)).status, 201);
        resolve();
        await new Promise<void>((stop) => (end = stop));
      });
      ended.catch(reject);
    });
    await started;
    prometheus = await startPrometheus(address);
  });
  after(async () => {
    await prometheus?.stop();
    end();
    await ended;
  });

  it('its own metrics and those of each session, under every name, are what promtool wants', async () => {
    await runAll();
    const texts = [await (await fetch(`${address}/metrics`)).text()];
    for (const { name } of SESSIONS)
      for (const names of VENDORS)
        texts.push(await (await fetch(`${address}/v1/sessions/${name}/metrics?names=${names}`)).text());
    for (const text of texts) {
      const { code, text: said } = outcomeOf('promtool', ['check', 'metrics'], text);
      assert.equal(code, 0, `${said}\n${text.slice(0, 400)}`);
    }
    assert.notEqual(outcomeOf('promtool', ['check', 'metrics'], '# TYPE a counter\na 1\n').code, 0);
  });

  it('each session that is awake is found, and scraped as OpenMetrics', async () => {
    await prometheus.until(`count(up{job="sessions"} == 1) == ${SESSIONS.length}`);
    await prometheus.until('up{job="iommu-lab"} == 1');
    // What only OpenMetrics has: an info, by its name.
    await prometheus.until(`count(iommu_session_info{name=~"lazy|strict|copies"}) == ${SESSIONS.length}`);
    assert.deepEqual(await prometheus.query('iommu_session_awake != 1'), []);
  });

  it('every panel shows something, and every alert is evaluated', { timeout: 180_000 }, async () => {
    // Rates need a series to rise from one scrape to the next.
    await prometheus.until(
      'sum(rate(iommu_lab_http_request_duration_seconds_count{status="404"}[1m])) > 0 and sum(rate(iommu_sim_data_bytes_total[1m])) > 0',
      async () => {
        await runAll();
        await fetch(`${address}/v1/sessions/nobody`);
      },
    );
    const silent: string[] = [];
    for (const { title, expression } of dashboardQueries())
      if ((await prometheus.query(expression)).length === 0) silent.push(`${title}: ${expression}`);
    assert.deepEqual(silent, []);
    assert.deepEqual(await prometheus.alertHealth(), ['ok']);
  });

  it('a session that is deleted is no target any more', async () => {
    const { id } = (await (await fetch(`${address}/v1/sessions/strict`)).json()) as { id: string };
    await prometheus.until(`up{instance="${id}"} == 1`);
    await fetch(`${address}/v1/sessions/strict`, { method: 'DELETE' });
    await prometheus.until(`count(up{job="sessions"}) == ${SESSIONS.length - 1}`);
  });
});
