/**
 * Draws a chart to SVG that stands in a page: no script, no style of its own, colours from the page's variables (so light, dark and paper
 * are the page's business), ids of its own, a title and a description for who does not see it. The same options give the same bytes.
 */
import type { EChartsCoreOption } from 'echarts/core';
import { escapeHtml } from '../escape.ts';

export interface Drawing {
  /** Unique in the page. */
  id: string;
  title: string;
  description: string;
  width: number;
  height: number;
  option: EChartsCoreOption;
}

/** Declared in `style.ts`, for light, dark and paper. */
export const INK = 'var(--ink)';
export const MUTED = 'var(--muted)';
export const GRID = 'var(--grid)';
export const PAPER = 'var(--paper)';
export const COLOURS = Array.from({ length: 10 }, (_, i) => `var(--c${i + 1})`);

export const FONT_SIZE = 13;

/** Blanks at the end of a text that are there to keep room only. */
export const ROOM = '\u00a0';

async function load() {
  const [{ init, use }, { BarChart, CustomChart, LineChart, ScatterChart }, components, { LabelLayout }, renderers] =
    await Promise.all([
      import('echarts/core'),
      import('echarts/charts'),
      import('echarts/components'),
      import('echarts/features'),
      import('echarts/renderers'),
    ]);
  const { GridComponent, LegendComponent } = components;
  use([
    BarChart,
    CustomChart,
    LineChart,
    ScatterChart,
    GridComponent,
    LegendComponent,
    LabelLayout,
    renderers.SVGRenderer,
  ]);
  return init;
}

let loaded: ReturnType<typeof load> | null = null;

/** Some 1 s the first time, which a server does not pay at its start. */
const echarts = () => (loaded ??= load());

/** `font-size:12px` -> ` font-size="12px"`: a page may allow no style but its own. The font is the page's. */
function asAttributes(style: string): string {
  const members = style.split(';').map((member) => member.split(':') as [string, string]);
  return members
    .filter(([name]) => ['font-size', 'font-weight', 'font-style'].includes(name))
    .map(([name, value]) => ` ${name}="${value}"`)
    .join('');
}

/**
 * What the library adds for a mouse and for itself goes: styles of hovering, classes, its own attributes; ids get the drawing's. Looks
 * at tags only: text of people has no bare `<` and no bare quote.
 */
export function standalone(svg: string, { id, title, description, width, height }: Omit<Drawing, 'option'>): string {
  const body = svg
    .replace(/^<svg[^>]*>/, '')
    .replace(/<\/svg>\s*$/, '')
    .replace(/<style\s*>[\s\S]*?<\/style>/g, '')
    .replace(/<defs\s*>\s*<\/defs>/g, '')
    .replace(/ (?:class|pointer-events|xml:space|ecmeta_[a-z_]+)="[^"]*"/g, '')
    .replace(/ style="([^"]*)"/g, (_, style: string) => asAttributes(style))
    // What is drawn hollow.
    .replaceAll(' fill="#fff"', ` fill="${PAPER}"`)
    .replace(/\u00a0+<\/text>/g, '</text>')
    .replace(/ (id="|[a-z-]+="url\(#)zr\d+-/g, ` $1${id}-`)
    .trim();
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc">`,
    `<title id="${id}-title">${escapeHtml(title)}</title>`,
    `<desc id="${id}-desc">${escapeHtml(description)}</desc>`,
    body,
    '</svg>',
  ].join('\n');
}

export async function draw(drawing: Drawing): Promise<string> {
  const init = await echarts();
  const { width, height, option } = drawing;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: 'transparent',
      color: COLOURS,
      textStyle: { color: INK, fontSize: FONT_SIZE, fontFamily: 'sans-serif' },
      ...option,
    });
    return standalone(chart.renderToSVGString(), drawing);
  } finally {
    chart.dispose();
  }
}
