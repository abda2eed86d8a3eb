/** The picture of `histogram.tsx`. */
import { roundDuration } from '../format.ts';
import type { Palette } from '../palette.ts';
import { type Bucket, type Decade, decades } from './decades.ts';

const BOTTOM = 24;
const TOP = 8;
const LEFT = 8;
/** Room of a label. */
const LABEL = 48;

export function drawHistogram(
  canvas: HTMLCanvasElement,
  { width, height }: { width: number; height: number },
  kinds: readonly (readonly Bucket[])[],
  colours: Palette,
): void {
  const scale = window.devicePixelRatio;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const to = canvas.getContext('2d');
  if (to === null || width === 0) return;
  to.setTransform(scale, 0, 0, scale, 0, 0);
  to.clearRect(0, 0, width, height);
  const rows = decades(kinds);
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return;
  const low = Math.log10(Math.max(first.from, 1));
  const high = Math.log10(last.to);
  const x = (ns: number) => LEFT + ((Math.log10(Math.max(ns, 1)) - low) / (high - low)) * (width - 2 * LEFT);
  // Share of all for each unit of width: buckets are of different width.
  const density = kinds.map((buckets) => {
    const all = buckets.reduce((sum, { count }) => sum + count, 0);
    return buckets.map(({ from, to: end, count }) => (all === 0 ? 0 : count / all / Math.max(x(end) - x(from), 1)));
  });
  const most = Math.max(...density.flat(), 1e-12);
  axis(to, rows, x, width, height, colours);
  for (const [kind, buckets] of kinds.entries()) {
    const colour = colours.series[kind] as string;
    to.fillStyle = colour;
    to.strokeStyle = colour;
    for (const [i, { from, to: end }] of buckets.entries()) {
      const tall = (((density[kind] as number[])[i] as number) / most) * (height - BOTTOM - TOP);
      const wide = Math.max(x(end) - x(from), 1);
      to.globalAlpha = 0.35;
      to.fillRect(x(from), height - BOTTOM - tall, wide, tall);
      to.globalAlpha = 1;
      to.fillRect(x(from), height - BOTTOM - tall, wide, Math.min(2, tall));
    }
  }
}

function axis(
  to: CanvasRenderingContext2D,
  rows: readonly Decade[],
  x: (ns: number) => number,
  width: number,
  height: number,
  colours: Palette,
): void {
  to.strokeStyle = colours.line;
  to.fillStyle = colours.faint;
  to.font = '11px system-ui, sans-serif';
  to.textBaseline = 'top';
  let labelled = Number.NEGATIVE_INFINITY;
  for (const at of [...rows.map(({ from }) => Math.max(from, 1)), (rows.at(-1) as Decade).to]) {
    const left = Math.round(x(at)) + 0.5;
    to.beginPath();
    to.moveTo(left, TOP);
    to.lineTo(left, height - BOTTOM);
    to.stroke();
    if (left - labelled < LABEL) continue;
    labelled = left;
    to.textAlign = left < 30 ? 'left' : left > width - 30 ? 'right' : 'center';
    to.fillText(roundDuration(at), left, height - BOTTOM + 6);
  }
}
