import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { compareExperiment } from '../../../src/lab/compare/compare.ts';
import type { ReproductionTable } from '../../../src/lab/compare/results.ts';
import { memberAt } from '../../../src/lab/compare/sample.ts';
import type { ExperimentData } from '../../../src/lab/experiment.ts';
import { toCsv } from '../../../src/lab/report/csv.ts';
import { toParquet } from '../../../src/lab/report/parquet.ts';
import { tableOf } from '../../../src/lab/report/table.ts';
import { experimentOf, finished, madeUpRun } from '../small-lab.ts';

/** A reader of RFC 4180, letter by letter. */
function parse(text: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!;
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[at + 1] === '"') {
        field += '"';
        at++;
      } else quoted = false;
    } else if (letter === '"') {
      assert.equal(field, '', 'a quote inside of a field that is not quoted');
      quoted = true;
    } else if (letter === ',') {
      line.push(field);
      field = '';
    } else if (letter === '\r') {
      assert.equal(text[++at], '\n');
      lines.push([...line, field]);
      [line, field] = [[], ''];
    } else {
      assert.notEqual(letter, '\n', 'a line end that is not CRLF');
      field += letter;
    }
  }
  assert.ok(!quoted && field === '' && line.length === 0, 'ends with a line end');
  return lines;
}

const base = {
  machine: { cpus: 2 },
  devices: [
    { name: 'nic0', kind: 'nic' },
    { name: 'disk0', kind: 'block' },
  ],
  workloads: [
    { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0] },
    { name: 'disk', kind: 'block', device: 'disk0', disk: 'nvme', cpus: [1] },
  ],
};
const arms = [
  { label: 'strict', set: { 'policy.invalidation.kind': 'strict', 'iommu.coherent': true, 'machine.cpus': 2 } },
  { label: '=cmd|"/c calc"!A1, with\r\nmore', set: { 'policy.invalidation': { kind: 'wrap' }, label: 'own' } },
];
const until = { operations: 500 };

const reproduction: ReproductionTable = {
  title: 'A publication',
  citation: 'Somebody, 2015',
  rows: [
    {
      target: 'B1',
      what: 'cycles of an unmap',
      published: '4,321',
      where: 'table 1',
      tag: 'sourced',
      simulated: '4,300',
      relativeError: -0.00486,
      calibrated: false,
      status: 'appears',
      remark: '',
    },
  ],
};

function ragged(): ExperimentData {
  return experimentOf({ base, arms, until, seeds: [1, 2, 3] }, ({ id }, seed) => {
    if (id === 'arm-1') return null;
    return seed === 2
      ? { ok: false, code: 'no-memory', detail: '-1, "none"' }
      : finished(madeUpRun({ pageSeconds: 0.25 }));
  });
}

describe('all rows as a table', () => {
  const data = experimentOf({ base, arms: [arms[0]!], until, seeds: [1, 2] });
  const results = compareExperiment(data);
  const columns = tableOf(data, results);
  const column = (name: string) => columns.find((each) => each.name === name)!;

  it('has a line for the totals and for each workload of each arm and seed', () => {
    assert.deepEqual(column('scope').values, ['total', 'workload', 'workload', 'total', 'workload', 'workload']);
    assert.deepEqual(column('workload').values, [null, 'rx', 'disk', null, 'rx', 'disk']);
    assert.deepEqual(column('seed').values, [1, 1, 1, 2, 2, 2]);
    for (const { values } of columns) assert.equal(values.length, 6);
    assert.equal(new Set(columns.map(({ name }) => name)).size, columns.length);
  });

  it('has the numbers of the run, and nothing where a workload has none', () => {
    const run = data.rows[0]!.outcome?.ok ? data.rows[0]!.outcome.result : {};
    const pairs: [string, string][] = [
      ['throughputGbps', 'throughputGbps'],
      ['latencyP99Ns', 'latencyNs.p99'],
      ['potentialPageSeconds', 'exposure.potential.pageSeconds'],
      ['actualLongestWindowNs', 'exposure.actual.longestWindowNs'],
      ['unmapInvalidationCycles', 'breakdown.unmap.invalidation'],
      ['verdictOk', 'verdicts.ok'],
      ['invalidationsRange', 'counts.invalidationsRange'],
    ];
    for (const [name, path] of pairs) assert.equal(column(name).values[0], memberAt(run, path), name);
    assert.equal(column('iops').values[1], null);
    assert.equal(column('throughputGbps').values[2], null);
    assert.equal(column('invalidationsRange').values[1], null);
    assert.ok(Number(column('maps').values[1]) > 0);
  });

  it('has what is varied by its path, typed', () => {
    assert.deepEqual(
      ['policy.invalidation.kind', 'iommu.coherent', 'machine.cpus'].map((name) => column(name).type),
      ['text', 'boolean', 'number'],
    );
  });

  it('has a line for each job that has no result, with what is known of it', () => {
    const data = ragged();
    const table = tableOf(data, compareExperiment(data));
    const values = (name: string) => table.find((each) => each.name === name)!.values;
    assert.deepEqual(values('state'), [
      'queued',
      'queued',
      'queued',
      ...['finished', 'finished', 'failed', 'finished', 'finished'],
    ]);
    assert.deepEqual(
      values('problemCode').filter((value) => value !== null),
      ['no-memory'],
    );
    assert.deepEqual(values('varied.label').at(-1), 'own');
    assert.deepEqual(values('policy.invalidation').at(-1), '{"kind":"wrap"}');
  });
});

