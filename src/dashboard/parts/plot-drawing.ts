/**
 * The picture of a chart: grid, what is written at it, and lines or stacked areas. Draws on any canvas, of a page or of a worker, and asks
 * nobody for its size.
 */
import type { Unit } from '../format.ts';
import { onAxis, ticks, timeOnAxis } from './axis.ts';
import { type SeriesBuffer, stack } from './series-buffer.ts';
import { eachDrawn } from './thinning.ts';

export interface PlotShape {
  unit: Unit;
  /** In the order of the buffer's series. */
  series: readonly { colour: number; dashed: boolean }[];
  stacked: boolean;
  /** The axis goes up to here at least. */
  atLeast: number;
}

export interface PlotColours {
  faint: string;
  line: string;
  series: readonly string[];
}

/** CSS pixels, and device pixels of each. */
export interface PlotSize {
  width: number;
  height: number;
  scale: number;
}

const FONT = '11px system-ui, sans-serif';
const PADDING = { top: 8, right: 26, bottom: 24, left: 52 };
const GAP = 4;
/** Room of what is written. */
const ROOM = { x: 70, y: 30 };
/** Of what is highest, so that a line does not run along the edge. */
const HEADROOM = 1.08;
const LINE = 1.75;
const DASH = [5, 3];

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** @param stacks columns to stack in, as long as the buffer's; empty for lines */
export function drawPlot(
  to: Context,
  { width, height, scale }: PlotSize,
  buffer: SeriesBuffer,
  stacks: Float64Array[],
  shape: PlotShape,
  colours: PlotColours,
): void {
  to.setTransform(scale, 0, 0, scale, 0, 0);
  to.clearRect(0, 0, width, height);
  const xs = buffer.x();
  const ys = shape.stacked
    ? stack(buffer, stacks)
    : Array.from({ length: buffer.series }, (_, series) => buffer.y(series));
  const right = width - PADDING.right;
  const bottom = height - PADDING.bottom;
  if (right <= PADDING.left || bottom <= PADDING.top) return;
  const low = xs[0] ?? 0;
  const high = xs.at(-1) ?? 1;
  const top = Math.max(shape.atLeast, highestOf(shape.stacked ? ys.slice(-1) : ys) * HEADROOM) || 1;
  const perX = high > low ? (right - PADDING.left) / (high - low) : 0;
  const perY = (bottom - PADDING.top) / top;
  const x = (seconds: number) => PADDING.left + (seconds - low) * perX;
  const y = (value: number) => bottom - value * perY;

  if (xs.length > 0) grid();
  to.lineJoin = 'round';
  // Of a stack the highest is drawn first, and those below it over it.
  for (let i = 0; i < ys.length; i++) {
    const at = shape.stacked ? ys.length - 1 - i : i;
    const { colour, dashed } = shape.series[at] as PlotShape['series'][number];
    const path = linesOf(ys[at] as Float64Array);
    to.strokeStyle = to.fillStyle = colours.series[colour % colours.series.length] as string;
    if (shape.stacked) {
      to.fill(path);
      continue;
    }
    to.lineWidth = LINE;
    to.setLineDash(dashed ? DASH : []);
    to.stroke(path);
  }
  to.setLineDash([]);

  function grid(): void {
    to.font = FONT;
    to.lineWidth = 1;
    to.strokeStyle = colours.line;
    to.fillStyle = colours.faint;
    to.beginPath();
    to.textAlign = 'center';
    to.textBaseline = 'top';
    for (const seconds of ticks(low, high, (right - PADDING.left) / ROOM.x)) {
      const at = crisp(x(seconds));
      to.moveTo(at, PADDING.top);
      to.lineTo(at, bottom);
      to.fillText(timeOnAxis(seconds), at, bottom + GAP);
    }
    to.textAlign = 'right';
    to.textBaseline = 'middle';
    for (const value of ticks(0, top, (bottom - PADDING.top) / ROOM.y)) {
      const at = crisp(y(value));
      to.moveTo(PADDING.left, at);
      to.lineTo(right, at);
      to.fillText(onAxis(value, shape.unit), PADDING.left - GAP, at);
    }
    to.stroke();
  }

  /** A line for each piece without a gap; below a stack it is closed along the axis. */
  function linesOf(column: Float64Array): Path2D {
    const path = new Path2D();
    let open = false;
    let isAlone = false;
    let last = 0;
    let lastY = 0;
    // A point with none beside it makes no line: it is as wide as a dash.
    const widen = () => {
      last += DASH[1] as number;
      path.lineTo(last, lastY);
    };
    eachDrawn(
      xs,
      column,
      (seconds) => Math.floor(x(seconds) * scale),
      (i) => {
        const value = column[i] as number;
        if (Number.isNaN(value)) {
          if (isAlone) widen();
          open = isAlone = false;
          return;
        }
        last = x(xs[i] as number);
        lastY = y(value);
        isAlone = !open;
        if (open) path.lineTo(last, lastY);
        else if (shape.stacked) {
          path.moveTo(last, bottom);
          path.lineTo(last, lastY);
        } else path.moveTo(last, lastY);
        open = true;
      },
    );
    if (isAlone) widen();
    if (shape.stacked && open) {
      path.lineTo(last, bottom);
      path.closePath();
    }
    return path;
  }
}

function highestOf(columns: readonly Float64Array[]): number {
  let highest = 0;
  for (const column of columns) for (const value of column) if (value > highest) highest = value;
  return highest;
}

/** In the middle of a pixel. */
function crisp(at: number): number {
  return Math.round(at) + 0.5;
}
