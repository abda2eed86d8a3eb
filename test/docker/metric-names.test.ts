/** Dashboards and alerts ask for metrics and labels that a running server has. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { withServers } from '../main/server-process.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { uid: string };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}

interface Variable {
  name: string;
  query: { query: string };
  datasource: { uid: string };
}

interface Dashboard {
  file: string;
  uid: string;
  title: string;
  schemaVersion: number;
  editable: boolean;
  panels: Panel[];
  links: { url: string }[];
  templating: { list: Variable[] };
}

const folder = 'docker/grafana/dashboards';
const dashboards = readdirSync(folder).map(
  (file): Dashboard => ({ file, ...JSON.parse(readFileSync(join(folder, file), 'utf8')) }),
);
const panels = dashboards.flatMap((dashboard) => dashboard.panels.map((panel) => ({ dashboard, ...panel })));
const variables = dashboards.flatMap(({ templating }) => templating.list);
const alerts = parse(readFileSync('docker/prometheus/alerts.yml', 'utf8')) as {
  groups: { rules: { alert: string; expr: string }[] }[];
};

/** Name of a series -> its labels. */
type Series = Map<string, Set<string>>;

function seriesOf(exposition: string): Series {
  const series: Series = new Map();
  for (const line of exposition.split('\n')) {
    const match = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? /i.exec(line);
    if (match === null) continue;
    const [, name, labels = ''] = match as unknown as [string, string, string?];
    const known = series.get(name) ?? new Set();
    for (const [, label] of labels.matchAll(/([a-z_]+)="/g)) known.add(label!);
    series.set(name, known);
  }
  return series;
}

/** What Prometheus adds by itself: `up`, and two labels to all. */
const ADDED_LABELS = ['job', 'instance'];
const WORDS = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring']);

interface Asked {
  names: string[];
  labels: string[];
}

/** Names of series and labels in a query; for the forms of query that stand here, not for all of PromQL. */
function askedBy(expression: string): Asked {
  const labels = [...expression.matchAll(/[{,]\s*([a-z_]+)\s*(?:=~|!=|!~|=)\s*"/g)].map(([, label]) => label!);
  for (const [, list] of expression.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)) {
    labels.push(...list!.split(',').map((label) => label.trim()));
  }
  const bare = expression
    .replace(/"[^"]*"/g, '""')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  const names = [...bare.matchAll(/[a-z_:][a-z0-9_:]*(?!\s*\(|[a-z0-9_:])/g)].map(([name]) => name);
  return { names: names.filter((name) => !WORDS.has(name)), labels };
}

const series: Series = new Map([['up', new Set<string>()]]);

const NIC = { name: 'nic', kind: 'nic' };
/** Two machines that have between them all that panels ask for. */
const LAZY = {
  devices: [{ ...NIC, deviceTlb: {} }],
  workloads: [{ kind: 'nic-rx', device: 'nic', gbps: 10 }],
  policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
};
const BOUNCED = { devices: [NIC], policy: { mode: 'bounce' } };

before(() =>
  withServers(async (start, folder) => {
    const flags = ['--port', '0', '--workers', '1', '--data', folder, '--otlp-endpoint', 'http://127.0.0.1:1'];
    const address = await start(flags).address();
    const texts = [];
    for (const spec of [LAZY, BOUNCED]) {
      const made = await fetch(`${address}/v1/sessions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(spec),
      });
      assert.equal(made.status, 201, await made.clone().text());
      const { id } = (await made.json()) as { id: string };
      const accept = 'application/openmetrics-text';
      texts.push(await (await fetch(`${address}/v1/sessions/${id}/metrics`, { headers: { accept } })).text());
    }
    const own = await (await fetch(`${address}/metrics`)).text();
    for (const [name, labels] of [own, ...texts].flatMap((text) => [...seriesOf(text)]))
      series.set(name, new Set([...(series.get(name) ?? []), ...labels]));
  }),
);

function complaints(expression: string): string[] {
  const { names, labels } = askedBy(expression);
  const known = new Set([...ADDED_LABELS, ...names.flatMap((name) => [...(series.get(name) ?? [])])]);
  return [
    ...(names.length === 0 ? ['asks for nothing'] : []),
    ...names.filter((name) => !series.has(name)).map((name) => `no series ${name}`),
    ...labels.filter((label) => !known.has(label)).map((label) => `no label ${label}`),
  ];
}

describe('every metric and label exists that is asked for', () => {
  for (const { dashboard, title, targets = [] } of panels)
    for (const { expr } of targets)
      it(`by the panel "${title}" of ${dashboard.uid}: ${expr}`, () => {
        assert.deepEqual(complaints(expr), []);
      });
  for (const { alert, expr } of alerts.groups.flatMap(({ rules }) => rules))
    it(`by the alert ${alert}: ${expr}`, () => {
      assert.deepEqual(complaints(expr), []);
    });
  for (const { name, query } of variables)
    it(`by the variable ${name}: ${query.query}`, () => {
      const [, selector = '', label = ''] = /^label_values\((.+), ([a-z]+)\)$/.exec(query.query)!;
      assert.deepEqual(complaints(selector), []);
      const [metric = ''] = askedBy(selector).names;
      assert.ok(ADDED_LABELS.includes(label) || series.get(metric)!.has(label), label);
    });
});

describe('what does not exist is noticed', () => {
  for (const [expression, expected] of [
    ['sum by (status) (rate(iommu_lab_requests_total{job="iommu-lab"}[1m]))', 'no series iommu_lab_requests_total'],
    ['iommu_lab_sessions{worker="1"}', 'no label worker'],
    ['sum by (path) (iommu_lab_http_request_duration_seconds_count)', 'no label path'],
    ['time() - 5', 'asks for nothing'],
  ] as const)
    it(`in ${expression}`, () => {
      assert.ok(complaints(expression).includes(expected), complaints(expression).join());
    });
});

for (const { file, title, panels: own, templating, ...dashboard } of dashboards)
  describe(`the dashboard "${title}"`, () => {
    it('asks the data source that is provisioned', () => {
      const { datasources } = parse(readFileSync('docker/grafana/provisioning/datasources/prometheus.yaml', 'utf8'));
      const [{ uid }] = datasources;
      for (const { type, datasource, targets = [] } of own.filter((panel) => panel.type !== 'row')) {
        assert.equal(datasource?.uid, uid, type);
        for (const target of targets) assert.equal(target.datasource.uid, uid);
      }
      for (const { datasource } of templating.list) assert.equal(datasource.uid, uid);
    });

    it('has panels of different numbers that lie beside one another, each row before its panels', () => {
      assert.equal(new Set(own.map(({ id }) => id)).size, own.length);
      assert.equal(own[0]!.type, 'row');
      const taken = new Set<string>();
      let above = 0;
      for (const { title: panel, type, gridPos, targets = [] } of own) {
        assert.ok(gridPos.x + gridPos.w <= 24, panel);
        assert.ok(gridPos.y >= above, panel);
        above = gridPos.y;
        assert.ok(type === 'row' || targets.length > 0, panel);
        assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, panel);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(!taken.has(`${x} ${y}`), panel);
            taken.add(`${x} ${y}`);
          }
      }
    });

    it('uses all variables that it has, and no others', () => {
      const asked = JSON.stringify([own, templating.list.map(({ query }) => query)]);
      const used = new Set(asked.replaceAll('$__rate_interval', '').match(/\$[a-z]+/g));
      assert.deepEqual([...used].sort(), templating.list.map(({ name }) => `$${name}`).sort());
    });

    it('has the schema version of the others, a uid of its own that its file is named by, and links that lead somewhere', () => {
      assert.equal(dashboard.schemaVersion, 41);
      assert.equal(dashboard.editable, false);
      assert.deepEqual(
        dashboards.filter(({ uid }) => uid === dashboard.uid).map((one) => one.file),
        [file],
      );
      for (const { url } of dashboard.links)
        assert.ok(
          dashboards.some(({ uid }) => url === `/d/${uid}`),
          url,
        );
      assert.equal(`${dashboard.uid}.json`, file);
    });
  });

it('the dashboard of a session has a row for each thing that is looked at', () => {
  const session = dashboards.find(({ uid }) => uid === 'iommu-lab-session')!;
  const rows = session.panels.filter(({ type }) => type === 'row').map(({ title }) => title.split(/,| and /)[0]);
  assert.deepEqual(rows, [
    'Now',
    'Throughput',
    'CPU',
    'IOTLB',
    'Invalidation',
    'Flush queue',
    'Exposure',
    'Faults',
    'swiotlb',
    'Allocator',
  ]);
  assert.deepEqual(
    session.templating.list.map(({ name }) => name),
    ['session', 'device'],
  );
});
