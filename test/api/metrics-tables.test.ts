import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { metricsTable, rowsOf } from '../../src/api/metrics-tables.ts';

const METRICS = {
  timeNs: 5,
  exposure: { actual: { pageSeconds: 0.5 } },
  workloads: [{ kind: '=1+1', done: true, iops: null }],
};
const ROWS = [
  { metric: 'timeNs', value: 5, text: null },
  { metric: 'exposure.actual.pageSeconds', value: 0.5, text: null },
  { metric: 'workloads.0.kind', value: null, text: '=1+1' },
  { metric: 'workloads.0.done', value: null, text: 'true' },
  { metric: 'workloads.0.iops', value: null, text: null },
];

describe('metrics as a table', () => {
  it('have a row for each number, by its dotted path', () => {
    assert.deepEqual(rowsOf(METRICS), ROWS);
  });

  it('are CSV in which no cell is a formula', async () => {
    assert.equal(
      await metricsTable(METRICS, 'ses_1', 'csv'),
      "session,metric,value,text\r\nses_1,timeNs,5,\r\nses_1,exposure.actual.pageSeconds,0.5,\r\nses_1,workloads.0.kind,,'=1+1\r\nses_1,workloads.0.done,,true\r\nses_1,workloads.0.iops,,\r\n",
    );
  });

  it('are Parquet that a reader of Parquet reads', async () => {
    const bytes = (await metricsTable(METRICS, 'ses_1', 'parquet')) as Uint8Array;
    const { parquetReadObjects } = await import('hyparquet');
    const rows = await parquetReadObjects({ file: bytes.slice().buffer });
    assert.deepEqual(
      JSON.parse(JSON.stringify(rows)),
      ROWS.map((row) => ({ session: 'ses_1', ...row })),
    );
  });

  it('are a stream of Arrow that a reader of Arrow reads', async () => {
    const { tableFromIPC } = await import('apache-arrow');
    const table = tableFromIPC((await metricsTable(METRICS, 'ses_1', 'arrow')) as Uint8Array);
    assert.deepEqual(
      JSON.parse(JSON.stringify(table.toArray())),
      ROWS.map((row) => ({ session: 'ses_1', ...row })),
    );
  });
});
