/**
 * Which part of a space the picture shows: a first page and, as a power of two, how many pages a cell has. Rows run in the order of
 * addresses, so a row begins at a round address and the same address is in the same column at every zoom. Pure.
 */

export interface View {
  /** First page; a multiple of a row's pages. */
  first: number;
  /** log2 of the pages of a cell. */
  shift: number;
}

export interface Grid {
  columns: number;
  rows: number;
}

export const cellPages = ({ shift }: View): number => 2 ** shift;
export const rowPages = (view: View, { columns }: Grid): number => columns * cellPages(view);
export const viewPages = (view: View, grid: Grid): number => grid.rows * rowPages(view, grid);

/** Last page that the picture shows. */
export function lastOf(view: View, grid: Grid, lastPage: number): number {
  return Math.min(lastPage, view.first + viewPages(view, grid) - 1);
}

/** The least shift at which the whole space fits. */
export function widest(grid: Grid, lastPage: number): number {
  let shift = 0;
  while (grid.columns * grid.rows * 2 ** shift < lastPage + 1) shift++;
  return shift;
}

/** Within the space, and on a row's boundary. */
export function settled(view: View, grid: Grid, lastPage: number): View {
  const shift = Math.min(Math.max(0, Math.round(view.shift)), widest(grid, lastPage));
  const row = grid.columns * 2 ** shift;
  const rowsInAll = Math.ceil((lastPage + 1) / row);
  const firstRow = Math.min(Math.max(0, Math.floor(view.first / row)), Math.max(0, rowsInAll - grid.rows));
  return { first: firstRow * row, shift };
}

/** The nearest look at a stretch that shows all of it. */
export function fitted(first: number, last: number, grid: Grid, lastPage: number): View {
  for (let shift = 0; ; shift++) {
    const view = settled({ first, shift }, grid, lastPage);
    if (shift >= widest(grid, lastPage) || lastOf(view, grid, lastPage) >= last) return view;
  }
}

/** Nearer (below 0) or farther by so many powers of two, with a page staying in its row as far as that goes. */
export function zoomed(view: View, by: number, page: number, grid: Grid, lastPage: number): View {
  const shift = Math.min(Math.max(0, view.shift + by), widest(grid, lastPage));
  if (shift === view.shift) return view;
  const row = Math.floor((page - view.first) / rowPages(view, grid));
  return settled({ first: page - row * grid.columns * 2 ** shift, shift }, grid, lastPage);
}

/** Up (below 0) or down by so many rows. */
export function moved(view: View, rows: number, grid: Grid, lastPage: number): View {
  return settled({ ...view, first: view.first + rows * rowPages(view, grid) }, grid, lastPage);
}

/** First page of a cell, counted in rows. */
export const pageOfCell = (view: View, cell: number): number => view.first + cell * cellPages(view);

/** Of `cells`, what the server is asked for: whole cells up to the last page. */
export function stretch(view: View, grid: Grid, lastPage: number): { first: number; last: number; cells: number } {
  const last = lastOf(view, grid, lastPage);
  return { first: view.first, last, cells: Math.ceil((last - view.first + 1) / cellPages(view)) };
}