describe('CSV', () => {
  it('is read back to what the table has', async () => {
    const data = ragged();
    const results = { ...compareExperiment(data), reproduction };
    const columns = tableOf(data, results);
    const [head, ...lines] = parse(await toCsv(data, results));
    assert.deepEqual(
      head,
      columns.map(({ name }) => name),
    );
    for (const [at, line] of lines.entries())
      for (const [i, { name, values, type }] of columns.entries()) {
        const value = values[at]!;
        const seen = line[i]!;
        if (value === null) assert.equal(seen, '', name);
        else if (type === 'number') assert.equal(Number(seen), value, name);
        else assert.equal(seen.replace(/^'/, ''), String(value), name);
      }
    assert.equal(lines.length, columns[0]!.values.length);
    assert.deepEqual(lines.at(-1)!.slice(0, 2), ['reproduction', 'exp_1']);
  });

  it('has no text that a spreadsheet would carry out, and leaves numbers below 0 as they are', async () => {
    const start = fc.constantFrom('=', '+', '-', '@', '\t=', '\r\n+', ' -', '\u0000@', '＝', '');
    await fc.assert(
      fc.asyncProperty(fc.tuple(start, fc.string()), async ([first, rest]) => {
        const label = first + rest;
        const data = experimentOf({ base, arms: [{ label, set: { 'x.y': -5 } }], until, seeds: [1] }, () => null);
        const [head, line] = parse(await toCsv(data, compareExperiment(data)));
        const seen = line![head!.indexOf('label')]!;
        assert.ok(!/^[=+@＝-]/.test(seen.replaceAll('\u0000', '').trimStart()), JSON.stringify(seen));
        assert.equal(seen.endsWith(label), true);
        assert.equal(line![head!.indexOf('x.y')], '-5');
      }),
    );
  });
});

describe('Parquet', () => {
  it('is read back to what the table has', async () => {
    const data = ragged();
    const results = { ...compareExperiment(data), reproduction };
    const columns = tableOf(data, results);
    const bytes = await toParquet(data, results);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const objects = await parquetReadObjects({ file });
    const expected = columns[0]!.values.map((_, at) =>
      Object.fromEntries(columns.map(({ name, values }) => [name, values[at]])),
    );
    assert.deepEqual(JSON.parse(JSON.stringify(objects)), JSON.parse(JSON.stringify(expected)));
    assert.equal(objects.length, 9);
    const { key_value_metadata: notes, schema } = parquetMetadata(file);
    assert.ok(notes!.some(({ key, value }) => key === 'iommu-lab.complete' && value === 'false'));
    assert.equal(schema.find(({ name }) => name === 'seed')!.type, 'DOUBLE');
    assert.equal(schema.find(({ name }) => name === 'label')!.type, 'BYTE_ARRAY');
  });

  it('is the same bytes for the same data, and can have no row at all', async () => {
    const data = ragged();
    const results = compareExperiment(data);
    assert.deepEqual(await toParquet(data, results), await toParquet(data, results));
    const empty = { ...data, rows: [] };
    const bytes = await toParquet(empty, compareExperiment(empty));
    assert.deepEqual(await parquetReadObjects({ file: bytes.buffer.slice(0) as ArrayBuffer }), []);
  });
});
