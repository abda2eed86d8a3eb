/** A plot of the report: where it comes from is `(results) => options`, one file a plot, listed in `index.ts`. */
import type { Drawing } from './draw.ts';

export interface Plot extends Omit<Drawing, 'description'> {
  /** What it shows, and what to see in it. */
  caption: string;
}
