/** Dashboard and alerts ask for metrics and labels that a running server has. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { withServers } from '../main/server-process.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { uid: string };
  targets?: { expr: string; datasource: { uid: string } }[];
}

const dashboard = JSON.parse(readFileSync('docker/grafana/dashboards/iommu-lab.json', 'utf8'));
const panels = dashboard.panels as Panel[];
const variables = dashboard.templating.list as { name: string; query: { query: string } }[];
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

before(() =>
  withServers(async (start, folder) => {
    const address = await start(['--port', '0', '--workers', '1', '--data', folder]).address();
    const post = (path: string, body: object): Promise<Response> =>
      fetch(`${address}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    assert.equal((await post('/v1/sessions', { preset: 'thread-2008', name: 'first' })).status, 201);
    const own = await (await fetch(`${address}/metrics`)).text();
    const ofSession = await (
      await fetch(`${address}/v1/sessions/first/metrics`, { headers: { accept: 'application/openmetrics-text' } })
    ).text();
    for (const [name, labels] of [...seriesOf(own), ...seriesOf(ofSession)]) series.set(name, labels);
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
  for (const { title, targets = [] } of panels)
    for (const { expr } of targets)
      it(`by the panel "${title}": ${expr}`, () => {
        assert.deepEqual(complaints(expr), []);
      });
  for (const { alert, expr } of alerts.groups.flatMap(({ rules }) => rules))
    it(`by the alert ${alert}: ${expr}`, () => {
      assert.deepEqual(complaints(expr), []);
    });
  for (const { name, query } of variables)
    it(`by the variable ${name}: ${query.query}`, () => {
      const [, selector, label] = /^label_values\((.+), ([a-z]+)\)$/.exec(query.query)!;
      assert.deepEqual([...complaints(selector!), label], ['instance']);
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

describe('the dashboard', () => {
  it('asks the data source that is provisioned', () => {
    const { datasources } = parse(readFileSync('docker/grafana/provisioning/datasources/prometheus.yaml', 'utf8'));
    const [{ uid }] = datasources;
    for (const { type, datasource, targets = [] } of panels.filter((panel) => panel.type !== 'row')) {
      assert.equal(datasource?.uid, uid, type);
      for (const target of targets) assert.equal(target.datasource.uid, uid);
    }
  });

  it('has panels of different numbers that lie beside one another', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), title);
          taken.add(`${x} ${y}`);
        }
    }
  });

  it('uses variables that it has', () => {
    const used = new Set(JSON.stringify(panels).match(/\$[a-z]+/g));
    assert.deepEqual([...used].sort(), variables.map(({ name }) => `$${name}`).sort());
  });
});
