/**
 * The picture itself, with what hands do to it. Mouse: move for what a cell holds, wheel to zoom, drag to move, double click to go in. Touch:
 * tap a cell, pinch to zoom, drag sideways to move. Keys: arrows from cell to cell, Enter in, Backspace out, Page Up and Down to move.
 */
import { effect, type Signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { drawer } from '../frames.ts';
import { palette } from '../palette.ts';
import { type Colours, cellAt, cellHeight, cellWidth, type Layout, SpaceDrawing } from './drawing.ts';
import { addressesOf, changes, partsInWords, partsOf, type SpaceFrame, summaryOf } from './frame.ts';
import { STATES } from './states.ts';
import type { Grid } from './view.ts';

export interface MapProps {
  frame: Signal<SpaceFrame | null>;
  grid: Grid;
  /** Height of a row in pixels. */
  rowPx: number;
  gutter: number;
  /** Outlines what differs from the look before. */
  outlines: boolean;
  /** Cell that the pointer or the keyboard is at, -1 none. */
  cursor: Signal<number>;
  onZoom(by: number, page: number): void;
  onMove(rows: number): void;
}

export function stateColours(): Colours {
  const { ink, faint, line, paper, accent } = palette.value;
  const style = getComputedStyle(document.documentElement);
  const probe = document.createElement('span');
  document.body.append(probe);
  // Mixed colours are resolved by the browser, not by us.
  const states = new Map(
    STATES.map(({ state }) => {
      probe.style.color = style.getPropertyValue(`--page-${state}`);
      return [state, getComputedStyle(probe).color] as const;
    }),
  );
  probe.remove();
  return { ink, faint, line, paper, accent, states };
}

export function SpaceMap({ frame, grid, rowPx, gutter, outlines, cursor, onZoom, onMove }: MapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const layout = useRef<Layout>({ gutter, width: 0, height: grid.rows * rowPx, grid });
  layout.current = { ...layout.current, gutter, height: grid.rows * rowPx, grid };
  const isOutlined = useRef(outlines);
  isOutlined.current = outlines;
  const acts = useRef({ onZoom, onMove });
  acts.current = { onZoom, onMove };
  const spoken = useSignal('');
  const before = useMemo<{ frame: SpaceFrame | null; now: SpaceFrame | null }>(() => ({ frame: null, now: null }), []);

  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    const drawing = new SpaceDrawing(element);
    let colours = stateColours();
    const draw = drawer(() => {
      const now = frame.peek();
      if (now !== before.now) {
        before.frame = before.now;
        before.now = now;
      }
      const changed = isOutlined.current && now !== null && before.frame !== null ? changes(before.frame, now) : null;
      drawing.draw(now, layout.current, colours, { cursor: cursor.peek(), changed });
    });
    const size = () => {
      layout.current.width = element.clientWidth;
      draw.ask();
    };
    const sizing = new ResizeObserver(size);
    sizing.observe(element);
    size();
    const ends = [
      effect(() => {
        void palette.value;
        colours = stateColours();
        draw.ask();
      }),
      effect(() => {
        void frame.value;
        void cursor.value;
        draw.ask();
      }),
      hands(element, () => layout.current, frame, cursor, acts),
      () => sizing.disconnect(),
      () => draw.end(),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [frame, grid.columns, grid.rows, rowPx]);

  const key = (event: KeyboardEvent) => {
    const now = frame.peek();
    if (now === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = now.cellCount - 1;
    const at = Math.max(0, cursor.peek());
    const to = (cell: number) => {
      cursor.value = Math.max(0, Math.min(last, cell));
    };
    const page = now.first + at * now.pagesPerCell;
    switch (event.key) {
      case 'ArrowRight':
        to(at + 1);
        break;
      case 'ArrowLeft':
        to(at - 1);
        break;
      case 'ArrowDown':
        if (at + grid.columns > last) onMove(4);
        else to(at + grid.columns);
        break;
      case 'ArrowUp':
        if (at < grid.columns) onMove(-4);
        else to(at - grid.columns);
        break;
      case 'PageDown':
        onMove(grid.rows - 4);
        break;
      case 'PageUp':
        onMove(4 - grid.rows);
        break;
      case 'Home':
        to(0);
        break;
      case 'End':
        to(last);
        break;
      case 'Enter':
        onZoom(-3, page);
        break;
      case 'Backspace':
        onZoom(3, page);
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
    const shown = frame.peek();
    const cell = cursor.peek();
    if (shown !== null && cell >= 0)
      spoken.value = `${addressesOf(shown, cell)}: ${partsInWords(partsOf(shown, cell))}`;
  };

  const now = frame.value;
  return (
    <>
      <div
        class="space-map"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows move from cell to cell
        tabIndex={0}
        role="application"
        aria-roledescription="picture of an IOVA space"
        aria-label={`${now === null ? 'Nothing yet.' : summaryOf(now)} Arrows go from cell to cell, Enter zooms in, Backspace out, Page Up and Page Down move.`}
        onKeyDown={key}
      >
        <canvas ref={canvas} style={{ height: `${grid.rows * rowPx}px` }} />
      </div>
      <p class="hidden-text" aria-live="polite">
        {spoken.value}
      </p>
    </>
  );
}

interface Acts {
  current: Pick<MapProps, 'onZoom' | 'onMove'>;
}

/** Pointer and wheel. @returns the function that ends it */
function hands(
  element: HTMLCanvasElement,
  layoutNow: () => Layout,
  frame: Signal<SpaceFrame | null>,
  cursor: Signal<number>,
  acts: Acts,
): () => void {
  const down = new Map<number, { x: number; y: number }>();
  let apart = 0;
  let travelled = 0;
  let rest = 0;
  const cellOf = (event: { offsetX: number; offsetY: number }) => {
    const now = frame.peek();
    return now === null ? -1 : cellAt(layoutNow(), event.offsetX, event.offsetY, now.cellCount);
  };
  const pageAt = (event: { offsetX: number; offsetY: number }) => {
    const now = frame.peek();
    const cell = cellOf(event);
    return now === null || cell < 0 ? null : now.first + cell * now.pagesPerCell;
  };
  const distance = () => {
    const [a, b] = [...down.values()];
    return a === undefined || b === undefined ? 0 : Math.hypot(a.x - b.x, a.y - b.y);
  };
  const pressed = (event: PointerEvent) => {
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    apart = distance();
    travelled = 0;
    rest = 0;
    if (event.pointerType !== 'mouse') cursor.value = cellOf(event);
  };
  const moving = (event: PointerEvent) => {
    const from = down.get(event.pointerId);
    if (from === undefined || (event.pointerType === 'mouse' && travelled === 0 && event.buttons === 0)) {
      cursor.value = cellOf(event);
      return;
    }
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    travelled += Math.abs(dx) + Math.abs(dy);
    const layout = layoutNow();
    if (down.size === 2) {
      const now = distance();
      const page = pageAt(event);
      if (apart > 0 && page !== null && (now > apart * 1.5 || now < apart / 1.5)) {
        acts.current.onZoom(now > apart ? -1 : 1, page);
        apart = now;
      }
      return;
    }
    if (travelled < 6) return;
    element.setPointerCapture?.(event.pointerId);
    // Sideways a row is a picture's width; up and down it is a row's height.
    const rows =
      event.pointerType === 'mouse'
        ? -dy / cellHeight(layout)
        : (-dx / (cellWidth(layout) * layout.grid.columns)) * layout.grid.rows;
    rest += rows;
    const whole = Math.trunc(rest);
    rest -= whole;
    if (whole !== 0) acts.current.onMove(whole);
  };
  const released = (event: PointerEvent) => {
    down.delete(event.pointerId);
    apart = 0;
  };
  const left = (event: PointerEvent) => {
    released(event);
    if (event.pointerType === 'mouse' && document.activeElement !== element.parentElement) cursor.value = -1;
  };
  let turned = 0;
  const wheel = (event: WheelEvent) => {
    const page = pageAt(event);
    if (page === null || (!event.ctrlKey && document.activeElement !== element.parentElement)) return;
    event.preventDefault();
    turned += event.deltaY;
    if (Math.abs(turned) < 60) return;
    acts.current.onZoom(turned > 0 ? 1 : -1, page);
    turned = 0;
  };
  const twice = (event: MouseEvent) => {
    const page = pageAt(event);
    if (page !== null) acts.current.onZoom(event.shiftKey ? 3 : -3, page);
  };
  element.addEventListener('pointerdown', pressed);
  element.addEventListener('pointermove', moving);
  element.addEventListener('pointerup', released);
  element.addEventListener('pointercancel', released);
  element.addEventListener('pointerleave', left);
  element.addEventListener('wheel', wheel, { passive: false });
  element.addEventListener('dblclick', twice);
  return () => {
    element.removeEventListener('pointerdown', pressed);
    element.removeEventListener('pointermove', moving);
    element.removeEventListener('pointerup', released);
    element.removeEventListener('pointercancel', released);
    element.removeEventListener('pointerleave', left);
    element.removeEventListener('wheel', wheel);
    element.removeEventListener('dblclick', twice);
  };
}
