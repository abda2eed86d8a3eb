/**
 * Draws a look at a space: rows of cells in the order of addresses, each cell filled from below by what it holds. What is exposed stands at
 * the top of its cell, three pixels high at least, and hatched: one stale page among thousands is seen.
 */
import type { SpaceState } from '../../api/contract-types.ts';
import { hexOf } from './address.ts';
import type { SpaceFrame } from './frame.ts';
import { type Pattern, STATES } from './states.ts';
import type { Grid } from './view.ts';

export interface Colours {
  ink: string;
  faint: string;
  line: string;
  paper: string;
  accent: string;
  states: ReadonlyMap<SpaceState, string>;
}

export interface Layout {
  /** Left of the cells, for addresses. */
  gutter: number;
  width: number;
  height: number;
  grid: Grid;
}

export interface Marks {
  /** Cell under the pointer or the keyboard, -1 none. */
  cursor: number;
  changed: Uint8Array | null;
}

/** From below: what is drawn over what. */
const UPWARD = [
  'reserved',
  'allocated',
  'kept',
  'live',
  'unflushed',
  'queued',
  'dangling',
  'stale',
  'remapped',
] as const;
const LOUD_PX = 3;

export const cellWidth = ({ width, gutter, grid }: Layout): number => (width - gutter) / grid.columns;
export const cellHeight = ({ height, grid }: Layout): number => height / grid.rows;

/** @returns the cell at a place, -1 outside */
export function cellAt(layout: Layout, x: number, y: number, cellCount: number): number {
  const column = Math.floor((x - layout.gutter) / cellWidth(layout));
  const row = Math.floor(y / cellHeight(layout));
  if (column < 0 || column >= layout.grid.columns || row < 0 || row >= layout.grid.rows) return -1;
  const cell = row * layout.grid.columns + column;
  return cell < cellCount ? cell : -1;
}

