/**
 * Where the names of points go, so that none lies over another, over a point or beyond the plot. First come, first served, from the left:
 * beside its point if there is room, else above or below that, with a thin line back to the point.
 *
 * The library's own way (`labelLayout`) moves names of one series only, and over points.
 */
import { FONT_SIZE } from './draw.ts';

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** In pixels. */
export interface Mark {
  x: number;
  y: number;
  name: string;
  /** In which its name has to stay. */
  within: Box;
}

export interface Label {
  side: 'left' | 'right';
  /** Down from the point. */
  shift: number;
}

/** Of letters, which fonts have at most this wide; twice the shadow round them. */
const LETTER = FONT_SIZE * 0.64;
const HEIGHT = FONT_SIZE + 3;
/** From the middle of a point to its name. */
export const GAP = 11;
const POINT = 8;
const STEP = HEIGHT;
const FURTHEST = 9;

const apart = (a: Box, b: Box) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;

const inside = (a: Box, b: Box) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;

function boxOf({ x, y, name }: Mark, { side, shift }: Label): Box {
  const width = [...name].length * LETTER;
  const left = side === 'right' ? x + GAP : x - GAP - width;
  return { left, right: left + width, top: y + shift - HEIGHT / 2, bottom: y + shift + HEIGHT / 2 };
}

/** Nearest first. */
function* choices(): Generator<Label> {
  for (let step = 0; step <= FURTHEST; step++)
    for (const shift of step === 0 ? [0] : [-step * STEP, step * STEP])
      for (const side of ['right', 'left'] as const) yield { side, shift };
}

/** @returns for each mark in its order; null where there is no room */
export function placeLabels(marks: readonly Mark[]): (Label | null)[] {
  const taken: Box[] = marks.map(({ x, y }) => ({
    left: x - POINT,
    right: x + POINT,
    top: y - POINT,
    bottom: y + POINT,
  }));
  const labels: (Label | null)[] = marks.map(() => null);
  const order = [...marks.keys()].sort((a, b) => marks[a]!.x - marks[b]!.x || marks[a]!.y - marks[b]!.y);
  for (const index of order) {
    const mark = marks[index]!;
    for (const label of choices()) {
      const box = boxOf(mark, label);
      if (!inside(box, mark.within) || !taken.every((other) => apart(box, other))) continue;
      labels[index] = label;
      taken.push(box);
      break;
    }
  }
  return labels;
}
