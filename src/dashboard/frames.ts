/**
 * When things are drawn: what has changed is drawn at the next frame, once, as much as fits into the budget; the rest at the frame after.
 * So twenty charts that change ten times a second never hold up a frame: see bench/dashboard.bench.ts.
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
/** Drawn in one frame at most. Ten times a second there are six frames: enough for twenty-four. */
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
let longestMs = 0;
/** Drawn in one frame now: fewer where frames take long, so that a slow machine shows fewer points and not fewer frames. */
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
  begun = performance.now();
  behind.port2.postMessage(null);
  let drawn = 0;
  for (const draw of waiting) {
    waiting.delete(draw);
    draw();
    if (++drawn >= atOnce || performance.now() - begun > AIM_MS / 2) break;
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
