/** Documents of a session on the real core, over HTTP: metrics as tables hold the numbers of JSON; kernel files have the kernel's form. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckedInject } from '../contract/conformance.ts';
import { readOpenMetrics } from '../oracles/openmetrics.ts';
import { startRoutesOnCore } from './server.ts';

let server: Awaited<ReturnType<typeof startRoutesOnCore>>;
let inject: CheckedInject;
const at = '/v1/sessions/lab';

before(async () => {
  server = await startRoutesOnCore();
  inject = server.inject;
  await call('POST', '/v1/sessions', {
    name: 'lab',
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
    devices: [
      { name: 'dev', kind: 'custom' },
      { name: 'nic', kind: 'nic' },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic' },
      { kind: 'map-benchmark', device: 'dev', threads: 2, seconds: 1, direction: 'from-device' },
    ],
  });
  const { id } = await call('POST', `${at}/runs`, { forNs: 3_000_000 });
  while ((await call('GET', `${at}/runs/${id}`)).state === 'running') await sleep(5);
  for (const access of ['write', 'read'])
    await call('POST', `${at}/devices/dev/dma`, { iova: '0x123456000', lengthBytes: 8, access });
});
after(() => server.close());

async function call(method: 'GET' | 'POST', url: string, body?: object) {
  const reply = await inject({ method, url, ...(body === undefined ? {} : { payload: body }) });
  assert.ok(reply.statusCode < 300, `${method} ${url}: ${reply.statusCode} ${reply.body}`);
  return reply.json();
}

interface Row {
  session: string;
  metric: string;
  value: number | null;
  text: string | null;
}

/** Leaves of a document, by a stack and no recursion: as a table is to have them. */
function leavesOf(session: string, metrics: object): Row[] {
  const rows: Row[] = [];
  const left: [string, unknown][] = Object.entries(metrics).reverse();
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [metric, value] = next;
    if (value !== null && typeof value === 'object') {
      const members = Object.entries(value).map(([name, member]): [string, unknown] => [`${metric}.${name}`, member]);
      left.push(...members.reverse());
    } else
      rows.push({
        session,
        metric,
        value: typeof value === 'number' ? value : null,
        text: value === null || typeof value === 'number' ? null : String(value),
      });
  }
  return rows;
}

/** RFC 4180, one character after the other. */
function parsedCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === ',') {
      rows.at(-1)!.push(cell);
      cell = '';
    } else if (character === '\r') {
      assert.equal(text[++i], '\n', 'lines end with CR and LF');
      rows.at(-1)!.push(cell);
      rows.push([]);
      cell = '';
    } else cell += character;
  }
  assert.deepEqual(rows.pop(), [], 'the last line ends, too');
  return rows;
}

describe('metrics over HTTP', () => {
  let id: string;
  let expected: Row[];
  before(async () => {
    ({ id } = await call('GET', at));
    expected = leavesOf(id, await call('GET', `${at}/metrics`));
    assert.ok(expected.length > 100);
    assert.ok(expected.some(({ value }) => value !== null && !Number.isInteger(value)));
    assert.ok(expected.some(({ text }) => text === 'nic-rx'));
  });

  const table = async (form: string, asked: 'query' | 'accept', type: string) => {
    const reply = await inject({
      method: 'GET',
      url: asked === 'query' ? `${at}/metrics?format=${form}` : `${at}/metrics`,
      headers: asked === 'accept' ? { accept: type } : {},
    });
    assert.equal(reply.statusCode, 200);
    assert.equal(String(reply.headers['content-type']).split(';')[0], type);
    return reply.rawPayload;
  };

  for (const asked of ['query', 'accept'] as const) {
    it(`as CSV, by ${asked}, are the numbers of JSON, and no cell is a formula`, async () => {
      const [head, ...rows] = parsedCsv((await table('csv', asked, 'text/csv')).toString());
      assert.deepEqual(head, ['session', 'metric', 'value', 'text']);
      assert.deepEqual(
        rows.map(([session, metric, value, text]) => ({
          session,
          metric,
          value: value === '' ? null : Number(value),
          text: text === '' ? null : text,
        })),
        expected,
      );
      for (const row of rows) for (const cell of row) assert.doesNotMatch(cell, /^[=+@]|^-(?!\d)/);
    });

    it(`as Parquet, by ${asked}, are the numbers of JSON, to the last bit`, async () => {
      const { parquetReadObjects } = await import('hyparquet');
      const bytes = await table('parquet', asked, 'application/vnd.apache.parquet');
      const file = new Uint8Array(bytes).buffer;
      assert.deepEqual(
        (await parquetReadObjects({ file })).map((row) => ({ ...row })),
        expected,
      );
    });

    it(`as a stream of Arrow, by ${asked}, are the numbers of JSON, to the last bit`, async () => {
      const { tableFromIPC } = await import('apache-arrow');
      const read = tableFromIPC(await table('arrow', asked, 'application/vnd.apache.arrow.stream'));
      assert.deepEqual(
        read.toArray().map((row) => ({ ...row.toJSON() })),
        expected,
      );
    });
  }

  it('in a form that there is not are 400, and a table has neither names nor sleep', async () => {
    for (const query of ['format=xlsx', 'format=csv&names=intel', 'format=arrow&wake=false']) {
      const reply = await inject({ method: 'GET', url: `${at}/metrics?${query}` });
      assert.deepEqual([reply.statusCode, reply.json().errors[0].path], [400, '?format'], query);
    }
  });
});

