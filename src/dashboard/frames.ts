/**
 * When things are drawn: what has changed is drawn at the next frame, once, as much as fits into the budget; the rest at the frame after.
 * So twenty charts that change ten times a second never hold up a frame: see bench/dashboard.bench.ts.
 *
 *     const draw = drawer(() => plot.setData(...));   // made once
 *     draw.ask();                                      // as often as one likes
 *     draw.end();
 *
 * `countFrames` tells what it costs in `frameFigures`: frames a second, and the longest that one of them was drawn for.
 */
import { signal } from '@preact/signals';

/** Of 16.7: the browser needs some for layout and painting, which grow with what was drawn. */
const BUDGET_MS = 3;
/** Things drawn in one frame. Ten times a second there are six frames: enough for twenty-four. */
const MOST = 4;

export interface Drawer {
  ask(): void;
  end(): void;
}

export interface FrameFigures {
  framesPerSecond: number;
  longestMs: number;
}

/** Of the last second; null while nobody counts. */
export const frameFigures = signal<FrameFigures | null>(null);

const waiting = new Set<() => void>();
let asked = false;
let drawnMs = 0;

export function drawer(draw: () => void): Drawer {
  return {
    ask() {
      waiting.add(draw);
      wake();
    },
    end() {
      waiting.delete(draw);
    },
  };
}

function wake(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(drawFrame);
}

function drawFrame(): void {
  asked = false;
  const begun = performance.now();
  let drawn = 0;
  for (const draw of waiting) {
    waiting.delete(draw);
    draw();
    if (++drawn === MOST || performance.now() - begun > BUDGET_MS) break;
  }
  drawnMs = Math.max(drawnMs, performance.now() - begun);
  if (waiting.size > 0) wake();
}

/** Counts the frames that the browser shows, until the function that it answers is called. */
export function countFrames(): () => void {
  let since = performance.now();
  let frames = 0;
  let next = requestAnimationFrame(count);
  function count(now: number): void {
    next = requestAnimationFrame(count);
    frames++;
    if (now - since < 1_000) return;
    frameFigures.value = { framesPerSecond: (frames * 1000) / (now - since), longestMs: drawnMs };
    since = now;
    frames = 0;
    drawnMs = 0;
  }
  return () => {
    cancelAnimationFrame(next);
    frameFigures.value = null;
  };
}
