/** Markdown tables and numbers as they stand in the docs. */
import { figure } from '../../src/lab/repro/figure.ts';

export { figure };

export type Cell = string | number;

/** Columns of numbers are right-aligned: those whose first row holds a number or ends in a digit or a sign of unit. */
export function table(head: string[], rows: Cell[][]): string {
  const right = head.map(
    (_, column) => column > 0 && rows.every((row) => /^[-0-9.,~ ]*[0-9]( ?%)?$|^-$/.test(String(row[column]))),
  );
  const line = (cells: Cell[]) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(right.map((isRight) => (isRight ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

export function percent(value: number, digits = 1): string {
  return `${figure(value * 100, digits)} %`;
}