describe('kernel files over HTTP', () => {
  const file = async (name: string): Promise<string[]> => {
    const reply = await inject({ method: 'GET', url: `${at}/kernel/${name}` });
    assert.deepEqual([reply.statusCode, reply.headers['content-type']], [200, 'text/plain; charset=utf-8']);
    const lines = reply.body.split('\n');
    assert.equal(lines.pop(), '', 'the last line ends');
    return lines;
  };

  it('dmar_perf_latency: a unit, a header of `%12` columns, and a row whose counts are those of the histogram', async () => {
    const [unit, head, row, ...more] = await file('dmar_perf_latency');
    assert.deepEqual(more, []);
    assert.match(unit!, /^IOMMU: dmar\d+ Register Base Address: [0-9a-f]+$/);
    const cut = (line: string) =>
      [line.slice(0, 13), ...(line.slice(13).match(/.{12}/g) ?? [])].map((cell) => cell.trim());
    assert.deepEqual(cut(head!), [
      ...['', '<0.1us', '0.1us-1us', '1us-10us', '10us-100us', '100us-1ms', '1ms-10ms', '>=10ms'],
      ...['min(us)', 'max(us)', 'average(us)'],
    ]);
    const [name, ...cells] = cut(row!);
    assert.equal(name, 'inv_iotlb');
    assert.equal(row!.length, 13 + 10 * 12);
    const numbers = cells.map(Number);
    assert.ok(
      numbers.every((number) => Number.isInteger(number) && number >= 0),
      row,
    );
    const reply = await inject({
      method: 'GET',
      url: `${at}/metrics`,
      headers: { accept: 'application/openmetrics-text' },
    });
    const { samples } = readOpenMetrics(reply.body).get('iommu_invalidation_duration_seconds')!;
    const upTo = ['1e-07', '1e-06', '1e-05', '0.0001', '0.001', '0.01', '+Inf'].map((le) => {
      const found = samples.find(({ labels }) => Number(labels.get('le')) === Number(le) || labels.get('le') === le);
      assert.ok(found !== undefined, le);
      return found.value;
    });
    assert.ok(upTo.at(-1)! > 0);
    assert.deepEqual(
      numbers.slice(0, 7),
      upTo.map((all, i) => all - (upTo[i - 1] ?? 0)),
    );
  });

  it("dma_map_benchmark: the tool's three lines, with the averages of the result", async () => {
    const [first, map, unmap, ...more] = await file('dma_map_benchmark');
    assert.deepEqual(more, []);
    assert.equal(first, 'dma mapping benchmark: threads:2 seconds:1 node:-1 dir:FROM_DEVICE granule: 1');
    assert.match(map!, /^average map latency\(us\):\d+\.\d standard deviation:\d+\.\d$/);
    assert.match(unmap!, /^average unmap latency\(us\):\d+\.\d standard deviation:\d+\.\d$/);
    const { workloads } = (await call('GET', `${at}/metrics`)) as { workloads: { lines?: string[] }[] };
    assert.deepEqual(
      workloads.flatMap(({ lines = [] }) => lines),
      [first, map, unmap],
    );
  });

  it('dmesg: a line each fault, as the kernel words it, at its time', async () => {
    const lines = await file('dmesg');
    const form =
      /^\[ *(\d+)\.(\d{6})\] DMAR: \[DMA (Read|Write) NO_PASID\] Request device \[([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\] fault addr (0x[0-9a-f]+) \[fault reason (0x[0-9a-f]{2})\] \S.*$/;
    const { items } = (await call('GET', `${at}/faults`)) as {
      items: { timeNs: number; access: string; iova: string; code: number }[];
    };
    assert.equal(lines.length, 2);
    assert.equal(items.length, 2);
    const said = lines.map((line) => {
      const [, seconds, micros, access, , address, reason] = form.exec(line) ?? assert.fail(line);
      return [Number(seconds) * 1e6 + Number(micros), access!.toLowerCase(), BigInt(address!), Number(reason)];
    });
    assert.deepEqual(
      said,
      items.map(({ timeNs, access, iova, code }) => [Math.floor(timeNs / 1000), access, BigInt(iova), code]),
    );
  });
});
