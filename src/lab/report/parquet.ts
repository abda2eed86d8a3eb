/** The table of rows as Parquet: the columns of the CSV, typed, null where the CSV has nothing. Text as it was typed: there are no formulas. */
import type { ExperimentResults } from '../compare/results.ts';
import type { ExperimentData } from '../experiment.ts';
import { type Column, tableOf } from './table.ts';

const TYPES = { text: 'STRING', number: 'DOUBLE', boolean: 'BOOLEAN' } as const satisfies Record<
  Column['type'],
  string
>;

export async function toParquet(data: ExperimentData, results: ExperimentResults): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const { id, coreVersion, title } = data.document;
  const buffer = parquetWriteBuffer({
    columnData: tableOf(data, results).map(({ name, type, values }) => ({ name, type: TYPES[type], data: values })),
    kvMetadata: [
      { key: 'iommu-lab.experiment', value: id },
      { key: 'iommu-lab.coreVersion', value: coreVersion },
      { key: 'iommu-lab.complete', value: String(results.complete) },
      ...(title === undefined ? [] : [{ key: 'iommu-lab.title', value: title }]),
    ],
    createdBy: 'iommu-lab',
  });
  return new Uint8Array(buffer);
}
