/** Traces, as a collector gets them from a real server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { small } from '../lab/experiments.ts';
import { withServers } from './server-process.ts';

interface SentSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  links?: { traceId: string; spanId: string }[];
  status?: { code?: number };
}

interface Collector {
  url: string;
  spans: SentSpan[];
  /** All that it was sent, as it came. */
  bodies: string[];
  until(what: string, holds: (spans: SentSpan[]) => boolean): Promise<void>;
}

/** @param status what it answers; null: nothing, ever */
async function withCollector(
  play: (collector: Collector) => Promise<void>,
  status: number | null = 200,
): Promise<void> {
  const spans: SentSpan[] = [];
  const bodies: string[] = [];
  const server: Server = createServer((request, reply) => {
    let body = '';
    request.on('data', (bytes) => (body += bytes));
    request.on('end', () => {
      assert.deepEqual(
        [request.method, request.url, request.headers['content-type']],
        ['POST', '/v1/traces', 'application/json'],
      );
      bodies.push(body);
      for (const { scopeSpans, resource } of JSON.parse(body).resourceSpans) {
        const service = resource.attributes.find(({ key }: { key: string }) => key === 'service.name');
        assert.equal(service.value.stringValue, 'iommu-lab');
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
      if (status !== null) reply.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const until: Collector['until'] = async (what, holds) => {
    const deadline = performance.now() + 20_000;
    while (!holds(spans)) {
      const names = spans.map(({ name }) => name).join(', ');
      assert.ok(performance.now() < deadline, `still not: ${what}; there are ${names}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  try {
    await play({ url: `http://127.0.0.1:${port}`, spans, bodies, until });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const attributeOf = ({ attributes }: SentSpan, key: string): unknown => {
  const found = attributes.find((attribute) => attribute.key === key);
  return found === undefined ? undefined : Object.values(found.value)[0];
};

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SECRET = `ilt_0000000000000000_${'A'.repeat(43)}`;

test('a request is a trace, from its traceparent through the worker to the journal; a run is one of its own', () =>
  withCollector(({ url, spans, bodies, until }) =>
    withServers(async (start, folder) => {
      const server = start(['--port', '0', '--workers', '1', '--data', folder, '--otlp-endpoint', url]);
      const address = await server.address();
      const ask = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
        fetch(address + path, {
          method,
          headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
          ...(body && { body: JSON.stringify(body) }),
        });
      const spec = {
        name: 'traced',
        devices: [{ name: 'nic0', kind: 'nic' }],
        workloads: [{ kind: 'nic-rx', device: 'nic0', gbps: 10 }],
      };
      const made = await ask('POST', '/v1/sessions', spec, { traceparent: `00-${TRACE}-${PARENT}-01` });
      assert.equal(made.status, 201);
      const { id } = (await made.json()) as { id: string };
      const advanced = await ask('POST', '/v1/sessions/traced/advance', { ns: 5 }, { 'x-request-id': 'mine' });
      assert.equal(advanced.status, 200);
      assert.equal((await ask('POST', '/v1/sessions/traced/runs', { forNs: 1_000_000 })).status, 202);
      assert.equal((await ask('GET', `/v1/sessions/traced/metrics?wake=false&token=${SECRET}`)).status, 400);
      assert.equal((await ask('GET', '/v1/sessions/nobody')).status, 404);
      await ask('GET', '/metrics');
      const unsampled = { traceparent: `00-${'1'.repeat(32)}-${PARENT}-00` };
      assert.equal((await ask('GET', '/v1', undefined, unsampled)).status, 200);
      await until('the run', (all) => all.some(({ name }) => name === 'run'));
      await until('the last request', (all) => all.some(({ name }) => name === 'GET /v1/sessions/:session'));

      const named = (name: string) => spans.filter((span) => span.name === name);
      const [creation] = named('POST /v1/sessions') as [SentSpan];
      assert.deepEqual([creation.traceId, creation.parentSpanId, creation.kind], [TRACE, PARENT, 2]);
      assert.deepEqual(
        [
          attributeOf(creation, 'http.request.method'),
          attributeOf(creation, 'http.route'),
          Number(attributeOf(creation, 'http.response.status_code')),
          attributeOf(creation, 'url.path'),
        ],
        ['POST', '/v1/sessions', 201, '/v1/sessions'],
      );

      const [advance] = named('POST /v1/sessions/:session/advance') as [SentSpan];
      assert.deepEqual(
        [attributeOf(advance, 'iommu_lab.session'), attributeOf(advance, 'iommu_lab.request_id')],
        [id, 'mine'],
      );
      // A batch of spans may have one and the next what belongs below it.
      const below = async (parent: SentSpan, name: string): Promise<SentSpan> => {
        const find = (all: SentSpan[]) => all.find((span) => span.parentSpanId === parent.spanId && span.name === name);
        await until(`${name} below ${parent.name}`, (all) => find(all) !== undefined);
        const found = find(spans)!;
        assert.equal(found.traceId, parent.traceId);
        return found;
      };
      const call = await below(advance, 'session apply');
      const inWorker = await below(call, 'worker');
      // One that was on the disk before its reply came by had nothing to wait for, and tells of no wait.
      const waited = (): SentSpan | undefined =>
        named('journal commit').find(({ parentSpanId }) =>
          named('session apply').some(({ spanId }) => spanId === parentSpanId),
        );
      for (let i = 0; i < 200 && waited() === undefined; i++) {
        assert.equal((await ask('POST', '/v1/sessions/traced/advance', { ns: 5 })).status, 200);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await until('a commit that an operation waited for', () => waited() !== undefined);
      const commit = waited()!;
      const waiting = named('session apply').find(({ spanId }) => spanId === commit.parentSpanId)!;
      assert.equal(attributeOf(call, 'iommu_lab.session'), id);
      assert.ok(BigInt(inWorker.startTimeUnixNano) >= BigInt(advance.startTimeUnixNano) - 1_000_000n);
      for (const span of spans) assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano), span.name);
      assert.equal(commit.traceId, waiting.traceId);
      assert.ok(BigInt(commit.endTimeUnixNano) <= BigInt(waiting.endTimeUnixNano) + 1_000_000n);
      await below(creation, 'session create');
      await below(creation, 'journal write');

      const [run] = named('run') as [SentSpan];
      const start_ = await below(named('POST /v1/sessions/:session/runs')[0]!, 'session run-start');
      assert.equal(run.parentSpanId ?? '', '');
      assert.notEqual(run.traceId, start_.traceId);
      assert.deepEqual(
        run.links!.map(({ traceId, spanId }) => [traceId, spanId]),
        [[start_.traceId, start_.spanId]],
      );
      assert.deepEqual(
        [attributeOf(run, 'iommu_lab.run'), attributeOf(run, 'iommu_lab.run.state')],
        ['run_1', 'finished'],
      );

      // Nobody's fault: a refusal is no error.
      const [refused] = named('GET /v1/sessions/:session') as [SentSpan];
      assert.equal(refused.status?.code ?? 0, 0);
      assert.deepEqual(named('GET /metrics'), []);
      assert.deepEqual(named('GET /v1'), [], 'who asks not to be sampled is not');
      for (const body of bodies) assert.ok(!body.includes(SECRET), 'what stands behind ? is not told');

      const metrics = await (await ask('GET', '/metrics')).text();
      assert.match(metrics, /^iommu_lab_trace_spans_exported_total [1-9]/m);
      assert.match(metrics, /^iommu_lab_trace_spans_dropped_total 0$/m);

      // What has not been sent yet is, when the server ends.
      await ask('DELETE', '/v1/sessions/traced');
      server.child.kill('SIGTERM');
      assert.equal(await server.ended(), 0);
      assert.equal(named('DELETE /v1/sessions/:session').length, 1);
      const lines = server.stderr
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line));
      const line = lines.find(({ msg, requestId }) => msg === 'request' && requestId === 'mine');
      assert.deepEqual([line.traceId, line.session, line.worker], [advance.traceId, id, 0]);
    }),
  ));

test('jobs of an experiment are traces with a link to what asked for it', () =>
  withCollector(({ url, until, spans }) =>
    withServers(async (start, folder) => {
      const server = start(['--port', '0', '--workers', '1', '--data', folder, '--otlp-endpoint', url]);
      const address = await server.address();
      const made = await fetch(`${address}/v1/experiments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...small, seeds: [1], control: false }),
      });
      const { id } = (await made.json()) as { id: string };
      assert.equal(made.status, 201, id);
      await until('both jobs', (all) => all.filter(({ name }) => name === 'experiment job').length === 2);
      await until('what asked for them', (all) => all.some(({ name }) => name === 'POST /v1/experiments'));
      const [request] = spans.filter(({ name }) => name === 'POST /v1/experiments') as [SentSpan];
      for (const job of spans.filter(({ name }) => name === 'experiment job')) {
        assert.equal(attributeOf(job, 'iommu_lab.experiment'), id);
        assert.deepEqual([job.links![0]!.traceId, job.links![0]!.spanId], [request.traceId, request.spanId]);
      }
    }),
  ));

for (const [what, status] of [
  ['refuses', 400],
  ['never answers', null],
] as const)
  test(`a collector that ${what} costs no request, and does not keep the server from ending`, () =>
    withCollector(
      ({ url }) =>
        withServers(async (start, folder) => {
          const server = start(['--port', '0', '--workers', '1', '--data', folder, '--otlp-endpoint', url]);
          const address = await server.address();
          for (let i = 0; i < 20; i++) assert.equal((await fetch(`${address}/v1`)).status, 200);
          if (status !== null) {
            const deadline = performance.now() + 20_000;
            while (!server.stderr.includes('the collector does not take traces')) {
              assert.ok(performance.now() < deadline, 'no line in the log');
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
            for (let i = 0; i < 20; i++) assert.equal((await fetch(`${address}/v1`)).status, 200);
            assert.match(
              await (await fetch(`${address}/metrics`)).text(),
              /^iommu_lab_trace_spans_dropped_total [1-9]/m,
            );
          }
          server.child.kill('SIGTERM');
          assert.equal(await server.ended(), 0);
          assert.ok(server.stderr.split('the collector does not take traces').length <= 2, 'one line, not one a batch');
        }),
      status,
    ));

test('without an endpoint nothing of it is loaded: no module that a plain start imports leads there', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    // Imports that are there at run time, as the formatter writes them.
    for (const [, typed, from] of text.matchAll(/^(?:import|export)(\s+type)?\b[^;']*?'([^']+)'/gm)) {
      if (typed !== undefined) continue;
      if (/^\.+\/.*\.ts$/.test(from!)) visit(join(dirname(file), from!));
      else if (!from!.startsWith('.')) packages.add(from!);
    }
  };
  visit('src/main.ts');
  assert.ok(seen.has('src/server/app.ts') && packages.has('pino'));
  assert.deepEqual(
    [...packages].filter((name) => /otel|opentelemetry/.test(name)),
    [],
  );
  seen.clear();
  visit('src/server/telemetry.ts');
  assert.ok(
    [...packages].some((name) => name.startsWith('@opentelemetry/')),
    'it would have been found',
  );
});

test('an endpoint that is none is refused by name', () =>
  withServers(async (start, folder) => {
    for (const wrong of ['localhost:4318', 'ftp://a', 'http://user:secret@a']) {
      const server = start(['--port', '0', '--data', folder, '--otlp-endpoint', wrong]);
      assert.equal(await server.ended(), 1);
      assert.match(server.stderr, /--otlp-endpoint/);
    }
  }));
