/**
 * When things are drawn: what has changed is drawn at the next frame, once, as much as fits into the budget; the rest at the frame after.
 * So the numbers beside twenty charts never hold up a frame: see bench/dashboard.bench.ts. The charts themselves are drawn by a worker
 * (`parts/plotter.ts`), and a stream is read by another (`live/worker.ts`).
 *
 *     const draw = drawer(() => plot.setData(...));   // made once
 *     draw.ask();                                      // as often as one likes
 *     draw.end();
 *
 * `countFrames` tells what it costs in `frameFigures`: frames a second, and the longest that one of them with charts in it took.
 */
import { signal } from '@preact/signals';

/** For all that a frame does, layout and painting included, which grow with what was drawn; of the 16.7 ms that it has. */
const AIM_MS = 8;
/** Weight of what is done in one frame at most. A second has sixty frames: enough for the tables of a hundred charts. */
const MOST = 2;

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

interface Waiting {
  draw(): void;
  weight: number;
}

const waiting = new Set<Waiting>();
let asked = false;
let longestMs = 0;
/** Done in one frame now: less where frames take long, so that a slow machine shows fewer numbers and not fewer frames. */
let atOnce = MOST;
let begun = 0;

/** Comes behind the frame in which it was posted, style, layout and paint included. */
const behind = new MessageChannel();
behind.port1.onmessage = () => {
  const tookMs = performance.now() - begun;
  longestMs = Math.max(longestMs, tookMs);
  if (tookMs > AIM_MS * 0.75) atOnce = Math.max(1, atOnce - 1);
  else if (tookMs < AIM_MS / 2) atOnce = Math.min(MOST, atOnce + 1);
};

/** @param weight 1: the numbers of a table; 2: what builds elements */
export function drawer(draw: () => void, weight = 1): Drawer {
  const own: Waiting = { draw, weight };
  return {
    ask() {
      waiting.add(own);
      wake();
    },
    end() {
      waiting.delete(own);
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
  begun = performance.now();
  behind.port2.postMessage(null);
  let done = 0;
  for (const own of waiting) {
    // Something is drawn in each frame, so that all has its turn.
    if (done > 0 && (done + own.weight > atOnce || performance.now() - begun > AIM_MS / 2)) break;
    waiting.delete(own);
    own.draw();
    done += own.weight;
  }
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
    frameFigures.value = { framesPerSecond: (frames * 1000) / (now - since), longestMs };
    since = now;
    frames = 0;
    longestMs = 0;
  }
  return () => {
    cancelAnimationFrame(next);
    frameFigures.value = null;
  };
}