export class SpaceDrawing {
  private readonly canvas: HTMLCanvasElement;
  private fills = new Map<SpaceState, CanvasPattern | string>();
  private filledFor: Colours | null = null;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
  }

  draw(frame: SpaceFrame | null, layout: Layout, colours: Colours, { cursor, changed }: Marks): void {
    const { canvas } = this;
    const ratio = Math.min(devicePixelRatio || 1, 3);
    const [width, height] = [Math.round(layout.width * ratio), Math.round(layout.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (frame === null) return;
    if (this.filledFor !== colours) {
      this.filledFor = colours;
      this.fills = new Map(
        STATES.map(({ state, pattern }) => [
          state,
          fillOf(context, pattern, colours.states.get(state) ?? '', colours.paper, ratio),
        ]),
      );
    }
    const { columns } = layout.grid;
    const [stepX, stepY] = [cellWidth(layout) * ratio, cellHeight(layout) * ratio];
    const gap = stepX >= 6 * ratio ? ratio : 0;
    const gutter = layout.gutter * ratio;
    const columnsOf = UPWARD.map((state) => frame.cells.get(state));
    const free = colours.states.get('free') ?? '';
    for (let cell = 0; cell < frame.cellCount; cell++) {
      const column = cell % columns;
      const row = (cell - column) / columns;
      const left = Math.round(gutter + column * stepX);
      const top = Math.round(row * stepY);
      const w = Math.round(gutter + (column + 1) * stepX) - left - gap;
      const h = Math.round((row + 1) * stepY) - top - gap;
      context.fillStyle = free;
      context.fillRect(left, top, w, h);
      let below = 0;
      for (let at = 0; at < UPWARD.length; at++) {
        const pages = columnsOf[at]?.[cell] ?? 0;
        if (pages === 0) continue;
        const isLoud = at >= 6;
        const part = Math.max(isLoud ? LOUD_PX * ratio : ratio, Math.round((pages / frame.pagesPerCell) * h));
        // What is loud covers the quiet below it rather than being pushed out.
        const bottom = isLoud ? Math.min(below, h - part) : below;
        const tall = Math.min(part, h - bottom);
        if (tall <= 0) continue;
        context.fillStyle = this.fills.get(UPWARD[at] as SpaceState) ?? free;
        context.fillRect(left, top + h - bottom - tall, w, tall);
        below = bottom + tall;
      }
      if (changed?.[cell] === 1) {
        context.strokeStyle = colours.ink;
        context.lineWidth = ratio;
        context.strokeRect(left + ratio / 2, top + ratio / 2, w - ratio, h - ratio);
      }
    }
    this.labels(context, frame, layout, colours, ratio);
    this.marks(context, frame, layout, colours, ratio);
    if (cursor >= 0 && cursor < frame.cellCount) {
      const column = cursor % columns;
      const row = (cursor - column) / columns;
      context.lineWidth = 2 * ratio;
      context.strokeStyle = colours.accent;
      context.strokeRect(gutter + column * stepX - ratio, row * stepY - ratio, stepX + ratio, stepY + ratio);
    }
  }

  /** The first address of every so many rows. */
  private labels(
    context: CanvasRenderingContext2D,
    frame: SpaceFrame,
    layout: Layout,
    colours: Colours,
    ratio: number,
  ): void {
    const { columns, rows } = layout.grid;
    const every = Math.max(1, Math.ceil(15 / cellHeight(layout)));
    context.font = `${11 * ratio}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace`;
    context.fillStyle = colours.faint;
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    for (let row = 0; row < rows; row += every) {
      if (row * columns >= frame.cellCount) break;
      const page = frame.first + row * columns * frame.pagesPerCell;
      context.fillText(hexOf(page), (layout.gutter - 8) * ratio, (row + 0.5) * cellHeight(layout) * ratio);
    }
  }

  /** A triangle where the allocator remembers a place. */
  private marks(
    context: CanvasRenderingContext2D,
    frame: SpaceFrame,
    layout: Layout,
    colours: Colours,
    ratio: number,
  ): void {
    for (const { iova } of frame.reply.marks) {
      const page = Number.parseInt(iova.slice(2, -3) || '0', 16);
      const cell = Math.floor((page - frame.first) / frame.pagesPerCell);
      if (cell < 0 || cell >= frame.cellCount) continue;
      const x = (layout.gutter + (cell % layout.grid.columns) * cellWidth(layout)) * ratio;
      const y = Math.floor(cell / layout.grid.columns) * cellHeight(layout) * ratio;
      const size = 8 * ratio;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + size, y);
      context.lineTo(x, y + size);
      context.closePath();
      context.fillStyle = colours.ink;
      context.fill();
      context.lineWidth = ratio;
      context.strokeStyle = colours.paper;
      context.stroke();
    }
  }
}

/** The colour with its pattern, so that who sees no colours sees a difference. */
export function fillOf(
  context: CanvasRenderingContext2D,
  pattern: Pattern,
  colour: string,
  paper: string,
  ratio: number,
): CanvasPattern | string {
  if (pattern === 'plain') return colour;
  const size = Math.round(6 * ratio);
  const tile = document.createElement('canvas');
  tile.width = size;
  tile.height = size;
  const draw = tile.getContext('2d') as CanvasRenderingContext2D;
  const isOutline = pattern === 'outline';
  draw.fillStyle = isOutline ? paper : colour;
  draw.fillRect(0, 0, size, size);
  draw.fillStyle = isOutline ? colour : paper;
  draw.strokeStyle = draw.fillStyle;
  draw.lineWidth = Math.max(1, ratio * 1.3);
  const line = (fromX: number, fromY: number, toX: number, toY: number) => {
    draw.beginPath();
    draw.moveTo(fromX, fromY);
    draw.lineTo(toX, toY);
    draw.stroke();
  };
  if (pattern === 'diagonal' || pattern === 'cross' || isOutline)
    for (const by of [-size, 0, size]) line(by - 1, size + 1, by + size + 1, -1);
  if (pattern === 'cross') for (const by of [-size, 0, size]) line(by - 1, -1, by + size + 1, size + 1);
  if (pattern === 'vertical') draw.fillRect(size / 2, 0, Math.max(1, ratio * 1.5), size);
  if (pattern === 'horizontal') draw.fillRect(0, size / 2, size, Math.max(1, ratio * 1.5));
  if (pattern === 'dots') draw.fillRect(size / 3, size / 3, size / 3, size / 3);
  return context.createPattern(tile, 'repeat') ?? colour;
}
