/** What comes of an experiment, as text or bytes to be sent. What makes plots and Parquet is loaded when it is first wanted. */
import type { ExperimentData } from './experiment.ts';
import type { RenderForm, RenderOptions } from './laboratory.ts';
import { resultsOf } from './results.ts';

export async function renderExperiment(
  data: ExperimentData,
  form: RenderForm,
  { rows = false }: RenderOptions = {},
): Promise<string | Uint8Array> {
  const results = resultsOf(data);
  switch (form) {
    case 'json':
      return JSON.stringify(rows ? { ...results, rows: data.rows } : results);
    case 'csv':
      return (await import('./report/csv.ts')).toCsv(data, results);
    case 'parquet':
      return (await import('./report/parquet.ts')).toParquet(data, results);
    case 'html':
      return (await import('./report/html.ts')).toHtml(data, results);
    case 'markdown':
      return (await import('./report/markdown.ts')).toMarkdown(data, results);
  }
}
