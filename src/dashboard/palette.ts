/**
 * Colours for a canvas, which knows no variables of CSS: read from `style/palette.css` once for each theme. In markup use the variables
 * themselves, `var(--series-1)`.
 *
 *     const { ink, series } = palette.value;
 *
 * Series are those of Okabe and Ito, "Color Universal Design" (2008), darker on white and lighter on black: told apart with any kind of
 * colour vision. Order and dashes say the same again, and nothing is told by colour alone.
 */
import { computed } from '@preact/signals';
import { isDark } from './theme.ts';

export interface Palette {
  ink: string;
  faint: string;
  line: string;
  paper: string;
  accent: string;
  /** Ten, the last of them a quiet one for what is left over; the eleventh is the first again. */
  series: readonly string[];
}

const SERIES = 10;

export const palette = computed<Palette>(() => {
  // Depends on the theme, which sets the variables.
  void isDark.value;
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: read('--ink'),
    faint: read('--faint'),
    line: read('--line'),
    paper: read('--card'),
    accent: read('--accent'),
    series: Array.from({ length: SERIES }, (_, i) => read(`--series-${i + 1}`)),
  };
});

/** For markup; `index` from 0. */
export function seriesVariable(index: number): string {
  return `var(--series-${(index % SERIES) + 1})`;
}

/** The same for a canvas. */
export function seriesColour({ series }: Palette, index: number): string {
  return series[index % SERIES] as string;
}

/** Verdicts from harmless to worst: `style/palette.css` has a colour for each, `--verdict-stale`. */
export function verdictVariable(verdict: string): string {
  return `var(--verdict-${verdict})`;
}
