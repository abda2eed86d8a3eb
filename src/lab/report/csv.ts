/**
 * The table of rows as CSV: RFC 4180, one header, lines end with CRLF, UTF-8 without a mark.
 *
 * A spreadsheet takes text that begins with `=`, `+`, `-` or `@` (after blanks and control characters too) for a formula, and a label is
 * whatever somebody typed. Such text gets an apostrophe in front, which a spreadsheet takes for "this is text". Numbers are left alone.
 *
 * Source: RFC 4180; OWASP, CSV injection.
 */
import type { ExperimentResults } from '../compare/results.ts';
import type { ExperimentData } from '../experiment.ts';
import { tableOf, type Value } from './table.ts';

/** Tab and line ends are dropped by some readers, and what follows begins the cell then. Full-width forms count in some locales. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORMULA = /^[\s\u0000-\u0020]*[=+\-@\uff0b\uff0d\uff1d\uff20]/;
const QUOTED = /[",\r\n]/;

function cell(value: Value): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export async function toCsv(data: ExperimentData, results: ExperimentResults): Promise<string> {
  const columns = tableOf(data, results);
  const count = columns[0]!.values.length;
  const lines = [columns.map(({ name }) => cell(name)).join()];
  for (let line = 0; line < count; line++) lines.push(columns.map(({ values }) => cell(values[line]!)).join());
  return `${lines.join('\r\n')}\r\n`;
}
