/**
 * Fewer points for a line than there are, where many share a column of pixels: its first, lowest, highest and last there cover what all of
 * them would. Pure.
 */

/**
 * Tells the places of the points to draw, in their order: all of them where each has a column of pixels to itself, otherwise the first,
 * lowest, highest and last of each column. NaN stays, as the end of a piece.
 */
export function eachDrawn(
  xs: Float64Array,
  ys: Float64Array,
  columnOf: (x: number) => number,
  tell: (place: number) => void,
): void {
  let first = 0;
  while (first < xs.length) {
    if (Number.isNaN(ys[first] as number)) {
      tell(first++);
      continue;
    }
    const column = columnOf(xs[first] as number);
    let lowest = first;
    let highest = first;
    let end = first + 1;
    while (end < xs.length && !Number.isNaN(ys[end] as number) && columnOf(xs[end] as number) === column) {
      if ((ys[end] as number) < (ys[lowest] as number)) lowest = end;
      if ((ys[end] as number) > (ys[highest] as number)) highest = end;
      end++;
    }
    let told = -1;
    for (const place of [first, Math.min(lowest, highest), Math.max(lowest, highest), end - 1]) {
      if (place > told) tell((told = place));
    }
    first = end;
  }
}
