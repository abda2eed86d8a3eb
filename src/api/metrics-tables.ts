/**
 * A metrics document as a table, for those who put it beside others: a row for each number, by its dotted path, which is also what
 * `until.metric` takes; text and truth values stand in a column of their own. The bulky libraries are loaded when they are first wanted.
 */
export const TABLE_TYPES = {
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.stream',
} as const;
export type TableForm = keyof typeof TABLE_TYPES;

interface Row {
  metric: string;
  /** Null where it is no number. */
  value: number | null;
  text: string | null;
}

/** A document is no deeper than this. */
const DEEPEST = 16;

export function rowsOf(metrics: Record<string, unknown>): Row[] {
  const rows: Row[] = [];
  const visit = (value: unknown, metric: string, depth: number): void => {
    if (typeof value === 'number') rows.push({ metric, value, text: null });
    else if (typeof value === 'string' || typeof value === 'boolean')
      rows.push({ metric, value: null, text: String(value) });
    else if (value === null) rows.push({ metric, value: null, text: null });
    else if (typeof value === 'object' && depth < DEEPEST)
      for (const [name, member] of Object.entries(value))
        visit(member, metric === '' ? name : `${metric}.${name}`, depth + 1);
  };
  visit(metrics, '', 0);
  return rows;
}

/** What a spreadsheet would take for a formula gets an apostrophe in front. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORMULA = /^[\s\u0000-\u0020]*[=+\-@\uff0b\uff0d\uff1d\uff20]/;

function cell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** RFC 4180: one header, lines end with CRLF. */
function toCsv(session: string, rows: readonly Row[]): string {
  const lines = rows.map(({ metric, value, text }) => [session, metric, value, text].map(cell).join());
  return `${['session,metric,value,text', ...lines].join('\r\n')}\r\n`;
}

/** @param session its id, in every row, so that tables of several can be put under each other */
export async function metricsTable(
  metrics: Record<string, unknown>,
  session: string,
  form: TableForm,
): Promise<string | Uint8Array> {
  const rows = rowsOf(metrics);
  if (form === 'csv') return toCsv(session, rows);
  const sessions = rows.map(() => session);
  const names = rows.map(({ metric }) => metric);
  const values = rows.map(({ value }) => value);
  const texts = rows.map(({ text }) => text);
  if (form === 'parquet') {
    const { parquetWriteBuffer } = await import('hyparquet-writer');
    return new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: 'session', type: 'STRING', data: sessions },
          { name: 'metric', type: 'STRING', data: names },
          { name: 'value', type: 'DOUBLE', data: values },
          { name: 'text', type: 'STRING', data: texts },
        ],
        kvMetadata: [{ key: 'iommu-lab.session', value: session }],
        createdBy: 'iommu-lab',
      }),
    );
  }
  const { Float64, Table, tableToIPC, Utf8, vectorFromArray } = await import('apache-arrow');
  const table = new Table({
    session: vectorFromArray(sessions, new Utf8()),
    metric: vectorFromArray(names, new Utf8()),
    value: vectorFromArray(values, new Float64()),
    text: vectorFromArray(texts, new Utf8()),
  });
  return tableToIPC(table, 'stream');
}
