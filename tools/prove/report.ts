/** A page for `docs/verification/`, as a proof of full size leaves it in its folder. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Report {
  title: string;
  command: string;
  /** Name and value, in the order of the table. */
  rows: readonly (readonly [string, string | number])[];
  /** What stands below the table: series, and what is to be known of them. */
  text: readonly string[];
}

export function writeReport(folder: string, name: string, { title, command, rows, text }: Report): void {
  const all: (readonly [string, string | number])[] = [
    ['commit', commit()],
    ['date', new Date().toISOString().slice(0, 10)],
    ...rows,
  ];
  const table = all.map(
    ([what, value]) => `| ${what} | ${typeof value === 'number' ? value.toLocaleString('en') : value} |`,
  );
  const lines = [`# ${title}`, '', `\`${command}\``, '', '| | |', '| --- | --- |', ...table, '', ...text, ''];
  writeFileSync(join(folder, `${name}.md`), lines.join('\n'));
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
