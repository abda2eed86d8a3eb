/**
 * A table with a caption for those who do not see it; on a narrow screen it scrolls by itself, within a region that the keyboard reaches.
 *
 *     <Table caption="Sessions" rows={items} columns={[{ name: 'Name', cell: (s) => s.name }, { name: 'Time', number: true, ... }]} />
 */
import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  name: string;
  cell(row: Row): ComponentChildren;
  number?: boolean;
  /** The cell that names the row. */
  head?: boolean;
}

export interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf(row: Row): string;
  /** Small, without lines: beside a chart. */
  tight?: boolean;
  /** On a phone each row is a block, its cells below each other with their columns' names. */
  blocks?: boolean;
}

export function Table<Row>({ caption, columns, rows, keyOf, tight = false, blocks = false }: TableProps<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
    <section class="scroll" tabIndex={0} aria-label={caption}>
      <table class={`${tight ? 'tight' : ''} ${blocks ? 'blocks' : ''}`}>
        <caption class="hidden-text">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, number }) => (
              <th key={name} scope="col" class={number ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ name, cell, number, head }) =>
                head ? (
                  <th key={name} scope="row">
                    {cell(row)}
                  </th>
                ) : (
                  <td key={name} class={number ? 'number' : undefined} data-name={name}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
